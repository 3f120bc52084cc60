"""The page: one HTML file that needs nothing else, with a policy that lets nothing else in."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from functools import cache
from importlib.resources import files

from orchestra.reporting import heading, steps, talk
from orchestra.reporting.course import Course, courses
from orchestra.reporting.figures import AgentFigures, date
from orchestra.reporting.markup import Markup, joined, line, tag
from orchestra.reporting.material import Material
from orchestra.reporting.signs import badge
from orchestra.reporting.tables import agents_table, audit_table, checkpoints_table, decisions_table
from orchestra.reporting.timeline import legend, patterns, timeline, when
from orchestra.view.figures import counted

_GENERATOR = "orchestra"


def page(material: Material, agents: Sequence[AgentFigures]) -> str:
    """Return a whole HTML document about a thread. Deterministic: the same material gives the same bytes."""
    ways = courses(material.trace, material.as_of)
    sections = list(_sections(material, agents, ways))
    links = [tag("li", tag("a", title, href=f"#{name}"), _count(count)) for name, title, count, _ in sections]
    body = [
        tag("a", "To the content", href="#content", cls="skip"),
        patterns(),
        heading.heading(material, ways),
        tag("nav", tag("ul", *links), aria_label="Sections"),
        tag("main", *(_section(*section) for section in sections), id="content", tabindex=-1),
        _footer(material),
    ]
    return f"<!doctype html>\n{_document(material, joined(*body, by=chr(10)))}\n"


def _sections(
    material: Material, agents: Sequence[AgentFigures], ways: Sequence[Course]
) -> list[tuple[str, str, int | None, Markup]]:
    """Return name, title, count and content of each section, in order; none that would be empty."""
    trace = material.trace
    spans, decisions = list(trace.spans()), list(material.decisions())
    names = steps.place_names(ways)
    by_step = {(span.agent, span.step): names[id(span)] for span in reversed(spans) if id(span) in names}
    wrong = heading.errors(spans, names)
    waits = bool(material.requests) or material.status == "unfinished"
    told = "For you to decide" if material.requests else "To go on"
    found = [
        ("you", told, len(material.requests) or None, heading.questions(material) if waits else Markup()),
        ("answer", "Answer", None, heading.answer(material)),
        ("errors", "Errors", None, wrong),
        ("timeline", "Timeline", len(spans), _timelines(ways, names) if spans else Markup()),
        ("agents", "Agents", len(agents), _agents(agents) if agents else Markup()),
        ("decisions", "Decisions", None, decisions_table(decisions, by_step) if decisions else Markup()),
        ("audit", "Audit trail", len(trace.audit), audit_table(trace.audit, material.verified)),
        ("messages", "Messages", None, talk.conversation(material)),
        ("steps", "Steps in full", len(spans), steps.steps(ways, names) if spans else Markup()),
        (
            "checkpoints",
            "Checkpoints",
            material.checkpoints,
            checkpoints_table(material.moments, material.checkpoints) if material.moments else Markup(),
        ),
    ]
    return [each for each in found if each[3]]


def _timelines(ways: Sequence[Course], names: dict[int, str]) -> Markup:
    parts = [legend()]
    for way in ways:
        if len(ways) > 1:
            head = tag(
                "h3", f"Turn {way.turn.number} ", badge(way.turn.status), tag("span", " ", when(way), cls="note")
            )
            parts.append(head)
            parts.append(tag("p", tag("bdi", line(way.turn.task, 300)), cls="none") if way.turn.task else Markup())
        parts.append(timeline(way, names) if way.turn.spans else tag("p", "No step began.", cls="none"))
    note = "Times of day are in UTC. Where for long nothing happened, the axis is folded and says for how long."
    return joined(*parts, tag("p", note, " A team's figures are those of all its members.", cls="none"))


def _agents(agents: Sequence[AgentFigures]) -> Markup:
    note = "Each agent's own, over all turns; a team's time is that of its members' work."
    unknown = " A cost is unknown where the price of a call is." if any(one.usd is None for one in agents) else ""
    return joined(agents_table(agents), tag("p", note, unknown, cls="none"))


def _section(name: str, title: str, count: int | None, content: Markup) -> Markup:
    return tag("section", tag("h2", title, _count(count), id=name), content, aria_labelledby=name)


def _count(count: int | None) -> Markup:
    return tag("span", f" {count:,}", cls="count") if count is not None else Markup()


def _footer(material: Material) -> Markup:
    gaps = [tag("li", line(gap, 400)) for gap in material.gaps]
    missing = joined(tag("p", "Not in this report:"), tag("ul", *gaps)) if gaps else ""
    events = counted(len(material.trace.events), "event")
    told = f"All that was recorded of this thread as of {date(material.as_of)}, in {events}."
    return tag("footer", missing, tag("p", told, " This file loads nothing and sends nothing."))


def _document(material: Material, body: Markup) -> Markup:
    style, script = _asset("page.css"), _asset("page.js")
    policy = (
        f"default-src 'none'; style-src '{_hash(style)}'; script-src '{_hash(script)}'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )
    title = line(material.trace.task, 80) or line(material.trace.thread, 80)
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=policy),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("meta", name="generator", content=_GENERATOR),
        tag("meta", name="referrer", content="no-referrer"),
        tag("title", f"{title} · report"),
        tag("link", rel="icon", href="data:,"),
        tag("style", style),
    )
    return tag("html", head, tag("body", body, tag("script", script)), lang="en")


@cache
def _asset(name: str) -> Markup:
    """Return a file of this package: ours, and so markup."""
    return Markup(files("orchestra.reporting").joinpath(name).read_text(encoding="utf-8"))


def _hash(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"
