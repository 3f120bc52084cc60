"""The file under an index: opened, checked, replaced when it is not what it should be, shared between threads.

An index is a cache. What it holds can be read from the documents again, so a damaged or outdated file is replaced
without asking; a file that is not ours is moved aside first.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from threading import BoundedSemaphore

from filelock import FileLock

_APPLICATION = 0x4F524348  # "ORCH" in the header of every index of ours
_BUSY_SECONDS = 30.0
_MOST_CONNECTIONS = 4
_CACHE_KIB = 32_000  # of database pages, for each connection


class IndexFile:
    """Connections to one SQLite file of a given schema, or to one in memory.

    Args:
        path: Where the file is or will be, created with mode 0600; None keeps everything in memory.
        schema: SQL that fills an empty file.
        version: Of the schema and of what is written by it; a file with another version is replaced.

    Raises:
        OSError: The file cannot be created.
        sqlite3.OperationalError: The file cannot be written.
    """

    def __init__(self, path: Path | None, *, schema: str, version: int) -> None:
        self.path = path
        self.notes: list[str] = []
        self._schema, self._version = schema, version
        # A database in memory lives in its one connection.
        self._slots = BoundedSemaphore(_MOST_CONNECTIONS if path else 1)
        self._idle: list[sqlite3.Connection] = []
        self._generation = 0
        if path:
            with _locked(path):
                self._check(path)

    @contextmanager
    def connection(self) -> Iterator[sqlite3.Connection]:
        """Borrow a connection; waits while all of them are in use."""
        with self._slots:
            generation = self._generation
            try:
                connection = self._idle.pop()
            except IndexError:
                connection = self._connect()
            try:
                yield connection
            finally:
                if connection.in_transaction:
                    connection.rollback()
                if generation == self._generation:
                    self._idle.append(connection)
                else:
                    connection.close()

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Borrow a connection for one write transaction: all of it is kept, or nothing."""
        with self.connection() as connection:
            connection.execute("BEGIN IMMEDIATE")
            yield connection
            connection.execute("COMMIT")

    def replace(self, why: str) -> None:
        """Begin anew with an empty index; `why` goes into the notes."""
        self.close()
        self.notes.append(f"the index {why} and was built anew: {self.path or 'in memory'}")
        if self.path:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with _locked(self.path):
                _remove(self.path)
                self._create(self.path)

    def close(self) -> None:
        """Close every idle connection; one in use is closed when it is given back."""
        self._generation += 1
        while self._idle:
            self._idle.pop().close()

    def _connect(self) -> sqlite3.Connection:
        """Open a connection, its schema there."""
        # Not created here: a file that was deleted meanwhile must not come back empty.
        target = f"{self.path.absolute().as_uri()}?mode=rw" if self.path else ":memory:"
        connection = sqlite3.connect(
            target, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False, uri=self.path is not None
        )
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
        if not self.path:
            connection.executescript(self._schema)
        return connection

    def _check(self, path: Path) -> None:
        """Make the file usable, whatever it is now."""
        if not path.exists() or path.stat().st_size == 0:
            self._create(path)
            return
        if not os.access(path, os.W_OK):
            raise PermissionError(f"the index {path} may not be written")
        why = self._fault(path)
        if why and "not an index" in why:
            aside = path.with_name(path.name + ".replaced")
            os.replace(path, aside)
            why += f" (kept as {aside.name})"
        if why:
            _remove(path)
            self._create(path)
            self.notes.append(f"the index {why} and was built anew: {path}")

    def _fault(self, path: Path) -> str:
        """Say what is wrong with an existing file; empty when nothing is."""
        try:
            with closing(sqlite3.connect(path, timeout=_BUSY_SECONDS)) as connection:
                application = connection.execute("PRAGMA application_id").fetchone()[0]
                version = connection.execute("PRAGMA user_version").fetchone()[0]
                if application != _APPLICATION:
                    return "was not an index of this program"
                if version != self._version:
                    return "was of another version"
                for (table,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
                    connection.execute(f'SELECT * FROM "{table}" LIMIT 1').fetchone()  # noqa: S608 - our own names
        except sqlite3.OperationalError:
            raise
        except sqlite3.DatabaseError:
            return "was damaged" if _is_database(path) else "was not an index of this program"
        return ""

    def _create(self, path: Path) -> None:
        # Created before SQLite does, which would leave the mode to the umask; its side files take the mode from here.
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
        with closing(sqlite3.connect(path, timeout=_BUSY_SECONDS, isolation_level=None)) as connection:
            connection.execute("PRAGMA page_size = 8192")
            connection.execute("PRAGMA journal_mode = WAL")
            connection.executescript(f"BEGIN; {self._schema}; COMMIT;")
            connection.execute(f"PRAGMA user_version = {self._version}")
            connection.execute(f"PRAGMA application_id = {_APPLICATION}")


def _locked(path: Path) -> FileLock:
    """Return a lock between processes, so that two that start together do not both replace the file."""
    return FileLock(f"{path}.lock", timeout=_BUSY_SECONDS, mode=0o600)


def _is_database(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(16) == b"SQLite format 3\0"


def _remove(path: Path) -> None:
    for name in (path, Path(f"{path}-wal"), Path(f"{path}-shm"), Path(f"{path}-journal")):
        name.unlink(missing_ok=True)
