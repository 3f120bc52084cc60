"""Checks of a team file that ask no model: what would go wrong, and what a run would cost."""
