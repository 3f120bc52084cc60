"""Save threads as this version leaves them, for later versions to take up: `make threads`, before a release.

Of every pattern two: one that waits for a person, and one whose process ended between two calls of a model. Beside the database
stands what is still to be said in each, and what they have to come to, so that later changes of the tests' scripts do not matter.
"""

from __future__ import annotations

import asyncio
import importlib.metadata
import json
import shutil
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import cases
from graphs.registry import REGISTRY
from nodes import Agent, HumanAgent, ScriptedChatModel
from nodes.script import Calls, Step
from orchestra import aanswer, aresume, astart
from state import Context, open_persistence
from state.persistence import Persistence

DATA = Path(__file__).parent / "data" / "threads"
TASK = "the task"

CUT: dict[str, dict[str, int]] = {
    "single": {},
    "sequential": {"assistant": 1},
    "parallel": {"assistant": 1},
    "map_reduce": {"splitter": 1, "assistant": 1},
    "review": {"writer": 1, "critic": 1},
    "group_chat": {"assistant": 1, "skeptic": 1},
    "debate": {"proponent": 1, "opponent": 1},
    "router": {"router": 1},
    "supervisor": {"supervisor": 2, "assistant": 1},
    "handoff": {"assistant": 1},
    "hierarchical": {"manager": 2, "assistant": 1},
    "plan_execute": {"planner": 1, "assistant": 1},
    "magentic": {"manager": 3, "assistant": 1},
    "adaptive": {"planner": 1, "assistant": 1},
}
"""How many calls of each agent were answered when the process ended, by pattern."""

_SETTLED = 0.3
"""Seconds after which everything that was answered is stored."""


def asking_graph(name: str) -> tuple[Any, dict[str, list[Any]]]:
    """Return a graph of a pattern with a person in it, and what its agents say, by name."""
    said: dict[str, list[Any]] = {}

    def says(agent: str, *steps: Any, **options: Any) -> Agent:
        said[agent] = list(steps)
        return Agent(agent, **options)

    own, cases.says = cases.says, says  # type: ignore[assignment]  # the builders look it up there
    try:
        builder = cases.ASKING[name](REGISTRY[name].load(), HumanAgent("person"))
    finally:
        cases.says = own
    return builder.compile(name=name), said


def plain_graph(name: str) -> Any:
    """Return a graph of a pattern with the agents that it has of itself."""
    return REGISTRY[name].load().build().compile(name=name)


async def save_waiting(name: str, persistence: Persistence) -> dict[str, Any]:
    """Run a pattern until it waits for a person; return what is left to be said."""
    graph, said = asking_graph(name)
    model = ScriptedChatModel(by_agent=said)
    result = await astart(graph, persistence, TASK, thread=f"{name} waiting", context=Context(model=model))
    assert result.status == "waiting", (name, result)
    made = Counter(request.agent or "" for request in model.requests)
    return {agent: [_plain(step) for step in steps[made[agent] :]] for agent, steps in said.items()}


async def save_interrupted(name: str, persistence: Persistence) -> dict[str, Any]:
    """Run a pattern and end it while its agents wait for a model; return what is left to be said."""
    steps, answered = cases.HAPPY[name], CUT[name]
    never = [Step("never", delay=3600.0)]
    model = ScriptedChatModel(
        by_agent={agent: all_[: answered.get(agent, 0)] + never * 2 for agent, all_ in steps.items()}
    )
    graph, thread = plain_graph(name), f"{name} interrupted"
    run = asyncio.create_task(astart(graph, persistence, TASK, thread=thread, context=Context(model=model)))
    while len(model.requests) <= sum(answered.values()) and not run.done():
        await asyncio.sleep(0.01)
    await asyncio.sleep(_SETTLED)
    run.cancel()
    await asyncio.gather(run, return_exceptions=True)
    return {agent: [_plain(step) for step in all_[answered.get(agent, 0) :]] for agent, all_ in steps.items()}


async def take_up(thread: str, left: dict[str, Any], persistence: Persistence) -> Any:
    """Take a saved thread up and return its result; what is left to be said is said once, or it raises."""
    name, _, kind = thread.partition(" ")
    model = ScriptedChatModel(by_agent={agent: [_step(step) for step in steps] for agent, steps in left.items()})
    context = Context(model=model)
    with model:
        if kind == "interrupted":
            return await aresume(plain_graph(name), persistence, thread, context=context)
        graph, _ = asking_graph(name)
        result = await aresume(graph, persistence, thread, context=context)
        assert result.status == "waiting", result
        return await aanswer(graph, persistence, thread, "respond", message="said by a person", context=context)


def _plain(step: Any) -> Any:
    return {"calls": step.calls} if isinstance(step, Calls) else step


def _step(plain: Any) -> Any:
    if isinstance(plain, dict) and set(plain) == {"calls"}:
        return Calls(tuple(tuple(each) for each in plain["calls"]))
    return plain


async def make(folder: Path) -> None:
    """Save the threads, and what they come to, in a folder, in place of what is in it."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    saved: dict[str, Any] = {}
    async with open_persistence(folder / "threads.db") as persistence:
        for name in CUT:
            saved[f"{name} waiting"] = {"left": await save_waiting(name, persistence)}
            saved[f"{name} interrupted"] = {"left": await save_interrupted(name, persistence)}
        await persistence.aprune(keep_last=3)
    with tempfile.TemporaryDirectory() as copy:
        shutil.copy(folder / "threads.db", copy)
        async with open_persistence(Path(copy, "threads.db")) as persistence:
            for thread, one in saved.items():
                result = await take_up(thread, one["left"], persistence)
                one["answer"] = result.answer
                assert result.status == "completed", (thread, result)
    (folder / "threads.json").write_text(json.dumps(saved, indent=1) + "\n", encoding="utf-8")
    shutil.rmtree(folder / "threads.db.locks", ignore_errors=True)


if __name__ == "__main__":
    version = importlib.metadata.version("orchestra-agents")
    asyncio.run(make(DATA / version))
    sys.stdout.write(f"Saved to {DATA / version}.\n")
