"""Deciding: what was decided and why, told as events, whoever decided it: an agent, a rule, a person, or the pattern itself."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from langchain_core.runnables.config import var_child_runnable_config
from langgraph.runtime import get_runtime
from pydantic import BaseModel

from nodes.decisions import (
    Adjudication,
    Delegation,
    Finish,
    Judgement,
    ProgressLedger,
    Review,
    Route,
    Speaker,
    Split,
    TaskLedger,
    Verdict,
    read_decisions,
)
from nodes.layers.json_text import alternatives
from nodes.spec import Agent
from nodes.step import Step, send_event, step_around
from state.events import EventKind
from state.excerpts import REASON, excerpt
from state.outcome import Outcome
from state.plan import Plan
from state.run import run_of


def tell(kind: EventKind, **data: Any) -> None:
    """Send an event from wherever code of a run is: of the step that is in progress, or else of the graph. Nothing outside."""
    if (step := step_around()) is not None:
        step.emit(kind, **data)
        return
    run = run_of(var_child_runnable_config.get())
    if run is not None:
        send_event(run, get_runtime(), kind, data, agent="")


def tell_decisions(agent: Any, outcome: Outcome, step: Step) -> None:
    """Tell what an agent decided, where its answer has a shape that decides something."""
    shapes = alternatives(agent.response_format) if isinstance(agent, Agent) else ()
    if not any(isinstance(shape, type) and _tells(shape) for shape in shapes):
        return
    for found in read_decisions(outcome, agent.response_format):
        for told in _told(found):
            step.emit("decided", **told)


def tell_answer(name: str, decisions: Iterable[Any], *, by: str) -> None:
    """Tell what was decided about an action that a person was asked about, `by` whom. An answer in words is the outcome's."""
    for each in decisions:
        reason = {"reason": excerpt(each.message, REASON)} if each.message and each.type != "respond" else {}
        tell("decided", decision=each.type, tool=name, by=by, **reason)


def tell_conclusion(status: str, reason: str, structured: Mapping[str, Any] | None) -> None:
    """Tell how a turn of a pattern ended and what it went by, where there is more to say than that it did."""
    found = structured or {}
    found = {**(route if isinstance(route := found.get("route"), Mapping) else {}), **found}
    if isinstance(settled := found.get("conflict"), Mapping):
        _tell_conflict(settled)
    by = {name: found[name] for name in _GONE_BY if isinstance(found.get(name), str | int | float) and found[name]}
    if reason:
        by["reason"] = excerpt(reason, REASON)
    if by or status != "completed":
        tell("decided", decision="conclude", status=status, **by)


_GONE_BY = ("ended_by", "decided_by", "taken", "why", "pattern", "rounds", "turns", "stalls", "replans", "active")
"""What of a pattern's record says how it came to its end."""


def _tell_conflict(settled: Mapping[str, Any]) -> None:
    said = [str(each.get("agent")) for each in settled.get("said") or ()]
    dissent = [str(each.get("agent")) for each in settled.get("dissent") or ()]
    reason = f"{len(dissent)} of {len(said)} disagree" if dissent else "all agree"
    tell("decided", decision="conflict", subject=str(settled.get("resolved_by")), reason=reason, dissent=dissent)


def _route(found: Route) -> dict[str, Any]:
    return {"subject": ", ".join(found.agents), "confidence": found.confidence}


def _review(found: Review) -> dict[str, Any]:
    return {"subject": found.verdict, "reason": "; ".join(found.issues), "score": found.score}


def _verdict(found: Verdict) -> dict[str, Any]:
    subject = f"{found.verdict} {found.agent}".strip()
    return {"subject": subject, "reason": found.feedback}


def _progress(found: ProgressLedger) -> dict[str, Any]:
    asked = ("is_request_satisfied", "is_in_loop", "is_progress_being_made")
    facts = {name: getattr(found, name).answer for name in asked}
    reasons = [f"{name.removeprefix('is_').replace('_', ' ')}: {getattr(found, name).reason}" for name in asked]
    reason = found.next_speaker.reason if not found.is_request_satisfied.answer else reasons[0]
    return {
        "subject": found.next_speaker.answer,
        "reason": reason,
        **facts,
        "reasons": excerpt("; ".join(reasons), REASON),
    }


def _plan(found: Plan) -> dict[str, Any]:
    parts = {subtask.id: subtask.agent for subtask in found.subtasks}
    return {"subject": ", ".join(parts), "agents": parts}


_TOLD: dict[type[BaseModel], tuple[str, Callable[[Any], dict[str, Any]]]] = {
    Route: ("route", _route),
    Split: ("split", lambda found: {"subject": f"{len(found.items)} items"}),
    Review: ("review", _review),
    Adjudication: ("adjudicate", lambda found: {"subject": found.chosen}),
    Delegation: ("delegate", lambda found: {"subject": found.agent, "task": excerpt(found.task)}),
    Finish: ("finish", lambda _: {"reason": "it has the answer"}),
    Verdict: ("verdict", _verdict),
    Judgement: ("winner", lambda found: {"subject": found.winner, "scores": found.scores}),
    TaskLedger: ("ledger", lambda found: {"subject": f"{len(found.facts)} facts", "plan": [*found.plan][:20]}),
    ProgressLedger: ("ledger", _progress),
    Plan: ("propose", _plan),
}
"""What each shape decides, and what of it is told beside its reason. Answers themselves are not."""


def _tells(shape: type) -> bool:
    return shape in _TOLD or (
        "reason" in getattr(shape, "model_fields", ()) and shape is not Speaker
    )  # told by the node


def _told(found: BaseModel) -> list[dict[str, Any]]:
    if type(found) in _TOLD:
        decision, of = _TOLD[type(found)]
        told = {"decision": decision, "reason": getattr(found, "reason", ""), **of(found)}
    elif "reason" in type(found).model_fields:  # of somebody else's making
        name = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", type(found).__name__).lower()
        told = {"decision": name, "reason": getattr(found, "reason", "")}
    else:
        return []
    told["reason"] = excerpt(str(told["reason"]), REASON)
    return [{name: value for name, value in told.items() if value not in ("", None)}]
