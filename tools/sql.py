"""SQL: tools with which an agent reads an SQLite database, and one with which it changes named tables of it.

Only SQLite: other databases have rights of their own, and a read-only user there is worth more than a tool that reads SQL.
"""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from langchain_core.tools import BaseTool, StructuredTool, ToolException
from pydantic import BaseModel, Field

from state.errors import ConfigurationError
from tools.effects import effect, effect_key, once
from tools.errand import MEMORY, run_errand
from tools.rights import needs
from tools.statement import MOST_ROWS, open_database

SECONDS = 0.5
"""For one statement."""
_MOST_SAID = 20_000
_GRACE = 0.25  # seconds to start and to say that the time is over, before a change is killed
_HERE = str(Path(__file__).resolve().parents[1])
_CHILD = "import sys; sys.path.append(sys.argv[1]); from tools.statement import answer; answer()"

Value = str | int | float | bool | None
_PARAMETERS = "Values, by name for :name or in order for ?. Never write values into the statement itself."


class _Query(BaseModel):
    sql: str = Field(
        description="One SELECT statement of SQLite, such as 'SELECT title FROM books WHERE year > :year'."
    )
    parameters: dict[str, Value] | list[Value] = Field(default_factory=list, description=_PARAMETERS)


class _Change(BaseModel):
    sql: str = Field(
        description="One INSERT, UPDATE or DELETE statement of SQLite, such as 'DELETE FROM books WHERE id = ?'."
    )
    parameters: dict[str, Value] | list[Value] = Field(default_factory=list, description=_PARAMETERS)


class _Nothing(BaseModel):
    pass


def create_sql_tools(
    database: str | Path,
    *,
    tables: Sequence[str] | None = None,
    most_rows: int = MOST_ROWS,
    seconds: float = SECONDS,
) -> tuple[BaseTool, BaseTool]:
    """Create the tools `query_database` and `describe_database`, which cannot change anything.

    Args:
        database: An SQLite file.
        tables: That can be read; all, when not given. A view needs the tables below it as well.
        most_rows: Rows that are given at once.
        seconds: For one statement.

    Raises:
        ConfigurationError: It is no SQLite file, lacks a table, or a number is below 1 or not above 0.
    """
    path, reads = _checked("create_sql_tools", database, tables, seconds), None if tables is None else list(tables)
    if most_rows < 1:
        raise ConfigurationError(f"create_sql_tools: expected most_rows of 1 or more, got {most_rows!r}")

    def query_database(sql: str, parameters: dict[str, Value] | list[Value] | None = None) -> str:
        limits = {"reads": reads, "most": most_rows, "seconds": seconds}
        given = {"path": path, "sql": _text(sql), "parameters": parameters or [], **limits}
        return _rendered(run_errand("tools.statement:query", given, seconds=seconds))

    def describe_database() -> str:
        found = run_errand("tools.statement:describe", {"path": path, "reads": reads}, seconds=SECONDS)
        return "\n\n".join(f"{each['sql']};" for each in found)[:_MOST_SAID] or "There are no tables."

    description = f"Read an SQLite database with one SELECT statement. Returns columns and at most {most_rows} rows."
    querying = StructuredTool.from_function(query_database, args_schema=_Query, description=description)
    description = "Show the tables and views of the database with their columns. Use it before a query."
    describing = StructuredTool.from_function(describe_database, args_schema=_Nothing, description=description)
    return needs("read")(querying), needs("read")(describing)


def create_sql_write_tool(
    database: str | Path, *, tables: Sequence[str], reads: Sequence[str] | None = None, seconds: float = SECONDS
) -> BaseTool:
    """Create the tool `change_database`: one INSERT, UPDATE or DELETE, carried out once in a turn, whatever crashes.

    Args:
        database: An SQLite file. A table `orchestra_effects` is made in it, which keeps what was done.
        tables: Whose rows can be changed. Triggers of theirs may change others.
        reads: Tables that can be read as well; all, when not given.
        seconds: For one statement.

    Raises:
        ConfigurationError: It is no SQLite file, or lacks a table; or no table was named.
    """
    if not tables or isinstance(tables, str):
        raise ConfigurationError(f"create_sql_write_tool: expected names of tables to change, got {tables!r}")
    path = _checked("create_sql_write_tool", database, [*tables, *(reads or ())], seconds)
    readable = None if reads is None else list(reads)

    def change_database(sql: str, parameters: dict[str, Value] | list[Value] | None = None) -> str:
        given: dict[str, Any] = {"path": path, "sql": _text(sql), "parameters": parameters or [], "reads": readable}
        given |= {"changes": list(tables), "key": effect_key(), "seconds": seconds}
        done = _carried_out(given, seconds) or _found_done(path, seconds)
        rows = f"\n{_rendered(done)}" if done["columns"] else ""
        return f"{done['changed']} row(s) changed.{rows}"

    description = f"Change rows of {', '.join(tables)} with one INSERT, UPDATE or DELETE statement of SQLite."
    tool = StructuredTool.from_function(change_database, args_schema=_Change, description=description)
    return effect(needs("read", "write")(tool), transactional=True)


def _checked(where: str, database: str | Path, tables: Sequence[str] | None, seconds: float) -> str:
    """Return the path of a database, after a look at its tables."""
    path = Path(database).expanduser().absolute()
    if seconds <= 0:
        raise ConfigurationError(f"{where}: expected seconds above 0, got {seconds!r}")
    if not path.is_file():
        raise ConfigurationError(f"{where}: expected an SQLite file, found none at {str(database)!r}")
    try:
        with closing(open_database(str(path), mode="ro")) as connection:
            found = {name.lower() for (name,) in connection.execute("SELECT name FROM sqlite_master")}
    except sqlite3.Error as error:
        raise ConfigurationError(f"{where}: {str(database)!r} cannot be read as an SQLite database: {error}") from None
    lacking = sorted(name for name in tables or () if name.lower() not in found)
    if lacking:
        raise ConfigurationError(
            f"{where}: {str(database)!r} has no table {', '.join(lacking)}; it has {sorted(found)}"
        )
    return str(path)


def _carried_out(given: dict[str, Any], seconds: float) -> dict[str, Any] | None:
    """Return what a change gave that was carried out in a process of its own; None when that was killed or crashed.

    Not an errand, as the files that those write may only be small.

    Raises:
        ToolException: It was refused, and nothing was changed.
    """
    try:
        ended = subprocess.run(
            [sys.executable, "-I", "-S", "-c", _CHILD, _HERE],
            input=json.dumps({**given, "memory": MEMORY}).encode(),
            capture_output=True,
            timeout=seconds + _GRACE,
            cwd="/",
            env={"LANG": "C.UTF-8"},
            start_new_session=True,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return None
    said = json.loads(ended.stdout) if ended.returncode == 0 and ended.stdout else {}
    if "refused" in said:
        raise ToolException(said["refused"])
    return said.get("result")


def _found_done(path: str, seconds: float) -> dict[str, Any]:
    """Return what a change gave whose process was killed: it may have been about to say so.

    Opening the database takes back what was half done. While somebody else has it locked, it stays in doubt.

    Raises:
        ToolException: Nothing was changed.
    """

    def not_done() -> dict[str, Any]:
        raise ToolException(
            f"It was stopped, after {seconds:g} s at most; nothing was changed. Change fewer rows, or in a simpler way."
        )

    with closing(open_database(path, mode="rw")) as connection:
        found: dict[str, Any] = once(connection, not_done)
    return found


def _text(sql: str) -> str:
    try:
        sql.encode()
    except UnicodeEncodeError:
        raise ToolException("Expected SQL that is text, got half of a surrogate pair.") from None
    return sql


def _rendered(found: dict[str, Any]) -> str:
    """Return columns and rows as JSON lines."""
    lines = [json.dumps(row, ensure_ascii=False, default=str) for row in (found["columns"], *found["rows"])]
    text = "\n".join(lines)
    more = "\n... and more rows; ask for fewer, or say LIMIT and OFFSET" if found["more"] else ""
    if len(text) > _MOST_SAID:
        return f"{text[:_MOST_SAID]}\n... cut after {_MOST_SAID} characters; select fewer columns"
    return f"{text}{more}" if found["columns"] else "The statement gave no rows."
