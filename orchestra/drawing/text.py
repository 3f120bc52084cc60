"""Draw a diagram with characters, for terminals and for documents in plain text."""

from __future__ import annotations

from collections import defaultdict
from itertools import pairwise

from langgraph.constants import START

from orchestra.drawing.diagram import Diagram
from orchestra.drawing.layout import Layout, Line, Metrics, PlacedBox, Point, lay_out

METRICS = Metrics(
    character=1,
    box_padding=2,
    box_height=3,
    end_height=1,
    team_padding=2,
    team_title=1,
    team_floor=1,
    beside=3,
    stub=1,
    track=1,
    head=1,
    grid=True,
)

_UP, _DOWN, _LEFT, _RIGHT = 1, 2, 4, 8
_CORNERS = {
    _UP | _DOWN: "│",
    _LEFT | _RIGHT: "─",
    _UP: "│",
    _DOWN: "│",
    _LEFT: "─",
    _RIGHT: "─",
    _DOWN | _RIGHT: "┌",
    _DOWN | _LEFT: "┐",
    _UP | _RIGHT: "└",
    _UP | _LEFT: "┘",
    _UP | _DOWN | _RIGHT: "├",
    _UP | _DOWN | _LEFT: "┤",
    _DOWN | _LEFT | _RIGHT: "┬",
    _UP | _LEFT | _RIGHT: "┴",
    _UP | _DOWN | _LEFT | _RIGHT: "┼",
}
_DASHED = {"│": "┆", "─": "┄"}
_ASCII = str.maketrans("│─┌┐└┘├┤┬┴┼┆┄▼▲", "|-+++++++++:.v^")


def draw_text(diagram: Diagram, *, ascii_only: bool = False) -> str:
    """Return the diagram as lines of text, without spaces at their ends."""
    layout = lay_out(diagram, METRICS)
    canvas = _Canvas()
    canvas.draw(layout, 0, 0)
    text = canvas.text()
    return text.translate(_ASCII) if ascii_only else text


class _Canvas:
    """A grid of characters; lines that meet become corners and crossings."""

    def __init__(self) -> None:
        self.signs: dict[tuple[int, int], str] = {}
        self.arms: dict[tuple[int, int], int] = defaultdict(int)
        self.turns: set[tuple[int, int]] = set()
        self.solid: set[tuple[int, int]] = set()

    def draw(self, layout: Layout, left: int, top: int) -> None:
        for line in layout.lines:
            self._line(line, left, top)
        for name, placed in layout.boxes.items():
            self._box(placed, left, top)
            if question := layout.questions.get(name):
                self._write(left + int(placed.x) + 2, top + int(placed.y + placed.height), question)
        for line in layout.lines:
            x, y = line.points[-1]
            self.signs[left + int(x), top + int(y) - 1] = "▼"
            if line.back:
                (x, low), (_, high) = line.points[2:4]
                self.signs[left + int(x), top + int(low + high) // 2] = "▲"

    def text(self) -> str:
        for place, arms in self.arms.items():
            if place not in self.signs:
                self.signs[place] = self._sign(place, arms)
        height = max((y for _, y in self.signs), default=-1) + 1
        width = max((x for x, _ in self.signs), default=-1) + 1
        rows = ("".join(self.signs.get((x, y), " ") for x in range(width)).rstrip() for y in range(height))
        return "\n".join(rows)

    def _sign(self, place: tuple[int, int], arms: int) -> str:
        if arms == _UP | _DOWN | _LEFT | _RIGHT and place not in self.turns:
            arms = _UP | _DOWN  # two lines that have nothing to do with each other
        sign = _CORNERS[arms]
        return sign if place in self.solid else _DASHED.get(sign, sign)

    def _line(self, line: Line, left: int, top: int) -> None:
        points = [(left + int(x), top + int(y)) for x, y in line.points]
        points[-1] = (points[-1][0], points[-1][1] - 1)
        if line.arrow.source != START:
            points.insert(0, (points[0][0], points[0][1] - 1))  # the border that it leaves from
        cells = points[:1]
        for (x1, y1), (x2, y2) in pairwise(points):
            dx, dy = (x2 > x1) - (x2 < x1), (y2 > y1) - (y2 < y1)
            for step in range(1, max(abs(x2 - x1), abs(y2 - y1)) + 1):
                cells.append((x1 + dx * step, y1 + dy * step))
        for before, after in pairwise(cells):
            self._join(before, after, dashed=line.arrow.dashed)
        for before, here, after in zip(cells, cells[1:], cells[2:], strict=False):
            if (before[0] == here[0]) != (here[0] == after[0]):
                self.turns.add(here)

    def _join(self, first: tuple[int, int], second: tuple[int, int], *, dashed: bool) -> None:
        (x1, y1), (x2, y2) = first, second
        arm = {(0, 1): _DOWN, (0, -1): _UP, (1, 0): _RIGHT, (-1, 0): _LEFT}[x2 - x1, y2 - y1]
        opposite = {_DOWN: _UP, _UP: _DOWN, _RIGHT: _LEFT, _LEFT: _RIGHT}[arm]
        self.arms[first] |= arm
        self.arms[second] |= opposite
        if not dashed:
            self.solid |= {first, second}

    def _box(self, placed: PlacedBox, left: int, top: int) -> None:
        x, y = left + int(placed.x - (placed.width - 1) / 2), top + int(placed.y)
        width, height = int(placed.width), int(placed.height)
        if placed.box.kind in ("start", "end"):
            self._write(x + 2, y, placed.box.label)
            return
        right, bottom = x + width - 1, y + height - 1
        corners = [(x, y), (right, y), (right, bottom), (x, bottom), (x, y)]
        for before, after in pairwise(corners):
            self._border(before, after)
        if placed.inner is None:
            label = placed.box.label
            self._write(x + (width - len(label)) // 2, y + 1, label)
            return
        for index, sign in enumerate(f" {placed.box.label} "):
            self.signs[x + 2 + index, y] = sign  # over the border
        spare = (width - 2 - int(placed.inner.width)) // 2
        self.draw(placed.inner, x + 1 + spare, y + int(METRICS.team_title))

    def _border(self, start: Point, end: Point) -> None:
        x, y = int(start[0]), int(start[1])
        while (x, y) != end:
            dx, dy = (end[0] > x) - (end[0] < x), (end[1] > y) - (end[1] < y)
            self._join((x, y), (x + dx, y + dy), dashed=False)
            self.turns |= {(x, y)}
            x, y = x + dx, y + dy

    def _write(self, x: int, y: int, text: str) -> None:
        for index, sign in enumerate(text):
            if (x + index, y) not in self.arms:
                self.signs[x + index, y] = sign
