"""Who can be told something: agents, colleagues and teams by name, in threads of the command and of programs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from cases import says
from graphs import parallel, plan_execute, sequential, single
from graphs.registry import REGISTRY
from nodes import Agent, HumanAgent, Policy, ScriptedChatModel
from orchestra import answer, halt, inject, start
from orchestra.__main__ import command
from orchestra.roster import names_in
from state import ConfigurationError, open_persistence
from state.persistence import Persistence
from storage import fresh_url
from tools import create_consult_tool, create_delegate_tool

BRIEF = "Be brief."


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Persistence]:
    with open_persistence(tmp_path / "runs.db") as persistence:
        yield persistence


def was_told(agent: Agent) -> bool:
    assert isinstance(agent.model, ScriptedChatModel)
    return BRIEF in str(agent.model.requests[-1].messages)


async def worker(task: str) -> str:
    """Work without a model."""
    return task


# Names


def test_the_names_are_those_of_agents_teams_colleagues_and_stand_ins_wherever_they_are_kept() -> None:
    lender = Agent("lender")
    asked = Agent("asked", tools=[create_delegate_tool([Agent("helper")])])
    clerk = Agent("clerk", tools=[create_consult_tool([asked])], policy=Policy(fallback=(lender,)))
    team = single.build(clerk).compile(name="team")
    boss = HumanAgent("boss", due=60.0, backup=Agent("deputy"))
    graph = plan_execute.build([team, boss, worker]).compile(name="g")
    names = names_in(graph)
    assert set(names) == {"planner", "synthesizer", "team", "clerk", "asked", "helper", "lender", "deputy"}
    assert names.index("team") < names.index("clerk")


@pytest.mark.parametrize("name", [name for name, entry in REGISTRY.items() if not entry.is_team])
def test_every_pattern_knows_who_works_in_it(name: str) -> None:
    known = names_in(REGISTRY[name].load().graph)
    assert {"assistant", "writer", "proponent"} & set(known)
    assert not {"begin", "finish"} & set(known)


def test_an_agent_that_is_not_there_is_refused_with_those_that_are(place: Persistence) -> None:
    graph = sequential.build([HumanAgent("boss"), Agent("writer")]).compile(name="g")
    start(graph, place, "the task", thread="t")
    for nobody in ("writr", "boss", "g", ""):
        with pytest.raises(ConfigurationError, match=r"'g' has no agent .*; it has writer"):
            inject(graph, place, "t", BRIEF, agent=nobody)
    people = single.build(HumanAgent("boss")).compile(name="people")
    start(people, place, "the task", thread="p")
    with pytest.raises(ConfigurationError, match="none with a model"):
        inject(people, place, "p", BRIEF, agent="boss")
    assert [event["data"]["note"] for event in place.events("t") if event["kind"] == "noted"] == ["started"]


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_text_that_no_database_takes_is_kept_readable(kind: str, tmp_path: Path) -> None:
    with fresh_url(kind, tmp_path) as url, open_persistence(url) as place:
        writer = says("writer", "one")
        graph = sequential.build([HumanAgent("boss"), writer]).compile(name="g")
        start(graph, place, "the task", thread="t")
        inject(graph, place, "t", f"{BRIEF}\udcff\x00 {'x' * 50_000} end")
        answer(graph, place, "t", "respond", message="go on")
        assert was_told(writer)
        told = writer.model.requests[-1].messages[0].text  # type: ignore[union-attr]
        assert (f"{BRIEF}?\ufffd x" in told, told.endswith("x end"), len(told) < 21_000) == (True, True, True)


# Teams and colleagues


def test_what_a_team_is_told_its_agents_are_told_and_nobody_else(place: Persistence) -> None:
    inside, deep, outside = says("inside", "one"), says("deep", "two"), says("outside", "three")
    inner = single.build(deep).compile(name="inner")
    team = parallel.build([inside, inner]).compile(name="team")
    graph = sequential.build([HumanAgent("boss"), team, outside]).compile(name="g")
    start(graph, place, "the task", thread="t")
    inject(graph, place, "t", BRIEF, agent="team")
    assert answer(graph, place, "t", "respond", message="go on").status == "completed"
    assert [was_told(agent) for agent in (inside, deep, outside)] == [True, True, False]


def test_guidance_is_recorded_when_it_is_given_and_when_it_is_seen(place: Persistence) -> None:
    graph = sequential.build([HumanAgent("boss"), says("writer", "one")]).compile(name="g")
    start(graph, place, "the task", thread="t")
    inject(graph, place, "t", f" {BRIEF}\n", agent="writer")
    answer(graph, place, "t", "respond", message="go on")
    noted = [event["data"] for event in place.events("t") if event["data"].get("note") == "injected"]
    assert noted == [{"note": "injected", "text": BRIEF, "to": "writer"}]
    assert [event["agent"] for event in place.events("t") if event["kind"] == "guided"] == ["writer"]


# From elsewhere


def test_a_thread_of_a_program_is_reached_without_its_graph(place: Persistence) -> None:
    writer = says("writer", "one")
    graph = sequential.build([HumanAgent("boss"), writer]).compile(name="mine")
    start(graph, place, "the task", thread="t")
    told = CliRunner().invoke(command, ["inject", "t", BRIEF, "--agent", "writer", "--db", "runs.db"])
    assert (told.exit_code, told.stderr) == (0, "Kept for the next model call of writer in t.\n")
    halted = CliRunner().invoke(command, ["halt", "t", "--db", "runs.db"])
    assert (halted.exit_code, halted.stderr) == (0, "Nothing runs in t; it is waiting.\n")
    told_json = CliRunner().invoke(command, ["halt", "t", "--db", "runs.db", "--json"])
    assert json.loads(told_json.stdout) == {"thread": "t", "halted": False, "status": "waiting"}
    assert not halt(None, place, "t")
    assert answer(graph, place, "t", "respond", message="go on").status == "completed"
    assert was_told(writer)


def test_the_command_refuses_a_name_that_its_own_graph_does_not_have(place: Persistence) -> None:
    run = CliRunner().invoke(command, ["run", "sequential", "hello", "--thread", "t", "--db", "runs.db"])
    assert run.exit_code == 0, run.stderr
    wrong = CliRunner().invoke(command, ["inject", "t", BRIEF, "--agent", "wrter", "--db", "runs.db"])
    assert (wrong.exit_code, "it has assistant, writer" in wrong.stderr) == (2, True)
