"""Code blocks of Markdown pages: read them, run them, and know what they print."""

from __future__ import annotations

import re
import runpy
import shlex
from collections.abc import Iterable, Sequence
from contextlib import redirect_stdout
from io import StringIO
from itertools import pairwise, zip_longest
from pathlib import Path
from typing import Any, NamedTuple

from click.testing import CliRunner

from orchestra.__main__ import command

SHELLS = ("bash", "console", "sh", "shell")
PRINTS = "prints"
"""Title of a block that shows what the block before it prints."""


class Block(NamedTuple):
    """A block of code, with the language and title it names, the section it stands in and its first line."""

    language: str
    section: str
    line: int
    code: str
    title: str = ""

    @property
    def is_output(self) -> bool:
        """Whether it shows what the block before it prints."""
        return self.title == PRINTS

    @property
    def is_shell(self) -> bool:
        """Whether people type it into a shell."""
        return self.language in SHELLS


def blocks(text: str) -> list[Block]:
    """Return the fenced blocks of a Markdown text, each with the second-level heading above it."""
    found, section, opened = [], "", None
    for number, line in enumerate(text.splitlines(), start=1):
        if opened is None and line.startswith("## "):
            section = line[3:].strip()
        elif opened is None and line.startswith("```"):
            language, _, more = line[3:].strip().partition(" ")
            title = re.search(r'title="([^"]*)"', more)
            opened = Block(language, section, number + 1, "", title[1] if title else "")
        elif opened is not None and line.startswith("```"):
            found.append(opened)
            opened = None
        elif opened is not None:
            opened = opened._replace(code=f"{opened.code}{line}\n")
    assert opened is None, "a block is not closed"
    return found


def sections(text: str) -> dict[str, list[Block]]:
    """Return the Python blocks of each section, in order."""
    found: dict[str, list[Block]] = {}
    for block in blocks(text):
        if block.language == "python":
            found.setdefault(block.section, []).append(block)
    return found


def command_lines(block: Block) -> list[list[str]]:
    """Return the words of each command line of a shell block, without prompts, comments and output."""
    prompted = [line[2:] for line in block.code.splitlines() if line.startswith("$ ")]
    lines = prompted or block.code.replace("\\\n", " ").splitlines()
    return [words for line in lines if (words := shlex.split(line, comments=True))]


def commands(text: str) -> list[list[str]]:
    """Return the words of each command line in the shell blocks of a text."""
    return [words for block in blocks(text) if block.is_shell for words in command_lines(block)]


def inline_commands(text: str) -> list[list[str]]:
    """Return the words of each `orchestra` command that stands in running text."""
    return [shlex.split(code) for code in re.findall(r"`(orchestra [a-z][^`\n]*)`", text)]


def shown_commands(text: str) -> list[str]:
    """Return the subcommands of `orchestra` that the text shows, in shell blocks and in running text."""
    words = [[Path(word).name for word in line] for line in commands(text)]
    shown = {line[1] for line in [*words, *inline_commands(text)] if len(line) > 1 and line[0] == "orchestra"}
    return sorted(shown - {"--help"})


def run_python(block: Block, page: Path, namespace: dict[str, Any]) -> str:
    """Run a block in a namespace and return what it printed; a traceback names the page's own lines."""
    padded = "\n" * (block.line - 1) + block.code
    with redirect_stdout(StringIO()) as printed:
        exec(compile(padded, str(page), "exec", dont_inherit=True), namespace)
    return printed.getvalue()


def run_shell(block: Block) -> str:
    """Run the `orchestra` and `python FILE` lines of a block in this process and return what they printed."""
    return "".join(_run_line(words) for words in command_lines(block))


def _run_line(words: Sequence[str]) -> str:
    if Path(words[0]).name == "orchestra":
        result = CliRunner().invoke(command, list(words[1:]), prog_name="orchestra")
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        return result.stdout
    assert words[0] == "python" and len(words) == 2, f"only `orchestra ...` and `python FILE` can be run, not {words}"  # noqa: PT018
    with redirect_stdout(StringIO()) as printed:
        runpy.run_path(words[1], run_name="__main__")
    return printed.getvalue()


def run_page(text: str, page: Path) -> dict[int, str]:
    """Run the blocks of a page, in order and in the working directory, and return what each printed, by its number.

    A block with a title is written to a file of that name instead. Shell blocks run where what they print is shown.
    """
    namespace: dict[str, Any] = {"__name__": "__main__"}
    printed: dict[int, str] = {}
    found = blocks(text)
    for number, (block, following) in enumerate(zip_longest(found, found[1:])):
        if block.title and not block.is_output:
            Path(block.title).write_text(block.code, encoding="utf-8")
        elif block.language == "python":
            printed[number] = run_python(block, page, namespace)
        elif block.is_shell and following is not None and following.is_output:
            printed[number] = run_shell(block)
    return printed


def outputs(text: str) -> Iterable[tuple[int, Block]]:
    """Yield each block that shows what is printed, after the number of the block that prints it."""
    for number, (_, following) in enumerate(pairwise(blocks(text))):
        if following.is_output:
            yield number, following


def is_shown(printed: str, shown: str) -> bool:
    """Whether a page shows what was printed: `…` stands for anything in a line, and spaces may be more or fewer there."""
    pattern = "\n".join(_pattern_of(line) if "…" in line else re.escape(line) for line in _trimmed(shown))
    return re.fullmatch(pattern, "\n".join(_trimmed(printed))) is not None


def _pattern_of(line: str) -> str:
    return r"\s+".join(".*".join(map(re.escape, word.split("…"))) for word in line.split())


def _trimmed(text: str) -> list[str]:
    return [line.rstrip() for line in text.strip("\n").splitlines()]


def with_outputs(text: str, printed: dict[int, str]) -> str:
    """Return a page with what its blocks printed in the blocks that show it."""
    lines = text.splitlines()
    for number, shown in reversed(list(outputs(text))):
        if not is_shown(printed[number], shown.code):
            start = shown.line - 1
            lines[start : start + len(shown.code.splitlines())] = _trimmed(printed[number])
    return "\n".join(lines) + "\n"
