"""Reaching a thread from outside: guidance for its agents, halts and signals, from this process and from others."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from langgraph.errors import GraphDrained
from langgraph.runtime import RunControl

from cases import part, plan_of, says
from graphs import parallel, plan_execute, sequential, single
from nodes import Agent, HumanAgent, ScriptedChatModel
from nodes.scripted import Step, call
from orchestra import ahalt, ainject, answer, astart, halt, inject, resume, start
from state import ConfigurationError, Halted, InvalidThreadId, StorageUnavailable, UnknownThread, open_persistence
from state.persistence import Persistence
from state.storage.signals import signals_of
from storage import fresh_url

THREAD: Any = {"configurable": {"thread_id": "t"}}


@pytest.fixture(params=["sqlite", "postgres"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Persistence]:
    with fresh_url(request.param, tmp_path) as url, open_persistence(url) as persistence:
        yield persistence


def system_of(agent: Agent, call: int = -1) -> str:
    assert isinstance(agent.model, ScriptedChatModel)
    return agent.model.requests[call].messages[0].text


# Guidance


async def test_guidance_reaches_the_next_model_call_of_the_agent_it_is_for(place: Persistence) -> None:
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def look(what: str) -> str:
        """Look."""
        begun.set()
        await go_on.wait()
        return "seen"

    first = says("first", call("look", what="x"), "one", tools=[look], prompt="You look.")
    second = says("second", "two")
    graph = sequential.build([first, second]).compile(name="g")
    run = asyncio.create_task(astart(graph, place, "the task", thread="t", context=None))
    await begun.wait()
    await ainject(graph, place, "t", "Mind the budget.", agent="first")
    await ainject(graph, place, "t", "Write in French.")
    go_on.set()
    assert (await run).answer == "two"
    assert "Mind the budget." not in system_of(first, 0)
    assert system_of(first, 1).startswith("You look.")
    assert "- Mind the budget.\n- Write in French." in system_of(first, 1)
    assert ("Mind the budget." in system_of(second), "Write in French." in system_of(second)) == (False, True)
    guided = [event for event in await place.aevents("t") if event["kind"] == "guided"]
    assert [(event["agent"], len(event["data"]["texts"])) for event in guided] == [("first", 2)]


def test_a_paused_thread_keeps_it_and_the_next_turn_is_not_told(place: Persistence) -> None:
    writer = says("writer", "one", "two")
    graph = sequential.build([HumanAgent("boss"), writer]).compile(name="g")
    start(graph, place, "the task", thread="t")
    inject(graph, place, "t", "Be brief.")
    assert answer(graph, place, "t", "respond", message="go on").status == "completed"
    assert "Be brief." in system_of(writer)
    start(graph, place, "another task", thread="t")
    answer(graph, place, "t", "respond", message="go on")
    assert "Be brief." not in str(writer.model.requests[-1].messages)  # type: ignore[union-attr]


def test_what_an_agent_was_told_before_a_crash_it_is_told_again(place: Persistence) -> None:
    model = ScriptedChatModel([StorageUnavailable("cut"), "done"])
    graph = single.build(Agent("writer", model=model)).compile(place.checkpointer, name="g")
    with pytest.raises(StorageUnavailable):
        graph.invoke({"task": "t"}, THREAD)
    inject(graph, place, "t", "Be brief.")
    model = ScriptedChatModel([StorageUnavailable("cut"), "done"])
    graph = single.build(Agent("writer", model=model)).compile(place.checkpointer, name="g")
    with pytest.raises(StorageUnavailable):
        graph.invoke(None, THREAD)
    assert graph.invoke(None, THREAD)["answer"] == "done"
    assert ["Be brief." in request.messages[0].text for request in model.requests] == [True, True]


def test_what_is_said_is_never_a_command_and_nonsense_is_refused(place: Persistence) -> None:
    writer = says("writer", "one")
    graph = sequential.build([HumanAgent("boss"), writer]).compile(name="g")
    start(graph, place, "stop", thread="t")
    for text in ("stop", "don't stop", "halt"):
        inject(graph, place, "t", text)
    assert answer(graph, place, "t", "respond", message="stop").status == "completed"
    with pytest.raises(ConfigurationError, match="got nothing"):
        inject(graph, place, "t", "  ")
    with pytest.raises(UnknownThread):
        inject(graph, place, "nobody", "x")
    with pytest.raises((UnknownThread, InvalidThreadId)):
        halt(graph, place, "nobody")


# Halting


async def test_a_halted_run_ends_its_step_begins_nothing_more_and_goes_on_when_told(place: Persistence) -> None:
    calls: list[str] = []
    begun = asyncio.Event()

    async def first(task: str) -> str:
        calls.append("first")
        begun.set()
        await asyncio.sleep(0.6)
        return "one"

    async def second(task: str) -> str:
        calls.append("second")
        return "two"

    graph = sequential.build([first, second]).compile(name="g")
    run = asyncio.create_task(astart(graph, place, "the task", thread="t"))
    await begun.wait()
    assert await ahalt(graph, place, "t", reason="lunch")
    stood = await run
    assert (stood.status, stood.reason, calls) == ("unfinished", "halted: lunch", ["first"])
    assert (await place.athread("t") or {})["status"] == "unfinished"
    assert not await ahalt(graph, place, "t")
    went_on = await asyncio.to_thread(resume, graph, place, "t")
    assert (went_on.answer, calls) == ("two", ["first", "second"])


async def test_a_graph_called_directly_says_that_it_was_halted(place: Persistence) -> None:
    begun = asyncio.Event()

    async def first(task: str) -> str:
        begun.set()
        await asyncio.sleep(0.6)
        return "one"

    inner = sequential.build([first, says("second", "two")]).compile(name="inner")
    graph = parallel.build([inner, says("other", "fine")]).compile(place.checkpointer, name="g")
    run = asyncio.create_task(graph.ainvoke({"task": "t"}, THREAD))
    await begun.wait()
    assert await ahalt(graph, place, "t")
    with pytest.raises(Halted, match="go on with"):
        await run
    assert "two" in (await graph.ainvoke(None, THREAD))["answer"]


async def test_a_plan_and_a_loop_of_tools_are_halted_between_their_steps(place: Persistence) -> None:
    calls: list[str] = []
    begun = asyncio.Event()

    async def worker(task: str) -> str:
        calls.append(task.splitlines()[0])
        begun.set()
        await asyncio.sleep(0.6)
        return "done"

    plan = plan_of(part("a", "worker"), part("b", "worker", "a"))
    graph = plan_execute.build([worker], planner=says("planner", plan))
    run = asyncio.create_task(astart(graph.compile(name="g"), place, "the task", thread="t"))
    await begun.wait()
    assert await ahalt(graph.compile(name="g"), place, "t")
    assert (await run).status == "unfinished"
    assert calls == ["Do a."]

    async def look(what: str) -> str:
        """Look."""
        seen.append(what)
        begun.set()
        await asyncio.sleep(0.6)
        return "seen"

    seen: list[str] = []
    begun.clear()
    agent = says("looker", call("look", what="x"), call("look", what="y"), "done", tools=[look])
    loop = single.build(agent).compile(name="g")
    run = asyncio.create_task(astart(loop, place, "the task", thread="u"))
    await begun.wait()
    assert await ahalt(loop, place, "u")
    assert (await run).status == "unfinished"
    assert seen == ["x"]
    assert (await asyncio.to_thread(resume, loop, place, "u")).answer == "done"
    assert seen == ["x", "y"]


async def test_a_halt_that_came_too_late_does_not_stop_the_next_run(place: Persistence) -> None:
    graph = single.build(says("writer", "one", "two")).compile(name="g")
    await astart(graph, place, "the task", thread="t")
    signals = signals_of(place.checkpointer)
    assert signals is not None
    await signals.halt("t", "for a run that is over")
    assert (await astart(graph, place, "again", thread="t")).status == "completed"


def test_a_waiting_thread_has_nothing_to_halt_and_can_be_answered(place: Persistence) -> None:
    graph = single.build(HumanAgent("boss")).compile(name="g")
    start(graph, place, "the task", thread="t")
    assert not halt(graph, place, "t")
    assert answer(graph, place, "t", "respond", message="fine").answer == "fine"


async def test_a_control_of_the_callers_own_still_drains(place: Persistence) -> None:
    control = RunControl()

    async def first(task: str) -> str:
        control.request_drain("mine")
        return "one"

    graph = sequential.build([first, says("second", "two")]).compile(place.checkpointer, name="g")
    with pytest.raises(GraphDrained, match="mine"):
        await graph.ainvoke({"task": "t"}, THREAD, control=control)
    assert (await graph.ainvoke(None, THREAD))["answer"] == "two"


def test_a_run_in_another_process_is_halted_and_goes_on_here(tmp_path: Path) -> None:
    program = textwrap.dedent(
        """
        import asyncio, sys
        from graphs import sequential
        from orchestra import start
        from state import open_persistence

        async def first(task: str) -> str:
            print("first", flush=True)
            await asyncio.sleep(1)
            return "one"

        async def second(task: str) -> str:
            print("second", flush=True)
            return "two"

        with open_persistence(sys.argv[1]) as persistence:
            graph = sequential.build([first, second]).compile(name="g")
            print(start(graph, persistence, "the task", thread="t").reason, flush=True)
        """
    )
    url = f"sqlite:///{tmp_path / 'runs.db'}"
    with subprocess.Popen([sys.executable, "-c", program, url], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "first\n"

        async def first(task: str) -> str:
            raise AssertionError("it works twice")

        async def second(task: str) -> str:
            return "two"

        with open_persistence(url) as persistence:
            graph = sequential.build([first, second]).compile(name="g")
            assert halt(graph, persistence, "t", reason="from outside")
            assert process.communicate(timeout=30)[0] == "halted: from outside\n"
            assert resume(graph, persistence, "t").answer == "two"


def test_several_runs_of_a_process_are_halted_one_by_one(tmp_path: Path) -> None:
    async def work() -> None:
        async with open_persistence(f"sqlite:///{tmp_path}/runs.db") as persistence:
            agents = [says(f"w{n}", Step("one", delay=0.6)) for n in range(3)]
            graphs = [sequential.build([agent, says("then", "two")]).compile(name="g") for agent in agents]
            runs = [asyncio.create_task(astart(g, persistence, "x", thread=f"t{n}")) for n, g in enumerate(graphs)]
            while not all(agent.model.requests for agent in agents):  # type: ignore[union-attr]
                await asyncio.sleep(0.01)
            assert await ahalt(graphs[1], persistence, "t1")
            assert [(await run).status for run in runs] == ["completed", "unfinished", "completed"]

    asyncio.run(work())
