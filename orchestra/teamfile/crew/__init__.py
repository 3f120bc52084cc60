"""Crews: the files of CrewAI, read as team files."""
