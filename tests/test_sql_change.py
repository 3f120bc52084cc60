"""A change over SQL: over in time whatever function it calls, the database free afterwards, and told of when its process dies."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from langchain_core.tools import BaseTool, ToolException

import tools.sql
from hostile import within_the_limit
from state.errors import ConfigurationError
from tools.effects import carrying_out, once
from tools.sql import create_sql_tools, create_sql_write_tool

MANY = "WITH RECURSIVE c (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c LIMIT 990)"
PATTERN = "a" * 180 + "b"
SLOW = (
    f"count(*) FROM c WHERE text || x LIKE '%{PATTERN}'",
    f"count(*) FROM c WHERE text || x GLOB '*{PATTERN}'",
    f"count(*) FROM c WHERE text || x GLOB '*{'[a]*' * 20}[b]'",
    f"count(*) FROM c WHERE instr(text || x, '{PATTERN}')",
    "sum(length(replace(text || x, 'aa', 'b'))) FROM c",
    "sum(length(printf('%900000s', x))) FROM c",
    "sum(length(hex(substr(text || x, 1, 400000)))) FROM c",
    "group_concat(a.x || b.x) FROM c AS a, c AS b, c AS d",
    "sum(length(json_quote(text || x))) FROM c",
    "sum(json_valid('[' || replace(substr(text, 1, 300000), 'a', '1,') || x || ']')) FROM c",
)
ADD = {"sql": "INSERT INTO notes (text) VALUES ('new') RETURNING text"}
ADDED = '1 row(s) changed.\n["text"]\n["new"]'


@pytest.fixture
def database(tmp_path: Path) -> Path:
    path = tmp_path / "notes.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE notes (id INTEGER PRIMARY KEY, text TEXT, found)")
        connection.execute("INSERT INTO notes (text) VALUES (?)", ["a" * 900_000])
        connection.commit()
    return path


def changing(path: Path) -> BaseTool:
    return create_sql_write_tool(path, tables=["notes"], seconds=0.2)


def content(path: Path) -> list[tuple[object, ...]]:
    """Return all rows, through a connection that waits for nobody."""
    with closing(sqlite3.connect(path, timeout=0, isolation_level=None)) as connection:
        connection.execute("BEGIN EXCLUSIVE")
        return connection.execute("SELECT * FROM notes").fetchall()


@pytest.mark.parametrize("slow", SLOW, ids=range(len(SLOW)))
def test_no_function_makes_a_change_outlast_its_time_or_keep_the_database_locked(database: Path, slow: str) -> None:
    before = content(database)
    with carrying_out("one"), within_the_limit(), pytest.raises(ToolException, match="nothing was changed"):
        changing(database).invoke({"sql": f"UPDATE notes SET found = ({MANY} SELECT {slow})"})
    assert content(database) == before


def test_what_a_killed_change_had_written_is_taken_back_before_anybody_reads(database: Path) -> None:
    with closing(sqlite3.connect(database)) as connection:
        connection.executemany("INSERT INTO notes (text) VALUES (?)", [["b" * 1000]] * 5000)
        connection.commit()
    before = content(database)
    stuck = f"({MANY} SELECT count(*) FROM c WHERE (SELECT text FROM notes WHERE id = 1) || x LIKE '%{PATTERN}')"
    with carrying_out("one"), within_the_limit(), pytest.raises(ToolException, match="nothing was changed"):
        changing(database).invoke(
            {"sql": f"UPDATE notes SET text = CASE WHEN id < 4000 THEN text || '!' ELSE {stuck} END WHERE id > 1"}
        )
    said = create_sql_tools(database)[0].invoke({"sql": "SELECT count(*) FROM notes WHERE text LIKE '%!'"})
    assert said.splitlines()[1] == "[0]"
    assert content(database) == before


def test_a_change_whose_process_dies_once_it_is_committed_is_told_as_done(
    database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tools.sql, "_CHILD", f"{tools.sql._CHILD}; import os; os._exit(9)")
    with carrying_out("one"):
        assert changing(database).invoke(ADD) == ADDED
        assert changing(database).invoke(ADD) == ADDED
    assert [row[1] for row in content(database)[1:]] == ["new"]


def test_a_change_whose_process_dies_before_is_told_as_not_done_and_can_be_asked_for_again(
    database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with carrying_out("one"):
        with monkeypatch.context() as patch:
            patch.setattr(tools.sql, "_CHILD", "import os; os._exit(9)")
            with pytest.raises(ToolException, match=r"It was stopped.*nothing was changed"):
                changing(database).invoke(ADD)
        assert changing(database).invoke(ADD) == ADDED


def test_a_change_whose_process_died_stays_in_doubt_while_the_database_is_locked(
    database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tools.sql, "_CHILD", "import os; os._exit(9)")
    with closing(sqlite3.connect(database)) as other, carrying_out("one"):
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            changing(database).invoke(ADD)


def test_a_change_and_once_know_of_each_other_what_was_done(database: Path) -> None:
    def again() -> None:
        pytest.fail("was done again")

    with closing(sqlite3.connect(database, isolation_level=None)) as connection:
        with carrying_out("one"):
            assert changing(database).invoke(ADD) == ADDED
            assert once(connection, again) == {"columns": ["text"], "rows": [["new"]], "more": False, "changed": 1}
        with carrying_out("two"):
            once(connection, lambda: {"columns": [], "rows": [], "more": False, "changed": 7})
            assert changing(database).invoke(ADD) == "7 row(s) changed."


def test_a_constraint_that_is_looked_at_when_it_is_committed_refuses_a_change(database: Path) -> None:
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("CREATE TABLE tags (note REFERENCES notes (id) DEFERRABLE INITIALLY DEFERRED)")
    change = create_sql_write_tool(database, tables=["tags"])
    with carrying_out("one"):
        with pytest.raises(ToolException, match="nothing was: FOREIGN KEY constraint failed"):
            change.invoke({"sql": "INSERT INTO tags VALUES (9)"})
        assert change.invoke({"sql": "INSERT INTO tags VALUES (1)"}) == "1 row(s) changed."


def test_a_change_is_refused_where_no_effect_is_being_carried_out(database: Path) -> None:
    with pytest.raises(ConfigurationError, match="effect_key"):
        changing(database).invoke(ADD)
    assert len(content(database)) == 1


def test_a_change_of_a_file_that_is_gone_is_refused(database: Path) -> None:
    change = changing(database)
    database.unlink()
    with carrying_out("one"), pytest.raises(ToolException, match="nothing was: No such file"):
        change.invoke(ADD)
    assert not database.exists()
