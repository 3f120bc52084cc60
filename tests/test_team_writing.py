"""Teams that were built in Python, written as files: what is read again is the same, and what no file can hold is refused."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

import team_tools
from graphs import debate, group_chat, handoff, hierarchical, plan_execute, review, sequential, single
from graphs.registry import REGISTRY, find
from nodes import Agent, Fallback, Hours, HumanAgent, Policy, ScriptedChatModel, until
from orchestra import load_team, save_team
from orchestra.teamfile.reading import parse_team, read_team
from orchestra.teamfile.text import write_team
from orchestra.teamfile.writing import data_of
from state import Budget, ConfigurationError
from state.graph import PatternBuilder
from tools import create_corpus_tools, create_file_tools

HERE = Path("team.yaml")
SHAPE = {"type": "object", "title": "Found", "properties": {"facts": {"type": "string"}}, "required": ["facts"]}


def agent(name: str, **more: Any) -> Agent:
    return Agent(name, f"Does {name}.", f"You are {name}.\nYou answer: no.", **more)


A = agent(
    "alpha",
    tools=[team_tools.look_up, team_tools.refund, *create_corpus_tools()],
    policy=Policy(
        timeout=5,
        approve=("refund",),
        budget=Budget(usd=1),
        fallback=("extractive", Fallback(agent=agent("spare"))),
        on_failure="skip",
    ),
)
B = agent("beta", response_format=SHAPE, model="openai:gpt-5", version="2")
BOSS = HumanAgent(
    "boss", "Decides.", "Mind the law.", available=Hours("mon-thu", zone="Europe/Zurich"), due=60, backup=B
)
LEAD = agent("lead")
TEAM = sequential.build([agent("gamma"), agent("delta")]).compile(name="inner")

BUILT: dict[str, Callable[[], PatternBuilder]] = {
    "single": lambda: single.build(A),
    "sequential": lambda: sequential.build([A, B, BOSS, TEAM]),
    "parallel": lambda: find("parallel").load().build([A, B], aggregator=LEAD, resolve="rank", quorum=1),
    "map_reduce": lambda: find("map_reduce").load().build(A, splitter=LEAD, aggregator=B, on_failure="fail_fast"),
    "router": lambda: find("router").load().build([A, B], router=LEAD, default=agent("other")),
    "supervisor": lambda: find("supervisor").load().build([A, B, TEAM], supervisor=LEAD),
    "hierarchical": lambda: hierarchical.build(
        [A, TEAM], manager=LEAD, depth=2, budgets={"inner": Budget(model_calls=3)}
    ),
    "review": lambda: review.build(A, [B, BOSS], accept=0.7),
    "group_chat": lambda: group_chat.build([A, B], moderator=LEAD),
    "handoff": lambda: handoff.build([A, B], entry="beta", carry=handoff.whole_turn),
    "debate": lambda: debate.build([A, B], judge=LEAD, rounds=3, options=["yes", "no"]),
    "plan_execute": lambda: plan_execute.build([A, B], planner=LEAD, approve_plan=True, discuss=True),
    "magentic": lambda: find("magentic").load().build([A, B], manager=LEAD, max_stalls=1, stall_decay=True),
    "adaptive": lambda: find("adaptive").load().build([B], planner=LEAD, manager=agent("manager")),
}


def drawn(graph: Any) -> tuple[list[str], list[tuple[str, str, bool]]]:
    """Return the nodes and edges of a graph."""
    picture = graph.get_graph(xray=True)
    return sorted(picture.nodes), sorted((each.source, each.target, each.conditional) for each in picture.edges)


def forget(builder: PatternBuilder) -> PatternBuilder:
    """Return a builder that was read from a file as if it had been built in Python."""
    from dataclasses import replace

    assert builder.made is not None
    builder.made = replace(builder.made, source=None)
    return builder


def test_there_is_a_team_of_every_pattern() -> None:
    assert set(BUILT) == {name for name, entry in REGISTRY.items() if not entry.is_team}


@pytest.mark.parametrize("suffix", ["yaml", "json"])
@pytest.mark.parametrize("pattern", BUILT)
def test_a_team_that_is_written_and_read_again_is_the_same(pattern: str, suffix: str) -> None:
    built = BUILT[pattern]()
    read = load_team(save_team(built, f"team.{suffix}", name="a team", description="For a test.")).build()
    assert data_of(forget(read), HERE) == data_of(built, HERE)
    assert drawn(read.compile(name="x")) == drawn(built.compile(name="x"))


def test_what_was_read_from_a_file_is_written_as_it_was(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "notes").mkdir()
    (tmp_path / "inner.yaml").write_text("name: inner\nagents:\n  c: {prompt: x}\n")
    (tmp_path / "team.yaml").write_text(
        """
name: duo
agents:
  a: {role: Finder, goal: Find, tools: [notes.read, corpus]}
  b: {team: inner.yaml}
tasks:
  find: {description: "Find {task}", agent: a}
  tell: {description: Tell, agent: b}
tools: {notes: {use: files, folder: notes}}
options: {max_rounds: 2}
budget: {usd: 1}
approvals: [notes]
"""
    )
    team = load_team(tmp_path / "team.yaml")
    copy = save_team(team, tmp_path / "deep" / "copy.yaml")
    assert read_team(copy).tools["notes"].model_dump()["folder"] == "../notes"
    assert save_team(load_team(copy).graph, tmp_path / "again.json").exists()
    again = read_team(tmp_path / "again.json")
    assert again.model_dump(exclude_unset=True) == team.file.model_dump(exclude_unset=True)


def test_documents_are_found_from_another_folder_too(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "docs").mkdir()
    (tmp_path / "team.yaml").write_text(
        "name: x\nagents:\n  a: {prompt: x, tools: [corpus]}\noptions: {corpus: docs}\n"
    )
    copy = save_team(load_team(tmp_path / "team.yaml"), tmp_path / "deep" / "copy.yaml")
    assert load_team(copy).file.options["corpus"] == "../docs"
    assert load_team(copy).context().corpus == str((tmp_path / "docs").resolve())


def test_a_tool_whose_module_would_be_left_behind_is_refused(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "left_behind.py").write_text("def act(text: str) -> str:\n    'Act.'\n    return text\n")
    (tmp_path / "team.yaml").write_text(
        "name: x\nagents:\n  t:\n    agents:\n      a: {prompt: x, tools: ['left_behind:act', 'team_tools:look_up']}\n"
    )
    team = load_team(tmp_path / "team.yaml")
    team.build()  # a module that was imported is left behind as well
    assert save_team(team, tmp_path / "again.yaml").exists()
    with pytest.raises(ConfigurationError, match="cannot be written in a file") as caught:
        save_team(team, tmp_path / "deep" / "copy.yaml")
    assert "t.a.tools: 'left_behind:act' is in a module that lies in" in str(caught.value)
    assert "team_tools" not in str(caught.value)
    (tmp_path / "deep" / "left_behind.py").write_text((tmp_path / "left_behind.py").read_text())
    assert save_team(team, tmp_path / "deep" / "copy.yaml").exists()


def test_knobs_of_a_file_that_is_nested_in_a_python_team_are_not_dropped_silently(tmp_path: Path) -> None:
    Path("inner.yaml").write_text("name: i\nagents: {a: {prompt: x}}\nbudget: {usd: 1}\noptions: {max_rounds: 1}\n")
    team = sequential.build([load_team("inner.yaml").graph, A])
    with pytest.raises(
        ConfigurationError, match=r"\n- i: its file sets max_rounds, budget; they do not count"
    ) as caught:
        save_team(team, "team.yaml")
    assert "cannot be written in a file" in str(caught.value)


def test_tasks_stay_tasks_when_the_graph_is_written() -> None:
    text = """
name: duo
agents:
  a: {prompt: x}
tasks:
  find: {description: "Find {task}", expected_output: Facts, agent: a}
  tell: {description: Tell, agent: a, context: [find]}
"""
    Path("team.yaml").write_text(text)
    data = data_of(forget(load_team("team.yaml").build()), HERE)
    assert data["pattern"] == "sequential"
    assert data["tasks"]["tell"] == {"description": "Tell", "agent": "a", "context": ["find"]}
    assert "options" not in data


def test_a_pydantic_answer_is_written_as_its_schema() -> None:
    class Found(BaseModel):
        facts: list[str]

    saved = save_team(single.build(Agent("a", prompt="x", response_format=Found)), "team.json")
    entry = json.loads(saved.read_text())["agents"]["a"]
    assert entry["response_format"] == Found.model_json_schema()


def test_a_name_that_is_given_takes_the_place_of_the_graphs() -> None:
    graph = single.build(LEAD).compile(name="mine")
    assert read_team(save_team(graph, "a.yaml")).name == "mine"
    assert read_team(save_team(graph, "b.yaml", name="yours", description="For you.")).description == "For you."


async def act(task: str) -> str:
    return task


def _inside() -> Any:
    def hidden(number: int) -> str:
        """Count."""
        return str(number)

    return hidden


@pytest.mark.parametrize(
    ("build", "said"),
    [
        (lambda: sequential.build([A, act]), "act: expected an Agent, a HumanAgent or a pattern, got function"),
        (lambda: single.build(agent("a", tools=[_inside()])), "a.tools.hidden: it has no name that a file could use"),
        (lambda: single.build(agent("a", tools=create_file_tools("."))), "a.tools.read_file: it has no name"),
        (lambda: single.build(agent("a", model=ScriptedChatModel())), "a.model: expected 'provider:model'"),
        (
            lambda: single.build(agent("a", policy=Policy(fallback=(ScriptedChatModel(),)))),
            "a.policy.fallback: expected 'provider:model'",
        ),
        (lambda: single.build(HumanAgent("a", available=lambda: True)), "a.available: expected Hours, got a function"),
        (lambda: group_chat.build([A, B], until=until.turns(3)), "until: it is a function, or made of functions"),
        (lambda: group_chat.build([A, B], rule=lambda said: None), "rule: it is a function"),
        (lambda: handoff.build([A, B], carry=lambda state: {}), "carry: it is a function"),
        (lambda: review.build(), "it has default agents only"),
        (lambda: sequential.build([agent("a", policy=Policy(fallback=(agent("b"),))), agent("b")]), "b: there are two"),
    ],
)
def test_what_no_file_can_hold_is_refused_and_nothing_is_written(build: Callable[[], Any], said: str) -> None:
    with pytest.raises(ConfigurationError, match="cannot be written in a file") as caught:
        save_team(build(), "team.yaml")
    assert said in str(caught.value)
    assert not Path("team.yaml").exists()


def test_all_that_cannot_be_written_is_listed_at_once() -> None:
    with pytest.raises(ConfigurationError) as caught:
        save_team(sequential.build([agent("a", model=ScriptedChatModel()), act]), "team.yaml")
    assert str(caught.value).count("\n- ") == 2


@pytest.mark.parametrize("graph", ["review", None, find("research").load().graph])
def test_what_no_pattern_made_is_refused(graph: Any) -> None:
    with pytest.raises(ConfigurationError, match="expected a pattern that was built of agents"):
        save_team(graph, "team.yaml")


def test_a_file_of_another_kind_is_not_written() -> None:
    with pytest.raises(ConfigurationError, match=r"ends in \.yaml"):
        save_team(single.build(LEAD), "team.toml")


TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=60)
ODD: Sequence[str] = (
    "no",
    "1e3",
    "~",
    "null",
    "0x1f",
    "1_000",
    "12:30",
    "a: b",
    "# x",
    "- x",
    " x\n y ",
    "x\n\n",
    "\x85",
    "'",
)


@settings(max_examples=150, deadline=None)
@given(TEXTS | st.sampled_from(ODD))
def test_any_text_comes_back_as_it_was(text: str) -> None:
    team = parse_team("name: x\nagents:\n  a: {prompt: x}\n")
    odd = team.model_copy(
        update={"agents": {"a": team.agents["a"].model_copy(update={"prompt": text, "description": text})}}
    )
    for as_json in (False, True):
        read = parse_team(write_team(odd, as_json=as_json), path="x.json" if as_json else "x.yaml").agents["a"]
        assert read.model_dump()["prompt"] == text
        assert read.model_dump()["description"] == text
