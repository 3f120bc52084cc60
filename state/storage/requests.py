"""Keep when each open request was made first, so that its age and its time to expire outlive whoever asks it again.

A paused node asks again each time its thread is taken up, and a checkpoint only tells when its step began. Rows are written when
a run ends waiting. Beside it: which request a run answered whose answer came without an id. Written once for every database:
plain SQL, JSON as text. Rows go with their thread.
"""

# ruff: noqa: S608 - the texts are our own constants, and every value is a parameter

from __future__ import annotations

import time
from collections.abc import Collection, Mapping
from typing import Any
from weakref import WeakKeyDictionary

from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.checkpoint.serde.types import INTERRUPT

from state.errors import PersistenceError
from state.redaction import redact
from state.requests import Asked, AskedBook
from state.storage.columns import read, read_json, write_json
from state.storage.doors import Worker
from state.storage.ledgers import place_in
from state.storage.place import Place

TABLES = ("orchestra_requests", "orchestra_answers")

SCHEMA = (
    """CREATE TABLE IF NOT EXISTS orchestra_requests (
        thread_id TEXT NOT NULL, id TEXT NOT NULL, asked DOUBLE PRECISION NOT NULL,
        about TEXT NOT NULL, decided TEXT NOT NULL,
        PRIMARY KEY (thread_id, id)
    )""",
    """CREATE TABLE IF NOT EXISTS orchestra_answers (
        thread_id TEXT NOT NULL, run_id TEXT NOT NULL, request TEXT NOT NULL,
        PRIMARY KEY (thread_id, run_id)
    )""",
)

_INSERT = "INSERT INTO orchestra_requests VALUES (?, ?, ?, ?, '') ON CONFLICT DO NOTHING"
_ONE = "WHERE thread_id = ? AND id = ?"


class RequestTable:
    """The requests of the threads in `place`. Its methods block, and belong on the place's worker."""

    def __init__(self, place: Place) -> None:
        self._place = place

    def asked(self, thread: str) -> dict[str, Asked]:
        """Return what is known of a thread's requests, by id; also of those that expired."""
        with self._place.transaction(write=False) as execute:
            rows = execute("SELECT id, asked, about, decided FROM orchestra_requests WHERE thread_id = ?", (thread,))
        return {name: _asked(at, about, decided) for name, at, about, decided in rows}

    def note(self, thread: str, waiting: Mapping[str, Mapping[str, Any]]) -> None:
        """Write down the requests that a thread waits for, by id with what they say about themselves; forget the answered."""
        known = self.asked(thread)
        new, gone = waiting.keys() - known.keys(), _answered(known, waiting)
        if not new and not gone:
            return
        with self._place.transaction(write=True) as execute:
            for name in new:
                about = write_json(waiting[name])
                execute(_INSERT, (thread, name, time.time(), about))
            for name in gone:
                execute(f"DELETE FROM orchestra_requests {_ONE}", (thread, name))

    def decide(self, thread: str, decided: Mapping[str, tuple[Asked, str]]) -> None:
        """Write down what was decided for requests whose time ran out, so that a late answer can be told."""
        with self._place.transaction(write=True) as execute:
            for name, (asked, text) in decided.items():
                about = write_json(asked.about)
                execute(_INSERT, (thread, name, asked.at, about))
                execute(f"UPDATE orchestra_requests SET decided = ? {_ONE}", (redact(text), thread, name))

    def answering(self, thread: str, run: str, request: str) -> str:
        """Write down that a run answers a request, unless it answers one already; return the one that it answers."""
        with self._place.transaction(write=True) as execute:
            execute("INSERT INTO orchestra_answers VALUES (?, ?, ?) ON CONFLICT DO NOTHING", (thread, run, request))
            rows = execute("SELECT request FROM orchestra_answers WHERE thread_id = ? AND run_id = ?", (thread, run))
        return read(rows[0][0], str, "the request that a run answered")


class _MemoryTable:
    """The same where checkpoints are in memory."""

    def __init__(self) -> None:
        self._rows: dict[str, dict[str, Asked]] = {}
        self._answers: dict[tuple[str, str], str] = {}

    def asked(self, thread: str) -> dict[str, Asked]:
        return dict(self._rows.get(thread, {}))

    def note(self, thread: str, waiting: Mapping[str, Mapping[str, Any]]) -> None:
        known = self.asked(thread)
        kept = {name: asked for name, asked in known.items() if name not in _answered(known, waiting)}
        rows = {name: Asked(time.time(), dict(about)) for name, about in waiting.items()} | kept
        if rows:
            self._rows[thread] = rows
        else:
            self._rows.pop(thread, None)

    def decide(self, thread: str, decided: Mapping[str, tuple[Asked, str]]) -> None:
        for name, (asked, text) in decided.items():
            self._rows.setdefault(thread, {})[name] = asked._replace(decided=text)

    def answering(self, thread: str, run: str, request: str) -> str:
        return self._answers.setdefault((thread, run), request)


class _Book(AskedBook):
    """A table for async code: each method on the worker where it blocks."""

    def __init__(self, table: RequestTable | _MemoryTable, worker: Worker | None = None) -> None:
        self._table, self._worker = table, worker

    async def asked(self, thread: str) -> dict[str, Asked]:
        found: dict[str, Asked] = await self._run(self._table.asked, thread)
        return found

    async def note(self, thread: str, waiting: Mapping[str, Mapping[str, Any]]) -> None:
        await self._run(self._table.note, thread, waiting)

    async def decide(self, thread: str, decided: Mapping[str, tuple[Asked, str]]) -> None:
        await self._run(self._table.decide, thread, decided)

    async def answering(self, thread: str, run: str, request: str) -> str:
        answered: str = await self._run(self._table.answering, thread, run, request)
        return answered

    async def _run(self, function: Any, *args: Any) -> Any:
        return await self._worker.run(function, *args) if self._worker is not None else function(*args)


_books: WeakKeyDictionary[BaseCheckpointSaver[Any], _Book] = WeakKeyDictionary()


async def book_of(saver: BaseCheckpointSaver[Any]) -> AskedBook:
    """Return the book of a saver's requests: a table in its database, beside one in memory in memory.

    Where somebody else's database takes no table, time is counted from the checkpoint when its process is gone.
    """
    if saver not in _books:
        try:
            found = await place_in(saver, SCHEMA)
        except PersistenceError:
            found = None
        made = _Book(RequestTable(found[0]), found[1]) if found is not None else _Book(_MemoryTable())
        _books.setdefault(saver, made)  # of two that looked at once, both get the same
    return _books[saver]


async def waiting_threads(saver: BaseCheckpointSaver[Any]) -> list[str]:
    """Return the threads of one of our databases whose latest step asked somebody something, answered or not."""
    place: Place = saver.place  # type: ignore[attr-defined]  # all of ours have one
    return await place.worker.run(_waiting_threads, saver, place)


def _waiting_threads(saver: Any, place: Place) -> list[str]:
    writes = next(name for name in saver.tables if name.endswith("writes"))
    latest = "SELECT thread_id, max(checkpoint_id) AS last FROM checkpoints WHERE checkpoint_ns = '' GROUP BY thread_id"
    query = (
        f"SELECT DISTINCT w.thread_id FROM ({latest}) c JOIN {writes} w "
        "ON w.thread_id = c.thread_id AND w.checkpoint_ns = '' AND w.checkpoint_id = c.last WHERE w.channel = ?"
    )
    with place.transaction(write=False) as execute:
        return [thread for (thread,) in execute(query, (INTERRUPT,))]


def _asked(at: Any, about: Any, decided: Any) -> Asked:
    when: float = read(at, (int, float), "the time of a request")
    return Asked(when, read_json(about, dict, "a request"), read(decided, str, "a request"))


def _answered(known: Mapping[str, Asked], waiting: Collection[str]) -> set[str]:
    """Return the requests that were answered. Those that expired are kept: somebody may yet answer."""
    return {name for name, asked in known.items() if name not in waiting and not asked.decided}
