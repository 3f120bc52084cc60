"""Prompts that a run's context has in place of the agents' own, and the fields that a form shows for them."""

from __future__ import annotations

from typing import Any

import pytest
from langchain_core.messages import SystemMessage
from pydantic import BaseModel

from cases import TWO_PARTS, says
from graphs import plan_execute, review, sequential, single
from nodes import Agent, HumanAgent, ScriptedChatModel
from nodes.scripted import call
from state import ConfigurationError, Context


class Verdict(BaseModel):
    """An answer with a shape."""

    good: bool


def told(agent: Agent) -> list[str]:
    """Return the system messages that an agent's model was sent, without the rule about data that comes after them."""
    assert isinstance(agent.model, ScriptedChatModel)
    return [
        m.text.split("\n\n")[0]
        for request in agent.model.requests
        for m in request.messages
        if isinstance(m, SystemMessage)
    ]


def look() -> str:
    """Look."""
    return "seen"


def speaker(kind: str) -> Agent:
    if kind == "tools":
        return says("ann", call("look"), "done", prompt="Own words.", tools=[look])
    if kind == "shape":
        return says("ann", Verdict(good=True), prompt="Own words.", response_format=Verdict)
    return says("ann", "done", prompt="" if kind == "no prompt" else "Own words.")


@pytest.mark.parametrize("kind", ["plain", "tools", "shape", "no prompt"])
def test_a_prompt_of_the_context_takes_the_place_of_the_agents_own(kind: str) -> None:
    agent = speaker(kind)
    single.build(agent).compile(name="g").invoke({"task": "go"}, context=Context(prompts={"ann": "Other words."}))
    assert set(told(agent)) == {"Other words."}


@pytest.mark.parametrize("prompts", [{}, {"ann": ""}, {"bob": "Other words."}])
def test_without_one_for_it_an_agent_keeps_its_own(prompts: dict[str, str]) -> None:
    agent = speaker("tools")
    single.build(agent).compile(name="g").invoke({"task": "go"}, context=Context(prompts=prompts))
    assert set(told(agent)) == {"Own words."}


def test_agents_of_nested_teams_and_of_plans_take_it_too() -> None:
    ann = speaker("plain")
    team = single.build(ann).compile(name="team")
    sequential.build([team, says("bob", "done")]).compile(name="g").invoke(
        {"task": "go"}, context=Context(prompts={"ann": "Other words."})
    )
    assert told(ann) == ["Other words."]


def test_a_form_has_a_field_for_each_agent_with_its_prompt_and_its_nodes() -> None:
    team = single.build(Agent("ann", prompt="Own words.")).compile(name="team")
    graph = review.build(team, critics=[Agent("bob", prompt="Be strict."), HumanAgent("eve", prompt="Look.")])
    schema = graph.compile(name="g").get_context_jsonschema() or {}
    fields = {field: shape for field, shape in schema["properties"].items() if "langgraph_nodes" in shape}
    assert {field: (shape["default"], shape["langgraph_nodes"]) for field, shape in fields.items()} == {
        "ann_prompt": ("Own words.", ["team"]),
        "bob_prompt": ("Be strict.", ["bob"]),
    }
    workers = [says("assistant"), says("writer")]
    plan: Any = plan_execute.build(workers, planner=says("planner", TWO_PARTS)).compile(name="g")
    assert plan.prompts["writer"].nodes == ["execute"]


def test_what_the_form_sends_is_what_the_agent_is_told_and_what_was_not_changed_is_left() -> None:
    agent = speaker("plain")
    graph: Any = single.build(agent).compile(name="g")
    graph.invoke({"task": "go"}, context={"ann_prompt": "Other words.", "max_rounds": 2, "prompts": {"bob": "x"}})
    assert told(agent) == ["Other words."]
    for unchanged in ("Own words.", "", None):
        again = speaker("plain")
        graph = single.build(again).compile(name="g")
        graph.invoke({"task": "go"}, context={"ann_prompt": unchanged})
        assert told(again) == ["Own words."]


@pytest.mark.parametrize(
    "context",
    [{"bob_prompt": "x"}, {"ann_prompt": 5}, {"ann_prompt": "x", "prompts": 5}, {"prompts": {"ann": "x" * 100_001}}],
)
def test_a_prompt_for_nobody_or_that_is_no_text_is_refused_without_being_repeated(context: dict[str, Any]) -> None:
    graph: Any = single.build(speaker("plain")).compile(name="g")
    with pytest.raises(ConfigurationError, match="Context") as refused:
        graph.invoke({"task": "go"}, context=context)
    assert "xxx" not in str(refused.value)
