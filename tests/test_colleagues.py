"""Colleagues: a question or task to another agent in the middle of one's own, in any pattern, bounded and paid for."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from langchain_core.messages import ToolMessage
from langchain_core.runnables import RunnableConfig
from langchain_core.tools import ToolException, tool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.types import Command

from acting import fails, run, says, told
from graphs import handoff, map_reduce, parallel, review, sequential, single
from nodes import Agent, HumanAgent, Policy, ScriptedChatModel
from nodes.scripted import Step, call, calls
from state import Budget, ConfigurationError, Context
from state.labels import without_lines
from tools import create_consult_tool, create_delegate_tool

THREAD: RunnableConfig = {"configurable": {"thread_id": "t"}}


def ask(peer: str, question: str = "What is it?") -> Any:
    return call("consult", peer=peer, question=question)


def results_of(agent: Agent) -> list[str]:
    assert isinstance(agent.model, ScriptedChatModel)
    return [without_lines(m.text) for m in agent.model.requests[-1].messages if isinstance(m, ToolMessage)]


def test_a_peer_gets_the_question_alone_and_the_asker_keeps_control() -> None:
    peer = says("peer", "42")
    asker = says("asker", ask("Peer"), "So it is 42.", tools=[create_consult_tool([peer])])
    events: list[Any] = []
    graph = single.build(asker).compile(name="g")
    for mode, part in graph.stream({"task": "the secret"}, stream_mode=["custom", "values"]):
        events += [part] if mode == "custom" else []
        result = part
    assert result["answer"] == "So it is 42."
    assert (told(peer), results_of(asker)) == ("What is it?", ["42"])
    assert result["outcomes"][0]["usage"]["model_calls"] == 3
    consulted = next(event for event in events if event["kind"] == "consulted")
    assert (consulted["agent"], consulted["data"]["colleague"], consulted["data"]["status"]) == ("asker", "peer", "ok")
    started = next(e for e in events if e["kind"] == "agent_started" and e["agent"] == "peer")
    assert (started["step"], started["parent"]) == ("asker/peer", "asker")


def test_a_task_goes_out_and_comes_back() -> None:
    worker = says("worker", "made")
    lead = says(
        "lead", call("delegate", agent="worker", task="Make it."), "done", tools=[create_delegate_tool([worker])]
    )
    assert run(single.build(lead))["answer"] == "done"
    assert (told(worker), results_of(lead)) == ("Make it.", ["made"])


def test_what_cannot_be_is_a_readable_answer_and_the_asker_goes_on() -> None:
    tool = create_consult_tool([says("peer", "1", "2"), fails("broken")])
    asker = says("asker", calls(ask("nobody"), ask("peer", " "), ask("broken"), ask("peer")), "done", tools=[tool])
    assert run(single.build(asker))["answer"] == "done"
    unknown, empty, broken, good = results_of(asker)
    assert unknown == "There is no 'nobody'; there are peer, broken."
    assert "expected what peer is to be told" in empty.casefold()
    assert broken.startswith("No answer: asker/broken")
    assert "ValueError" in broken
    assert good == "1"


def test_questions_are_bounded_in_number_and_depth_and_never_go_round() -> None:
    peer = says("peer", "1", "2")
    questions = [ask("peer", question) for question in ("Who?", "Where to?", "How many?")]
    asker = says("asker", calls(*questions), "done", tools=[create_consult_tool([peer])])
    run(single.build(asker), max_consultations=2)
    assert results_of(asker)[2].startswith("Not carried out: max_consultations of 2 reached")

    third = says("third", "deep")
    second = says("second", ask("third"), "middle", tools=[create_consult_tool([third])])
    first = says("first", ask("second"), "top", tools=[create_consult_tool([second])])
    assert run(single.build(first), max_depth=1)["answer"] == "top"
    assert results_of(second)[0].startswith("Not carried out: max_depth of 1 reached")

    a = says("a", ask("b"), "a done")
    b = says("b", ask("a"), "b done", tools=[create_consult_tool([a])])
    assert run(single.build(replace(a, tools=[create_consult_tool([b])])))["answer"] == "a done"
    assert results_of(b) == ["Not carried out: a waits for your answer itself. Go on without it."]


@pytest.mark.parametrize("cap", range(4))
def test_what_a_peer_spends_is_the_askers_to_the_call(cap: int) -> None:
    model = ScriptedChatModel(by_agent={"asker": [ask("peer"), "done"], "peer": ["42"]})
    graph = single.build(Agent("asker", tools=[create_consult_tool([Agent("peer")])])).compile(name="g")
    result = graph.invoke({"task": "t"}, context=Context(model=model, budget=Budget(model_calls=cap)))
    assert len(model.requests) == cap
    assert result["status"] == ("completed" if cap == 3 else "stopped")


def test_a_peer_has_limits_of_its_own_and_needs_no_second_place() -> None:
    slow = says("slow", Step("at last", delay=0.3), policy=Policy(timeout=5))
    asker = says("asker", ask("slow"), "done", tools=[create_consult_tool([slow])], policy=Policy(timeout=0.1))
    run(single.build(asker), max_concurrency=1)
    assert results_of(asker) == ["at last"]
    stuck = says("stuck", Step("late", delay=60), policy=Policy(timeout=0.05))
    asker = says("asker", ask("stuck"), "done", tools=[create_consult_tool([stuck])])
    assert run(single.build(asker))["answer"] == "done"
    assert "timed out" in results_of(asker)[0]


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_two_people_asked_in_one_message_pause_it_all_and_are_answered_in_any_order(order: tuple[int, int]) -> None:
    tool = create_consult_tool([HumanAgent("ann"), HumanAgent("bob")])
    asker = says("asker", calls(ask("ann", "One?"), ask("bob", "Two?")), "done", tools=[tool])
    graph = single.build(asker).compile(checkpointer=InMemorySaver(), name="g")
    graph.invoke({"task": "t"}, THREAD)
    requests = sorted(graph.get_state(THREAD).interrupts, key=lambda one: one.value["action_requests"][0]["name"])
    assert [one.value["action_requests"][0]["args"]["task"] for one in requests] == ["One?", "Two?"]
    for at in order:
        said = {"decisions": [{"type": "respond", "message": f"answer {at}"}]}
        result = graph.invoke(Command(resume={requests[at].id: said}), THREAD)
    assert (result["answer"], results_of(asker)) == ("done", ["answer 0", "answer 1"])
    assert result["outcomes"][0]["usage"]["model_calls"] == 2


def test_a_team_or_a_function_can_be_a_peer() -> None:
    async def table(question: str) -> str:
        """Knows the numbers."""
        return f"looked up {question}"

    team = sequential.build([says("x", "x"), says("y", "from the team")]).compile(name="team")
    tool = create_consult_tool([team, table])
    assert "- table: Knows the numbers." in tool.description
    asker = says("asker", calls(ask("team"), ask("table", "pi")), "done", tools=[tool])
    result = run(single.build(asker))
    assert results_of(asker) == ["from the team", "looked up pi"]
    assert result["outcomes"][0]["usage"]["model_calls"] == 4


def test_peers_can_be_asked_in_any_pattern() -> None:
    def asker(name: str) -> Agent:
        return says(name, ask("peer"), "ACCEPT", tools=[create_consult_tool([says("peer", "42")])])

    assert run(parallel.build([asker("a"), asker("b")], resolve="vote"))["answer"] == "ACCEPT"
    assert "ACCEPT" in run(map_reduce.build(asker("w"), splitter=says("lines", "one")))["answer"]
    assert run(review.build(says("writer", "draft"), [asker("critic")]))["answer"] == "draft"


async def test_outside_of_an_agent_the_tool_says_that_it_cannot() -> None:
    with pytest.raises(ToolException, match="only be used by an agent"):
        await create_consult_tool([says("peer")]).ainvoke({"peer": "peer", "question": "?"})


@pytest.mark.parametrize("wrong", [[], "peer", [says("a"), says("a")]])
def test_colleagues_are_a_list_of_agents_with_different_names(wrong: Any) -> None:
    for create in (create_consult_tool, create_delegate_tool):
        with pytest.raises(ConfigurationError):
            create(wrong)


def asking_a_person_between(cap: int) -> tuple[Any, ScriptedChatModel]:
    """Return a graph whose agent asks a peer, then a person, then a peer again: five calls of models in all."""
    peer = says("peer", "one", "two")
    tools = [create_consult_tool([peer, HumanAgent("chief")])]
    asker = says("asker", ask("peer"), ask("chief"), ask("peer", "And then?"), "done", tools=tools)
    budget = Budget(model_calls=cap)
    agent = replace(asker, policy=Policy(budget=Budget()))
    graph = single.build(agent).compile(checkpointer=InMemorySaver(), name="g")
    graph.invoke({"task": "x"}, THREAD, context=Context(budget=budget))
    (request,) = graph.get_state(THREAD).interrupts
    answer = {"decisions": [{"type": "respond", "message": "go on"}]}
    result = graph.invoke(Command(resume={request.id: answer}), THREAD, context=Context(budget=budget))
    assert isinstance(asker.model, ScriptedChatModel)
    return result, asker.model


@pytest.mark.parametrize("cap", [3, 4, 5, 6, 7])
def test_a_budget_is_the_same_to_the_call_when_a_person_was_asked_between(cap: int) -> None:
    result, _ = asking_a_person_between(cap)
    usage = result["outcomes"][0]["usage"]
    assert usage["model_calls"] == min(cap, 6)
    assert (result["status"], result["answer"]) == (("completed", "done") if cap >= 6 else ("stopped", ""))
    assert usage["tool_calls"] == 3 if cap >= 5 else usage["tool_calls"] >= 2


@pytest.mark.parametrize(
    "artifact",
    [
        {"usage": {"model_calls": 99}},
        {"transfer": "writer"},
        {"orchestra": {"usage": {"model_calls": 99}, "transfer": {"to": "writer", "reason": "", "notes": ""}}},
    ],
)
def test_what_an_ordinary_tool_returns_is_never_taken_for_a_handoff_or_for_spending(artifact: Any) -> None:
    @tool(response_format="content_and_artifact")
    def look() -> tuple[str, Any]:
        """Look."""
        return "seen", artifact

    front = says("front", call("look"), "the answer of front", tools=[look])
    result = run(handoff.build([front, says("writer", "never")]))
    assert (result["answer"], len(result["outcomes"])) == ("the answer of front", 1)
    assert result["outcomes"][0]["usage"]["model_calls"] == 2
