"""The corpora that are open in this process: each folder once, however many agents search it at the same time."""

from __future__ import annotations

import atexit
import time
from collections.abc import Mapping
from pathlib import Path
from threading import Lock

from tools.corpus import Corpus, open_corpus

_RECHECK_SECONDS = 30.0  # how long documents may change before a search notices
_opened: dict[str, _Opened] = {}
_guard = Lock()


class _Opened:
    """A corpus that is open or about to be, with the lock that lets one thread read its documents."""

    def __init__(self) -> None:
        self.lock = Lock()
        self.corpus: Corpus | None = None
        self.checked = 0.0

    def get(self, folder: str) -> Corpus:
        with self.lock:
            if self.corpus is None:
                self.corpus = open_corpus(folder)
            elif time.monotonic() - self.checked > _RECHECK_SECONDS:
                self.corpus.refresh()
            self.checked = time.monotonic()
            return self.corpus

    def close(self) -> None:
        if self.corpus:
            self.corpus.close()


def corpus_of(context: object | None) -> Corpus:
    """Return the corpus that a run's context names, opening it when it is not open yet.

    It is shared by the whole process, closed when the process ends, and notices documents that change meanwhile.

    Args:
        context: What a run was told: anything with a `corpus`, a folder or "". None, or something without it, is the
            language reference of the running Python.

    Raises:
        DocumentError: The folder does not exist, is a file, or holds nothing that can be read.
    """
    folder = _folder(context)
    key = str(Path(folder).expanduser().resolve()) if folder else ""
    with _guard:
        if not _opened:
            atexit.register(close_corpora)
        opened = _opened.setdefault(key, _Opened())
    return opened.get(folder)


def close_corpora() -> None:
    """Close every corpus of this process; one that is asked for again is opened again."""
    with _guard:
        while _opened:
            _opened.popitem()[1].close()


def _folder(context: object | None) -> str:
    found = context.get("corpus") if isinstance(context, Mapping) else getattr(context, "corpus", None)
    return str(found) if found else ""
