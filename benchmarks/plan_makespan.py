"""How long a plan takes, durable in SQLite: the executor against waves of `Send`, over the longest path through the plan.

The agents sleep as long as their subtask says. All durations of a plan are scaled so that its longest path takes the same
time; both ways run each plan in one process, in turn.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Mapping
from operator import or_
from pathlib import Path
from statistics import mean
from typing import Annotated, Any

from langchain_core.runnables import RunnableConfig
from langgraph.graph import END, START, StateGraph
from langgraph.types import Send
from typing_extensions import TypedDict

from benchmarks.results import Row, table
from benchmarks.workflows import length_of, random_plan, real_workflows, scaled, seconds_of
from nodes.executor import execute_node
from nodes.finished import ExecutionState
from nodes.turn import begin_node
from state.context import Context
from state.graph import PatternBuilder
from state.persistence import open_persistence
from state.plan import Plan

TITLE = "Time a plan takes"
PROMISE = (
    "With enough workers at most 1.05 x the critical path, durable in SQLite; with k workers within Graham's bound, "
    "critical path + (all work - critical path) / k. `Send` waves are the same plan as supersteps of LangGraph."
)
ENOUGH, FEW = 1000, 4


def measure(*, critical_path: float = 4.0, plans: int | None = None) -> list[Row]:
    """Return a row for each plan, and the mean.

    Args:
        critical_path: Seconds that the longest path of every plan takes.
        plans: How many of the plans; all by default.
    """
    several = {f"random {seed}": random_plan(seed) for seed in range(1, 4)} | real_workflows()
    rows = [_row(name, scaled(plan, critical_path)) for name, plan in list(several.items())[:plans]]
    figures = ("ours", "`Send` waves", f"ours, {FEW} workers, over the bound")
    means = {name: round(mean(row[name] for row in rows), 3) for name in figures}
    return [*rows, {"plan": "mean", "subtasks": None, **means}]


def _row(name: str, plan: Plan) -> Row:
    critical, work = length_of(plan), sum(map(seconds_of, plan.subtasks))
    bound = critical + (work - critical) / FEW
    share = min(1.0, 3 * critical / bound)  # so that a plan with much work does not take minutes
    few = scaled(plan, critical * share)
    return {
        "plan": name,
        "subtasks": len(plan.subtasks),
        "ours": round(asyncio.run(_executed(plan, ENOUGH)) / critical, 3),
        "`Send` waves": round(asyncio.run(_in_waves(plan)) / critical, 3),
        f"ours, {FEW} workers, over the bound": round(asyncio.run(_executed(few, FEW)) / (bound * share), 3),
    }


async def sleeper(task: str) -> str:
    """Work for as many seconds as the first line of the task says."""
    await asyncio.sleep(float(task.partition("\n")[0]))
    return "done"


async def _executed(plan: Plan, workers: int) -> float:
    """Return the seconds that the executor takes."""
    builder = PatternBuilder(ExecutionState)
    builder.add_node("begin", begin_node(plan=plan.model_dump(mode="json"), finished={}, pending=[]))
    builder.add_node("execute", execute_node([sleeper]))
    builder.add_edge(START, "begin")
    builder.add_edge("begin", "execute")
    builder.add_edge("execute", END)
    return await _timed(builder, {"task": "the plan"}, context=Context(max_concurrency=workers))


class Waves(TypedDict, total=False):
    """What is done, by id; and the subtask of one branch."""

    done: Annotated[dict[str, str], or_]
    name: str
    task: str


async def _in_waves(plan: Plan) -> float:
    """Return the seconds that the same plan takes as supersteps: all that is ready, then all that became ready."""
    by_id = {subtask.id: subtask for subtask in plan.subtasks}

    async def work(state: Waves) -> Waves:
        return {"done": {state["name"]: await sleeper(state["task"])}}

    def ready(state: Waves) -> list[Send] | str:
        done: Mapping[str, str] = state.get("done", {})
        names = [one.id for one in plan.subtasks if one.id not in done and all(need in done for need in one.depends_on)]
        return [Send("work", {"name": name, "task": by_id[name].task}) for name in names] or END

    builder = StateGraph(Waves)
    builder.add_node("begin", lambda _: {"done": {}})
    builder.add_node("work", work)
    builder.add_node("wave", lambda _: {})
    builder.add_edge(START, "begin")
    builder.add_conditional_edges("begin", ready, ["work", END])
    builder.add_edge("work", "wave")
    builder.add_conditional_edges("wave", ready, ["work", END])
    return await _timed(builder, {"done": {}})


async def _timed(builder: Any, given: dict[str, Any], **options: Any) -> float:
    """Return the seconds of one durable run on a file of its own."""
    with tempfile.TemporaryDirectory() as folder:
        async with open_persistence(f"sqlite:///{Path(folder) / 'runs.db'}") as persistence:
            graph = builder.compile(checkpointer=persistence.checkpointer)
            config: RunnableConfig = {"configurable": {"thread_id": "plan"}, "recursion_limit": 10_000}
            started = time.perf_counter()
            await graph.ainvoke(given, config, durability="sync", **options)
            return time.perf_counter() - started


def main() -> None:
    """Print what was measured."""
    print(table(measure()))


if __name__ == "__main__":
    main()
