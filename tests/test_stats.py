"""Stats: how the runs of a database went, by pattern and by agent."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from langchain_core.messages import AIMessage
from langchain_core.runnables import RunnableConfig

import orchestra
from acting import fails, says
from graphs import parallel, sequential, single
from nodes import Agent, HumanAgent, ScriptedChatModel
from orchestra.__main__ import command
from orchestra.tracing.reading import read_trace
from orchestra.tracing.stats import Figures, read_stats
from state import open_persistence
from state.persistence import Persistence


@pytest.fixture
def file(tmp_path: Path) -> Iterator[Persistence]:
    with open_persistence(tmp_path / "runs.db") as persistence:
        yield persistence


def typed(*arguments: str) -> Result:
    return CliRunner().invoke(command, ["stats", *arguments], env={"COLUMNS": "80"})


def on(thread: str) -> RunnableConfig:
    return {"configurable": {"thread_id": thread}}


def played(file: Persistence) -> None:
    """Run a pattern that completes twice, one that fails, and one that waits."""
    counted = AIMessage("fine", usage_metadata={"input_tokens": 10, "output_tokens": 5, "total_tokens": 15})
    model = ScriptedChatModel([counted, counted])
    two = sequential.build([Agent("a", model=model), says("b", "two", "four")])
    chain = two.compile(name="chain", checkpointer=file.checkpointer)
    for task in ("first", "second"):
        chain.invoke({"task": task}, on("t"))
    single.build(fails("c")).compile(name="lone", checkpointer=file.checkpointer).invoke({"task": "go"}, on("u"))
    single.build(HumanAgent("ann")).compile(name="lone", checkpointer=file.checkpointer).invoke({"task": "go"}, on("v"))


def test_runs_are_counted_by_status_by_pattern_and_by_agent(file: Persistence) -> None:
    played(file)
    found = orchestra.stats(file)
    assert found.runs.by_status == {"completed": 2, "failed": 1, "waiting": 1}
    assert (found.runs.count, found.runs.ended, found.runs.completion) == (4, 3, 2 / 3)
    assert {name: each.count for name, each in found.by_graph.items()} == {"chain": 2, "lone": 2}
    assert {name: each.count for name, each in found.by_agent.items()} == {"a": 2, "b": 2, "c": 1}
    assert (found.by_agent["a"].input_tokens, found.by_agent["a"].output_tokens) == (20, 10)
    assert found.runs.errors == {"ValueError": 1}
    assert found.by_agent["c"].completion == 0
    assert len(found.runs.seconds) == 3


def test_tokens_are_those_of_the_traces(file: Persistence) -> None:
    team = parallel.build([says("x", "one"), says("y", "two")]).compile(name="team")
    graph = sequential.build([team, says("z", "three")]).compile(name="g", checkpointer=file.checkpointer)
    graph.invoke({"task": "go"}, on("t"))
    found, usage = orchestra.stats(file), orchestra.trace(file, "t").usage
    assert found.runs.model_calls == usage["model_calls"] == 3
    assert (found.runs.input_tokens, found.runs.output_tokens) == (usage["input_tokens"], usage["output_tokens"])
    assert "team" in found.by_agent


def test_a_price_that_is_unknown_stays_unknown() -> None:
    figures = Figures()
    assert figures.to_json()["usd"] == 0
    figures.call({"input_tokens": 1, "output_tokens": 1, "usd": 0.5})
    assert figures.to_json()["usd"] == 0.5
    figures.call({"input_tokens": 1, "output_tokens": 1, "usd": None})
    told = figures.to_json()
    assert (told["usd"], told["known_usd"], told["unpriced_calls"]) == (None, 0.5, 1)


def test_median_and_percentile_are_of_what_was_measured() -> None:
    figures = Figures(seconds=[float(number) for number in range(1, 101)])
    assert (figures.quantile(0.5), figures.quantile(0.95), figures.quantile(1.0)) == (50.0, 95.0, 100.0)
    assert Figures(seconds=[3.0]).quantile(0.95) == 3.0
    assert Figures().quantile(0.5) is None


def test_a_run_takes_the_time_that_it_was_worked_on_and_not_that_it_waited() -> None:
    def event(kind: str, at: float, run: str, **data: Any) -> Any:
        names = {"thread": "t", "agent": "", "step": "", "parent": "", "seq": 0, "id": 0}
        return {**names, "kind": kind, "at": at, "run": run, "data": data}

    events = [
        event("noted", 0.0, "r1", note="started"),
        event("run_ended", 2.0, "r1", status="waiting"),
        event("noted", 1000.0, "r2", note="answered"),
        event("run_ended", 1003.0, "r2", status="completed"),
    ]
    found = read_stats(events, {})
    assert (found.runs.seconds, found.runs.by_status) == ([5.0], {"completed": 1})
    assert read_stats(events[:2], {}).runs.seconds == []


def test_a_step_takes_what_it_worked_before_it_waited_for_a_person_and_after() -> None:
    def event(kind: Any, seq: int, **data: Any) -> Any:
        told = {"run": "r", "thread": "t", "agent": "a", "step": "a", "parent": "", "seq": seq, "at": float(seq)}
        return {"kind": kind, "data": data, **told}

    events = [
        event("agent_started", 1),
        event("paused", 2, seconds=1.5),
        event("agent_started", 900),
        event("agent_finished", 901, status="ok", seconds=0.5),
    ]
    assert read_stats(events, {}).by_agent["a"].seconds == [2.0]
    (span,) = read_trace(events).spans()
    assert (span.seconds, span.tries) == (2.0, 2)
    (waiting,) = read_trace(events[:2]).spans()
    assert (waiting.status, waiting.seconds) == ("waiting", 1.5)


def test_only_what_happened_since_is_counted(file: Persistence) -> None:
    played(file)
    last = file.events("v")[0]["at"]
    assert orchestra.stats(file, since=last).runs.count == 1
    assert orchestra.stats(file, since=last + 3600).runs.count == 0


async def test_runs_are_counted_from_a_running_loop(file: Persistence) -> None:
    played(file)
    assert (await orchestra.astats(file)).runs.count == 4


def test_the_command_shows_them_in_eighty_columns(file: Persistence) -> None:
    played(file)
    shown = typed("--db", file.location)
    assert shown.exit_code == 0, shown.output
    assert "4 runs" in shown.stdout
    assert "67% of those that ended completed" in shown.stdout
    assert "ValueError" in shown.stdout
    assert all(len(line) <= 80 for line in shown.stdout.splitlines())
    told = json.loads(typed("--db", file.location, "--json").stdout)
    assert told["runs"]["by_status"] == {"completed": 2, "failed": 1, "waiting": 1}
    assert told["by_agent"]["a"]["input_tokens"] == 20
    assert {"median", "p95"} == told["runs"]["seconds"].keys()


def test_no_runs_are_said_to_be_none(tmp_path: Path) -> None:
    shown = typed("--db", f"sqlite:///{tmp_path}/none.db", "--since", "7d")
    assert (shown.exit_code, "No runs: there is no database" in shown.stderr) == (0, True)
    assert not (tmp_path / "none.db").exists()
    assert json.loads(typed("--db", f"sqlite:///{tmp_path}/none.db", "--json").stdout)["runs"]["count"] == 0
    assert typed("--since", "soon").exit_code == 2
