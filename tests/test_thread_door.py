"""The door to a thread: one run at a time, answers by id and once, and no graph that lacks what the thread waits in."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import textwrap
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver
from langgraph.types import Command

from graphs import parallel, plan_execute, sequential, single
from nodes import HumanAgent
from state import open_persistence
from state.errors import (
    GraphChanged,
    InvalidAnswer,
    StorageUnavailable,
    ThreadBusy,
    UnknownRequest,
    UnknownThread,
)

THREAD: RunnableConfig = {"configurable": {"thread_id": "t"}}
every_saver = pytest.mark.parametrize("kind", ["memory", "sqlite", "asyncsqlite", "ours"])


@asynccontextmanager
async def saver_of(kind: str, folder: Path) -> AsyncIterator[Any]:
    """Give a checkpointer of a kind."""
    path = str(folder / "runs.db")
    if kind == "memory":
        yield InMemorySaver()
    elif kind == "sqlite":
        with SqliteSaver.from_conn_string(path) as saver:
            yield saver
    elif kind == "asyncsqlite":
        async with AsyncSqliteSaver.from_conn_string(path) as asynchronous:
            yield asynchronous
    else:
        async with open_persistence(f"sqlite:///{path}") as persistence:
            yield persistence.checkpointer


def said(text: str) -> dict[str, Any]:
    return {"decisions": [{"type": "respond", "message": text}]}


@every_saver
async def test_of_two_runs_of_one_thread_the_second_is_told_that_it_is_busy(kind: str, tmp_path: Path) -> None:
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def worker(task: str) -> str:
        begun.set()
        await go_on.wait()
        return f"did {task}"

    async with saver_of(kind, tmp_path) as saver:
        graph = single.build(worker).compile(checkpointer=saver, name="g")
        first = asyncio.create_task(graph.ainvoke({"task": "one"}, THREAD))
        await begun.wait()
        with pytest.raises(ThreadBusy, match="'t' is in use by another run"):
            await graph.ainvoke({"task": "two"}, THREAD)
        with pytest.raises(ThreadBusy):
            await graph.aupdate_state(THREAD, {"reason": "changed"})
        other = asyncio.create_task(graph.ainvoke({"task": "other"}, {"configurable": {"thread_id": "u"}}))
        go_on.set()
        assert (await first)["answer"] == "did one"
        assert (await other)["answer"] == "did other"
        assert (await graph.ainvoke({"task": "two"}, THREAD))["answer"] == "did two"


async def test_a_run_that_is_broken_off_frees_its_thread(tmp_path: Path) -> None:
    async def worker(task: str) -> str:
        await asyncio.Event().wait()
        return task

    async with saver_of("ours", tmp_path) as saver:
        graph = single.build(worker).compile(checkpointer=saver, name="g")
        run = asyncio.create_task(graph.ainvoke({"task": "one"}, THREAD))
        await asyncio.sleep(0.05)
        run.cancel()
        with pytest.raises(asyncio.CancelledError):
            await run

        async def quick(task: str) -> str:
            return f"did {task}"

        graph = single.build(quick).compile(checkpointer=saver, name="g")
        assert (await graph.ainvoke({"task": "two"}, THREAD))["answer"] == "did two"


def test_the_lock_of_a_killed_process_is_free_and_that_of_a_living_one_is_not(tmp_path: Path) -> None:
    program = textwrap.dedent(
        """
        import sys, time
        from graphs import single
        from state import open_persistence

        def worker(task: str) -> str:
            print("begun", flush=True)
            time.sleep(60)
            return task

        with open_persistence(f"sqlite:///{sys.argv[1]}") as persistence:
            graph = single.build(worker).compile(checkpointer=persistence.checkpointer, name="g")
            graph.invoke({"task": "one"}, {"configurable": {"thread_id": "t"}})
        """
    )
    path = tmp_path / "runs.db"
    with subprocess.Popen([sys.executable, "-c", program, str(path)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "begun\n"
        with open_persistence(f"sqlite:///{path}") as persistence:
            graph = single.build(lambda task: f"did {task}").compile(checkpointer=persistence.checkpointer, name="g")
            with pytest.raises(ThreadBusy):
                graph.invoke({"task": "two"}, THREAD)
            process.kill()
            process.wait()
            assert graph.invoke({"task": "two"}, THREAD)["answer"] == "did two"


@every_saver
async def test_an_answer_counts_once_and_only_by_the_id_of_its_request(kind: str, tmp_path: Path) -> None:
    async with saver_of(kind, tmp_path) as saver:
        graph = sequential.build([HumanAgent("first"), HumanAgent("second")]).compile(checkpointer=saver, name="g")
        with pytest.raises(UnknownThread):
            await graph.ainvoke(Command(resume={"x": said("too early")}), THREAD)
        await graph.ainvoke({"task": "the task"}, THREAD)
        (request,) = (await graph.aget_state(THREAD)).interrupts
        for wrong in (said("no id"), "yes", {}, {request.id: None}):
            with pytest.raises((InvalidAnswer, UnknownRequest)):
                await graph.ainvoke(Command(resume=wrong), THREAD)
        await graph.ainvoke(Command(resume={request.id: said("one")}), THREAD)
        with pytest.raises(UnknownRequest, match="answered already"):
            await graph.ainvoke(Command(resume={request.id: said("again")}), THREAD)
        (second,) = (await graph.aget_state(THREAD)).interrupts
        result = await graph.ainvoke(Command(resume={second.id: said("two")}), THREAD)
        assert result["answer"] == "two"
        with pytest.raises(UnknownRequest):
            await graph.ainvoke(Command(resume={second.id: said("late")}), THREAD)


async def test_of_many_answers_at_once_exactly_one_wins(tmp_path: Path) -> None:
    async with saver_of("ours", tmp_path) as saver:
        graph = single.build(HumanAgent("person")).compile(checkpointer=saver, name="g")
        await graph.ainvoke({"task": "the task"}, THREAD)
        (request,) = (await graph.aget_state(THREAD)).interrupts
        answers = [graph.ainvoke(Command(resume={request.id: said(str(number))}), THREAD) for number in range(8)]
        results = await asyncio.gather(*answers, return_exceptions=True)
        won = [result for result in results if isinstance(result, dict)]
        assert len(won) == 1
        assert all(isinstance(result, ThreadBusy | UnknownRequest) for result in results if result not in won)
        assert (await graph.aget_state(THREAD)).values["answer"] == won[0]["answer"]


@every_saver
async def test_a_failed_run_is_taken_up_and_not_started_over(kind: str, tmp_path: Path) -> None:
    calls: list[str] = []

    async def first(task: str) -> str:
        calls.append("first")
        return "from first"

    async def second(task: str) -> str:
        calls.append("second")
        if calls.count("second") == 1:
            raise StorageUnavailable("gone for a moment")
        return "done"

    async with saver_of(kind, tmp_path) as saver:
        graph = sequential.build([first, second]).compile(checkpointer=saver, name="g")
        with pytest.raises(StorageUnavailable):
            await graph.ainvoke({"task": "the task"}, THREAD)
        assert (await graph.ainvoke({"task": "the task"}, THREAD))["answer"] == "done"
        assert calls == ["first", "second", "second"]


async def test_a_graph_that_lacks_the_node_a_thread_waits_in_is_refused(tmp_path: Path) -> None:
    async with saver_of("ours", tmp_path) as saver:

        async def drafts(task: str) -> str:
            return "a draft"

        before = sequential.build([drafts, HumanAgent("editor")]).compile(checkpointer=saver, name="g")
        await before.ainvoke({"task": "the task"}, THREAD)
        (request,) = (await before.aget_state(THREAD)).interrupts
        after = sequential.build([drafts, HumanAgent("chief")]).compile(checkpointer=saver, name="g")
        answers: list[Any] = [None, Command(resume={request.id: said("fine")})]
        for given in answers:
            with pytest.raises((GraphChanged, UnknownRequest)):
                await after.ainvoke(given, THREAD)
        with pytest.raises(GraphChanged, match="'editor'"):
            await after.ainvoke(None, THREAD)
        result = await before.ainvoke(Command(resume={request.id: said("fine")}), THREAD)
        assert result["answer"] == "fine"


async def test_two_people_at_once_may_be_answered_in_one_call(tmp_path: Path) -> None:
    async with saver_of("ours", tmp_path) as saver:
        graph = parallel.build([HumanAgent("a"), HumanAgent("b")]).compile(checkpointer=saver, name="g")
        await graph.ainvoke({"task": "the task"}, THREAD)
        open_requests = (await graph.aget_state(THREAD)).interrupts
        both = {request.id: said(request.value["action_requests"][0]["name"]) for request in open_requests}
        result = await graph.ainvoke(Command(resume=both), THREAD)
        assert result["status"] == "completed"


async def test_a_node_cut_off_between_its_update_and_its_edges_is_run_again(tmp_path: Path) -> None:
    """LangGraph stores half of what such a node wrote, and would end the thread there without a word."""

    async def worker(task: str) -> str:
        return f"did {task}"

    async with saver_of("ours", tmp_path) as saver:

        async def run_until(parts: int, thread: RunnableConfig) -> None:
            stream = plan_execute.build([worker], planner=planner).compile(checkpointer=saver, name="g")
            async with aclosing(stream.astream({"task": "the task"}, thread, subgraphs=True)) as source:
                for _ in range(parts):
                    if await anext(source, None) is None:
                        return

        async def planner(task: str) -> str:
            return json.dumps({"subtasks": [{"id": "a", "task": "a part", "agent": "worker"}]})

        for parts in range(1, 8):
            thread: RunnableConfig = {"configurable": {"thread_id": f"cut after {parts}"}}
            await run_until(parts, thread)
            graph = plan_execute.build([worker], planner=planner).compile(checkpointer=saver, name="g")
            result = await graph.ainvoke(None, thread)
            assert (result["status"], result["answer"]) == ("completed", "did a part")
