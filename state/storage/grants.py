"""Keep which grants were used and which were revoked, and the key that signs them.

Rows stay when their thread is deleted, for a used grant stays used; they go a week after the grant ended. The key of an SQLite
file lies beside it, `<file>.key`, for its owner only: a copy of the database, sent to somebody, does not let them sign, and a
database from somewhere else brings no key along. A server has no place beside it: its key is a row, kept by its access control.
`ORCHESTRA_GRANT_KEY` takes the place of both.
"""

# ruff: noqa: S608 - the texts are our own constants, and every value is a parameter

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any, Literal, ParamSpec, TypeVar
from weakref import WeakKeyDictionary

from langgraph.checkpoint.base import BaseCheckpointSaver

from state.errors import ConfigurationError, StorageUnavailable
from state.grants import KEY_BYTES, Grants, read_key
from state.registers import FORGOTTEN_AFTER, Grant, Known
from state.storage.audit import is_server
from state.storage.doors import Worker
from state.storage.ledgers import place_in
from state.storage.place import Place

P = ParamSpec("P")
T = TypeVar("T")

KEY_VARIABLE = "ORCHESTRA_GRANT_KEY"
"""Environment variable for a key: at least 32 bytes in hexadecimal or base64."""

TABLES = ("orchestra_grants",)
"""Not among the tables that lose their rows with a thread."""

SCHEMA = (
    """CREATE TABLE IF NOT EXISTS orchestra_grants (
        id TEXT PRIMARY KEY, parent TEXT NOT NULL, thread_id TEXT NOT NULL, turn TEXT NOT NULL,
        issuer TEXT NOT NULL, holder TEXT NOT NULL, expires DOUBLE PRECISION NOT NULL,
        used DOUBLE PRECISION, revoked DOUBLE PRECISION
    )""",
    "CREATE INDEX IF NOT EXISTS orchestra_grants_expires ON orchestra_grants (expires)",
)

_COLUMNS = "id, parent, thread_id, turn, issuer, holder, expires, used, revoked"
_INSERT = f"INSERT INTO orchestra_grants ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
_FAR = 253_402_300_799.0
"""End of the year 9999: when a grant expires of which only its revocation is known."""
_LOCK = 0x4F52434B

_grants: WeakKeyDictionary[BaseCheckpointSaver[Any], AsyncGrants] = WeakKeyDictionary()


class GrantTable:
    """The register of the database in `place`. Its methods block, and belong on the place's worker.

    Raises:
        PersistenceError: From every method.
    """

    def __init__(self, place: Place) -> None:
        self._place = place

    def use(self, grant: Grant, now: float) -> Literal["", "replayed", "revoked"]:
        """Note that a grant is used, at once with finding out that it was not used before and is not revoked."""
        row = (grant.id, grant.parent, grant.thread, grant.turn, grant.issuer, grant.holder, grant.expires, now, None)
        with self._place.transaction(write=True) as execute:
            if execute(*_revoked(grant.lineage)):
                return "revoked"
            if not execute(f"{_INSERT} ON CONFLICT DO NOTHING RETURNING id", row):
                return "replayed"
            execute("DELETE FROM orchestra_grants WHERE expires < ?", (now - FORGOTTEN_AFTER,))
        return ""

    def revoke(self, grant: str, now: float) -> bool:
        """Note that a grant is revoked, with all below it; return False if it was already."""
        row = (grant, "", "", "", "", "", _FAR, None, now)
        change = "DO UPDATE SET revoked = excluded.revoked WHERE orchestra_grants.revoked IS NULL"
        with self._place.transaction(write=True) as execute:
            return bool(execute(f"{_INSERT} ON CONFLICT (id) {change} RETURNING id", row))

    def is_revoked(self, lineage: Iterable[str]) -> bool:
        """Whether one of these is revoked."""
        with self._place.transaction(write=False) as execute:
            return bool(execute(*_revoked(tuple(lineage))))

    def known(self, thread: str | None = None) -> list[Known]:
        """Return the grants that were used or revoked, the first one used first."""
        where, given = ("", ()) if thread is None else ("WHERE thread_id = ?", (thread,))
        query = f"SELECT {_COLUMNS} FROM orchestra_grants {where} ORDER BY coalesce(used, revoked), id"
        with self._place.transaction(write=False) as execute:
            rows = execute(query, given)
        above = {row[0]: row[1] for row in rows}
        ended = {row[0] for row in rows if row[-1] is not None}
        return [Known._make((*row, not ended.isdisjoint(_lineage(row[0], above)))) for row in rows]


class AsyncGrants:
    """Grants for async code: those that look into the register are awaited, and run where that blocks."""

    def __init__(self, grants: Grants, worker: Worker | None = None) -> None:
        self._grants, self._worker = grants, worker
        self.issue, self.narrow, self.read = grants.issue, grants.narrow, grants.read
        """As those of `Grants`: they look nowhere."""

    async def redeem(self, token: str, *, holder: str, thread: str, now: float, turn: str | None = None) -> Grant:
        """Return the grant of a token, which is used up by that; see `Grants.redeem`."""
        return await self._run(self._grants.redeem, token, holder=holder, thread=thread, now=now, turn=turn)

    async def check(self, grant: Grant, now: float) -> None:
        """Return if a redeemed grant still holds; see `Grants.check`."""
        await self._run(self._grants.check, grant, now)

    async def revoke(self, grant: str, now: float) -> bool:
        """End a grant and all that were issued below it; return False if it was revoked already."""
        return await self._run(self._grants.revoke, grant, now)

    async def known(self, thread: str | None = None) -> list[Known]:
        """Return the grants that were used or revoked, the first one used first."""
        return await self._run(self._grants.known, thread)

    async def _run(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        return (
            await self._worker.run(function, *args, **kwargs) if self._worker is not None else function(*args, **kwargs)
        )


async def grants_of(saver: BaseCheckpointSaver[Any]) -> AsyncGrants:
    """Return the grants of a saver's database; beside one in memory they are this process's.

    Raises:
        ConfigurationError: The key is too short, or can be read by others.
    """
    if saver not in _grants:
        found = await place_in(saver, SCHEMA)
        if found is None:
            made = AsyncGrants(Grants(process_key()))
        else:
            place, worker = found
            made = AsyncGrants(await worker.run(grants_at, place), worker)
        _grants.setdefault(saver, made)  # of two that looked at once, both get the same
    return _grants[saver]


def grants_at(place: Place) -> Grants:
    """Return the grants of a database whose tables are there.

    Raises:
        ConfigurationError: The key is too short, or can be read by others.
        PersistenceError: It can be neither read nor made.
    """
    return Grants(_key_of(place), GrantTable(place))


def process_key() -> bytes:
    """Return the key for grants that end with the process: that of the environment, or one that nobody else has."""
    return _key_given() or _random_key()


@cache
def _random_key() -> bytes:
    return secrets.token_bytes(KEY_BYTES)


def _key_given() -> bytes | None:
    text = os.environ.get(KEY_VARIABLE, "")
    return read_key(text, KEY_VARIABLE) if text.strip() else None


def _key_of(place: Place) -> bytes:
    if (given := _key_given()) is not None:
        return given
    if is_server(place):
        return _server_key(place)
    if place.location == "memory:":
        return process_key()
    return _file_key(Path(f"{place.location}.key"))


def _server_key(place: Place) -> bytes:
    with place.transaction(write=True) as execute:
        execute("SELECT pg_advisory_xact_lock(?)", (_LOCK,))
        execute("CREATE TABLE IF NOT EXISTS orchestra_grant_keys (id INTEGER PRIMARY KEY, key TEXT NOT NULL)", ())
        execute(
            "INSERT INTO orchestra_grant_keys VALUES (1, ?) ON CONFLICT DO NOTHING", (secrets.token_hex(KEY_BYTES),)
        )
        return read_key(execute("SELECT key FROM orchestra_grant_keys WHERE id = 1", ())[0][0], "orchestra_grant_keys")


def _file_key(path: Path) -> bytes:
    with _errors(path):
        if not path.exists():
            _make(path)
        file = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0))
        with open(file, encoding="utf-8", errors="replace") as opened:
            if os.name == "posix" and os.fstat(file).st_mode & 0o077:
                raise ConfigurationError(
                    f"grants: expected that only you can read {str(path)!r}, got one that others can; "
                    f"chmod 600 it, or remove it to have another key made"
                )
            return read_key(opened.read(1_000), str(path))


def _make(path: Path) -> None:
    """Make a key file, whole from the beginning; one that another process makes at the same time stays."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        with open(os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w", encoding="utf-8") as file:
            file.write(secrets.token_hex(KEY_BYTES) + "\n")
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(draft, path)
        except FileExistsError:
            return
        except OSError:  # a file system without links
            if not path.exists():
                draft.rename(path)
    finally:
        with suppress(OSError):
            draft.unlink()


@contextmanager
def _errors(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StorageUnavailable(
            f"the key of the grants cannot be read or made ({error.strerror or error})",
            location=str(path),
            remedy=f"Make its folder writable for this user, or set {KEY_VARIABLE}.",
        ) from error


def _revoked(lineage: tuple[str, ...]) -> tuple[str, tuple[str, ...]]:
    holes = ", ".join("?" * len(lineage))
    return f"SELECT 1 FROM orchestra_grants WHERE revoked IS NOT NULL AND id IN ({holes}) LIMIT 1", lineage


def _lineage(grant: str, above: dict[str, str]) -> Iterator[str]:
    seen = set[str]()
    while grant and grant not in seen:  # rows that somebody else wrote may go in a circle
        seen.add(grant)
        yield grant
        grant = above.get(grant, "")
