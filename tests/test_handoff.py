"""Handoff: control moves and stays, every tool call beside it is answered, and a circle ends."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from langchain_core.messages import AIMessage, ToolMessage
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.types import Command, interrupt
from pydantic import BaseModel

from acting import fails, run, says, statuses, told
from graphs import handoff, single
from nodes import Agent, Policy, ScriptedChatModel
from nodes.scripted import Step, call, calls
from orchestra import start
from state import ConfigurationError, Context, open_persistence
from tools import create_handoff_tool

THREAD: RunnableConfig = {"configurable": {"thread_id": "t"}}


def to(name: str, reason: str = "It is theirs.", **more: str) -> Any:
    return call(f"transfer_to_{name}", reason=reason, **more)


def test_the_next_agent_is_told_who_handed_over_why_and_the_notes() -> None:
    b = says("b", "done")
    front = says("a", calls(to("b", "A refund.", notes="Order 7."), text="I pass you on."))
    result = run(handoff.build([front, b], entry="a"))
    assert (result["answer"], result["status"]) == ("done", "completed")
    assert told(b) == "the task\n\nHanded over by:\na: A refund.\n\nNotes:\nOrder 7.\n\nSaid by a:\nI pass you on."
    assert result["structured"]["path"] == ["a", "b"]
    assert result["structured"]["active"] == "b"


@pytest.mark.parametrize(
    ("carry", "expected"),
    [
        (handoff.only_task, "the task\n\nHanded over by:\na: Why."),
        (handoff.whole_turn, "the task\n\nHanded over by:\na: Why.\n\nNotes:\nn\n\nSaid so far:\na: Hello."),
        (lambda _: {"Own": "words"}, "the task\n\nHanded over by:\na: Why.\n\nOwn:\nwords"),
    ],
)
def test_what_else_it_is_told_is_chosen_by_a_filter(carry: Any, expected: str) -> None:
    b = says("b", "done")
    run(handoff.build([says("a", calls(to("b", "Why.", notes="n"), text="Hello.")), b], entry="a", carry=carry))
    assert told(b) == expected


def test_of_several_handoffs_the_first_is_taken_and_every_other_call_is_carried_out_and_answered() -> None:
    looked: list[str] = []

    def look(key: str) -> str:
        """Look something up."""
        looked.append(key)
        return f"found {key}"

    seen: list[Any] = []

    def back(messages: Any) -> str:
        seen.extend(messages)
        return "a again"

    a = Agent("a", tools=[look], model=ScriptedChatModel([calls(call("look", key="k"), to("b"), to("c"))]))
    result = run(handoff.build([a, says("b", "b here"), says("c")], entry="a"))
    assert (result["answer"], looked) == ("b here", ["k"])
    assert result["outcomes"][0]["usage"]["model_calls"] == 1
    assert [move["to"] for move in result["structured"]["transfers"]] == ["b"]


def test_control_stays_where_it_went_for_the_next_turn_and_an_agent_that_is_gone_gives_it_to_the_entry() -> None:
    saver = InMemorySaver()
    graph = handoff.build([says("a", to("b")), says("b", "one", "two")], entry="a").compile(
        checkpointer=saver, name="g"
    )
    assert graph.invoke({"task": "first"}, THREAD)["answer"] == "one"
    second = graph.invoke({"task": "second"}, THREAD)
    assert (second["answer"], list(statuses(second))) == ("two", ["b"])
    renamed = handoff.build([says("a", "it is me"), says("z")], entry="a").compile(checkpointer=saver, name="g")
    assert renamed.invoke({"task": "third"}, THREAD)["answer"] == "it is me"


@pytest.mark.parametrize(
    "helpless",
    [
        fails("b"),
        says("b", *[Step("late", delay=60)] * 3, policy=Policy(timeout=0.05)),
        says("b", *[AIMessage("")] * 6),
    ],
)
def test_an_agent_that_fails_hangs_or_says_nothing_gives_control_back_to_its_sender(helpless: Agent) -> None:
    a = says("a", to("b"), "I do it myself.")
    result = run(handoff.build([a, helpless], entry="a"))
    assert (result["answer"], result["status"]) == ("I do it myself.", "completed")
    assert "b failed" in result["reason"] or "b timed out" in result["reason"]
    assert told(a, 1).startswith("the task\n\nBack from:\nb: b ")


def test_it_is_given_back_once_only() -> None:
    result = run(handoff.build([says("a", to("b", "one"), to("b", "two")), fails("b")], entry="a"))
    assert (result["status"], list(statuses(result))) == ("failed", ["a", "b", "a#2", "b#2"])


def test_ping_pong_and_a_triangle_in_the_same_words_are_loops_before_the_bound() -> None:
    pair = [says("a", *[to("b", "Not mine, really.")] * 4), says("b", *[to("a", "Really not mine.")] * 4)]
    result = run(handoff.build(pair, entry="a"), max_handoffs=50)
    assert (result["status"], len(result["outcomes"])) == ("stopped", 4)
    assert result["reason"] == "loop: control went in a circle between a, b"
    three = [says(one, *[to(other)] * 4) for one, other in ("ab", "bc", "ca")]
    result = run(handoff.build(three, entry="a"), max_handoffs=50)
    assert (result["status"], len(result["outcomes"])) == ("stopped", 6)


def test_handoffs_are_bounded_and_the_best_so_far_is_given() -> None:
    steps = [calls(to("b", f"reason number {n}"), text=f"a said {n}") for n in range(9)]
    others = [calls(to("a", f"cause number {n}"), text=f"b said {n}") for n in range(9)]
    result = run(handoff.build([says("a", *steps), says("b", *others)], entry="a"))
    assert (result["status"], len(result["outcomes"])) == ("stopped", 6)
    assert result["reason"].startswith("max_handoffs_reached: 5")
    assert result["answer"] == "b said 2"


def test_a_denied_handoff_is_refused_readably_and_the_agent_goes_on() -> None:
    a = says("a", to("b"), "then I answer", policy=Policy(deny=("transfer_to_b",)))
    result = run(handoff.build([a, says("b")], entry="a"))
    assert result["answer"] == "then I answer"
    assert isinstance(a.model, ScriptedChatModel)
    assert "Denied" in next(m.text for m in a.model.requests[1].messages if isinstance(m, ToolMessage))


def test_a_tool_that_pauses_beside_a_handoff_is_answered_before_control_moves() -> None:
    asked: list[str] = []

    def ask(what: str) -> str:
        """Ask a person."""
        said = str(interrupt({"question": what}))
        asked.append(said)
        return said

    a = Agent("a", tools=[ask], model=ScriptedChatModel([calls(call("ask", what="sure?"), to("b"))]))
    b = says("b", "done")
    graph = handoff.build([a, b], entry="a").compile(checkpointer=InMemorySaver(), name="g")
    graph.invoke({"task": "t"}, THREAD)
    (request,) = graph.get_state(THREAD).interrupts
    result = graph.invoke(Command(resume={request.id: "yes"}), THREAD)
    assert (result["answer"], asked) == ("done", ["yes"])
    assert isinstance(a.model, ScriptedChatModel)
    assert len(a.model.requests) == 1


def test_functions_hand_over_by_a_structured_answer_and_own_tools_are_all_an_agent_has() -> None:
    async def front(task: str) -> dict[str, str]:
        return {"transfer_to": "b", "reason": "By rule."}

    b = says("b", "done", tools=[create_handoff_tool("front")])
    result = run(handoff.build([front, b, says("c")], entry="front"))
    assert (result["answer"], result["structured"]["transfers"][0]["reason"]) == ("done", "By rule.")
    assert isinstance(b.model, ScriptedChatModel)
    assert b.model.requests[0].tool_names == ["transfer_to_front"]


class Wish(BaseModel):
    transfer_to: str
    reason: str = ""


def test_an_agent_hands_over_by_its_tools_alone_where_it_is_decided_whether_it_may() -> None:
    front = says("front", '{"transfer_to": "boss", "reason": "x"}', response_format=Wish, policy=Policy(allow=()))
    result = run(handoff.build([front, says("boss")], entry="front"))
    assert result["structured"]["path"] == ["front"]
    assert result["structured"]["transfers"] == []


def test_control_that_moves_without_a_tool_is_in_the_audit_trail_once(tmp_path: Path) -> None:
    async def front(task: str) -> dict[str, str]:
        return {"transfer_to": "b", "reason": "By rule."}

    b = Agent("b", model=ScriptedChatModel([ValueError("broken")] * 2), policy=Policy(max_attempts=1))
    with open_persistence(tmp_path / "runs.db") as persistence:
        graph = handoff.build([front, b], entry="front").compile(name="g")
        start(graph, persistence, "t", thread="t")
        records = [
            (one.agent, one.subject, one.outcome) for one in persistence.trail.records() if one.kind == "handoff"
        ]
    there = ("front", "b", "handed over")
    assert records == [there, ("b", "front", "given back"), there]


def test_wrong_arguments_are_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"entry: expected one of \['a', 'b'\], got 'c'"):
        handoff.build([says("a"), says("b")], entry="c")
    with pytest.raises(ConfigurationError, match="transfer_to_nobody leads to nobody"):
        handoff.build([says("a", tools=[create_handoff_tool("nobody")]), says("b")], entry="a")


def test_a_team_of_desks_can_be_an_agent() -> None:
    desk = handoff.build([says("a", to("b")), says("b", "done")], entry="a").compile(name="desk")
    result = single.build(desk).compile(name="g").invoke({"task": "t"}, context=Context())
    assert [outcome["id"] for outcome in result["outcomes"][0]["children"]] == ["a", "b"]
