"""What an index holds, and the questions it answers: documents, their passages, and which passages match words."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from tools.passage import Passage, passage_id
from tools.retrieval.storage import IndexFile

_VERSION = 1  # Raise it when the schema, a reader or the way passages are cut changes.
_SCHEMA = """
CREATE TABLE documents(
    id INTEGER PRIMARY KEY, source TEXT NOT NULL UNIQUE, title TEXT NOT NULL, size INTEGER NOT NULL,
    mtime_ns INTEGER NOT NULL, hash TEXT NOT NULL, passages INTEGER NOT NULL, reason TEXT NOT NULL);
CREATE TABLE passages(
    id INTEGER PRIMARY KEY, document INTEGER NOT NULL, key INTEGER NOT NULL UNIQUE, heading TEXT NOT NULL,
    place TEXT NOT NULL, marks TEXT NOT NULL, text TEXT NOT NULL);
CREATE INDEX passages_of_document ON passages(document);
CREATE VIEW placed AS
    SELECT p.id, p.key, p.document, d.source, iif(p.heading = '', d.title, p.heading) AS heading,
        p.place, p.marks, p.text
    FROM passages p JOIN documents d ON d.id = p.document;
CREATE VIRTUAL TABLE search USING fts5(
    source, heading, marks, text, content='placed', content_rowid='id',
    tokenize='porter unicode61 remove_diacritics 2');
CREATE VIRTUAL TABLE vocabulary USING fts5vocab(search, 'row');
INSERT INTO search(search, rank) VALUES ('rank', 'bm25(2.0, 6.0, 2.0, 1.0)');
INSERT INTO search(search, rank) VALUES ('hashsize', 33554432);
"""
_FIND = "SELECT id, key, source, heading, place, text FROM placed WHERE key = ?"
_AROUND = """
SELECT id, key, source, heading, place, text FROM placed
WHERE id BETWEEN ? AND ? AND document = (SELECT document FROM passages WHERE id = ?) ORDER BY id
"""
_MATCHING = """
SELECT p.id, p.key, p.source, p.heading, p.place, p.text, p.marks, -s.rank
FROM (SELECT rowid, rank FROM search WHERE search MATCH ? ORDER BY rank LIMIT ?) s JOIN placed p ON p.id = s.rowid
"""
_SOME_MATCHING = """
SELECT p.id, p.key, p.source, p.heading, p.place, p.text, p.marks, -s.rank
FROM (SELECT rowid, rank FROM search WHERE search MATCH ? LIMIT ?) s JOIN placed p ON p.id = s.rowid
"""
_LIST = (
    "SELECT source, title, passages FROM documents WHERE passages > 0 AND lower(source) GLOB lower(?) ORDER BY source"
)
_FORGET = (  # The full-text index reads what it forgets from the passages: it goes first.
    """DELETE FROM search WHERE rowid IN (SELECT id FROM passages WHERE document IN
    (SELECT id FROM documents WHERE source IN (SELECT value FROM json_each(?))))""",
    """DELETE FROM passages WHERE document IN
    (SELECT id FROM documents WHERE source IN (SELECT value FROM json_each(?)))""",
    "DELETE FROM documents WHERE source IN (SELECT value FROM json_each(?))",
)
_INSERT_DOCUMENTS = """
INSERT INTO documents(source, size, mtime_ns, hash, title, reason, passages)
SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]'), json_extract(value, '$[2]'),
    json_extract(value, '$[3]'), json_extract(value, '$[4]'), json_extract(value, '$[5]'), json_extract(value, '$[6]')
FROM json_each(?)
"""
_INSERT_PASSAGES = """
INSERT OR IGNORE INTO passages(document, key, heading, place, marks, text)
SELECT d.id, json_extract(value, '$[1]'), json_extract(value, '$[2]'), json_extract(value, '$[3]'),
    json_extract(value, '$[4]'), json_extract(value, '$[5]')
FROM json_each(?) CROSS JOIN documents d ON d.source = json_extract(value, '$[0]')
"""
_INSERT_WORDS = """
INSERT INTO search(rowid, source, heading, marks, text)
SELECT id, source, heading, marks, text FROM placed WHERE id > ? ORDER BY id
"""


class Row(NamedTuple):
    """A passage as the index keeps it."""

    key: int
    heading: str
    place: str
    marks: str  # words of its own for the tokenizer, see `words.marks`
    text: str


class ReadDocument(NamedTuple):
    """A document as it was read: what goes into the index."""

    source: str
    size: int  # bytes
    mtime_ns: int  # 0: unknown, or too fresh to be trusted
    hash: str
    title: str = ""
    reason: str = ""  # why it has no passages
    rows: Sequence[Row] = ()


class Known(NamedTuple):
    """What the index knows of a document's file."""

    size: int
    mtime_ns: int
    hash: str
    reason: str


class DocumentEntry(NamedTuple):
    """A document in a corpus."""

    source: str
    title: str
    passages: int


class Hit(NamedTuple):
    """A passage that matches, before ranking."""

    passage: Passage
    marks: frozenset[str]
    bm25: float  # higher is better


class Count(NamedTuple):
    """How much a corpus holds."""

    documents: int
    passages: int


class Index:
    """An index file, or one in memory, with the questions it answers.

    Args:
        path: Where the file is or will be; None keeps the index in memory.
    """

    def __init__(self, path: Path | None) -> None:
        self.file = IndexFile(path, schema=_SCHEMA, version=_VERSION)

    def known(self) -> dict[str, Known]:
        """Map the source of every document to what is known of its file."""
        rows = self._rows("SELECT source, size, mtime_ns, hash, reason FROM documents")
        return {source: Known(*rest) for source, *rest in rows}

    def count(self) -> Count:
        """Count documents that have passages, and passages."""
        return Count(*self._rows("SELECT count(*), coalesce(sum(passages), 0) FROM documents WHERE passages > 0")[0])

    def documents(self, pattern: str) -> list[DocumentEntry]:
        """List documents whose source matches a pattern with * and ?, by source."""
        return [DocumentEntry(*row) for row in self._rows(_LIST, pattern)]

    def frequency(self, token: str) -> int:
        """Count the passages that hold a token, as the index stores it: folded and stemmed."""
        rows = self._rows("SELECT doc FROM vocabulary WHERE term = ?", token)
        return int(rows[0][0]) if rows else 0

    def matching(self, expression: str, limit: int) -> list[Hit]:
        """Find the passages that match a full-text expression best.

        Args:
            expression: In FTS5 query syntax.
            limit: How many at most.
        """
        return [_hit(row) for row in self._rows(_MATCHING, expression, limit)]

    def some_matching(self, expression: str, limit: int) -> list[Hit]:
        """Find the first passages that match, in no order; however many there are, this takes no time to speak of."""
        return [_hit(row) for row in self._rows(_SOME_MATCHING, expression, limit)]

    def find(self, identifier: str) -> tuple[int, Passage] | None:
        """Find a passage by its id, with its position in the index."""
        rows = self._rows(_FIND, passage_key(identifier))
        return (rows[0][0], _passage(rows[0])) if rows else None

    def around(self, position: int, neighbours: int) -> list[Passage]:
        """List a passage and those of the same document right before and after it, in document order."""
        rows = self._rows(_AROUND, position - neighbours, position + neighbours, position)
        return [_passage(row) for row in rows]

    def write(self, batch: Sequence[ReadDocument]) -> None:
        """Put documents into the index, each in place of what was known of it, in one transaction.

        Whole batches go to SQLite as JSON: a statement for each row would take the interpreter's lock for each row, and
        wait for it while another thread parses.
        """
        with self.file.transaction() as connection:
            fresh = _not_there_yet(connection, batch)
            _forget(connection, [document.source for document in fresh])
            last = connection.execute("SELECT coalesce(max(id), 0) FROM passages").fetchone()[0]
            connection.execute(
                _INSERT_DOCUMENTS, (json.dumps([(*document[:-1], len(document.rows)) for document in fresh]),)
            )
            rows = [(document.source, *row) for document in fresh for row in document.rows]
            if connection.execute(_INSERT_PASSAGES, (json.dumps(rows),)).rowcount < len(rows):
                _insert_colliding(connection, rows, last)
            connection.execute(_INSERT_WORDS, (last,))

    def remove(self, sources: Iterable[str]) -> None:
        """Take documents out of the index, in one transaction."""
        with self.file.transaction() as connection:
            _forget(connection, sources)

    def touch(self, files: Iterable[tuple[str, int]]) -> None:
        """Note new modification times, in nanoseconds, of documents whose content is the same."""
        with self.file.transaction() as connection:
            connection.executemany("UPDATE documents SET mtime_ns = ?2 WHERE source = ?1", files)

    def optimize(self) -> None:
        """Merge what many transactions left behind; searches are faster for it, by a fifth after a large update."""
        with self.file.transaction() as connection:
            connection.execute("INSERT INTO search(search) VALUES ('optimize')")

    def _rows(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        with self.file.connection() as connection:
            return connection.execute(sql, values).fetchall()


def passage_key(identifier: str) -> int:
    """Return the number under which the index keeps a passage: the hexadecimal digits of its id."""
    return int(identifier[2:], 16)


def _passage(row: tuple[Any, ...]) -> Passage:
    _, key, source, heading, place, text, *_ = row
    # Not validated again: these are our own rows, and a search builds fifty of them.
    return Passage.model_construct(
        id=f"p:{key:010x}", source=source, heading=heading, place=place, text=text, score=0.0
    )


def _hit(row: tuple[Any, ...]) -> Hit:
    return Hit(_passage(row), frozenset(row[6].split()), row[7])


def _not_there_yet(connection: sqlite3.Connection, batch: Sequence[ReadDocument]) -> list[ReadDocument]:
    """Leave out what another process has put into the index since this one looked."""
    rows = connection.execute(
        "SELECT d.source, d.hash FROM json_each(?) CROSS JOIN documents d ON d.source = value",
        (json.dumps([document.source for document in batch]),),
    )
    there = dict(rows.fetchall())
    return [document for document in batch if there.get(document.source) != document.hash]


def _forget(connection: sqlite3.Connection, sources: Iterable[str]) -> None:
    names = (json.dumps(list(sources)),)
    for statement in _FORGET:
        connection.execute(statement, names)


def _insert_colliding(connection: sqlite3.Connection, rows: Sequence[tuple[Any, ...]], last: int) -> None:
    """Insert again from the first document with a passage whose key was taken, which happens once in 10^12 pairs."""
    connection.execute("DELETE FROM passages WHERE id > ?", (last,))
    for source, key, *rest in rows:
        copy = 0
        while connection.execute("SELECT 1 FROM passages WHERE key = ?", (key,)).fetchone():
            copy += 1
            key = passage_key(passage_id(source, rest[-1], copy=1000 + copy))
        connection.execute(_INSERT_PASSAGES, (json.dumps([(source, key, *rest)]),))
