"""Verdicts: what follows from a manager's word on each result of a plan.

A subtask runs when all it depends on is accepted. It is tried again with feedback, by the same or by another agent, a bounded
number of times; then it is escalated.
"""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from typing import Any, TypedDict

from nodes.decisions import Verdict, read_decision
from nodes.executor import latest_outcomes
from nodes.planning import PlanningState, results, settled
from state.outcome import Outcome, describe_failure, node_of
from state.plan import Plan, Subtask

OUT_OF_TRIES = "max_rounds_reached"
"""What the reason of an escalation begins with when a limit, not the manager, was the cause."""


class Judged(TypedDict):
    """A verdict on one result."""

    subtask: str
    outcome: str
    verdict: str
    feedback: str
    agent: str


class Feedback(TypedDict):
    """What another try is told."""

    text: str
    outcome: str
    """Id of what the last try gave."""
    tries: int
    """Tries so far, also before a person set it going again."""


class VerdictState(PlanningState, total=False):
    """Adds the verdicts, and what follows from them."""

    verdicts: list[Judged]
    """All of the turn, in order; a person's too."""
    accepted: list[str]
    """Subtasks whose result will do."""
    tries: dict[str, int]
    """Of each subtask, since the manager or a person last set it going."""
    feedback: dict[str, Feedback]
    """What the tries of a subtask after the first are told."""
    escalated: dict[str, str]
    """Subtasks that cannot be done here, with the reason."""
    asked: dict[str, int]
    """Times that a person was asked about a subtask."""
    closed: list[str]
    """Escalated subtasks that nobody is to be asked about any more."""


def ready(state: VerdictState) -> list[str]:
    """Return the subtasks that may run now: not settled, and all they depend on accepted."""
    done, plan = set(state["accepted"]), Plan.model_validate(state["plan"])
    open_ones = [one for one in plan.subtasks if one.id not in done and one.id not in state["escalated"]]
    return [one.id for one in open_ones if done.issuperset(one.depends_on)]


def unjudged(state: VerdictState) -> list[Outcome]:
    """Return the results that wait for a verdict, in the plan's order."""
    seen = {judged["outcome"] for judged in state["verdicts"]}
    return [outcome for outcome in latest_outcomes(state) if outcome["id"] not in seen]


def told_again(state: VerdictState, subtask: Subtask) -> dict[str, str]:
    """Return what another try is told: the feedback, and what the last one gave."""
    feedback = state["feedback"].get(subtask.id)
    if feedback is None:
        return {}
    last = next((o["output"] for o in state["outcomes"] if o["id"] == feedback["outcome"]), "")
    return {"Last try": last, f"Feedback on try {feedback['tries']}": feedback["text"]}


def copied(state: VerdictState) -> dict[str, Any]:
    """Return copies of what verdicts change."""
    names = ("plan", "verdicts", "accepted", "tries", "feedback", "escalated", "asked", "closed")
    return {name: deepcopy(dict(state)[name]) for name in names}


def read_verdict(said: Outcome, names: Mapping[str, str]) -> Verdict:
    """Return the manager's verdict; a manager that gave none lets pass what succeeded, and goes on without the rest."""
    verdict = read_decision(said, Verdict)
    if verdict is None:
        why = f"not judged: {describe_failure(said)}"
        return Verdict(verdict="accept", feedback=why)
    if verdict.verdict != "reassign":
        return verdict
    agent = names.get(verdict.agent.strip(" `'\"*").casefold())
    if agent is None:
        return Verdict(verdict="retry", feedback=f"{verdict.feedback} (there is no {verdict.agent!r})".strip())
    return Verdict(verdict="reassign", feedback=verdict.feedback, agent=agent)


def follow(update: dict[str, Any], outcome: Outcome, verdict: Verdict, *, most: int) -> None:
    """Change the copies as one verdict says. A subtask tried `most` times is escalated."""
    name, tries = node_of(outcome), 1 + update["tries"].get(node_of(outcome), 0)
    update["tries"][name] = tries
    update["verdicts"].append({"subtask": name, "outcome": outcome["id"], **verdict.model_dump()})
    if verdict.verdict == "accept" and outcome["status"] == "ok":
        update["accepted"].append(name)
    elif verdict.verdict == "accept":
        update["escalated"][name] = f"gone on without it: {describe_failure(outcome)}"
        update["closed"].append(name)
    elif verdict.verdict == "escalate":
        update["escalated"][name] = verdict.feedback or describe_failure(outcome)
    elif tries >= most:
        update["escalated"][name] = f"{OUT_OF_TRIES}: not accepted in {tries} tries: {verdict.feedback}"
    else:
        update["feedback"][name] = feedback_on(outcome, verdict.feedback or "It was not accepted.")
        subtask = next(one for one in update["plan"]["subtasks"] if one["id"] == name)
        subtask["agent"] = verdict.agent or subtask["agent"]


def feedback_on(outcome: Outcome, text: str) -> Feedback:
    """Return what the next try is told. Its number makes it differ from the try before, whatever else is the same."""
    return Feedback(text=text, outcome=outcome["id"], tries=int(outcome["id"].partition("#")[2] or 1))


def to_ask_about(state: VerdictState, most: int) -> list[str]:
    """Return the escalated subtasks that a person may still be asked about."""
    return [n for n in state["escalated"] if n not in state["closed"] and state["asked"].get(n, 0) < most]


def usable(state: VerdictState) -> dict[str, Outcome]:
    """Return the results that the answer may rest on: accepted ones, and those that a limit kept from being judged."""
    given_up = {name for name, why in state["escalated"].items() if not why.startswith(OUT_OF_TRIES)}
    return {name: o for name, o in results(state).items() if name in state["accepted"] or name not in given_up}


def missing(state: VerdictState) -> list[str]:
    """Return what of the plan has no accepted result, with the reason."""
    latest = {node_of(outcome): outcome for outcome in settled(state)}
    lines = []
    for name in [subtask["id"] for subtask in state["plan"]["subtasks"] if subtask["id"] not in state["accepted"]]:
        bad = name in latest and latest[name]["status"] != "ok"
        why = f"not judged: {name}" if name in latest else f"not begun: {name}"
        why = describe_failure(latest[name]) if bad else why
        lines.append(f"escalated: {name}: {state['escalated'][name]}" if name in state["escalated"] else why)
    return lines + [describe_failure(o) for o in state["outcomes"] if o["id"] in state["left_out"]]
