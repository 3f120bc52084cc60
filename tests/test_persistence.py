"""What every place promises: opening, records, memory, pruning and deleting."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from langgraph.graph import START, StateGraph
from langgraph.types import Command, interrupt
from typing_extensions import TypedDict

from state.errors import ConfigurationError, InvalidThreadId, StorageUnavailable
from state.events import Event
from state.messages import SNAPSHOT_EVERY
from state.persistence import Persistence, open_persistence
from storage import KINDS, Talk, fresh_url, on, reply, talk_graph, texts


@pytest.fixture(params=KINDS)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    with fresh_url(request.param, tmp_path) as url:
        yield url


@pytest.fixture
def persistence(url: str) -> Iterator[Persistence]:
    with open_persistence(url) as persistence:
        yield persistence


def event(thread: str, kind: str = "noted", **more: Any) -> Event:
    fields = {"run": "r", "agent": "writer", "step": "s", "parent": "", "seq": 1, "at": 5.0, "data": {"n": 1}}
    return {**fields, "thread": thread, "kind": kind, **more}  # type: ignore[typeddict-item]  # made from parts


async def test_it_is_a_context_manager_for_with_and_for_async_with(url: str) -> None:
    with open_persistence(url) as persistence:
        talk_graph(checkpointer=persistence.checkpointer).invoke({"messages": ["hi"]}, on("t"))
    async with open_persistence(url) as persistence:
        await talk_graph(checkpointer=persistence.checkpointer).ainvoke({"messages": ["hi"]}, on("t"))
        assert [each["thread"] for each in await persistence.athreads()] == ["t"]
    with pytest.raises(StorageUnavailable, match="closed"):
        persistence.threads()


async def test_using_a_saver_after_closing_raises_a_typed_error(url: str) -> None:
    async with open_persistence(url) as persistence:
        saver, store = persistence.checkpointer, persistence.store
    with pytest.raises(StorageUnavailable):
        saver.get_tuple(on("t"))  # type: ignore[arg-type]
    with pytest.raises(StorageUnavailable):
        await saver.aget_tuple(on("t"))  # type: ignore[arg-type]
    with pytest.raises(StorageUnavailable):
        await store.aget(("a",), "k")


async def test_nothing_blocks_the_event_loop(url: str) -> None:
    blockbuster = pytest.importorskip("blockbuster")

    async def reply_soon(state: Talk) -> dict[str, Any]:
        return {"messages": [("ai", "reply")]}

    with blockbuster.blockbuster_ctx():
        async with open_persistence(url) as persistence:
            builder: Any = StateGraph(Talk).add_node(reply_soon).add_edge(START, "reply_soon")
            graph = builder.compile(checkpointer=persistence.checkpointer, store=persistence.store)
            await graph.ainvoke({"messages": ["hi"]}, on("t"))
            assert len([state async for state in graph.aget_state_history(on("t"))]) == 3
            await persistence.store.aput(("a",), "k", {"v": 1})
            await persistence.arecord([event("t")])
            assert await persistence.athread("t")
            await persistence.aprune()
            await persistence.acheck()
            await persistence.adelete_thread("t")


def test_many_threads_may_open_it_at_the_same_time(url: str) -> None:
    persistences = [open_persistence(url) for _ in range(6)]
    start = threading.Barrier(len(persistences))
    faults: list[BaseException] = []

    def use(persistence: Persistence) -> None:
        start.wait()
        try:
            persistence.note_thread(f"t{id(persistence)}", name="x")
        except BaseException as fault:  # noqa: BLE001 - handed to the test
            faults.append(fault)

    threads = [threading.Thread(target=use, args=(each,)) for each in persistences]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = [len(each.threads()) for each in persistences]
    for each in persistences:
        each.close()
    assert faults == []
    assert found == [1 if url == "memory:" else 6] * 6


# Records and facts


async def test_events_come_back_in_order_and_from_where_one_left_off(persistence: Persistence) -> None:
    persistence.record([event("t", seq=1), event("other"), event("t", "decided", seq=2, data={"why": "ü\ud800\x00"})])
    await persistence.arecord([event("t", seq=3, data={"when": timedelta(1)})])
    persistence.record([])
    first, second, third = persistence.events("t")
    assert first == {**event("t", seq=1), "id": first["id"]}
    assert second["data"] == {"why": "ü\ud800\x00"}
    assert third["data"] == {"when": "1 day, 0:00:00"}
    assert await persistence.aevents("t", after=first["id"]) == [second, third]


def test_events_are_recorded_all_or_none(persistence: Persistence) -> None:
    with pytest.raises(StorageUnavailable):
        persistence.record([event("t"), event("t", agent=None)])
    assert persistence.events("t") == []


async def test_facts_about_a_thread_are_merged_and_listed(persistence: Persistence) -> None:
    persistence.note_thread("old", name="first")
    talk_graph(checkpointer=persistence.checkpointer).invoke({"messages": ["hi"]}, on("unnoted"))
    persistence.note_thread("t", name="Report", graph="review", status="running")
    await persistence.anote_thread("t", status="done", name=None, tags=["a"])
    thread = await persistence.athread("t")
    assert thread is not None
    assert {key: value for key, value in thread.items() if key not in ("created", "updated")} == {
        "thread": "t",
        "graph": "review",
        "status": "done",
        "tags": ["a"],
    }
    assert 0 < thread["created"] <= thread["updated"]
    assert [each["thread"] for each in persistence.threads()] == ["t", "unnoted", "old"]
    assert persistence.thread("nobody") is None
    with pytest.raises(InvalidThreadId):
        persistence.note_thread("", name="x")


# Long-term memory


def test_the_store_works_from_sync_code_and_from_several_loops(persistence: Persistence) -> None:
    store = persistence.store

    async def visit(name: str) -> None:
        await store.aput(("people", name), "facts", {"name": name})
        found = await asyncio.gather(*(store.aget(("people", name), "facts") for _ in range(5)))
        assert [item.value for item in found if item] == [{"name": name}] * 5

    asyncio.run(visit("ada"))
    asyncio.run(visit("grace"))
    assert {item.value["name"] for item in store.search(("people",))} == {"ada", "grace"}
    assert store.list_namespaces(prefix=("people",)) == [("people", "ada"), ("people", "grace")]
    store.delete(("people", "ada"), "facts")
    assert store.get(("people", "ada"), "facts") is None


def test_the_store_is_kept_with_the_rest(url: str) -> None:
    if url == "memory:":
        pytest.skip("memory ends with the process")
    with open_persistence(url) as persistence:
        persistence.store.put(("a",), "k", {"v": 1})
    with open_persistence(url) as persistence:
        item = persistence.store.get(("a",), "k")
        assert item is not None
        assert item.value == {"v": 1}


# Pruning and deleting


def test_a_pruned_conversation_reads_and_goes_on_as_before(persistence: Persistence) -> None:
    graph = talk_graph(checkpointer=persistence.checkpointer)
    for thread, turns in (("long", 130), ("short", 2)):
        for turn in range(turns):
            graph.invoke({"messages": [f"question {turn}"]}, on(thread))
    before = {thread: graph.get_state(on(thread)) for thread in ("long", "short")}
    removed = persistence.prune(keep_last=2)
    after = {thread: graph.get_state(on(thread)) for thread in ("long", "short")}
    assert {thread: texts(state) for thread, state in after.items()} == {t: texts(s) for t, s in before.items()}
    assert [message.id for message in after["long"].values["messages"]] == [
        message.id for message in before["long"].values["messages"]
    ]
    history = list(graph.get_state_history(on("long")))
    assert removed.checkpoints > 100
    assert len(history) == 3 * 130 - removed.checkpoints
    assert len(texts(history[1])) >= 259
    out = graph.invoke({"messages": ["more"]}, on("long"))
    assert texts(out)[-2:] == ["more", "reply 130"]
    forked = graph.update_state(history[1].config, {"messages": ["aside"]}, as_node="reply")
    assert texts(graph.get_state(forked)) == [*texts(history[1]), "aside"]


def test_every_checkpoint_that_pruning_leaves_can_be_read(persistence: Persistence) -> None:
    graph = talk_graph(checkpointer=persistence.checkpointer)
    for turn in range(SNAPSHOT_EVERY // 2 + 10):
        graph.invoke({"messages": [f"question {turn}"]}, on("t"))
    before = {state.config["configurable"]["checkpoint_id"]: texts(state) for state in graph.get_state_history(on("t"))}
    for keep_last in (90, 20, 1):
        persistence.prune(keep_last=keep_last)
        left = {s.config["configurable"]["checkpoint_id"]: texts(s) for s in graph.get_state_history(on("t"))}
        assert left == {id: before[id] for id in left}
    assert len(left) < len(before)


class Count(TypedDict, total=False):
    turns: int


def test_pruning_leaves_one_checkpoint_where_the_state_is_stored_whole(persistence: Persistence) -> None:
    def count(state: Count) -> Count:
        return {"turns": state["turns"] + 1}

    graph: Any = (
        StateGraph(Count).add_node(count).add_edge(START, "count").compile(checkpointer=persistence.checkpointer)
    )
    for _ in range(5):
        graph.invoke({"turns": 0}, on("t"))
    assert persistence.prune().checkpoints == 14
    assert persistence.prune().checkpoints == 0
    assert graph.get_state(on("t")).values == {"turns": 1}


def test_pruning_by_age_keeps_what_is_young(persistence: Persistence) -> None:
    graph = talk_graph(checkpointer=persistence.checkpointer)
    for _ in range(4):
        graph.invoke({"messages": ["hi"]}, on("t"))
    assert persistence.prune(older_than=timedelta(hours=1)).checkpoints == 0
    everything = len(list(graph.get_state_history(on("t"))))
    persistence.prune(older_than=timedelta(0), keep_last=everything)
    assert len(list(graph.get_state_history(on("t")))) == everything


def test_keeping_nothing_is_refused(persistence: Persistence) -> None:
    with pytest.raises(ConfigurationError, match="keep_last must be at least 1"):
        persistence.prune(keep_last=0)


def asking_graph(persistence: Persistence) -> Any:
    def ask(state: Talk) -> dict[str, Any]:
        return {"messages": [("ai", interrupt("how many?"))]}

    inner = StateGraph(Talk).add_node(reply).add_node(ask).add_edge(START, "reply").add_edge("reply", "ask")
    outer = StateGraph(Talk).add_node("team", inner.compile()).add_edge(START, "team")
    return outer.compile(checkpointer=persistence.checkpointer)


def test_an_open_question_in_a_nested_graph_can_be_answered_after_pruning(persistence: Persistence) -> None:
    graph = asking_graph(persistence)
    for answer in ("one", "two"):
        graph.invoke({"messages": ["hi"]}, on("t"))
        graph.invoke(Command(resume=answer), on("t"))
    graph.invoke({"messages": ["hi"]}, on("t"))
    persistence.prune()
    (question,) = graph.get_state(on("t")).interrupts
    out = graph.invoke(Command(resume={question.id: "three"}), on("t"))
    assert [text for text in texts(out) if text in ("one", "two", "three")] == ["one", "two", "three"]
    persistence.prune()
    namespaces = {
        each.config["configurable"]["checkpoint_ns"]
        for each in persistence.checkpointer.list(on("t"))  # type: ignore[arg-type]
    }
    assert len([namespace for namespace in namespaces if namespace]) <= 1


async def test_a_deleted_thread_is_gone_and_the_others_are_not(persistence: Persistence) -> None:
    graph = talk_graph(checkpointer=persistence.checkpointer)
    for thread in ("a", "b", "c"):
        graph.invoke({"messages": ["hi"]}, on(thread))
        persistence.record([event(thread)])
        persistence.note_thread(thread, name=thread)
    persistence.delete_thread("a")
    await persistence.adelete_thread("b", "never there")
    assert [each["thread"] for each in persistence.threads()] == ["c"]
    assert (texts(graph.get_state(on("a"))), persistence.events("b")) == ([], [])
    assert texts(graph.get_state(on("c"))) == ["hi", "reply 0"]
    assert len(persistence.events("c")) == 1


def test_a_copied_conversation_goes_its_own_way(persistence: Persistence) -> None:
    graph = talk_graph(checkpointer=persistence.checkpointer)
    for _ in range(60):
        graph.invoke({"messages": ["hi"]}, on("a"))
    persistence.checkpointer.copy_thread("a", "b")
    graph.invoke({"messages": ["only here"]}, on("b"))
    assert texts(graph.get_state(on("b"))) == [*texts(graph.get_state(on("a"))), "only here", "reply 60"]
    assert len(texts(graph.get_state(on("a")))) == 120


def test_deleting_a_run_in_the_middle_leaves_the_later_turns_whole(persistence: Persistence) -> None:
    graph = talk_graph(checkpointer=persistence.checkpointer)
    for run in ("one", "two", "three"):
        graph.invoke({"messages": [run]}, {**on("t"), "metadata": {"run_id": run}})
    persistence.checkpointer.delete_for_runs(["three"])
    assert texts(graph.get_state(on("t"))) == ["one", "reply 0", "two", "reply 1"]
    persistence.checkpointer.delete_for_runs(["one"])
    assert texts(graph.get_state(on("t"))) == ["one", "reply 0", "two", "reply 1"]
