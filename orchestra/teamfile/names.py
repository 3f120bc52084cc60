"""Names that people type for a team: of a pattern or team, or the path of a file."""

from __future__ import annotations

import os

SUFFIXES = (".yaml", ".yml", ".json")
"""Endings of team files."""


def is_team_file(name: str) -> bool:
    """Return whether what somebody typed means a team file, and not a pattern or team by its name."""
    return name.lower().endswith(SUFFIXES) or "/" in name or os.sep in name
