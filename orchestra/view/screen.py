"""Where a command writes: the answer to standard output, everything else to standard error."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from io import TextIOWrapper
from textwrap import indent
from typing import TextIO

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from orchestra.view.figures import visible
from orchestra.view.glyphs import Glyphs, glyphs_for

_PIPE_WIDTH = 120
"""Columns where nobody looks at a window."""


@dataclass(frozen=True)
class Screen:
    """The two streams of a command and how much it says.

    Args:
        out: For the answer, or the one JSON value.
        err: For progress, notes and questions.
        glyphs: Signs that `err` can write.
        quiet: Nothing but the answer, and what cannot be left unsaid.
        json: The result as JSON instead of the answer.
        plain: Whole sentences, one after the other, for logs and screen readers: nothing is redrawn, boxed or coloured.
    """

    out: Console
    err: Console
    glyphs: Glyphs
    quiet: bool = False
    json: bool = False
    plain: bool = False

    @property
    def is_live(self) -> bool:
        """Whether somebody watches a terminal that can be drawn on."""
        return self.err.is_terminal and not (self.err.is_dumb_terminal or self.quiet or self.plain)

    def say(self, text: str | Text = "", *, style: str = "") -> None:
        """Write a line of progress, unless quiet."""
        if not self.quiet:
            self.insist(text, style=style)

    def insist(self, text: str | Text = "", *, style: str = "") -> None:
        """Write a line that is needed even when quiet."""
        shown = text if isinstance(text, Text) else Text(visible(text), style)
        self.err.print(shown, soft_wrap=not _is_seen(self.err))

    def quote(self, text: Text) -> None:
        """Write a longer text set off from the lines around it, also when quiet."""
        if _is_seen(self.err):
            self.err.print(Padding(text, (0, 0, 0, 2)))
        else:
            self.err.print(Text(indent(text.plain, "  ")), soft_wrap=True)

    def table(self, table: Table) -> None:
        """Write a table to standard output; without spaces at the ends of its lines where nobody sees a window."""
        if self.out.is_terminal:
            self.out.print(table)
            return
        with self.out.capture() as captured:
            self.out.print(table)
        self.out.file.write("".join(f"{line.rstrip()}\n" for line in captured.get().splitlines()))

    def give(self, text: str) -> None:
        """Write a part of the answer: as it is into a pipe or file, made harmless on a terminal."""
        stream = self.out.file
        stream.write(f"{visible(text) if _is_seen(self.out) else text}\n")
        stream.flush()


def open_screen(*, quiet: bool = False, json: bool = False, plain: bool = False) -> Screen:
    """Return the screen of this process. Whatever a stream's encoding lacks is replaced, never an error.

    Args:
        quiet: Nothing but the answer.
        json: The result as JSON.
        plain: Whole sentences; also where `ORCHESTRA_PLAIN` says so, and on a terminal that cannot be drawn on.
    """
    plain = plain or os.environ.get("ORCHESTRA_PLAIN", "0") not in ("", "0") or os.environ.get("TERM") == "dumb"
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")
    out, err = _console(sys.stdout, plain=plain), _console(sys.stderr, plain=plain)
    return Screen(out, err, glyphs_for(sys.stderr), quiet, json, plain)


def _console(stream: TextIO, *, plain: bool) -> Console:
    seen = False if plain else None  # None: rich finds out
    console = Console(file=stream, highlight=False, markup=False, emoji=False, force_terminal=seen)
    if not _is_seen(console) and "COLUMNS" not in os.environ:
        console.width = _PIPE_WIDTH
    return console


def _is_seen(console: Console) -> bool:
    """Whether what is written goes to a terminal, drawn on or not."""
    return console.is_terminal or console.file.isatty()
