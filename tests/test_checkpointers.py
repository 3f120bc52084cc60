"""Checkpointers of every kind: the public conformance suite, and what ours promise beyond it."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.checkpoint.base import id as generator
from langgraph.checkpoint.conformance import checkpointer_test, validate
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver
from pydantic import BaseModel

from state.errors import InvalidThreadId, PersistenceError, StorageUnavailable
from state.persistence import Persistence, open_persistence
from state.storage.savers import as_async_saver
from state.storage.serde import StrictSerializer
from storage import KINDS, fresh_schema, fresh_url, on, talk_graph, texts

DAY = 86_400 * 10**9


class Note(BaseModel):
    text: str


@pytest.fixture(params=KINDS)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    with fresh_url(request.param, tmp_path) as url:
        yield url


@pytest.fixture
def persistence(url: str) -> Iterator[Persistence]:
    with open_persistence(url) as persistence:
        yield persistence


def conforming(saver: BaseCheckpointSaver[Any]) -> Any:
    @checkpointer_test(name=type(saver).__name__)
    async def make() -> AsyncIterator[BaseCheckpointSaver[Any]]:
        yield saver

    return make


async def test_our_checkpointers_pass_the_whole_conformance_suite(persistence: Persistence) -> None:
    report = await validate(conforming(persistence.checkpointer))
    assert {name: result.failures for name, result in report.results.items() if not result.passed} == {}
    assert len(report.results) == 8


async def test_a_wrapped_stock_sqlite_saver_passes_the_base_of_the_conformance_suite(tmp_path: Path) -> None:
    with SqliteSaver.from_conn_string(str(tmp_path / "stock.db")) as stock:
        report = await validate(
            conforming(as_async_saver(stock)),
            capabilities={"put", "put_writes", "get_tuple", "list", "delete_thread"},
        )
    assert report.passed_all_base(), report.to_dict()


async def test_a_wrapped_stock_postgres_saver_passes_the_base_of_the_conformance_suite() -> None:
    with fresh_schema() as url:
        from langgraph.checkpoint.postgres import PostgresSaver

        with PostgresSaver.from_conn_string(url) as stock:
            stock.setup()
            report = await validate(
                conforming(as_async_saver(stock)), capabilities={"put", "get_tuple", "list", "prune"}
            )
    assert report.passed_all(), report.to_dict()


def test_one_saver_serves_sync_calls_and_several_event_loops(persistence: Persistence) -> None:
    graph = talk_graph(checkpointer=persistence.checkpointer)

    async def turn() -> None:
        await graph.ainvoke({"messages": ["async"]}, on("t"))

    graph.invoke({"messages": ["sync"]}, on("t"))
    asyncio.run(turn())
    asyncio.run(turn())
    assert texts(graph.get_state(on("t"))) == ["sync", "reply 0", "async", "reply 1", "async", "reply 2"]
    assert len(list(graph.get_state_history(on("t")))) == 9


async def test_sync_calls_work_inside_a_running_loop(persistence: Persistence) -> None:
    graph = talk_graph(checkpointer=persistence.checkpointer)
    graph.invoke({"messages": ["one"]}, on("t"))
    await graph.ainvoke({"messages": ["two"]}, on("t"))
    history = [texts(state) async for state in graph.aget_state_history(on("t"), limit=1)]
    assert history == [["one", "reply 0", "two", "reply 1"]]


async def test_many_threads_run_at_the_same_time(persistence: Persistence) -> None:
    graph = talk_graph(checkpointer=persistence.checkpointer)
    outs = await asyncio.gather(*(graph.ainvoke({"messages": [f"{n}"]}, on(f"t{n}")) for n in range(20)))
    assert [texts(out) for out in outs] == [[f"{n}", "reply 0"] for n in range(20)]


def test_a_stock_saver_and_ours_go_on_with_each_others_threads(tmp_path: Path) -> None:
    file = tmp_path / "runs.db"
    expected = list[str]()

    def turns(saver: BaseCheckpointSaver[Any], times: int) -> None:
        for _ in range(times):
            expected.extend([f"turn {len(expected)}", f"reply {len(expected) // 2}"])
            assert texts(talk_graph(checkpointer=saver).invoke({"messages": [expected[-2]]}, on("t"))) == expected

    for _ in range(2):
        with open_persistence(file) as persistence:
            turns(persistence.checkpointer, 12)
        with SqliteSaver.from_conn_string(str(file)) as stock:
            turns(stock, 2)


def test_a_stock_sync_saver_gets_async_methods_that_work_in_any_loop(tmp_path: Path) -> None:
    with SqliteSaver.from_conn_string(str(tmp_path / "stock.db")) as stock:
        graph = talk_graph(checkpointer=as_async_saver(stock))
        for word in ("one", "two"):
            asyncio.run(graph.ainvoke({"messages": [word]}, on("t")))
        graph.invoke({"messages": ["three"]}, on("t"))
        assert len(texts(talk_graph(checkpointer=stock).get_state(on("t")))) == 6


async def test_savers_whose_async_methods_work_come_back_unchanged(tmp_path: Path, persistence: Persistence) -> None:
    async with AsyncSqliteSaver.from_conn_string(str(tmp_path / "async.db")) as stock:
        for saver in (stock, InMemorySaver(), persistence.checkpointer):
            assert as_async_saver(saver) is saver


def test_a_wrapped_saver_keeps_its_serializer_when_types_are_allowed(tmp_path: Path) -> None:
    with SqliteSaver.from_conn_string(str(tmp_path / "stock.db")) as stock:
        stock.serde = StrictSerializer()
        wrapped = as_async_saver(stock).with_allowlist([(Note.__module__, Note.__name__)])
        value = wrapped.serde.loads_typed(stock.serde.dumps_typed(Note(text="x")))
    assert value == Note(text="x")


@pytest.mark.parametrize("thread", [None, "", "  ", 1, True])
def test_a_thread_id_that_is_not_a_text_is_refused(persistence: Persistence, thread: Any) -> None:
    config: Any = on(thread, checkpoint_ns="")
    with pytest.raises(InvalidThreadId, match="expected a non-empty string"):
        persistence.checkpointer.get_tuple(config)
    with pytest.raises(InvalidThreadId, match="expected a non-empty string"):
        persistence.checkpointer.put_writes(config, [("x", 1)], "task")


@pytest.mark.parametrize("step", [-DAY, DAY, -400 * DAY])
def test_no_turn_is_lost_when_the_clock_is_stepped_between_processes(
    persistence: Persistence, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    graph = talk_graph(checkpointer=persistence.checkpointer)
    graph.invoke({"messages": ["before"]}, on("t"))
    first = graph.get_state(on("t")).config
    start_a_process_with_another_clock(monkeypatch, step)
    graph.invoke({"messages": ["after"]}, on("t"))
    assert texts(graph.get_state(on("t"))) == ["before", "reply 0", "after", "reply 1"]
    start_a_process_with_another_clock(monkeypatch, 2 * step)
    graph.update_state(first, {"messages": ["forked"]}, as_node="reply")
    assert texts(graph.get_state(on("t"))) == ["before", "reply 0", "forked"]


def start_a_process_with_another_clock(monkeypatch: pytest.MonkeyPatch, step: int) -> None:
    import time

    now = time.time_ns()
    monkeypatch.setattr(generator, "time", SimpleNamespace(time_ns=lambda: now + step))
    monkeypatch.setattr(generator, "_last_v6_timestamp", None)


def test_a_checkpoint_that_would_sort_before_its_parent_is_refused(persistence: Persistence) -> None:
    graph = talk_graph(checkpointer=persistence.checkpointer)
    graph.invoke({"messages": ["hi"]}, on("t"))
    head = persistence.checkpointer.get_tuple(on("t"))  # type: ignore[arg-type]
    assert head is not None
    older: Any = {**head.checkpoint, "id": "0" + head.checkpoint["id"][1:]}
    with pytest.raises(PersistenceError, match="would be older"):
        persistence.checkpointer.put(head.config, older, head.metadata, {})


def test_a_forged_id_from_the_far_future_does_not_stop_other_threads(
    persistence: Persistence, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(generator, "_last_v6_timestamp", None)
    saver, config = persistence.checkpointer, on("forged", checkpoint_ns="")
    forged: Any = {**generator_checkpoint(), "id": "ffffffff-ffff-6fff-bfff-ffffffffffff"}
    saver.put(config, forged, {"source": "input", "step": 0, "parents": {}}, {})  # type: ignore[arg-type]
    assert saver.get_tuple(config) is not None  # type: ignore[arg-type]
    graph = talk_graph(checkpointer=saver)
    for _ in range(2):
        graph.invoke({"messages": ["hi"]}, on("t"))
    assert len(texts(graph.get_state(on("t")))) == 4


def generator_checkpoint() -> dict[str, Any]:
    return {
        "v": 4,
        "ts": "",
        "channel_values": {},
        "channel_versions": {},
        "versions_seen": {},
        "updated_channels": None,
    }


def test_types_that_are_not_allowed_come_back_as_plain_data(url: str) -> None:
    serde = StrictSerializer()
    assert serde.loads_typed(serde.dumps_typed(Note(text="x"))) == {"text": "x"}
    with open_persistence(url, allow=[Note]) as allowing:
        serde_allowing = allowing.checkpointer.serde
        assert serde_allowing.loads_typed(serde.dumps_typed(Note(text="x"))) == Note(text="x")


def test_a_wrapped_stock_saver_names_file_thread_and_remedy(tmp_path: Path) -> None:
    path = tmp_path / "stock.db"
    with closing(sqlite3.connect(path, timeout=0.05, check_same_thread=False)) as connection:
        graph = talk_graph(checkpointer=as_async_saver(SqliteSaver(connection)))
        graph.invoke({"messages": ["one"]}, on("t"))
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(StorageUnavailable, match="locked") as caught:
                graph.invoke({"messages": ["lost"]}, on("t"), durability="sync")
        assert (caught.value.location, caught.value.thread, bool(caught.value.remedy)) == (str(path), "t", True)
        assert texts(graph.invoke({"messages": ["two"]}, on("t"))) == ["one", "reply 0", "two", "reply 1"]


def test_a_wrapped_stock_saver_loses_no_turn_when_the_clock_is_set_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with SqliteSaver.from_conn_string(str(tmp_path / "stock.db")) as stock:
        graph = talk_graph(checkpointer=as_async_saver(stock))
        graph.invoke({"messages": ["before"]}, on("t"))
        first = graph.get_state(on("t")).config
        start_a_process_with_another_clock(monkeypatch, -DAY)
        graph.invoke({"messages": ["after"]}, on("t"))
        assert texts(graph.get_state(on("t"))) == ["before", "reply 0", "after", "reply 1"]
        start_a_process_with_another_clock(monkeypatch, -2 * DAY)
        graph.update_state(first, {"messages": ["forked"]}, as_node="reply")
        assert texts(graph.get_state(on("t"))) == ["before", "reply 0", "forked"]
