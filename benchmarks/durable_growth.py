"""What a durable agent step costs in SQLite as its thread grows, against `create_agent` subgraphs in the same kind of file.

Every step answers with 1 KB, is committed before the next one starts (`durability="sync"`), and goes through `open_persistence`.
A cost that does not depend on how long the thread is already shows as equal figures for few steps and many.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from langchain.agents import create_agent
from langchain_core.messages import HumanMessage
from langgraph.graph import END, START, MessagesState, StateGraph

from benchmarks.model import InstantModel
from benchmarks.results import Row, table
from graphs import review
from nodes.node import agent_node
from nodes.spec import Agent
from nodes.turn import begin_node, brief_task
from state.context import Context
from state.graph import PatternBuilder
from state.persistence import open_persistence
from state.task import TaskState

TITLE = "Growth of a durable thread"
PROMISE = "At most 3.5 ms and 8 KB a step of 1 KB, the same at 20 steps as at 400."

KB = 1024

Loop = Callable[[int], tuple[StateGraph[Any, Any, Any, Any], Any]]
"""Returns the builder of a graph that does so many agent steps, and the context to run it with."""


def measure(
    *, steps: Sequence[int] = (20, 100, 400), bare_steps: Sequence[int] = (20, 100), repeats: int = 3
) -> list[Row]:
    """Return a row for each graph and number of steps: milliseconds and kilobytes a step.

    Args:
        steps: Agent steps of a run.
        bare_steps: The same for the `create_agent` subgraphs, whose file grows with the square of the number.
        repeats: Runs of each, on a new file each; the figures are medians.
    """
    forms: dict[str, tuple[Loop, Sequence[int]]] = {
        "ours, one agent in a loop": (agent_loop, steps),
        "ours, `review`: writer and critic in turn": (review_loop, [n for n in steps if n <= 200]),
        "bare `create_agent` subgraph in a loop": (bare_loop, bare_steps),
    }
    for loop, counts in forms.values():
        _row("", loop, min(counts, default=1), repeats=1)  # does not count: fills caches
    return [_row(form, loop, count, repeats) for form, (loop, counts) in forms.items() for count in counts]


def agent_loop(steps: int) -> tuple[StateGraph[Any, Any, Any, Any], Any]:
    """Return a loop of one agent step of ours."""

    def route(state: TaskState) -> str:
        return END if len(state["outcomes"]) >= steps else "agent"

    builder = PatternBuilder()
    builder.add_node("begin", begin_node())
    agent = Agent("agent", "Answers.", "You answer.", model=InstantModel(size=KB))
    builder.add_node("agent", agent_node(agent, brief_task("agent")))
    builder.add_edge(START, "begin")
    builder.add_edge("begin", "agent")
    builder.add_conditional_edges("agent", route, ["agent", END])
    return builder, None


def review_loop(steps: int) -> tuple[StateGraph[Any, Any, Any, Any], Any]:
    """Return the review pattern with a critic who is never content; half of the steps are the writer's."""
    drafts = iter(range(steps))

    async def writer(task: str) -> str:  # noqa: ARG001  # what an agent is called with
        return f"draft {next(drafts)} ".ljust(KB, "x")

    async def critic(task: str) -> str:  # noqa: ARG001
        return "It could be shorter. ".ljust(KB, "x")

    return review.build(writer, [critic]), Context(max_rounds=max(1, steps // 2))


def bare_loop(steps: int) -> tuple[StateGraph[Any, Any, Any, Any], Any]:
    """Return a loop of one `create_agent` subgraph, as its documentation shows it."""

    def route(state: MessagesState) -> str:
        return END if len(state["messages"]) > steps else "agent"

    builder: StateGraph[Any, Any, Any, Any] = StateGraph(MessagesState)
    builder.add_node("agent", create_agent(InstantModel(size=KB), [], system_prompt="You answer.", name="agent"))
    builder.add_edge(START, "agent")
    builder.add_conditional_edges("agent", route, ["agent", END])
    return builder, None


def _row(form: str, loop: Loop, steps: int, repeats: int) -> Row:
    runs = [_run_in_new_file(loop, steps) for _ in range(repeats)]
    return {
        "graph": form,
        "steps": steps,
        "ms a step": round(median(seconds for seconds, _ in runs) / steps * 1000, 2),
        "KB a step": round(median(size for _, size in runs) / steps / KB, 1),
    }


def _run_in_new_file(loop: Loop, steps: int) -> tuple[float, int]:
    with tempfile.TemporaryDirectory() as folder:
        return asyncio.run(_run(*loop(steps), Path(folder, "runs.db")))


async def _run(builder: StateGraph[Any, Any, Any, Any], context: Any, file: Path) -> tuple[float, int]:
    """Run a graph once on a new thread, and return the seconds it took and the bytes that its file grew by."""
    async with open_persistence(file):
        pass  # makes the tables
    empty = _size(file)
    async with open_persistence(file) as persistence:
        graph = builder.compile(checkpointer=persistence.checkpointer)
        started = time.perf_counter()
        await graph.ainvoke(
            {"messages": [HumanMessage("A question.")]},
            {"configurable": {"thread_id": "growth"}, "recursion_limit": 10_000},
            context=context,
            durability="sync",
        )
        seconds = time.perf_counter() - started
    return seconds, _size(file) - empty  # closed, so that the log is part of the file


def _size(file: Path) -> int:
    return sum(part.stat().st_size for part in file.parent.glob(f"{file.name}*"))


def main() -> None:
    """Print what was measured."""
    print(table(measure()))


if __name__ == "__main__":
    main()
