"""Time across a page: in proportion where something happened, folded where for long nothing did."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

_LONG = 0.5
"""Share of all the busy time above which a pause is folded."""
_SHORTEST = 0.25
"""Seconds of a pause below which it never is."""
_FOLD = 4.0
"""Width of a fold, in percent."""
_MOST_FOLDS = 32.0
"""Width of all folds together, in percent."""
_STEPS = (*(n * 10.0**e for e in (-3, -2, -1, 0) for n in (1, 2, 5)), 10, 15, 30)
_STEPS += tuple(60.0 * n for n in (1, 2, 5, 10, 15, 30, 60, 120, 360, 720, 1440))

Interval = tuple[float, float]


@dataclass(frozen=True)
class Piece:
    """A stretch of time and its place.

    Args:
        start: Seconds since 1970.
        end: Seconds since 1970.
        left: Percent of the width.
        width: Percent of the width.
        folded: Whether it is a pause that has the width of any other.
    """

    start: float
    end: float
    left: float
    width: float
    folded: bool = False


@dataclass(frozen=True)
class Tick:
    """A mark on the axis: percent of the width, and what is written at it."""

    x: float
    after: float
    """Seconds since the beginning of its piece; 0 for the beginning itself."""
    at: float
    """Seconds since 1970."""


class Scale:
    """Places for the times of one turn.

    Args:
        busy: When something happened; what lies between is a pause. In any order, overlapping or not.
    """

    def __init__(self, busy: Iterable[Interval]) -> None:
        work = _merged(busy) or [(0.0, 0.0)]
        total = sum(end - start for start, end in work)
        self.pieces = _placed(list(_pieces(work, max(total * _LONG, _SHORTEST))))
        self._starts = [piece.start for piece in self.pieces]

    @property
    def folds(self) -> list[Piece]:
        """Pauses that are folded."""
        return [piece for piece in self.pieces if piece.folded]

    def at(self, time: float) -> float:
        """Return the place of a time, in percent from 0 to 100."""
        piece = self.pieces[max(0, bisect_right(self._starts, time) - 1)]
        span = piece.end - piece.start
        share = min(1.0, max(0.0, (time - piece.start) / span)) if span else 0.0
        return piece.left + share * piece.width

    def ticks(self, about: int = 6) -> list[Tick]:
        """Return marks at round distances, about so many; the beginning of each piece is one."""
        work = [piece for piece in self.pieces if not piece.folded]
        total = sum(piece.end - piece.start for piece in work)
        step = next((step for step in _STEPS if total / step <= about), total or 1.0)
        found = []
        for piece in work:
            count = int((piece.end - piece.start) / step + 1e-9)
            found += [_tick(piece, number * step) for number in range(count + 1)]
        return found


def _tick(piece: Piece, after: float) -> Tick:
    span = piece.end - piece.start
    return Tick(piece.left + (after / span * piece.width if span else 0.0), after, piece.start + after)


def _merged(busy: Iterable[Interval]) -> list[Interval]:
    found: list[Interval] = []
    for start, end in sorted(busy):
        if found and start <= found[-1][1]:
            found[-1] = found[-1][0], max(found[-1][1], end)
        else:
            found.append((start, max(start, end)))
    return found


def _pieces(work: list[Interval], longest: float) -> Iterator[tuple[float, float, bool]]:
    """Yield stretches of time and whether each is folded: short pauses belong to the work around them."""
    start, end = work[0]
    for next_start, next_end in work[1:]:
        if next_start - end > longest:
            yield start, end, False
            yield end, next_start, True
            start = next_start
        end = next_end
    yield start, end, False


def _placed(stretches: list[tuple[float, float, bool]]) -> list[Piece]:
    folds = sum(folded for _, _, folded in stretches)
    fold = min(_FOLD, _MOST_FOLDS / folds) if folds else 0.0
    work = [end - start for start, end, folded in stretches if not folded]
    least = (100.0 - fold * folds) * 0.02 if len(work) < 10 else 0.0  # a piece of a moment is still seen
    room, total = 100.0 - fold * folds - least * len(work), sum(work)
    placed, left = [], 0.0
    for start, end, folded in stretches:
        share = (end - start) / total if total else 1 / len(work)
        width = fold if folded else least + room * share
        placed.append(Piece(start, end, left, width, folded))
        left += width
    return placed
