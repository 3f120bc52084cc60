"""Keep what happened in runs, and a few facts about each thread, next to the checkpoints.

Written once for every database: plain SQL, JSON as text. Events are only ever added, and go with their thread.
"""

# ruff: noqa: S608 - table and column names are our own constants, and every value is a parameter

from __future__ import annotations

import json
import time
from collections.abc import Iterable
from typing import Any, cast

from state.events import Event
from state.storage.clock import seconds
from state.storage.place import Execute, Place

_EVENT = ("thread", "run", "seq", "at", "agent", "kind", "step", "parent", "data")
_EVENT_COLUMNS = "thread_id, run_id, seq, at, agent, kind, step, parent, data"

TABLES = ("orchestra_events", "orchestra_threads")

SCHEMA = (
    """CREATE TABLE IF NOT EXISTS orchestra_events (
        id {counter},
        thread_id TEXT NOT NULL, run_id TEXT NOT NULL, seq BIGINT NOT NULL, at DOUBLE PRECISION NOT NULL,
        agent TEXT NOT NULL, kind TEXT NOT NULL, step TEXT NOT NULL, parent TEXT NOT NULL, data TEXT NOT NULL
    )""",
    "CREATE INDEX IF NOT EXISTS orchestra_events_thread ON orchestra_events (thread_id, id)",
    """CREATE TABLE IF NOT EXISTS orchestra_threads (
        thread_id TEXT PRIMARY KEY, created DOUBLE PRECISION NOT NULL, updated DOUBLE PRECISION NOT NULL,
        facts TEXT NOT NULL
    )""",
)
"""Statements that make the tables, with `{counter}` for the database's own self-increasing key."""


class RecordedEvent(Event):
    """An event with its place in the record."""

    id: int
    """Grows over all threads of the database; read on with `after=`."""


class Records:
    """Events and facts of the threads in `place`."""

    def __init__(self, place: Place) -> None:
        self._place = place

    def record(self, events: Iterable[Event]) -> None:
        """Add events, all or none. A missing key is left empty, data not known to JSON becomes text."""
        rows = [_row(event) for event in events]
        if not rows:
            return
        holes = ", ".join("?" * len(_EVENT))
        with self._place.transaction(write=True) as execute:
            for row in rows:
                execute(f"INSERT INTO orchestra_events ({_EVENT_COLUMNS}) VALUES ({holes})", row)

    def events(self, thread: str, *, after: int = 0) -> list[RecordedEvent]:
        """Return the events of a thread in the order of their recording, those with an `id` above `after`."""
        query = f"SELECT id, {_EVENT_COLUMNS} FROM orchestra_events WHERE thread_id = ? AND id > ? ORDER BY id"
        with self._place.transaction(write=False) as execute:
            rows = execute(query, (thread, after))
        return [_event(row) for row in rows]

    def note_thread(self, thread: str, facts: dict[str, Any]) -> None:
        """Set facts about a thread (`name`, `graph`, `status`, anything JSON); others stay, None takes one away."""
        now = time.time()
        with self._place.transaction(write=True) as execute:
            insert = "INSERT INTO orchestra_threads VALUES (?, ?, ?, '{}') ON CONFLICT DO NOTHING"
            execute(insert, (thread, now, now))
            # An UPDATE first, so that Postgres has the row locked before it is read.
            execute("UPDATE orchestra_threads SET updated = ? WHERE thread_id = ?", (now, thread))
            rows = execute("SELECT facts FROM orchestra_threads WHERE thread_id = ?", (thread,))
            merged = {key: value for key, value in {**json.loads(rows[0][0]), **facts}.items() if value is not None}
            execute("UPDATE orchestra_threads SET facts = ? WHERE thread_id = ?", (_json(merged), thread))

    def threads(self) -> list[dict[str, Any]]:
        """Return every thread that has a checkpoint or facts, the last one used first. See `thread` for its keys."""
        with self._place.transaction(write=False) as execute:
            found = _threads(execute, "")
        return sorted(found, key=lambda each: cast("float", each["updated"]), reverse=True)

    def thread(self, thread: str) -> dict[str, Any] | None:
        """Return `{thread, created, updated}` (seconds since 1970) and the facts that were noted, or None."""
        with self._place.transaction(write=False) as execute:
            found = _threads(execute, "WHERE thread_id = ?", thread)
        return found[0] if found else None

    def forget(self, execute: Execute, thread: str) -> None:
        """Delete the events and facts of a thread, in the caller's transaction."""
        for table in TABLES:
            execute(f"DELETE FROM {table} WHERE thread_id = ?", (thread,))


def _row(event: Event) -> tuple[Any, ...]:
    known: dict[str, Any] = {"at": time.time(), "seq": 0, **event}
    return (*(known.get(key, "") for key in _EVENT[:-1]), _json(known.get("data", {})))


def _event(row: tuple[Any, ...]) -> RecordedEvent:
    event = dict(zip(("id", *_EVENT), row, strict=True))
    return cast("RecordedEvent", {**event, "data": json.loads(event["data"])})


def _threads(execute: Execute, where: str, *params: str) -> list[dict[str, Any]]:
    noted = execute(f"SELECT thread_id, created, updated, facts FROM orchestra_threads {where}", params)
    threads = {
        thread: {**json.loads(facts), "thread": thread, "created": created, "updated": updated}
        for thread, created, updated, facts in noted
    }
    # Graphs that were called directly leave checkpoints and no facts.
    ids = "SELECT thread_id, min(checkpoint_id), max(checkpoint_id) FROM checkpoints"
    for thread, first, last in execute(f"{ids} {where} GROUP BY thread_id", params):
        known = threads.setdefault(thread, {"thread": thread, "created": seconds(first) or 0.0, "updated": 0.0})
        known["created"] = min(known["created"], seconds(first) or known["created"])
        known["updated"] = max(known["updated"], seconds(last) or 0.0)
    return list(threads.values())


def _json(value: Any) -> str:
    return json.dumps(value, default=str)
