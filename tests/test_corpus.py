"""A folder becomes a corpus, stays up to date with what changes in it, and is read by passage and by document."""

from __future__ import annotations

import asyncio
import os
import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from corpus_docs import FILLER, found, write_docs
from state.errors import DocumentError
from tools import Corpus, open_corpus
from tools.documents import read_document
from tools.passage import passage_id
from tools.readers.section import Document
from tools.retrieval.index import Index, ReadDocument, Row


@pytest.fixture
def docs(tmp_path: Path) -> Path:
    return write_docs(tmp_path / "docs")


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Corpus]:
    """The language reference."""
    with open_corpus(None, index=tmp_path_factory.mktemp("index") / "python.db") as corpus:
        yield corpus


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
