"""Blocking code in a coroutine: it is found, named and left behind, and its siblings hardly notice."""

from __future__ import annotations

import asyncio
import contextvars
import os
import threading
import time
from collections.abc import AsyncGenerator, Awaitable
from itertools import pairwise
from typing import Any

import pytest
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.types import Command, interrupt

from cases import says
from graphs import parallel, single
from nodes import Policy, coroutines
from nodes.coroutines import Unblocked
from nodes.scripted import call
from nodes.threads import in_thread

THREAD: Any = {"configurable": {"thread_id": "t"}}


async def step_by_step(number: int) -> str:
    total = 0
    for each in range(number):
        await asyncio.sleep(0)
        total += each
    return str(total)


async def test_a_coroutine_gives_what_it_gives_and_raises_what_it_raises() -> None:
    assert await Unblocked(step_by_step(5), "x") == "10"

    async def fails() -> str:
        await asyncio.sleep(0)
        raise KeyError("gone")

    with pytest.raises(KeyError, match="gone"):
        await Unblocked(fails(), "x")

    async def nothing() -> Any:
        return None

    assert await Unblocked(nothing(), "x") is None


async def test_all_of_asyncio_works_in_it_as_on_the_loop() -> None:
    here, event = asyncio.get_running_loop(), asyncio.Event()
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("v", default="outside")

    async def child() -> str:
        await event.wait()
        return variable.get()

    async def work() -> list[Any]:
        variable.set("inside")
        task = asyncio.create_task(child())
        await asyncio.sleep(0.001)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await asyncio.Event().wait()
        event.set()
        async with asyncio.TaskGroup() as group:
            more = [group.create_task(step_by_step(3)) for _ in range(3)]
        assert asyncio.current_task() is not None
        return [await task, [one.result() for one in more], asyncio.get_running_loop() is here]

    assert await Unblocked(work(), "x") == ["inside", ["3", "3", "3"], True]
    assert variable.get() == "outside"


def test_a_generator_that_is_begun_in_it_is_closed_when_the_loop_ends() -> None:
    closed: list[str] = []

    async def numbers() -> AsyncGenerator[int]:
        try:
            yield 1
        finally:
            closed.append("closed")

    kept: list[AsyncGenerator[int]] = []

    async def first() -> int:
        kept.append(numbers())
        return await anext(kept[0])

    assert asyncio.run(wait_for(Unblocked(first(), "x"))) == 1
    assert closed == ["closed"]


async def wait_for(awaitable: Awaitable[int]) -> int:
    return await awaitable


async def test_it_can_be_cancelled_and_may_tidy_up() -> None:
    seen: list[str] = []

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            await asyncio.sleep(0)
            seen.append("tidied up")
            raise

    async def watched() -> None:
        await Unblocked(work(), "x")

    task = asyncio.create_task(watched())
    await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert seen == ["tidied up"]


async def test_threads_are_used_again_and_their_number_is_bounded() -> None:
    before = threading.active_count()
    for _ in range(3):
        await asyncio.gather(*(Unblocked(step_by_step(3), "x") for _ in range(50)))
    for _ in range(100):
        if threading.active_count() <= before + 32:
            break
        await asyncio.sleep(0.01)
    assert threading.active_count() <= before + 32


@pytest.mark.parametrize("kind", ["sleep", "spin"])
def test_a_blocking_agent_fails_by_name_and_its_siblings_go_on(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(coroutines, "PATIENCE", 0.1)
    released, ticks = threading.Event(), list[float]()

    async def blocker(task: str) -> str:
        while kind == "spin":
            pass
        released.wait(30)
        return "too late"

    async def sibling(task: str) -> str:
        for _ in range(20):
            ticks.append(time.monotonic())
            await asyncio.sleep(0.02)
        return "fine"

    result = parallel.build([blocker, sibling]).compile(name="g").invoke({"task": "t"})
    released.set()
    by_agent = {outcome["agent"]: outcome for outcome in result["outcomes"]}
    assert (result["status"], by_agent["sibling"]["output"]) == ("partial", "fine")
    error = by_agent["blocker"]["error"]
    assert error["type"] == "LoopBlocked"
    assert "blocker blocked the event loop" in error["message"]
    assert "test_blocking.py" in error["message"]
    assert max(later - first for first, later in pairwise(ticks)) < 1.0


def test_a_blocking_tool_is_a_readable_answer_that_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(coroutines, "PATIENCE", 0.1)
    released = threading.Event()

    async def fetch(url: str) -> str:
        """Fetch a page."""
        released.wait(30)
        return "late"

    agent = says("reader", call("fetch", url="x"), "done", tools=[fetch], policy=Policy(timeout=5))
    result = single.build(agent).compile(name="g").invoke({"task": "t"})
    released.set()
    assert result["answer"] == "done"
    assert "fetch blocked the event loop" in agent.model.requests[-1].messages[-1].text  # type: ignore[union-attr]


def test_a_function_that_asks_a_person_still_pauses() -> None:
    async def clerk(task: str) -> str:
        await asyncio.sleep(0)
        return f"they said {interrupt('well?')}"

    graph = single.build(clerk).compile(checkpointer=InMemorySaver(), name="g")
    graph.invoke({"task": "t"}, THREAD)
    (request,) = graph.get_state(THREAD).interrupts
    assert graph.invoke(Command(resume={request.id: "yes"}), THREAD)["answer"] == "they said yes"


def test_a_sync_function_that_runs_past_its_limit_is_ended() -> None:
    ended = threading.Event()

    def endless(task: str) -> str:
        """Work for ever."""
        try:
            while True:
                time.sleep(0.005)
        finally:
            ended.set()

    agent = says("worker", call("endless", task="x"), "done", tools=[endless], policy=Policy(timeout=0.05))
    assert single.build(agent).compile(name="g").invoke({"task": "t"})["answer"] == "done"
    assert ended.wait(5)


async def test_what_a_function_gives_too_late_is_logged_and_not_used(caplog: pytest.LogCaptureFixture) -> None:
    go_on = threading.Event()
    waiting = asyncio.create_task(in_thread(go_on.wait, 5))
    await asyncio.sleep(0.01)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    go_on.set()
    for _ in range(200):
        if caplog.records:
            break
        await asyncio.sleep(0.01)
    assert "came back late; what it gave is not used" in caplog.text


async def test_a_forked_process_has_threads_of_its_own() -> None:
    await Unblocked(step_by_step(2), "x")
    child = os.fork()
    if child == 0:
        loop = asyncio.new_event_loop()
        asyncio._set_running_loop(None)
        os._exit(0 if loop.run_until_complete(_run(step_by_step(3))) == "3" else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


async def _run(work: Any) -> Any:
    return await Unblocked(work, "x")
