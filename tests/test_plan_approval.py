"""A person decides about a plan: what is put to them, what they may change, and what becomes of what is done already."""

from __future__ import annotations

from typing import Any

import pytest
from langchain_core.messages import AIMessage, ToolMessage
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.types import Command

from acting import fails, says, statuses, told
from cases import TWO_PARTS, part, plan_of
from graphs import plan_execute
from nodes import Agent
from state import Context
from state.errors import InvalidAnswer
from state.graph import Pattern

THREAD: RunnableConfig = {"configurable": {"thread_id": "t"}}


def asking(planner: Agent, *workers: Any, **options: Any) -> Pattern:
    """Return a graph that waits for a person to decide about its first plan."""
    builder = plan_execute.build(workers, planner=planner, approve_plan=True, **options)
    graph = builder.compile(checkpointer=InMemorySaver(), name="g")
    assert graph.invoke({"task": "the task"}, THREAD)["status"] == "running"
    return graph


def decide(graph: Pattern, kind: str, *, context: Context | None = None, **more: Any) -> dict[str, Any]:
    (request,) = graph.get_state(THREAD).interrupts
    answer = {"decisions": [{"type": kind, **more}]}
    result: dict[str, Any] = graph.invoke(Command(resume={request.id: answer}), THREAD, context=context)
    return result


def edited(*parts: dict[str, Any]) -> dict[str, Any]:
    return {"name": "execute_plan", "args": plan_of(*parts)}


def test_nothing_is_begun_before_a_person_has_approved_and_their_answer_is_in_the_conversation() -> None:
    x = says("assistant", "of a")
    graph = asking(says("planner", TWO_PARTS), x, says("writer", "of b"), synthesizer=says("s", "done"))
    assert x.model.requests == []  # type: ignore[union-attr]
    result = decide(graph, "approve")
    assert (result["answer"], result["status"]) == ("done", "completed")
    asked, answered = result["messages"][1:3]
    assert isinstance(asked, AIMessage)
    assert isinstance(answered, ToolMessage)
    assert asked.tool_calls[0]["id"] == answered.tool_call_id


@pytest.mark.parametrize(
    ("parts", "reason"),
    [
        ([part("a", "ghost")], "names agent 'ghost'"),
        ([part("a", "x", "b"), part("b", "x", "a")], "cycle"),
        ([part("synthesizer", "x")], "cannot be used"),
        ([], "no subtasks"),
        ([{"id": "a"}], "subtasks.0.task: Field required"),
        ([part("a", "x"), part("b", "x"), part("c", "x")], "at most max_items=2"),
    ],
)
def test_an_edited_plan_that_cannot_be_executed_is_refused_and_the_request_stays_open(
    parts: list[dict[str, Any]], reason: str
) -> None:
    graph = asking(says("planner", plan_of(part("a", "x"))), says("x", "of b"))
    (before,) = graph.get_state(THREAD).interrupts
    with pytest.raises(InvalidAnswer, match=reason):
        decide(graph, "edit", edited_action=edited(*parts), context=Context(max_items=2))
    assert graph.get_state(THREAD).interrupts[0].id == before.id
    result = decide(graph, "edit", edited_action=edited(part("b", "x")))
    assert statuses(result) == {"planner": "ok", "b": "ok"}


@pytest.mark.parametrize(("kind", "reason"), [("reject", "Use no x."), ("respond", "Is x needed?")])
def test_a_plan_that_is_sent_back_is_made_anew_by_a_planner_that_knows_the_plan_and_the_reason(
    kind: str, reason: str
) -> None:
    planner = says("planner", plan_of(part("a", "x")), plan_of(part("b", "y")))
    graph = asking(planner, says("x"), says("y", "of b"))
    assert decide(graph, kind, message=reason)["status"] == "running"
    assert f"Feedback on the plan:\n- {reason}" in told(planner, 1)
    assert "Your last plan:\n- a, x: Do a." in told(planner, 1)
    result = decide(graph, "approve")
    assert (result["answer"], result["status"]) == ("of b", "completed")


def test_a_rejection_without_a_reason_is_said_to_be_one() -> None:
    planner = says("planner", plan_of(part("a", "x")), plan_of(part("a", "x")))
    decide(asking(planner, says("x")), "reject")
    assert "- Rejected, without a reason." in told(planner, 1)


def test_a_new_plan_for_what_failed_is_put_to_the_person_too_and_rejecting_it_loses_nothing_that_is_done() -> None:
    planner = says("planner", TWO_PARTS, plan_of(part("c", "writer")), plan_of(part("d", "writer")))
    graph = asking(planner, says("assistant", "of a"), fails("writer"))
    once = Context(max_rounds=1)
    assert decide(graph, "approve", context=once)["status"] == "running"
    assert decide(graph, "reject", message="No more of it.", context=once)["status"] == "running"
    result = decide(graph, "reject", message="I said no.", context=once)
    assert (result["answer"], result["status"]) == ("of a", "stopped")
    assert result["reason"] == "rejected: I said no."
    assert statuses(result) == {"planner": "ok", "a": "ok", "b": "failed", "planner#2": "ok", "planner#3": "ok"}
