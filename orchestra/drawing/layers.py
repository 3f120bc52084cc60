"""Put the boxes of a diagram into layers, and those of a layer into an order with few crossings.

Source: Sugiyama, Tagawa and Toda, "Methods for visual understanding of hierarchical system structures" (1981).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from orchestra.drawing.diagram import Arrow, Diagram

_SWEEPS = 6
"""Passes down and up in which layers are put in order; more change nothing on graphs of this size."""


def backward(diagram: Diagram) -> set[Arrow]:
    """Return the arrows that lead back to where the run has been: without them there is no cycle.

    Where boxes lie on a common cycle, forward is away from the start, and among equally distant boxes in running order. So
    agents that are sent at the same time stand side by side, whichever leads back to them.
    """
    follow: dict[str, list[str]] = {box.id: [] for box in diagram.boxes}
    for arrow in diagram.arrows:
        follow[arrow.source].append(arrow.target)
    away = _distances(follow)
    place = {box.id: (away[box.id], index) for index, box in enumerate(diagram.boxes)}
    reached = {name: _distances(follow, name).keys() for name in follow}
    return {
        arrow
        for arrow in diagram.arrows
        if arrow.source in reached[arrow.target] and place[arrow.target] <= place[arrow.source]
    }


def _distances(follow: Mapping[str, Sequence[str]], start: str | None = None) -> dict[str, int]:
    """Return how many arrows lead to each box from one, or from the first and then from those it does not lead to."""
    away: dict[str, int] = {}
    for first in (start,) if start is not None else tuple(follow):
        row, steps = ([first] if first not in away else []), 0
        while row:
            away |= dict.fromkeys(row, steps)
            row, steps = [name for one in dict.fromkeys(row) for name in follow[one] if name not in away], steps + 1
    return away


def layer_of(diagram: Diagram, back: set[Arrow]) -> dict[str, int]:
    """Return the layer of each box, from 0: below everything that leads to it."""
    forward = [arrow for arrow in diagram.arrows if arrow not in back]
    layer = {box.id: 0 for box in diagram.boxes}
    for _ in diagram.boxes:
        for arrow in forward:
            layer[arrow.target] = max(layer[arrow.target], layer[arrow.source] + 1)
    return layer


def ordered(diagram: Diagram, layer: Mapping[str, int], back: set[Arrow]) -> list[list[str]]:
    """Return the boxes of each layer from left to right."""
    layers: list[list[str]] = [[] for _ in range(max(layer.values(), default=-1) + 1)]
    for box in diagram.boxes:
        layers[layer[box.id]].append(box.id)
    above, below = neighbours(diagram, back)
    for sweep in range(_SWEEPS):
        downwards = sweep % 2 == 0
        for members in layers if downwards else layers[::-1]:
            place = {name: index / len(row) for row in layers for index, name in enumerate(row)}
            near = above if downwards else below
            members.sort(key=lambda name: _mean([place[n] for n in near[name]], place[name]))
    return layers


def neighbours(diagram: Diagram, back: set[Arrow]) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
    """Return what is above and what is below each box, along the arrows that lead forward."""
    above: dict[str, list[str]] = {box.id: [] for box in diagram.boxes}
    below: dict[str, list[str]] = {box.id: [] for box in diagram.boxes}
    for arrow in diagram.arrows:
        if arrow not in back:
            above[arrow.target].append(arrow.source)
            below[arrow.source].append(arrow.target)
    return above, below


def spread(wanted: Sequence[float], least: Sequence[float]) -> list[float]:
    """Return positions as near to the wanted ones as order and least distances allow, by least squares.

    Args:
        wanted: One position for each member, left to right.
        least: Distance between each member and the next; one fewer.

    Source: pool adjacent violators, Ayer et al. (1955).
    """
    offsets = [0.0]
    for distance in least:
        offsets.append(offsets[-1] + distance)
    blocks: list[tuple[float, int]] = []  # sum and number of members that move as one
    for position, offset in zip(wanted, offsets, strict=False):
        total, count = position - offset, 1
        while blocks and blocks[-1][0] / blocks[-1][1] > total / count:
            before, members = blocks.pop()
            total, count = total + before, count + members
        blocks.append((total, count))
    level = [total / count for total, count in blocks for _ in range(count)]
    return [base + offset for base, offset in zip(level, offsets, strict=False)]


def _mean(values: Iterable[float], otherwise: float) -> float:
    values = list(values)
    return sum(values) / len(values) if values else otherwise
