"""Where a corpus takes its documents from: a folder, or the language reference that every Python carries."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from state.errors import DocumentError
from tools.documents import File, Skipped, find_documents

_REFERENCE = "python-reference"


class DocumentSource(Protocol):
    """Names documents and hands out their content."""

    @property
    def name(self) -> str:
        """What the documents are called in messages."""

    @property
    def folder(self) -> Path | None:
        """Where they lie; None when they are not files."""

    def find(self) -> Iterator[File | Skipped]:
        """Yield the documents, and what had to be left out."""

    def load(self, file: File) -> bytes:
        """Return a document's content."""


class Folder:
    """The documents in and below a folder.

    Raises:
        DocumentError: There is no such folder.
    """

    def __init__(self, folder: Path) -> None:
        try:
            self.folder: Path | None = folder.expanduser().resolve(strict=True)
        except (OSError, RuntimeError) as error:
            raise DocumentError(
                f"expected a folder of documents, but {str(folder)!r} does not exist; "
                f"check the path, seen from {str(Path.cwd())!r}"
            ) from error
        if not self.folder.is_dir():
            raise DocumentError(
                f"expected a folder of documents, but {str(folder)!r} is a file; give the folder it lies in"
            )
        self.name = f"folder {str(self.folder)!r}"
        self._root = self.folder

    def find(self) -> Iterator[File | Skipped]:
        """Yield what lies below the folder."""
        return find_documents(self._root)

    def load(self, file: File) -> bytes:
        """Read a file.

        Raises:
            OSError: It cannot be read.
        """
        return file.path.read_bytes()


class PythonReference:
    """The language reference of the running Python, as its interactive help carries it."""

    name = "Python language reference"
    folder: Path | None = None

    def find(self) -> Iterator[File | Skipped]:
        """Yield the topics; without a modification time, so that a new Python's text is noticed by its content."""
        for topic, text in self._topics().items():
            yield File(f"{_REFERENCE}/{topic}", Path(f"{topic}.rst"), len(text), 0)

    def load(self, file: File) -> bytes:
        """Return a topic's text."""
        return self._topics()[file.path.stem].encode()

    def _topics(self) -> dict[str, str]:
        from pydoc_data.topics import topics

        return topics
