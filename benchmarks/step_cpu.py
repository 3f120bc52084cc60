"""CPU of one agent step, with every protection on and nothing stored, against a bare `create_agent` subgraph.

Both run in chains of equal length in one process, in turn. Processor time, not wall time; the ratio is the median over the
rounds, in each of which every graph ran once.
"""

from __future__ import annotations

import asyncio
import gc
import time
from statistics import median
from typing import Any

from langchain_core.messages import HumanMessage
from langgraph.graph.state import CompiledStateGraph

from benchmarks.chain import bare_chain, floor_chain, our_chain, stock_middleware
from benchmarks.results import Row, table
from state.budget import Budget
from state.context import Context

TITLE = "CPU of an agent step"
PROMISE = "With every protection on, at most 1.0 x a bare `create_agent` subgraph step."

Graph = CompiledStateGraph[Any, Any, Any, Any]


def measure(*, length: int = 10, rounds: int = 40) -> list[Row]:
    """Return a row for each kind of step: milliseconds of CPU, and how many times the bare step that is.

    Args:
        length: Steps in a chain.
        rounds: How often each chain runs, after two rounds that do not count.
    """
    rows: list[Row] = []
    for kind, with_tool in (("model call", False), ("model, tool, model", True)):
        stock = bare_chain(length, with_tool=with_tool, middleware=stock_middleware())
        graphs = {
            "bare `create_agent` subgraph": (bare_chain(length, with_tool=with_tool), None),
            "`create_agent` with stock limits and retries": (stock, None),
            "ours": (our_chain(length, with_tool=with_tool), None),
            "ours, with limits in tokens, dollars and seconds": (our_chain(length, with_tool=with_tool), _limits()),
        }
        if not with_tool:
            graphs["node that only calls the model"] = (floor_chain(length), None)
        rows += _rows(kind, asyncio.run(_rounds(graphs, rounds)), length)
    return rows


def _limits() -> Context:
    budget = Budget(model_calls=10**6, tool_calls=10**6, tokens=10**9, usd=10.0**6, seconds=10.0**6)
    return Context(budget=budget, deadline=time.time() + 10**6)


async def _rounds(graphs: dict[str, tuple[Graph, Context | None]], rounds: int) -> dict[str, list[float]]:
    """Run every graph once a round and return the seconds of CPU that each took in each round."""
    seconds: dict[str, list[float]] = {name: [] for name in graphs}
    for index in range(rounds + 2):
        for name, (graph, context) in graphs.items():
            gc.collect()  # outside the measured time, so that nobody pays for another's garbage
            started = time.process_time()
            await graph.ainvoke({"messages": [HumanMessage("A question.")]}, context=context)
            if index >= 2:
                seconds[name].append(time.process_time() - started)
    return seconds


def _rows(kind: str, seconds: dict[str, list[float]], length: int) -> list[Row]:
    bare = next(iter(seconds.values()))
    return [
        {
            "step": kind,
            "form": name,
            "cpu ms": round(median(taken) / length * 1000, 3),
            "x bare": round(median(own / other for own, other in zip(taken, bare, strict=True)), 2),
        }
        for name, taken in seconds.items()
    ]


def main() -> None:
    """Print what was measured."""
    print(table(measure()))


if __name__ == "__main__":
    main()
