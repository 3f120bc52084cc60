"""Statement: one SQL statement on SQLite, with what it may touch and how long it may take.

What a model writes can be slow in places where SQLite looks at no clock: while it is planned, or within one function. So all of
it runs in a process of its own, which can be killed: a query as an errand (`tools.errand`), a change by `answer`. Functions that
need quadratic time are given anew.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import sqlite3
import sys
import time
from collections.abc import Callable, Collection
from contextlib import closing
from pathlib import Path
from typing import Any, TypeVar

_T = TypeVar("_T")
MOST_ROWS = 100
MOST_CELL = 500
"""Characters of a cell that are given."""
_LARGEST = 1_000_000  # bytes of a value
_LONGEST = 10_000  # bytes of a statement
_STEPS = 1_000  # of the engine between two looks at the clock
_BUSY_SECONDS = 0.3
_MOST_ADDED = 256 << 20  # bytes that a change may add to a file
INTERNAL = ("orchestra_effects",)
"""Tables that are neither shown nor touched; and those that begin with sqlite_ are not changed."""
_LIMITS = {
    sqlite3.SQLITE_LIMIT_LENGTH: _LARGEST,
    sqlite3.SQLITE_LIMIT_SQL_LENGTH: _LONGEST,
    sqlite3.SQLITE_LIMIT_LIKE_PATTERN_LENGTH: 200,
    sqlite3.SQLITE_LIMIT_EXPR_DEPTH: 200,
    sqlite3.SQLITE_LIMIT_COMPOUND_SELECT: 100,
    sqlite3.SQLITE_LIMIT_ATTACHED: 0,
    sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER: 1000,
}
_FUNCTION_NAMES = """
abs acos acosh asin asinh atan atan2 atanh avg bm25 ceil ceiling changes char coalesce concat concat_ws cos cosh count
cume_dist current_date current_time current_timestamp date datetime degrees dense_rank exp first_value floor format
glob group_concat hex highlight ifnull iif instr json json_array json_array_length json_each json_extract
json_group_array json_group_object json_object json_quote json_tree json_type json_valid julianday lag
last_insert_rowid last_value lead length like ln log log10 log2 lower ltrim match max min mod nth_value ntile nullif
octet_length percent_rank pi pow power printf quote radians random rank replace round row_number rtrim sign sin sinh
snippet sqlite_version sqrt strftime string_agg substr substring subtype sum tan tanh time timediff total
total_changes trim trunc typeof unhex unicode unixepoch upper -> ->>
"""
_FUNCTIONS = frozenset(_FUNCTION_NAMES.split())
_PRAGMA_NAMES = "foreign_key_list index_info index_list index_xinfo table_info table_list table_xinfo"
_READ_PRAGMAS = frozenset(_PRAGMA_NAMES.split())
_CHANGES = {sqlite3.SQLITE_INSERT: "insert", sqlite3.SQLITE_UPDATE: "update", sqlite3.SQLITE_DELETE: "delete"}
_ACTIONS = {
    getattr(sqlite3, name): name for name in dir(sqlite3) if name.startswith(("SQLITE_CREATE", "SQLITE_DROP"))
} | {
    sqlite3.SQLITE_ATTACH: "ATTACH",
    sqlite3.SQLITE_DETACH: "DETACH",
    sqlite3.SQLITE_TRANSACTION: "a transaction",
    sqlite3.SQLITE_SAVEPOINT: "a savepoint",
    sqlite3.SQLITE_ALTER_TABLE: "ALTER TABLE",
    sqlite3.SQLITE_REINDEX: "REINDEX",
    sqlite3.SQLITE_ANALYZE: "ANALYZE",
}


class Watch:
    """What one statement may touch, and until when; keeps what it was denied."""

    def __init__(self, seconds: float, reads: Collection[str] | None, changes: Collection[str] = ()) -> None:
        self._until = time.monotonic() + seconds
        self._reads = None if reads is None else {name.lower() for name in (*reads, *changes)}
        self._changes = {name.lower() for name in changes}
        self._indexes: frozenset[str] = frozenset()
        self.denied, self.late = "", False

    def learn(self, database: sqlite3.Connection) -> None:
        """Learn which indexes are those of tables that can be read: SQLite asks with the name of the index alone."""
        if self._reads is not None:
            found = database.execute("SELECT name, tbl_name FROM sqlite_master WHERE type = 'index'")
            self._indexes = frozenset(name.lower() for name, table in found if self._readable(table))

    def permit(self, action: int, one: str | None, two: str | None, _database: str | None, within: str | None) -> int:
        """Answer SQLite's question whether a part of a statement is permitted."""
        if action in (sqlite3.SQLITE_SELECT, sqlite3.SQLITE_RECURSIVE):
            return sqlite3.SQLITE_OK
        if action == sqlite3.SQLITE_READ:
            return self._answer(self._readable(one), f"read {one!r}")
        if action == sqlite3.SQLITE_FUNCTION:
            return self._answer((two or "").lower() in _FUNCTIONS, f"call the function {two!r}")
        if action == sqlite3.SQLITE_PRAGMA:
            return self._answer(self._tellable(one, two), f"use PRAGMA {one}" + (f" of {two!r}" if two else ""))
        if action in _CHANGES:
            # Triggers and what foreign keys cascade to were made by whoever made the tables.
            return self._answer(self._changeable(one, within), f"{_CHANGES[action]} rows of {one!r}")
        return self._answer(False, f"use {_ACTIONS.get(action, f'action {action}')}")

    def tick(self) -> int:
        """Answer SQLite's question whether to stop."""
        self.late = self.late or time.monotonic() > self._until
        return int(self.late)

    def _readable(self, table: str | None) -> bool:
        name = (table or "").lower()
        return name not in INTERNAL and (self._reads is None or not name or name in self._reads)

    def _tellable(self, pragma: str | None, about: str | None) -> bool:
        """Say whether a pragma only tells, and of nothing but a table that can be read."""
        if (pragma or "").lower() not in _READ_PRAGMAS:
            return False
        if not about:
            return self._reads is None
        return self._readable(about) or about.lower() in self._indexes

    def _changeable(self, table: str | None, within: str | None) -> bool:
        name = (table or "").lower()
        if not self._changes or name in INTERNAL or name.startswith("sqlite_"):
            return False
        return name in self._changes or within is not None

    def _answer(self, permitted: bool, what: str) -> int:
        if permitted:
            return sqlite3.SQLITE_OK
        self.denied = self.denied or what
        return sqlite3.SQLITE_DENY


def open_database(path: str, *, mode: str) -> sqlite3.Connection:
    """Return a connection with narrow limits, in no transaction; `mode` is `ro` or `rw`.

    Raises:
        sqlite3.Error: It cannot be opened.
    """
    database = sqlite3.connect(f"{Path(path).as_uri()}?mode={mode}", _BUSY_SECONDS, uri=True, isolation_level=None)
    for limit, value in _LIMITS.items():
        database.setlimit(limit, value)
    database.execute("PRAGMA trusted_schema = OFF")
    database.execute("PRAGMA foreign_keys = ON")
    if mode == "ro":
        database.execute("PRAGMA query_only = ON")
    _give_functions(database)
    return database


def run_statement(
    database: sqlite3.Connection, watch: Watch, sql: str, parameters: dict[str, Any] | list[Any], most: int
) -> dict[str, Any]:
    """Run one statement and return `{columns, rows, more, changed}`, cells clipped.

    Raises:
        ValueError: It is not permitted, is more than one, or fails; says why.
        TimeoutError: It took longer.
    """
    watch.learn(database)
    database.set_authorizer(watch.permit)
    database.set_progress_handler(watch.tick, _STEPS)
    try:
        cursor = database.execute(sql, parameters)
        rows = cursor.fetchmany(most + 1)
        columns = [column[0] for column in cursor.description or ()]
        changed = max(0, cursor.rowcount)
        cursor.close()
    except (sqlite3.Error, sqlite3.Warning, OverflowError, UnicodeError, ValueError) as error:
        if watch.late:
            raise TimeoutError from None
        why = f"it may not {watch.denied} here" if watch.denied else _why(error)
        raise ValueError(f"The statement was not run: {why}.") from None
    finally:
        database.set_progress_handler(None, 0)
        database.set_authorizer(None)
    shown = [[_cell(value) for value in row] for row in rows[:most]]
    return {"columns": columns, "rows": shown, "more": len(rows) > most, "changed": changed}


def query(path: str, sql: str, parameters: Any, reads: list[str] | None, most: int, seconds: float) -> dict[str, Any]:
    """Return what a statement selects; for an errand.

    Raises:
        ValueError: It is not permitted, or fails.
        TimeoutError: It took longer.
    """
    return _with(path, lambda database: run_statement(database, Watch(seconds, reads), sql, parameters, most))


def change(
    path: str, sql: str, parameters: Any, reads: list[str] | None, changes: list[str], key: str, seconds: float
) -> dict[str, Any]:
    """Carry out a statement that changes tables and commit it with its key, or return what it gave when that was done before.

    It reads and writes the table of `tools.effects.once`, which imports too much for a process that starts anew each time.

    Raises:
        ValueError: It is not permitted, fails, or the database is locked; nothing was changed.
        TimeoutError: It took longer; nothing was changed.
    """
    if sql.lstrip()[:7].lower() == "explain":
        raise ValueError("Expected INSERT, UPDATE, DELETE or REPLACE, got EXPLAIN")
    watch = Watch(seconds, reads, changes)
    try:
        with closing(open_database(path, mode="rw")) as database:
            # Planned before the database is locked: what is refused or slow to plan stands in nobody's way.
            run_statement(database, watch, f"EXPLAIN {sql}", parameters, 1)
            database.execute("BEGIN IMMEDIATE")
            database.execute(
                "CREATE TABLE IF NOT EXISTS orchestra_effects (key TEXT PRIMARY KEY, result TEXT NOT NULL)"
            )
            row = database.execute("SELECT result FROM orchestra_effects WHERE key = ?", (key,)).fetchone()
            if row is not None:
                return dict(json.loads(row[0]))
            done = run_statement(database, watch, sql, parameters, MOST_ROWS)
            kept = (key, json.dumps(done, ensure_ascii=False))
            database.execute("INSERT INTO orchestra_effects VALUES (?, ?)", kept)
            database.execute("COMMIT")
            return done
    except sqlite3.Error as error:
        raise ValueError(f"The database cannot be changed now, and nothing was: {error}.") from None


def answer() -> None:
    """Read arguments of `change` and `memory` in bytes from standard input, and write `{result}` or `{refused}`.

    The main thing of a process of its own. It ends a second after its time even when nobody is left to kill it, as its lock does
    with it.
    """
    given = json.loads(sys.stdin.buffer.read())
    memory = given.pop("memory")
    signal.setitimer(signal.ITIMER_REAL, given["seconds"] + 1)
    try:
        written = os.path.getsize(given["path"]) + _MOST_ADDED
        for limit, most in {
            resource.RLIMIT_AS: memory,
            resource.RLIMIT_FSIZE: written,
            resource.RLIMIT_CORE: 0,
        }.items():
            resource.setrlimit(limit, (most, most))
        said: dict[str, Any] = {"result": change(**given)}
    except ValueError as error:
        said = {"refused": str(error)}
    except TimeoutError:
        said = {"refused": f"No end within {given['seconds']:g} s; nothing was changed. Change fewer rows."}
    except OSError as error:  # after TimeoutError, which is one
        said = {"refused": f"The database cannot be changed now, and nothing was: {error.strerror}."}
    except MemoryError:
        said = {"refused": "It needed too much memory; nothing was changed. Change fewer rows, or in a simpler way."}
    sys.stdout.buffer.write(json.dumps(said).encode())


def describe(path: str, reads: list[str] | None) -> list[dict[str, Any]]:
    """Return `{name, type, columns, sql}` of tables and views; for an errand.

    Raises:
        ValueError: The file cannot be read.
    """
    wanted = None if reads is None else {name.lower() for name in reads}

    def tables(database: sqlite3.Connection) -> list[dict[str, Any]]:
        found = database.execute(
            "SELECT name, type, sql FROM sqlite_master WHERE type IN ('table', 'view') ORDER BY name"
        )
        return [
            {"name": name, "type": kind, "sql": sql}
            for name, kind, sql in found
            if not name.startswith("sqlite_") and name not in INTERNAL and (wanted is None or name.lower() in wanted)
        ]

    return _with(path, tables)


def _with(path: str, work: Callable[[sqlite3.Connection], _T]) -> _T:
    try:
        with closing(open_database(path, mode="ro")) as database:
            return work(database)
    except sqlite3.Error as error:
        raise ValueError(f"The database cannot be read: {error}.") from None


def _why(error: Exception) -> str:
    """Say what SQLite refuses, in words that say what to do."""
    text = str(error)
    if "one statement" in text:
        return "expected one statement, got several; give them one by one"
    if "readonly" in text or "query_only" in text:
        return "this tool only reads"
    if isinstance(error, UnicodeError):
        return "expected text, got half of a surrogate pair"
    return text


def _cell(value: Any) -> Any:
    if isinstance(value, bytes):
        return f"<{len(value)} bytes>"
    if isinstance(value, str) and len(value) > MOST_CELL:
        return f"{value[:MOST_CELL]}... ({len(value)} characters)"
    return value


def _give_functions(database: sqlite3.Connection) -> None:
    """Put functions in place of those of SQLite that need quadratic time."""
    database.create_function("instr", 2, _instr, deterministic=True)
    database.create_function("replace", 3, _replace, deterministic=True)
    for name, strip in {"trim": str.strip, "ltrim": str.lstrip, "rtrim": str.rstrip}.items():
        database.create_function(name, 2, _stripping(strip), deterministic=True)


def _instr(text: Any, part: Any) -> int | None:
    if text is None or part is None:
        return None
    if isinstance(text, bytes) and isinstance(part, bytes):
        return text.find(part) + 1
    return _string(text).find(_string(part)) + 1


def _replace(text: Any, old: Any, new: Any) -> str | None:
    if text is None or old is None or new is None:
        return None
    if not _string(old):
        return _string(text)
    whole, part, other = _string(text), _string(old), _string(new)
    if len(whole) + whole.count(part) * (len(other) - len(part)) > _LARGEST:
        raise ValueError("too long")
    return whole.replace(part, other)


def _stripping(strip: Callable[[str, str], str]) -> Callable[[Any, Any], str | None]:
    def stripped(text: Any, letters: Any) -> str | None:
        if text is None or letters is None:
            return None
        kinds = "".join(sorted(set(_string(letters))))
        if len(kinds) > 100:
            raise ValueError("too many letters")
        return str(strip(_string(text), kinds))

    return stripped


def _string(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
