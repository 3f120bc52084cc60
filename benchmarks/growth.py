"""What stays behind: in memory after many runs in one process, on the disk after many turns of one thread, and after pruning."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Awaitable, Callable
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

from benchmarks.model import InstantModel
from benchmarks.results import ROOT, Row, table
from graphs import single
from nodes.spec import Agent
from orchestra import astart
from state.graph import Pattern
from state.persistence import Persistence, open_persistence

TITLE = "What stays behind"
PROMISE = (
    "10,000 runs: at most 5 MB of memory; 500 turns: at most 20 times their text on disk; pruning frees at least 95 %."
)

KB = 1024
MB = 1024 * KB
FORMS = ("invoke, one graph", "invoke, a graph for each run", "start, one graph")
"""Ways to make runs, each of which has a new thread."""


def measure(*, runs: int = 10_000, turns: int = 500) -> list[Row]:
    """Return a row for each figure.

    Args:
        runs: In one process, after a fifth as many that do not count.
        turns: Of one thread, with a question and an answer of 1 KB each.
    """
    rows = [
        {
            "what": f"memory, MB: {form}",
            "after": f"{runs:,} runs",
            "measured": round(sum(grown(form, runs)), 2),
            "promised": "at most 5",
        }
        for form in FORMS
    ]
    size, pruned, expired = asyncio.run(kept(turns))
    after, text = f"{turns:,} turns", turns * 2 * KB
    return [
        *rows,
        {"what": "disk, times the text", "after": after, "measured": round(size / text, 1), "promised": "at most 20"},
        {
            "what": "freed by `--keep-last 1`, % of what is not text",
            "after": after,
            "measured": round(100 * (size - pruned) / max(1, size - text), 1),
            "promised": "at least 95",
        },
        {
            "what": "freed by `--threads-older-than`, %",
            "after": after,
            "measured": round(100 * (size - expired) / size, 1),
            "promised": "at least 95",
        },
    ]


def grown(form: str, runs: int) -> list[float]:
    """Return by how many MB the resident memory of a new process grew in each quarter of so many runs, after a fifth as many.

    What a run leaves behind shows in every quarter; what an allocator takes at once and keeps, in one.
    """
    command = [sys.executable, "-m", "benchmarks.growth", form, str(runs)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])}
    done = subprocess.run(command, cwd=ROOT, env=environment, check=True, capture_output=True, text=True)
    quarters: list[float] = json.loads(done.stdout.splitlines()[-1])
    return quarters


async def kept(turns: int) -> tuple[int, int, int]:
    """Return the bytes that a thread of so many turns takes, what is left with its last checkpoint only, and without it."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "runs.db")
        async with open_persistence(file):
            pass  # makes the tables
        empty = _size(file)
        async with open_persistence(file) as persistence:
            graph = _graph(persistence, size=KB)
            for turn in range(turns):
                question = f"question {turn} ".ljust(KB, "x")
                await graph.ainvoke({"messages": [("user", question)]}, {"configurable": {"thread_id": "t"}})
        size = _size(file)
        async with open_persistence(file) as persistence:
            await persistence.aprune(keep_last=1)
        pruned = _size(file)
        async with open_persistence(file) as persistence:
            await persistence.aprune(threads_older_than=timedelta(0))
        return size - empty, pruned - empty, _size(file) - empty


async def _grow(form: str, runs: int) -> list[float]:
    with tempfile.TemporaryDirectory() as folder:
        async with open_persistence(Path(folder, "runs.db")) as persistence:
            one = _one(form, persistence)
            for number in range(runs // 5):
                await one(f"warm {number}")
            resident = [_resident()]
            for number in range(runs):
                await one(str(number))
                if (number + 1) * 4 // runs == len(resident):
                    resident.append(_resident())
            return [round((after - before) / MB, 3) for before, after in pairwise(resident)]


def _one(form: str, persistence: Persistence) -> Callable[[str], Awaitable[Any]]:
    """Return what makes a run on a thread."""
    graph = _graph(persistence)

    async def invoke(thread: str) -> Any:
        chosen = _graph(persistence) if "each" in form else graph
        return await chosen.ainvoke({"task": "go"}, {"configurable": {"thread_id": thread}})

    async def start(thread: str) -> Any:
        return await astart(graph, persistence, "go", thread=thread)

    return start if form.startswith("start") else invoke


def _graph(persistence: Persistence, *, size: int = 2) -> Pattern:
    return single.build(Agent("agent", "Answers.", "You answer.", model=InstantModel(size=size))).compile(
        persistence.checkpointer
    )


def _resident() -> int:
    gc.collect()
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def _size(file: Path) -> int:
    return sum(part.stat().st_size for part in file.parent.glob(f"{file.name}*") if part.is_file())


def main() -> None:
    """Print what was measured; with a form and a number of runs, how this process grew."""
    if len(sys.argv) > 1:
        print(json.dumps(asyncio.run(_grow(sys.argv[1], int(sys.argv[2])))))
    else:
        print(table(measure()))


if __name__ == "__main__":
    main()
