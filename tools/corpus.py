"""A corpus: a folder of documents that can be searched, or the language reference that ships in every Python.

    with open_corpus("docs") as corpus:
        for passage in corpus.search("How are sessions closed?"):
            print(passage.source, passage.place, passage.text)

Whole documents never go to a model: a search returns passages with the place they come from, and ids to cite them by.
"""

from __future__ import annotations

import hashlib
import os
import sqlite3
from collections.abc import Callable
from pathlib import Path
from threading import RLock
from typing import TypeVar

from state.errors import DocumentError
from tools.passage import PASSAGE_ID, Passage
from tools.retrieval.index import Count, DocumentEntry, Index
from tools.retrieval.search import Search
from tools.retrieval.sources import DocumentSource, Folder, PythonReference
from tools.retrieval.updating import Progress, Report, update

_MOST_RESULTS = 50
_MOST_NEIGHBOURS = 10
_T = TypeVar("_T")


class Corpus:
    """Documents that can be searched and read. Safe to use from several threads.

    Args:
        source: Where the documents come from.
        index: What is known of them so far.
        on_progress: Called while documents are read: done, in all, the one that was done.

    Raises:
        DocumentError: Nothing in the source can be read.
    """

    def __init__(self, source: DocumentSource, index: Index, on_progress: Progress | None = None) -> None:
        self._source, self._index = source, index
        self._updating = RLock()
        self._closed = False
        self.report = self.refresh(on_progress)

    def __enter__(self) -> Corpus:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def name(self) -> str:
        """What to call the corpus in a message."""
        return self._source.name

    @property
    def folder(self) -> Path | None:
        """The folder it was read from; None for the language reference."""
        return self._source.folder

    @property
    def count(self) -> Count:
        """How many documents and passages there are."""
        return self._ask(self._index.count)

    def search(self, query: str, *, limit: int = 5) -> list[Passage]:
        """Find the passages that answer a question best.

        Args:
            query: A question or some words; names such as `asyncio.gather`, `__init__` or `ThreadPoolExecutor` are
                found whole and in parts. Any text is safe.
            limit: How many at most, 1 to 50.

        Returns:
            The best first, with a score from 0 to 1; [] when no word of the query occurs.
        """
        return self._ask(lambda: self._search.best(query, max(1, min(limit, _MOST_RESULTS))))

    def find(self, passage_id: str) -> Passage | None:
        """Return a passage by its id; None when there is none."""
        if not PASSAGE_ID.fullmatch(passage_id):
            return None
        found = self._ask(lambda: self._index.find(passage_id))
        return found[1] if found else None

    def read(self, passage_id: str, *, neighbours: int = 0) -> list[Passage]:
        """Return a passage, and what stands right before and after it in its document.

        Args:
            passage_id: As search returned it.
            neighbours: How many passages on either side, 0 to 10.

        Returns:
            Passages in document order.

        Raises:
            DocumentError: There is no passage with this id.
        """
        found = self._ask(lambda: self._index.find(passage_id)) if PASSAGE_ID.fullmatch(passage_id) else None
        if not found:
            raise DocumentError(
                f"expected the id of a passage in the {self.name}, such as 'p:1a2b3c4d5e', got {passage_id!r}; "
                "search again and copy the id from a result"
            )
        width = max(0, min(neighbours, _MOST_NEIGHBOURS))
        return self._ask(lambda: self._index.around(found[0], width))

    def documents(self, pattern: str = "*") -> list[DocumentEntry]:
        """List the documents whose path matches a pattern: * for any text, ? for one character."""
        return self._ask(lambda: self._index.documents(pattern))

    def refresh(self, on_progress: Progress | None = None) -> Report:
        """Read what changed since the corpus was opened or refreshed; passages that did not change keep their ids.

        Raises:
            DocumentError: Nothing can be read any more.
        """
        with self._updating:
            try:
                self.report = update(self._index, self._source, on_progress)
            except sqlite3.DatabaseError as error:
                self._index.file.replace(self._fault(error))
                self.report = update(self._index, self._source, on_progress)
            self._search = Search(self._index)
        if not self.report.passages:
            raise DocumentError(_nothing(self._source, self.report))
        return self.report

    def close(self) -> None:
        """Close the index file; the corpus cannot be asked any more."""
        self._closed = True
        self._index.file.close()

    def _ask(self, question: Callable[[], _T]) -> _T:
        """Ask the index; one that turns out to be damaged or deleted is built anew first."""
        if self._closed:
            raise DocumentError(f"the corpus of the {self.name} is closed; open it again with open_corpus")
        before = self._search
        try:
            return question()
        except sqlite3.DatabaseError as error:
            fault = self._fault(error)
        with self._updating:
            if self._search is before:  # Else another thread has done it.
                self._index.file.replace(fault)
                self.refresh()
        return question()

    def _fault(self, error: sqlite3.DatabaseError) -> str:
        """Say what is wrong with the index file, if building it anew helps.

        Raises:
            DocumentError: It would not help.
        """
        if type(error) is sqlite3.DatabaseError:
            return "was damaged"
        if self._index.file.path and not self._index.file.path.exists():
            return "was deleted"
        raise DocumentError(
            f"the index of the {self.name}, {str(self._index.file.path)!r}, cannot be used: {error}; "
            "make room on the disk, end what locks it, or delete it: it is built again from the documents"
        ) from error


def open_corpus(folder: str | Path | None, *, index: Path | None = None, on_progress: Progress | None = None) -> Corpus:
    """Open a folder of documents for searching; reads what is new or changed since the last time.

    Args:
        folder: Where the documents lie; None or "" is the language reference of the running Python.
        index: Where to keep the index file; by default `.orchestra/corpus/` in the working directory. Where nothing can
            be written, the index is kept in memory, and a note in the report says so.
        on_progress: Called after each document with how many are done, how many there are, and its path.

    Returns:
        The corpus, which is also a context manager. Its `report` says what was read, and what was skipped and why.

    Raises:
        DocumentError: The folder does not exist, is a file, or holds nothing that can be read.
    """
    source: DocumentSource = Folder(Path(folder)) if folder else PythonReference()
    path = (index or _default_index(source)).absolute()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if index is None:
            _ignore_in_git(path.parent.parent)
        opened = Index(path)
    except (OSError, sqlite3.OperationalError) as error:
        opened = Index(None)
        opened.file.notes.append(f"the index is kept in memory, because {str(path)!r} cannot be written: {error}")
    return Corpus(source, opened, on_progress)


def _default_index(source: DocumentSource) -> Path:
    name = hashlib.sha256(os.fsencode(source.folder)).hexdigest()[:16] if source.folder else "python-reference"
    return Path(".orchestra", "corpus", f"{name}.db")


def _ignore_in_git(folder: Path) -> None:
    ignore = folder / ".gitignore"
    if not ignore.exists():
        ignore.write_text("*\n", encoding="utf-8")


def _nothing(source: DocumentSource, report: Report) -> str:
    """Say why a corpus without a passage is of no use."""
    found = "no file that may be a document"
    if report.skipped:
        shown = "; ".join(f"{name} {reason}" for name, reason in report.skipped[:3])
        found = f"{len(report.skipped)} that cannot be read: {shown}"
    elif report.indexed or report.unchanged:
        found = f"{report.indexed + report.unchanged} without any text"
    return (
        f"expected documents in the {source.name} (Markdown, text, reStructuredText, HTML, PDF, Word, notebooks, "
        f"source code), found {found}; put documents there or name another folder"
    )
