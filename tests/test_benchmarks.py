"""The benchmarks run, small, and give the rows that they promise. What the figures are is not tested: machines differ."""

from __future__ import annotations

import asyncio
import importlib
import re
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from graphs import single
from nodes import Agent

ROOT = Path(__file__).resolve().parent.parent
SMALL: dict[str, dict[str, Any]] = {
    "step_cpu": {"length": 1, "rounds": 1},
    "fan_out": {"agents": 2, "delay": 0.0, "rounds": 1},
    "plan_makespan": {"critical_path": 0.05, "plans": 1},
    "prompt_tokens": {"turns": (3,)},
    "durable_growth": {"steps": [2], "bare_steps": [2], "repeats": 1},
    "growth": {"runs": 10, "turns": 2},
    "load": {"processes": 2, "runs": 1, "together": 2, "repeats": 1},
    "start_time": {"pairs": 1},
    "report_size": {"steps": (12,), "opens": 0},
    "corpus_speed": {"files": 6, "mean_bytes": 500, "searches": 5},
    "retrieval_eval": {"parts": ("development",)},
}
COLUMNS = {
    "step_cpu": ["step", "form", "cpu ms", "x bare"],
    "fan_out": ["form", "ms", "x asyncio"],
    "plan_makespan": ["plan", "subtasks", "ours", "`Send` waves", "ours, 4 workers, over the bound"],
    "prompt_tokens": ["workload", "prompt tokens", "at most"],
    "durable_growth": ["graph", "steps", "ms a step", "KB a step"],
    "growth": ["what", "after", "measured", "promised"],
    "load": ["form", "graph", "runs", "errors", "runs/s", "p50 s", "p99 s"],
    "start_time": ["start", "ms", "x baseline", "other patterns imported"],
    "report_size": ["steps", "made in s", "MB", "opened in s"],
    "corpus_speed": [
        *("files", "MB", "passages", "index MB", "parse s", "total s", "x parse"),
        *("unchanged s", "search p50 ms", "p99 ms"),
    ],
    "retrieval_eval": ["questions", "recall@3", "first search", "answered", "false abstentions", "abstentions"],
}
every_benchmark = pytest.mark.parametrize("name", list(SMALL))


@pytest.fixture(autouse=True)
def repository_on_the_path(monkeypatch: pytest.MonkeyPatch) -> None:
    """`benchmarks` is not in the wheel; `python -m benchmarks` finds it in the working directory."""
    monkeypatch.syspath_prepend(str(ROOT))


def load(name: str) -> Any:
    return importlib.import_module(f"benchmarks.{name}")


@cache
def rows_of(name: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = load(name).measure(**SMALL[name])
    return rows


def test_every_file_with_a_measure_is_run_by_the_command() -> None:
    found = [path.stem for path in (ROOT / "benchmarks").glob("*.py") if "\ndef measure(" in path.read_text("utf-8")]
    assert sorted(found) == sorted(load("__main__").BENCHMARKS)


@every_benchmark
def test_a_benchmark_gives_rows_with_its_columns_and_figures(name: str) -> None:
    rows = rows_of(name)
    assert rows
    for row in rows:
        assert list(row) == COLUMNS[name]
        figures = [value for value in row.values() if isinstance(value, int | float)]
        assert figures
        assert all(figure >= 0 for figure in figures)


def test_the_compared_chains_do_the_same_number_of_model_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    chain, model = load("chain"), load("model")
    answer, calls = model.InstantModel._answer, []

    def counted(self: Any, *given: Any) -> Any:
        calls.append(given)
        return answer(self, *given)

    monkeypatch.setattr(model.InstantModel, "_answer", counted)
    counts = []
    for build in (chain.our_chain, chain.bare_chain):
        for with_tool in (False, True):
            calls.clear()
            build(3, with_tool=with_tool).invoke({"messages": ["A question."]})
            counts.append(len(calls))
    assert counts == [3, 6, 3, 6]


async def test_the_layers_around_an_agent_with_tools_start_no_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """As hooks of `create_agent` they would, two at each call, if they were coroutine functions."""
    used: list[Any] = []
    run_in_executor = asyncio.BaseEventLoop.run_in_executor

    def counted(self: Any, executor: Any, function: Any, *given: Any) -> Any:
        used.append(function)
        return run_in_executor(self, executor, function, *given)

    async def lookup(key: str) -> str:
        """Look a key up."""
        return key

    agent = Agent("agent", tools=[lookup], model=load("model").InstantModel())
    monkeypatch.setattr(asyncio.BaseEventLoop, "run_in_executor", counted)
    result = await single.build(agent).compile().ainvoke({"task": "A question."})
    assert (result["status"], result["outcomes"][0]["usage"]["tool_calls"]) == ("completed", 1)
    assert used == []


def test_a_pattern_imports_no_other_pattern_unless_it_is_made_of_them() -> None:
    imported = {row["start"]: row["other patterns imported"] for row in rows_of("start_time")[2:]}
    assert {start: found for start, found in imported.items() if found != "none"} == {
        "import graphs.adaptive": "hierarchical, plan_execute",
        "import graphs.teams.research": "map_reduce, review",
        "import graphs.teams.support": "single, handoff",
    }


def test_a_table_lines_up_and_puts_figures_on_the_right() -> None:
    table = load("results").table([{"what": "a", "ms": 1.5}, {"what": "longer", "ms": 1200}, {"what": "c", "ms": None}])
    assert table.splitlines() == [
        "| what   |    ms |",
        "| ------ | ----: |",
        "| a      |   1.5 |",
        "| longer | 1,200 |",
        "| c      |       |",
    ]


def test_results_say_on_what_they_were_measured_and_name_no_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    results = load("results")
    monkeypatch.setattr(results, "RESULTS", tmp_path / "RESULTS.md")
    text = results.write({"One": "first", "Two": "second"}).read_text(encoding="utf-8")
    assert re.search(r"on \d{4}-\d\d-\d\d, commit \w+(-dirty)?, \w+ \w+, \d+ processors, Python 3\.\d+\.\d+", text)
    assert text.index("## One\n\nfirst") < text.index("## Two\n\nsecond")
    assert str(ROOT) not in text


def test_an_unknown_benchmark_is_refused_with_the_names_there_are(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        load("__main__").main(["nothing"])
    assert "expected some of step_cpu" in capsys.readouterr().err
    assert "benchmarks.nothing" not in sys.modules


def test_the_kept_results_have_a_section_for_every_benchmark() -> None:
    text = (ROOT / "benchmarks" / "RESULTS.md").read_text(encoding="utf-8")
    assert [line[3:] for line in text.splitlines() if line.startswith("## ")] == [
        load(name).TITLE for name in load("__main__").BENCHMARKS
    ]
