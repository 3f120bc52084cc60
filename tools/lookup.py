"""Lookup: a search for a text through the files of a folder, which ends in time however much there is."""

from __future__ import annotations

import os
import stat
import time
from contextlib import suppress
from itertools import islice

from langchain_core.tools import ToolException

from tools.folder import DEEPEST, OPEN_FOLDER, PROBE, Folder, check_text, decoded, opened, read_bytes

MOST_FOUND = 100
_MOST_SCANNED = 50_000_000  # bytes that are looked through
_MOST_IN_ONE = 5_000_000  # bytes of one file
_SECONDS = 0.8


class Search:
    """A search through files that ends when enough was found, read, or waited for."""

    def __init__(self, folder: Folder, text: str, ignore_case: bool) -> None:
        self.folder, self.text, self.ignore_case = folder, text, ignore_case
        self.found: list[str] = []
        self.files, self.ended = 0, ""
        self._left, self._until = _MOST_SCANNED, time.monotonic() + _SECONDS

    def look(self, names: list[str]) -> None:
        """Look into a file, or a folder with all below it.

        Raises:
            OSError: There is none.
        """
        if not names:
            with self.folder.entered([]) as here:
                return self._folder(here, "", 0)
        with self.folder.entered(names[:-1]) as here:
            mode = os.stat(names[-1], dir_fd=here, follow_symlinks=False).st_mode
            if not stat.S_ISDIR(mode):
                return self._file(here, names[-1], "/".join(names))
        with self.folder.entered(names) as here:
            return self._folder(here, "/".join(names) + "/", len(names))

    def _folder(self, here: int, before: str, depth: int) -> None:
        with os.scandir(here) as entries:
            seen = sorted(islice((entry.name for entry in entries), 10_000))
        for name in seen:
            if self._over() or (name.startswith(".") and not self.folder.hidden):
                continue
            with suppress(OSError, ToolException):  # a file that cannot be read is no reason to stop
                mode = os.stat(name, dir_fd=here, follow_symlinks=False).st_mode
                if stat.S_ISREG(mode):
                    self._file(here, name, before + name)
                elif stat.S_ISDIR(mode) and depth < DEEPEST:
                    below = os.open(name, OPEN_FOLDER, dir_fd=here)
                    try:
                        self._folder(below, f"{before}{name}/", depth + 1)
                    finally:
                        os.close(below)

    def _file(self, here: int, name: str, path: str) -> None:
        with opened(here, name) as file:
            probe = read_bytes(file, PROBE)
            check_text(path, probe)  # before the rest is read
            data = decoded(path, probe + read_bytes(file, min(self._left, _MOST_IN_ONE)))
        self.files, self._left = self.files + 1, self._left - len(data)
        if self.text not in (data.casefold() if self.ignore_case else data):
            return
        for number, line in enumerate(data.split("\n"), 1):
            if self.text in (line.casefold() if self.ignore_case else line):
                shown = path if path.isprintable() else ascii(path)
                self.found.append(f"{shown}:{number}: {line.strip()[:200]}")
            if self._over():
                return

    def _over(self) -> bool:
        if len(self.found) >= MOST_FOUND:
            self.ended = f"stopped after {MOST_FOUND} lines"
        elif self._left <= 0 or time.monotonic() > self._until:
            self.ended = f"stopped after {self.files} files, as there is too much to read"
        return bool(self.ended)
