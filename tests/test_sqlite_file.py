"""The SQLite file: who may read it, and what is refused and left as it is."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from langgraph.checkpoint.sqlite import SqliteSaver

from state.errors import StorageCorrupt, StorageForeign, StorageUnavailable
from state.persistence import open_persistence
from storage import connection_of, on, talk_graph, texts


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "runs.db"


def content(path: Path) -> dict[str, bytes]:
    return {each.name: each.read_bytes() for each in path.parent.iterdir() if not each.name.endswith("-shm")}


def make_other(path: Path, *statements: str) -> None:
    with closing(sqlite3.connect(path)) as other:
        for statement in statements:
            other.execute(statement)
        other.commit()


def test_the_file_and_what_sqlite_puts_beside_it_are_for_this_user_only(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        with open_persistence(tmp_path / "a" / "b" / "runs.db") as persistence:
            persistence.note_thread("t", name="x")
            modes = {each.name: each.stat().st_mode & 0o777 for each in (tmp_path / "a" / "b").iterdir()}
    finally:
        os.umask(before)
    assert modes == {"runs.db": 0o600, "runs.db-wal": 0o600, "runs.db-shm": 0o600}


def test_it_is_opened_for_many_processes_and_for_safety(path: Path) -> None:
    def settings(url: str) -> list[Any]:
        with open_persistence(url) as persistence:
            names = ("journal_mode", "synchronous", "busy_timeout", "trusted_schema", "cell_size_check")
            return [connection_of(persistence).execute(f"PRAGMA {name}").fetchone()[0] for name in names]

    assert settings(f"sqlite:///{path}") == ["wal", 1, 30_000, 0, 1]
    assert settings(f"sqlite:///{path}?synchronous=FULL&timeout=5") == ["wal", 2, 5_000, 0, 1]


FOREIGN: dict[str, Callable[[Path], object]] = {
    "other tables": lambda path: make_other(path, "CREATE TABLE customers (id)"),
    "a table of the same name": lambda path: make_other(path, "CREATE TABLE checkpoints (lap INTEGER)"),
    "another application": lambda path: make_other(path, "PRAGMA application_id = 7", "CREATE TABLE writes (id)"),
    "a text": lambda path: path.write_text("minutes of the meeting\n" * 20),
    "a short text": lambda path: path.write_text("hi"),
}


@pytest.mark.parametrize("kind", FOREIGN)
def test_a_file_of_something_else_is_refused_and_left_as_it_is(path: Path, kind: str) -> None:
    FOREIGN[kind](path)
    before = content(path)
    with pytest.raises(StorageForeign, match="left as it is") as caught, open_persistence(path):
        pass
    assert str(path) in str(caught.value)
    assert content(path) == before


def test_a_foreign_database_in_use_is_refused_and_left_as_it_is(path: Path) -> None:
    with closing(sqlite3.connect(path)) as other:
        other.execute("PRAGMA journal_mode = WAL")
        other.execute("CREATE TABLE customers (id)")
        other.commit()
        before = content(path)
        assert before["runs.db-wal"]
        with pytest.raises(StorageForeign, match="customers"), open_persistence(path):
            pass
        assert content(path) == before


def test_a_database_of_a_newer_version_is_refused_and_left_as_it_is(path: Path) -> None:
    with open_persistence(path) as persistence:
        persistence.note_thread("t", name="x")
    make_other(path, "PRAGMA user_version = 99")
    with open_persistence(path.with_name("current.db")) as current:
        current.note_thread("t", name="x")
    before = content(path)
    with pytest.raises(StorageForeign, match=r"version 99.*pip install -U"), open_persistence(path):
        pass
    assert content(path) == before


def test_a_trigger_that_somebody_put_in_is_refused(path: Path) -> None:
    with open_persistence(path) as persistence:
        persistence.note_thread("t", name="x")
    make_other(path, "CREATE TRIGGER t AFTER INSERT ON checkpoints BEGIN DELETE FROM writes; END")
    with pytest.raises(StorageForeign, match="trigger"), open_persistence(path):
        pass


def test_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StorageUnavailable, match="folder"), open_persistence(tmp_path):
        pass


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StorageUnavailable, match=r"file/runs\.db"), open_persistence(tmp_path / "file" / "runs.db"):
        pass


def test_a_file_of_the_stock_saver_is_taken_over_and_can_still_be_read_by_it(path: Path) -> None:
    with SqliteSaver.from_conn_string(str(path)) as stock:
        talk_graph(checkpointer=stock).invoke({"messages": ["stock"]}, on("t"))
    with open_persistence(path) as persistence:
        talk_graph(checkpointer=persistence.checkpointer).invoke({"messages": ["ours"]}, on("t"))
        assert path.stat().st_mode & 0o777 == 0o600
    with SqliteSaver.from_conn_string(str(path)) as stock:
        out = talk_graph(checkpointer=stock).invoke({"messages": ["stock again"]}, on("t"))
    assert texts(out) == ["stock", "reply 0", "ours", "reply 1", "stock again", "reply 2"]
    with open_persistence(path) as persistence:
        assert len(texts(talk_graph(checkpointer=persistence.checkpointer).get_state(on("t")))) == 6


def test_creating_leaves_nothing_behind_but_the_file(path: Path) -> None:
    with open_persistence(path):
        pass
    assert [each.name for each in path.parent.iterdir()] == ["runs.db"]


def test_an_emptied_file_is_refused_and_stays_empty(path: Path) -> None:
    path.touch()
    with pytest.raises(StorageCorrupt, match=r"empty.*Restore"), open_persistence(path):
        pass
    assert content(path) == {"runs.db": b""}


def test_a_file_that_is_gone_while_its_log_is_there_is_refused(path: Path) -> None:
    path.with_name("runs.db-wal").write_bytes(b"committed turns")
    with pytest.raises(StorageCorrupt, match="write-ahead log"), open_persistence(path):
        pass
    assert content(path) == {"runs.db-wal": b"committed turns"}


@pytest.mark.parametrize("damage", [b"\x00" * 100, b"SQLite form\xc1t 3\x00"])
def test_a_broken_header_of_our_own_file_is_damage_and_not_a_foreign_file(path: Path, damage: bytes) -> None:
    with open_persistence(path):
        pass
    path.write_bytes(damage + path.read_bytes()[len(damage) :])
    with pytest.raises(StorageCorrupt, match="header"), open_persistence(path):
        pass
