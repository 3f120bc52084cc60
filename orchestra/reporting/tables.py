"""Tables of a report: agents, decisions, audit trail, checkpoints."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from orchestra.reporting.figures import AgentFigures, moment_of
from orchestra.reporting.markup import Markup, joined, line, tag
from orchestra.thread import Moment
from orchestra.tracing import Decision
from orchestra.view.figures import counted, duration, money
from state.audit import Record
from state.chain import Verified

MOST_ROWS = 1_000
"""Of a table; of more the latest."""
_ID = re.compile(r"\b([0-9a-f]{8})[0-9a-f]{24}\b")
"""Of a request; its beginning is enough for a command."""
_LONGEST = 280
"""Characters of a cell."""
_NOISE = frozenset({"progress", "run_started", "run_ended"})
"""Kinds that nobody decided."""
_TOLD = frozenset(
    {"decision", "decided", "note", "reason", "message", "subject", "plan", "progress", "requests", "usage", "seq"}
)
"""Data of decisions that stands elsewhere, or is none for people."""


def table(caption: str, heads: Sequence[str], rows: Iterable[Markup], *, numbers: Sequence[str] = ()) -> Markup:
    """Return a table that can be wider than a phone.

    Args:
        caption: For those who do not see what stands above it.
        heads: Of the columns.
        rows: Elements `tr`.
        numbers: Heads of the columns that stand at the right.
    """
    cells = [tag("th", head, scope="col", cls="n" if head in numbers else None) for head in heads]
    head = tag("thead", tag("tr", *cells))
    whole = tag("table", tag("caption", caption, cls="unseen"), head, tag("tbody", *rows))
    return tag("div", whole, cls="wide", tabindex=0, role="region", aria_label=caption)


def agents_table(agents: Sequence[AgentFigures]) -> Markup:
    """Return a row for each agent, and the sums."""
    heads = [
        "Agent",
        "Steps",
        "Model calls",
        "Tool calls",
        "Tokens in",
        "Tokens out",
        "Cost",
        "Time",
        "Errors",
    ]
    rows = [_agent_row(each) for each in agents]
    total = AgentFigures("All")
    for each in agents:
        for name in ("steps", "model_calls", "tool_calls", "input_tokens", "output_tokens", "errors"):
            setattr(total, name, getattr(total, name) + getattr(each, name))
        total.usd = None if total.usd is None or each.usd is None else total.usd + each.usd
    foot = tag("tfoot", _agent_row(total, is_sum=True))
    cells = [tag("th", head, scope="col", cls="n" if head != "Agent" else None) for head in heads]
    caption = tag("caption", "What each agent did and spent", cls="unseen")
    whole = tag("table", caption, tag("thead", tag("tr", *cells)), tag("tbody", *rows), foot, cls="sortable")
    return tag("div", whole, cls="wide", tabindex=0, role="region", aria_label="Agents")


def _agent_row(agent: AgentFigures, *, is_sum: bool = False) -> Markup:
    models = ", ".join(line(model, 60) for model in agent.models)
    note = tag("span", "team" if agent.is_team else models, cls="note") if agent.is_team or models else ""
    figures = [agent.steps, agent.model_calls, agent.tool_calls, agent.input_tokens, agent.output_tokens]
    cells = [tag("td", f"{figure:,}" if figure else "–", data_value=figure, cls="n") for figure in figures]
    cost = money(agent.usd) if agent.model_calls else "–"
    cells.append(tag("td", cost, data_value=-1 if agent.usd is None else f"{agent.usd:.9f}", cls="n"))
    time = "" if is_sum else duration(agent.seconds) if agent.seconds else "–"
    cells.append(tag("td", time, data_value=f"{agent.seconds:.6f}", cls="n"))
    wrong = tag("strong", f"{agent.errors:,}", cls="bad") if agent.errors else "–"
    cells.append(tag("td", wrong, data_value=agent.errors, cls="n"))
    return tag("tr", tag("th", tag("bdi", line(agent.agent, 80)), " ", note, scope="row"), *cells)


def decisions_table(decisions: Iterable[Decision], names: Mapping[tuple[str, str], str]) -> Markup:
    """Return what was decided, by whom, about what and why.

    Args:
        decisions: By the time.
        names: Of the places where steps are told in full, by agent and step.
    """
    told = [decision for decision in decisions if decision.kind not in _NOISE]
    rows = []
    for decision in told[-MOST_ROWS:]:
        place = names.get((decision.agent, decision.step))
        who = line(decision.step or decision.agent, 60) or "the run"
        rows.append(
            tag(
                "tr",
                tag("td", moment_of(decision.at, short=True), cls="t"),
                tag("td", tag("a", who, href=f"#{place}") if place else tag("bdi", who)),
                tag("th", _what(decision), scope="row"),
                tag("td", tag("bdi", _why(decision))),
            )
        )
    note = _left_out(len(told), "decision")
    return joined(note, table("Decisions", ["When (UTC)", "Step", "Decision", "Reason"], rows))


def _what(decision: Decision) -> Markup:
    kind = decision.kind.replace("_", " ")
    if decision.kind in ("answered", "expired"):
        kind = f"{'a person' if decision.kind == 'answered' else 'nobody in time'}: {_given(decision.data)}"
    kind = {"started": "task given", "ended": "run ended", "resumed": "taken up again"}.get(kind, kind)
    subject = line(_ID.sub(r"\1", decision.subject), 80)
    return joined(kind, tag("span", f" {subject}", cls="note") if subject else "")


def _given(data: Mapping[str, Any]) -> str:
    """Return what was decided about a request."""
    decided = data.get("decision") or data.get("decided") or ""
    return ", ".join(map(str, decided.values())) if isinstance(decided, Mapping) else line(str(decided), 80)


def _why(decision: Decision) -> str:
    plan = decision.data.get("plan")
    if isinstance(plan, Mapping):
        return _planned(plan)
    rest = [_told(key, value) for key, value in decision.data.items() if _is_told(key, value, decision)]
    return line(" · ".join(filter(None, (decision.reason, *rest))), _LONGEST) or "–"


def _is_told(key: str, value: Any, decision: Decision) -> bool:
    return (
        key not in _TOLD and value not in (None, "", [], {}) and str(value) not in (decision.subject, decision.reason)
    )


def _told(key: str, value: Any) -> str:
    if key == "seconds" and isinstance(value, int | float):
        return duration(value)
    if isinstance(value, list | tuple):
        value = ", ".join(map(_named, value))
    elif isinstance(value, Mapping):
        value = ", ".join(f"{name} {_rounded(part)}".replace("_", " ") for name, part in value.items())
    value = _rounded(value)
    return str(value) if key in ("task", "text", "texts") else f"{key.replace('_', ' ')}: {value}"


def _named(value: Any) -> str:
    if isinstance(value, Mapping):
        return _ID.sub(r"\1", str(value.get("name") or value.get("id") or ", ".join(map(str, value.values()))))
    return str(value)


def _rounded(value: Any) -> Any:
    return f"{value:.4g}" if isinstance(value, float) else value


def _planned(plan: Mapping[str, Any]) -> str:
    parts = [part for part in plan.get("subtasks") or () if isinstance(part, Mapping)]
    return line(f"{counted(len(parts), 'subtask')}: {'; '.join(map(_subtask, parts))}", _LONGEST)


def _subtask(part: Mapping[str, Any]) -> str:
    needs = ", ".join(map(str, part.get("depends_on") or ()))
    return f"{part.get('id')} ({part.get('agent')}{f', after {needs}' if needs else ''})"


def audit_table(records: Sequence[Record], verified: Verified | None) -> Markup:
    """Return the audit trail of the thread, with what verifying the whole chain gave."""
    rows = [
        tag(
            "tr",
            tag("td", str(record.seq), cls="n"),
            tag("td", moment_of(record.at, short=True), cls="t"),
            tag("td", tag("bdi", line(record.step or record.agent, 60) or "–")),
            tag("th", record.kind, tag("span", f" {line(record.subject, 80)}", cls="note"), scope="row"),
            tag("td", line(record.outcome, 60)),
            tag("td", tag("bdi", _detail(record) or "–")),
        )
        for record in records[-MOST_ROWS:]
    ]
    heads = ["#", "When (UTC)", "Step", "What", "Outcome", "Detail"]
    shown = table("Audit trail", heads, rows, numbers=["#"]) if rows else tag("p", "Nothing was recorded.", cls="none")
    return joined(verdict(verified), _left_out(len(records), "record"), shown)


def verdict(verified: Verified | None) -> Markup:
    """Return whether the chain of audit records is as it was written."""
    if verified is None:
        return tag("p", "The audit trail was not verified.", cls="none")
    if verified.findings:
        first = verified.findings[0]
        text = f"Broken: {first.text}. {counted(len(verified.findings), 'finding')} in all; run orchestra audit verify."
        return tag("p", tag("strong", "✗ "), text, cls="verdict bad")
    head = joined(" Head ", tag("code", verified.head[:16], title=verified.head), ".") if verified.head else ""
    text = f"The chain of {counted(verified.records, 'record')} of this database is unchanged and complete."
    return tag("p", tag("strong", "✓ "), text, head, cls="verdict good")


def _detail(record: Record) -> str:
    names = f"arguments {', '.join(record.names)}" if record.names else ""
    taint = f"after {', '.join(record.taint)}" if record.taint else ""
    return line(" · ".join(filter(None, (record.detail, names, taint))), _LONGEST)


def checkpoints_table(moments: Sequence[Moment], count: int) -> Markup:
    """Return the checkpoints of the thread, the first one first."""
    rows = [
        tag(
            "tr",
            tag("td", str(moment.step), cls="n"),
            tag("td", moment_of(moment.at.timestamp(), short=True), cls="t"),
            tag("td", tag("bdi", line(", ".join(moment.next), 200) or "–")),
            tag("td", "for a person" if moment.waiting else "–"),
            tag("th", tag("code", moment.checkpoint), scope="row"),
        )
        for moment in moments
    ]
    left = count - len(moments)
    note = tag("p", f"The latest {len(moments):,} of {count:,}.", cls="none") if left > 0 else ""
    heads = ["Step", "When (UTC)", "Next", "Waits", "Checkpoint"]
    return joined(note, table("Checkpoints", heads, rows, numbers=["Step"]))


def _left_out(count: int, noun: str) -> Markup:
    left = count - MOST_ROWS
    return tag("p", f"{counted(left, f'earlier {noun}')} not shown.", cls="none") if left > 0 else Markup()
