"""The timeline of a turn: a row for each step, nested as the tree of agents, with what it did when as a drawing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from orchestra.reporting.course import Course, waited
from orchestra.reporting.figures import clock, moment_of
from orchestra.reporting.markup import Markup, joined, line, tag
from orchestra.reporting.scale import Piece, Scale
from orchestra.reporting.signs import sign, tone, words
from orchestra.tracing import Call, Decision, Span
from orchestra.view.figures import counted, duration, money

MOST_ROWS = 1_500
"""Steps of a turn that are drawn."""
_DEEPEST = 8
"""Levels that are set in; deeper ones stand like these."""
_THINNEST = 0.3
"""Percent of the width that a segment has at least, so that it is seen."""
_CHARACTER = 1.05
"""Percent of the width that a character of the axis takes, roughly."""
_MARKED = frozenset(
    {"approve", "reject", "edit", "respond", "deny", "refuse", "fallback", "handoff", "repair", "guided", "reassign"}
    | {"breaker_opened", "effect_in_doubt"}
)
"""Decisions that the drawing shows."""
LEGEND = {
    "model": "model call",
    "tool": "tool call",
    "failed": "failed call",
    "queue": "held back by a limit",
    "person": "waits for a person",
    "stopped": "not running",
    "mark": "decision",
}


@dataclass(frozen=True)
class Row:
    """A step and its place in the tree."""

    span: Span
    depth: int


def rows_of(spans: list[Span]) -> Iterator[Row]:
    """Yield the steps below some, parents first; to any depth without recursion."""
    waiting = [Row(span, 0) for span in reversed(spans)]
    while waiting:
        row = waiting.pop()
        yield row
        waiting.extend(Row(child, row.depth + 1) for child in reversed(row.span.children))


def timeline(course: Course, names: Mapping[int, str]) -> Markup:
    """Return a turn as a table with a drawing in each row.

    Args:
        course: Of the turn.
        names: Of the places on the page where each step is told in full, by `id()` of the step.
    """
    rows = list(rows_of(course.turn.spans))
    scale = Scale(course.busy())
    grid = f"g{course.turn.number}"
    head = tag(
        "tr",
        tag("th", "Step", scope="col"),
        tag("th", tag("span", "Timeline", cls="unseen"), _axis(scale, course), scope="col", cls="chart"),
        *(tag("th", name, scope="col", cls=kind) for name, kind in (("Time", "n"), ("Tokens", "n w"), ("Cost", "n w"))),
    )
    body = [_row(row, course, scale, grid, names) for row in rows[:MOST_ROWS]]
    left = len(rows) - MOST_ROWS
    note = tag("p", f"{counted(left, 'more step')} not shown here.", cls="none") if left > 0 else ""
    caption = tag("caption", f"Steps of turn {course.turn.number}, with what each did when", cls="unseen")
    table = tag("table", caption, tag("thead", head), tag("tbody", *body), cls="timeline")
    return joined(_grid(scale, grid), tag("div", table, cls="wide"), note)


def legend() -> Markup:
    """Return what the colours and patterns of the drawing mean."""
    entries = []
    for kind, meaning in LEGEND.items():
        key = _mark_shape(6) if kind == "mark" else _rect(kind, 0, 100, y=4, height=10)
        swatch = tag("svg", key, width=18 if kind != "mark" else 12, height=18, aria_hidden="true")
        entries.append(tag("li", swatch, meaning))
    return tag("ul", *entries, cls="legend")


def patterns() -> Markup:
    """Return the hatchings that the drawings of a page share."""

    def hatched(name: str, size: int, *shapes: Markup, turned: int = 0) -> Markup:
        turn = f"rotate({turned})" if turned else None
        given = {"patternUnits": "userSpaceOnUse", "patternTransform": turn}
        return tag("pattern", *shapes, id=name, width=size, height=size, **given)

    defs = tag(
        "defs",
        hatched("h-person", 6, _fill("person-ground", 6), _fill("person-line", 6, width=2), turned=45),
        hatched("h-stopped", 5, _fill("stopped-line", 5, width=1), turned=135),
        hatched("h-queue", 4, _fill("queue-line", 2, width=2)),
        hatched("h-failed", 4, _fill("failed-ground", 4), _fill("failed-line", 4, width=1.4), turned=45),
    )
    return tag("svg", defs, width=0, height=0, cls="defs", aria_hidden="true")


def _fill(kind: str, size: float, *, width: float | None = None) -> Markup:
    return tag("rect", cls=kind, width=size if width is None else width, height=size)


def _row(row: Row, course: Course, scale: Scale, grid: str, names: Mapping[int, str]) -> Markup:
    span, depth = row.span, min(row.depth, _DEEPEST)
    used = span.total() if span.children else span.usage()
    called = bool(used["model_calls"])
    label = tag("a", line(span.name, 80), href=f"#{names[id(span)]}") if id(span) in names else line(span.name, 80)
    about = [f"{span.tries} tries"] if span.tries > 1 else []
    about += [words(span.status)] if span.status != "ok" else []
    about += [line(span.task, 90)] if not span.step.startswith(span.agent) and span.task else []
    note = tag("span", " · ".join(about), cls="note") if about else ""
    seconds = duration(span.seconds) if span.seconds is not None else duration(_open(span, course))
    return tag(
        "tr",
        tag("th", tag("div", sign(span.status), label, " ", note, cls=f"d{depth}"), scope="row"),
        tag("td", _drawing(row, course, scale, grid), cls="chart"),
        tag("td", seconds if span.seconds is not None or span.status == "running" else "–", cls="n"),
        tag("td", f"{used['input_tokens'] + used['output_tokens']:,}" if called else "–", cls="n w"),
        tag("td", money(used["usd"]) if called else "–", cls="n w"),
        cls="team" if span.children else None,
        data_depth=row.depth,
    )


def _open(span: Span, course: Course) -> float:
    return sum(end - start for start, end in course.worked(span))


def _drawing(row: Row, course: Course, scale: Scale, grid: str) -> Markup:
    span = row.span
    left, right = scale.at(span.started), scale.at(course.end_of(span))
    thin = bool(span.children)
    shapes = [_rect(f"span {tone(span.status)}", left, right, y=8 if thin else 5, height=4 if thin else 10)]
    for pause in course.pauses_of(span):
        what = "waited for a person" if pause.why == "person" else "no process ran it"
        shapes.append(
            _segment(pause.why, scale, pause.start, pause.end, f"{what}, {duration(pause.end - pause.start)}")
        )
    for decision in span.decisions:
        if held := waited(decision):
            shapes.append(_segment("queue", scale, decision.at, decision.at + held, f"held back, {duration(held)}"))
    for call in span.calls:
        kind = "failed" if call.error else call.kind
        start = max(span.started, call.at - call.seconds)
        shapes.append(_segment(kind, scale, start, call.at, describe_call(call)))
    shapes += [_mark(decision, scale) for decision in span.decisions if decision.kind in _MARKED]
    title = tag("title", f"{line(span.name, 80)}: {words(span.status)}, from {clock(span.started)} UTC")
    desc = tag("desc", _described(span, course))
    return tag("svg", title, desc, tag("use", href=f"#{grid}"), *shapes, cls="bar", role="img", width="100%", height=20)


def describe_call(call: Call) -> str:
    """Return a call in one line."""
    parts = [line(call.name, 60) or call.kind, "from the cache" if call.cached else duration(call.seconds)]
    if call.kind == "model" and not call.cached:
        parts.append(f"{call.input_tokens:,} tokens in, {call.output_tokens:,} out")
    return ", ".join([*parts, *([line(call.error, 60)] if call.error else [])])


def _described(span: Span, course: Course) -> str:
    parts = []
    for kind in ("model", "tool"):
        calls = [call for call in span.calls if call.kind == kind]
        if calls:
            parts.append(f"{counted(len(calls), f'{kind} call')}, {duration(sum(call.seconds for call in calls))}")
    pauses = list(course.pauses_of(span))
    if pauses:
        parts.append(f"{counted(len(pauses), 'pause')}, {duration(sum(one.end - one.start for one in pauses))}")
    return "; ".join(parts) or "no calls"


def _rect(kind: str, left: float, right: float, *, y: int, height: int, title: str = "") -> Markup:
    width = max(right - left, _THINNEST)
    left = max(0.0, min(left, 100.0 - width))
    inner = [tag("title", title)] if title else []
    return tag("rect", *inner, cls=kind, x=f"{left:.2f}%", y=y, width=f"{width:.2f}%", height=height, rx=1.5)


def _segment(kind: str, scale: Scale, start: float, end: float, title: str) -> Markup:
    return _rect(kind, scale.at(start), scale.at(end), y=5, height=10, title=title)


def _mark(decision: Decision, scale: Scale) -> Markup:
    what = ": ".join(filter(None, (decision.kind.replace("_", " "), line(decision.subject, 60))))
    return tag("svg", tag("title", what), _mark_shape(), x=f"{scale.at(decision.at):.2f}%", overflow="visible")


def _mark_shape(x: int = 0) -> Markup:
    return tag("path", cls="mark", d=f"M{x} 5.5l4.5 4.5l-4.5 4.5l-4.5 -4.5z")


def _grid(scale: Scale, name: str) -> Markup:
    """Return the lines that every drawing of a turn has behind it."""
    lines = [tag("line", x1=f"{tick.x:.2f}%", x2=f"{tick.x:.2f}%", y1=0, y2="100%") for tick in scale.ticks()]
    folds = [
        tag("rect", cls="fold", x=f"{fold.left:.2f}%", width=f"{fold.width:.2f}%", y=0, height="100%")
        for fold in scale.folds
    ]
    drawn = tag("defs", tag("symbol", *folds, *lines, id=name))
    return tag("svg", drawn, width=0, height=0, cls="defs", aria_hidden="true")


def _axis(scale: Scale, course: Course) -> Markup:
    """Return what is written above the drawings: times of day where work begins, what passed since then, and folds."""
    labels = [(tick.x, f"+{_short(tick.after)}" if tick.after else clock(tick.at)) for tick in scale.ticks()]
    shown = [_label(x, text, 23) for x, text in _apart(labels)]
    shown += [_label(x, text, 9) for x, text in _apart([(fold.left, _folded(fold, course)) for fold in scale.folds])]
    return tag("svg", *shown, cls="axis", width="100%", height=28, aria_hidden="true")


def _label(x: float, text: str, y: int) -> Markup:
    """Return a label that stays on the page. On a phone only the first one is shown."""
    kind = f"tick{' minor' if '+' in text or x > 0 else ''}{' folded' if y < 10 else ''}"
    at_end = x + len(text) * _CHARACTER > 100
    return tag("text", text, x=f"{100 if at_end else x:.2f}%", y=y, cls=kind, text_anchor="end" if at_end else None)


def _apart(labels: list[tuple[float, str]]) -> Iterator[tuple[float, str]]:
    """Yield the labels that there is room for, times of day before what passed since; none twice in a row."""
    taken: list[tuple[float, float]] = []
    before = ""
    for x, text in sorted(labels, key=lambda label: ("+" in label[1], label[0])):
        width = len(text) * _CHARACTER + 1.5
        left = min(x, 100 - width)
        if any(left < end and start < left + width for start, end in taken) or text == before:
            continue
        before = "" if "+" in text else text
        taken.append((left, left + width))
        yield x, text


def _folded(fold: Piece, course: Course) -> str:
    """Return what a fold stands for."""
    waits = any(one.why == "person" and one.start < fold.end and fold.start < one.end for one in course.pauses)
    return f"{duration(fold.end - fold.start)}{' for a person' if waits else ''}"


def _short(seconds: float) -> str:
    """Return a round distance on the axis."""
    return duration(seconds) if seconds >= 60 or seconds < 0.1 else f"{seconds:g} s"


def when(course: Course) -> Markup:
    """Return when a turn began and ended."""
    return joined(moment_of(course.start), " to ", moment_of(course.end))
