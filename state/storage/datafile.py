"""Which SQLite file may be opened, and how a new one comes into being.

A file is looked at before SQLite opens it, so that one that is not ours stays as it is to the byte. A new one is made
beside its place and linked there when complete: after a crash there is either no file or a whole one, and several
processes that start at once get the same one. So an empty file can only mean that somebody emptied it.
"""

from __future__ import annotations

import os
import secrets
import sqlite3
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from urllib.parse import quote

from state.errors import StorageCorrupt, StorageForeign, StorageUnavailable
from state.storage.audit import GUARDS
from state.storage.faults import fault_of

APPLICATION_ID = 0x4F524348
"""`PRAGMA application_id` of our files ("ORCH")."""

VERSION = 1
"""`PRAGMA user_version` that this code writes, and the highest that it reads."""

_MAGIC = b"SQLite format 3\x00"
_HEADER = 100

_STOCK_TABLES = {
    "checkpoints": {"thread_id", "checkpoint_ns", "checkpoint_id", "metadata"},
    "writes": {"thread_id", "checkpoint_ns", "checkpoint_id", "task_id"},
    "store": {"prefix", "key", "value"},
    "orchestra_effects": {"thread_id", "effect", "key"},
    "orchestra_requests": {"thread_id", "id", "asked"},
    "orchestra_audit": {"seq", "thread_id", "previous", "hash"},
    "orchestra_grants": {"id", "thread_id", "holder", "revoked"},
    # Triggers have no columns; what they say is looked at when the file is opened.
    **{name: set[str]() for name in GUARDS},
    "store_migrations": {"v"},
    "store_vectors": {"prefix", "key"},
    "vector_migrations": {"v"},
}
"""What LangGraph's own savers and stores make, and our tables beside them, by columns: a file with nothing else is taken over."""


def refuse_unless_usable(path: Path) -> None:
    """Return if `path` is missing, ours, or made by LangGraph's own savers; nothing is written.

    Raises:
        StorageForeign: A database of something else, of a newer version, or no database.
        StorageCorrupt: Damaged or emptied.
        StorageUnavailable: A folder, or not readable.
    """
    location, log = str(path), path.with_name(path.name + "-wal")
    try:
        if not path.exists():
            if log.exists() and log.stat().st_size:
                raise _emptied(location, "the database file is gone, its write-ahead log is still there")
            return
        if path.is_dir():
            raise StorageUnavailable("this is a folder, not a file", location=location, remedy="Name a file in it.")
        with path.open("rb") as file:
            header = file.read(_HEADER)
    except OSError as error:
        raise unavailable(error, location) from error
    if not header:
        raise _emptied(location, "the database file is empty")
    application = int.from_bytes(header[68:72], "big")
    if not header.startswith(_MAGIC) or len(header) < _HEADER:
        # A file of ours with a broken beginning, or one that the disk lost and filled with zeros.
        if application == APPLICATION_ID or not any(header):
            raise StorageCorrupt("the database is damaged (its header)", location=location, remedy=_RESTORE)
        raise _foreign(location, "this is not an SQLite database")
    if application not in (0, APPLICATION_ID):
        raise _foreign(location, f"this is a database of another program (application id {application:#x})")
    if application == APPLICATION_ID:
        refuse_newer(int.from_bytes(header[60:64], "big"), location)
    else:
        _refuse_other_tables(path, log.exists() and log.stat().st_size > 0)


def refuse_newer(version: int, location: str) -> None:
    """Return if a database of this version can be read.

    Raises:
        StorageForeign: It was written by a newer Orchestra.
    """
    if version > VERSION:
        raise StorageForeign(
            f"the database has version {version}, and this Orchestra knows versions up to {VERSION}",
            location=location,
            remedy="Upgrade Orchestra: pip install -U orchestra-agents.",
        )


def create(path: Path, fill: Callable[[sqlite3.Connection], None]) -> None:
    """Make a database at `path`, readable by this user only, with what `fill` puts in; one that is there already stays.

    Raises:
        StorageUnavailable: The folder or the file cannot be made.
    """
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(draft, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
        with closing(sqlite3.connect(draft, isolation_level=None)) as connection:
            # First, because these only take effect in an empty file. A checkpoint leaves half of a page of 4 KB empty.
            connection.execute("PRAGMA page_size = 8192")
            # Lets deleted pages be given back in small steps.
            connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
            connection.execute("PRAGMA journal_mode = WAL")
            fill(connection)
            connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            connection.execute(f"PRAGMA user_version = {VERSION}")
        _put_in_place(draft, path)
    except OSError as error:
        raise unavailable(error, str(path)) from error
    except sqlite3.Error as error:
        raise fault_of(error, str(path)) from error
    finally:
        for leftover in (draft, Path(f"{draft}-wal"), Path(f"{draft}-shm")):
            with suppress(OSError):
                leftover.unlink()


def unavailable(error: OSError, location: str) -> StorageUnavailable:
    """Return the typed error for what the operating system reported."""
    return StorageUnavailable(
        f"the database cannot be opened ({error.strerror or error})",
        location=location,
        remedy="Check the path, and that this user may write there.",
    )


def _put_in_place(draft: Path, path: Path) -> None:
    with suppress(FileExistsError):  # another process was faster: its file is as good
        try:
            os.link(draft, path)
        except FileExistsError:
            raise
        except OSError:  # a file system without links
            if not path.exists():
                draft.rename(path)
    if hasattr(os, "O_DIRECTORY"):  # a new name is only on the disk once its folder is
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def _refuse_other_tables(path: Path, has_log: bool) -> None:
    # Immutable: SQLite makes no -shm or -wal file then. What a log holds it only sees otherwise.
    mode = "mode=ro" if has_log else "immutable=1"
    try:
        with closing(sqlite3.connect(f"file:{quote(str(path))}?{mode}", uri=True, isolation_level=None)) as connection:
            names = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type <> 'index'")]
            for name in names:
                columns = {row[0] for row in connection.execute("SELECT name FROM pragma_table_info(?)", (name,))}
                if not name.startswith("sqlite_") and not _STOCK_TABLES.get(name, {""}) <= columns:
                    raise _foreign(str(path), f"this is a database of another program (it has {name!r})")
    except sqlite3.Error as error:
        raise fault_of(error, str(path)) from error


_RESTORE = "Restore the file from a backup, or move it away to start with an empty one."


def _emptied(location: str, what: str) -> StorageCorrupt:
    return StorageCorrupt(what, location=location, remedy=_RESTORE)


def _foreign(location: str, what: str) -> StorageForeign:
    return StorageForeign(what, location=location, remedy="It was left as it is. Name another file.")
