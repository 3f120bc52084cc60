"""Folder: files below one folder, opened so that nothing leads out of it.

A path is walked folder by folder, each opened below the one before without following links, and what is opened is what is
checked. So neither `..`, nor an absolute path, nor a link that is swapped in at the last moment leads out.
"""

from __future__ import annotations

import errno
import os
import stat
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from langchain_core.tools import ToolException

from state.errors import ConfigurationError

DEEPEST = 32
"""Folders below the first that are entered."""
PROBE = 8192
"""Bytes that show whether a file is text."""
OPEN_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_OPEN_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY
_LONGEST_PATH = 1_000
_UNSEEN = ("Cc", "Cf", "Cs", "Zl", "Zp")  # control, invisible, surrogate, line and paragraph separator


@dataclass(frozen=True)
class Folder:
    """A folder that files are opened below of.

    Args:
        path: Where it is, without links.
        hidden: Whether names that begin with a dot count.
    """

    path: Path
    hidden: bool = False

    def names(self, path: str) -> list[str]:
        """Return the names of a path, none for the folder itself.

        Raises:
            ToolException: It leads elsewhere, or no file can be named so.
        """
        if len(path) > _LONGEST_PATH:
            raise ToolException(f"Expected a path of at most {_LONGEST_PATH} characters, got {path[:60]!r}...")
        if any(unicodedata.category(each) in _UNSEEN for each in path) or "\\" in path:
            raise ToolException(f"Expected a path without control characters and backslashes, got {path!r}.")
        if path.startswith(("/", "~")):
            raise ToolException(f"Expected a path relative to the folder, such as 'notes/plan.md', got {path!r}.")
        names = [name for name in path.split("/") if name not in ("", ".")]
        if ".." in names or len(names) > DEEPEST:
            raise ToolException(f"Expected a path inside the folder, without '..', got {path!r}.")
        if not self.hidden and any(name.startswith(".") for name in names):
            raise ToolException(f"Expected names that do not begin with a dot, got {path!r}: those are kept back.")
        return names

    @contextmanager
    def entered(self, names: list[str], *, make: bool = False) -> Iterator[int]:
        """Give the open folder below, each on the way opened in the one before; `make` makes those that are missing.

        Raises:
            OSError: One is missing, is no folder, or is a link.
        """
        here = os.open(self.path, OPEN_FOLDER)
        try:
            for name in names:
                if make:
                    with suppress(FileExistsError):
                        os.mkdir(name, dir_fd=here)
                below = os.open(name, OPEN_FOLDER, dir_fd=here)
                os.close(here)
                here = below
            yield here
        finally:
            os.close(here)


def open_folder(root: str | Path, *, hidden: bool = False) -> Folder:
    """Return a folder to open files below of.

    Raises:
        ConfigurationError: It is no folder, or this system cannot open files below a folder.
    """
    if os.open not in os.supports_dir_fd:
        raise ConfigurationError("files: this system cannot open a file below an open folder; use Linux or macOS")
    path = Path(root).expanduser()
    if not path.is_dir():
        raise ConfigurationError(f"files: expected a folder, got {str(root)!r}")
    return Folder(path.resolve(), hidden)


def read_text(folder: Folder, path: str, most: int) -> str:
    """Return the beginning of a text file, at most so many bytes of it.

    Raises:
        ToolException: Says why not.
    """
    names = file_names(folder, path)
    with explained(path), folder.entered(names[:-1]) as here, opened(here, names[-1]) as file:
        return decoded(path, read_bytes(file, most))


def file_names(folder: Folder, path: str) -> list[str]:
    """Return the names of a file's path.

    Raises:
        ToolException: It leads elsewhere, or is the folder itself.
    """
    names = folder.names(path)
    if not names:
        raise ToolException(f"Expected the path of a file, got {path!r}. list_files shows what there is.")
    return names


@contextmanager
def explained(path: str) -> Iterator[None]:
    """Turn what the system says into what can be done."""
    try:
        yield
    except OSError as error:
        known = {
            FileNotFoundError: "there is nothing of that name; list_files shows what there is",
            NotADirectoryError: "a name on the way is no folder, or a link, and links are not followed",
            IsADirectoryError: "it is a folder",
            PermissionError: "the system does not permit it",
        }
        why = "it is a link, and links are not followed" if error.errno == errno.ELOOP else known.get(type(error))
        raise ToolException(f"{path!r} cannot be used: {why or error.strerror or 'unknown error'}.") from None


@contextmanager
def opened(here: int, name: str) -> Iterator[int]:
    """Give an open regular file; what else there is may block, or do something, when it is opened."""
    check_regular(name, os.stat(name, dir_fd=here, follow_symlinks=False).st_mode)
    file = os.open(name, _OPEN_FILE, dir_fd=here)
    try:
        check_regular(name, os.fstat(file).st_mode)
        yield file
    finally:
        os.close(file)


def check_regular(name: str, mode: int) -> None:
    """Refuse what is no regular file.

    Raises:
        ToolException: Says what it is.
    """
    if not stat.S_ISREG(mode):
        kinds = {stat.S_IFLNK: "a link, and links are not followed", stat.S_IFDIR: "a folder"}
        raise ToolException(f"Expected a file, got {kinds.get(stat.S_IFMT(mode), 'a device or pipe')}: {name!r}.")


def read_bytes(file: int, most: int) -> bytes:
    """Return the next bytes of an open file, at most so many."""
    parts, left = [], most
    while left > 0 and (part := os.read(file, min(left, 1 << 20))):
        parts.append(part)
        left -= len(part)
    return b"".join(parts)


def check_text(path: str, data: bytes) -> None:
    """Refuse what is not text, by its beginning.

    Raises:
        ToolException: It is binary.
    """
    if b"\0" in data[:PROBE]:
        raise ToolException(f"Expected a text file, got {path!r}: it is binary.")


def decoded(path: str, data: bytes) -> str:
    """Return the text of a file.

    Raises:
        ToolException: It is binary.
    """
    check_text(path, data)
    return data.decode("utf-8", "replace").removeprefix("\ufeff")
