"""Verdicts: what follows from a manager's word on each result of a plan.

A subtask runs when all it depends on is accepted. It is tried again with feedback, by the same or by another agent, a bounded
number of times; then it is escalated.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from typing import Any

from typing_extensions import TypedDict

from nodes.decisions import Verdict, read_decision
from nodes.finished import latest_outcomes
from nodes.matching import find_name
from nodes.planning import PlanningState
from state.outcome import Outcome, describe_failure, node_of
from state.plan import Plan, Subtask

PERSON = "person"
"""Who gave a verdict, where it was a person that an escalated subtask was put to."""


class Judged(TypedDict):
    """A verdict on one result."""

    subtask: str
    outcome: str
    by: str
    """The manager's name, or `PERSON`; empty where the manager was asked and gave none."""
    verdict: str
    """As in `Verdict`; of a person: approve, edit, reject or respond."""
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
    """Subtasks that others may build on."""
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


NO_VERDICTS: dict[str, Any] = {
    "verdicts": [],
    "accepted": [],
    "tries": {},
    "feedback": {},
    "escalated": {},
    "asked": {},
    "closed": [],
}
"""What a turn begins with."""


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
    return {name: deepcopy(dict(state)[name]) for name in ("plan", *NO_VERDICTS)}


def read_verdict(said: Outcome, names: Sequence[str]) -> Verdict | None:
    """Return the manager's verdict, None when it gave none. To reassign to nobody known is to retry."""
    verdict = read_decision(said, Verdict)
    if verdict is None or verdict.verdict != "reassign":
        return verdict
    agent = find_name(verdict.agent, names)
    if agent is None:
        return Verdict(verdict="retry", feedback=f"{verdict.feedback} (there is no {verdict.agent!r})".strip())
    return Verdict(verdict="reassign", feedback=verdict.feedback, agent=agent)


def follow(state: VerdictState, update: dict[str, Any], outcome: Outcome, verdict: Judged, *, most: int) -> None:
    """Change the copies as one verdict says. A subtask tried `most` times is escalated."""
    name, feedback = verdict["subtask"], verdict["feedback"]
    tries = update["tries"][name] = 1 + update["tries"].get(name, 0)
    update["verdicts"].append(verdict)
    if verdict["verdict"] == "accept" and name in state["finished"]:
        update["accepted"].append(name)
    elif verdict["verdict"] == "accept":
        update["escalated"][name] = f"nothing more is built on it: {describe_failure(outcome)}"
        update["closed"].append(name)
    elif verdict["verdict"] == "escalate":
        update["escalated"][name] = feedback or describe_failure(outcome)
    elif tries >= most:
        update["escalated"][name] = f"max_rounds_reached: not accepted in {tries} tries: {feedback}"
    else:
        try_again(update, outcome, feedback or "It was not accepted.", {"agent": verdict["agent"]})


def judged_by(manager: str, outcome: Outcome, said: Outcome, names: Sequence[str]) -> Judged:
    """Return the verdict for the record. Without one, what succeeded passes, and the rest is gone on without."""
    verdict = read_verdict(said, names)
    by, name = manager, node_of(outcome)
    if verdict is None:
        by = ""
        why = "no verdict was found in the answer" if said["status"] == "ok" else describe_failure(said)
        verdict = Verdict(verdict="accept", feedback=why)
    return Judged(
        subtask=name,
        outcome=outcome["id"],
        by=by,
        verdict=verdict.verdict,
        feedback=verdict.feedback,
        agent=verdict.agent,
    )


def try_again(update: dict[str, Any], outcome: Outcome, text: str, changes: dict[str, str]) -> None:
    """Set a subtask going again, changed as far as something is given.

    The number of tries makes what it is told differ from the try before, whatever else is the same: so it does run again.
    """
    name, tries = node_of(outcome), int(outcome["id"].partition("#")[2] or 1)
    update["feedback"][name] = Feedback(text=text, outcome=outcome["id"], tries=tries)
    subtask = next(one for one in update["plan"]["subtasks"] if one["id"] == name)
    subtask.update({key: value for key, value in changes.items() if value})


def cut_short(state: VerdictState, manager: str) -> Outcome | None:
    """Return the manager's step that a limit ended, if there is one: then the run ends with what it has.

    A worker may also be stopped by a limit of its own; that is a result like any other.
    """
    return next((o for o in state["outcomes"] if node_of(o) == manager and o["status"] == "stopped"), None)


def usable(state: VerdictState) -> dict[str, Outcome]:
    """Return what the answer may rest on, by subtask: the last try that succeeded, else partial work; not what was given up."""
    last_word = {judged["subtask"]: judged["verdict"] for judged in state["verdicts"]}
    with_text = [outcome for outcome in state["outcomes"] if outcome["output"]]
    best = {node_of(outcome): outcome for outcome in sorted(with_text, key=lambda o: o["status"] == "ok")}
    names = [subtask["id"] for subtask in state["plan"]["subtasks"]]
    return {n: best[n] for n in names if n in best and last_word.get(n) not in ("escalate", "reject")}


def missing(state: VerdictState) -> list[str]:
    """Return what of the plan is not there, not whole or not judged, with the reason."""
    lines = [_lack(state, subtask["id"]) for subtask in state["plan"]["subtasks"]]
    left_out = [describe_failure(o) for o in state["outcomes"] if o["id"] in state["left_out"]]
    return [line for line in lines if line] + left_out


def _lack(state: VerdictState, name: str) -> str:
    latest = next((outcome for outcome in latest_outcomes(state) if node_of(outcome) == name), None)
    if name in state["escalated"]:
        return f"escalated: {name}: {state['escalated'][name]}"
    if latest is None:
        return f"not begun: {name}"
    if latest["status"] != "ok" or latest["error"]:
        return describe_failure(latest)
    if name not in state["accepted"]:
        return f"not judged: {name}"
    last = [judged for judged in state["verdicts"] if judged["subtask"] == name][-1]
    return "" if last["by"] else f"not judged: {name} ({last['feedback']})"
