"""Put the boxes of a diagram into layers, and those of a layer into an order with few crossings.

Source: Sugiyama, Tagawa and Toda, "Methods for visual understanding of hierarchical system structures" (1981).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from orchestra.drawing.diagram import Arrow, Diagram

_SWEEPS = 6
"""Passes down and up in which layers are put in order; more change nothing on graphs of this size."""


def backward(diagram: Diagram) -> set[Arrow]:
    """Return the arrows that lead back to where the run has been: without them there is no cycle."""
    follow: dict[str, list[Arrow]] = {box.id: [] for box in diagram.boxes}
    for arrow in diagram.arrows:
        follow[arrow.source].append(arrow)
    back: set[Arrow] = set()
    done: set[str] = set()
    for box in diagram.boxes:
        path: list[tuple[str, int]] = [(box.id, 0)] if box.id not in done else []
        open_: set[str] = {box.id} if path else set()
        while path:
            node, index = path.pop()
            if index == len(follow[node]):
                done.add(node)
                open_.discard(node)
                continue
            path.append((node, index + 1))
            arrow = follow[node][index]
            if arrow.target in open_:
                back.add(arrow)
            elif arrow.target not in done:
                path.append((arrow.target, 0))
                open_.add(arrow.target)
    return back


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
