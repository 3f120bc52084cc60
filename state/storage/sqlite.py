"""Checkpoints, long-term memory and records in one SQLite file, from sync code and from any event loop."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from contextvars import ContextVar
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.store.base import BaseStore, Op, PutOp, Result
from langgraph.store.sqlite import SqliteStore

from state.errors import StorageCorrupt
from state.events import Event
from state.storage.checkpoints import KeptSaver
from state.storage.database import Database, Synchronous
from state.storage.faults import RESTORE
from state.storage.items import without_secrets
from state.storage.place import Place
from state.storage.recorder import recorder_of
from state.storage.records import add_events
from state.storage.schema import SCHEMA
from state.storage.serde import StrictSerializer

_writes: ContextVar[bool] = ContextVar("_writes", default=False)
"""Whether the store operations that are running write."""

_NO_VERSION = "+0000000000"
"""What the first version of a channel follows. A checkpoint holds two for each channel, so they are short; the sign lets them
come before those of the stock saver, which has 32 digits, should it go on with a thread of ours."""

_along: ContextVar[list[Event] | None] = ContextVar("_along", default=None)
"""Events that go with what is being stored."""


class SqliteCheckpoints(KeptSaver, SqliteSaver):
    """The stock saver on our database, guarded, with async methods."""

    tables: ClassVar = {
        "checkpoints": "checkpoint_ns, checkpoint_id, parent_checkpoint_id, type, checkpoint, metadata",
        "writes": "checkpoint_ns, checkpoint_id, task_id, task_path, idx, channel, type, value",
    }
    run_id: ClassVar = "json_extract(CAST(metadata AS TEXT), '$.run_id')"

    def __init__(self, database: Database, serde: StrictSerializer) -> None:
        super().__init__(database.connection, serde=serde)
        self.place = self._database = database
        self.worker, self.location = database.worker, database.location

    def get_next_version(self, current: str | None, channel: None) -> str:  # noqa: ARG002 - the stock signature
        """Return the version that follows `current`, as wide as it and without the random part that the stock saver adds.

        Versions are compared as texts. Here every checkpoint has its own values, so nothing is found by a version alone.
        """
        number = (current or _NO_VERSION).partition(".")[0]
        return f"{int(number) + 1:{'+' if number[0] == '+' else ''}0{len(number)}}"

    @contextmanager
    def cursor(self, transaction: bool = True) -> Iterator[sqlite3.Cursor]:
        """Open a transaction: everything the stock saver does goes through here."""
        with self._database.cursor(write=transaction) as cursor:
            yield cursor
            if transaction and (events := _along.get()):
                add_events(lambda statement, params: cursor.execute(statement, params).fetchall(), events)
                events.clear()

    @contextmanager
    def _recording(self, thread: str) -> Iterator[None]:
        """Store the events of a thread that wait in the same transaction as what is stored within: one commit for both."""
        recorder = recorder_of(self.place, thread)
        if recorder is None:
            yield
            return
        with recorder.taken() as events:
            token = _along.set(events)
            try:
                yield
            finally:
                _along.reset(token)


class SqliteMemory(SqliteStore):
    """The stock store on our database, with async methods."""

    def __init__(self, database: Database) -> None:
        super().__init__(database.connection, deserializer=partial(_item, database.location))
        self._database, self.is_setup = database, True

    def batch(self, ops: Iterable[Op]) -> list[Result]:
        """Run operations, all in one transaction."""
        ops = without_secrets(ops)
        token = _writes.set(any(isinstance(op, PutOp) for op in ops))
        try:
            return super().batch(ops)
        except ValueError as error:
            if "isoformat" not in str(error):
                raise
            raise StorageCorrupt(
                "the time of a stored item cannot be read", location=self._database.location, remedy=RESTORE
            ) from error
        finally:
            _writes.reset(token)

    async def abatch(self, ops: Iterable[Op]) -> list[Result]:
        """Run operations, all in one transaction."""
        return await self._database.worker.run(self.batch, without_secrets(ops))

    @contextmanager
    def _cursor(self, *, transaction: bool = True) -> Iterator[sqlite3.Cursor]:  # noqa: ARG002 - the stock signature
        # The stock store always asks for a transaction; reading should not wait for a process that writes.
        with self._database.cursor(write=_writes.get()) as cursor:
            yield cursor


def open_sqlite(
    path: Path | None, serde: StrictSerializer, *, synchronous: Synchronous = "NORMAL", timeout: float = 30.0
) -> tuple[Place, KeptSaver, BaseStore]:
    """Open or make the database at `path`; None for one in memory."""
    database = Database(path, _fill, synchronous=synchronous, timeout=timeout)
    return database, SqliteCheckpoints(database, serde), SqliteMemory(database)


def _fill(connection: sqlite3.Connection) -> None:
    """Make the tables that are missing. The stock classes migrate theirs."""
    SqliteSaver(connection).setup()
    SqliteStore(connection).setup()
    with closing(connection.cursor()) as cursor:
        for statement in SCHEMA:
            cursor.execute(statement.format(counter="INTEGER PRIMARY KEY AUTOINCREMENT"))


def _item(location: str, content: Any) -> dict[str, Any]:
    import orjson

    try:
        value = orjson.loads(content)
    except (orjson.JSONDecodeError, TypeError) as error:
        raise StorageCorrupt("a stored item cannot be decoded", location=location, remedy=RESTORE) from error
    if not isinstance(value, dict):
        raise StorageCorrupt("a stored item is not a dict", location=location, remedy=RESTORE)
    return value
