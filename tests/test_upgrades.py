"""Upgrades: threads that earlier versions saved go on to their end, or are refused with the reason; none ends without a word."""

from __future__ import annotations

import json
import operator
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Annotated, Any

import pytest
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.graph import START
from langgraph.types import Command, interrupt

from graphs.registry import REGISTRY
from make_threads import CUT, DATA, TASK, take_up
from orchestra import resume, threads
from state import open_persistence
from state.errors import GraphChanged, StorageForeign, UnknownRequest
from state.graph import PatternBuilder
from state.messages import Messages
from state.storage.datafile import VERSION
from state.task import TaskState
from storage import talk_graph, texts

VERSIONS = sorted(folder.name for folder in DATA.iterdir())
SAVED = [
    (version, thread)
    for version in VERSIONS
    for thread in json.loads((DATA / version / "threads.json").read_text(encoding="utf-8"))
]
THREAD: RunnableConfig = {"configurable": {"thread_id": "t"}}


def copy_of(version: str, folder: Path) -> Path:
    """Return a copy of the threads that a version saved: git does not keep who may read a file."""
    path = folder / "threads.db"
    shutil.copy(DATA / version / "threads.db", path)
    return path


def test_every_pattern_has_a_saved_thread_that_waits_and_one_that_was_interrupted() -> None:
    patterns = {name for name, entry in REGISTRY.items() if not entry.is_team}
    assert set(CUT) == patterns
    newest = {thread for version, thread in SAVED if version == VERSIONS[-1]}
    assert newest == {f"{name} {state}" for name in patterns for state in ("waiting", "interrupted")}


@pytest.mark.parametrize(("version", "thread"), SAVED)
async def test_a_saved_thread_is_taken_up_and_comes_to_what_it_had_to(
    version: str, thread: str, tmp_path: Path
) -> None:
    saved = json.loads((DATA / version / "threads.json").read_text(encoding="utf-8"))[thread]
    async with open_persistence(copy_of(version, tmp_path)) as persistence:
        result = await take_up(thread, saved["left"], persistence)
        assert (result.status, result.answer) == ("completed", saved["answer"])
        assert {each["status"] for each in result.outcomes} == {"ok"}


@pytest.mark.parametrize("version", VERSIONS)
def test_saved_threads_are_listed_as_they_were_left(version: str, tmp_path: Path) -> None:
    with open_persistence(copy_of(version, tmp_path)) as persistence:
        persistence.check()
        found = {info.thread: info for info in threads(persistence)}
    assert set(found) == {thread for saved, thread in SAVED if saved == version}
    assert {info.task for info in found.values()} == {TASK}
    for thread, info in found.items():
        assert info.status == ("waiting" if thread.endswith("waiting") else "unfinished")


# A graph that changed under its threads


def asking(seen: Any = int, *, name: str = "ask", value: Any = 5, channel: str = "seen") -> Any:
    """Return the builder of a graph that sees something and asks about it."""
    state = type(
        "State", (TaskState,), {"__annotations__": {channel: seen}, "__module__": __name__, "__total__": False}
    )

    async def see(state: TaskState) -> dict[str, Any]:
        return {channel: value}

    async def ask(state: TaskState) -> dict[str, Any]:
        return {"answer": f"{interrupt('well?')} {state.get(channel)}"}

    builder = PatternBuilder(state).add_node("see", see).add_node(name, ask)
    return builder.add_edge(START, "see").add_edge("see", name)


Numbers = Annotated[list[int], operator.add]


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        (asking(), asking(name="inquire"), "waits in 'ask', which the graph no longer has"),
        (asking(), asking(channel="heard"), "has 'seen' in its state, which the graph no longer has"),
        (asking(), asking(Numbers, value=[5]), "has 'seen' in its state, of another type than the graph's"),
        (asking(Numbers, value=[5]), asking(), "has 'seen' in its state, of another type"),
        (asking(str, value="five"), asking(float), "has 'seen' in its state, of another type"),
        (
            asking(Messages, value="hi"),
            asking(channel="heard"),
            "has 'seen' in its state, which the graph no longer has",
        ),
        (asking(Messages, value="hi"), asking(list, value=[]), "has 'seen' in its state, of another type"),
    ],
)
async def test_a_graph_that_changed_under_a_waiting_thread_is_refused_and_the_thread_stays(
    before: Any, after: Any, said: str
) -> None:
    saver = InMemorySaver()
    old, new = before.compile(saver, name="g"), after.compile(saver, name="g")
    await old.ainvoke({"task": "go"}, THREAD)
    (request,) = (await old.aget_state(THREAD)).interrupts
    with pytest.raises(GraphChanged, match=said):
        await new.ainvoke(None, THREAD)
    with pytest.raises((GraphChanged, UnknownRequest)):
        await new.ainvoke(Command(resume={request.id: "well"}), THREAD)
    result = await old.ainvoke(Command(resume={request.id: "well"}), THREAD)
    assert result["answer"].startswith("well ")


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (asking(), asking(float)),
        (asking(), asking(int | None)),
        (asking(list, value=[5]), asking(Numbers, value=[6])),
        (asking(), asking(Any)),
    ],
)
async def test_a_change_that_the_saved_state_fits_is_none(before: Any, after: Any) -> None:
    saver = InMemorySaver()
    old, new = before.compile(saver, name="g"), after.compile(saver, name="g")
    await old.ainvoke({"task": "go"}, THREAD)
    (request,) = (await old.aget_state(THREAD)).interrupts
    assert (await new.ainvoke(Command(resume={request.id: "well"}), THREAD))["answer"].startswith("well ")


# A database of another version


def set_version(path: Path, version: int, *statements: str) -> None:
    with closing(sqlite3.connect(path)) as connection:
        for statement in (*statements, f"PRAGMA user_version = {version}"):
            connection.execute(statement)
        connection.commit()


@pytest.mark.parametrize("version", VERSIONS)
def test_tables_that_an_older_version_did_not_have_are_added(version: str, tmp_path: Path) -> None:
    path = copy_of(version, tmp_path)
    set_version(path, 0, "DROP TABLE orchestra_effects", "DROP TABLE orchestra_events")
    with open_persistence(path) as persistence:
        assert persistence.events("single waiting") == []
        assert {info.status for info in threads(persistence)} == {"waiting", "unfinished"}
        graph = REGISTRY["single"].load().build().compile(name="single")
        with pytest.raises(Exception, match="model object"):
            resume(graph, persistence, "single waiting")


@pytest.mark.parametrize("version", VERSIONS)
def test_a_database_of_a_newer_version_is_refused_and_left_as_it_is(version: str, tmp_path: Path) -> None:
    path = copy_of(version, tmp_path)
    set_version(path, VERSION + 1)
    before = path.read_bytes()
    with pytest.raises(StorageForeign, match=f"has version {VERSION + 1}, and this Orchestra knows versions up to"):
        open_persistence(path).threads()
    assert path.read_bytes() == before


def test_a_thread_of_a_stock_saver_goes_on_here_and_goes_back(tmp_path: Path) -> None:
    path = tmp_path / "runs.db"
    with SqliteSaver.from_conn_string(str(path)) as stock:
        for turn in range(12):
            talk_graph(checkpointer=stock).invoke({"messages": [f"stock {turn}"]}, THREAD)
    with open_persistence(path) as persistence:
        for turn in range(12):
            talk_graph(checkpointer=persistence.checkpointer).invoke({"messages": [f"ours {turn}"]}, THREAD)
    with SqliteSaver.from_conn_string(str(path)) as stock:
        said = texts(talk_graph(checkpointer=stock).invoke({"messages": ["stock again"]}, THREAD))
    asked = [f"stock {turn}" for turn in range(12)] + [f"ours {turn}" for turn in range(12)] + ["stock again"]
    assert said[::2] == asked
    assert said[1::2] == [f"reply {turn}" for turn in range(25)]
