"""Every pattern has an example, and every example runs as it stands: short, without a key and without a network."""

from __future__ import annotations

import ast
import os
import runpy
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from graphs.registry import REGISTRY
from state.graph import Pattern

EXAMPLES = sorted((Path(__file__).resolve().parent.parent / "examples").glob("*.py"))
MOST_LINES = 39
BESIDES_PATTERNS = {"consult"}
"""Examples of something else than a pattern."""

KEPT = ("PATH", "HOME", "LANG", "SYSTEMROOT")
"""Variables of the environment that a program is given."""

every_example = pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)


def test_every_pattern_has_an_example_and_every_example_is_of_one() -> None:
    patterns = {name for name, entry in REGISTRY.items() if not entry.is_team}
    assert {path.stem for path in EXAMPLES} == patterns | BESIDES_PATTERNS


@every_example
def test_an_example_is_short_and_says_which_problem_it_solves(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= MOST_LINES
    assert len((ast.get_docstring(ast.parse(text)) or "").split()) > 20


@every_example
def test_an_example_uses_no_scripted_model(path: Path) -> None:
    assert "Scripted" not in path.read_text(encoding="utf-8"), "people copy examples"


@every_example
def test_an_example_has_a_graph_of_its_pattern(path: Path) -> None:
    module = runpy.run_path(str(path))
    graph = module["graph"]
    assert isinstance(graph, Pattern)
    assert graph.get_name() != "LangGraph"
    used = {value.__name__ for value in module.values() if getattr(value, "__name__", "").startswith("graphs.")}
    assert path.stem in BESIDES_PATTERNS or f"graphs.{path.stem}" in used


@every_example
def test_an_example_completes_and_prints_its_answer_and_every_outcome(
    path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    results: list[dict[str, Any]] = []
    invoke = Pattern.invoke

    def kept(self: Pattern, *given: Any, **options: Any) -> dict[str, Any]:
        result: dict[str, Any] = invoke(self, *given, **options)
        results.append(result)
        return result

    monkeypatch.setattr(Pattern, "invoke", kept)
    runpy.run_path(str(path), run_name="__main__")
    lines = capsys.readouterr().out.splitlines()
    assert results
    for result in results:
        assert result["status"] == "completed", result["reason"]
        assert "No language model is configured" not in result["answer"], "nothing here to quote from"
        for outcome in result["outcomes"]:
            assert any(line.startswith(f"- {outcome['id']}") and outcome["status"] in line for line in lines), outcome


def test_every_example_prints_the_same_as_a_program_on_its_own(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Started from an empty folder with next to nothing in the environment; all at once, as each takes a second to start."""
    environment = {name: os.environ[name] for name in KEPT if name in os.environ} | {"ORCHESTRA_OFFLINE": "1"}
    pipe = subprocess.PIPE
    running = {
        path: subprocess.Popen(
            [sys.executable, "-W", "error", path], cwd=tmp_path, env=environment, text=True, stdout=pipe, stderr=pipe
        )
        for path in EXAMPLES
    }
    for path, program in running.items():
        printed, complaints = program.communicate(timeout=60)
        assert (program.returncode, complaints) == (0, ""), path.stem
        runpy.run_path(str(path), run_name="__main__")
        assert printed.strip()
        assert printed == capsys.readouterr().out, path.stem
    assert list(tmp_path.iterdir()) == [], "an example left files behind"
