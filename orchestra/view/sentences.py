"""What happens in a run, in whole sentences: for screen readers, logs and pipes."""

from __future__ import annotations

from collections.abc import Sequence

from orchestra.tracing.reading import decision_of
from orchestra.tracing.telling import told_of
from orchestra.view.agents import AgentRow, AgentTree
from orchestra.view.budget import Spent
from orchestra.view.figures import counted, duration, money, one_line
from orchestra.view.plan import PlanStand
from orchestra.view.table import activity, totals_of
from state.events import Event

_ENDED = {
    "ok": "finished",
    "failed": "failed",
    "timed_out": "timed out",
    "skipped": "was skipped",
    "denied": "was denied",
    "stopped": "was stopped",
    "cancelled": "was cancelled",
}
_MOST_NAMED = 4
"""Agents at work that are named in a sentence."""
_LONGEST = 200
"""Characters of a reason."""


def ended(row: AgentRow) -> str:
    """Say how a step ended, and what it used."""
    tokens, usd = row.used()
    figures = [duration(row.seconds or 0.0)]
    if any(each.model_calls for each in row.below()):
        figures = [counted(tokens, "token"), f"cost {money(usd)}", *figures]
    told = f"{_name(row)} {_ENDED.get(row.state, row.state)}: {', '.join(figures)}."
    if row.state == "ok":
        return f"{told} It {one_line(row.chose)}." if row.chose.startswith(("asks ", "hands ")) else told
    return f"{told} {one_line(f'{row.trouble}: {row.why}', _LONGEST)}" if row.trouble else told


def planned(stand: PlanStand) -> str:
    """Say what a plan consists of."""
    parts = []
    for subtask in stand.plan.order():
        after = f" after {' and '.join(subtask.depends_on)}" if subtask.depends_on else ""
        parts.append(one_line(f"{subtask.id} by {subtask.agent}{after}"))
    return f"The plan has {counted(len(parts), 'subtask')}: {'; '.join(parts)}."


def told(event: Event) -> str:
    """Say what else an event means; nothing of most."""
    data = event["data"]
    if event["kind"] == "handed_off":
        reason = one_line(str(data.get("reason", "")), _LONGEST)
        said = f"{one_line(event['agent'])} hands over to {one_line(str(data.get('to')))}"
        return f"{said}: {reason}" if reason else f"{said}."
    if event["kind"] == "paused":
        return f"{one_line(event['agent'])} waits for a person."
    if event["kind"] == "decided" and data.get("by") in ("person", "time"):
        words = one_line(told_of(decision_of(event)), _LONGEST)
        return f"{words[:1].upper()}{words[1:].removesuffix('.')}."
    return ""


def answered(event: Event) -> str:
    """Say what a person answered, by the request; nothing of any other event."""
    data = event["data"]
    if data.get("note") != "answered":
        return ""
    return f"A person answered request {str(data.get('request', ''))[:8]}: {one_line(str(data.get('decision', '')))}."


def at_work(tree: AgentTree, now: float) -> str:
    """Say who is at work, and how long; nothing when nobody is."""
    busy = [row for row in tree.rows() if row.state == "running"]
    rows = [row for row in busy if not any(one.state == "running" for one in row.team)]
    named = [f"{_name(row)} for {duration(row.time(now) or 0.0)}{_busy_with(row)}" for row in rows]
    more = f"; and {counted(len(named) - _MOST_NAMED, 'more agent')}" if len(named) > _MOST_NAMED else ""
    return f"At work: {'; '.join(map(one_line, named[:_MOST_NAMED]))}{more}." if named else ""


def summed_up(tree: AgentTree, spent: Sequence[Spent], seconds: float) -> str:
    """Say what all agents together used, and what that is of the budget."""
    used = f" Of the budget: {', '.join(one.words for one in spent)}." if spent else ""
    return f"In all: {', '.join(totals_of(tree, seconds))}.{used}"


def _busy_with(row: AgentRow) -> str:
    return f" ({activity(row)})" if row.pending or row.trouble else ""


def _name(row: AgentRow) -> str:
    return one_line(row.name.replace(" #", " "))
