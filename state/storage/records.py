"""Keep what happened in runs, and a few facts about each thread, next to the checkpoints.

Written once for every database: plain SQL, JSON as text. Events are only ever added, and go with their thread.
"""

# ruff: noqa: S608 - table and column names are our own constants, and every value is a parameter

from __future__ import annotations

import json
import time
from collections.abc import Callable, Collection, Iterable, Iterator
from itertools import chain
from typing import Any, cast

import orjson

from state.events import Event
from state.excerpts import KEPT, excerpt
from state.redaction import redact, redacted
from state.storage.clock import seconds
from state.storage.columns import read, read_json
from state.storage.place import Execute, Place

_EVENT = ("thread", "run", "seq", "at", "agent", "kind", "step", "parent", "data")
_EVENT_COLUMNS = "thread_id, run_id, seq, at, agent, kind, step, parent, data"
_KEYS = ("id", *_EVENT)
_TYPES = (str, str, int, float, str, str, str, str, str)
"""Of the columns after the id, as they were written."""
_HOLES = f"({', '.join('?' * len(_EVENT))})"
_AT_ONCE = 50
"""Events that one statement adds."""

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
        rows = [_row(event, _json) for event in events]
        if rows:
            with self._place.transaction(write=True) as execute:
                _insert(execute, rows)

    def events(self, thread: str, *, after: int = 0) -> list[RecordedEvent]:
        """Return the events of a thread in the order of their recording, those with an `id` above `after`."""
        query = f"SELECT id, {_EVENT_COLUMNS} FROM orchestra_events WHERE thread_id = ? AND id > ? ORDER BY id"
        with self._place.transaction(write=False) as execute:
            rows = execute(query, (thread, after))
        return [_event(row) for row in rows]

    def outline(self, kinds: Collection[str], *, since: float, size: int = 20_000) -> Iterator[RecordedEvent]:
        """Yield the events of all threads of these kinds and from a time on, in the order of their recording.

        Reads `size` of them at a time, so that others can write meanwhile.
        """
        which = f"kind IN ({', '.join('?' * len(kinds))}) AND at >= ?"
        query = f"SELECT id, {_EVENT_COLUMNS} FROM orchestra_events WHERE id > ? AND {which} ORDER BY id LIMIT ?"
        after = 0
        while True:
            with self._place.transaction(write=False) as execute:
                rows = execute(query, (after, *kinds, since, size))
            yield from map(_event, rows)
            if len(rows) < size:
                return
            after = rows[-1][0]

    def recent(self, *, since: float, most: int = 10_000) -> list[RecordedEvent]:
        """Return the latest events of all threads from a time on, in seconds since 1970, at most so many, the oldest first."""
        query = f"SELECT id, {_EVENT_COLUMNS} FROM orchestra_events ORDER BY id DESC LIMIT ?"
        with self._place.transaction(write=False) as execute:
            rows = execute(query, (most,))
        return [event for event in map(_event, reversed(rows)) if event["at"] >= since]

    def note_thread(self, thread: str, facts: dict[str, Any]) -> None:
        """Set facts about a thread (`name`, `graph`, `status`, anything JSON); others stay, None takes one away."""
        with self._place.transaction(write=True) as execute:
            note(execute, thread, facts)

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


def add_events(execute: Execute, events: Iterable[Event]) -> None:
    """Add events whose data is redacted, in the caller's transaction."""
    _insert(execute, [_row(event, _compact) for event in events])


def note(execute: Execute, thread: str, facts: dict[str, Any]) -> None:
    """Set facts about a thread, in the caller's transaction; see `Records.note_thread`."""
    now = time.time()
    execute("INSERT INTO orchestra_threads VALUES (?, ?, ?, '{}') ON CONFLICT DO NOTHING", (thread, now, now))
    # An UPDATE first, so that Postgres has the row locked before it is read.
    execute("UPDATE orchestra_threads SET updated = ? WHERE thread_id = ?", (now, thread))
    rows = execute("SELECT facts FROM orchestra_threads WHERE thread_id = ?", (thread,))
    merged = {key: value for key, value in {**_facts(rows[0][0]), **facts}.items() if value is not None}
    execute("UPDATE orchestra_threads SET facts = ? WHERE thread_id = ?", (_json(merged), thread))


def _insert(execute: Execute, rows: list[tuple[Any, ...]]) -> None:
    for some in (rows[at : at + _AT_ONCE] for at in range(0, len(rows), _AT_ONCE)):
        holes = ", ".join([_HOLES] * len(some))
        execute(f"INSERT INTO orchestra_events ({_EVENT_COLUMNS}) VALUES {holes}", [*chain(*some)])


def _row(event: Event, text_of: Callable[[Any], str]) -> tuple[Any, ...]:
    known: dict[str, Any] = {"at": time.time(), "seq": 0, "data": {}, **event}
    data = known["data"]
    kept = {name: excerpt(data[name], KEPT) for name in ("task", "output") if isinstance(data.get(name), str)}
    return (*(known.get(key, "") for key in _EVENT[:-1]), text_of({**data, **kept}))


def _event(row: tuple[Any, ...]) -> RecordedEvent:
    event = dict(zip(_KEYS, row, strict=True))
    if tuple(map(type, row[1:])) != _TYPES:
        read(event["at"], (int, float), "the time of an event")
        read(event["seq"], int, "the number of an event")
        for key in ("thread", "run", "agent", "kind", "step", "parent"):
            read(event[key], str, f"the {key} of an event")
    event["data"] = read_json(event["data"], dict, "an event")
    return cast("RecordedEvent", event)


def _threads(execute: Execute, where: str, *params: str) -> list[dict[str, Any]]:
    noted = execute(f"SELECT thread_id, created, updated, facts FROM orchestra_threads {where}", params)
    threads = {
        thread: {**_facts(facts), "thread": thread, "created": _time(created), "updated": _time(updated)}
        for thread, created, updated, facts in noted
    }
    # Graphs that are no patterns leave checkpoints and no facts.
    ids = "SELECT thread_id, min(checkpoint_id), max(checkpoint_id) FROM checkpoints"
    for thread, first, last in execute(f"{ids} {where} GROUP BY thread_id", params):
        known = threads.setdefault(thread, {"thread": thread, "created": seconds(first) or 0.0, "updated": 0.0})
        known["created"] = min(known["created"], seconds(first) or known["created"])
        known["updated"] = max(known["updated"], seconds(last) or 0.0)
    return list(threads.values())


def _facts(text: Any) -> dict[str, Any]:
    return read_json(text, dict, "what is known of a thread")


def _time(at: Any) -> float:
    when: float = read(at, (int, float), "the time of a thread")
    return when


def _json(value: Any) -> str:
    return _compact(redacted(value))


def _compact(value: Any) -> str:
    try:
        return orjson.dumps(value, default=_text).decode()
    except TypeError:  # half a character, a number of more than 64 bits, keys that are no texts
        return json.dumps(value, default=_text, separators=(",", ":"))


def _text(other: object) -> str:
    return redact(str(other))
