"""What the README shows, works: its Python runs, its commands exist, its links lead somewhere."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from code_blocks import Block, commands, inline_commands, run_python, sections, shown_commands
from graphs.registry import REGISTRY

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
MOST_LINES = 250


def run_section(code: list[Block]) -> None:
    """Run blocks one after the other in one namespace; a traceback names the README's own lines."""
    namespace: dict[str, object] = {"__name__": "__main__"}
    for block in code:
        run_python(block, ROOT / "README.md", namespace)


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
    for words in [line for line in [*lines, *inline_commands(README)] if line[0] == "orchestra" and len(line) > 1]:
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
