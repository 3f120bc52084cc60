"""Topology: one pattern a file, teams under `graphs.teams`, all of them listed in `graphs.registry`."""
