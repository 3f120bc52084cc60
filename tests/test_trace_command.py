"""`orchestra trace`: the tree of a thread for people, as JSON for machines, and line by line while it goes on."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from langchain_core.runnables import RunnableConfig
from langgraph.graph import START

from acting import fails, says
from graphs import parallel, sequential, single, supervisor
from nodes import Agent, HumanAgent, ScriptedChatModel
from nodes.scripted import call
from orchestra.__main__ import command
from orchestra.tracing.following import follow
from state import open_persistence
from state.graph import PatternBuilder
from state.persistence import Persistence

HOSTILE = "Compare \x1b[2Jthese\nthings \u202e now."


@pytest.fixture
def file(tmp_path: Path) -> Iterator[Persistence]:
    with open_persistence(tmp_path / "runs.db") as persistence:
        yield persistence


def orchestra(*arguments: str, charset: str = "utf-8") -> Result:
    return CliRunner(charset=charset).invoke(command, ["trace", *arguments], env={"COLUMNS": "80"})


def on(thread: str) -> RunnableConfig:
    return {"configurable": {"thread_id": thread}}


def look(key: str) -> str:
    """Look a key up."""
    return f"the value of {key}"


def played(file: Persistence, task: str = "Compare A and B.") -> str:
    """Run a supervisor with a worker that uses a tool and one that fails, and return where it is kept."""
    tooled = ScriptedChatModel([call("look", key="x"), "found"])
    give = [{"agent": name, "task": f"Ask {name}.", "reason": "It knows."} for name in ("a", "b")]
    leader = says("lead", *give, {"answer": "done"})
    team = single.build(Agent("deep", model=tooled, tools=[look])).compile(name="a")
    graph = supervisor.build([team, fails("b")], supervisor=leader)
    graph.compile(name="team", checkpointer=file.checkpointer).invoke({"task": task}, on("t"))
    return file.location


def test_the_tree_says_who_did_what_for_whom_at_what_cost_and_why(file: Persistence) -> None:
    shown = orchestra("t", "--db", played(file))
    assert shown.exit_code == 0, shown.output
    lines = shown.stdout.splitlines()
    assert lines[0].startswith("t · team · partial")
    assert "Turn 1: Compare A and B." in shown.stdout
    at = {
        word: next(n for n, line in enumerate(lines) if word in line)
        for word in ("✓ lead", "✓ a", "✓ deep", "✗ b failed")
    }
    assert sorted(at.values()) == list(at.values())
    assert lines[at["✓ deep"]].index("✓") > lines[at["✓ a"]].index("✓")
    assert lines[at["✓ deep"] + 1].strip("│ ").startswith("for ")
    assert "delegate a: It knows." in shown.stdout
    assert "tool look(key), 14 characters" in shown.stdout
    assert "ValueError: broken" in shown.stdout
    assert "given task" in shown.stdout
    assert "model calls" in lines[1]
    assert "attempt" not in shown.stdout  # two calls of the model around a tool are no failure


def test_calls_that_failed_are_counted_and_those_around_a_tool_are_not(file: Persistence) -> None:
    def broken(key: str) -> str:
        """Look a key up."""
        raise ValueError(key)

    steps = ScriptedChatModel([call("look", key="x"), call("broken", key="x"), "found"])
    graph = single.build(Agent("deep", model=steps, tools=[look, broken])).compile(checkpointer=file.checkpointer)
    graph.invoke({"task": "Look."}, on("t"))
    shown = orchestra("t", "--db", file.location).stdout
    assert "1 failed call" in shown
    assert "attempt" not in shown


def test_filters_leave_what_was_asked_for(file: Persistence) -> None:
    db = played(file)
    by_agent = orchestra("t", "--db", db, "--agent", "deep").stdout
    assert "✓ a" in by_agent
    assert "✓ deep" in by_agent
    assert "lead" not in by_agent.replace("for lead", "")
    by_kind = orchestra("t", "--db", db, "--kind", "tool").stdout
    assert "tool look(key)" in by_kind
    assert "given" not in by_kind
    assert "✗ b" not in by_kind
    errors = orchestra("t", "--db", db, "--errors").stdout
    assert "✗ b failed" in errors
    assert "deep" not in errors
    assert "Nothing of that kind" in orchestra("t", "--db", db, "--agent", "nobody").stderr
    assert "Nothing of that kind" in orchestra("t", "--db", db, "--turn", "2").stderr
    models = orchestra("t", "--db", db, "--kind", "model").stdout
    assert models.count("asks for look") == 1


def test_json_holds_the_whole_trace_or_what_was_asked_for(file: Persistence) -> None:
    db = played(file)
    told = json.loads(orchestra("t", "--db", db, "--json").stdout)
    assert {"thread", "graph", "status", "turns", "audit", "events", "usage", "budget_left"} <= told.keys()
    (turn,) = told["turns"]
    assert [span["agent"] for span in turn["spans"]] == ["lead", "a", "lead", "b", "lead"]
    (deep,) = turn["spans"][1]["children"]
    assert [each["kind"] for each in deep["calls"]] == ["model", "tool", "model"]
    assert len(told["events"]) == len(file.events("t"))
    only = json.loads(orchestra("t", "--db", db, "--json", "--agent", "deep").stdout)
    assert [span["agent"] for span in only["turns"][0]["spans"]] == ["a"]


def test_a_pipe_that_knows_ascii_only_gets_ascii(file: Persistence) -> None:
    shown = orchestra("t", "--db", played(file), charset="ascii")
    assert shown.exit_code == 0
    assert shown.stdout_bytes.isascii()
    assert "+ lead" in shown.stdout
    assert "x b failed" in shown.stdout


def test_what_a_task_says_cannot_steer_a_terminal(file: Persistence) -> None:
    shown = orchestra("t", "--db", played(file, HOSTILE))
    assert "\x1b" not in shown.stdout
    assert "Turn 1: Compare these things" in shown.stdout
    followed = orchestra("t", "--db", file.location, "--follow")
    assert "\x1b" not in followed.stdout


def test_a_thread_that_does_not_exist_is_named(file: Persistence) -> None:
    shown = orchestra("none", "--db", file.location)
    assert (shown.exit_code, "no thread 'none'" in shown.stderr) == (1, True)
    assert orchestra("t", "--turn", "0").exit_code == 2
    assert orchestra("t", "--follow", "--errors").exit_code == 2


def test_a_thread_that_ended_before_any_step_is_not_told_to_lack_a_kind(file: Persistence) -> None:
    async def leave(state: Any) -> dict[str, Any]:
        return {"answer": "nothing to do"}

    builder = PatternBuilder()
    builder.add_node("leave", leave)
    builder.add_edge(START, "leave")
    builder.compile(name="g", checkpointer=file.checkpointer).invoke({"task": "go"}, on("t"))
    shown = orchestra("t", "--db", file.location)
    assert "Turn 1: go" in shown.stdout
    assert "Nothing" not in shown.output
    assert "Nothing of that kind" in orchestra("t", "--db", file.location, "--errors").stderr


def test_a_report_goes_to_the_output_where_that_is_asked_for(file: Persistence) -> None:
    db = played(file)
    given = CliRunner().invoke(command, ["report", "t", "--db", db, "--out", "-"])
    assert (given.exit_code, given.stderr, Path("-").exists()) == (0, "", False)
    assert given.stdout.startswith("<!")
    assert given.stdout.rstrip().endswith("</html>")
    both = CliRunner().invoke(command, ["report", "t", "--db", db, "--out", "-", "--json"])
    assert (both.exit_code, both.stdout) == (2, "")
    assert "leave out --json" in both.stderr


def test_a_thread_that_waits_says_for_whom(file: Persistence) -> None:
    graph = single.build(HumanAgent("ann")).compile(name="g", checkpointer=file.checkpointer)
    graph.invoke({"task": "go"}, on("t"))
    shown = orchestra("t", "--db", file.location)
    assert "? ann waiting" in shown.stdout
    assert "person asks a person about ann" in shown.stdout
    followed = orchestra("t", "--db", file.location, "--follow")
    assert followed.exit_code == 3
    assert "waits for a person: ann" in followed.stdout
    assert followed.stdout.splitlines()[-1] == "waiting"


def test_following_a_thread_that_has_ended_shows_its_last_turn_and_ends_as_it_did(file: Persistence) -> None:
    model = ScriptedChatModel(["one", ValueError("broken")])
    graph = single.build(Agent("a", model=model)).compile(name="g", checkpointer=file.checkpointer)
    for task in ("first", "second"):
        graph.invoke({"task": task}, on("t"))
    followed = orchestra("t", "--db", file.location, "--follow")
    assert followed.exit_code == 1
    assert "first" not in followed.stdout
    assert "turn: second" in followed.stdout
    assert "ValueError: broken" in followed.stdout
    lines = orchestra("t", "--db", file.location, "--follow", "--json").stdout.splitlines()
    assert json.loads(lines[0])["kind"] == "noted"
    assert json.loads(lines[-1])["kind"] == "run_ended"


def test_following_a_run_that_goes_on_shows_what_comes_until_its_end(file: Persistence) -> None:
    entered, go_on, done = threading.Event(), threading.Event(), threading.Event()

    async def slow(task: str) -> str:
        entered.set()
        while not go_on.is_set():
            await asyncio.sleep(0)
        return "slow"

    graph = sequential.build([says("a", "one"), slow]).compile(name="g", checkpointer=file.checkpointer)

    def work() -> None:
        graph.invoke({"task": "go"}, on("t"))
        done.set()

    runner = threading.Thread(target=work)
    runner.start()
    assert entered.wait(20)
    looks: list[Any] = []

    def pause(seconds: float) -> None:
        looks.append(seconds)
        go_on.set()
        assert done.wait(20)

    seen = list(follow(file, "t", pause=pause))
    runner.join()
    assert looks
    assert seen[-1] == "completed"
    events = seen[:-1]
    assert [event["id"] for event in events] == [event["id"] for event in file.events("t")]  # type: ignore[index]


def test_a_database_that_does_not_exist_is_not_made(tmp_path: Path) -> None:
    shown = orchestra("t", "--db", f"sqlite:///{tmp_path}/none.db")
    assert shown.exit_code == 1
    assert not (tmp_path / "none.db").exists()


def test_parallel_work_of_many_agents_stays_one_line_each(file: Persistence) -> None:
    agents = [says(f"agent-{number}-with-quite-a-long-name-that-goes-on", "fine") for number in range(20)]
    graph = parallel.build(agents).compile(name="g", checkpointer=file.checkpointer)
    graph.invoke({"task": "go"}, on("t"))
    shown = orchestra("t", "--db", file.location)
    heads = [line for line in shown.stdout.splitlines() if "✓" in line]
    assert len(heads) == 20
    assert all(len(line) <= 80 for line in heads)
