"""SQL over SQLite: one statement, values bound, nothing changed by a query, nothing slow, and an effect only once."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing, suppress
from hashlib import sha256
from pathlib import Path

import pytest
from langchain_core.tools import BaseTool, ToolException

from cases import says
from graphs import single
from hostile import QUERIES, within_the_limit
from nodes.scripted import call
from state.errors import ConfigurationError
from tools.effects import carrying_out
from tools.marks import marks_of
from tools.rights import rights_of
from tools.sql import create_sql_tools, create_sql_write_tool

SECRET = "hunter2"
SCHEMA = f"""
CREATE TABLE books (id INTEGER PRIMARY KEY, title TEXT, year INTEGER);
CREATE TABLE secrets (key TEXT);
CREATE TABLE log (what TEXT);
CREATE VIEW old AS SELECT key FROM secrets;
CREATE TRIGGER noted AFTER DELETE ON books BEGIN INSERT INTO log VALUES ('deleted ' || old.id); END;
INSERT INTO books VALUES (1, 'Dune', 1965), (2, 'Emma', 1815), (3, 'Ulysses', 1922);
INSERT INTO secrets VALUES ('{SECRET}');
"""


@pytest.fixture
def database(tmp_path: Path) -> Path:
    path = tmp_path / "a folder" / "100% #books?.db"
    path.parent.mkdir()
    make(path)
    return path


def make(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(SCHEMA)


def rows(path: Path, sql: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(sql).fetchall()


def digest(path: Path) -> str:
    return sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize("sql", QUERIES, ids=range(len(QUERIES)))
def test_no_query_changes_anything_reads_what_it_may_not_or_takes_long(
    database: Path, sql: str, tmp_path: Path
) -> None:
    outside = tmp_path / "outside.db"
    make(outside)
    before, names = (digest(database), digest(outside)), sorted(tmp_path.rglob("*"))
    query, _ = create_sql_tools(database, tables=["books", "old"])
    said = ""
    with within_the_limit(), suppress(ToolException):
        said = query.invoke({"sql": sql.replace("{outside}", str(outside)).replace("{folder}", str(tmp_path))})
    assert SECRET not in said
    assert (digest(database), digest(outside)) == before
    assert sorted(tmp_path.rglob("*")) == names


def test_no_hostile_statement_changes_other_tables_than_those_named(database: Path, tmp_path: Path) -> None:
    change = create_sql_write_tool(database, tables=["books"], reads=["books", "log"], seconds=0.3)
    attacks = (
        "DELETE FROM secrets", "UPDATE secrets SET key = ''", "INSERT INTO secrets VALUES ('x')", "DELETE FROM log",
        "INSERT INTO books (title) SELECT key FROM secrets", "DELETE FROM books WHERE id IN (SELECT 1 FROM secrets)",
        "UPDATE books SET title = (SELECT key FROM secrets)", "INSERT INTO books (title) VALUES ('x') RETURNING (SELECT key FROM secrets)",  # noqa: E501
        "WITH noted AS (SELECT key FROM secrets) INSERT INTO books (title) SELECT key FROM noted", "DELETE FROM orchestra_effects",  # noqa: E501
        "DELETE FROM books; DELETE FROM secrets", "DROP TABLE books", "UPDATE sqlite_master SET sql = ''", "EXPLAIN DELETE FROM books",  # noqa: E501
        "PRAGMA writable_schema = ON", "ATTACH 'x' AS y", "COMMIT", "ROLLBACK", "VACUUM", "CREATE TABLE x (y)",
        "WITH RECURSIVE t (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM t) INSERT INTO books (year) SELECT x FROM t",
    )  # fmt: skip
    for number, sql in enumerate(attacks):
        with carrying_out(f"attack {number}"), within_the_limit(), pytest.raises(ToolException):
            change.invoke({"sql": sql})
    assert rows(database, "SELECT title FROM books") == [("Dune",), ("Emma",), ("Ulysses",)]
    assert rows(database, "SELECT * FROM secrets") == [(SECRET,)]
    assert rows(database, "SELECT * FROM log") == []
    assert not (tmp_path / "x").exists()


def test_rows_come_as_json_lines_under_their_columns_and_values_are_bound(database: Path) -> None:
    query, _ = create_sql_tools(database)
    by_name = query.invoke(
        {"sql": "SELECT id, title FROM books WHERE year > :year ORDER BY id", "parameters": {"year": 1900}}
    )
    assert [json.loads(line) for line in by_name.splitlines()] == [["id", "title"], [1, "Dune"], [3, "Ulysses"]]
    injected = query.invoke({"sql": "SELECT id FROM books WHERE title = ?", "parameters": ["' OR 1=1 --"]})
    assert injected == '["id"]'
    assert "null, 1.5" in query.invoke({"sql": "SELECT ?, ?", "parameters": [None, 1.5]})


@pytest.mark.parametrize("parameters", [[], {"other": 1}, [1, 2], [2**70], ["\ud800"]])
def test_parameters_that_do_not_fit_are_refused(database: Path, parameters: object) -> None:
    query, _ = create_sql_tools(database)
    with pytest.raises(ToolException, match="was not run"):
        query.invoke({"sql": "SELECT * FROM books WHERE id = :id", "parameters": parameters})


def test_many_rows_long_cells_and_blobs_are_clipped(database: Path) -> None:
    query, _ = create_sql_tools(database, most_rows=2)
    said = query.invoke({"sql": "SELECT id, printf('%1000s', 'x'), x'00ff' FROM books"}).splitlines()
    assert len(said) == 4
    assert "(1000 characters)" in said[1]
    assert "<2 bytes>" in said[1]
    assert "more rows" in said[3]


def test_functions_that_were_replaced_behave_as_those_of_sqlite(database: Path) -> None:
    query, _ = create_sql_tools(database)
    calls = ["instr('abc','c')", "instr(x'0102',x'02')", "instr(NULL,'a')", "instr('a','')", "replace('aXbX','X','yy')",
             "replace('a','','x')", "replace(121,2,3)", "trim('xxaxx','x')", "ltrim('xya','yx')", "rtrim('abb','b')", "trim(' a ')"]  # fmt: skip  # noqa: E501
    with closing(sqlite3.connect(":memory:")) as connection:
        expected = [connection.execute(f"SELECT {call}").fetchone()[0] for call in calls]
    found = query.invoke({"sql": f"SELECT {', '.join(calls)}"}).splitlines()[1]
    assert json.loads(found) == expected


def test_the_schema_is_told_without_tables_that_may_not_be_read(database: Path) -> None:
    assert "CREATE TABLE secrets" in create_sql_tools(database)[1].invoke({})
    said = create_sql_tools(database, tables=["Books"])[1].invoke({})
    assert said == "CREATE TABLE books (id INTEGER PRIMARY KEY, title TEXT, year INTEGER);"


def test_a_refusal_says_what_was_not_permitted(database: Path) -> None:
    query, _ = create_sql_tools(database, tables=["books"])
    for sql, why in {
        "SELECT * FROM secrets": "may not read 'secrets'",
        "DELETE FROM books": "may not delete rows of 'books'",
        "SELECT 1; SELECT 2": "expected one statement",
        "PRAGMA query_only = 0": "may not use PRAGMA query_only",
        "SELECT nobody FROM books": "no such column: nobody",
    }.items():
        with pytest.raises(ToolException, match=why):
            query.invoke({"sql": sql})


def test_a_pragma_tells_only_of_tables_that_may_be_read(database: Path) -> None:
    with closing(sqlite3.connect(database)) as connection:
        connection.executescript("CREATE INDEX by_year ON books (year); CREATE INDEX by_key ON secrets (key);")
    query, _ = create_sql_tools(database, tables=["Books"])
    change = create_sql_write_tool(database, tables=["books"], reads=["log"])
    about_tables = ("table_info", "table_xinfo", "table_list", "index_list", "foreign_key_list")
    about_indexes = ("index_info", "index_xinfo")
    open_to = [(name, "BOOKS") for name in about_tables] + [(name, "by_year") for name in about_indexes]
    closed = [(name, "secrets") for name in about_tables] + [(name, "BY_KEY") for name in about_indexes]
    for name, about in closed:
        with pytest.raises(ToolException, match=f"may not use PRAGMA {name} of '{about}' here"):
            query.invoke({"sql": f"PRAGMA {name}({about})"})
    for form in (
        "main.table_info(secrets)",
        "table_info = 'SECRETS'",
        "table_list",
        "main.table_list",
        "table_list('')",
    ):
        with pytest.raises(ToolException, match="may not use PRAGMA table_"):
            query.invoke({"sql": f"PRAGMA {form}"})
        with carrying_out(form), pytest.raises(ToolException, match="may not use PRAGMA table_"):
            change.invoke({"sql": f"PRAGMA {form}"})
    for name, about in open_to:
        assert query.invoke({"sql": f"PRAGMA {name}({about})"}).startswith("[")
    with carrying_out("told"):
        assert '"year"' in change.invoke({"sql": "PRAGMA table_info(books)"})
    everything, _ = create_sql_tools(database)
    assert "secrets" in everything.invoke({"sql": "PRAGMA table_list"})
    for name, about in closed:
        assert everything.invoke({"sql": f"PRAGMA {name}({about})"}).startswith("[")


def test_a_change_is_carried_out_once_for_its_key_and_triggers_run(database: Path) -> None:
    change = create_sql_write_tool(database, tables=["books"])
    delete = {"sql": "DELETE FROM books WHERE id = ? RETURNING title", "parameters": [1]}
    with carrying_out("one"):
        first = change.invoke(delete)
        assert first == '1 row(s) changed.\n["title"]\n["Dune"]'
        assert change.invoke(delete) == first
    with carrying_out("two"):
        assert change.invoke(delete).startswith("0 row(s) changed.")
    assert rows(database, "SELECT what FROM log") == [("deleted 1",)]
    query, describe = create_sql_tools(database)
    assert "orchestra_effects" not in describe.invoke({})
    with pytest.raises(ToolException, match="may not read 'orchestra_effects'"):
        query.invoke({"sql": "SELECT * FROM orchestra_effects"})


def test_a_change_that_fails_changes_nothing_and_can_be_tried_again(database: Path) -> None:
    change = create_sql_write_tool(database, tables=["books"])
    with carrying_out("one"):
        with pytest.raises(ToolException, match="UNIQUE constraint"):
            change.invoke({"sql": "INSERT INTO books (id) VALUES (9), (1)"})
        with closing(sqlite3.connect(database)) as other:
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(ToolException, match="cannot be changed now, and nothing was"):
                change.invoke({"sql": "INSERT INTO books (id) VALUES (9)"})
        assert change.invoke({"sql": "INSERT INTO books (id) VALUES (9)"}) == "1 row(s) changed."


def test_an_agent_that_asks_twice_in_a_turn_for_the_same_change_makes_it_once(database: Path) -> None:
    add = call("change_database", sql="INSERT INTO books (title) VALUES (?)", parameters=["New"])
    writer = says("writer", add, add, "Done.", tools=[create_sql_write_tool(database, tables=["books"])])
    result = single.build(writer).compile(name="g").invoke({"task": "Add it."})
    assert result["answer"] == "Done."
    assert rows(database, "SELECT count(*) FROM books WHERE title = 'New'") == [(1,)]


def test_each_tool_says_what_it_needs(database: Path) -> None:
    def needed(tool: BaseTool) -> frozenset[str]:
        return rights_of(tool)

    change = create_sql_write_tool(database, tables=["books"])
    assert [needed(tool) for tool in create_sql_tools(database)] == [{"read"}, {"read"}]
    assert needed(change) == {"read", "write", "effect"}
    effect = marks_of(change).effect
    assert effect is not None
    assert effect.transactional


def test_what_cannot_be_used_is_refused_when_the_tools_are_created(database: Path, tmp_path: Path) -> None:
    (tmp_path / "text.db").write_text("no database at all" * 100)
    for path, options, why in (
        (tmp_path / "missing.db", {}, "found none"),
        (tmp_path / "text.db", {}, "cannot be read as an SQLite database"),
        (database, {"tables": ["book"]}, "has no table book"),
        (database, {"seconds": 0}, "seconds above 0"),
        (database, {"most_rows": 0}, "most_rows of 1 or more"),
    ):
        with pytest.raises(ConfigurationError, match=why):
            create_sql_tools(path, **options)
    with pytest.raises(ConfigurationError, match="names of tables"):
        create_sql_write_tool(database, tables=[])
