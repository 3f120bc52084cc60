"""Agents with MCP tools: called, approved, denied, timed out, cut, and carried out once, as any other tool is."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from langchain_core.messages import ToolMessage
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.store.memory import InMemoryStore
from langgraph.types import Command

from cases import says
from graphs import parallel, single
from mcp_programs import lines, named, rude, running
from nodes import Agent, Policy, ScriptedChatModel
from nodes.layers.large_results import MAX_RESULT
from nodes.scripted import call, calls
from state import StorageUnavailable
from test_effects import cut_after_the_effect
from tools.mcp import McpTools, open_mcp

THREAD: RunnableConfig = {"configurable": {"thread_id": "t"}}


@contextmanager
def served(how: str, folder: Path, **options: Any) -> Iterator[McpTools]:
    """Open the rude server through its input and output, or over HTTP."""
    if how == "stdio":
        with open_mcp(rude(folder), **options) as mcp:
            yield mcp
    else:
        with running(folder) as server, open_mcp({"rude": server}, **options) as mcp:
            yield mcp


both_ways = pytest.mark.parametrize("how", ["stdio", "http"])


def shown(agent: Agent) -> list[tuple[str, str]]:
    """Return what tools gave, as the agent's model was shown it last."""
    assert isinstance(agent.model, ScriptedChatModel)
    return [(m.text, m.status) for m in agent.model.requests[-1].messages if isinstance(m, ToolMessage)]


def work(agent: Agent, **compiled: Any) -> dict[str, Any]:
    result: dict[str, Any] = single.build(agent).compile(name="g", **compiled).invoke({"task": "t"}, THREAD)
    return result


@both_ways
def test_an_agent_calls_tools_from_invoke_and_from_any_event_loop(how: str, tmp_path: Path) -> None:
    with served(how, tmp_path) as mcp:
        steps = [calls(call("echo", text="one"), call("echo", text="two")), "done"]
        agent = says("reader", *steps, *steps, *steps, tools=mcp.tools)
        graph = single.build(agent).compile(name="g")
        assert graph.invoke({"task": "t"})["answer"] == "done"
        assert [asyncio.run(graph.ainvoke({"task": "t"}))["answer"] for _ in range(2)] == ["done", "done"]
    assert ["one" in shown(agent)[0][0], "two" in shown(agent)[1][0]] == [True, True]


@both_ways
def test_agents_in_parallel_share_a_server(how: str, tmp_path: Path) -> None:
    with served(how, tmp_path) as mcp:
        agents = [
            says(f"reader{number}", call("echo", text=f"of {number}"), f"read {number}", tools=mcp.tools)
            for number in range(5)
        ]
        result = parallel.build(agents).compile(name="g").invoke({"task": "t"})
    assert [outcome["status"] for outcome in result["outcomes"]][:5] == ["ok"] * 5
    assert all(f"of {number}" in shown(agent)[0][0] for number, agent in enumerate(agents))


@both_ways
def test_a_person_approves_a_call_and_then_it_is_made(how: str, tmp_path: Path) -> None:
    with served(how, tmp_path) as mcp:
        agent = says("clerk", call("count", text="x"), "done", tools=mcp.tools, policy=Policy(approve=("count",)))
        graph = single.build(agent).compile(InMemorySaver(), name="g")
        graph.invoke({"task": "t"}, THREAD)
        (request,) = graph.get_state(THREAD).interrupts
        assert lines(tmp_path, "count") == []
        answer = {"decisions": [{"type": "approve"}]}
        assert graph.invoke(Command(resume={request.id: answer}), THREAD)["answer"] == "done"
    assert lines(tmp_path, "count") == ["x"]


def test_approval_can_be_asked_where_the_tools_are_opened(tmp_path: Path) -> None:
    with served("stdio", tmp_path, approve=["echo"]) as mcp:
        agent = says("clerk", call("echo", text="x"), tools=mcp.tools)
        graph = single.build(agent).compile(InMemorySaver(), name="g")
        graph.invoke({"task": "t"}, THREAD)
        (request,) = graph.get_state(THREAD).interrupts
    assert request.value["action_requests"][0]["args"] == {"text": "x"}


def test_a_policy_denies_by_name_and_by_what_a_tool_needs(tmp_path: Path) -> None:
    with served("stdio", tmp_path) as mcp:
        denying = says("a", call("count", text="x"), "done", tools=mcp.tools, policy=Policy(deny=("count",)))
        work(denying)
        steps = [calls(call("count", text="x"), call("plain"), call("echo", text="fine")), "done"]
        granted = says("b", *steps, tools=mcp.tools, policy=Policy(grants=("read",)))
        work(granted)
    assert [status for _, status in shown(denying)] == ["error"]
    assert [status for _, status in shown(granted)] == ["error", "error", "success"]
    assert lines(tmp_path, "count") == []


@both_ways
def test_a_call_that_hangs_is_ended_by_the_policy_and_the_next_one_works(how: str, tmp_path: Path) -> None:
    with served(how, tmp_path) as mcp:
        steps = [call("slow"), call("echo", text="still here"), "done"]
        agent = says("reader", *steps, tools=mcp.tools, policy=Policy(timeout=1.0))
        assert work(agent)["answer"] == "done"
        (late, _), (text, status) = shown(agent)
    assert "no result within 1 s" in late
    assert ("still here" in text, status) == (True, "success")
    assert len(lines(tmp_path, "cancelled")) == 1


def test_an_effect_that_is_asked_for_twice_in_a_turn_happens_once(tmp_path: Path) -> None:
    with served("stdio", tmp_path) as mcp:
        steps = [
            call("count", text="x"),
            call("count", text="x"),
            call("echo", text="y"),
            call("echo", text="y"),
            "done",
        ]
        agent = says("clerk", *steps, tools=mcp.tools)
        assert work(agent, checkpointer=InMemorySaver())["answer"] == "done"
    assert lines(tmp_path, "count") == ["x"]
    assert ["counted 1" in text for text, _ in shown(agent)] == [True, True, False, False]


def test_an_effect_that_was_cut_off_is_not_repeated_when_the_run_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with served("stdio", tmp_path) as mcp:
        agent = says("clerk", call("count", text="x"), "done", tools=mcp.tools)
        graph = single.build(agent).compile(InMemorySaver(), name="g")
        with cut_after_the_effect(monkeypatch), pytest.raises(StorageUnavailable):
            graph.invoke({"task": "t"}, THREAD)
        graph.invoke(None, THREAD)
        (request,) = graph.get_state(THREAD).interrupts
        answer = {"decisions": [{"type": "respond", "message": "counted 1"}]}
        assert graph.invoke(Command(resume={request.id: answer}), THREAD)["answer"] == "done"
    assert lines(tmp_path, "count") == ["x"]


def test_an_effect_whose_server_died_in_it_is_in_doubt_and_put_to_a_person(tmp_path: Path) -> None:
    with served("stdio", tmp_path) as mcp:
        once_more = call("count_and_die", text="x")
        agent = says("clerk", once_more, once_more, "done", tools=mcp.tools)
        graph = single.build(agent).compile(InMemorySaver(), name="g")
        graph.invoke({"task": "t"}, THREAD)
        (request,) = graph.get_state(THREAD).interrupts
        assert "it is not known whether it was carried out" in str(request.value)
        answer = {"decisions": [{"type": "reject"}]}
        assert graph.invoke(Command(resume={request.id: answer}), THREAD)["answer"] == "done"
    assert lines(tmp_path, "count") == ["x"]
    assert "not known whether count_and_die was carried out" in shown(agent)[0][0]


def test_an_effect_that_was_refused_or_failed_may_be_tried_again(tmp_path: Path) -> None:
    with served("stdio", tmp_path, effects={"fail": True}) as mcp:
        steps = [call("refuse"), call("refuse"), call("fail"), call("fail"), "done"]
        agent = says("clerk", *steps, tools=mcp.tools)
        assert work(agent, checkpointer=InMemorySaver())["answer"] == "done"
    assert [status for _, status in shown(agent)] == ["error"] * 4


def test_a_server_that_is_killed_in_a_run_is_started_again_within_it(tmp_path: Path) -> None:
    with served("stdio", tmp_path) as mcp:
        agent = says("reader", call("read_and_die"), call("echo", text="after it"), "done", tools=mcp.tools)
        assert work(agent)["answer"] == "done"
    assert [status for _, status in shown(agent)] == ["success", "success"]
    assert "alive again" in shown(agent)[0][0]


def test_ten_megabytes_are_shown_in_part_and_kept_to_read_on(tmp_path: Path) -> None:
    with served("stdio", tmp_path) as mcp:
        agent = says("reader", call("big"), "done", tools=[named(mcp)["big"]])
        assert work(agent, checkpointer=InMemorySaver(), store=InMemoryStore())["answer"] == "done"
    ((text, _),) = shown(agent)
    assert len(text) < MAX_RESULT + 1_000
    assert "read_result" in text
