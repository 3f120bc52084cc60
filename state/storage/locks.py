"""One run per thread: a lock that holds between event loops, threads and processes, and dies with its process.

In one process a set of names is enough. Between processes it is a locked file beside an SQLite database, and an advisory lock of
a PostgreSQL server; both are freed by the system when a process ends, however it ends.
"""

from __future__ import annotations

import asyncio
import hashlib
import sqlite3
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

from filelock import FileLock, Timeout
from langgraph.checkpoint.base import BaseCheckpointSaver

from state.errors import ThreadBusy

PATIENCE = 0.5
"""Seconds that a run waits for another that is just ending, before it is told that the thread is busy."""
_PAUSE = 0.02

Release = Callable[[], None]

_names: set[tuple[str, str]] = set()
_guard = threading.Lock()
_places: WeakKeyDictionary[BaseCheckpointSaver[Any], str] = WeakKeyDictionary()


@asynccontextmanager
async def thread_held(saver: BaseCheckpointSaver[Any], thread: str) -> AsyncIterator[None]:
    """Hold a thread of a saver's database, so that nobody else can run it meanwhile.

    Raises:
        ThreadBusy: Somebody else holds it, after at most `PATIENCE` seconds.
    """
    name = await place_of(saver), thread
    release = await _taken(saver, name)
    try:
        yield
    finally:
        await _off_the_loop(release)


async def is_held(saver: BaseCheckpointSaver[Any], thread: str) -> bool:
    """Whether somebody runs a thread now, in any process."""
    release = await _try(saver, (await place_of(saver), thread))
    if release is None:
        return True
    await _off_the_loop(release)
    return False


async def _off_the_loop(release: Release) -> None:
    """Free a lock where that may block; whoever stops waiting for it does not stop it."""
    try:
        released = asyncio.get_running_loop().run_in_executor(None, release)
    except RuntimeError:  # the interpreter is ending, and starts no threads any more
        release()
    else:
        await asyncio.shield(released)


async def _taken(saver: BaseCheckpointSaver[Any], name: tuple[str, str]) -> Release:
    until = time.monotonic() + PATIENCE
    while True:
        if (release := await _try(saver, name)) is not None:
            return release
        if time.monotonic() >= until:
            text = f"thread {name[1]!r} is in use by another run; wait for its end, halt it, or use another thread"
            raise ThreadBusy(text, thread=name[1])
        await asyncio.sleep(_PAUSE)


async def _try(saver: BaseCheckpointSaver[Any], name: tuple[str, str]) -> Release | None:
    """Take the lock if it is free and return what frees it."""
    with _guard:
        if name in _names:
            return None
        _names.add(name)

    def free() -> None:
        with _guard:
            _names.discard(name)

    try:
        shared = await asyncio.to_thread(_try_between_processes, saver, *name)
    except BaseException:
        free()
        raise
    if shared is None:
        free()
        return None

    def release() -> None:
        shared()
        free()

    return release


def _try_between_processes(saver: BaseCheckpointSaver[Any], place: str, thread: str) -> Release | None:
    if place.startswith("file:"):
        return _try_file(_lock_file(place.removeprefix("file:"), thread))
    if place.startswith("server:"):
        return _try_server(saver, thread)
    return lambda: None  # in memory: nobody else can reach it


def _try_file(path: Path) -> Release | None:
    path.parent.mkdir(mode=0o700, exist_ok=True)
    lock = FileLock(path, mode=0o600, thread_local=False)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        return None

    def release() -> None:
        # Removed while it is held: whoever opened it before takes the lock of a file without a name, notices, and tries again.
        with suppress(OSError):  # a system that does not remove open files keeps an empty one
            path.unlink()
        lock.release()

    return release


def _lock_file(database: str, thread: str) -> Path:
    name = hashlib.sha256(thread.encode("utf-8", "replace")).hexdigest()[:32]
    return Path(f"{database}.locks") / f"{name}.lock"


def _try_server(saver: BaseCheckpointSaver[Any], thread: str) -> Release | None:
    """Take an advisory lock on a connection of its own, which holds it as long as it lives."""
    import psycopg

    name = hashlib.sha256(thread.encode("utf-8", "replace")).hexdigest()
    key = "hashtextextended('orchestra ' || coalesce(current_schema(), '') || ' ' || %s, 0)"  # a schema is a place of its own
    from state.storage.postgres import fault_of

    try:
        connection = psycopg.connect(conninfo_of(connection_of(saver)), autocommit=True)
        held = connection.execute(f"SELECT pg_try_advisory_lock({key})", (name,)).fetchone()
    except psycopg.Error as error:
        raise fault_of(error, getattr(saver, "location", "postgresql")) from None
    if held is None or not held[0]:
        connection.close()
        return None

    def release() -> None:
        # Said first: a server notices a connection that is gone a little later.
        with suppress(psycopg.Error), connection:
            connection.execute(f"SELECT pg_advisory_unlock({key})", (name,))

    return release


def conninfo_of(connection: Any) -> str:
    """Return what opens another connection to the same PostgreSQL database. It holds the password."""
    from psycopg.conninfo import make_conninfo

    if not hasattr(connection, "info"):  # a pool
        return str(connection.conninfo)
    return make_conninfo(connection.info.dsn, password=connection.info.password)


async def place_of(saver: BaseCheckpointSaver[Any]) -> str:
    """Return what tells the saver's database from others: `file:<path>`, `server:<name>` or `memory:<number>`."""
    if saver not in _places:
        _places[saver] = await _look_up_place(saver)
    return _places[saver]


async def _look_up_place(saver: BaseCheckpointSaver[Any]) -> str:
    connection = connection_of(saver)
    psycopg = sys.modules.get("psycopg")
    path = ""
    if isinstance(connection, sqlite3.Connection):
        path = await asyncio.to_thread(lambda: connection.execute("PRAGMA database_list").fetchone()[2])
    elif type(connection).__module__.startswith("aiosqlite"):
        await saver.setup()  # type: ignore[attr-defined]  # the stock AsyncSqliteSaver: its connection may not be open yet
        async with connection.execute("PRAGMA database_list") as cursor:
            path = (await cursor.fetchone())[2]
    elif psycopg is not None and connection is not None:
        return f"server:{hashlib.sha256(conninfo_of(connection).encode()).hexdigest()}"
    return f"file:{path}" if path else f"memory:{id(_inner(saver))}"


def _inner(saver: BaseCheckpointSaver[Any]) -> BaseCheckpointSaver[Any]:
    inner = getattr(saver, "inner", None)
    return inner if isinstance(inner, BaseCheckpointSaver) else saver


def connection_of(saver: BaseCheckpointSaver[Any]) -> Any:
    """Return the connection or pool of a saver, None where it has none."""
    return getattr(_inner(saver), "conn", None)
