"""The conversation of a thread, or what its steps were told and said where its state cannot be read."""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import islice

from langchain_core.messages import AIMessage, AnyMessage, ToolMessage

from orchestra.reporting.markup import Markup, joined, line, tag
from orchestra.reporting.material import Material
from orchestra.reporting.prose import plain
from orchestra.tracing import Span, Trace
from orchestra.view.figures import counted

MOST_FIRST, MOST_LAST = 20, 180
"""Messages of a long conversation that are shown: so many at its beginning, so many at its end."""
_LONGEST = 4_000
_ROLES = {"human": "person", "ai": "agent", "system": "system", "tool": "tool"}


def conversation(material: Material) -> Markup:
    """Return what was said."""
    if material.messages is not None:
        return _messages(material.messages)
    return joined(
        tag("p", "Read from the beginnings of the texts that steps were given and gave.", cls="none"),
        *_beginnings(material.trace),
    )


def _messages(messages: Sequence[AnyMessage]) -> Markup:
    if not messages:
        return tag("p", "Nothing was said.", cls="none")
    left = len(messages) - MOST_FIRST - MOST_LAST
    if left <= 0:
        return tag("ol", *map(_message, messages), cls="talk")
    gap = tag("li", f"{counted(left, 'message')} between are not shown.", cls="none")
    first, last = messages[:MOST_FIRST], messages[-MOST_LAST:]
    return tag("ol", *map(_message, first), gap, *map(_message, last), cls="talk")


def _message(message: AnyMessage) -> Markup:
    role, name = _ROLES.get(message.type, message.type), line(message.name or "", 80)
    failed = isinstance(message, ToolMessage) and message.status == "error"
    who = joined(role, tag("span", " ", tag("bdi", name), cls="note") if name else "", " ✗ failed" if failed else "")
    calls = message.tool_calls if isinstance(message, AIMessage) else []
    asked = [
        tag("p", "asks for ", tag("code", line(call["name"], 80)), " ", _arguments(call["args"])) for call in calls
    ]
    text = plain(message.text, most=_LONGEST) if message.text.strip() or not asked else Markup()
    return tag(
        "li", tag("div", who, cls="who"), text, *asked, cls=f"from-{role if role in _ROLES.values() else 'other'}"
    )


def _arguments(args: object) -> Markup:
    text = json.dumps(args, ensure_ascii=False, default=str)
    return tag("span", tag("bdi", line(text, 300)), cls="note")


def _beginnings(trace: Trace) -> list[Markup]:
    found = []
    for turn in trace.turns:
        items = [_said("person", "", turn.task)] if turn.task.strip() else []
        items += [_said("agent", span.name, span.output) for span in _speaking(turn.spans)]
        found.append(tag("ol", *items, cls="talk"))
    return found


def _speaking(spans: list[Span]) -> list[Span]:
    return list(islice((span for span in spans if span.output.strip()), MOST_FIRST + MOST_LAST))


def _said(role: str, name: str, text: str) -> Markup:
    who = joined(role, tag("span", " ", tag("bdi", line(name, 80)), cls="note") if name else "")
    return tag("li", tag("div", who, cls="who"), plain(text, most=_LONGEST), cls=f"from-{role}")
