"""Storage that fails under a run, in every pattern: nothing begins any more, one error says what to do, nothing is lost."""

from __future__ import annotations

import asyncio
import os
import random
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from langchain_core.runnables import RunnableConfig

from crash_worker import TASK
from graphs import single
from rehearsal import PATTERNS, Bank, Points, rehearsed, watch
from state import Context
from state.errors import PersistenceError
from state.persistence import Persistence, open_persistence
from state.storage import recorder
from state.storage.database import Database
from state.storage.postgres import Server
from storage import connection_of, fresh_url

THREAD: RunnableConfig = {"configurable": {"thread_id": "t"}}
WHOLE: RunnableConfig = {"configurable": {"thread_id": "w"}}
"""The thread to which nothing happens."""
TELLING = ["single", "parallel", "supervisor", "handoff", "team_in_plan"]
"""Patterns that between them do everything that can be done while storage fails."""
SIDE_BY_SIDE = {"parallel", "map_reduce", "debate", "team_in_team", "team_in_plan"}
"""Patterns in which two agents work at once: the other may begin a call in the instant in which a commit fails; one call."""
FLIPS = 12
LONG = f"{TASK} {'There is no hurry. ' * 600}"
"""A task that is longer than a page: what a step stores fits nowhere but at the end of the file."""
Event = tuple[str, ...]
Undo = Callable[[], object]
Fault = Callable[[Persistence, Path, ExitStack], Undo]


class Show:
    """A pattern on a database that fails when a model is called, and what happened in which order."""

    def __init__(self, pattern: str, url: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.pattern, self.url, self.folder = pattern, url, folder
        self.events: list[Event] = []
        self.fail_at, self.calls = 0, 0
        self.fail: Callable[[], object] = lambda: None
        self.repair: Callable[[], object] = lambda: None
        """Done as soon as a commit has failed."""
        self.bank = Bank(str(folder / "bank.db"), Points(0))
        watch(Points(0), self.note, monkeypatch.setattr)
        for place, door in ((Database, "cursor"), (Server, "errors")):  # through which everything goes
            monkeypatch.setattr(place, door, self._watched(getattr(place, door)))

    def note(self, *event: str) -> None:
        """Note an event; the storage fails while the model is asked."""
        self.events.append(event)
        if event[0] == "asked":
            self.calls += 1
            if self.calls == self.fail_at:
                self.fail()

    def _watched(self, door: Any) -> Any:
        @contextmanager
        def watched(place: Any, **how: Any) -> Iterator[Any]:
            try:
                with door(place, **how) as opened:
                    yield opened
            except PersistenceError:
                self.events.append(("failed",))
                self.repair()
                raise

        return watched

    def graph(self, persistence: Persistence) -> tuple[Any, Context]:
        """Return the pattern, compiled, and the context to call it with."""
        builder, model = rehearsed(self.pattern, self.bank.tool("transactional"), self.note)
        return builder.compile(checkpointer=persistence.checkpointer, name=self.pattern), Context(model=model)

    def run(self, persistence: Persistence, given: Any, config: RunnableConfig) -> dict[str, Any]:
        """Run or resume a thread."""
        graph, context = self.graph(persistence)
        result: dict[str, Any] = graph.invoke(given, config, context=context)
        return {key: result[key] for key in ("answer", "status", "reason")} | {
            "outcomes": [(each["id"], each["status"], each["output"], each["usage"]) for each in result["outcomes"]]
        }

    def expect_a_stop(self, persistence: Persistence, at: int, fail: Callable[[], object]) -> None:
        """Run until the storage fails during a model call; check that nothing begins after it, and what is said."""
        self.fail_at, self.fail, self.calls = at, fail, 0
        self.events.clear()
        with pytest.raises(PersistenceError) as caught:
            self.run(persistence, {"task": LONG}, THREAD)
        assert (caught.value.location, caught.value.thread) == (persistence.location, "t")
        assert caught.value.remedy
        begun = [event for event in self.events[self.events.index(("failed",)) :] if event[0] == "asked"]
        assert len(begun) <= (1 if self.pattern in SIDE_BY_SIDE else 0), begun
        self.fail_at = 0

    def expect_nothing_lost(self, persistence: Persistence, whole: dict[str, Any]) -> None:
        """Take the thread up; check that it ends like one that nothing happened to, and that nothing is done twice."""
        with persistence.checkpointer.place.transaction(write=False) as execute:  # type: ignore[attr-defined]
            begun = execute("SELECT count(*) FROM checkpoints WHERE thread_id = 't'", ())[0][0]
        assert self.run(persistence, None if begun else {"task": LONG}, THREAD) == whole
        stored, again = set(), []
        for event in self.events:
            if event[0] == "stored":
                stored.add(event[1:])
            elif event[0] == "asked" and event[1:] in stored:
                again.append(event)
        assert again == []
        deposits: dict[str, list[str]] = {"t": [], "w": []}
        with self.bank.connect() as database:
            for account, what in database.execute("SELECT account, what FROM deposits ORDER BY what"):
                deposits[account].append(what)
        assert deposits["t"] == deposits["w"]

    def clear(self, persistence: Persistence) -> None:
        """Forget the thread and what it did."""
        persistence.delete_thread("t")
        with self.bank.connect() as database:
            database.execute("DELETE FROM deposits WHERE account = 't'")


@pytest.fixture
def show(kind: str, pattern: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Show]:
    with fresh_url(kind, tmp_path) as url:
        yield Show(pattern, f"{url}?timeout=0.05" if kind == "sqlite" else url, tmp_path, monkeypatch)


every_pattern = pytest.mark.parametrize("pattern", PATTERNS)
in_sqlite = pytest.mark.parametrize("kind", ["sqlite"])
in_postgres = pytest.mark.parametrize("kind", ["postgres"])


@in_sqlite
@every_pattern
def test_a_database_that_cannot_be_written_stops_the_run_at_any_call(show: Show) -> None:
    with open_persistence(show.url) as persistence:
        whole = show.run(persistence, {"task": LONG}, WHOLE)
        connection = connection_of(persistence)
        for at in range(1, show.calls + 1):
            show.expect_a_stop(persistence, at, lambda: connection.execute("PRAGMA query_only = ON"))
            connection.execute("PRAGMA query_only = OFF")
            show.expect_nothing_lost(persistence, whole)
            show.clear(persistence)


@in_sqlite
@every_pattern
def test_a_database_that_fails_once_stops_the_run_all_the_same(show: Show) -> None:
    with open_persistence(show.url) as persistence:
        whole = show.run(persistence, {"task": LONG}, WHOLE)
        connection = connection_of(persistence)
        show.repair = lambda: connection.execute("PRAGMA query_only = OFF")
        for at in range(1, show.calls + 1):
            show.expect_a_stop(persistence, at, lambda: connection.execute("PRAGMA query_only = ON"))
            show.expect_nothing_lost(persistence, whole)
            show.clear(persistence)


async def test_a_run_whose_last_events_cannot_be_stored_at_once_is_stopped_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing begins after the last agent that would look whether the storage has failed."""
    monkeypatch.setattr(recorder, "DELAY", 0.0)
    failed, opened = threading.Event(), Database.cursor

    @contextmanager
    def watched(place: Database, *, write: bool) -> Iterator[sqlite3.Cursor]:
        try:
            with opened(place, write=write) as cursor:
                yield cursor
        except PersistenceError:
            failed.set()
            raise

    async def patient(task: str) -> str:
        connection.execute("PRAGMA query_only = ON")
        while not failed.is_set():
            await asyncio.sleep(0)
        connection.execute("PRAGMA query_only = OFF")
        return "done"

    monkeypatch.setattr(Database, "cursor", watched)
    with open_persistence(tmp_path / "runs.db") as persistence:
        connection = connection_of(persistence)
        graph = single.build(patient).compile(checkpointer=persistence.checkpointer, name="patient")
        with pytest.raises(PersistenceError) as caught:
            await graph.ainvoke({"task": LONG}, THREAD)
        assert caught.value.thread == "t"
        assert (await graph.ainvoke(None, THREAD))["answer"] == "done"


def full(persistence: Persistence, path: Path, stack: ExitStack) -> Undo:
    """Let the file grow no more."""
    connection = connection_of(persistence)
    (pages,) = connection.execute("PRAGMA page_count").fetchone()
    connection.execute(f"PRAGMA max_page_count = {pages}")
    return lambda: connection.execute("PRAGMA max_page_count = 1000000")


def locked(persistence: Persistence, path: Path, stack: ExitStack) -> Undo:
    """Let another process write for too long."""
    other = stack.enter_context(closing(sqlite3.connect(path, isolation_level=None, check_same_thread=False)))
    other.execute("BEGIN IMMEDIATE")
    return lambda: other.execute("ROLLBACK")


def emptied(persistence: Persistence, path: Path, stack: ExitStack) -> Undo:
    """Take everything out of the file."""
    content = path.read_bytes()
    os.truncate(path, 0)
    return lambda: path.write_bytes(content)


def removed(persistence: Persistence, path: Path, stack: ExitStack) -> Undo:
    """Move the file away."""
    away = path.rename(path.with_name("away.db"))
    return lambda: away.rename(path)


def replaced(persistence: Persistence, path: Path, stack: ExitStack) -> Undo:
    """Put another file in its place."""
    away = path.rename(path.with_name("away.db"))
    path.write_bytes(away.read_bytes())
    return lambda: away.rename(path)


@in_sqlite
@pytest.mark.parametrize("pattern", TELLING)
@pytest.mark.parametrize("fault", [full, locked, emptied, removed, replaced])
def test_a_file_that_fails_stops_the_run_and_loses_nothing(show: Show, fault: Fault, tmp_path: Path) -> None:
    path, undo = tmp_path / "runs.db", list[Undo]()
    with open_persistence(show.url) as persistence, ExitStack() as stack:
        whole = show.run(persistence, {"task": LONG}, WHOLE)
        for at in (1, show.calls // 2, show.calls):
            show.expect_a_stop(persistence, at, lambda: undo.append(fault(persistence, path, stack)))
            undo.pop()()
            show.expect_nothing_lost(persistence, whole)
            show.clear(persistence)


@in_sqlite
@pytest.mark.parametrize("pattern", TELLING)
def test_a_run_is_not_taken_up_from_a_damaged_file_but_from_the_mended_one(show: Show, tmp_path: Path) -> None:
    """Bits flip while no process runs: the damage is named, did no harm, or is found by a check."""
    path, chance, refused = tmp_path / "runs.db", random.Random(5), 0
    with open_persistence(show.url) as persistence:
        whole = show.run(persistence, {"task": LONG}, WHOLE)
        connection = connection_of(persistence)
        show.expect_a_stop(persistence, show.calls - 1, lambda: connection.execute("PRAGMA query_only = ON"))
    sound, world, events = path.read_bytes(), (tmp_path / "bank.db").read_bytes(), list(show.events)
    for _ in range(FLIPS):
        damaged = bytearray(sound)
        for _ in range(40):
            damaged[chance.randrange(len(damaged))] ^= 1 << chance.randrange(8)
        path.write_bytes(damaged)
        try:
            with open_persistence(show.url) as persistence:
                result = show.run(persistence, None, THREAD)
            if result != whole:
                path.write_bytes(damaged)
                with open_persistence(show.url) as persistence:
                    persistence.check()
                raise AssertionError(f"the damage was not noticed, and changed the result: {result}")
        except PersistenceError as fault:
            assert fault.location == str(path)  # noqa: PT017  # most damage is noticed, some is harmless
            refused += 1
        for left in (path.with_name("runs.db-wal"), path.with_name("runs.db-shm")):
            left.unlink(missing_ok=True)
        (tmp_path / "bank.db").write_bytes(world)
    assert refused > FLIPS / 2
    path.write_bytes(sound)
    show.events[:] = events
    with open_persistence(show.url) as persistence:
        show.expect_nothing_lost(persistence, whole)


@in_postgres
@pytest.mark.parametrize("pattern", TELLING)
@pytest.mark.parametrize("table", ["checkpoints", "checkpoint_writes", "orchestra_effects"])
def test_a_server_whose_tables_fail_stops_the_run_and_loses_nothing(show: Show, table: str) -> None:
    def run_sql(statement: str) -> None:
        with psycopg.connect(show.url, autocommit=True) as connection:
            connection.execute(statement)

    psycopg = pytest.importorskip("psycopg")
    with open_persistence(show.url) as persistence:
        whole = show.run(persistence, {"task": LONG}, WHOLE)
        show.expect_a_stop(persistence, 1, lambda: run_sql(f"ALTER TABLE {table} RENAME TO hidden"))
        run_sql(f"ALTER TABLE hidden RENAME TO {table}")
        show.expect_nothing_lost(persistence, whole)
