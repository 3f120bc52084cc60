"""The last words of a program: what it wrote to its error output, which says why it did not start."""

from __future__ import annotations

import os
import threading
from typing import TextIO

_KEPT = 2_000
"""Bytes that are kept; the rest is read and dropped, so that the program is never held up."""


class LastWords:
    """Reads the error output of one program, and keeps the end of it."""

    def __init__(self) -> None:
        source, target = os.pipe()
        self.file: TextIO = os.fdopen(target, "w")
        """What the program writes to. Closed here once the program has it."""
        self._source, self._kept, self._ended = source, b"", threading.Event()
        threading.Thread(target=self._read, name="orchestra mcp stderr", daemon=True).start()

    def text(self, patience: float) -> str:
        """Return the end of what was written; waits for so many seconds for the program to end."""
        self._ended.wait(patience)
        lines = self._kept.decode("utf-8", "replace").strip().splitlines()
        return " ".join(lines[-1:])

    def _read(self) -> None:
        try:
            while part := os.read(self._source, 65_536):
                self._kept = (self._kept + part)[-_KEPT:]
        finally:
            os.close(self._source)
            self._ended.set()
