"""Places in a team file: where every key is written, and what is wrong there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

Keys = tuple[str | int, ...]
"""Keys and positions from the top of a file down to a value."""


@dataclass(frozen=True, order=True)
class Place:
    """Where something is written, counted from 1."""

    line: int = 1
    column: int = 1


@dataclass(frozen=True)
class Source:
    """Where a team was read from.

    Args:
        path: The file, absolute; None for a team that was not read from one.
        digest: SHA-256 of what it says, and of what the files say that it names; comments make no difference.
        keys: Place of each key, or of each item of a list.
        values: Place of each value.
    """

    path: Path | None = None
    digest: str = ""
    keys: Mapping[Keys, Place] = field(default_factory=dict, repr=False)
    values: Mapping[Keys, Place] = field(default_factory=dict, repr=False)

    @property
    def folder(self) -> Path:
        """Return the folder that relative paths begin in."""
        return self.path.parent if self.path is not None else Path.cwd()

    def key(self, *keys: str | int) -> Place:
        """Return where a key is written; of one that is not there, where what is around it is."""
        return _nearest(self.keys, keys)

    def value(self, *keys: str | int) -> Place:
        """Return where a value is written; of one that is not there, where what is around it is."""
        return _nearest(self.values, keys)


def _nearest(places: Mapping[Keys, Place], keys: Keys) -> Place:
    for length in range(len(keys), -1, -1):
        if keys[:length] in places:
            return places[keys[:length]]
    return Place()


@dataclass(frozen=True, order=True)
class Problem:
    """Something that is wrong in a team file.

    Args:
        place: Where.
        text: What was expected, what is there, and what to do.
    """

    place: Place
    text: str
