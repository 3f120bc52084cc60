"""Checkpoints, long-term memory and records in PostgreSQL, from sync code and from any event loop.

The same shape as for SQLite: the stock sync classes over one pool, and threads for the async methods. A stock async
pool would belong to the event loop that opened it.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any, ClassVar

import psycopg
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import ChannelVersions, Checkpoint, CheckpointMetadata
from langgraph.checkpoint.postgres import PostgresSaver
from langgraph.store.base import BaseStore, Op, Result
from langgraph.store.postgres import PostgresStore
from psycopg.conninfo import conninfo_to_dict
from psycopg.rows import DictRow, dict_row, tuple_row
from psycopg_pool import ConnectionPool

from state.errors import ConfigurationError, PersistenceError, StorageCorrupt, StorageForeign, StorageUnavailable
from state.storage.checkpoints import KeptSaver
from state.storage.doors import Worker
from state.storage.items import without_secrets
from state.storage.place import Execute, Place
from state.storage.pruning import Removal
from state.storage.schema import LASTING, SCHEMA, TABLES
from state.storage.serde import StrictSerializer

VERSION = 1
"""Version of our tables that this code writes, and the highest that it reads."""

CONNECTIONS = 8
"""Connections, and threads for async calls, of one process."""

_MIGRATING = 0x4F524348
"""Key of the advisory lock under which tables are made."""

_TABLES = ("checkpoints", "checkpoint_blobs", "checkpoint_writes", "store", *TABLES, *LASTING)

_REMEDIES = {
    "28": "Check user and password.",
    "3D": "Create the database, or name another.",
    "25": "The server does not accept writes: name the primary server.",
    "42": "Give this user the right to create and change tables in its schema.",
    "53": "The server is out of disk, memory or connections: free some, then resume the thread.",
    "57": "The server is stopping or starting: resume the thread when it runs.",
}
"""What to do, by class of SQLSTATE."""


class Server:
    """A PostgreSQL database over a pool of connections.

    Args:
        url: As libpq reads it.
        location: The URL without password.
    """

    def __init__(self, url: str, location: str) -> None:
        self.location = location
        given = conninfo_to_dict(url)
        self._secret = str(given.get("password") or "")
        options: dict[str, Any] = {"autocommit": True, "prepare_threshold": 0, "row_factory": dict_row}
        # Without them a server that vanished would be waited for until the system gives up, after minutes.
        options |= {
            key: value for key, value in {"connect_timeout": 10, "tcp_user_timeout": 30_000}.items() if key not in given
        }
        with self.errors(), psycopg.connect(url, **options) as connection:
            _migrate(connection, location)
        self.pool: ConnectionPool[psycopg.Connection[DictRow]] = ConnectionPool(
            url, min_size=1, max_size=CONNECTIONS, kwargs=options, check=ConnectionPool.check_connection, open=True
        )
        self.worker = Worker(CONNECTIONS)

    @contextmanager
    def errors(self) -> Iterator[None]:
        """Translate every error of the driver.

        Raises:
            PersistenceError: In place of it.
        """
        try:
            yield
        except psycopg.Error as error:
            # Not chained: the driver's own error may quote the connection string.
            raise fault_of(error, self.location, self._secret) from None

    @contextmanager
    def transaction(self, *, write: bool) -> Iterator[Execute]:
        """Run statements that see one state of the database, and all of which happen or none."""
        with (
            self.errors(),
            self.pool.connection() as connection,
            connection.transaction(),
            connection.cursor(row_factory=tuple_row) as cursor,
        ):

            def execute(statement: str, params: Sequence[Any]) -> list[tuple[Any, ...]]:
                cursor.execute(statement.replace("?", "%s"), params)
                return cursor.fetchall() if cursor.description else []

            if not write:
                execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY", ())
            yield execute

    def check(self) -> None:
        """Ask the server for an answer; it looks after its files itself."""
        with self.transaction(write=False) as execute:
            execute("SELECT 1", ())

    def shrink(self, *, thorough: bool) -> None:
        """Make freed space usable for what comes next, if `thorough` at once; the server does so by itself in time."""
        if thorough:
            with self.errors(), self.pool.connection() as connection:
                connection.execute(f"VACUUM {', '.join(_TABLES)}")

    def size(self) -> int:
        """Return the bytes that the tables and their indexes take."""
        with self.transaction(write=False) as execute:
            return sum(execute("SELECT pg_total_relation_size(to_regclass(?))", (table,))[0][0] for table in _TABLES)

    def close(self) -> None:
        """Finish the calls that were made and close the connections."""
        self.worker.close()
        self.pool.close()


class PostgresCheckpoints(KeptSaver, PostgresSaver):
    """The stock saver on our pool, guarded, with async methods."""

    tables: ClassVar = {
        "checkpoints": "checkpoint_ns, checkpoint_id, parent_checkpoint_id, type, checkpoint, metadata",
        "checkpoint_blobs": "checkpoint_ns, channel, version, type, blob",
        "checkpoint_writes": "checkpoint_ns, checkpoint_id, task_id, task_path, idx, channel, type, blob",
    }
    run_id: ClassVar = "metadata ->> 'run_id'"

    def __init__(self, server: Server, serde: StrictSerializer) -> None:
        PostgresSaver.__init__(self, server.pool, serde=serde)
        self.place = self._server = server
        self.worker, self.location = server.worker, server.location
        self.lock = nullcontext()  # type: ignore[assignment]  # for one shared connection; a pool needs none

    def put(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        """Store a checkpoint and return the config that names it."""
        values = {key: _storable(value) for key, value in checkpoint["channel_values"].items()}
        return super().put(config, {**checkpoint, "channel_values": values}, metadata, new_versions)

    def _copy(self, execute: Execute, names: tuple[str, str, str, str], *, bare: bool) -> None:
        super()._copy(execute, names, bare=bare)
        execute(
            """INSERT INTO checkpoint_blobs (thread_id, checkpoint_ns, channel, version, type, blob)
                SELECT ?, b.checkpoint_ns, b.channel, b.version, b.type, b.blob FROM checkpoint_blobs b
                JOIN checkpoints c ON c.thread_id = b.thread_id AND c.checkpoint_ns = b.checkpoint_ns
                WHERE b.thread_id = ? AND b.checkpoint_ns = ? AND c.checkpoint_id = ?
                AND c.checkpoint -> 'channel_versions' ->> b.channel = b.version ON CONFLICT DO NOTHING""",
            names,
        )

    def _delete(self, execute: Execute, thread: str, namespace: str, removal: Removal) -> None:
        super()._delete(execute, thread, namespace, removal)
        execute(
            """DELETE FROM checkpoint_blobs b WHERE thread_id = ? AND checkpoint_ns = ? AND NOT EXISTS (
                SELECT 1 FROM checkpoints c WHERE c.thread_id = b.thread_id AND c.checkpoint_ns = b.checkpoint_ns
                AND c.checkpoint -> 'channel_versions' ->> b.channel = b.version)""",
            (thread, namespace),
        )

    @contextmanager
    def _cursor(self, *, pipeline: bool = False) -> Iterator[psycopg.Cursor[DictRow]]:
        with self._server.errors(), super()._cursor(pipeline=pipeline) as cursor:
            yield cursor


class PostgresMemory(PostgresStore):
    """The stock store on our pool, with async methods in our threads."""

    def __init__(self, server: Server) -> None:
        super().__init__(server.pool)
        self._server = server
        self.lock = nullcontext()  # type: ignore[assignment]  # as above

    def batch(self, ops: Iterable[Op]) -> list[Result]:
        """Run operations, all in one transaction."""
        return super().batch(without_secrets(ops))

    async def abatch(self, ops: Iterable[Op]) -> list[Result]:
        """Run operations, all in one transaction."""
        return await self._server.worker.run(self.batch, without_secrets(ops))

    @contextmanager
    def _cursor(self, *, pipeline: bool = False) -> Iterator[psycopg.Cursor[DictRow]]:
        with self._server.errors(), super()._cursor(pipeline=pipeline) as cursor:
            yield cursor


def _check_url(url: str, location: str) -> None:
    try:
        conninfo_to_dict(url)
    except psycopg.ProgrammingError:
        # Not quoted and not chained: the driver repeats the part that it stumbled over, which may be the password.
        raise ConfigurationError(
            f"storage: {location!r} is not a PostgreSQL URL; expected postgresql://user:password@host:port/database, "
            "with special characters in the password percent-encoded"
        ) from None


def open_postgres(url: str, location: str, serde: StrictSerializer) -> tuple[Place, KeptSaver, BaseStore]:
    """Open the database at `url`, making the tables that are missing.

    Raises:
        ConfigurationError: libpq cannot read `url`.
    """
    _check_url(url, location)
    server = Server(url, location)
    return server, PostgresCheckpoints(server, serde), PostgresMemory(server)


def _migrate(connection: psycopg.Connection[DictRow], location: str) -> None:
    # Polled, not waited for: a waiting session holds a snapshot, and the stock index builds wait for all snapshots to
    # end.
    while not connection.execute("SELECT pg_try_advisory_lock(%s) AS ours", (_MIGRATING,)).fetchall()[0]["ours"]:
        time.sleep(0.05)
    connection.execute("CREATE TABLE IF NOT EXISTS orchestra_version (v INTEGER PRIMARY KEY)")
    found = connection.execute("SELECT max(v) AS v FROM orchestra_version").fetchall()[0]["v"] or 0
    if found > VERSION:
        raise StorageForeign(
            f"the database has version {found}, and this Orchestra knows versions up to {VERSION}",
            location=location,
            remedy="Upgrade Orchestra: pip install -U orchestra-agents.",
        )
    PostgresSaver(connection).setup()
    PostgresStore(connection).setup()
    for statement in SCHEMA:
        sql = statement.format(counter="BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY")
        connection.execute(sql)
    connection.execute("INSERT INTO orchestra_version VALUES (%s) ON CONFLICT DO NOTHING", (VERSION,))
    connection.execute("SELECT pg_advisory_unlock(%s)", (_MIGRATING,))


def _storable(value: Any) -> Any:
    """Return a text that PostgreSQL's JSON can hold, without NUL and lone surrogates; the rest as it is."""
    return value.replace("\x00", "\ufffd").encode("utf-8", "replace").decode() if isinstance(value, str) else value


def fault_of(error: psycopg.Error, location: str, secret: str = "") -> PersistenceError:
    """Return the typed error for what the driver raised, without the password."""
    text = " ".join(str(error).split())
    text = text.replace(secret, "***") if secret else text
    state = error.sqlstate or ""
    if state.startswith("XX") or isinstance(error, psycopg.errors.UndefinedTable | psycopg.errors.UndefinedColumn):
        return StorageCorrupt(
            f"the database is damaged ({text})", location=location, remedy="Restore it from a backup, or open it again."
        )
    remedy = _REMEDIES.get(state[:2], "Check that the server runs and can be reached, then resume the thread.")
    return StorageUnavailable(f"the database is not available ({text})", location=location, remedy=remedy)
