"""The index of a corpus is a cache: private, shared between processes, and built anew whatever happened to it."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from corpus_docs import write_docs
from tools import open_corpus
from tools.retrieval.index import passage_key

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture
def docs(tmp_path: Path) -> Path:
    return write_docs(tmp_path / "docs")


def test_the_index_lies_in_the_working_directory_private_and_out_of_git(docs: Path, tmp_path: Path) -> None:
    with open_corpus(docs), open_corpus(""):
        files = sorted((tmp_path / ".orchestra" / "corpus").iterdir())
        modes = {stat.S_IMODE(path.stat().st_mode) for path in files}

    assert {path.suffix for path in files} >= {".db", ".db-wal"}
    assert modes == {0o600}
    assert (tmp_path / ".orchestra" / ".gitignore").read_text() == "*\n"
    assert len([path for path in files if path.suffix == ".db"]) == 2


def test_the_index_is_not_a_document_of_its_own_folder(docs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(docs)
    open_corpus(".").close()

    with open_corpus(".") as corpus:
        assert (corpus.report.unchanged + corpus.report.indexed, corpus.report.skipped) == (3, [])


@pytest.mark.parametrize("damage", ["zeros", "cut", "text", "older", "foreign"])
def test_a_damaged_or_foreign_index_is_built_anew_with_a_note(docs: Path, tmp_path: Path, damage: str) -> None:
    index = tmp_path / "index.db"
    open_corpus(docs, index=index).close()
    data = index.read_bytes()
    if damage == "foreign":
        index.unlink()
        with sqlite3.connect(index) as connection:
            connection.execute("CREATE TABLE precious(x)")
        connection.close()
    elif damage == "older":
        connection = sqlite3.connect(index)
        connection.execute("PRAGMA user_version = 999")
        connection.close()
    else:
        index.write_bytes(
            {"zeros": data[:8192] + bytes(len(data) - 8192), "cut": data[:9000], "text": b"hello"}[damage]
        )

    with open_corpus(docs, index=index) as corpus:
        assert corpus.search("queen eggs")[0].source == "bees.md"
        assert [str(index) in note and "built anew" in note for note in corpus.report.notes] == [True]
    assert (tmp_path / "index.db.replaced").exists() == (damage in ("foreign", "text"))


def test_an_index_that_is_damaged_or_deleted_while_open_is_built_anew(docs: Path, tmp_path: Path) -> None:
    index = tmp_path / "deep" / "index.db"
    with open_corpus(docs, index=index) as corpus:
        corpus._index.file.close()
        index.write_bytes(index.read_bytes()[:8192] + os.urandom(60_000))
        assert corpus.search("queen eggs")[0].source == "bees.md"
        corpus._index.file.close()
        shutil.rmtree(index.parent)
        assert corpus.search("queen eggs")[0].source == "bees.md"
        assert [note.split(" and ")[0] for note in corpus.report.notes] == [
            "the index was damaged",
            "the index was deleted",
        ]


def test_where_nothing_can_be_written_the_index_is_kept_in_memory(docs: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")

    with open_corpus(docs, index=tmp_path / "file" / "index.db") as corpus:
        assert corpus.search("queen eggs")[0].source == "bees.md"
        assert "kept in memory" in corpus.report.notes[0]
        (docs / "new.md").write_text("A hornet is new here.")
        corpus.refresh()
        assert corpus.search("hornet")[0].source == "new.md"


def _process(script: str, *arguments: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", script, *map(str, arguments)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_a_process_that_is_killed_continues_where_it_was(tmp_path: Path) -> None:
    folder, index = tmp_path / "docs", tmp_path / "index.db"
    folder.mkdir()
    for number in range(40):
        (folder / f"{number:02d}.txt").write_text(f"Document number{number} says word{number}.")
    script = """
import os, signal, sys
import tools.retrieval.updating as updating
from tools import open_corpus
from pathlib import Path
updating._BATCH = 1
def die(done, total, path):
    if done == 25:
        os.kill(os.getpid(), signal.SIGKILL)
open_corpus(sys.argv[1], index=Path(sys.argv[2]), on_progress=die)
"""
    killed = _process(script, folder, index)
    _, errors = killed.communicate()
    assert killed.returncode == -signal.SIGKILL, errors

    with open_corpus(folder, index=index) as corpus:
        assert corpus.report.unchanged >= 20
        assert corpus.report.indexed == 40 - corpus.report.unchanged
        assert all(len(corpus.search(f"word{number}")) == 1 for number in range(40))


def test_two_processes_may_read_the_same_folder_at_once(tmp_path: Path) -> None:
    folder, index = tmp_path / "docs", tmp_path / "index.db"
    folder.mkdir()
    for number in range(60):
        (folder / f"{number:02d}.txt").write_text(f"Document number{number} says word{number}.")
    script = """
import sys
import tools.retrieval.updating as updating
from tools import open_corpus
from pathlib import Path
updating._BATCH = 1
with open_corpus(sys.argv[1], index=Path(sys.argv[2])) as corpus:
    print(corpus.count.documents, len(corpus.search("word7")), corpus.report.notes)
"""
    processes = [_process(script, folder, index) for _ in range(3)]

    assert [process.communicate() for process in processes] == [("60 1 []\n", "")] * 3
    with open_corpus(folder, index=index) as corpus:
        assert (corpus.count.documents, corpus.count.passages) == (60, 60)


def test_two_passages_whose_keys_collide_are_both_kept(docs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tools.retrieval.updating.passage_key", lambda identifier: passage_key(identifier) % 2)

    with open_corpus(docs) as corpus:
        passages = {corpus.search(word)[0].id for word in ("eggs", "none", "years", "grams")}
        assert corpus.count.passages == 5
        assert len(passages) == 4
        assert all(corpus.find(identifier) for identifier in passages)
