"""What one SQLite file bears: many processes that run graphs on it at once, and many runs at once in one process.

Every run has a thread of its own, holds its lock, and commits each of its steps before the next one starts. The processes wait
for each other before they begin, and the rate is that of all of them, from the first run's start to the last one's end.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import tempfile
import time
from collections.abc import Callable
from multiprocessing.queues import Queue
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

from langgraph.graph import START

from benchmarks.results import Row, table
from graphs import sequential
from state.graph import Pattern, PatternBuilder
from state.persistence import Persistence, open_persistence
from state.task import TaskState

TITLE = "Load on one file"
PROMISE = (
    "32 processes: no error, at least 50 ten-node runs a second, 99 of 100 within 3 s; 500 runs at once in one process."
)

NODES = 10
_PATIENCE = 180.0
"""Seconds until processes that hang are given up."""


def measure(*, processes: int = 32, runs: int = 30, together: int = 500, repeats: int = 3) -> list[Row]:
    """Return a row for each form.

    Args:
        processes: How many work on the file.
        runs: Of each process, one after the other.
        together: Runs that one process starts at once.
        repeats: Of each form, on a new file each; the row is that of the median rate.
    """
    forms: list[Callable[[Path], Row]] = [
        lambda file: _of_processes(file, "ten nodes", processes, runs),
        lambda file: _of_processes(file, "ten agents", processes, max(1, runs // 3)),
        lambda file: _at_once(file, "ten nodes", together),
    ]
    return [_median([_on_new_file(form) for _ in range(repeats)]) for form in forms]


def ten_nodes() -> PatternBuilder:
    """Return a chain of ten nodes that each say a little."""
    builder = PatternBuilder()
    names = [f"n{number}" for number in range(NODES)]
    for before, name in zip([START, *names], names, strict=False):

        async def say(_: TaskState, name: str = name) -> dict[str, Any]:
            return {"messages": [("ai", f"{name} ".ljust(100, "x"))]}

        builder.add_node(name, say)
        builder.add_edge(before, name)
    return builder


def ten_agents() -> PatternBuilder:
    """Return ten agents in a row, which are functions."""

    def agent(name: str) -> Any:
        async def work(task: str) -> str:  # noqa: ARG001  # what an agent is called with
            return "done ".ljust(100, "x")

        work.__name__ = name
        return work

    return sequential.build([agent(f"agent_{number}") for number in range(NODES)])


FORMS: dict[str, Callable[[], PatternBuilder]] = {"ten nodes": ten_nodes, "ten agents": ten_agents}


def _on_new_file(form: Callable[[Path], Row]) -> Row:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "runs.db")
        with open_persistence(file):
            return form(file)


def _of_processes(file: Path, name: str, processes: int, runs: int) -> Row:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["benchmarks.load"])
    barrier, results = context.Barrier(processes), context.Queue()
    workers = [
        context.Process(target=_work, args=(str(file), name, number, runs, barrier, results))
        for number in range(processes)
    ]
    for worker in workers:
        worker.start()
    told = [results.get(timeout=_PATIENCE) for _ in workers]
    for worker in workers:
        worker.join()
    return _row(f"{processes} processes", name, told)


def _work(file: str, name: str, number: int, runs: int, barrier: Barrier, results: Queue[Any]) -> None:
    """Do runs one after the other in a process, and tell start, end, seconds of each, and what went wrong."""
    taken: list[float] = []
    errors: list[str] = []
    with open_persistence(Path(file)) as persistence:
        graph = FORMS[name]().compile(persistence.checkpointer)
        graph.invoke({"task": "warm up"}, _thread(f"{number} warm"))
        barrier.wait(_PATIENCE)
        started = time.time()
        for run in range(runs):
            begun = time.perf_counter()
            try:
                graph.invoke({"task": "go"}, _thread(f"{number} {run}"))
            except Exception as error:  # noqa: BLE001  # counted, whatever it is
                errors.append(repr(error))
            taken.append(time.perf_counter() - begun)
        results.put((started, time.time(), taken, errors))


def _at_once(file: Path, name: str, together: int) -> Row:
    with open_persistence(file) as persistence:
        return _row("1 process, all at once", name, [asyncio.run(_start_all(persistence, name, together))])


async def _start_all(persistence: Persistence, name: str, together: int) -> tuple[float, float, list[float], list[str]]:
    graph: Pattern = FORMS[name]().compile(persistence.checkpointer)
    await graph.ainvoke({"task": "warm up"}, _thread("warm"))
    errors: list[str] = []

    async def one(number: int) -> float:
        begun = time.perf_counter()
        try:
            await graph.ainvoke({"task": "go"}, _thread(str(number)))
        except Exception as error:  # noqa: BLE001  # counted, whatever it is
            errors.append(repr(error))
        return time.perf_counter() - begun

    started = time.time()
    taken = await asyncio.gather(*(one(number) for number in range(together)))
    return started, time.time(), list(taken), errors


def _row(form: str, graph: str, told: list[tuple[float, float, list[float], list[str]]]) -> Row:
    taken = sorted(seconds for _, _, each, _ in told for seconds in each)
    errors = [error for *_, each in told for error in each]
    whole = max(end for _, end, *_ in told) - min(start for start, *_ in told)
    return {
        "form": form,
        "graph": graph,
        "runs": len(taken),
        "errors": len(errors),
        "runs/s": round(len(taken) / whole, 1),
        "p50 s": round(taken[len(taken) // 2], 2),
        "p99 s": round(taken[min(len(taken) - 1, int(len(taken) * 0.99))], 2),
    }


def _median(rows: list[Row]) -> Row:
    """Return the row of the median rate, with the errors of all."""
    chosen = sorted(rows, key=lambda row: float(row["runs/s"]))[len(rows) // 2]
    return {**chosen, "errors": sum(int(row["errors"]) for row in rows)}


def _thread(name: str) -> Any:
    return {"configurable": {"thread_id": name}}


def main() -> None:
    """Print what was measured."""
    print(table(measure()))


if __name__ == "__main__":
    main()
