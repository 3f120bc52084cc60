"""Find the ledger that belongs to a checkpointer: in the same database, so that both live and die together.

Ours have one. Beside a stock SQLite or PostgreSQL saver it is a table in the same file or schema, over a connection of its own;
beside one in memory it is in memory.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from typing import Any, ParamSpec, TypeVar
from weakref import WeakKeyDictionary

from langgraph.checkpoint.base import BaseCheckpointSaver

from state.effects import Effects, Entry, Intent, MemoryLedger
from state.redaction import redacted
from state.storage.doors import Worker
from state.storage.faults import fault_of
from state.storage.ledger import SCHEMA, Ledger
from state.storage.locks import connection_of, conninfo_of, place_of
from state.storage.place import Execute

P = ParamSpec("P")
T = TypeVar("T")

_ledgers: WeakKeyDictionary[BaseCheckpointSaver[Any], AsyncLedger] = WeakKeyDictionary()


class AsyncLedger:
    """A ledger for async code: each method as that of `Ledger`, on the worker where it blocks.

    Raises:
        PersistenceError: From every method; the run stops.
    """

    def __init__(self, ledger: Effects, worker: Worker | None = None) -> None:
        self._ledger, self._worker = ledger, worker

    async def find(self, intent: Intent) -> Entry | None:
        """Return what is known of an effect, or None if it was never begun."""
        return await self._run(self._ledger.find, intent)

    async def begin(self, intent: Intent) -> Entry | None:
        """Write down that an effect is about to be carried out; return what is known of it if it was begun before."""
        # Here, where the run is known that says what personal data is; the effect is found by a hash of what it was.
        return await self._run(
            self._ledger.begin, replace(intent, arguments=redacted(dict(intent.arguments), stored=True))
        )

    async def settle(self, intent: Intent, result: Any) -> None:
        """Write down that an effect has happened, and what its tool gave."""
        await self._run(self._ledger.settle, intent, redacted(result, stored=True))

    async def allow(self, intent: Intent, times: int) -> None:
        """Write down how often a person has allowed an effect in doubt to be carried out again."""
        await self._run(self._ledger.allow, intent, times)

    async def drop(self, intent: Intent) -> None:
        """Forget an effect that was begun and did not happen."""
        await self._run(self._ledger.drop, intent)

    async def _run(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        return (
            await self._worker.run(function, *args, **kwargs) if self._worker is not None else function(*args, **kwargs)
        )


async def ledger_of(saver: BaseCheckpointSaver[Any]) -> AsyncLedger:
    """Return the ledger in a saver's database."""
    if saver not in _ledgers:
        opened = await _open(saver)
        return _ledgers.setdefault(
            saver, opened
        )  # one of several that began at once; a ledger in memory may not be two
    return _ledgers[saver]


async def place_in(saver: BaseCheckpointSaver[Any], schema: Sequence[str]) -> tuple[Any, Worker] | None:
    """Return the place for our tables in a saver's database, with the worker for it; None where it is in memory.

    Args:
        saver: One of ours, whose tables are there; or any other, beside whose tables they are made.
        schema: Statements that make them.
    """
    place = getattr(saver, "place", None)
    if place is not None:
        return place, place.worker
    name = await place_of(saver)
    if name.startswith("memory:"):
        return None
    beside: Any = _File(name.removeprefix("file:")) if name.startswith("file:") else _Server(saver)
    await asyncio.to_thread(beside.fill, schema)
    return beside, Worker()


async def _open(saver: BaseCheckpointSaver[Any]) -> AsyncLedger:
    found = await place_in(saver, SCHEMA)
    return AsyncLedger(Ledger(found[0]), found[1]) if found is not None else AsyncLedger(MemoryLedger())


class _File:
    """The file of a stock SQLite saver."""

    def __init__(self, path: str) -> None:
        self.location = path

    def fill(self, schema: Sequence[str]) -> None:
        with self.transaction(write=True) as execute:
            for statement in schema:
                execute(statement, ())

    @contextmanager
    def transaction(self, *, write: bool) -> Iterator[Execute]:
        """Run statements that see one state of the database, and all of which happen or none."""
        try:
            with closing(sqlite3.connect(self.location, timeout=30.0, isolation_level=None)) as connection:
                connection.execute("BEGIN IMMEDIATE" if write else "BEGIN")

                def execute(statement: str, params: Sequence[Any]) -> list[tuple[Any, ...]]:
                    return connection.execute(statement, params).fetchall()

                yield execute
                connection.execute("COMMIT")
        except sqlite3.Error as error:
            raise fault_of(error, self.location) from error


class _Server:
    """The database of a stock PostgreSQL saver."""

    def __init__(self, saver: BaseCheckpointSaver[Any]) -> None:
        self._conninfo, self.location = conninfo_of(connection_of(saver)), "postgresql"

    def fill(self, schema: Sequence[str]) -> None:
        with self.transaction(write=True) as execute:
            for statement in schema:
                execute(statement, ())

    @contextmanager
    def transaction(self, *, write: bool) -> Iterator[Execute]:  # noqa: ARG002  # the shared signature
        """Run statements that see one state of the database, and all of which happen or none."""
        import psycopg

        from state.storage.postgres import fault_of as postgres_fault_of

        try:
            with psycopg.connect(self._conninfo) as connection, connection.cursor() as cursor:

                def execute(statement: str, params: Sequence[Any]) -> list[tuple[Any, ...]]:
                    cursor.execute(statement.replace("?", "%s"), params)
                    return cursor.fetchall() if cursor.description else []

                yield execute
        except psycopg.Error as error:
            raise postgres_fault_of(error, self.location) from None
