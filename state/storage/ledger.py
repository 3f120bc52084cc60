"""Keep what tools did to the world: one row for each effect, written before and after it.

Written once for every database, like the records: plain SQL, JSON as text. Rows go with their thread, and are copied with a fork.
"""

# ruff: noqa: S608 - the texts are our own constants, and every value is a parameter

from __future__ import annotations

import time
from typing import Any

from state.effects import Entry, Intent
from state.errors import StorageCorrupt
from state.storage.columns import read, read_json, write_json
from state.storage.place import Place, transaction_of

TABLES = ("orchestra_effects",)

SCHEMA = (
    """CREATE TABLE IF NOT EXISTS orchestra_effects (
        thread_id TEXT NOT NULL, turn TEXT NOT NULL, effect TEXT NOT NULL, key TEXT NOT NULL,
        tool TEXT NOT NULL, arguments TEXT NOT NULL, at DOUBLE PRECISION NOT NULL,
        status TEXT NOT NULL, allowed INTEGER NOT NULL, result TEXT NOT NULL,
        PRIMARY KEY (thread_id, turn, effect)
    )""",
)

_WHERE = "WHERE thread_id = ? AND turn = ? AND effect = ?"


class Ledger:
    """The effects of the threads in `place`. Its methods block, and belong on the place's worker."""

    def __init__(self, place: Place) -> None:
        self._place = place

    def find(self, intent: Intent) -> Entry | None:
        """Return what is known of an effect, or None if it was never begun."""
        with transaction_of(self._place, intent.thread, write=False) as execute:
            rows = execute(f"SELECT key, status, allowed, result, at FROM orchestra_effects {_WHERE}", intent.name)
        return next(map(_entry, rows), None)

    def begin(self, intent: Intent) -> Entry | None:
        """Write down that an effect is about to be carried out; return what is known of it if it was begun before."""
        arguments = write_json(intent.arguments)
        values = (*intent.name, intent.key, intent.tool, arguments, time.time(), "intent", 0, "null")
        with transaction_of(self._place, intent.thread, write=True) as execute:
            insert = f"INSERT INTO orchestra_effects VALUES ({', '.join('?' * len(values))}) ON CONFLICT DO NOTHING"
            if execute(f"{insert} RETURNING key", values):
                return None
        return self.find(intent)

    def settle(self, intent: Intent, result: Any) -> None:
        """Write down that an effect has happened, and what its tool gave."""
        with transaction_of(self._place, intent.thread, write=True) as execute:
            text = write_json(result)
            execute(f"UPDATE orchestra_effects SET status = 'done', result = ? {_WHERE}", (text, *intent.name))

    def allow(self, intent: Intent, times: int) -> None:
        """Write down how often a person has allowed an effect in doubt to be carried out again."""
        with transaction_of(self._place, intent.thread, write=True) as execute:
            execute(f"UPDATE orchestra_effects SET allowed = ? {_WHERE}", (times, *intent.name))

    def drop(self, intent: Intent) -> None:
        """Forget an effect that was begun and did not happen."""
        with transaction_of(self._place, intent.thread, write=True) as execute:
            execute(f"DELETE FROM orchestra_effects {_WHERE}", intent.name)

    def copy(self, thread: str, to: str) -> None:
        """Let a fork of a thread know what was done: the same call in the same turn is not carried out again."""
        columns = "turn, effect, key, tool, arguments, at, status, allowed, result"
        with transaction_of(self._place, to, write=True) as execute:
            execute(
                f"INSERT INTO orchestra_effects (thread_id, {columns}) SELECT ?, {columns} FROM orchestra_effects "
                "WHERE thread_id = ? ON CONFLICT DO NOTHING",
                (to, thread),
            )


def _entry(row: tuple[Any, ...]) -> Entry:
    key, status, allowed, text, at = row
    when: float = read(at, (int, float), "the time of an effect")
    result = read_json(text, object, "the result of an effect")
    if status not in ("intent", "done") or (status == "done" and not isinstance(result, dict)):
        raise StorageCorrupt("an effect in the database is not complete", remedy="Restore it from a backup.")
    return Entry(read(key, str, "an effect"), status, read(allowed, int, "an effect"), result, when)
