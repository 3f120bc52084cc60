"""The sync door: `invoke` and `stream` from any place, nested to any depth, end cleanly however they end."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import os
import signal
import threading
from collections.abc import AsyncGenerator, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from langchain.tools import ToolRuntime
from langchain_core.language_models import FakeListChatModel
from langchain_core.outputs import ChatResult
from langchain_core.runnables import RunnableLambda
from langchain_core.tools import tool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, MessagesState, StateGraph

from graphs import parallel, sequential, single
from nodes import Agent, ScriptedChatModel
from nodes.scripted import Step, call
from nodes.threads import in_thread, threaded
from state import Budget, Context
from state.loop import iterate_sync, run_sync

word: contextvars.ContextVar[str] = contextvars.ContextVar("word", default="nothing")


def graph_of(agent: Any, name: str = "outer") -> Any:
    return single.build(agent).compile(name=name)


def threads_of_ours() -> int:
    return sum(thread.name.startswith("orchestra") for thread in threading.enumerate())


async def tasks_on_this_loop() -> int:
    await asyncio.sleep(0)
    return len(asyncio.all_tasks())


async def items(closed: list[str], *, most: int = 1000) -> AsyncGenerator[int, None]:
    try:
        for number in range(most):
            yield number
            await asyncio.sleep(0)
    finally:
        await asyncio.sleep(0)
        closed.append("closed")


# --- from anywhere


def test_it_works_in_a_script() -> None:
    assert graph_of(ScriptedChatModel(["done"])).invoke({"task": "t"})["answer"] == "done"


async def test_it_works_in_a_running_loop() -> None:
    assert graph_of(ScriptedChatModel(["done"])).invoke({"task": "t"})["answer"] == "done"
    parts = list(graph_of(ScriptedChatModel(["done"])).stream({"task": "t"}, stream_mode="values"))
    assert parts[-1]["answer"] == "done"


def test_it_works_from_many_threads_at_once() -> None:
    start = threading.Barrier(8)

    def one(number: int) -> str:
        start.wait()
        model = ScriptedChatModel([Step(f"answer {number}", delay=0.01)])
        return str(graph_of(Agent("a", model=model)).invoke({"task": "t"})["answer"])

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(one, range(8))) == [f"answer {number}" for number in range(8)]


def test_many_runs_leave_no_thread_and_no_task_behind() -> None:
    graph = graph_of(Agent("a", model=ScriptedChatModel(["x"] * 120), tools=[]))
    graph.invoke({"task": "t"})
    threads, tasks = threads_of_ours(), run_sync(tasks_on_this_loop())
    for number in range(50):
        graph.invoke({"task": "t"})
        if number % 2:
            next(graph.stream({"task": "t"}))
    gc.collect()
    assert threads_of_ours() <= threads  # one that an earlier test left may have ended
    assert run_sync(tasks_on_this_loop()) == tasks


def test_context_variables_of_the_caller_are_visible_and_stay_the_callers() -> None:
    seen: list[str] = []

    async def look(task: str) -> str:
        seen.append(word.get())
        word.set("changed inside")
        return "looked"

    def look_from_thread(task: str) -> str:
        seen.append(word.get())
        return "looked"

    token = word.set("mine")
    try:
        graph_of(look).invoke({"task": "t"})
        list(graph_of(look_from_thread).stream({"task": "t"}))
        assert word.get() == "mine"
    finally:
        word.reset(token)
    assert seen == ["mine", "mine"]


# --- nested


def nested_in_async_function(inner: Any) -> Any:
    async def caller(task: str) -> str:
        return str(inner.invoke({"task": task})["answer"])  # blocks its loop, as people do

    return caller


def nested_in_sync_function(inner: Any) -> Any:
    def caller(task: str) -> str:
        return str(inner.invoke({"task": task})["answer"])

    return caller


def nested_stream(inner: Any) -> Any:
    async def caller(task: str) -> str:
        return str(list(inner.stream({"task": task}, stream_mode="values"))[-1]["answer"])

    return caller


def nested_in_tool(inner: Any) -> Any:
    @tool
    def ask_inner(question: str) -> str:
        """Ask."""
        return str(inner.invoke({"task": question})["answer"])

    model = ScriptedChatModel([call("ask_inner", question="q"), lambda messages: str(messages[-1].text)])
    return Agent("caller", model=model, tools=[ask_inner])


NESTED: list[Callable[[Any], Any]] = [nested_in_async_function, nested_in_sync_function, nested_stream, nested_in_tool]
every_nesting = pytest.mark.parametrize("nest", NESTED)


@every_nesting
def test_a_nested_run_works_from_the_sync_door(nest: Callable[[Any], Any]) -> None:
    inner = graph_of(Agent("inner", model=ScriptedChatModel(["from inside"])), "inner")
    result = graph_of(nest(inner)).invoke({"task": "t"}, context=Context(max_concurrency=1))
    assert (result["answer"], result["status"]) == ("from inside", "completed")


@every_nesting
async def test_a_nested_run_works_from_a_loop_of_the_callers(nest: Callable[[Any], Any]) -> None:
    inner = graph_of(Agent("inner", model=ScriptedChatModel(["from inside"])), "inner")
    result = await graph_of(nest(inner)).ainvoke({"task": "t"}, context=Context(max_concurrency=1))
    assert (result["answer"], result["status"]) == ("from inside", "completed")


@pytest.mark.parametrize("first", NESTED)
@pytest.mark.parametrize("second", NESTED)
def test_nesting_goes_to_any_depth(first: Callable[[Any], Any], second: Callable[[Any], Any]) -> None:
    inner = graph_of(Agent("inner", model=ScriptedChatModel(["from inside"])), "inner")
    third = graph_of(first(graph_of(second(inner), "middle")), "third")
    result = graph_of(nested_in_async_function(third)).invoke({"task": "t"})
    assert (result["answer"], result["status"]) == ("from inside", "completed")


@every_nesting
async def test_the_budget_of_a_run_holds_for_what_it_calls_in_turn(nest: Callable[[Any], Any]) -> None:
    model = ScriptedChatModel(["one", "two"])
    team = sequential.build([Agent("a", model=model), Agent("b", model=model)]).compile(name="team")
    context = Context(budget=Budget(model_calls=2 if nest is nested_in_tool else 1))
    result = await graph_of(nest(team)).ainvoke({"task": "t"}, context=context)
    assert len(model.requests) == 1
    (outcome,) = result["outcomes"]
    assert outcome["usage"]["model_calls"] == (2 if nest is nested_in_tool else 1)


def test_functions_that_call_agents_do_not_take_all_places_and_wait_forever() -> None:
    """Eight functions hold all eight places, and each calls an agent that needs one."""

    def caller(number: int) -> Any:
        inner = graph_of(Agent("inner", model=ScriptedChatModel(["from inside"])), "inner")

        async def ask(task: str) -> str:
            return str((await inner.ainvoke({"task": task}))["answer"])

        ask.__name__ = f"ask{number}"
        return ask

    agents = [caller(number) for number in range(8)]
    result = parallel.build(agents).compile(name="p").invoke({"task": "t"}, context=Context(max_concurrency=2))
    assert [outcome["status"] for outcome in result["outcomes"]] == ["ok"] * 8


class CountingModel(FakeListChatModel):
    """Counts how many of its calls are in flight."""

    responses: list[str] = ["x"]  # noqa: RUF012  # a field of a model
    working: int = 0
    most: int = 0

    async def _agenerate(self, *args: Any, **kwargs: Any) -> ChatResult:
        self.working += 1
        self.most = max(self.most, self.working)
        await asyncio.sleep(0.002)
        self.working -= 1
        return await super()._agenerate(*args, **kwargs)


@pytest.mark.parametrize("width", [1, 3])
def test_calls_in_flight_are_never_more_than_the_run_has_places_for(width: int) -> None:
    model = CountingModel()

    def team(number: int) -> Any:
        agents = parallel.build([Agent("a", model=model), Agent("b", model=model)]).compile(name="pair")
        if number % 2:
            return single.build(agents).compile(name=f"team{number}")

        async def ask(task: str) -> str:
            return str((await agents.ainvoke({"task": task}))["answer"])

        ask.__name__ = f"ask{number}"
        return ask

    graph = parallel.build([team(number) for number in range(8)]).compile()
    result = graph.invoke({"task": "t"}, context=Context(max_concurrency=width))
    assert result["status"] == "completed"
    assert model.most == width


# --- however they end


class Unusual(BaseException):
    """Nothing that anybody expects."""


def raising(error: BaseException, *, sync: bool) -> Any:
    def fail(task: str) -> str:
        raise error

    async def afail(task: str) -> str:
        raise error

    return fail if sync else afail


@pytest.mark.parametrize("sync", [True, False])
@pytest.mark.parametrize("error", [KeyboardInterrupt(), Unusual()])
def test_what_is_no_exception_reaches_the_caller_and_the_door_stays_open(error: BaseException, sync: bool) -> None:
    assert_it_reaches_the_caller(error, graph_of(raising(error, sync=sync)))


@pytest.mark.parametrize("sync", [True, False])
def test_a_graph_of_others_that_exits_reaches_the_caller_and_the_door_stays_open(sync: bool) -> None:
    """A tool or a function that exits fails instead: see `test_foreign_tools.py`."""
    error = SystemExit(3)
    theirs = StateGraph(MessagesState).add_node("leave", raising(error, sync=sync)).add_edge(START, "leave")
    assert_it_reaches_the_caller(error, graph_of(theirs.compile(name="theirs")))


def assert_it_reaches_the_caller(error: BaseException, graph: Any) -> None:
    with pytest.raises(type(error)):
        graph.invoke({"task": "t"})
    with pytest.raises(type(error)):
        list(graph.stream({"task": "t"}))
    assert graph_of(ScriptedChatModel(["still there"])).invoke({"task": "t"})["answer"] == "still there"


def test_what_a_node_raises_reaches_the_caller() -> None:
    with pytest.raises(ValueError, match="expected text in `task`"):
        graph_of(ScriptedChatModel([])).invoke({})
    with pytest.raises(ValueError, match="expected text in `task`"):
        list(graph_of(ScriptedChatModel([])).stream({}))


def test_ctrl_c_ends_the_run_before_it_is_raised_and_keeps_what_was_finished() -> None:
    ended: list[str] = []

    async def stuck(task: str) -> str:
        threading.Timer(0.02, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
        try:
            await asyncio.sleep(60)
        finally:
            await asyncio.sleep(0.01)
            ended.append("cleaned up")
        return "never"

    graph = sequential.build([ScriptedChatModel(["first"]), stuck]).compile(InMemorySaver(), name="g")
    config: Any = {"configurable": {"thread_id": "t"}}
    with pytest.raises(KeyboardInterrupt):
        graph.invoke({"task": "t"}, config, context=Context())
    assert ended == ["cleaned up"]
    assert [outcome["output"] for outcome in graph.get_state(config).values["outcomes"]] == ["first"]
    ended.clear()
    with pytest.raises(KeyboardInterrupt):
        list(graph.stream(None, config))
    assert ended == ["cleaned up"]


def test_closing_a_stream_early_ends_the_run_before_close_returns() -> None:
    ended: list[str] = []

    async def slow(task: str) -> str:
        try:
            await asyncio.sleep(60)
        finally:
            ended.append("cancelled")
        return "never"

    fine = Agent("fine", model=ScriptedChatModel(["fine"]))
    graph = parallel.build([slow, fine]).compile(name="p")
    stream = graph.stream({"task": "t"}, stream_mode="custom")
    assert next(stream)["kind"] == "agent_started"
    stream.close()
    assert ended == ["cancelled"]
    stream.close()
    assert list(stream) == []


async def test_closing_an_async_stream_early_ends_the_run_before_aclose_returns() -> None:
    ended: list[str] = []

    async def slow(task: str) -> str:
        try:
            await asyncio.sleep(60)
        finally:
            ended.append("cancelled")
        return "never"

    stream = graph_of(slow).astream({"task": "t"}, stream_mode="custom")
    assert (await anext(stream))["kind"] == "agent_started"
    await stream.aclose()
    assert ended == ["cancelled"]


def test_a_stream_runs_no_further_than_it_is_asked_for() -> None:
    ran: list[str] = []

    def named(name: str) -> Any:
        async def agent(task: str) -> str:
            ran.append(name)
            return name

        agent.__name__ = name
        return agent

    stream = sequential.build([named("a"), named("b"), named("c")]).compile(name="s").stream({"task": "t"})
    for part in stream:
        if "a" in part:
            break
    stream.close()
    assert ran == ["a"]


def test_an_iterator_closes_its_source_however_it_ends() -> None:
    closed: list[str] = []
    assert list(iterate_sync(items(closed, most=3))) == [0, 1, 2]
    early = iterate_sync(items(closed))
    assert next(early) == 0
    early.close()
    assert closed == ["closed"] * 2
    with pytest.raises(StopIteration):
        next(early)
    dropped = iterate_sync(items(closed))
    assert next(dropped) == 0
    del dropped
    gc.collect()
    assert closed == ["closed"] * 3
    unused = iterate_sync(items(closed))
    unused.close()


async def test_an_iterator_works_inside_a_loop_and_leaves_it_free_between_items() -> None:
    closed: list[str] = []
    ticks: list[int] = []

    async def tick() -> None:
        ticks.append(1)

    for number in iterate_sync(items(closed, most=3)):
        await asyncio.create_task(tick())
        assert len(ticks) == number + 1
    assert closed == ["closed"]


def test_a_loop_that_is_blocked_is_never_waited_for() -> None:
    """Sync code on the door's own thread starts work, whose sync code starts work: each gets a loop that is free."""

    async def down(depth: int) -> int:
        return 0 if depth == 0 else 1 + run_sync(down(depth - 1))

    before = threads_of_ours()
    assert run_sync(down(4)) == 4
    for thread in threading.enumerate():
        if thread.name == "orchestra-nested-sync":
            thread.join(timeout=5)
    assert threads_of_ours() <= max(before, 1)


# --- sync functions


def test_sync_code_that_waits_holds_up_nobody_else() -> None:
    """More tools and functions wait than any pool has threads, for one that comes last."""
    release = threading.Event()

    @tool
    def stuck_tool() -> str:
        """Wait for the last one."""
        return f"released: {release.wait(20)}"

    @tool
    def last_tool() -> str:
        """Let the others go."""
        release.set()
        return "last"

    def stuck_function(task: str) -> str:
        return f"released: {release.wait(20)}"

    def user_of(used: Any, name: str) -> Agent:
        model = ScriptedChatModel([call(used.name), lambda messages: str(messages[-1].text)])
        return Agent(name, model=model, tools=[used])

    functions: list[Any] = [RunnableLambda(stuck_function, name="function"), stuck_function]
    agents = [user_of(stuck_tool, f"stuck{number}") for number in range(40)]
    graph = parallel.build([*functions, *agents, user_of(last_tool, "last")]).compile(name="p")
    result = graph.invoke({"task": "t"}, context=Context(max_concurrency=100))
    said = {outcome["agent"]: outcome["output"] for outcome in result["outcomes"]}
    assert said.pop("last") == "last"
    assert list(said.values()) == ["released: True"] * 42


async def test_a_sync_function_gets_the_arguments_it_asks_for_and_its_errors_arrive() -> None:
    def add(a: int, *, b: int) -> int:
        return a + b

    def stop() -> None:
        raise StopIteration("enough")

    assert await in_thread(add, 1, b=2) == 3
    with pytest.raises(RuntimeError, match="StopIteration"):
        await in_thread(stop)


def test_a_sync_tool_keeps_its_schema_and_what_is_injected_into_it() -> None:
    @tool
    def remember(text: str, runtime: ToolRuntime[Any, Any], times: int = 1) -> str:
        """Remember a text."""
        return f"{text * times} on {threading.current_thread().name} for call {runtime.tool_call_id}"

    async def already_async() -> str:
        """Do nothing."""
        return ""

    made = threaded(remember)
    assert made.args == remember.args
    assert threaded(already_async).name == "already_async"
    assert threaded(made).args == remember.args
    model = ScriptedChatModel([call("remember", text="ab", times=2), lambda messages: str(messages[-1].text)])
    answer = graph_of(Agent("a", model=model, tools=[remember])).invoke({"task": "t"})["answer"]
    assert answer.startswith("abab on orchestra remember for call call_")
