"""A project of one's own: it is small, it runs without a key, its tests pass, and nothing of anybody's is overwritten."""

from __future__ import annotations

import ast
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
from click.testing import CliRunner, Result

import orchestra
from nodes import ScriptedChatModel
from orchestra import load_team
from orchestra.__main__ import command
from orchestra.commands.new import PATTERNS
from orchestra.serving.server import read_project
from orchestra.view.shape import read_shape
from state import Context, open_persistence

ROOT = Path(__file__).parent.parent
PYTHON = {".env.example", ".gitignore", "README.md", "langgraph.json", "pyproject.toml", "team.py", "test_team.py"}
YAML = {".env.example", ".gitignore", "README.md", "order_tools.py", "team.yaml"}
TASK = "Please cancel order 1043."


def new(*arguments: str) -> Result:
    """Run `orchestra new` in this process."""
    return CliRunner().invoke(command, ("new", *arguments))


def made(*arguments: str) -> Path:
    """Return the folder of a new project."""
    folder, *_ = arguments
    result = new(*arguments)
    assert result.exit_code == 0, result.output
    return Path(folder)


def inside(folder: Path, *words: str, given: str = "") -> str:
    """Run a program in a project with this interpreter and return what it prints."""
    env = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}
    ran = subprocess.run(
        [sys.executable, *words], cwd=folder, env=env, input=given, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


def load(folder: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Return a module of a project, as `import name` gives it there."""
    spec = importlib.util.spec_from_file_location(name, folder / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, name, module)
    spec.loader.exec_module(module)
    return module


def test_a_new_project_passes_its_own_tests_and_says_how() -> None:
    result = new("desk")
    assert result.stdout.splitlines() == [
        "  cd desk",
        '  pip install -e ".[test]"',
        "  python -m pytest",
        f'  python team.py "{TASK}"',
    ]
    assert {path.name for path in Path("desk").iterdir()} == PYTHON
    assert "2 passed" in inside(Path("desk"), "-m", "pytest", "-q", "-p", "no:asyncio", "-p", "no:cacheprovider")


def test_its_program_runs_without_a_key_and_asks_before_it_acts() -> None:
    folder = made("desk")
    out = inside(folder, "team.py", TASK, given="y\n")
    assert "clerk wants to use cancel_order. {'order': 1043} Agree? [y/n]" in out
    assert "Order 1043 is cancelled now." in out
    assert [line.split(":")[0] for line in out.splitlines()[-3:]] == ["- clerk", "- writer", "- checker"]
    assert (folder / "runs.db").exists()


def test_its_program_takes_yes_and_no_asks_again_for_anything_else_and_waits_when_nobody_answers() -> None:
    folder = made("desk")
    assert "cancelled now" in inside(folder, "team.py", TASK, given="maybe\nYES\n")
    left = inside(folder, "team.py", TASK)
    assert "cancelled" not in left
    *words, thread = left.splitlines()[-1].split()
    assert words[-3:] == ["python", "team.py", "--resume"]
    assert "Agree?" in inside(folder, "team.py", "--resume", thread)
    assert "cancelled now" not in inside(folder, "team.py", "--resume", thread, given=" No\n")
    assert "Agree?" not in inside(folder, "team.py", "--resume", thread)


@pytest.mark.parametrize("pattern", PATTERNS)
def test_each_pattern_passes_the_same_tests(pattern: str, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = made("desk", "--pattern", pattern)
    team, tests = load(folder, "team", monkeypatch), load(folder, "test_team", monkeypatch)
    assert {"clerk", "writer", "checker"} <= {spot.name for spot in read_shape(team.graph).spots}
    for name in (
        "test_an_order_is_cancelled_once_a_person_has_agreed",
        "test_nothing_is_cancelled_when_a_person_says_no",
    ):
        team.ORDERS[1043] = "waiting for its payment"
        with ScriptedChatModel(by_agent=tests.STEPS) as model:
            getattr(tests, name)(Context(model=model))


def test_a_server_finds_its_graph() -> None:
    folder = made("desk")
    assert [*read_project(folder / "langgraph.json").graphs] == ["desk"]
    assert json.loads((folder / "langgraph.json").read_text())["graphs"] == {"desk": "./team.py:graph"}


@pytest.mark.parametrize("arguments", [("desk",), ("desk", "--pattern", "plan_execute"), ("desk", "--yaml")])
def test_it_reads_well(arguments: tuple[str, ...]) -> None:
    folder = made(*arguments)
    for path in folder.iterdir():
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"%\w+%", text), path
        assert len(text.splitlines()) <= 80, path
        if path.suffix == ".py":
            assert ast.get_docstring(ast.parse(text))
    if ruff := shutil.which("ruff"):
        for words in (
            ["check", "--isolated", "--line-length=100", "--select=E,F,I,B,UP,C90,SIM,RET"],
            ["format", "--check"],
        ):
            ran = subprocess.run([ruff, *words, "."], cwd=folder, capture_output=True, text=True, check=False)
            assert ran.returncode == 0, ran.stdout


def test_its_types_are_sound() -> None:
    pytest.importorskip("mypy")
    folder = made("desk", "--pattern", "supervisor")
    cache = ROOT / ".mypy_cache" / "starter"
    assert "no issues" in inside(folder, "-m", "mypy", "--strict", f"--cache-dir={cache}", ".")


@pytest.mark.parametrize("pattern", PATTERNS)
def test_a_team_file_does_the_same_without_python(pattern: str, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = made("mail", "--yaml", "--pattern", pattern)
    assert {path.name for path in folder.iterdir()} == YAML
    monkeypatch.delitem(sys.modules, "order_tools", raising=False)
    team = load_team(folder / "team.yaml")
    with open_persistence("memory:") as place:
        asked = orchestra.start(team.graph, place, TASK)
        (request,) = asked.interrupts
        assert request.actions[0].args == {"order": 1043}
        result = orchestra.answer(team.graph, place, asked.thread, "approve")
    assert result.status == "completed"
    assert "Order 1043 is cancelled now." in result.answer


def test_a_turn_that_its_budget_ended_says_what_was_carried_out(monkeypatch: pytest.MonkeyPatch) -> None:
    file = made("mail", "--yaml") / "team.yaml"
    monkeypatch.delitem(sys.modules, "order_tools", raising=False)
    file.write_text(
        re.sub(r"model_calls: \d+", "model_calls: 1", file.read_text()).replace("approvals:", "# approvals:")
    )
    ran = CliRunner().invoke(command, ("run", str(file), TASK, "--thread", "t"))
    assert "larger budget in " in ran.stderr
    assert "Carried out in this turn, and not undone: cancel_order" in ran.stderr


def test_its_team_file_has_nothing_to_warn_of() -> None:
    folder = made("mail", "--yaml")
    checked = CliRunner().invoke(command, ("team", "check", str(folder / "team.yaml")))
    assert checked.exit_code == 0
    assert "warning" not in checked.output


def test_nothing_is_written_where_something_is() -> None:
    folder = Path("full")
    folder.mkdir()
    (folder / "mine.txt").write_text("mine")
    result = new("full")
    assert result.exit_code == 2
    assert result.stderr == "Error: new: 'full' is not empty (it has mine.txt); name a new or an empty folder\n"
    assert [path.name for path in folder.iterdir()] == ["mine.txt"]
    assert "is a file" in new("full/mine.txt").stderr


@pytest.mark.parametrize("name", ["1desk", "-desk", "dé", "a" * 41, "a%b", "desk;rm"])
def test_a_name_that_no_project_can_have_is_refused_and_nothing_is_made(name: str) -> None:
    result = new("--", name)
    assert result.exit_code == 2
    assert "letters, digits" in result.stderr
    assert not Path(name).exists()


def test_a_folder_with_spaces_gives_names_without_any() -> None:
    result = new("Front desk 2")
    assert result.exit_code == 0
    assert "cd 'Front desk 2'" in result.stdout
    assert 'name = "front-desk-2"' in Path("Front desk 2/pyproject.toml").read_text()
    assert '"front_desk_2"' in Path("Front desk 2/team.py").read_text()


def test_an_empty_folder_is_filled_and_the_current_one_too(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("here").mkdir()
    monkeypatch.chdir("here")
    assert new(".").exit_code == 0
    assert Path("team.py").exists()
