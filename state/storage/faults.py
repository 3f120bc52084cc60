"""Translate what SQLite reports into an error that names the file, the cause and the remedy."""

from __future__ import annotations

import sqlite3

from state.errors import PersistenceError, StorageCorrupt, StorageUnavailable

RESTORE = "Restore the file from a backup; `sqlite3 FILE .recover` saves what is readable."

# Primary result codes: https://www.sqlite.org/rescode.html
_UNAVAILABLE = {
    sqlite3.SQLITE_BUSY: ("it is locked", "Another process has been writing for too long: wait for it, or end it."),
    sqlite3.SQLITE_LOCKED: ("it is locked", "Another process has been writing for too long: wait for it, or end it."),
    sqlite3.SQLITE_FULL: ("the disk is full", "Free some space, then resume the thread: what was committed is kept."),
    sqlite3.SQLITE_READONLY: ("it cannot be written", "Make the file and its folder writable for this user."),
    sqlite3.SQLITE_PERM: ("access is denied", "Make the file and its folder writable for this user."),
    sqlite3.SQLITE_CANTOPEN: ("it cannot be opened", "Check that the folder exists and may be written by this user."),
    sqlite3.SQLITE_IOERR: ("reading or writing failed", "Check the disk, then resume the thread."),
}
_CORRUPT = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_FORMAT, sqlite3.SQLITE_SCHEMA}
_CORRUPT_EXTENDED = {sqlite3.SQLITE_IOERR_SHORT_READ, sqlite3.SQLITE_IOERR_CORRUPTFS, sqlite3.SQLITE_IOERR_DATA}
_CORRUPT_TEXTS = ("no such table", "no such column", "has no column", "could not decode", "malformed json")


def fault_of(error: sqlite3.Error | UnicodeDecodeError, location: str) -> PersistenceError:
    """Return the typed error for what SQLite raised.

    A `UnicodeDecodeError` is one, too: the module fails to decode SQLite's own message when that quotes a damaged name.
    """
    extended = getattr(error, "sqlite_errorcode", None)
    code, text = (extended or 0) & 0xFF, str(error)
    if (
        isinstance(error, UnicodeDecodeError)
        or code in _CORRUPT
        or extended in _CORRUPT_EXTENDED
        or text.lower().startswith(_CORRUPT_TEXTS)
    ):
        return StorageCorrupt(f"the database is damaged ({text})", location=location, remedy=RESTORE)
    if code in _UNAVAILABLE:
        cause, remedy = _UNAVAILABLE[code]
        return StorageUnavailable(f"the database is not available: {cause} ({text})", location=location, remedy=remedy)
    if "closed database" in text:
        return StorageUnavailable("the database is closed", location=location, remedy="Open it again.")
    return StorageUnavailable(f"the database failed ({text})", location=location, remedy="Check the file and the disk.")
