"""Escalation: what a team cannot do is put to a person, who advises, changes it, takes it as it is or gives it up."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from langgraph.runtime import Runtime

from nodes.approval import ask_about_proposal, propose
from nodes.finished import latest_outcomes
from nodes.human import Decision
from nodes.spec import AnyAgent, name_of
from nodes.verdicts import PERSON, Judged, VerdictState, copied, try_again
from state.context import context_of
from state.outcome import node_of


def to_ask_about(state: VerdictState, runtime: Runtime[Any]) -> list[str]:
    """Return the escalated subtasks that a person may still be asked about: of each as often as there are rounds."""
    most = context_of(runtime).max_rounds
    return [n for n in state["escalated"] if n not in state["closed"] and state["asked"].get(n, 0) < most]


async def escalate(state: VerdictState, runtime: Runtime[Any]) -> dict[str, Any]:
    """Announce what cannot be done here as an action for a person to decide about."""
    name = to_ask_about(state, runtime)[0]
    subtask = next(one for one in state["plan"]["subtasks"] if one["id"] == name)
    args = {"subtask": name, "agent": subtask["agent"], "task": subtask["task"]}
    return propose(state, "resolve_escalation", args, f"{name} is escalated: {state['escalated'][name]}")


def resolve_node(workers: Sequence[AnyAgent]) -> Any:
    """Return the node that puts an escalated subtask to a person."""
    names = [name_of(worker) for worker in workers]

    def can_be_done(decision: Decision) -> None:
        edited = _edited(decision)
        agent, task = edited.get("agent", names[0]), edited.get("task", "as it was")
        if agent not in names:
            raise ValueError(f"agent: expected one of {names}, got {agent!r}")
        if not isinstance(task, str) or not task.strip():
            raise ValueError(f"task: expected text, got {task!r}")

    async def resolve(state: VerdictState, runtime: Runtime[Any]) -> dict[str, Any]:
        """Pause for a person: try again with advice or as edited, take it as it is, or give it up."""
        name = to_ask_about(state, runtime)[0]
        text = (
            f"{name} could not be done: {state['escalated'][name]}. Approve: go on with what there is. "
            "Reject: give it up. Edit: another agent or task. Respond: advice for another try."
        )
        decision, update = ask_about_proposal(state, text, check=can_be_done)
        return {**_decided(state, name, decision), **update}

    return resolve


def _decided(state: VerdictState, name: str, decision: Decision) -> dict[str, Any]:
    """Return what follows from a person's decision. Only what succeeded can be built on, whatever they say."""
    latest = next(outcome for outcome in latest_outcomes(state) if node_of(outcome) == name)
    edited, said, changed = _edited(decision), decision.message or "", copied(state)
    record = Judged(subtask=name, outcome=latest["id"], by=PERSON, verdict=decision.type, feedback=said, agent="")
    changed["verdicts"].append({**record, "agent": edited.get("agent", "")})
    changed["asked"][name] = 1 + changed["asked"].get(name, 0)
    if decision.type in ("edit", "respond"):
        try_again(changed, latest, said or "A person changed the subtask.", edited)
        changed["tries"][name] = 0
        del changed["escalated"][name]
    elif decision.type == "approve" and name in state["finished"]:
        changed["accepted"].append(name)
        del changed["escalated"][name]
    else:
        changed["closed"].append(name)
        if decision.type == "reject":
            changed["escalated"][name] = f"given up by a person: {said or state['escalated'][name]}"
    return changed


def _edited(decision: Decision) -> dict[str, Any]:
    """Return what of a subtask a person changed."""
    args = decision.edited_action.args if decision.edited_action is not None else {}
    return {key: args[key] for key in ("agent", "task") if key in args}
