"""Room on a terminal: what is folded away when there are more lines than it has."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace

from orchestra.view.lines import Line


def fitting(lines: Sequence[Line], most: int) -> list[Line]:
    """Return at most so many lines, as far as possible: teams that are done are closed, then what is done is left out.

    What is left out is counted in a line of its own at the top. Who is at work or failed stays.

    Args:
        lines: With those below them.
        most: How many there is room for; 0 for no limit.
    """
    if not most or _count(lines) <= most:
        return list(lines)
    closed = [_closed(line) for line in lines]
    surplus = _count(closed) - max(most - 1, 1)
    spare = [line for state in ("ok", "idle") for line in _all(closed) if line.state == state and not line.below]
    if _count(closed) <= most or not spare:
        return closed
    gone = {id(line) for line in spare[:surplus]}
    return [Line("", hidden=len(gone)), *_without(closed, gone)]


def _count(lines: Sequence[Line]) -> int:
    return sum(1 for _ in _all(lines))


def _all(lines: Sequence[Line]) -> Iterator[Line]:
    for line in lines:
        yield line
        yield from _all(line.below)


def _closed(line: Line) -> Line:
    below = () if line.state in ("ok", "idle") else tuple(_closed(one) for one in line.below)
    return replace(line, below=below)


def _without(lines: Sequence[Line], gone: Collection[int]) -> Iterator[Line]:
    for line in lines:
        if id(line) not in gone:
            yield replace(line, below=tuple(_without(line.below, gone))) if line.below else line
