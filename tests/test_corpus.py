"""A folder becomes searchable, stays up to date, survives whatever happens to its index, and finds what was asked for."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from langchain_core.messages import AIMessage, ToolMessage
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.prebuilt import ToolNode

import tools.corpora
from state.context import Context
from state.errors import DocumentError
from tools import Corpus, corpus_of, create_corpus_tools, open_corpus, parse_passages
from tools.documents import read_document
from tools.passage import passage_id
from tools.readers.section import Document
from tools.retrieval.index import Index, ReadDocument, Row, passage_key

ROOT = Path(__file__).resolve().parent.parent
FILLER = "Nothing in this sentence is about insects, and it is long enough to fill a passage. " * 5


@pytest.fixture
def docs(tmp_path: Path) -> Path:
    """Three small documents."""
    folder = tmp_path / "docs"
    folder.mkdir()
    (folder / "bees.md").write_text(
        f"# Bees\n\n{FILLER}\n\n## Queens\n\nA queen lays 2000 eggs a day.\n{FILLER}\n\n## Drones\n\nDrones lay none.\n{FILLER}\n"
    )
    (folder / "ants.txt").write_text("Ants have queens too.\n\nThey live for years.\n")
    (folder / "hive.py").write_text("class HiveScale:\n    def weigh_hive(self):\n        return self._grams\n")
    return folder


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Corpus]:
    """The language reference."""
    with open_corpus(None, index=tmp_path_factory.mktemp("index") / "python.db") as corpus:
        yield corpus


def found(corpus: Corpus, query: str, limit: int = 3) -> list[str]:
    return [f"{passage.source}#{passage.heading}" for passage in corpus.search(query, limit=limit)]


# Opening, and staying up to date


def test_a_folder_is_searched_with_the_place_of_everything_found(docs: Path) -> None:
    with open_corpus(docs) as corpus:
        best = corpus.search("How many eggs does a queen lay?")[0]

    assert (best.source, best.heading, best.place) == ("bees.md", "Bees > Queens", "lines 7-8")
    assert best.text.startswith("A queen lays 2000 eggs a day.")
    assert 0 < best.score <= 1


def test_the_report_says_what_was_read(docs: Path) -> None:
    (docs / "bad.pdf").write_bytes(b"not a pdf")

    with open_corpus(str(docs)) as corpus:
        report = corpus.report
        assert (report.indexed, report.unchanged, report.removed, report.documents) == (3, 0, 0, 3)
        assert report.passages == corpus.count.passages == 5
        assert [source for source, _ in report.skipped] == ["bad.pdf"]
        assert report.notes == []


def test_only_what_changed_is_read_again(docs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []

    def note(data: bytes, name: str) -> Document:
        read.append(name)
        return read_document(data, name)

    (docs / "bad.pdf").write_bytes(b"not a pdf")
    open_corpus(docs).close()
    monkeypatch.setattr("tools.retrieval.updating.read_document", note)

    (docs / "ants.txt").write_text("Ants have no stings to speak of.\n")
    (docs / "hive.py").unlink()
    (docs / "wasps.md").write_text("# Wasps\n\nThey sting.\n")
    os.utime(docs / "bees.md", (1, 1))
    with open_corpus(docs) as corpus:
        report = corpus.report

    assert read == ["ants.txt", "wasps.md"]
    assert (report.indexed, report.unchanged, report.removed) == (2, 1, 1)
    assert [source for source, _ in report.skipped] == ["bad.pdf"]


def test_a_file_whose_time_and_size_are_known_is_not_even_opened(docs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for path in docs.iterdir():
        os.utime(path, (1_000_000_000, 1_000_000_000))
    open_corpus(docs).close()
    monkeypatch.setattr(Path, "read_bytes", lambda path: pytest.fail(f"{path} was opened"))

    with open_corpus(docs) as corpus:
        assert corpus.report.unchanged == 3


def test_a_file_with_a_new_time_and_the_old_content_is_opened_once(docs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    open_corpus(docs).close()
    for path in docs.iterdir():
        os.utime(path, (1_000_000_000, 1_000_000_000))
    open_corpus(docs).close()
    monkeypatch.setattr(Path, "read_bytes", lambda path: pytest.fail(f"{path} was opened"))

    with open_corpus(docs) as corpus:
        assert corpus.report.unchanged == 3


def test_a_change_that_keeps_size_and_time_is_noticed_while_the_file_is_fresh(docs: Path) -> None:
    os.utime(docs / "ants.txt", (4_000_000_000, 4_000_000_000))
    open_corpus(docs).close()

    (docs / "ants.txt").write_text("Ants have Queens too.\n\nThey live for years.\n".replace("years", "weeks"))
    os.utime(docs / "ants.txt", (4_000_000_000, 4_000_000_000))

    with open_corpus(docs) as corpus:
        assert (
            found(corpus, "weeks") == ["ants.txt#Ants have queens too."]
            or corpus.search("weeks")[0].source == "ants.txt"
        )


def test_what_was_removed_or_changed_is_no_longer_found(docs: Path) -> None:
    with open_corpus(docs) as corpus:
        (docs / "bees.md").write_text("# Bees\n\nThey dance.\n")
        (docs / "hive.py").unlink()
        corpus.refresh()

        assert corpus.search("2000 eggs") == []
        assert corpus.search("HiveScale") == []
        assert found(corpus, "dance") == ["bees.md#Bees"]
        assert corpus.report.passages == corpus.count.passages == 2


def test_the_full_text_index_agrees_with_the_passages_after_changes(docs: Path, tmp_path: Path) -> None:
    index = tmp_path / "index.db"
    with open_corpus(docs, index=index) as corpus:
        (docs / "bees.md").write_text("# Bees\n\nThey dance.\n")
        (docs / "hive.py").unlink()
        corpus.refresh()

    connection = sqlite3.connect(index)
    connection.execute("INSERT INTO search(search, rank) VALUES ('integrity-check', 1)")
    assert connection.execute("SELECT doc FROM vocabulary WHERE term = 'egg'").fetchall() == []
    connection.close()


def test_what_another_process_has_committed_is_not_written_again(tmp_path: Path) -> None:
    document = ReadDocument("a.md", 1, 1, "hash", rows=[Row(7, "A", "line 1", "", "Bees dance.")])
    index = Index(tmp_path / "index.db")

    index.write([document])
    index.write([ReadDocument("b.md", 1, 1, "hash", rows=[Row(8, "B", "line 1", "", "Ants do not.")])])
    index.write([document])
    position = index.find("p:0000000007")
    index.file.close()

    assert position is not None
    assert position[0] == 1


def test_a_text_without_headings_is_headed_by_its_title(docs: Path) -> None:
    with open_corpus(docs) as corpus:
        assert found(corpus, "live for years") == ["ants.txt#Ants have queens too."]


def test_ids_stay_when_other_parts_of_a_document_change(docs: Path) -> None:
    with open_corpus(docs) as corpus:
        before = corpus.search("queen eggs")[0]
        (docs / "bees.md").write_text("# Intro\n\nNew.\n\n" + (docs / "bees.md").read_text())
        corpus.refresh()
        after = corpus.search("queen eggs")[0]

    assert after.id == before.id
    assert after.place != before.place


def test_the_same_text_twice_in_a_file_has_two_ids(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text(f"# A\n\n{FILLER}\n\n# B\n\n{FILLER}\n\n# C\n\n{FILLER}\n")

    with open_corpus(tmp_path, index=tmp_path / "index.db") as corpus:
        passages = corpus.search("insects sentence", limit=10)

    expected = {passage_id("a.md", FILLER.strip(), copy=copy) for copy in range(3)}
    assert {passage.id for passage in passages} == expected
    assert len(expected) == 3


def test_progress_is_told_for_every_document_and_nothing_is_printed(
    docs: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    told: list[tuple[int, int, str]] = []

    open_corpus(docs, on_progress=lambda *step: told.append(step)).close()

    assert told == [(1, 3, "ants.txt"), (2, 3, "bees.md"), (3, 3, "hive.py")]
    assert capfd.readouterr() == ("", "")


def test_the_same_documents_under_another_index_get_the_same_ids(docs: Path, tmp_path: Path) -> None:
    with open_corpus(docs, index=tmp_path / "a.db") as one, open_corpus(docs, index=tmp_path / "b.db") as other:
        assert one.search("queens", limit=5) == other.search("queens", limit=5)


# The index file


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


# What cannot be opened


@pytest.mark.parametrize(
    ("folder", "message"),
    [
        ("nowhere", r"expected a folder of documents, but 'nowhere' does not exist; check the path, seen from"),
        ("docs/ants.txt", r"'docs/ants.txt' is a file; give the folder it lies in"),
        ("empty", r"found no file that may be a document; put documents there or name another folder"),
        ("broken", r"found 1 that cannot be read: a.pdf is damaged"),
        ("blank", r"found 1 without any text"),
    ],
)
def test_a_folder_without_documents_says_what_was_expected(
    docs: Path, tmp_path: Path, folder: str, message: str
) -> None:
    for name in ("empty", "broken", "blank"):
        (tmp_path / name).mkdir()
    (tmp_path / "broken" / "a.pdf").write_bytes(b"no")
    (tmp_path / "blank" / "a.md").write_text("\n")

    with pytest.raises(DocumentError, match=message):
        open_corpus(folder)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_what_may_not_be_read_is_skipped(docs: Path) -> None:
    (docs / "bees.md").chmod(0)
    (docs / "secret").mkdir(mode=0)

    with open_corpus(docs) as corpus:
        assert [source for source, _ in corpus.report.skipped] == ["secret", "bees.md"]


def test_a_file_that_cannot_be_read_any_more_leaves_the_index(docs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read = Path.read_bytes

    def refuse(path: Path) -> bytes:
        if path.name == "bees.md":
            raise PermissionError(13, "Permission denied")
        return read(path)

    with open_corpus(docs) as corpus:
        monkeypatch.setattr(Path, "read_bytes", refuse)
        os.utime(docs / "bees.md", (5, 5))
        corpus.refresh()

        assert corpus.report.skipped == [("bees.md", "cannot be read: Permission denied")]
        assert corpus.search("2000 eggs") == []


def test_a_closed_corpus_says_so(docs: Path) -> None:
    with open_corpus(docs) as corpus:
        pass

    with pytest.raises(DocumentError, match="is closed"):
        corpus.search("queen")


# Searching


def test_headings_and_file_names_weigh_more_than_text(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text(f"# Swarming\n\nBees leave. {FILLER}\n")
    (tmp_path / "b.md").write_text(f"# Other\n\nSome words about swarming. {FILLER}\n")
    (tmp_path / "varroa.md").write_text(f"# Mites\n\nThey are small. {FILLER}\n")

    with open_corpus(tmp_path) as corpus:
        assert found(corpus, "swarming") == ["a.md#Swarming", "b.md#Other"]
        assert found(corpus, "varroa") == ["varroa.md#Mites"]


def test_passages_that_hold_more_of_the_question_and_closer_together_come_first(tmp_path: Path) -> None:
    some = "one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen " * 3
    other = "red green blue black white grey brown pink violet purple orange yellow golden silver beige " * 3
    (tmp_path / "1.txt").write_text(f"smoker {some} calms {some} colony")
    (tmp_path / "2.txt").write_text(f"{other} smoker calms colony {other}")
    (tmp_path / "3.txt").write_text(f"smoker smoker smoker smoker smoker {some} {some}")

    with open_corpus(tmp_path) as corpus:
        near, far, part = corpus.search("smoker colony calms")

    assert [passage.source for passage in (near, far, part)] == ["2.txt", "1.txt", "3.txt"]
    assert near.score > far.score + 0.02
    assert far.score > part.score + 0.1


_TEXTS = {
    "Call asyncio.gather(a, b) here.": ["asyncio.gather"],
    "Gather what asyncio wants, then gather more for asyncio.": [],
    "Write `__init__` first, before anything else is written down.": ["__init__"],
    "Init is the init of init systems.": ["init"],
    "A ThreadPoolExecutor runs it.": ["ThreadPoolExecutor", "thread pool", "executor"],
    "Set max_retries=3 for the connection, or the connection is lost.": ["max_retries"],
    "Retries at max, max of retries.": [],
    "The timeout is thirty.": ["time out"],
    "A naïve way.": ["naive", "NAÏVE"],
    "これは日本語の文書です。": ["日本語"],
    "Configuration happens elsewhere.": ["configur"],
    "Names are resolved late.": ["resolution"],
    'Test with "in", `is` or "===".': ["what does in do?", "difference between is and ===", "the is operator"],
}


@pytest.mark.parametrize(("query", "text"), [(query, text) for text, queries in _TEXTS.items() for query in queries])
def test_names_are_found_whole_and_in_parts(tmp_path: Path, query: str, text: str) -> None:
    for number, other in enumerate(_TEXTS):
        (tmp_path / f"{number}.md").write_text(other)

    with open_corpus(tmp_path) as corpus:
        assert corpus.search(query)[0].text == text


def test_what_changed_once_comes_after_what_is_unless_it_is_asked_for(tmp_path: Path) -> None:
    (tmp_path / "history.md").write_text(f"# Changelog\n\nHoney filters, honey filters. {FILLER}\n")
    (tmp_path / "guide.md").write_text(f"# Guide\n\n{FILLER} There are filters for honey.\n")

    with open_corpus(tmp_path) as corpus:
        assert corpus.search("honey filters")[0].source == "guide.md"
        assert corpus.search("in which version were honey filters changed?")[0].source == "history.md"


def test_repetitions_do_not_crowd_out_the_rest(tmp_path: Path) -> None:
    for number in range(6):
        (tmp_path / f"copy{number}.md").write_text(f"# Honey\n\nHoney is sweet honey. {FILLER} {number}\n")
    (tmp_path / "other.md").write_text(
        "# Wax\n\nHoney is kept in wax, which is something else altogether, made of scales.\n"
    )

    with open_corpus(tmp_path) as corpus:
        assert corpus.search("honey", limit=2)[1].source == "other.md"


@pytest.mark.parametrize("query", ["", "   ", "?!", "zebra", "NOT", "\0", "zebra AND"])
def test_a_query_that_matches_nothing_finds_nothing(docs: Path, query: str) -> None:
    with open_corpus(docs) as corpus:
        assert corpus.search(query) == []


_SYNTAX = st.sampled_from(
    ['"', "'", "(", ")", "*", "AND", "OR", "NOT", "NEAR(", "^", ":", "-", "{", "queen", "_", "\0", "ǁ", "A.b"]
)


@settings(deadline=None)
@given(st.lists(_SYNTAX | st.text(max_size=8), max_size=12).map(" ".join))
def test_any_text_is_a_safe_query(python: Corpus, query: str) -> None:
    scores = [passage.score for passage in python.search(query, limit=5)]

    assert scores == sorted(scores, reverse=True)
    assert all(0 <= score <= 1 for score in scores)


def test_a_very_long_query_is_answered(docs: Path) -> None:
    with open_corpus(docs) as corpus:
        assert corpus.search("queen eggs " + "filler word " * 10_000)[0].source == "bees.md"


def test_words_that_are_everywhere_are_found_where_they_meet(docs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tools.retrieval.search._AFFORDABLE", 0)

    with open_corpus(docs) as corpus:
        assert corpus.search("queens lay")[0].source == "bees.md"
        assert corpus.search("queens")[0].source in ("bees.md", "ants.txt")


@pytest.mark.parametrize("limit", [-1, 0, 1, 2, 10_000])
def test_the_limit_is_kept_within_its_bounds(python: Corpus, limit: int) -> None:
    assert len(python.search("class", limit=limit)) == max(1, min(limit, 50))


@pytest.mark.parametrize(
    ("question", "topic", "words"),
    [
        ("How does Python resolve a name in a nested scope?", "naming", "nearest enclosing scope"),
        ("What does nonlocal do?", "nonlocal", "causes the listed identifiers"),
        ("When is a finally clause executed?", "try", "‘cleanup’ handler"),
        ("How are default parameter values evaluated?", "function", "evaluated from left to right"),
        ("What is the difference between is and ==?", "comparisons", "test for an object’s identity"),
    ],
)
def test_the_language_reference_answers_in_its_first_three_passages(
    python: Corpus, question: str, topic: str, words: str
) -> None:
    passages = python.search(question, limit=3)

    assert f"python-reference/{topic}" in {passage.source for passage in passages}
    assert any(" ".join(words.split()) in " ".join(passage.text.split()) for passage in passages)


def test_every_topic_of_the_language_reference_is_there_under_headings(python: Corpus) -> None:
    from pydoc_data.topics import topics

    assert {entry.source for entry in python.documents()} == {f"python-reference/{topic}" for topic in topics}
    assert all(entry.title for entry in python.documents())
    assert python.folder is None


# Reading and listing


def test_a_passage_is_read_with_its_neighbours_in_document_order(docs: Path) -> None:
    with open_corpus(docs) as corpus:
        middle = corpus.search("queen eggs")[0]

        assert [passage.heading for passage in corpus.read(middle.id, neighbours=1)] == [
            "Bees",
            "Bees > Queens",
            "Bees > Drones",
        ]
        assert [passage.heading for passage in corpus.read(middle.id, neighbours=99)] == [
            "Bees",
            "Bees > Queens",
            "Bees > Drones",
        ]
        assert corpus.read(middle.id) == [middle.model_copy(update={"score": 0.0})] == [corpus.find(middle.id)]


@pytest.mark.parametrize("identifier", ["p:0000000000", "", "x", "[p:0000000000]"])
def test_an_unknown_id_says_where_ids_come_from(python: Corpus, identifier: str) -> None:
    assert python.find(identifier) is None
    with pytest.raises(DocumentError, match="search again and copy the id from a result"):
        python.read(identifier)


def test_documents_are_listed_by_pattern(docs: Path) -> None:
    with open_corpus(docs) as corpus:
        assert [entry.source for entry in corpus.documents()] == ["ants.txt", "bees.md", "hive.py"]
        assert [tuple(entry) for entry in corpus.documents("*.MD")] == [("bees.md", "Bees", 3)]


def test_many_threads_may_search_while_documents_change(docs: Path) -> None:
    with open_corpus(docs) as corpus, ThreadPoolExecutor(8) as threads:
        results = [threads.submit(corpus.search, "queen eggs") for _ in range(60)]
        for number in range(5):
            (docs / f"{number}.md").write_text(f"Hornet {number}.")
            corpus.refresh()
        assert {result.result()[0].source for result in results} == {"bees.md"}
        assert len(corpus.search("hornet", limit=9)) == 5


async def test_a_corpus_can_be_used_from_threads_of_an_event_loop(docs: Path) -> None:
    corpus = await asyncio.to_thread(open_corpus, docs)
    results = await asyncio.gather(*(asyncio.to_thread(corpus.search, "queen eggs") for _ in range(5)))
    corpus.close()

    assert {result[0].source for result in results} == {"bees.md"}


# One corpus for each folder in a process, and the tools


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The folders that were opened; every corpus of the process is closed afterwards."""
    tools.corpora.close_corpora()
    folders: list[str] = []

    def count(folder: str) -> Corpus:
        folders.append(folder)
        return open_corpus(folder)

    monkeypatch.setattr(tools.corpora, "open_corpus", count)
    yield folders
    tools.corpora.close_corpora()


def test_parallel_agents_open_a_folder_once(docs: Path, opened: list[str]) -> None:
    contexts = [Context(corpus="docs"), {"corpus": str(docs)}, SimpleNamespace(corpus=docs)] * 4

    with ThreadPoolExecutor(8) as threads:
        corpora = set(map(id, threads.map(corpus_of, contexts)))

    assert len(corpora) == len(opened) == 1


@pytest.mark.parametrize("context", [None, {}, SimpleNamespace(), Context(), "docs"])
def test_without_a_folder_the_corpus_is_the_language_reference(context: object, opened: list[str]) -> None:
    assert corpus_of(context).name == "Python language reference"


def test_a_shared_corpus_notices_what_changed(docs: Path, opened: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    context = Context(corpus="docs")
    monkeypatch.setattr(tools.corpora, "_RECHECK_SECONDS", 1e9)
    corpus_of(context)
    (docs / "new.md").write_text("A hornet.")
    assert corpus_of(context).search("hornet") == []

    monkeypatch.setattr(tools.corpora, "_RECHECK_SECONDS", -1.0)
    assert corpus_of(context).search("hornet")[0].source == "new.md"
    assert len(opened) == 1


def _run_tools(calls: list[tuple[str, dict[str, object]]], context: Context | None) -> list[ToolMessage]:
    builder = StateGraph(MessagesState, context_schema=Context)
    builder.add_node("tools", ToolNode(list(create_corpus_tools())))
    builder.add_edge(START, "tools")
    tool_calls = [{"name": name, "args": arguments, "id": str(n)} for n, (name, arguments) in enumerate(calls)]
    state = builder.compile().invoke({"messages": [AIMessage("", tool_calls=tool_calls)]}, context=context)
    return [message for message in state["messages"] if isinstance(message, ToolMessage)]


def test_the_tools_look_into_the_corpus_of_the_run(docs: Path, opened: list[str]) -> None:
    (found_here,) = _run_tools([("search_documents", {"query": "queen eggs", "limit": 1})], Context(corpus="docs"))
    (built_in,) = _run_tools([("search_documents", {"query": "nonlocal", "limit": 1})], None)

    assert [passage.source for passage in parse_passages(found_here.text)] == ["bees.md"]
    assert [passage.source for passage in parse_passages(built_in.text)] == ["python-reference/nonlocal"]


def test_what_the_tools_cannot_do_they_say_in_words(docs: Path, opened: list[str]) -> None:
    here = _run_tools(
        [("search_documents", {"query": " "}), ("read_passage", {"passage_id": "p:0000000000"})], Context(corpus="docs")
    )
    (nowhere,) = _run_tools([("list_documents", {})], Context(corpus="nowhere"))

    assert [message.status for message in (*here, nowhere)] == ["error"] * 3
    assert here[0].text == "Expected a question or key words to search for, got ' '."
    assert here[1].text.endswith("got 'p:0000000000'; search again and copy the id from a result.")
    assert "'nowhere' does not exist" in nowhere.text


def test_a_tool_can_be_called_outside_of_a_run(docs: Path, opened: list[str]) -> None:
    with open_corpus(docs) as corpus:
        search, read, listing = create_corpus_tools(corpus)
        hit = parse_passages(search.invoke({"query": "queen eggs"}))[0]

        assert len(parse_passages(read.invoke({"passage_id": f"[{hit.id}]"}))) == 3
        assert search.invoke({"query": "zebra"}) == "No passage matches zebra."
        assert listing.invoke({"pattern": "bee"}) == "1 document:\n- bees.md (3 passages): Bees"
        assert listing.invoke({"pattern": "*.pdf"}) == "No document matches *.pdf. List all of them with the pattern *."
    assert "nonlocal" in create_corpus_tools()[0].invoke({"query": "nonlocal"})


def test_a_long_list_of_documents_says_how_to_narrow_it(tmp_path: Path) -> None:
    for number in range(103):
        (tmp_path / f"{number:03d}.txt").write_text("x")

    with open_corpus(tmp_path) as corpus:
        lines = create_corpus_tools(corpus)[2].invoke({}).splitlines()

    assert lines[0] == "103 documents:"
    assert lines[-1] == "... and 3 more; narrow the pattern, such as docs/*.md"
    assert len(lines) == 102


def test_models_are_shown_every_argument_with_its_meaning() -> None:
    tools_shown = create_corpus_tools()

    assert [tool.name for tool in tools_shown] == ["search_documents", "read_passage", "list_documents"]
    for tool in tools_shown:
        arguments = tool.tool_call_schema.model_json_schema()["properties"]  # type: ignore[union-attr]  # pydantic here
        assert set(arguments) <= {"query", "limit", "passage_id", "neighbours", "pattern"}
        assert all(argument["description"] for argument in arguments.values())
