"""Documents: which files of a folder are some, and what stands in them.

Nothing a folder can hold makes reading it fail: what cannot be read is named with the reason and left out.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from state.errors import DocumentError
from tools.readers.html import read_html
from tools.readers.markdown import read_markdown
from tools.readers.notebook import read_notebook
from tools.readers.office import read_pdf, read_word
from tools.readers.plain import LANGUAGES, read_code, read_text
from tools.readers.python import read_python
from tools.readers.restructured import read_restructured
from tools.readers.section import Document

LARGEST_FILE = 20_000_000  # bytes

_TEXT_READERS: dict[str, Callable[[str], Document]] = {
    **dict.fromkeys(("md", "markdown", "mdx", "qmd", "rmd"), read_markdown),
    **dict.fromkeys(("rst", "rest"), read_restructured),
    **dict.fromkeys(("html", "htm", "xhtml"), read_html),
    **dict.fromkeys(("py", "pyi", "pyw"), read_python),
    "ipynb": read_notebook,
}
_BINARY_READERS: dict[str, Callable[[bytes], Document]] = {"pdf": read_pdf, "docx": read_word}
_OFFICE_SUFFIXES = "doc xls xlsx ppt pptx odt ods odp rtf epub mobi pages numbers djvu ps"
# Images, sound, programs, archives, databases, and what machines write for machines.
_NOT_DOCUMENTS = """png jpg jpeg gif bmp ico icns webp tif tiff psd mp3 mp4 wav ogg flac avi mov mkv webm ttf otf woff
woff2 eot pyc pyo pyd so o a lib dll dylib exe bin dat class jar war wasm whl egg zip tar gz bz2 xz zst 7z rar iso db
sqlite sqlite3 db-wal db-shm pkl pickle npy npz parquet feather h5 onnx pt pth safetensors gguf map lock swp tmp"""
_NO_READER = frozenset(_OFFICE_SUFFIXES.split())
_IGNORED_SUFFIXES = frozenset(_NOT_DOCUMENTS.split())
_LONG_LINE = 1_000  # characters a line, on average, from which a script was packed for browsers
_IGNORED_NAMES = frozenset(("package-lock.json", "pnpm-lock.yaml", "RECORD", "Thumbs.db"))
_SKIPPED_FOLDERS = frozenset(("node_modules", "__pycache__", "__MACOSX"))


class File(NamedTuple):
    """A file that may be a document."""

    source: str  # relative to the folder, forward slashes; what people and models see
    path: Path
    size: int  # bytes
    mtime_ns: int


class Skipped(NamedTuple):
    """Something that was left out, and why."""

    source: str
    reason: str


def find_documents(folder: Path) -> Iterator[File | Skipped]:
    """Yield every file below a folder that may be a document, and what had to be left out, in a stable order.

    Hidden files and folders, environments and caches are passed over. Symbolic links are named, not followed: inside
    the folder they would only repeat, and outside it nobody was invited.
    """
    pending = [folder]
    while pending:
        current = pending.pop()
        try:
            entries = sorted(os.scandir(current), key=lambda entry: entry.name)
        except OSError as error:
            yield Skipped(_source(folder, current), f"folder cannot be listed: {_why(error)}")
            continue
        folders = []
        for entry in entries:
            if entry.name.startswith("."):
                continue
            if entry.is_dir(follow_symlinks=False):
                if entry.name not in _SKIPPED_FOLDERS and not os.path.lexists(Path(entry.path, "pyvenv.cfg")):
                    folders.append(Path(entry.path))
            elif found := _examine(folder, entry):
                yield found
        pending.extend(reversed(folders))


def read_document(data: bytes, name: str) -> Document:
    """Read a file's content into sections, by the kind that its name says.

    Args:
        data: The whole file.
        name: File name or path; the suffix chooses the reader.

    Raises:
        DocumentError: It cannot be read; the message is the reason, without the name.
    """
    suffix = _suffix(name)
    try:
        if reader := _BINARY_READERS.get(suffix):
            return reader(data)
        text = _lines_as_editors_count(_decode(data))
        if text_reader := _TEXT_READERS.get(suffix):
            return text_reader(text)
        if suffix not in LANGUAGES:
            return read_text(text)
        if (
            LANGUAGES[suffix] == "js"
            and len(text) > _LONG_LINE * 10
            and len(text) > _LONG_LINE * (text.count("\n") + 1)
        ):
            raise DocumentError("is written by a machine for machines: its lines are very long")
        return read_code(text, LANGUAGES[suffix])
    except DocumentError:
        raise
    except Exception as error:  # Parsers of damaged files raise anything.
        raise DocumentError(f"is damaged or not what its name says: {type(error).__name__}: {error}"[:300]) from error


def _examine(folder: Path, entry: os.DirEntry[str]) -> File | Skipped | None:
    """Tell whether a directory entry may be a document."""
    source = _source(folder, Path(entry.path))
    suffix = _suffix(entry.name)
    if suffix in _IGNORED_SUFFIXES or entry.name in _IGNORED_NAMES or entry.name.endswith((".min.js", ".min.css")):
        return None
    if entry.is_symlink():
        return Skipped(source, _link(folder, Path(entry.path)))
    try:
        status = entry.stat(follow_symlinks=False)
    except OSError as error:
        return Skipped(source, f"cannot be read: {_why(error)}")
    if not stat.S_ISREG(status.st_mode):
        return Skipped(source, "is not a regular file")
    if suffix in _NO_READER:
        return Skipped(source, f"there is no reader for .{suffix} files; save it as .pdf, .docx, .html or text")
    if status.st_size > LARGEST_FILE:
        return Skipped(source, f"has {status.st_size / 1e6:.0f} MB, more than {LARGEST_FILE / 1e6:.0f} MB")
    return File(source, Path(entry.path), status.st_size, status.st_mtime_ns)


def _link(folder: Path, path: Path) -> str:
    try:
        target = path.resolve(strict=True)
    except (OSError, RuntimeError):
        return "is a symbolic link that leads nowhere or in a circle"
    if target.is_relative_to(folder):
        return "is a symbolic link to another place in the folder; what it leads to is read there"
    return "is a symbolic link that leads out of the folder; copy what it leads to if it should be read"


def _source(folder: Path, path: Path) -> str:
    """Write a path for people and models: undecodable bytes of a file name as escapes, not as lone surrogates."""
    relative = path.relative_to(folder).as_posix()
    return relative.encode("utf-8", "backslashreplace").decode()


def _suffix(name: str) -> str:
    stem, dot, suffix = name.rpartition("/")[2].rpartition(".")
    if name.rpartition("/")[2].lower() in ("makefile", "gnumakefile"):
        return "make"
    return suffix.lower() if dot and stem else ""


def _decode(data: bytes) -> str:
    """Decode text: UTF-8, UTF-16 or -32 by their marks, else a Western single-byte encoding if it looks like one."""
    for mark, encoding in ((b"\xff\xfe\0\0", "utf-32"), (b"\0\0\xfe\xff", "utf-32"), (b"\xff\xfe", "utf-16")):
        if data.startswith(mark):
            return data.decode(encoding)
    if data.startswith(b"\xfe\xff"):
        return data.decode("utf-16")
    sample = data[:65_536]
    if b"\0" in sample or data.startswith((b"%PDF", b"PK\x03\x04")):
        raise DocumentError("is binary, not text")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        pass
    unusual = sum(byte > 0x7E or (byte < 0x20 and byte not in b"\t\n\r\f") for byte in sample)
    if unusual > len(sample) * 0.25:
        raise DocumentError("is binary, or text in an encoding that is not UTF-8; save it as UTF-8")
    return data.decode("cp1252", "replace")


def _lines_as_editors_count(text: str) -> str:
    """End every line with one newline; a form feed, which old sources put between pages, ends none."""
    return text.replace("\r\n", "\n").replace("\r", "\n").replace("\f", " ")


def _why(error: OSError) -> str:
    return error.strerror or type(error).__name__
