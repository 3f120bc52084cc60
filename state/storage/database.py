"""One SQLite database: a connection that all threads share, one transaction at a time, with typed errors."""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Literal
from urllib.parse import quote

from state.errors import StorageCorrupt, StorageForeign, StorageUnavailable
from state.storage import datafile
from state.storage.audit import GUARDS
from state.storage.doors import Worker
from state.storage.faults import RESTORE, fault_of
from state.storage.place import Execute

Synchronous = Literal["NORMAL", "FULL"]
"""When a commit is on the disk: NORMAL survives a crash of the process, FULL also one of the machine."""

_LOG_LIMIT = 16 * 2**20
"""Size in bytes that the write-ahead log is cut back to after use."""


class Database:
    """An SQLite file, or a database in memory.

    One connection and one lock: two connections in one process would wait for each other by polling. WAL lets other
    processes read meanwhile, and write in turn.

    Args:
        path: File, made with its folders if it is missing; None for memory.
        fill: Makes or completes the tables. May be called on tables that are there.
        synchronous: When a commit is on the disk.
        timeout: Seconds to wait for another process that writes.

    Raises:
        PersistenceError: The file cannot be used; it is left as it was.
    """

    def __init__(
        self,
        path: Path | None,
        fill: Callable[[sqlite3.Connection], None],
        *,
        synchronous: Synchronous = "NORMAL",
        timeout: float = 30.0,
    ) -> None:
        self.location = str(path) if path else "memory:"
        self.lock = threading.Lock()
        self._path, self._identity, self._process = path, (0, 0), os.getpid()
        if path:
            datafile.refuse_unless_usable(path)
            if not path.exists():
                datafile.create(path, fill)
        try:
            self.connection = _connect(path, timeout)
            try:
                self._prepare(fill, synchronous)
            except BaseException:
                self.connection.close()
                raise
        except (sqlite3.Error, UnicodeDecodeError) as error:
            raise fault_of(error, self.location) from error
        except OSError as error:
            raise datafile.unavailable(error, self.location) from error
        self.worker = Worker()

    def _prepare(self, fill: Callable[[sqlite3.Connection], None], synchronous: Synchronous) -> None:
        run = self.connection.execute
        # A schema written by somebody else may call no function of ours, and cells are checked before they are trusted.
        run("PRAGMA trusted_schema = OFF")
        run("PRAGMA cell_size_check = ON")
        datafile.refuse_newer(run("PRAGMA user_version").fetchone()[0], self.location)
        for name, text in run("SELECT name, sql FROM sqlite_master WHERE type IN ('trigger', 'view')"):
            if name in GUARDS and GUARDS[name] == text:  # letter for letter what keeps the audit trail append-only
                continue
            raise StorageForeign(
                f"the database has a trigger or view {name!r}, which Orchestra does not make",
                location=self.location,
                remedy="It was left as it is. Name another file.",
            )
        if self._path:
            status = os.stat(self._path)
            self._identity = (status.st_dev, status.st_ino)
            run("PRAGMA journal_mode = WAL")
            run(f"PRAGMA journal_size_limit = {_LOG_LIMIT}")
            run(f"PRAGMA synchronous = {synchronous}")
            if run("PRAGMA application_id").fetchone()[0] != datafile.APPLICATION_ID:
                self._take_over(self._path)
        fill(self.connection)

    def _take_over(self, path: Path) -> None:
        """Make a file of LangGraph's own savers one of ours: they read it still."""
        self.connection.execute(f"PRAGMA application_id = {datafile.APPLICATION_ID}")
        self.connection.execute(f"PRAGMA user_version = {datafile.VERSION}")
        for name in (path, *_sidecars(path)):
            with suppress(FileNotFoundError):
                name.chmod(0o600)

    @contextmanager
    def cursor(self, *, write: bool) -> Iterator[sqlite3.Cursor]:
        """Open a transaction, committed at the end and rolled back after an exception.

        Raises:
            PersistenceError: For every error of the database, also when it comes wrapped in another one.
        """
        with self.lock:
            self._refuse_changed_file()
            try:
                with closing(self.connection.cursor()) as cursor:
                    # A transaction that begins by reading and then writes would fail at once when another process
                    # writes, without waiting.
                    cursor.execute("BEGIN IMMEDIATE" if write else "BEGIN")
                    yield cursor
                    cursor.execute("COMMIT")
            except (sqlite3.Error, UnicodeDecodeError) as error:
                raise fault_of(error, self.location) from error
            except ValueError as error:
                if isinstance(error.__cause__, sqlite3.Error):  # as SqliteStore does
                    raise fault_of(error.__cause__, self.location) from error
                raise
            finally:
                self._roll_back()

    @contextmanager
    def transaction(self, *, write: bool) -> Iterator[Execute]:
        """Run statements that see one state of the database, and all of which happen or none."""
        with self.cursor(write=write) as cursor:
            yield lambda statement, params: cursor.execute(statement, params).fetchall()

    def check(self) -> None:
        """Read the whole file and compare its tables with their indexes.

        Raises:
            StorageCorrupt: They do not agree.
        """
        with self.cursor(write=False) as cursor:
            findings = [finding for (finding,) in cursor.execute("PRAGMA integrity_check(3)")]
        if findings != ["ok"]:
            raise StorageCorrupt(
                f"the database is damaged ({'; '.join(findings)})", location=self.location, remedy=RESTORE
            )

    def shrink(self, *, thorough: bool) -> None:
        """Give freed space back to the disk: the pages that are free, or all, by writing the file anew."""
        with self.lock:
            self._refuse_changed_file()
            try:
                if thorough:
                    self.connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
                    self.connection.execute("VACUUM")
                else:
                    # As a script: `execute` would take one step only, which frees one page.
                    self.connection.executescript("PRAGMA incremental_vacuum")
                # The file itself only changes now. Somebody who reads at this moment delays that to a later commit.
                self.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
            except sqlite3.Error as error:
                raise fault_of(error, self.location) from error

    def size(self) -> int:
        """Return the bytes that the database and its log take."""
        if not self._path:
            with self.transaction(write=False) as execute:
                return int(execute("SELECT page_count * page_size FROM pragma_page_count, pragma_page_size", ())[0][0])
        return sum(name.stat().st_size for name in (self._path, *_sidecars(self._path)) if name.exists())

    def close(self) -> None:
        """Finish the calls that were made and close the file."""
        self.worker.close()
        with self.lock:
            self.connection.close()

    def _roll_back(self) -> None:
        with suppress(sqlite3.Error):  # a full disk ends the transaction itself; a closed connection has none
            if self.connection.in_transaction:
                self.connection.execute("ROLLBACK")

    def _refuse_changed_file(self) -> None:
        """Notice a file that was removed, replaced or emptied: SQLite would go on writing to what nobody will find."""
        if not self._path:
            return
        if os.getpid() != self._process:
            raise StorageUnavailable(
                "the database was opened in another process",
                location=self.location,
                remedy="Open it again after forking.",
            )
        try:
            status = os.stat(self._path)
        except OSError as error:
            raise datafile.unavailable(error, self.location) from error
        if (status.st_dev, status.st_ino) != self._identity:
            raise StorageUnavailable(
                "the database file was replaced by another", location=self.location, remedy="Open it again."
            )
        if status.st_size == 0:
            raise StorageCorrupt(
                "the database file was emptied", location=self.location, remedy="Restore it from a backup."
            )


def _connect(path: Path | None, timeout: float) -> sqlite3.Connection:
    # mode=rw: a file that vanished is an error, never a new empty database.
    target = f"file:{quote(str(path))}?mode=rw" if path else ":memory:"
    return sqlite3.connect(target, timeout=timeout, isolation_level=None, check_same_thread=False, uri=bool(path))


def _sidecars(path: Path) -> tuple[Path, Path]:
    return path.with_name(path.name + "-wal"), path.with_name(path.name + "-shm")
