"""The top of a report: what was asked, how it stands, what it took, what people have to do, and what came of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from nodes.models import ENGINE_NOTICE
from orchestra.inbox import OpenRequest
from orchestra.reporting.course import Course
from orchestra.reporting.figures import cost_of, date, moment_of
from orchestra.reporting.markup import Markup, joined, line, tag
from orchestra.reporting.material import Material
from orchestra.reporting.prose import FOLDED_ABOVE, laid_out, plain
from orchestra.reporting.signs import badge, words
from orchestra.tracing import Span
from orchestra.view.ending import answering, command
from orchestra.view.figures import counted, duration, money

MOST_ERRORS = 100
_TITLE = 140
"""Characters of the task that are the heading."""


def heading(material: Material, courses: Sequence[Course]) -> Markup:
    """Return task, status, and the figures of the thread."""
    trace = material.trace
    title = line(trace.task, _TITLE) or line(trace.thread, _TITLE)
    kind = line(trace.graph, 60) or "graph"
    over = tag("p", "Report", tag("span", " · ", tag("bdi", kind)), cls="over")
    reason = tag("span", tag("bdi", line(material.reason, 600)), cls="reason") if material.reason else ""
    state = tag("p", badge(material.status), " ", reason, cls="state")
    long = tag("section", plain(trace.task, label="task"), cls="task") if len(trace.task.strip()) > _TITLE else ""
    return tag("header", over, tag("h1", tag("bdi", title)), state, _figures(material, courses), _facts(material), long)


def _figures(material: Material, courses: Sequence[Course]) -> Markup:
    trace, used = material.trace, material.trace.usage
    calls = [call for span in trace.spans() for call in span.calls]
    at_work = sum(course.end - course.start - sum(one.end - one.start for one in course.pauses) for course in courses)
    told = {
        "Time at work": duration(at_work),
        "Cost": cost_of(calls) if used["model_calls"] else "none",
        "Tokens": f"{used['input_tokens'] + used['output_tokens']:,}",
        "Model calls": f"{used['model_calls']:,}",
        "Tool calls": f"{used['tool_calls']:,}",
        "Steps": f"{sum(1 for _ in trace.spans()):,}",
    }
    return tag("dl", *(tag("div", tag("dt", name), tag("dd", value)) for name, value in told.items()), cls="figures")


def _facts(material: Material) -> Markup:
    trace = material.trace
    used = trace.usage
    facts = {
        "Thread": tag("code", tag("bdi", line(trace.thread, 200))),
        "Model": tag("bdi", line(material.model, 120)) if material.model else "",
        "Began": moment_of(trace.created) if trace.created else "",
        "Last used": moment_of(trace.updated) if trace.updated else "",
        "As of": moment_of(material.as_of),
        "Turns": f"{len(trace.turns):,}",
        "Tokens": f"{used['input_tokens']:,} in, {used['output_tokens']:,} out" if used["model_calls"] else "",
        "Budget": budget_line(material),
    }
    listed = [tag("div", tag("dt", name), tag("dd", value)) for name, value in facts.items() if value]
    return tag("dl", *listed, cls="meta")


def budget_line(material: Material) -> str:
    """Return the limits of a run, and what the last one left of them where that was recorded."""
    if material.budget is None:
        return ""
    limits = {name: value for name, value in material.budget if value is not None}
    runs = material.trace.turns[-1].runs if material.trace.turns else []
    known = [material.trace.budget_left[run] for run in runs if run in material.trace.budget_left]
    left = known[-1] if known else {}
    parts = [f"{_amount(name, value)}{_left(name, left)}" for name, value in limits.items()]
    return ", ".join(parts)


def _left(name: str, left: Mapping[str, object]) -> str:
    value = left.get(name)
    return f" ({_amount(name, value, bare=True)} left)" if isinstance(value, int | float) else ""


def _amount(name: str, value: float, *, bare: bool = False) -> str:
    if name == "usd":
        return money(value)
    if name == "seconds":
        return duration(value)
    return f"{value:,.0f}" if bare else counted(round(value), name.replace("_", " ").removesuffix("s"))


def questions(material: Material) -> Markup:
    """Return what people have to decide, with the commands that do, or the command that goes on."""
    thread, several = material.trace.thread, len(material.requests) > 1
    asked = []
    for request in material.requests:
        who = line(request.agent or request.step or request.graph, 80)
        name = joined(tag("code", request.id[:8]), f", asked by {who}" if who else "", ", ", moment_of(request.asked))
        commands = "\n".join(_answers(material, request, several=several))
        until = ""
        if request.expires is not None:
            over = "Its time ran out" if material.as_of >= request.expires else "If nobody answers"
            until = tag("p", f"{over} ({date(request.expires)}): {line(request.default, 200) or 'it expires'}.")
        told = [_action(action.name, action.args, request.description) for action in request.actions]
        text = plain(request.description, label="question")
        asked.append(tag("article", tag("p", name, cls="note"), text, *told, until, tag("pre", tag("code", commands))))
    if asked:
        return joined(*asked)
    again = command("resume", thread, material.options) if material.options is not None else _called("resume", thread)
    return joined(tag("p", "It was interrupted. Nothing is lost; go on with:"), tag("pre", tag("code", again)))


def _answers(material: Material, request: OpenRequest, *, several: bool) -> list[str]:
    thread = material.trace.thread
    if material.options is not None:
        return answering(request, thread, material.options, several=several)
    given = {"reject": ", message=...", "respond": ", message=...", "edit": ", args={...}"}
    return [
        _called("answer", thread, kind, f'{given.get(kind, "")}, request="{request.id[:8]}"')
        for kind in request.allowed
    ]


def _called(verb: str, thread: str, kind: str = "", more: str = "") -> str:
    """Return a call, for a thread that only the program which started it can go on with."""
    decision = f", {kind!r}" if kind else ""
    return f"orchestra.{verb}(graph, persistence, {thread!r}{decision}{more})"


def _action(name: str, args: Mapping[str, object], told: str) -> Markup:
    new = [(key, str(value)) for key, value in args.items() if str(value) not in told]
    if not new:
        return Markup()
    listed = [joined(tag("dt", tag("bdi", line(key, 80))), tag("dd", plain(value, most=4_000))) for key, value in new]
    return joined(tag("h4", tag("bdi", line(name, 80))), tag("dl", *listed, cls="facts"))


def answer(material: Material) -> Markup:
    """Return the answer of the last turn."""
    if not material.answer.strip():
        none = {"running": "It is still running.", "waiting": "It waits for a person."}
        return tag("p", none.get(material.status, "There is none."), cls="none")
    notice = tag("p", ENGINE_NOTICE, cls="none") if material.by_engine else ""
    text = laid_out(material.answer)
    if len(material.answer) <= 6 * FOLDED_ABOVE:
        return joined(notice, text)
    size = tag("span", f"{len(material.answer):,} characters", cls="note")
    return joined(notice, tag("details", tag("summary", "The whole answer ", size), text, open=True))


def errors(spans: Sequence[Span], names: Mapping[int, str]) -> Markup:
    """Return what went wrong: steps that ended otherwise than well, then calls that failed and were got over."""
    items = []
    for span in spans:
        kinds = _counted_errors(span)
        if span.error is None and not kinds:
            continue
        error = span.error or {}
        said = ": ".join(filter(None, (str(error.get("type", "")), line(str(error.get("message", "")), 400))))
        calls = f"{'; ' if said else ''}failed calls: {kinds}" if kinds else ""
        who = line(span.name, 80)
        link = tag("a", who, href=f"#{names[id(span)]}") if id(span) in names else tag("bdi", who)
        how = " got over it: " if span.status == "ok" else f" {words(span.status)}: "
        items.append(tag("li", link, how, tag("bdi", said), calls, cls="warn" if span.status == "ok" else "bad"))
    left = len(items) - MOST_ERRORS
    more = tag("li", counted(left, "more step")) if left > 0 else ""
    return tag("ul", *items[:MOST_ERRORS], more, cls="errors") if items else Markup()


def _counted_errors(span: Span) -> str:
    found: dict[str, int] = {}
    for call in span.calls:
        if call.error:
            kind = call.error if call.kind == "model" else f"{call.name} ({call.error})"
            found[kind] = found.get(kind, 0) + 1
    return line(", ".join(f"{kind}{f' {count} times' if count > 1 else ''}" for kind, count in found.items()), 300)
