"""Files inside one folder: tools with which an agent lists, reads, searches and writes them, and gets nowhere else."""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from itertools import islice
from pathlib import Path
from secrets import token_hex

from langchain_core.tools import BaseTool, StructuredTool, ToolException
from pydantic import BaseModel, Field

from state.errors import ConfigurationError
from tools.folder import Folder, check_regular, check_text, explained, file_names, open_folder, opened, read_bytes
from tools.lookup import Search
from tools.rights import needs

MOST_READ = 20_000
"""Characters that are read at once."""
MOST_WRITTEN = 1_000_000
"""Bytes of a file that is written."""
MOST_LISTED = 500
_MOST_LINES = 2_000
_MOST_SCANNED = 50_000_000  # bytes that are looked through for a line
_PLACE = "Path of {what}, relative to the folder, with / between names, such as 'notes/plan.md'."


class _ListArguments(BaseModel):
    path: str = Field(default=".", description=_PLACE.format(what="a folder"))


class _ReadArguments(BaseModel):
    path: str = Field(description=_PLACE.format(what="a file"))
    first: int = Field(default=1, description="Number of the first line to read; lines are counted from 1.")
    lines: int = Field(default=500, description=f"How many lines to read, 1 to {_MOST_LINES}.")


class _FindArguments(BaseModel):
    text: str = Field(description="Text to find in the lines of files, as it stands; not a pattern.")
    path: str = Field(default=".", description=_PLACE.format(what="the file or folder to search"))
    ignore_case: bool = Field(default=False, description="Whether upper and lower case are the same.")


class _WriteArguments(BaseModel):
    path: str = Field(description=_PLACE.format(what="the file") + " Folders that are missing are made.")
    content: str = Field(description="All of what the file is to contain.")
    overwrite: bool = Field(default=False, description="Whether a file that is there already is replaced.")


def create_file_tools(
    root: str | Path, *, read_only: bool = False, hidden: bool = False, most_written: int = MOST_WRITTEN
) -> tuple[BaseTool, ...]:
    """Create the tools `list_files`, `read_file`, `find_text` and, unless `read_only`, `write_file` for one folder.

    Args:
        root: The folder. Links inside it are never followed; hard links and what is mounted below it belong to it.
        read_only: Leave out `write_file`.
        hidden: Whether names that begin with a dot can be seen and used, such as `.env` or `.git`.
        most_written: Bytes of a file that is written.

    Raises:
        ConfigurationError: It is no folder, or this system cannot open files below a folder.
    """
    folder = open_folder(root, hidden=hidden)
    if most_written < 0:
        raise ConfigurationError(f"create_file_tools: expected most_written of 0 or more bytes, got {most_written!r}")

    def list_files(path: str = ".") -> str:
        return _list(folder, path)

    def read_file(path: str, first: int = 1, lines: int = 500) -> str:
        return _read(folder, path, first, lines)

    def find_text(text: str, path: str = ".", ignore_case: bool = False) -> str:
        return _find(folder, text, path, ignore_case)

    def write_file(path: str, content: str, overwrite: bool = False) -> str:
        return _write(folder, path, content, overwrite, most_written)

    from_function = StructuredTool.from_function
    reading = (
        from_function(list_files, args_schema=_ListArguments, description="List a folder: its folders and its files."),
        from_function(read_file, args_schema=_ReadArguments, description="Read a text file, or a range of its lines."),
        from_function(
            find_text, args_schema=_FindArguments, description="Find the lines of files that contain a text."
        ),
    )
    tools = tuple(needs("read")(tool) for tool in reading)
    if read_only:
        return tools
    description = (
        "Write a text file, all of it at once. Either all of the content is in the file afterwards, or nothing."
    )
    writing = from_function(write_file, args_schema=_WriteArguments, description=description)
    return (*tools, needs("write")(writing))


def _list(folder: Folder, path: str) -> str:
    names = folder.names(path)
    with explained(path), folder.entered(names) as here, os.scandir(here) as entries:
        seen = list(islice((e for e in entries if folder.hidden or not e.name.startswith(".")), MOST_LISTED + 1))
        lines = sorted(_entry(entry) for entry in seen[:MOST_LISTED])
    more = [f"... and more; only {MOST_LISTED} are listed"] if len(seen) > MOST_LISTED else []
    return "\n".join([*lines, *more]) or "The folder is empty."


def _entry(entry: os.DirEntry[str]) -> str:
    name = entry.name if entry.name.isprintable() else ascii(entry.name)
    try:
        found = entry.stat(follow_symlinks=False)
    except OSError:  # removed meanwhile
        return name
    kinds = {stat.S_IFDIR: f"{name}/", stat.S_IFREG: f"{name} ({found.st_size} bytes)", stat.S_IFLNK: f"{name} (link)"}
    return kinds.get(stat.S_IFMT(found.st_mode), f"{name} (device or pipe)")


def _read(folder: Folder, path: str, first: int, lines: int) -> str:
    if first < 1 or lines < 1:
        raise ToolException(f"Expected first and lines of 1 or more, got {first} and {lines}.")
    names = file_names(folder, path)
    with explained(path), folder.entered(names[:-1]) as here, opened(here, names[-1]) as file:
        data = read_bytes(file, _MOST_SCANNED)
        cut = os.fstat(file).st_size > len(data) >= _MOST_SCANNED
    if not data:
        return f"{path}: empty"
    total = data.count(b"\n") + (not data.endswith(b"\n"))
    if first > total:
        raise ToolException(f"Expected first of at most {total}, the lines of {path!r}, got {first}.")
    check_text(path, data)
    start = _start_of(data, first)
    window = data[start : start + 4 * MOST_READ + 4].decode("utf-8", "replace").removeprefix("\ufeff")
    wanted = "\n".join(window.split("\n", min(lines, _MOST_LINES))[: min(lines, _MOST_LINES)])
    shown = wanted[:MOST_READ].removesuffix("\n")
    last = first + shown.count("\n")
    note = f"\n[... cut in line {last} after {MOST_READ} characters ...]" if len(wanted) > MOST_READ else ""
    return f"{path}: lines {first} to {last} of {'more than ' * cut}{total}\n{shown}{note}"


def _start_of(data: bytes, line: int) -> int:
    """Return where a line begins; found piece by piece, as a list of all lines may not fit into memory."""
    before, start = line - 1, 0
    for piece in range(0, len(data), 1 << 16):
        count = data.count(b"\n", piece, piece + (1 << 16))
        if before <= 0:
            break
        if count < before:
            before -= count
            continue
        start = piece
        for _ in range(before):
            start = data.index(b"\n", start) + 1
        break
    return start


def _find(folder: Folder, text: str, path: str, ignore_case: bool) -> str:
    if not text or "\n" in text or len(text) > 1000:
        raise ToolException(f"Expected a text of 1 to 1000 characters without line feeds, got {text[:60]!r}.")
    search = Search(folder, text.casefold() if ignore_case else text, ignore_case)
    names = folder.names(path)
    with explained(path):
        search.look(names)
    ended = f"\n[... {search.ended}; name a smaller folder ...]" if search.ended else ""
    return ("\n".join(search.found) or f"Nothing contains {text!r} ({search.files} files were read).") + ended


def _write(folder: Folder, path: str, content: str, overwrite: bool, most: int) -> str:
    names = file_names(folder, path)
    try:
        data = content.encode("utf-8")
    except UnicodeEncodeError:
        raise ToolException("Expected content that is text, got half of a surrogate pair.") from None
    if len(data) > most:
        raise ToolException(f"Expected content of at most {most} bytes, got {len(data)}. Write several files.")
    with explained(path), folder.entered(names[:-1], make=True) as here:
        mode = _replaced(here, names[-1], path, data, overwrite)
        if mode is not None:
            _put(here, names[-1], data, mode)
    return f"Wrote {len(data)} bytes to {path}."


def _replaced(here: int, name: str, path: str, data: bytes, overwrite: bool) -> int | None:
    """Return the mode of the file that is to be written, or None when it is there as it should be."""
    try:
        found = os.stat(name, dir_fd=here, follow_symlinks=False)
    except FileNotFoundError:
        return 0o666
    check_regular(name, found.st_mode)
    if found.st_size == len(data):
        with opened(here, name) as file:
            if read_bytes(file, len(data) + 1) == data:
                return None  # the same call again, as after a crash
    if not overwrite:
        raise ToolException(f"There is a file {path!r} already. To replace it, read it first and give overwrite=true.")
    return stat.S_IMODE(found.st_mode) & 0o777


def _put(here: int, name: str, data: bytes, mode: int) -> None:
    """Put a file in place whole: it is written beside, and renamed."""
    beside = f".{token_hex(8)}.part"
    file = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, mode, dir_fd=here)
    try:
        try:
            rest = memoryview(data)
            while rest:
                rest = rest[os.write(file, rest) :]
            if mode != 0o666:
                os.fchmod(file, mode)
            os.fsync(file)
        finally:
            os.close(file)
        os.replace(beside, name, src_dir_fd=here, dst_dir_fd=here)
    except BaseException:
        with suppress(FileNotFoundError):
            os.unlink(beside, dir_fd=here)
        raise
    os.fsync(here)
