"""Completion: what a shell is offered, quickly, from the database of the command line, and nothing that a shell would run."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.shell_completion import ShellComplete
from click.testing import CliRunner

import orchestra as program
from graphs import sequential
from nodes import HumanAgent
from orchestra.__main__ import command
from orchestra.commands.candidates import offer
from state import open_persistence

DB = "sqlite:///threads.db"


@pytest.fixture(autouse=True)
def _threads() -> None:
    """Keep two threads, the second of which waits, and one whose name a shell would run."""
    with open_persistence(DB) as place:
        for thread in ("first", "$(touch x)", "second"):
            graph = sequential.build([HumanAgent("editor")]).compile(place.checkpointer, name="desk")
            program.start(graph, place, "Look\nat this", thread=thread)


def offered(line: str, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str | None]]:
    """Return what is offered for the last word of a line, with what is said about it."""
    offer(command)
    monkeypatch.setenv("COMP_WORDS", line)
    *words, incomplete = line.split(" ")
    found = ShellComplete(command, {}, "orchestra", "_ORCHESTRA_COMPLETE").get_completions(words[1:], incomplete)
    return [(item.value, item.help) for item in found]


def test_threads_are_offered_the_last_one_used_first(monkeypatch: pytest.MonkeyPatch) -> None:
    assert offered(f"orchestra resume --db {DB} ", monkeypatch) == [
        ("second", "waiting Look at this"),
        ("first", "waiting Look at this"),
    ]
    assert [word for word, _ in offered(f"orchestra show --db={DB} fi", monkeypatch)] == ["first"]


def test_open_requests_of_the_thread_on_the_line_are_offered(monkeypatch: pytest.MonkeyPatch) -> None:
    with open_persistence(DB) as place:
        ids = {one.thread: one.id for one in program.requests(place)}
    assert [word for word, _ in offered(f"orchestra respond first --db {DB} --id ", monkeypatch)] == [ids["first"]]
    assert offered(f"orchestra respond nobody --db {DB} --id ", monkeypatch) == []


def test_agents_of_the_thread_are_offered(monkeypatch: pytest.MonkeyPatch) -> None:
    assert offered(f'orchestra inject first "two words" --db {DB} --agent ', monkeypatch) == [("editor", None)]


def test_patterns_and_team_files_are_offered(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("review.yaml").touch()
    Path("teams").mkdir()
    Path("teams/duo.yml").touch()
    words = dict(offered("orchestra run re", monkeypatch))
    assert [*words] == ["review", "research", "review.yaml"]
    assert words["review"] == "faults are easier to name than to avoid"
    assert [word for word, _ in offered("orchestra run t", monkeypatch)] == ["teams/"]
    assert [word for word, _ in offered("orchestra run teams/", monkeypatch)] == ["teams/duo.yml"]


@pytest.mark.parametrize("db", ["sqlite:///missing.db", "postgresql://nowhere/x", "/", "sqlite:///junk.db"])
def test_a_database_that_cannot_be_read_offers_nothing_and_is_not_made(
    db: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("junk.db").write_bytes(b"not a database" * 100)
    assert offered(f"orchestra resume --db {db} ", monkeypatch) == []
    assert not Path("missing.db").exists()


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_a_script_says_how_to_keep_it(shell: str) -> None:
    result = CliRunner().invoke(command, ("completion", shell))
    assert result.exit_code == 0
    assert "_ORCHESTRA_COMPLETE" in result.stdout
    assert f"orchestra completion {shell}" in result.stdout.splitlines()[-1]


def test_bash_completes_with_the_script_it_is_given() -> None:
    script = CliRunner().invoke(command, ("completion", "bash")).stdout
    typed = f"COMP_WORDS=(orchestra show --db {DB} se); COMP_CWORD=4; _orchestra_completion orchestra"
    ask = f"{script}\n{typed}; echo ${{COMPREPLY[@]}}"
    bin_folder = Path("bin")
    bin_folder.mkdir()
    (bin_folder / "orchestra").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m orchestra "$@"\n')
    (bin_folder / "orchestra").chmod(0o755)
    env = {
        **os.environ,
        "PATH": f"{bin_folder.absolute()}:{os.environ['PATH']}",
        "PYTHONPATH": os.pathsep.join(sys.path),
    }
    ran = subprocess.run(["bash", "--norc", "-c", ask], env=env, capture_output=True, text=True, check=False)
    assert (ran.stdout.strip(), ran.stderr) == ("second", "")


_LOOK_UP = """
import sys
from click.shell_completion import ShellComplete
from orchestra.__main__ import command
from orchestra.commands.candidates import offer
offer(command)
(found,) = ShellComplete(command, {}, "orchestra", "X").get_completions(["show"], "se")
print(found.value, [name for name in ("langgraph", "langchain_core", "pydantic", "rich") if name in sys.modules])
"""


def test_looking_up_imports_nothing_that_runs_graphs() -> None:
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "COMP_WORDS": f"orchestra show --db={DB} se"}
    ran = subprocess.run([sys.executable, "-c", _LOOK_UP], env=env, capture_output=True, text=True, check=True)
    assert ran.stdout == "second []\n"
