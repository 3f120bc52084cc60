"""What a process does whose clock is off; each function is given a job and returns what it saw."""

from __future__ import annotations

import asyncio
import datetime
import time
from collections.abc import Mapping
from typing import Any

from click.testing import CliRunner
from langchain_core.runnables import RunnableConfig
from langgraph.pregel import _checkpoint, _loop

import orchestra
from graphs import single
from nodes import HumanAgent
from orchestra.__main__ import command as program
from state import open_persistence
from state.persistence import Persistence

THREAD = "t"
ON_THREAD: RunnableConfig = {"configurable": {"thread_id": THREAD}}


def set_clock(off: float) -> None:
    """Set the clock of this process."""
    now, now_ns, clock = time.time, time.time_ns, datetime.datetime

    class Clock(clock):  # type: ignore[valid-type, misc]  # a class that is looked up here
        @classmethod
        def now(cls, tz: Any = None) -> Any:
            return clock.fromtimestamp(time.time(), tz)

    time.time, time.time_ns = lambda: now() + off, lambda: now_ns() + int(off * 10**9)
    for module in (_checkpoint, _loop):  # which imported it by name
        vars(module)["datetime"] = Clock


def graph_in(persistence: Persistence, agent: Any) -> Any:
    """Return a graph of one agent."""
    return single.build(agent).compile(checkpointer=persistence.checkpointer, name="g")


async def works(task: str) -> str:
    """Do a task."""
    return f"did {task}"


async def turn(job: Mapping[str, Any]) -> dict[str, Any]:
    """Run a turn."""
    set_clock(job["off"])
    async with open_persistence(job["url"]) as persistence:
        result = await orchestra.astart(graph_in(persistence, works), persistence, job["task"], thread=THREAD)
        return {"answer": result.answer}


async def ask(job: Mapping[str, Any]) -> dict[str, Any]:
    """Run until a person is asked."""
    set_clock(job["off"])
    async with open_persistence(job["url"]) as persistence:
        graph = graph_in(persistence, HumanAgent("person"))
        result = await orchestra.astart(graph, persistence, job["task"], thread=THREAD)
        return {"status": result.status}


async def answer(job: Mapping[str, Any]) -> dict[str, Any]:
    """Answer for the person."""
    set_clock(job["off"])
    async with open_persistence(job["url"]) as persistence:
        graph = graph_in(persistence, HumanAgent("person"))
        result = await orchestra.aanswer(graph, persistence, THREAD, "respond", message=job["message"])
        return {"status": result.status, "answer": result.answer}


async def look(job: Mapping[str, Any]) -> dict[str, Any]:
    """Read all that is kept of the thread."""
    set_clock(job["off"])
    async with open_persistence(job["url"]) as persistence:
        graph = graph_in(persistence, works)
        history = [snapshot async for snapshot in graph.aget_state_history(ON_THREAD)]
        facts = await persistence.athread(THREAD) or {}
        return {
            "messages": [message.text for message in history[0].values["messages"]],
            "tasks": len(history[0].tasks),
            "ids": [snapshot.config["configurable"]["checkpoint_id"] for snapshot in history],
            "steps": [snapshot.metadata["step"] for snapshot in history],
            "times": [facts["created"], facts["updated"]],
        }


async def screens(job: Mapping[str, Any]) -> dict[str, Any]:
    """Return what commands show."""
    set_clock(job["off"])
    return {"screens": await asyncio.to_thread(_screens, job["url"], job["commands"])}


def _screens(url: str, commands: list[list[str]]) -> list[str]:
    shown = []
    for command in commands:
        result = CliRunner().invoke(program, [*command, "--db", url])
        assert result.exit_code == 0, result.output
        shown.append(result.output)
    return shown
