"""Draw a diagram as SVG: one file without scripts, fonts or anything else to load."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from itertools import pairwise

from orchestra.drawing.diagram import Diagram
from orchestra.drawing.layout import Layout, Line, Metrics, PlacedBox, Point, lay_out

METRICS = Metrics(
    character=7.6,
    box_padding=16,
    box_height=36,
    end_height=24,
    team_padding=18,
    team_title=34,
    team_floor=16,
    beside=22,
    stub=20,
    track=14,
    head=20,
)

_MARGIN = 16
_RADIUS = 7.0
"""Of the bends."""
_STYLE = """
.paper { fill: #ffffff }
.line { fill: none; stroke: #5b6472; stroke-width: 1.4 }
.dashed { stroke-dasharray: 5 4 }
.tip { fill: #5b6472 }
.agent { fill: #e8f0fe; stroke: #3b6fc9; stroke-width: 1.4 }
.code { fill: #f6f7f9; stroke: #9aa3b2; stroke-width: 1.2 }
.team { fill: #fbfaf5; stroke: #b59b4a; stroke-width: 1.4 }
.start, .end { fill: #5b6472; stroke: none }
text { font: 13px ui-sans-serif, system-ui, "Segoe UI", Helvetica, Arial, sans-serif; fill: #1d2430 }
.agent-name { font-weight: 600 }
.team-name { font-weight: 600; fill: #7a6420 }
.start-name, .end-name { fill: #ffffff; font-size: 12px }
.question { font-style: italic; font-size: 12px; fill: #5b6472 }
"""


def draw_svg(diagram: Diagram, *, title: str = "") -> str:
    """Return the diagram as an SVG document: agents blue, teams yellow, code grey, decisions dashed.

    Args:
        diagram: What is drawn.
        title: Read out by screen readers.
    """
    layout = lay_out(diagram, METRICS)
    width, height = round(layout.width + 2 * _MARGIN), round(layout.height + 2 * _MARGIN)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" '
        f'role="img" aria-label="{escape(title or "graph")}">',
        f"<style>{_STYLE}</style>",
        f'<rect class="paper" width="{width}" height="{height}" rx="8"/>',
        *_content(layout, _MARGIN, _MARGIN),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _content(layout: Layout, left: float, top: float) -> list[str]:
    parts = []
    drawn: list[Line] = []
    for line in sorted(layout.lines, key=lambda each: each.arrow.dashed):  # where they share a way, it is solid
        parts.append(_line(line, drawn, left, top))
        drawn.append(line)
    tips = {line.points[-1] for line in layout.lines}
    parts += [_tip(left + x, top + y, down=True) for x, y in sorted(tips)]
    rises = {
        ((x, (low + high) / 2)) for line in layout.lines if line.back for (x, low), (_, high) in [line.points[2:4]]
    }
    parts += [_tip(left + x, top + y, down=False) for x, y in sorted(rises)]
    for name, placed in layout.boxes.items():
        parts += _box(placed, left, top)
        if question := layout.questions.get(name):
            x, y = left + placed.x + 8, top + placed.y + placed.height + 14
            parts.append(f'<text class="question" x="{x:.1f}" y="{y:.1f}">{escape(question)}</text>')
    return parts


def _box(placed: PlacedBox, left: float, top: float) -> list[str]:
    box, x, y = placed.box, left + placed.x - placed.width / 2, top + placed.y
    round_ = placed.height / 2 if box.kind in ("start", "end") else 8
    size = f'width="{placed.width:.1f}" height="{placed.height:.1f}" rx="{round_:g}"'
    note = f"<title>{escape(box.note)}</title>" if box.note else ""
    parts = [f'<g>{note}<rect class="{box.kind}" x="{x:.1f}" y="{y:.1f}" {size}/>']
    if placed.inner is None:
        middle = y + placed.height / 2 + 4.5
        parts.append(_text(f"{box.kind}-name", left + placed.x, middle, box.label))
    else:
        parts.append(_text("team-name", x + 14, y + 20, box.label, anchor="start"))
        spare = (placed.width - placed.inner.width) / 2
        parts += _content(placed.inner, x + spare, y + METRICS.team_title)
    return [*parts, "</g>"]


def _text(kind: str, x: float, y: float, text: str, *, anchor: str = "middle") -> str:
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'


def _tip(x: float, y: float, *, down: bool) -> str:
    """Return the tip of an arrow that ends at a point, or a mark that a line runs up."""
    back = -8 if down else 8
    return f'<path class="tip" d="M{x:.1f} {y:.1f}l-4 {back}h8z"/>'


def _line(line: Line, drawn: Sequence[Line], left: float, top: float) -> str:
    """Return the part of a line that no earlier one has drawn: dashes over dashes would look solid."""
    same_source = [other.points for other in drawn if other.arrow.source == line.arrow.source]
    same_target = [other.points[::-1] for other in drawn if other.arrow.target == line.arrow.target]
    length = _length(line.points)
    start = max((_shared(line.points, other) for other in same_source), default=0.0)
    end = max((_shared(line.points[::-1], other) for other in same_target), default=0.0)
    points = _between(line.points, max(0.0, start - _RADIUS), length - max(0.0, end - _RADIUS))
    kind = "line dashed" if line.arrow.dashed else "line"
    return f'<path class="{kind}" d="{_path([(left + x, top + y) for x, y in points])}"/>' if len(points) > 1 else ""


def _path(points: Sequence[Point]) -> str:
    """Return the path through points, its bends rounded."""
    (x, y), *_ = points
    parts = [f"M{x:.1f} {y:.1f}"]
    for before, here, after in zip(points, points[1:], points[2:], strict=False):
        radius = min(_RADIUS, _length([before, here]) / 2, _length([here, after]) / 2)
        (x1, y1), (x2, y2) = _towards(here, before, radius), _towards(here, after, radius)
        parts.append(f"L{x1:.1f} {y1:.1f}Q{here[0]:.1f} {here[1]:.1f} {x2:.1f} {y2:.1f}")
    x, y = points[-1]
    parts.append(f"L{x:.1f} {y:.1f}")
    return "".join(parts)


def _length(points: Sequence[Point]) -> float:
    return sum(abs(x2 - x1) + abs(y2 - y1) for (x1, y1), (x2, y2) in pairwise(points))


def _towards(start: Point, end: Point, distance: float) -> Point:
    length = _length([start, end])
    share = distance / length if length else 0.0
    return start[0] + (end[0] - start[0]) * share, start[1] + (end[1] - start[1]) * share


def _shared(first: Sequence[Point], second: Sequence[Point]) -> float:
    """Return how far two lines run together from their beginning."""
    if first[0] != second[0]:
        return 0.0
    total = 0.0
    for (here, one), (_, two) in zip(pairwise(first), pairwise(second), strict=False):
        a, b = _length([here, one]), _length([here, two])
        if _towards(here, one, min(a, b)) != _towards(here, two, min(a, b)):
            return total
        total += min(a, b)
        if a != b:
            return total
    return total


def _between(points: Sequence[Point], start: float, end: float) -> list[Point]:
    """Return the part of a line between two distances from its beginning."""
    part: list[Point] = []
    done = 0.0
    for before, after in pairwise(points):
        length = _length([before, after])
        first, last = max(start - done, 0.0), min(end - done, length)
        if first < last:
            part += [_towards(before, after, first)] if not part else []
            part.append(_towards(before, after, last))
        done += length
    return part
