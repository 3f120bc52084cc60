"""Let lines that run across between two layers pass each other: each bundle of lines gets a track of its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass
class Bundle:
    """Lines that may share a track, because they come from one box or lead to one.

    Args:
        upper: Positions where they come from above or go up.
        lower: Positions where they come from below or go down.
    """

    upper: set[float] = field(default_factory=set)
    lower: set[float] = field(default_factory=set)

    @property
    def ends(self) -> set[float]:
        """All positions that it touches."""
        return self.upper | self.lower

    @property
    def is_straight(self) -> bool:
        """Whether nothing runs across."""
        return len(self.ends) < 2

    def add(self, other: Bundle) -> None:
        """Take more lines in."""
        self.upper |= other.upper
        self.lower |= other.lower

    def must_be_above(self, other: Bundle) -> bool:
        """Whether its lines would run along those of the other one if they crossed further down."""
        return bool((self.upper & other.lower) - (self.lower | other.upper))


def assign_tracks(bundles: Mapping[str, Bundle], *, apart: float) -> dict[str, int]:
    """Return the track of each bundle that runs across, 0 the uppermost.

    Args:
        bundles: What runs across, by name.
        apart: Least distance between two bundles on the same track.
    """
    waiting = {name: bundle for name, bundle in bundles.items() if not bundle.is_straight}
    tracks: dict[str, int] = {}
    while waiting:
        free = [
            name
            for name, bundle in waiting.items()
            if not any(other.must_be_above(bundle) for other in waiting.values() if other is not bundle)
        ]
        # In a circle somebody has to begin; those that leave a box come before those that enter one.
        name = min(free or waiting, key=lambda each: (each.startswith(">"), len(waiting[each].ends)))
        bundle = waiting.pop(name)
        over = [tracks[other] + 1 for other in tracks if bundles[other].must_be_above(bundle)]
        track = max(over, default=0)
        while any(tracks[other] == track and _overlap(bundles[other], bundle, apart) for other in tracks):
            track += 1
        tracks[name] = track
    return tracks


def _overlap(first: Bundle, second: Bundle, apart: float) -> bool:
    return min(first.ends) - apart < max(second.ends) and min(second.ends) - apart < max(first.ends)
