"""The program that is killed: it forks a process for each job, which runs or resumes threads and may die at a given point.

Everything is imported before the fork, so that a process costs little; nothing is open and no thread runs at that moment. A job
is a line of JSON on stdin, and so is its reply on stdout: how the process ended, and what it reported if it lived.

A job may name a module and a coroutine function of it to be called instead, with the job; and after how many seconds its process
is killed, wherever it is.
"""

from __future__ import annotations

import asyncio
import gc
import importlib
import json
import os
import select
import signal
import sys
import traceback
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from langchain_core.runnables import RunnableConfig
from langgraph.types import Command

import orchestra
from orchestra.thread import read_facts
from rehearsal import Bank, Points, journal_in, rehearsed, watch
from state import Context, open_persistence
from state.persistence import Persistence

TASK = "the task"


async def play(job: Mapping[str, Any]) -> dict[str, Any]:
    """Run or resume the threads of a job and report on each."""
    points = Points(job["kill_at"])
    write, bank = journal_in(job["journal"]), Bank(job["bank"], points)
    watch(points, write)
    builder, model = rehearsed(job["pattern"], bank.tool(job["mark"]), write)
    reports = {}
    async with open_persistence(job["url"]) as persistence:
        graph = builder.compile(checkpointer=persistence.checkpointer, name=job["pattern"])
        for thread, how in job["threads"].items():
            door, context = DOORS[job["door"]], Context(model=model)
            reports[thread] = await _go_on(door, persistence, graph, bank, thread, how, context)
    return {"reports": reports, "points": points.passed}


async def _go_on(
    door: Door, persistence: Persistence, graph: Any, bank: Bank, thread: str, how: str, context: Context
) -> dict[str, Any]:
    """Do what a person would: start it, or take it up again, and answer when it asks."""
    config = RunnableConfig(configurable={"thread_id": thread})
    with persistence.checkpointer.place.transaction(write=False) as execute:  # type: ignore[attr-defined]  # ours has one
        query = "SELECT count(*) FROM orchestra_effects WHERE thread_id = ? AND status = 'intent'"
        in_doubt = execute(query, (thread,))[0][0]
    asked: list[str] = []
    await door(graph, persistence, thread, how, context, None)
    while requests := (await graph.aget_state(config)).interrupts:
        answers: Answers = {}
        for request in requests:
            action = request.value["action_requests"][0]
            done = bank.has(action["args"]["account"], action["args"]["what"])
            said = {"type": "respond", "message": f"deposited {action['args']['what']}"}
            answers[request.id] = said if done else {"type": "approve"}
            asked.append(action["name"])
        await door(graph, persistence, thread, how, context, answers)
    snapshot = await graph.aget_state(config)
    result, left = snapshot.values, [task.name for task in snapshot.tasks]
    outcomes = [_without_seconds(outcome) for outcome in result["outcomes"]]
    final = {key: result[key] for key in ("answer", "structured", "status", "reason")}
    final |= {"outcomes": outcomes, "messages": [[message.type, message.text] for message in result["messages"]]}
    facts = await persistence.athread(thread)
    listed = read_facts(facts).status if facts and "status" in facts else ""
    return {"final": final, "left": left, "in_doubt": in_doubt, "asked": asked, "listed": listed}


Answers = dict[str, dict[str, Any]]
Door = Callable[[Any, Persistence, str, str, Context, Answers | None], Awaitable[None]]
"""A way in, to start a thread, take it up, or answer: `(graph, persistence, thread, how, context, answers)`."""


async def by_graph(
    graph: Any, persistence: Persistence, thread: str, how: str, context: Context, answers: Answers | None
) -> None:
    """Call the compiled graph."""
    config = RunnableConfig(configurable={"thread_id": thread})
    given: Any = {"task": TASK}
    if answers:
        given = Command(resume={name: {"decisions": [answer]} for name, answer in answers.items()})
    elif how != "start":
        snapshot = await graph.aget_state(config)
        if snapshot.created_at is not None and (how == "resume" or not snapshot.tasks):
            given = None
    await graph.ainvoke(given, config, context=context)


async def by_command(
    graph: Any, persistence: Persistence, thread: str, how: str, context: Context, answers: Answers | None
) -> None:
    """Do as the command does, which notes and records."""
    for name, answer in (answers or {}).items():
        await orchestra.aanswer(graph, persistence, thread, answer, request=name, context=context)
    if answers:
        return
    if how == "start" or await persistence.athread(thread) is None:
        await orchestra.astart(graph, persistence, TASK, thread=thread, context=context)
    else:
        await orchestra.aresume(graph, persistence, thread, context=context)


DOORS: dict[str, Door] = {"graph": by_graph, "command": by_command}


def _without_seconds(outcome: Mapping[str, Any]) -> dict[str, Any]:
    kept = {key: value for key, value in outcome.items() if key not in ("seconds", "children")}
    return {**kept, "children": [_without_seconds(child) for child in outcome.get("children") or ()]}


def _work(job: Mapping[str, Any], pipe: int) -> None:
    """Do a job in the forked process, and end there."""
    try:
        act = getattr(importlib.import_module(job["module"]), job["act"]) if "module" in job else play
        reply = asyncio.run(act(job))
    except BaseException:  # noqa: BLE001  # told to the test
        reply = {"error": traceback.format_exc()}
    with os.fdopen(pipe, "w") as out:
        json.dump(reply, out)
    os._exit(0)


def serve() -> None:
    """Fork a process for each job on stdin, and say how it ended."""
    gc.collect()
    gc.freeze()
    for line in sys.stdin:
        job = json.loads(line)
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(reading)
            _work(job, writing)
        os.close(writing)
        if "kill_after" in job and not select.select([reading], [], [], job["kill_after"])[0]:
            os.kill(child, signal.SIGKILL)
        with os.fdopen(reading) as reply:
            said = reply.read()
        _, status = os.waitpid(child, 0)
        code = os.waitstatus_to_exitcode(status)
        ended = {"exit": code, **(json.loads(said) if code == 0 else {})}
        print(json.dumps(ended), flush=True)  # noqa: T201


if __name__ == "__main__":
    serve()
