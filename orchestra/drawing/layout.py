"""Where everything goes: boxes in layers, arrows as lines that run straight down, across and up.

One layout for every kind of drawing; `Metrics` says how large things are, in pixels or in characters.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from statistics import fmean

from orchestra.drawing.diagram import Arrow, Box, Diagram
from orchestra.drawing.layers import backward, layer_of, neighbours, ordered, spread
from orchestra.drawing.tracks import Bundle, assign_tracks

_PASSES = 8
"""Passes in which boxes move over and under their neighbours."""

Point = tuple[float, float]


@dataclass(frozen=True)
class Metrics:
    """Sizes, all in the same unit."""

    character: float
    box_padding: float
    """Left and right of a label."""
    box_height: float
    end_height: float
    """Of the boxes for start and end."""
    team_padding: float
    """Left and right of what is inside of a team's box."""
    team_title: float
    """Above what is inside of a team's box."""
    team_floor: float
    """Below what is inside of a team's box."""
    beside: float
    """Between boxes of a layer, and between a box and a line that passes it."""
    stub: float
    """Below a box, where its question stands."""
    track: float
    """Between lines that run across."""
    head: float
    """Above a box, for the tip of the arrow."""
    grid: bool = False
    """Whether positions are whole numbers."""


@dataclass
class PlacedBox:
    """A box with its place; what is inside has places within it."""

    box: Box
    x: float
    """Centre, where arrows enter and leave."""
    y: float
    """Top edge."""
    width: float
    height: float
    inner: Layout | None = None


@dataclass
class Line:
    """An arrow as the points that it runs through, from source to target."""

    arrow: Arrow
    points: list[Point]
    back: bool


@dataclass
class Layout:
    """A whole drawing."""

    width: float
    height: float
    boxes: dict[str, PlacedBox]
    lines: list[Line] = field(default_factory=list)
    questions: dict[str, str] = field(default_factory=dict)


def lay_out(diagram: Diagram, metrics: Metrics) -> Layout:
    """Return where everything of a diagram goes."""
    return _Page(diagram, metrics).finished()


class _Page:
    """A layout in the making."""

    def __init__(self, diagram: Diagram, metrics: Metrics) -> None:
        self.diagram, self.metrics = diagram, metrics
        self.back = backward(diagram)
        self.layer = layer_of(diagram, self.back)
        self.rows = ordered(diagram, self.layer, self.back)
        self.boxes = {box.id: self._sized(box) for box in diagram.boxes}
        self.lanes: dict[tuple[str, bool], float] = {}
        """Where the lines run that pass other layers: by target, and whether they go back up."""
        self.across: dict[tuple[int, str], float] = {}
        """Where lines run across, by the gap below a layer and their bundle."""
        self.bundles: list[dict[str, Bundle]] = []

    def finished(self) -> Layout:
        self._place_boxes()
        self._place_lanes()
        self.bundles = [self._bundles(gap) for gap in range(-1, len(self.rows))]
        height = self._place_rows()
        lines = [Line(arrow, self._points(arrow), arrow in self.back) for arrow in self.diagram.arrows]
        left, right = self._shift(lines)
        return Layout(right - left, height, self.boxes, lines, self.diagram.questions)

    def _sized(self, box: Box) -> PlacedBox:
        m = self.metrics
        width = len(box.label) * m.character + 2 * m.box_padding
        height = m.end_height if box.kind in ("start", "end") else m.box_height
        inner = lay_out(box.inner, m) if box.inner else None
        if inner:
            width = max(width + 2 * m.character, inner.width + 2 * m.team_padding)
            height = inner.height + m.team_title + m.team_floor
        if m.grid:
            width += 1 - width % 2  # a middle to start from
        return PlacedBox(box, 0.0, 0.0, width, height, inner)

    def _right(self, name: str) -> float:
        """Return how far a box and its question reach to the right of its centre."""
        question = self.diagram.questions.get(name, "")
        return max(self.boxes[name].width / 2, (len(question) + 2) * self.metrics.character if question else 0.0)

    def _place_boxes(self) -> None:
        """Choose the centres: near the mean of the neighbours, above and below in turn."""
        above, below = neighbours(self.diagram, self.back)
        for number in range(_PASSES):
            downwards = number % 2 == 0
            for row in self.rows if downwards else self.rows[::-1]:
                wanted = []
                for name in row:
                    near = (above if downwards else below)[name]
                    step = -1 if downwards else 1
                    close = [n for n in near if self.layer[n] == self.layer[name] + step] or near
                    wanted.append(fmean(self.boxes[n].x for n in close) if close else self.boxes[name].x)
                least = [self._right(a) + self.boxes[b].width / 2 + self.metrics.beside for a, b in pairwise(row)]
                for name, x in zip(row, spread(wanted, least), strict=True):
                    self.boxes[name].x = x
        if self.metrics.grid:
            self._round()

    def _round(self) -> None:
        for row in self.rows:
            edge = -1e9
            for name in row:
                box = self.boxes[name]
                least = edge + self.metrics.beside + (box.width - 1) / 2
                box.x = float(round(max(box.x, least)))
                edge = box.x + max((box.width - 1) / 2, self._right(name))

    def _place_lanes(self) -> None:
        """Find a place to pass for the lines that skip layers: right of all they pass, and left for those going back."""
        spans: dict[tuple[str, bool], tuple[int, int]] = {}
        for arrow in self.diagram.arrows:
            first, last = self.layer[arrow.source] + 1, self.layer[arrow.target] - 1
            back = arrow in self.back
            if back:
                first, last = self.layer[arrow.target], self.layer[arrow.source]
            if first <= last:
                before = spans.get((arrow.target, back), (first, last))
                spans[arrow.target, back] = (min(first, before[0]), max(last, before[1]))
        edges = {True: [self._edge(row, -1) for row in self.rows], False: [self._edge(row, 1) for row in self.rows]}
        for (target, back), (first, last) in sorted(spans.items(), key=lambda item: (item[1][1] - item[1][0], item[0])):
            passed, sign = edges[back][first : last + 1], -1 if back else 1
            x = max(sign * edge for edge in passed) * sign + sign * self.metrics.beside
            self.lanes[target, back] = x
            for index in range(first, last + 1):
                edges[back][index] = x

    def _edge(self, row: list[str], sign: int) -> float:
        if sign < 0:
            return min(self.boxes[name].x - self.boxes[name].width / 2 for name in row)
        return max(self.boxes[name].x + self._right(name) for name in row)

    def _bundles(self, gap: int) -> dict[str, Bundle]:
        """Return the lines that run across below a layer, bundled by where they come from or where they lead to."""
        links: list[tuple[str, str, Bundle]] = []
        for arrow in self.diagram.arrows:
            links += self._links(arrow, gap)
        single = {source for source, _, _ in links if source and sum(1 for other in links if other[0] == source) == 1}
        bundles: dict[str, Bundle] = {}
        for source, target, link in links:
            name = f">{target}" if target and (not source or source in single) else f"<{source}"
            bundles.setdefault(name, Bundle()).add(link)
        return bundles

    def _links(self, arrow: Arrow, gap: int) -> list[tuple[str, str, Bundle]]:
        """Return what of an arrow is in a gap, as `(source, target, ends)`; source or target is empty for a lane."""
        source, target = self.boxes[arrow.source].x, self.boxes[arrow.target].x
        leaves, enters = self.layer[arrow.source] == gap, self.layer[arrow.target] == gap + 1
        back, lane = arrow in self.back, self._lane(arrow)
        links = []
        if leaves and enters and lane is None:
            return [(arrow.source, arrow.target, Bundle({source}, {target}))]
        if leaves and lane is not None:
            links.append((arrow.source, "", Bundle({source, lane}, set()) if back else Bundle({source}, {lane})))
        if enters and lane is not None:
            links.append(("", arrow.target, Bundle(set(), {lane, target}) if back else Bundle({lane}, {target})))
        return links

    def _lane(self, arrow: Arrow) -> float | None:
        """Return where an arrow passes other layers, or None if it passes none."""
        back = arrow in self.back
        if not back and self.layer[arrow.target] - self.layer[arrow.source] == 1:
            return None
        return self.lanes[arrow.target, back]

    def _place_rows(self) -> float:
        """Choose the heights, from the top; return the height of all."""
        m, y = self.metrics, 0.0
        for gap, bundles in enumerate(self.bundles, -1):
            row = self.rows[gap] if gap >= 0 else []
            tallest = max((self.boxes[name].height for name in row), default=0.0)
            for name in row:
                spare = (tallest - self.boxes[name].height) / 2
                self.boxes[name].y = y + (float(int(spare)) if m.grid else spare)
            y += tallest
            tracks = assign_tracks(bundles, apart=m.beside / 2)
            asked = any(name in self.diagram.questions for name in row)
            y += m.stub if asked or (tracks and not m.grid) else 0.0
            for name, track in tracks.items():
                self.across[gap, name] = y + track * m.track
            y += (max(tracks.values()) + 1) * m.track if tracks else 0.0
            if bundles and gap + 1 < len(self.rows):
                y += m.head
        return y

    def _points(self, arrow: Arrow) -> list[Point]:
        source, target = self.boxes[arrow.source], self.boxes[arrow.target]
        lane = self._lane(arrow)
        out, into = self.layer[arrow.source], self.layer[arrow.target] - 1
        points: list[Point] = [(source.x, source.y + source.height)]
        if lane is None:
            points += self._crossing(out, arrow, source.x, target.x)
        else:
            points += self._crossing(out, arrow, source.x, lane, target=False)
            points += self._crossing(into, arrow, lane, target.x, source=False)
        points.append((target.x, target.y))
        return [point for index, point in enumerate(points) if index == 0 or point != points[index - 1]]

    def _crossing(
        self, gap: int, arrow: Arrow, start: float, end: float, *, source: bool = True, target: bool = True
    ) -> list[Point]:
        if start == end:
            return []
        names = [f"<{arrow.source}"] * source + [f">{arrow.target}"] * target
        found = (self.across[gap, name] for name in names if self._holds(gap, name, start, end))
        y = next(found)
        return [(start, y), (end, y)]

    def _holds(self, gap: int, name: str, start: float, end: float) -> bool:
        bundle = self.bundles[gap + 1].get(name)
        return bundle is not None and {start, end} <= bundle.ends and (gap, name) in self.across

    def _shift(self, lines: list[Line]) -> tuple[float, float]:
        """Move everything so that it begins at 0, and return the left and right edge before."""
        rights = [box.x + self._right(name) for name, box in self.boxes.items()]
        lefts = [box.x - box.width / 2 for box in self.boxes.values()]
        left = min([*lefts, *(x for x in self.lanes.values())])
        right = max([*rights, *(x for x in self.lanes.values())])
        if self.metrics.grid:
            left, right = float(int(left - 0.5)), float(int(right + 1.5))
        for box in self.boxes.values():
            box.x -= left
        for line in lines:
            line.points = [(x - left, y) for x, y in line.points]
        return left, right
