"""What the README shows, works: its Python runs, its commands exist, its links lead somewhere."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

from graphs.registry import REGISTRY

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
SHELLS = ("bash", "console", "sh", "shell")
MOST_LINES = 250


class Block(NamedTuple):
    """A block of code, with the language it names, the section it stands in and its first line."""

    language: str
    section: str
    line: int
    code: str


def blocks(text: str) -> list[Block]:
    """Return the fenced blocks of a Markdown text, each with the second-level heading above it."""
    found, section, opened = [], "", None
    for number, line in enumerate(text.splitlines(), start=1):
        if opened is None and line.startswith("## "):
            section = line[3:].strip()
        elif opened is None and line.startswith("```"):
            opened = Block(line[3:].strip(), section, number + 1, "")
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


def commands(text: str) -> list[list[str]]:
    """Return the words of each command line in the text: of shell blocks, without prompts, comments and output."""
    lines = []
    for block in blocks(text):
        prompted = [line[2:] for line in block.code.splitlines() if line.startswith("$ ")]
        if block.language in SHELLS:
            lines += prompted or block.code.splitlines()
    return [words for line in lines if (words := shlex.split(line, comments=True))]


def shown_commands(text: str) -> list[str]:
    """Return the subcommands of `orchestra` that the text shows, in shell blocks and in running text."""
    words = [[Path(word).name for word in line] for line in commands(text)]
    inline = [shlex.split(code) for code in re.findall(r"`(orchestra [^`\n]+)`", text)]
    return sorted({line[1] for line in [*words, *inline] if len(line) > 1 and line[0] == "orchestra"} - {"--help"})


def run_section(code: list[Block]) -> None:
    """Run blocks one after the other in one namespace; a traceback names the README's own lines."""
    namespace: dict[str, object] = {"__name__": "__main__"}
    for block in code:
        padded = "\n" * (block.line - 1) + block.code
        exec(compile(padded, str(ROOT / "README.md"), "exec"), namespace)


def test_the_readme_shows_python() -> None:
    assert sections(README), "README.md has no ```python block"


@pytest.mark.parametrize("section", list(sections(README)))
def test_the_python_of_a_section_runs(section: str) -> None:
    run_section(sections(README)[section])


def test_python_that_does_not_run_would_be_noticed() -> None:
    broken = sections("## One\n```python\nx = 1\n```\n```python\nassert x == 2\n```\n")
    with pytest.raises(AssertionError):
        run_section(broken["One"])


@cache
def help_of(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "orchestra", *words, "--help"]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, env={**os.environ})


@pytest.mark.parametrize("command", shown_commands(README))
def test_a_command_that_is_shown_exists(command: str) -> None:
    shown = help_of(command)
    assert shown.returncode == 0, shown.stderr


def test_the_options_that_are_shown_exist() -> None:
    lines = [[Path(words[0]).name, *words[1:]] for words in commands(README)]
    inline = [shlex.split(code) for code in re.findall(r"`(orchestra [^`\n]+)`", README)]
    for words in [line for line in [*lines, *inline] if line[0] == "orchestra" and len(line) > 1]:
        known = help_of(words[1]).stdout
        assert [word for word in words[2:] if word.startswith("--") and word.split("=")[0] not in known] == [], words


def test_a_command_that_does_not_exist_would_be_noticed() -> None:
    assert shown_commands("```console\n$ .venv/bin/orchestra dance --now\nDancing.\n```") == ["dance"]
    assert help_of("dance").returncode != 0


def test_a_make_target_that_is_shown_exists() -> None:
    targets = {words[1] for words in commands(README) if words[0] == "make" and len(words) > 1}
    targets |= set(re.findall(r"`make (\w+)`", README))
    assert targets
    assert {target for target in targets if not re.search(rf"^{target}:", MAKEFILE, re.MULTILINE)} == set()


def test_every_pattern_and_team_is_in_the_table() -> None:
    for entry in REGISTRY.values():
        assert f"`{entry.name}`" in README
        assert f"({entry.module.replace('.', '/')}.py)" in README


def test_every_link_into_the_repository_leads_somewhere() -> None:
    links = [link for link in re.findall(r"\]\(([^)#]+)\)", README) if "://" not in link]
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_it_is_no_longer_than_people_read() -> None:
    assert len(README.splitlines()) <= MOST_LINES
