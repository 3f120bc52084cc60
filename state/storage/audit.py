"""Keep the audit trail: one table of records, which are added and never changed, in one chain per database.

Written once for every database: plain SQL, lists as JSON texts. Records stay when their thread is deleted, and forks do not copy
them: they hold no contents, and say what was done.
"""

# ruff: noqa: S608 - the texts are our own constants, and every value is a parameter

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, ParamSpec, TypeVar
from weakref import WeakKeyDictionary

from langgraph.checkpoint.base import BaseCheckpointSaver

from state.audit import GENESIS, Draft, Record, Row, record_of, row_of, sealed
from state.chain import Audit, MemoryTrail, Verified, walked
from state.errors import StorageCorrupt
from state.storage.doors import Worker
from state.storage.ledgers import place_in
from state.storage.place import Execute, Place, transaction_of

P = ParamSpec("P")
T = TypeVar("T")

TABLES = ("orchestra_audit",)
"""Not among the tables that lose their rows with a thread."""

SCHEMA = (
    """CREATE TABLE IF NOT EXISTS orchestra_audit (
        seq BIGINT NOT NULL PRIMARY KEY, at DOUBLE PRECISION NOT NULL,
        thread_id TEXT NOT NULL, turn TEXT NOT NULL, run TEXT NOT NULL, agent TEXT NOT NULL, step TEXT NOT NULL,
        kind TEXT NOT NULL, subject TEXT NOT NULL, outcome TEXT NOT NULL, arguments TEXT NOT NULL,
        names TEXT NOT NULL, taint TEXT NOT NULL, detail TEXT NOT NULL, key TEXT NOT NULL,
        previous TEXT NOT NULL, hash TEXT NOT NULL,
        UNIQUE (thread_id, turn, kind, key)
    )""",
)

REFUSAL = "the audit trail is append-only: its records are neither changed nor deleted"

GUARDS = {
    f"orchestra_audit_{verb.lower()}": (
        f"CREATE TRIGGER orchestra_audit_{verb.lower()} BEFORE {verb} ON orchestra_audit "
        f"BEGIN SELECT RAISE(ABORT, '{REFUSAL}'); END"
    )
    for verb in ("UPDATE", "DELETE")
}
"""Triggers of an SQLite file, by name, letter for letter as `sqlite_master` has them: any other is not ours."""

GUARDING = tuple(text.replace("TRIGGER", "TRIGGER IF NOT EXISTS", 1) for text in GUARDS.values())
"""Statements that make them."""

_SERVER_GUARD = (
    "CREATE OR REPLACE FUNCTION orchestra_audit_refuse() RETURNS trigger LANGUAGE plpgsql AS "
    f"$$ BEGIN RAISE EXCEPTION '{REFUSAL}'; END $$",
    "CREATE TRIGGER orchestra_audit_refuse BEFORE UPDATE OR DELETE OR TRUNCATE ON orchestra_audit "
    "FOR EACH STATEMENT EXECUTE FUNCTION orchestra_audit_refuse()",
)
_SERVER_GUARDED = (
    "SELECT 1 FROM pg_trigger WHERE tgname = 'orchestra_audit_refuse' AND tgrelid = to_regclass('orchestra_audit')"
)

_COLUMNS = (
    "seq, at, thread_id, turn, run, agent, step, kind, subject, outcome, "
    "arguments, names, taint, detail, key, previous, hash"
)
_INSERT = f"INSERT INTO orchestra_audit ({_COLUMNS}) VALUES ({', '.join('?' * 17)})"
_BATCH = 2_000
_LOCK = 0x4F524341
"""Key of the advisory lock under which a server's chain grows."""
_BEFORE_ALL = -(2**63)

_trails: WeakKeyDictionary[BaseCheckpointSaver[Any], AsyncTrail] = WeakKeyDictionary()


class Trail:
    """The chain of the database in `place`. Its methods block, and belong on the place's worker.

    Raises:
        PersistenceError: From every method.
    """

    def __init__(self, place: Place) -> None:
        self._place, self._guarded = place, False

    def append(self, draft: Draft) -> Record:
        """Write a record down, and return it; one that is there already is returned as it is."""
        with transaction_of(self._place, draft.thread, write=True) as execute:
            self._alone(execute)
            where = "WHERE thread_id = ? AND turn = ? AND kind = ? AND key = ?"
            if known := execute(f"SELECT {_COLUMNS} FROM orchestra_audit {where}", draft.name):
                return self._read(known[0])
            last = execute("SELECT seq, hash FROM orchestra_audit ORDER BY seq DESC LIMIT 1", ())
            seq, previous = last[0] if last else (0, GENESIS)
            record = sealed(draft, seq=seq + 1, at=time.time(), previous=previous)
            execute(_INSERT, row_of(record))
        self._guarded = True  # now that it is committed
        return record

    def records(
        self, *, thread: str | None = None, kind: str | None = None, after: int = 0, last: int | None = None
    ) -> list[Record]:
        """Return records, the first one first; see `Audit.records`."""
        given = {"thread_id": thread, "kind": kind}
        wanted = {column: value for column, value in given.items() if value is not None}
        where = "".join(f" AND {column} = ?" for column in wanted)
        end = "" if last is None else f" LIMIT {int(last)}"
        query = f"SELECT {_COLUMNS} FROM orchestra_audit WHERE seq > ?{where} ORDER BY seq DESC{end}"
        with transaction_of(self._place, thread or "", write=False) as execute:
            rows = execute(query, (after, *wanted.values()))
        return [self._read(row) for row in reversed(rows)]

    def verify(self, head: str = "") -> Verified:
        """Walk the whole chain and return what does not fit; reads a batch at a time, so that others can write meanwhile."""
        return walked(self._rows(), self._seq_of, head)

    def _alone(self, execute: Execute) -> None:
        """Let nobody else append until the transaction ends. In a file, its beginning did that."""
        guards: Sequence[str] = GUARDING
        if is_server(self._place):
            # What others have appended while this waits has to be seen, whatever the server's own default is.
            execute("SET TRANSACTION ISOLATION LEVEL READ COMMITTED", ())
            execute("SELECT pg_advisory_xact_lock(?)", (_LOCK,))
            guards = () if self._guarded or execute(_SERVER_GUARDED, ()) else _SERVER_GUARD
        if not self._guarded:
            for statement in guards:
                execute(statement, ())

    def _rows(self) -> Iterator[Row]:
        query = f"SELECT {_COLUMNS} FROM orchestra_audit WHERE seq > ? ORDER BY seq LIMIT {_BATCH}"
        after: Any = _BEFORE_ALL
        while True:
            with transaction_of(self._place, "", write=False) as execute:
                rows = execute(query, (after,))
            yield from rows
            if len(rows) < _BATCH:
                return
            after = rows[-1][0]

    def _seq_of(self, sought: str) -> int | None:
        with transaction_of(self._place, "", write=False) as execute:
            rows = execute("SELECT seq FROM orchestra_audit WHERE hash = ? ORDER BY seq LIMIT 1", (sought,))
        return rows[0][0] if rows and isinstance(rows[0][0], int) else None

    def _read(self, row: Row) -> Record:
        try:
            return record_of(row)
        except ValueError as error:
            raise StorageCorrupt(
                f"audit record {row[0]!r} cannot be read ({error})",
                location=self._place.location,
                remedy="`orchestra audit verify` says what else was changed.",
            ) from error


class AsyncTrail:
    """A trail for async code: each method as that of `Trail`, on the worker where it blocks.

    Raises:
        PersistenceError: From every method; the run stops.
    """

    def __init__(self, trail: Audit, worker: Worker | None = None) -> None:
        self._trail, self._worker = trail, worker

    async def append(self, draft: Draft) -> Record:
        """Write a record down, and return it; one that is there already is returned as it is."""
        return await self._run(self._trail.append, draft)

    async def records(
        self, *, thread: str | None = None, kind: str | None = None, after: int = 0, last: int | None = None
    ) -> list[Record]:
        """Return records, the first one first; see `Audit.records`."""
        return await self._run(self._trail.records, thread=thread, kind=kind, after=after, last=last)

    async def verify(self, head: str = "") -> Verified:
        """Walk the whole chain and return what does not fit."""
        return await self._run(self._trail.verify, head)

    async def _run(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        return (
            await self._worker.run(function, *args, **kwargs) if self._worker is not None else function(*args, **kwargs)
        )


async def trail_of(saver: BaseCheckpointSaver[Any]) -> AsyncTrail:
    """Return the trail in a saver's database; beside one in memory it is in memory."""
    if saver not in _trails:
        found = await place_in(saver, SCHEMA)
        made = AsyncTrail(Trail(found[0]), found[1]) if found is not None else AsyncTrail(MemoryTrail())
        _trails.setdefault(saver, made)  # of two that looked at once, both get the same
    return _trails[saver]


def is_server(place: Place) -> bool:
    """Whether a place is a PostgreSQL database; a file's location is an absolute path."""
    return place.location.startswith(("postgresql", "postgres:"))
