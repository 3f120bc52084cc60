"""Steps in full: what each agent was given, what it called, what it decided and what came of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from orchestra.reporting.course import Course
from orchestra.reporting.figures import clock, cost_of, moment_of
from orchestra.reporting.markup import Markup, joined, line, tag
from orchestra.reporting.prose import plain
from orchestra.reporting.signs import sign, words
from orchestra.reporting.timeline import rows_of
from orchestra.tracing import Call, Span
from orchestra.tracing.telling import failed_calls
from orchestra.view.figures import counted, duration, money

MOST_STEPS = 1_500
"""Told in full, over all turns."""
_MOST_CALLS = 200
_COUNTS = frozenset({"messages", "characters", "count", "tools", "turns", "parts"})
"""Sizes that are not in characters."""
_MOST_PARTS = 60
"""Lines of what an agent was given."""


def place_names(courses: Sequence[Course]) -> dict[int, str]:
    """Return the name of the place where each step is told, by `id()` of the step; of the first so many steps."""
    spans = [row.span for course in courses for row in rows_of(course.turn.spans)]
    return {id(span): f"s{number}" for number, span in enumerate(spans[:MOST_STEPS], 1)}


def steps(courses: Sequence[Course], names: Mapping[int, str]) -> Markup:
    """Return all steps, each folded."""
    found = []
    for course in courses:
        if len(courses) > 1:
            found.append(tag("h3", f"Turn {course.turn.number}"))
        found += [_step(row.span, names[id(row.span)]) for row in rows_of(course.turn.spans) if id(row.span) in names]
    left = sum(1 for course in courses for _ in course.turn.below()) - len(names)
    note = tag("p", f"{counted(left, 'more step')} not told here.", cls="none") if left > 0 else ""
    return joined(*found, note)


def _step(span: Span, name: str) -> Markup:
    parts = [words(span.status)] if span.status != "ok" else []
    parts += [duration(span.seconds)] if span.seconds is not None else []
    parts += [f"{span.tokens:,} tokens"] if span.model_calls else []
    summary = tag("summary", sign(span.status), tag("bdi", line(span.name, 80)), " ", _note(" · ".join(parts)))
    content = joined(*filter(None, (_about(span), _failure(span), _given(span.given), _calls(span), _output(span))))
    return tag("details", summary, tag("div", content, id=name, tabindex=-1, cls="inside"), cls="step")


def _note(text: str) -> Markup:
    return tag("span", text, cls="note") if text else Markup()


def _about(span: Span) -> Markup:
    facts = {
        "Began": joined(moment_of(span.started), f", ended {clock(span.ended)}" if span.ended is not None else ""),
        "Given by": tag("bdi", line(span.sender, 80)),
        "Works for": tag("bdi", line(span.parent, 80)),
        "Answered by": tag("bdi", line(span.model, 80)),
        "Version": tag("bdi", line(span.version, 40)) if span.version not in ("", "1") else "",
        "Failed calls": f"{failed:,}" if (failed := failed_calls(span)) else "",
        "Tries": f"{span.tries}: it was taken up again" if span.tries > 1 else "",
        "Cost": cost_of(span.calls) if span.model_calls else "",
        "From the cache": counted(span.cached, "call") if span.cached else "",
    }
    listed = [joined(tag("dt", key), tag("dd", value)) for key, value in facts.items() if _holds(value)]
    task = joined(tag("h4", "Task"), plain(span.task, label="task")) if span.task.strip() else ""
    return joined(tag("dl", *listed, cls="facts"), task)


def _holds(value: str) -> bool:
    return bool(value) and value != "<bdi></bdi>"


def _failure(span: Span) -> Markup:
    if not span.error:
        return Markup()
    kind, message = str(span.error.get("type", "")), str(span.error.get("message", ""))
    again = "" if span.error.get("retryable") is None else "; may pass" if span.error["retryable"] else "; lasts"
    return joined(tag("h4", "Error"), tag("p", tag("strong", kind), again, cls="bad"), plain(message, label="message"))


def _given(given: Mapping[str, Any]) -> Markup:
    lines = list(_parts(given))
    if not lines:
        return Markup()
    items = [tag("li", tag("bdi", name), " ", _note(size)) for name, size in lines[:_MOST_PARTS]]
    if len(lines) > _MOST_PARTS:
        items.append(tag("li", counted(len(lines) - _MOST_PARTS, "more part")))
    return joined(tag("h4", "What it was given"), tag("ul", *items, cls="given"))


def _parts(given: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, str]]:
    """Yield names of what was given, and sizes where they are known."""
    for key, value in given.items():
        name = line(f"{before}{key}", 120)
        if isinstance(value, Mapping):
            if value:
                yield from _parts(value, f"{name}: ")
        elif isinstance(value, list | tuple):
            if value:
                yield name, line(", ".join(_named(one) for one in value), 400)
        elif isinstance(value, bool) or value is None or isinstance(value, str):
            yield name, "" if value is None else line(str(value), 200)
        elif value:
            yield name, counted(value, "character") if isinstance(value, int) and key not in _COUNTS else f"{value:,}"


def _named(value: Any) -> str:
    if isinstance(value, Mapping):
        return " ".join(str(part) for part in value.values() if part not in (None, ""))
    return str(value)


def _calls(span: Span) -> Markup:
    if not span.calls:
        return Markup()
    left = len(span.calls) - _MOST_CALLS
    note = tag("li", f"{counted(left, 'earlier call')} not shown.", cls="none") if left > 0 else ""
    return joined(tag("h4", "Calls"), tag("ol", note, *map(_call, span.calls[-_MOST_CALLS:]), cls="calls"))


def _call(call: Call) -> Markup:
    told = [clock(call.at), "from the cache" if call.cached else duration(call.seconds)]
    if call.kind == "model" and not call.cached and (call.input_tokens or not call.error):
        told += [f"{call.input_tokens:,} tokens in, {call.output_tokens:,} out", money(call.usd)]
    for key, said in (("tools", "asked for"), ("arguments", "arguments")):
        value = call.detail.get(key)
        if isinstance(value, list) and value:
            told.append(f"{said} {', '.join(map(str, value))}")
    if isinstance(size := call.detail.get("characters"), int):
        told.append(counted(size, "character"))
    name = joined(tag("b", call.kind), " ", tag("bdi", line(call.name, 80)), " ")
    failed = tag("span", f"✗ {line(call.error, 100)} ", cls="bad") if call.error else ""
    return tag("li", name, failed, _note(line(" · ".join(told), 400)))


def _output(span: Span) -> Markup:
    if not span.output.strip():
        return Markup()
    return joined(tag("h4", "Output"), plain(span.output, label="output"))
