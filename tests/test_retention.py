"""Retention: deleting threads, letting go of old checkpoints, and what a pruned database can still do."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from filelock import FileLock
from langgraph.checkpoint.sqlite import SqliteSaver

from cases import says
from graphs import sequential, single
from nodes import HumanAgent
from nodes.scripted import call
from orchestra import answer, fork, resume, start
from orchestra.__main__ import command
from state.errors import ConfigurationError, ThreadBusy
from state.loop import run_sync
from state.persistence import Persistence, Pruned, open_persistence
from state.storage.locks import _lock_file, thread_held
from state.storage.schema import TABLES
from storage import KINDS, fresh_url, on, talk_graph, texts
from tools import effect


@pytest.fixture(params=KINDS)
def persistence(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Persistence]:
    with fresh_url(request.param, tmp_path) as url, open_persistence(url) as opened:
        yield opened


def asking() -> Any:
    return sequential.build([HumanAgent("person")]).compile(name="asking")


def working() -> Any:
    async def worker(task: str) -> str:
        return f"did {task}"

    return single.build(worker).compile(name="working")


def names(persistence: Persistence) -> set[str]:
    return {info["thread"] for info in persistence.threads()}


# Deleting


def test_nothing_is_left_of_a_deleted_thread(persistence: Persistence) -> None:
    @effect
    def pay(amount: int) -> str:
        """Pay an amount."""
        return f"paid {amount}"

    graph = single.build(says("teller", *[call("pay", amount=5), "done"] * 2, tools=[pay])).compile(name="g")
    for thread in ("gone", "kept"):
        start(graph, persistence, "go", thread=thread)
    place, tables = persistence._parts.place, persistence._parts.checkpointer.tables
    persistence.delete_thread("gone")
    for table in (*tables, *TABLES):
        with place.transaction(write=False) as execute:
            left = {thread for (thread,) in execute(f"SELECT DISTINCT thread_id FROM {table}", ())}  # ours
        assert left in ({"kept"}, set()), table
    with place.transaction(write=False) as execute:
        assert execute("SELECT thread_id FROM orchestra_effects", ()) == [("kept",)]


@pytest.mark.parametrize("kind", ["delete", "prune"])
def test_a_thread_that_is_being_run_is_not_deleted(persistence: Persistence, kind: str) -> None:
    start(working(), persistence, "go", thread="t")

    async def while_it_runs() -> Pruned | None:
        async with thread_held(persistence.checkpointer, "t"):
            if kind == "prune":
                return await persistence.aprune(threads_older_than=timedelta(0))
            with pytest.raises(ThreadBusy):
                await persistence.adelete_thread("t")
            return None

    pruned = run_sync(while_it_runs())
    assert pruned is None or pruned.threads == 0
    assert resume(working(), persistence, "t").answer == "did go"


def test_no_lock_file_outlives_the_run_that_made_it(tmp_path: Path) -> None:
    with open_persistence(tmp_path / "runs.db") as persistence:
        graph = working()
        for number in range(3):
            start(graph, persistence, "go", thread=f"t{number}")
        assert list(tmp_path.glob("runs.db.locks/*")) == []
        left = _lock_file(str(tmp_path / "runs.db"), "t1")  # as a killed process leaves it
        left.touch()
        persistence.delete_thread("t1")
        assert not left.exists()


async def test_who_waited_for_a_lock_that_is_removed_does_not_hold_it_beside_the_next(tmp_path: Path) -> None:
    with open_persistence(tmp_path / "runs.db") as persistence:
        saver, path = persistence.checkpointer, _lock_file(str(tmp_path / "runs.db"), "t")
        async with thread_held(saver, "t"):
            waiting = FileLock(path, mode=0o600)
            descriptor = path.open("rb")  # opened before it is removed, as a waiting process has it
        with descriptor:
            async with thread_held(saver, "t"):
                with pytest.raises(TimeoutError):
                    await asyncio.to_thread(waiting.acquire, timeout=0)
        with waiting.acquire(timeout=0), pytest.raises(ThreadBusy):
            async with thread_held(saver, "t"):
                pass


# Pruning


def test_old_threads_go_with_all_they_have_and_those_that_wait_for_a_person_stay(persistence: Persistence) -> None:
    start(working(), persistence, "go", thread="done")
    start(asking(), persistence, "go", thread="waiting")
    talk_graph(checkpointer=persistence.checkpointer).invoke({"messages": ["hi"]}, on("called directly"))
    assert persistence.prune(threads_older_than=timedelta(hours=1))._replace(bytes=0) == (0, 0, 0, 0)
    assert names(persistence) == {"done", "waiting", "called directly"}
    pruned = persistence.prune(threads_older_than=timedelta(0))
    assert (pruned.threads, pruned.waiting, names(persistence)) == (2, 1, {"waiting"})
    assert answer(asking(), persistence, "waiting", "respond", message="here I am").answer == "here I am"
    assert persistence.prune(threads_older_than=timedelta(0)).threads == 1


def test_limiting_threads_alone_leaves_the_checkpoints_of_the_others(persistence: Persistence) -> None:
    start(asking(), persistence, "go", thread="t")
    count = len(persistence.lineage("t"))
    persistence.prune(threads_older_than=timedelta(0))
    assert len(persistence.lineage("t")) == count
    persistence.prune(threads_older_than=timedelta(hours=1), keep_last=1)
    assert len(persistence.lineage("t")) < count


def test_a_dry_run_counts_what_would_go_and_deletes_nothing(persistence: Persistence) -> None:
    for number in range(3):
        start(working(), persistence, "go", thread=f"t{number}")
    start(asking(), persistence, "go", thread="waiting")
    options: dict[str, Any] = {"keep_last": 1, "threads_older_than": timedelta(0)}
    before = {thread: len(persistence.lineage(thread)) for thread in names(persistence)}
    told = persistence.prune(**options, dry_run=True)
    assert {thread: len(persistence.lineage(thread)) for thread in names(persistence)} == before
    assert (told.threads, told.waiting, told.bytes) == (3, 1, 0)
    assert persistence.prune(**options)._replace(bytes=0) == told


def test_a_waiting_thread_is_answered_after_pruning_and_one_that_was_broken_off_goes_on(
    persistence: Persistence,
) -> None:
    start(asking(), persistence, "go", thread="waiting")
    fork(asking(), persistence, "waiting", at=1, to="broken off")
    persistence.prune(keep_last=1)
    assert answer(asking(), persistence, "waiting", "respond", message="yes").answer == "yes"
    assert resume(asking(), persistence, "broken off").status == "waiting"


@pytest.mark.parametrize(
    "options", [{"keep_last": 0}, {"older_than": timedelta(-1)}, {"threads_older_than": timedelta(-1)}]
)
def test_limits_that_leave_nothing_are_refused(persistence: Persistence, options: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match="prune: "):
        persistence.prune(**options)


def test_a_pruned_file_is_smaller_and_reads_the_same_with_stock_savers(tmp_path: Path) -> None:
    path = tmp_path / "runs.db"
    with open_persistence(path) as persistence:
        graph = talk_graph(checkpointer=persistence.checkpointer)
        for turn in range(120):
            graph.invoke({"messages": [f"{turn} ".ljust(2000, "x")]}, on("t"))
        said, size = texts(graph.get_state(on("t"))), path.stat().st_size
        freed = persistence.prune().bytes
    assert path.stat().st_size < size
    assert freed > 0
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert texts(talk_graph(checkpointer=SqliteSaver(connection)).get_state(on("t"))) == said


# The commands


def orchestra(*arguments: str, given: str | None = None) -> Result:
    return CliRunner().invoke(command, arguments, input=given)


TASK = "Say it. " * 300
"""Long enough for a deleted thread to free pages."""


@pytest.fixture
def threads() -> list[str]:
    for name in ("t1", "t2"):
        assert orchestra("run", "single", TASK, "--thread", name, "--model", "extractive").exit_code == 0
    return ["t1", "t2"]


def left() -> set[str]:
    return {info["thread"] for info in json.loads(orchestra("threads", "--json").stdout)}


def test_delete_asks_first_unless_it_is_told_not_to(threads: list[str]) -> None:
    refused = orchestra("delete", "t1", given="n\n")
    assert (refused.exit_code, left()) == (1, {"t1", "t2"})
    assert "t1  completed" in refused.stderr
    assert orchestra("delete", "t1", given="y\n").exit_code == 0
    assert left() == {"t2"}
    assert json.loads(orchestra("delete", "t2", "--yes", "--json").stdout) == {"deleted": ["t2"]}
    assert left() == set()


def test_delete_of_one_that_is_not_there_deletes_none(threads: list[str]) -> None:
    result = orchestra("delete", "t1", "t3", "--yes")
    assert (result.exit_code, left()) == (1, {"t1", "t2"})
    assert "no thread 't3'" in result.stderr


def test_delete_refuses_a_thread_that_is_being_run(threads: list[str]) -> None:
    lock = FileLock(_lock_file(str(Path(".orchestra/runs.db").resolve()), "t1"))
    with lock.acquire():
        result = orchestra("delete", "t1", "--yes")
    assert (result.exit_code, left()) == (1, {"t1", "t2"})
    assert "'t1' is in use by another run" in result.stderr


def test_prune_says_what_it_freed(threads: list[str]) -> None:
    told = orchestra("prune", "--threads-older-than", "0d", "--dry-run")
    assert told.stderr == "Would delete 0 checkpoints and 2 threads.\n"
    assert left() == {"t1", "t2"}
    assert orchestra("prune", "--older-than", "30d").stderr == "Deleted 0 checkpoints and 0 threads.\n"
    done = orchestra("prune", "--threads-older-than", "0d")
    assert done.stderr.startswith("Deleted 0 checkpoints and 2 threads; the database is ")
    assert left() == set()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "say what may go"),
        (["--keep-last", "0"], "keep-last"),
        (["--older-than", "soon"], "such as 30d; got 'soon'"),
        (["--keep-last", "1", "--db", "sqlite:///nowhere.db"], "there is no database"),
    ],
)
def test_prune_without_a_limit_or_a_database_is_a_usage_error(arguments: list[str], said: str) -> None:
    result = orchestra("prune", *arguments)
    assert (result.exit_code, said in result.stderr) == (2, True), result.output
