"""Knobs of a run and arguments of `build`: what they do, and how those that cannot work are refused."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from acting import run, says, statuses
from graphs import map_reduce, parallel, review, sequential, single
from nodes import Agent, ScriptedChatModel
from state import Budget, ConfigurationError

# Knobs


def test_no_more_agents_work_at_once_than_the_context_allows() -> None:
    working, most = [0], [0]

    async def count(item: str) -> str:
        working[0] += 1
        most[0] = max(most[0], working[0])
        await asyncio.sleep(0.002)
        working[0] -= 1
        return item

    items = "\n".join(str(number) for number in range(20))
    run(map_reduce.build(count, splitter=says("lines", items)), max_concurrency=4)
    assert most == [4]


def test_a_deadline_that_has_passed_stops_every_pattern_before_a_model_is_called() -> None:
    for builder in (
        single.build(says("a")),
        sequential.build([says("a"), says("b")]),
        parallel.build([says("a"), says("b")]),
        map_reduce.build(says("a"), splitter=says("b")),
        review.build(says("a"), [says("b")]),
    ):
        result = run(builder, deadline=1.0)
        assert (result["status"], result["answer"]) == ("stopped", "")
        assert "seconds" in result["reason"]


def test_a_foreign_graph_is_held_to_the_runs_time() -> None:
    from langgraph.graph import END, START, StateGraph

    from state import TaskState

    async def hang(state: TaskState) -> dict[str, Any]:
        await asyncio.sleep(60)
        return {}

    foreign = StateGraph(TaskState)
    foreign.add_node("hang", hang)
    foreign.add_edge(START, "hang")
    foreign.add_edge("hang", END)
    result = run(single.build(foreign.compile(name="foreign")), budget=Budget(seconds=0.05))
    assert (result["status"], statuses(result)) == ("stopped", {"foreign": "stopped"})


# Arguments


def two() -> list[Agent]:
    return [says("a"), says("b")]


WRONG: list[tuple[Any, dict[str, Any], str]] = [
    (single, {"agent": "writer"}, "agent: expected"),
    (sequential, {"agents": []}, "agents: expected at least 1"),
    (sequential, {"agents": says("a")}, "agents: expected a list"),
    (sequential, {"agents": "ab"}, "agents: expected a list"),
    (sequential, {"agents": [says("a"), says("a")]}, r"\['a'\] more than once"),
    (sequential, {"agents": [says("begin")]}, "name 'begin' cannot be used"),
    (parallel, {"agents": [says("a")]}, "agents: expected at least 2, got 1"),
    (parallel, {"agents": two(), "resolve": "coin"}, "resolve: expected one of"),
    (parallel, {"agents": two(), "on_failure": "shrug"}, "on_failure: expected"),
    (parallel, {"agents": two(), "quorum": 3}, "quorum: expected 1 to 2, got 3"),
    (parallel, {"agents": two(), "quorum": 0}, "quorum: expected"),
    (parallel, {"agents": two(), "quorum": "2"}, "quorum: expected"),
    (parallel, {"agents": two(), "quorum": True}, "quorum: expected"),
    (parallel, {"agents": two(), "aggregator": "joiner"}, "aggregator: expected"),
    (parallel, {"agents": two(), "aggregator": says("a")}, "name 'a' cannot be used"),
    (map_reduce, {"worker": "worker"}, "worker, splitter and aggregator: expected"),
    (map_reduce, {"worker": ""}, "worker, splitter and aggregator: expected"),
    (map_reduce, {"worker": says("a"), "splitter": says("a")}, r"\['a'\] more than once"),
    (map_reduce, {"splitter": says("item-1")}, "'item-1'"),
    (map_reduce, {"quorum": -1}, "quorum: expected"),
    (review, {"critics": []}, "critics: expected at least 1, got 0"),
    (review, {"critics": says("b")}, "critics: expected a list"),
    (review, {"generator": says("a"), "critics": [says("a")]}, r"\['a'\] more than once"),
    (review, {"accept": "most"}, "accept: expected"),
    (review, {"accept": 0}, "accept: expected"),
    (review, {"accept": 1.5}, "accept: expected"),
    (review, {"accept": True}, "accept: expected"),
]


@pytest.mark.parametrize(("pattern", "arguments", "named"), WRONG)
def test_arguments_that_cannot_work_are_refused_by_name(pattern: Any, arguments: dict[str, Any], named: str) -> None:
    with pytest.raises(ConfigurationError, match=named):
        pattern.build(**arguments)


def test_a_name_that_would_look_like_a_later_step_of_another_agent_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="agent name: expected"):
        Agent("writer#2")


@pytest.mark.parametrize(
    ("context", "named"),
    [
        ({"max_round": 1}, "unknown field max_round"),
        ({"max_rounds": 0}, "max_rounds"),
        ("fast", "expected a Context"),
        (object(), "expected a Context"),
    ],
)
def test_a_context_that_cannot_work_is_refused_by_name(context: Any, named: str) -> None:
    with pytest.raises(ConfigurationError, match=named):
        single.graph.invoke({"task": "t"}, context=context)


@pytest.mark.parametrize("task", [3, {"a": 1}, ["text"]])
def test_a_task_that_is_no_text_is_refused(task: Any) -> None:
    with pytest.raises(ConfigurationError, match="task: expected text"):
        single.graph.invoke({"task": task})


def test_a_task_beside_messages_is_the_task_and_the_messages_are_remembered() -> None:
    agent = says("a", "done")
    result = single.build(agent).compile().invoke({"task": "Now this.", "messages": [("user", "Before that.")]})
    assert [message.text for message in result["messages"]] == ["Before that.", "Now this.", "done"]
    assert isinstance(agent.model, ScriptedChatModel)
    assert [message.text for message in agent.model.requests[0].messages] == ["Before that.", "Now this."]
