"""Bringing an index up to date with its documents: only what changed is read, and an interruption loses one batch."""

from __future__ import annotations

import hashlib
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial

from state.errors import DocumentError
from tools.documents import File, Skipped, read_document
from tools.passage import passage_id
from tools.retrieval.cutting import cut, storable
from tools.retrieval.index import Index, Known, ReadDocument, Row, passage_key
from tools.retrieval.sources import DocumentSource
from tools.retrieval.words import marks

Progress = Callable[[int, int, str], None]

_BATCH = 6_000_000  # characters a transaction: what a killed process has to read again
_FRESH_NS = 2_000_000_000  # a file changed this recently may change again within the same tick of its clock


@dataclass
class Report:
    """What opening a corpus did."""

    indexed: int = 0  # documents read, new or changed
    unchanged: int = 0
    removed: int = 0
    skipped: list[tuple[str, str]] = field(default_factory=list)  # source and reason
    documents: int = 0  # in the corpus now
    passages: int = 0
    notes: list[str] = field(default_factory=list)  # what the reader should know about the index itself


def update(index: Index, source: DocumentSource, on_progress: Progress | None = None) -> Report:
    """Bring an index up to date.

    Documents are committed in batches while the next ones are parsed, so a process that is killed continues where it
    was. Two processes may do this at once: each leaves out what the other has committed.

    Args:
        index: The index; it is changed.
        source: Where the documents come from.
        on_progress: Called with documents done, documents in all and the one that was done.
    """
    report = Report()
    known = index.known()
    files = []
    for found in source.find():
        if isinstance(found, Skipped):
            report.skipped.append(found)
        else:
            files.append(found)
    with _Writer(index) as writer:
        for done, file in enumerate(files, 1):
            _bring(file, known, source, writer, report)
            if on_progress:
                on_progress(done, len(files), file.source)
        writer.remove(list(known))
        report.removed = len(known)
    report.documents, report.passages = index.count()
    report.notes = list(index.file.notes)
    return report


def _bring(file: File, known: dict[str, Known], source: DocumentSource, writer: _Writer, report: Report) -> None:
    """Bring one document up to date; what stays in `known` is no longer there."""
    before = known.get(file.source)
    if before and before.mtime_ns and (before.size, before.mtime_ns) == (file.size, file.mtime_ns):
        read = None
    else:
        try:
            data = source.load(file)
        except OSError as error:
            report.skipped.append((file.source, f"cannot be read: {error.strerror or type(error).__name__}"))
            return
        digest = hashlib.sha256(data).hexdigest()
        if before and before.hash == digest:
            read = None
            writer.touch(file.source, _trusted_time(file))
        else:
            read = parse_file(file, data, digest)
            writer.write(read)
    known.pop(file.source, None)
    reason = read.reason if read else before.reason if before else ""
    if reason:
        report.skipped.append((file.source, reason))
    elif read:
        report.indexed += 1
    else:
        report.unchanged += 1


def parse_file(file: File, data: bytes, digest: str) -> ReadDocument:
    """Parse and cut a document; one that cannot be read is kept with the reason, so that it is not tried every time."""
    read = ReadDocument(file.source, len(data), _trusted_time(file), digest)
    try:
        document = read_document(data, file.path.name)
    except DocumentError as error:
        return read._replace(reason=str(error))
    copies: Counter[str] = Counter()
    rows = []
    for piece in cut(document):
        identifier = passage_id(file.source, piece.text, copy=copies[piece.text])
        copies[piece.text] += 1
        rows.append(Row(passage_key(identifier), piece.heading, piece.place, marks(piece.text), piece.text))
    return read._replace(title=storable(" ".join(document.title.split())[:200]), rows=rows)


def _trusted_time(file: File) -> int:
    return 0 if time.time_ns() - file.mtime_ns < _FRESH_NS else file.mtime_ns


class _Writer:
    """Collects documents into batches and writes them in a thread of its own, one batch behind the parser.

    SQLite works outside the interpreter's lock, so on two cores writing costs the parser next to nothing.
    """

    def __init__(self, index: Index) -> None:
        self._index = index
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="corpus-writer")
        self._batch: list[ReadDocument] = []
        self._touched: list[tuple[str, int]] = []
        self._size = 0
        self._full_batches = 0
        self._writing: Future[None] | None = None

    def __enter__(self) -> _Writer:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            if kind is None:
                self._flush()
                if self._full_batches:
                    self._submit(self._index.optimize)
                self._wait()
        finally:
            self._thread.shutdown()

    def write(self, document: ReadDocument) -> None:
        self._batch.append(document)
        self._size += sum(len(row.text) for row in document.rows) + 1000
        if self._size >= _BATCH:
            self._full_batches += 1
            self._flush()

    def touch(self, source: str, mtime_ns: int) -> None:
        if mtime_ns:
            self._touched.append((source, mtime_ns))

    def remove(self, sources: list[str]) -> None:
        self._flush()
        if sources:
            self._submit(partial(self._index.remove, sources))

    def _flush(self) -> None:
        batch, self._batch, self._size = self._batch, [], 0
        touched, self._touched = self._touched, []
        if batch:
            self._submit(partial(self._index.write, batch))
        if touched:
            self._submit(partial(self._index.touch, touched))

    def _submit(self, work: Callable[[], None]) -> None:
        self._wait()
        self._writing = self._thread.submit(work)

    def _wait(self) -> None:
        writing, self._writing = self._writing, None
        if writing:
            writing.result()
