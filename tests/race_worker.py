"""The program that races: several of it do the same to the same threads of one database at the same moment.

It keeps its database open, so that hundreds of rounds take seconds. A line of JSON on stdin says what to do with which threads;
for each thread a line on stdout says who won, or which error told it that it lost, and after how many seconds.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

from langchain_core.runnables import RunnableConfig
from langgraph.types import Command

import orchestra
from graphs import sequential
from nodes import HumanAgent
from state import open_persistence
from state.errors import OrchestraError, StorageUnavailable
from state.persistence import Persistence


class Racer:
    """One process of a race.

    Args:
        persistence: The database of all.
        folder: Where work is noted, and where the winners are let go.
    """

    def __init__(self, persistence: Persistence, folder: Path) -> None:
        self.persistence, self.folder = persistence, folder
        self.journal = os.open(folder / "journal", os.O_APPEND | os.O_CREAT | os.O_WRONLY, 0o600)
        self.fails, self.let_go = False, ""

    def graph(self, first: Any) -> Any:
        """Return a graph whose second agent works as long as the race lasts, or fails."""

        async def work(task: str) -> str:
            if self.fails:
                raise StorageUnavailable("gone for a moment")
            os.write(self.journal, f"{task.splitlines()[-1]}\n".encode())
            while self.let_go and not (self.folder / self.let_go).exists():  # another process makes it
                await asyncio.sleep(0.01)
            return task.splitlines()[-1]

        builder = sequential.build([first, work])
        return builder.compile(checkpointer=self.persistence.checkpointer, name="race")

    async def do(self, job: Mapping[str, Any]) -> None:
        """Do the same to all threads of a job at once, and print what came of each."""
        self.fails, self.let_go = job.get("fails", False), job.get("let_go", "")
        act = getattr(self, f"_{job['act']}")
        await asyncio.gather(*(self._report(act, thread) for thread in job["threads"]))

    async def _report(self, act: Callable[[str], Awaitable[Any]], thread: str) -> None:
        started = time.monotonic()
        try:
            report = {"won": await act(thread)}
        except OrchestraError as error:
            report = {"lost": type(error).__name__, "tree": [kind.__name__ for kind in type(error).__mro__]}
        print(json.dumps({"thread": thread, "seconds": time.monotonic() - started, **report}), flush=True)  # noqa: T201

    async def _start(self, thread: str) -> Any:
        return (await self.graph(same).ainvoke({"task": thread}, on(thread)))["answer"]

    async def _start_by_command(self, thread: str) -> Any:
        result = await orchestra.astart(self.graph(same), self.persistence, f"{os.getpid()} {thread}", thread=thread)
        return f"{result.answer}" if result.status == "completed" else result.status

    async def _resume(self, thread: str) -> Any:
        return (await self.graph(same).ainvoke(None, on(thread)))["answer"]

    async def _ask(self, thread: str) -> Any:
        graph = self.graph(HumanAgent("person"))
        await graph.ainvoke({"task": thread}, on(thread))
        return (await graph.aget_state(on(thread))).interrupts[0].id

    async def _answer(self, thread: str) -> Any:
        thread, request = thread.split("|")
        decision = {"decisions": [{"type": "respond", "message": f"{os.getpid()} {thread}"}]}
        graph = self.graph(HumanAgent("person"))
        return (await graph.ainvoke(Command(resume={request: decision}), on(thread)))["answer"]

    async def _answer_by_command(self, thread: str) -> Any:
        thread, request = thread.split("|")
        graph, said = self.graph(HumanAgent("person")), f"{os.getpid()} {thread}"
        result = await orchestra.aanswer(graph, self.persistence, thread, "respond", request=request, message=said)
        return result.answer if result.status == "completed" else result.status

    async def _halt(self, thread: str) -> Any:
        thread = thread.split("|")[0]
        for _ in range(100):  # until the other has begun
            if await orchestra.ahalt(self.graph(HumanAgent("person")), self.persistence, thread):
                return True
            await asyncio.sleep(0.005)
        return False

    async def _resume_by_command(self, thread: str) -> Any:
        result = await orchestra.aresume(self.graph(HumanAgent("person")), self.persistence, thread)
        return result.answer if result.status == "completed" else result.status


async def same(task: str) -> str:
    """Give the task back."""
    return task


def on(thread: str) -> RunnableConfig:
    """Return the configuration of a thread."""
    return {"configurable": {"thread_id": thread}}


async def main(url: str, folder: Path) -> None:
    """Race until stdin ends."""
    async with open_persistence(url) as persistence:
        racer = Racer(persistence, folder)
        while line := await asyncio.to_thread(sys.stdin.readline):
            await racer.do(json.loads(line))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], Path(sys.argv[2])))
