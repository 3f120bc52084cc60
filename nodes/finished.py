"""What is done of a plan: the outcome of each subtask, which holds as long as it would be given the same."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from typing import Any

from typing_extensions import TypedDict

from state.outcome import Outcome, node_of
from state.plan import Plan, Subtask
from state.task import TaskState


class Finished(TypedDict):
    """A subtask that is done, as long as it is given the same."""

    inputs: str
    """Hash of its agent, task, constraints and the results it depends on."""
    outcome: str
    """Id of its outcome."""


class ExecutionState(TaskState, total=False):
    """Adds a plan and what of it is done."""

    plan: dict[str, Any]
    """A `Plan` as plain JSON; empty before there is one."""
    finished: dict[str, Finished]
    """By subtask id. It outlives a new plan: what is planned again with the same inputs is not done again."""
    pending: list[str]
    """Subtasks that were not begun because the run was being halted; the node has to be entered again for them."""
    ended: dict[str, Finished]
    """By subtask id, what failed or was skipped before a halt; empty otherwise. It is not tried again when the run goes on."""


class Result(TypedDict):
    """What a `@task` gives, and LangGraph saves."""

    subtask: str
    inputs: str
    outcome: Outcome | None
    """None when it was not begun."""


More = Callable[[Any, Subtask], Mapping[str, str]]
"""What else a subtask's agent is told: `(state, subtask) -> {heading: text}`. It counts among its inputs."""


def latest_outcomes(state: ExecutionState) -> list[Outcome]:
    """Return the last outcome of each subtask of the plan, in the plan's order; none of those not begun."""
    last = {node_of(outcome): outcome for outcome in state["outcomes"]}
    return [last[subtask["id"]] for subtask in state["plan"]["subtasks"] if subtask["id"] in last]


def kept_results(plan: Plan, state: ExecutionState, more: More | None = None) -> dict[str, Result]:
    """Return the results in the state that hold for a plan, by subtask id: same subtask, given the same.

    Args:
        plan: A valid plan.
        state: With what is finished, and what ended before a halt.
        more: What else the agents are told.
    """
    outcomes = {outcome["id"]: outcome for outcome in state["outcomes"]}
    earlier = {**state.get("ended", {}), **state["finished"]}
    kept: dict[str, Result] = {}
    for subtask in plan.order():
        done = earlier.get(subtask.id)
        given = {name: outcomes[earlier[name]["outcome"]] for name in subtask.depends_on if name in kept}
        if done is None or len(given) < len(set(subtask.depends_on)) or done["outcome"] not in outcomes:
            continue
        inputs = hash_of(subtask, given, more(state, subtask) if more is not None else {})
        if inputs == done["inputs"]:
            kept[subtask.id] = Result(subtask=subtask.id, inputs=inputs, outcome=outcomes[done["outcome"]])
    return kept


def hash_of(subtask: Subtask, given: Mapping[str, Outcome], told: Mapping[str, str]) -> str:
    """Return the hash of all that a subtask is given."""
    results = [(name, outcome["status"], outcome["output"]) for name, outcome in sorted(given.items())]
    parts = [subtask.agent, subtask.task, subtask.constraints, results, sorted(told.items())]
    return hashlib.sha256(json.dumps(parts, ensure_ascii=False).encode("utf-8", "replace")).hexdigest()[:32]
