"""How long subtasks take: what the planner estimated, else what the same agent took in earlier runs, else all alike.

Earlier runs are known where the graph is compiled with a store; nothing else depends on it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from langgraph.runtime import Runtime

from state.outcome import Outcome
from state.plan import Plan

_PLACE = ("orchestra", "durations")
_WEIGHT = 0.3
"""Share of the newest run in an agent's mean."""


async def expected_seconds(plan: Plan, runtime: Runtime[Any]) -> dict[str, float]:
    """Return how long each subtask is expected to take, by id, in seconds."""
    agents = {subtask.agent for subtask in plan.subtasks}
    known = {agent: seconds for agent in sorted(agents) if (seconds := await _known(agent, runtime)) is not None}
    usual = sum(known.values()) / len(known) if known else 1.0
    return {
        subtask.id: subtask.estimate.seconds
        if subtask.estimate is not None and subtask.estimate.seconds is not None
        else known.get(subtask.agent, usual)
        for subtask in plan.subtasks
    }


async def note_seconds(outcomes: Sequence[Outcome], runtime: Runtime[Any]) -> None:
    """Remember how long the agents took, for later runs."""
    if runtime.store is None:
        return
    for outcome in outcomes:
        if outcome["status"] == "ok":
            before = await _known(outcome["agent"], runtime)
            mean = outcome["seconds"] if before is None else before + _WEIGHT * (outcome["seconds"] - before)
            await runtime.store.aput(_PLACE, outcome["agent"], {"seconds": round(mean, 6)}, index=False)


async def _known(agent: str, runtime: Runtime[Any]) -> float | None:
    found = await runtime.store.aget(_PLACE, agent) if runtime.store is not None else None
    return float(found.value["seconds"]) if found is not None else None
