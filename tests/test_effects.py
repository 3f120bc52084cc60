"""Effects: what a tool does to the world happens once in a turn, and what is in doubt is never repeated silently."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import pytest
from langchain_core.runnables import RunnableConfig
from langchain_core.tools import ToolException
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.checkpoint.postgres import PostgresSaver
from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver
from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver
from langgraph.graph import END, START, StateGraph
from langgraph.types import Command

from cases import says
from graphs import handoff, parallel, sequential, single
from nodes import Agent, Policy
from nodes.node import agent_node
from nodes.scripted import call, calls
from nodes.turn import begin_node, brief_task
from state import ConfigurationError, StorageUnavailable, TaskState, open_persistence
from state.effects import Intent, MemoryLedger
from state.labels import without_lines
from state.storage.ledger import Ledger
from storage import fresh_schema, fresh_url
from tools import effect, effect_key, once
from tools.marks import Effect

THREAD: RunnableConfig = {"configurable": {"thread_id": "t"}}
STOCK = ("memory", "sqlite", "asyncsqlite", "postgres", "asyncpostgres")


@asynccontextmanager
async def saver_of(kind: str, folder: Path) -> AsyncIterator[Any]:
    """Give a checkpointer of a kind, stock ones by their names, ours as "ours" and "ours-postgres"."""
    if kind == "memory":
        yield InMemorySaver()
    elif kind == "sqlite":
        with SqliteSaver.from_conn_string(str(folder / "runs.db")) as saver:
            yield saver
    elif kind == "asyncsqlite":
        async with AsyncSqliteSaver.from_conn_string(str(folder / "runs.db")) as asynchronous:
            yield asynchronous
    elif kind == "postgres":
        with fresh_schema() as url, PostgresSaver.from_conn_string(url) as server:
            server.setup()
            yield server
    elif kind == "asyncpostgres":
        with fresh_schema() as url:
            async with AsyncPostgresSaver.from_conn_string(url) as remote:
                await remote.setup()
                yield remote
    else:
        with fresh_url("postgres" if kind == "ours-postgres" else "sqlite", folder) as url:
            async with open_persistence(url) as persistence:
                yield persistence.checkpointer


class Till:
    """Money that was paid, and a tool that pays it."""

    def __init__(self, **marks: Any) -> None:
        self.paid: list[int] = []
        self.tries = 0
        self.error: Callable[[], BaseException | None] = lambda: None

        def pay(amount: int) -> str:
            """Pay an amount."""
            self.tries += 1
            if (error := self.error()) is not None:
                raise error
            self.paid.append(amount)
            return f"paid {amount}, number {len(self.paid)}"

        self.tool = effect(pay, **marks)


def payer(till: Till, *steps: Any, **options: Any) -> Agent:
    return says("payer", *steps, tools=[till.tool], **options)


@contextmanager
def cut_after_the_effect(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Break every run off between the effect and its recorded result, as a kill there does."""
    with monkeypatch.context() as patched:

        def settle(*_: Any) -> None:
            raise StorageUnavailable("cut")

        patched.setattr(Ledger, "settle", settle)
        patched.setattr(MemoryLedger, "settle", settle)
        yield


def decision(graph: Any, kind: str, **more: Any) -> dict[str, Any]:
    (request,) = graph.get_state(THREAD).interrupts
    result: dict[str, Any] = graph.invoke(Command(resume={request.id: {"decisions": [{"type": kind, **more}]}}), THREAD)
    return result


@pytest.mark.parametrize("kind", ["none", *STOCK, "ours", "ours-postgres"])
async def test_the_same_call_is_made_once_in_a_turn_and_again_in_the_next(kind: str, tmp_path: Path) -> None:
    till = Till()
    agent = payer(till, call("pay", amount=5), call("pay", amount=5), "one", call("pay", amount=5), "two")
    if kind == "none":
        assert (await single.build(agent).compile(name="g").ainvoke({"task": "pay"}))["answer"] == "one"
        assert till.paid == [5]
        return
    async with saver_of(kind, tmp_path) as saver:
        graph = single.build(agent).compile(checkpointer=saver, name="g")
        assert (await graph.ainvoke({"task": "pay"}, THREAD))["answer"] == "one"
        assert till.paid == [5]
        assert (await graph.ainvoke({"task": "pay"}, THREAD))["answer"] == "two"
        assert till.paid == [5, 5]


def test_a_call_that_was_made_before_gives_what_it_gave_then() -> None:
    till = Till()
    agent = payer(till, call("pay", amount=5), call("pay", amount=5), "done")
    single.build(agent).compile(name="g").invoke({"task": "pay"})
    results = [without_lines(m.text) for m in agent.model.requests[-1].messages if m.type == "tool"]  # type: ignore[union-attr]
    assert results == ["paid 5, number 1", "paid 5, number 1"]


def test_other_arguments_are_another_effect_and_a_key_says_which_arguments_count() -> None:
    till = Till()
    steps = [calls(call("pay", amount=1), call("pay", amount=2)), "done"]
    single.build(payer(till, *steps)).compile(name="g").invoke({"task": "pay"})
    assert sorted(till.paid) == [1, 2]
    sent: list[str] = []

    @effect(key=["to"])
    def mail(to: str, text: str) -> str:
        """Send a mail."""
        sent.append(text)
        return "sent"

    both = calls(call("mail", to="a", text="one"), call("mail", to="a", text="the same in other words"))
    single.build(says("writer", both, "done", tools=[mail])).compile(name="g").invoke({"task": "mail"})
    assert len(sent) == 1
    assert Effect(key=lambda to, text: to).key_of("mail", {"to": "a", "text": "x"}) == Effect(
        key=lambda to, text: to
    ).key_of("mail", {"text": "y", "to": "a"})


def test_branches_members_of_teams_and_desks_that_want_the_same_do_it_once() -> None:
    till = Till()
    branches = parallel.build([says(n, call("pay", amount=5), "done", tools=[till.tool]) for n in ("a", "b", "c")])
    branches.compile(name="g").invoke({"task": "pay"})
    assert till.paid == [5]
    inner = sequential.build([says(n, call("pay", amount=7), "done", tools=[till.tool]) for n in ("x", "y")])
    sequential.build([inner.compile(name="team"), payer(till, call("pay", amount=7), "done")]).compile(name="g").invoke(
        {"task": "pay"}
    )
    assert till.paid == [5, 7]
    front = says("front", calls(call("pay", amount=9), call("transfer_to_back", reason="x")), tools=[till.tool])
    back = says("back", call("pay", amount=9), "done", tools=[till.tool])
    assert handoff.build([front, back]).compile(name="g").invoke({"task": "pay"})["answer"] == "done"
    assert till.paid == [5, 7, 9]


@pytest.mark.parametrize("kind", [*STOCK, "ours", "ours-postgres"])
async def test_an_effect_whose_result_was_not_recorded_is_put_to_a_person(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    till = Till()
    agent = payer(till, call("pay", amount=5), "done")
    async with saver_of(kind, tmp_path) as saver:
        graph = single.build(agent).compile(checkpointer=saver, name="g")
        with cut_after_the_effect(monkeypatch), pytest.raises(StorageUnavailable):
            await graph.ainvoke({"task": "pay"}, THREAD)
        await graph.ainvoke(None, THREAD)
        (request,) = (await graph.aget_state(THREAD)).interrupts
        assert till.paid == [5]
        (action,) = request.value["action_requests"]
        assert (action["name"], action["args"]) == ("pay", {"amount": 5})
        assert "not known whether it was carried out" in action["description"]
        answer = {"decisions": [{"type": "respond", "message": "It went through."}]}
        assert (await graph.ainvoke(Command(resume={request.id: answer}), THREAD))["answer"] == "done"
    assert till.paid == [5]
    assert without_lines(agent.model.requests[-1].messages[-1].text) == "It went through."  # type: ignore[union-attr]


@pytest.mark.parametrize(("kind", "paid"), [("approve", [5, 5]), ("reject", [5])])
def test_a_person_decides_whether_an_effect_in_doubt_is_carried_out(
    kind: str, paid: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    till = Till()
    agent = payer(till, call("pay", amount=5), call("pay", amount=5), "done")
    graph = single.build(agent).compile(checkpointer=InMemorySaver(), name="g")
    with cut_after_the_effect(monkeypatch), pytest.raises(StorageUnavailable):
        graph.invoke({"task": "pay"}, THREAD)
    graph.invoke(None, THREAD)
    assert decision(graph, kind)["answer"] == "done"
    assert till.paid == paid


def test_one_approval_of_an_effect_in_doubt_is_good_for_one_attempt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    till = Till()
    with open_persistence(f"sqlite:///{tmp_path}/runs.db") as persistence:
        graph = single.build(payer(till, call("pay", amount=5), "done")).compile(persistence.checkpointer, name="g")
        with cut_after_the_effect(monkeypatch), pytest.raises(StorageUnavailable):
            graph.invoke({"task": "pay"}, THREAD)
        graph.invoke(None, THREAD)
        with cut_after_the_effect(monkeypatch), pytest.raises(StorageUnavailable):
            decision(graph, "approve")
        assert till.paid == [5, 5]
        graph.invoke(None, THREAD)
        assert till.paid == [5, 5]
        assert decision(graph, "respond", message="twice")["answer"] == "done"
        assert till.paid == [5, 5]
        told = [(one.subject, one.outcome) for one in persistence.trail.records() if one.kind == "approval"]
        assert told == [("pay", "approve"), ("pay", "respond")]


@pytest.mark.parametrize("found", ["paid, says the bank", True, None, False])
@pytest.mark.parametrize("is_async", [False, True])
def test_a_tool_that_can_find_out_is_asked_before_any_person(
    found: Any, is_async: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Any] = []

    def reconcile(amount: int, key: str, args: dict[str, Any]) -> Any:
        asked.append((amount, len(key), args))
        return found

    async def areconcile(amount: int, key: str, args: dict[str, Any]) -> Any:
        return reconcile(amount, key, args)

    till = Till(reconcile=areconcile if is_async else reconcile)
    graph = single.build(payer(till, call("pay", amount=5), "done")).compile(InMemorySaver(), name="g")
    with cut_after_the_effect(monkeypatch), pytest.raises(StorageUnavailable):
        graph.invoke({"task": "pay"}, THREAD)
    assert graph.invoke(None, THREAD)["answer"] == "done"
    assert asked == [(5, 32, {"amount": 5})]
    assert till.paid == ([5] if found else [5, 5])


def test_a_person_is_asked_when_the_tool_cannot_find_out_either(monkeypatch: pytest.MonkeyPatch) -> None:
    def reconcile(**_: Any) -> Any:
        raise ConnectionError("the bank is closed")

    till = Till(reconcile=reconcile)
    graph = single.build(payer(till, call("pay", amount=5), "done")).compile(InMemorySaver(), name="g")
    with cut_after_the_effect(monkeypatch), pytest.raises(StorageUnavailable):
        graph.invoke({"task": "pay"}, THREAD)
    graph.invoke(None, THREAD)
    assert decision(graph, "respond", message="It did.")["answer"] == "done"
    assert till.paid == [5]


def test_a_transactional_tool_commits_with_its_key_and_pays_once_however_often_it_is_cut(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with sqlite3.connect(tmp_path / "shop.db") as shop:
        shop.execute("CREATE TABLE payments (amount INTEGER)")
    keys: list[str] = []

    @effect(transactional=True)
    def pay(amount: int) -> str:
        """Pay an amount."""
        keys.append(effect_key())
        with sqlite3.connect(tmp_path / "shop.db") as database:

            def work() -> str:
                database.execute("INSERT INTO payments VALUES (?)", (amount,))
                return "paid"

            said: str = once(database, work)
            return said

    graph = single.build(says("payer", call("pay", amount=5), "done", tools=[pay])).compile(InMemorySaver(), name="g")
    with cut_after_the_effect(monkeypatch):
        for given in ({"task": "pay"}, None, None):
            with pytest.raises(StorageUnavailable):
                graph.invoke(given, THREAD)
    assert graph.invoke(None, THREAD)["answer"] == "done"
    with sqlite3.connect(tmp_path / "shop.db") as shop:
        assert shop.execute("SELECT amount FROM payments").fetchall() == [(5,)]
    assert len(keys) == 4
    assert len(set(keys)) == 1


def test_a_transaction_that_fails_leaves_nothing_and_may_be_tried_again(tmp_path: Path) -> None:
    from tools.effects import carrying_out

    with sqlite3.connect(tmp_path / "shop.db") as database, carrying_out("k"):
        database.execute("CREATE TABLE payments (amount INTEGER)")
        database.commit()

        def work(error: bool) -> str:
            database.execute("INSERT INTO payments VALUES (5)")
            if error:
                raise ValueError("no")
            return "paid"

        with pytest.raises(ValueError, match="no"):
            once(database, lambda: work(error=True))
        assert [once(database, lambda: work(error=False)) for _ in range(2)] == ["paid", "paid"]
        assert database.execute("SELECT count(*) FROM payments").fetchone() == (1,)
    with pytest.raises(ConfigurationError, match="only a tool marked with `effect`"):
        effect_key()


def test_a_tool_that_says_it_did_nothing_may_be_called_again() -> None:
    till = Till()
    till.error = lambda: ToolException("not enough money") if till.tries == 1 else None
    graph = single.build(payer(till, call("pay", amount=5), call("pay", amount=5), "done")).compile(
        checkpointer=InMemorySaver(), name="g"
    )
    assert graph.invoke({"task": "pay"}, THREAD)["answer"] == "done"
    assert (till.tries, till.paid) == (2, [5])


@pytest.mark.parametrize("error", [ConnectionError("reset"), RuntimeError("who knows")])
def test_after_any_other_error_the_call_is_in_doubt_and_not_repeated(error: Exception) -> None:
    till = Till()
    till.error = lambda: error
    steps = [call("pay", amount=5), call("pay", amount=5), "done"]
    graph = single.build(payer(till, *steps)).compile(checkpointer=InMemorySaver(), name="g")
    graph.invoke({"task": "pay"}, THREAD)
    assert decision(graph, "reject", message="It went through.")["answer"] == "done"
    assert till.tries == 1
    till.tries = 0
    agent = payer(till, *steps)
    single.build(agent).compile(name="g").invoke({"task": "pay"})  # nobody can be asked
    assert till.tries == 1
    assert "not known whether pay was carried out" in agent.model.requests[-1].messages[-1].text  # type: ignore[union-attr]


async def test_a_call_that_was_given_up_may_still_go_on_so_it_is_not_made_again() -> None:
    begun: list[int] = []

    async def pay(amount: int) -> str:
        """Pay an amount."""
        begun.append(amount)
        await asyncio.Event().wait()
        return "never"

    tool = effect(pay, reconcile=lambda amount: None)
    agent = says(
        "payer", call("pay", amount=5), call("pay", amount=5), "done", tools=[tool], policy=Policy(timeout=0.05)
    )
    graph = single.build(agent).compile(checkpointer=InMemorySaver(), name="g")
    await graph.ainvoke({"task": "pay"}, THREAD)
    (request,) = (await graph.aget_state(THREAD)).interrupts
    assert begun == [5]
    assert request.value["action_requests"][0]["name"] == "pay"


async def test_wrong_arguments_are_no_effect(tmp_path: Path) -> None:
    till = Till()
    agent = payer(till, call("pay", amount="much"), call("pay", amount=5), "done")
    async with open_persistence(f"sqlite:///{tmp_path}/runs.db") as persistence:
        graph = single.build(agent).compile(checkpointer=persistence.checkpointer, name="g")
        assert (await graph.ainvoke({"task": "pay"}, THREAD))["answer"] == "done"
        with persistence._parts.place.transaction(write=False) as execute:
            assert execute("SELECT tool, arguments, status FROM orchestra_effects", ()) == [
                ("pay", '{"amount": 5}', "done")
            ]
    assert till.paid == [5]


def test_an_agent_in_a_graph_of_somebody_elses_keeps_its_effects_too(monkeypatch: pytest.MonkeyPatch) -> None:
    till = Till(reconcile=lambda amount: "found")
    builder: Any = StateGraph(TaskState)
    builder.add_node("begin", begin_node())
    builder.add_node("payer", agent_node(payer(till, call("pay", amount=5), "done"), brief_task("payer")))
    builder.add_edge(START, "begin")
    builder.add_edge("begin", "payer")
    builder.add_edge("payer", END)
    graph = builder.compile(checkpointer=InMemorySaver())
    with cut_after_the_effect(monkeypatch), pytest.raises(StorageUnavailable):
        asyncio.run(graph.ainvoke({"task": "pay"}, THREAD, durability="sync"))
    result = asyncio.run(graph.ainvoke(None, THREAD, durability="sync"))
    assert (result["outcomes"][0]["output"], till.paid) == ("done", [5])


def test_threads_and_turns_have_effects_of_their_own() -> None:
    def key(thread: str, turn: str) -> str:
        return Intent(thread, turn, "e", "pay", {}).key

    assert len({key("a", "1"), key("a", "2"), key("b", "1"), key("b", "2")}) == 4
    assert key("a", "1") == key("a", "1")


@pytest.mark.parametrize("wrong", ["amount", 5])
def test_marks_are_refused_where_they_cannot_hold(wrong: Any) -> None:
    with pytest.raises(ConfigurationError):
        effect(print, key=wrong) if isinstance(wrong, str) else effect(wrong)
