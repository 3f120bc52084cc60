"""People: a wrong answer is refused and the request stays open, several requests wait side by side, each with its id."""

from __future__ import annotations

from typing import Any

import pytest
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.graph import END, START
from langgraph.types import Command

from graphs import map_reduce, parallel, sequential, single
from nodes import Agent, HumanAgent, Policy, ScriptedChatModel
from nodes.approval import ask_about_proposal, propose
from nodes.human import DecisionType, ask
from nodes.turn import begin_node, conclude
from state import InvalidAnswer, TaskState, UnknownRequest
from state.graph import Pattern, PatternBuilder

CONFIG: Any = {"configurable": {"thread_id": "t"}}
EDITED = {"name": "send", "args": {"to": "b"}}


def decide(kind: str, **more: Any) -> dict[str, Any]:
    return {"decisions": [{"type": kind, **more}]}


def respond(text: str) -> dict[str, Any]:
    return decide("respond", message=text)


def asking(*allowed: DecisionType) -> Pattern:
    """Return a graph that asks about one action and says what was decided."""

    async def gate(state: TaskState) -> dict[str, Any]:
        decision = ask("send", {"to": "a"}, "Shall I?", allowed)
        said = f"{decision.type} {decision.message} {decision.edited_action.args if decision.edited_action else None}"
        return conclude(state, said, status="completed")

    builder = PatternBuilder()
    builder.add_node("begin", begin_node())
    builder.add_node("gate", gate)
    builder.add_edge(START, "begin")
    builder.add_edge("begin", "gate")
    builder.add_edge("gate", END)
    return builder.compile(InMemorySaver(), name="asking")


def open_requests(graph: Pattern) -> dict[str, str]:
    """Return the ids of the open requests by what they ask about."""
    found = graph.get_state(CONFIG).interrupts
    return {one.value["action_requests"][0]["name"]: one.id for one in found}


def answer(graph: Pattern, decision: Any, *, about: str = "") -> dict[str, Any]:
    requests = open_requests(graph)
    result: dict[str, Any] = graph.invoke(Command(resume={requests[about or next(iter(requests))]: decision}), CONFIG)
    return result


WRONG = [
    "approve",
    "yes",
    5,
    [],
    {},
    {"decisions": []},
    {"decisions": "approve"},
    {"decisions": [{}]},
    {"decisions": ["approve"]},
    decide("accept"),
    decide("approve"),
    decide("respond"),
    decide("respond", message="  "),
    decide("respond", message=["hello"]),
    decide("respond", message="hello", force=True),
    {"decisions": [{"type": "respond", "message": "a"}, {"type": "respond", "message": "b"}]},
    {"decisions": [{"type": "respond", "message": "a"}], "more": 1},
    {"type": "approve"},
    {"type": "respond"},
    {"type": "respond", "message": "a", "more": 1},
    {"type": "respond", "message": "a", "decisions": []},
    {"type": ["respond"]},
]


@pytest.mark.parametrize("wrong", WRONG, ids=repr)
def test_a_wrong_answer_is_refused_and_the_request_can_still_be_answered(wrong: Any) -> None:
    graph = single.build(HumanAgent("person")).compile(InMemorySaver(), name="g")
    graph.invoke({"task": "What now?"}, CONFIG)
    before = open_requests(graph)
    for _ in range(2):
        with pytest.raises(InvalidAnswer, match=r"request of person: .*the request is still open"):
            answer(graph, wrong)
        assert open_requests(graph) == before
    result = answer(graph, respond("this"))
    assert (result["answer"], result["status"]) == ("this", "completed")
    assert graph.get_state(CONFIG).tasks == ()


@pytest.mark.parametrize("wrong", [decide("edit"), decide("edit", edited_action={"name": "send"}), decide("reject")])
def test_an_answer_that_lacks_what_its_type_needs_is_refused(wrong: Any) -> None:
    graph = asking("approve", "edit")
    graph.invoke({"task": "t"}, CONFIG)
    with pytest.raises(InvalidAnswer, match=r"Expected .*'approve' or 'edit'"):
        answer(graph, wrong)
    assert answer(graph, decide("edit", edited_action=EDITED))["answer"] == "edit None {'to': 'b'}"


@pytest.mark.parametrize(
    ("decision", "said"),
    [
        (decide("approve"), "approve None None"),
        (decide("edit", edited_action=EDITED), "edit None {'to': 'b'}"),
        (decide("reject", message="no"), "reject no None"),
        (decide("reject"), "reject None None"),
        (respond("later"), "respond later None"),
    ],
)
def test_each_of_the_four_decisions_arrives_as_it_was_made(decision: dict[str, Any], said: str) -> None:
    graph = asking("approve", "edit", "reject", "respond")
    graph.invoke({"task": "t"}, CONFIG)
    assert answer(graph, decision)["answer"] == said


def test_a_lone_decision_answers_a_request_about_one_action() -> None:
    graph = asking("approve", "edit")
    graph.invoke({"task": "t"}, CONFIG)
    assert answer(graph, {"type": "edit", "edited_action": EDITED})["answer"] == "edit None {'to': 'b'}"


def test_the_form_that_clients_are_shown_needs_a_decision_and_nothing_else() -> None:
    graph = asking("approve", "edit")
    graph.invoke({"task": "t"}, CONFIG)
    (request,) = graph.get_state(CONFIG).interrupts
    schema: Any = request.response_schema
    assert set(schema["properties"]) == {"decisions"}
    assert (schema["required"], schema["properties"]["decisions"]["minItems"]) == (["decisions"], 1)


@pytest.mark.parametrize("late", [respond("R"), {"type": "respond", "message": "R"}])
def test_of_two_answers_to_one_request_the_second_loses_three_levels_down(late: Any) -> None:
    inner = single.build(sequential.build([HumanAgent("first"), HumanAgent("second")]).compile(name="inner"))
    graph = single.build(inner.compile(name="middle")).compile(InMemorySaver(), name="g")
    graph.invoke({"task": "t"}, CONFIG)
    first = open_requests(graph)["first"]
    answer(graph, respond("one"))
    with pytest.raises(UnknownRequest):  # delivered again, it is not taken for an answer to the next question
        graph.invoke(Command(resume={first: late}), CONFIG)
    assert set(open_requests(graph)) == {"second"}
    assert answer(graph, respond("two"))["answer"] == "two"


def test_a_refusal_says_nothing_of_what_was_sent() -> None:
    graph = asking("approve")
    graph.invoke({"task": "t"}, CONFIG)
    with pytest.raises(InvalidAnswer) as caught:
        answer(graph, decide("approve", password="hunter2"))
    assert "hunter2" not in str(caught.value)


def test_a_request_has_the_form_that_chat_clients_show() -> None:
    person = HumanAgent("editor in chief", prompt="Please decide.")
    graph = sequential.build([Agent("a", model=ScriptedChatModel(["draft"])), person]).compile(
        InMemorySaver(), name="g"
    )
    graph.invoke({"task": "Print it?"}, CONFIG)
    (request,) = graph.get_state(CONFIG).interrupts
    assert request.value == {
        "action_requests": [
            {
                "name": "editor in chief",
                "args": {"task": "Print it?", "Context from a": "draft"},
                "description": "Please decide.\n\nPrint it?\n\nContext from a:\ndraft",
            }
        ],
        "review_configs": [{"action_name": "editor in chief", "allowed_decisions": ["respond"]}],
        "about": {"agent": "editor in chief", "step": "editor in chief"},
    }


# --- several at once


def two_people() -> Pattern:
    people = [HumanAgent("ann"), HumanAgent("bob")]
    return parallel.build([*people, Agent("c", model=ScriptedChatModel(["third"]))]).compile(InMemorySaver(), name="p")


def test_two_people_are_asked_at_once_and_answered_in_one_command() -> None:
    graph = two_people()
    graph.invoke({"task": "t"}, CONFIG)
    asked = open_requests(graph)
    assert set(asked) == {"ann", "bob"}
    both = {asked["bob"]: respond("from bob"), asked["ann"]: respond("from ann")}
    result = graph.invoke(Command(resume=both), CONFIG)
    assert result["structured"] == {"parts": {"ann": "from ann", "bob": "from bob", "c": "third"}}
    assert result["status"] == "completed"


@pytest.mark.parametrize("order", [("ann", "bob"), ("bob", "ann")])
def test_two_people_are_answered_one_after_the_other_in_any_order(order: tuple[str, str]) -> None:
    graph = two_people()
    graph.invoke({"task": "t"}, CONFIG)
    first, second = order
    paused = answer(graph, respond(f"from {first}"), about=first)
    assert "__interrupt__" in paused
    assert set(open_requests(graph)) == {second}
    result = answer(graph, respond(f"from {second}"), about=second)
    assert result["structured"] == {"parts": {"ann": "from ann", "bob": "from bob", "c": "third"}}


def test_a_wrong_answer_beside_a_right_one_does_not_lose_the_right_one() -> None:
    graph = two_people()
    graph.invoke({"task": "t"}, CONFIG)
    asked = open_requests(graph)
    mixed = {asked["ann"]: respond("from ann"), asked["bob"]: decide("approve")}
    with pytest.raises(InvalidAnswer, match="request of bob"):
        graph.invoke(Command(resume=mixed), CONFIG)
    left = open_requests(graph)
    assert "bob" in left
    rest = {left["bob"]: respond("from bob")} | ({left["ann"]: respond("from ann")} if "ann" in left else {})
    result = graph.invoke(Command(resume=rest), CONFIG)
    assert result["structured"] == {"parts": {"ann": "from ann", "bob": "from bob", "c": "third"}}


def test_people_three_levels_down_and_side_by_side_are_answered_by_id() -> None:
    def team(name: str) -> Any:
        inner = sequential.build([HumanAgent(f"{name} person")]).compile(name=f"{name} inner")
        return single.build(inner).compile(name=name)

    graph = parallel.build([team("left"), team("right")]).compile(InMemorySaver(), name="p")
    graph.invoke({"task": "t"}, CONFIG)
    assert set(open_requests(graph)) == {"left person", "right person"}
    with pytest.raises(InvalidAnswer):
        answer(graph, "yes", about="right person")
    answer(graph, respond("R"), about="right person")
    result = answer(graph, respond("L"), about="left person")
    assert result["structured"] == {"parts": {"left": "L", "right": "R"}}


def test_a_person_works_on_each_item_of_a_map() -> None:
    lines = Agent("lines", model=ScriptedChatModel(["x\ny\nz"]))
    graph = map_reduce.build(HumanAgent("person"), splitter=lines).compile(InMemorySaver(), name="m")
    graph.invoke({"task": "t"}, CONFIG)
    requests = graph.get_state(CONFIG).interrupts
    tasks = {one.value["action_requests"][0]["args"]["task"]: one.id for one in requests}
    result = graph.invoke(Command(resume={tasks[item]: respond(f"of {item}") for item in "zyx"}), CONFIG)
    assert result["answer"] == "## x\n\nof x\n\n## y\n\nof y\n\n## z\n\nof z"


def test_a_person_may_stand_in_for_an_agent_that_failed() -> None:
    person = HumanAgent("person")
    broken = ScriptedChatModel([ValueError("x")] * 3)  # it is tried again each time the thread is taken up
    agent = Agent("a", model=broken, policy=Policy(fallback=(person,)))
    graph = single.build(agent).compile(InMemorySaver(), name="g")
    graph.invoke({"task": "t"}, CONFIG)
    with pytest.raises(InvalidAnswer):
        answer(graph, "no")
    result = answer(graph, respond("I will do it"))
    assert (result["answer"], result["outcomes"][0]["agent"]) == ("I will do it", "person")


# --- in storage, and in conversation


def test_a_request_outlives_its_process(tmp_path: Any) -> None:
    path = str(tmp_path / "runs.db")
    with SqliteSaver.from_conn_string(path) as saver:
        single.build(HumanAgent("person")).compile(saver, name="g").invoke({"task": "t"}, CONFIG)
    with SqliteSaver.from_conn_string(path) as saver:
        graph = single.build(HumanAgent("person")).compile(saver, name="g")
        with pytest.raises(InvalidAnswer):
            answer(graph, {"decisions": "no"})
    with SqliteSaver.from_conn_string(path) as saver:
        graph = single.build(HumanAgent("person")).compile(saver, name="g")
        assert answer(graph, respond("still here"))["answer"] == "still here"


@pytest.mark.parametrize(
    ("decision", "text", "status"),
    [
        (decide("approve"), "Approved.", "success"),
        (decide("reject", message="Too long."), "Rejected. Too long.", "error"),
        (respond("Why?"), "Answered. Why?", "success"),
        (decide("edit", edited_action=EDITED), "Approved with changes.", "success"),
    ],
)
def test_an_announced_action_is_answered_in_the_conversation(decision: Any, text: str, status: str) -> None:
    async def announce(state: TaskState) -> dict[str, Any]:
        return propose(state, "send", {"to": "a"}, "I want to send it.")

    async def gate(state: TaskState) -> dict[str, Any]:
        return ask_about_proposal(state, "Shall I?")[1]

    builder = PatternBuilder()
    builder.add_node("begin", begin_node())
    builder.add_node("announce", announce)
    builder.add_node("gate", gate)
    builder.add_edge(START, "begin")
    builder.add_edge("begin", "announce")
    builder.add_edge("announce", "gate")
    builder.add_edge("gate", END)
    graph = builder.compile(InMemorySaver(), name="g")
    graph.invoke({"task": "t"}, CONFIG)
    task, said, answered = answer(graph, decision)["messages"]
    assert isinstance(task, HumanMessage)
    assert isinstance(said, AIMessage)
    assert isinstance(answered, ToolMessage)
    assert (answered.text, answered.status) == (text, status)
    assert answered.tool_call_id == said.tool_calls[0]["id"]
