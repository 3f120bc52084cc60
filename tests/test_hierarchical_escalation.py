"""Hierarchical: how often a subtask is tried before it is escalated, and what a person at the top decides then."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.types import Command

from acting import fails, run, says, statuses, told
from cases import APPROVE, part, plan_of
from graphs import hierarchical
from managers import CHAIN, ESCALATE, ONE, THREAD, TWO, all_done, asked, manager, on, reassign, retry, verdicts
from nodes import HumanAgent
from state import Context, Envelope, InvalidAnswer
from state.graph import Pattern

# --- the bound


@pytest.mark.parametrize("rounds", [1, 2, 4])
def test_a_subtask_is_tried_as_often_as_there_are_rounds_and_the_last_try_is_kept(rounds: int) -> None:
    drafts = [f"draft {at}" for at in range(1, rounds + 1)]
    lead, x = manager(ONE, *[retry()] * rounds), says("x", *drafts)
    result = run(hierarchical.build([x], manager=lead), max_rounds=rounds)
    assert (result["answer"], result["status"]) == (f"draft {rounds}", "partial")
    assert result["reason"] == f"escalated: a: max_rounds_reached: not accepted in {rounds} tries: Say more."
    all_done(lead, x)


def test_a_try_that_succeeded_is_kept_when_later_ones_fail() -> None:
    x = says("x", "one", ValueError("broken"), ValueError("broken"))
    result = run(hierarchical.build([x], manager=manager(ONE, *[retry()] * 3)))
    assert (result["answer"], result["status"]) == ("one", "partial")
    assert result["structured"]["results"] == {"a": "a"}


def test_a_try_accepted_in_the_last_round_is_accepted() -> None:
    lead = manager(ONE, retry(), APPROVE)
    result = run(hierarchical.build([says("x", "one", "two")], manager=lead), max_rounds=2)
    assert (result["answer"], result["status"]) == ("two", "completed")


WORDS: dict[str, Any] = {
    "retry": retry(),
    "circle": reassign("y"),
    "unknown": reassign("nobody"),
    "escalate": ESCALATE,
    "accept": APPROVE,
    "none": "Well.",
}


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rounds=st.integers(1, 3), subtasks=st.integers(1, 3), words=st.lists(st.sampled_from(sorted(WORDS)), min_size=1))
def test_whatever_the_manager_says_the_number_of_tries_is_bounded(rounds: int, subtasks: int, words: list[str]) -> None:
    calls: Counter[str] = Counter()
    plan = plan_of(*[part(f"s{at}", "x") for at in range(subtasks)])

    async def lead(envelope: Envelope) -> dict[str, Any] | str:
        if "Draft" not in envelope.context:
            return plan if "Agents" in envelope.context else "end"
        calls["verdicts"] += 1
        said = WORDS[words[calls["verdicts"] % len(words)]]
        holder = envelope.context["Given to"][0]
        return reassign("y" if holder == "x" else "x") if said == WORDS["circle"] else said

    async def x(task: str) -> str:
        calls["tries"] += 1
        return "done"

    async def y(task: str) -> str:
        return await x(task)

    graph = hierarchical.build([x, y], manager=lead).compile(checkpointer=InMemorySaver(), name="p")
    result = graph.invoke({"task": "t"}, THREAD, context=Context(max_rounds=rounds))
    people = 0
    while requests := graph.get_state(THREAD).interrupts:
        people += 1
        answer = {"decisions": [{"type": "respond", "message": "Try it again."}]}
        result = graph.invoke(Command(resume={requests[0].id: answer}), THREAD, context=Context(max_rounds=rounds))
    assert people <= subtasks * rounds
    assert calls["tries"] == calls["verdicts"] <= subtasks * rounds * (1 + rounds)
    assert result["status"] in ("completed", "partial", "failed")


@pytest.mark.parametrize("word", ["retry", "circle", "unknown"])
def test_a_manager_that_is_never_content_costs_what_the_docstring_says(word: str) -> None:
    rounds, people = 2, 0
    lead = manager(TWO, *[WORDS[word]] * 12, "end")
    x, y = says("x", *["done"] * 12), says("y", *["done"] * 12)
    graph = hierarchical.build([x, y], manager=lead).compile(checkpointer=InMemorySaver(), name="p")
    result = graph.invoke({"task": "t"}, THREAD, context=Context(max_rounds=rounds))
    while requests := graph.get_state(THREAD).interrupts:
        people += 1
        answer = {"decisions": [{"type": "respond", "message": "Again."}]}
        result = graph.invoke(Command(resume={requests[0].id: answer}), THREAD, context=Context(max_rounds=rounds))
    tries = 2 * rounds * (1 + rounds)
    assert (people, asked(x) + asked(y)) == (2 * rounds, tries)
    assert asked(lead) == 2 + tries
    assert (result["answer"], result["status"]) == ("end", "partial")


# --- a person at the top


def paused(*steps: Any, plan: Any = ONE, **workers: Any) -> tuple[Pattern, str, dict[str, Any]]:
    """Return a graph that waits for a person, with the request's id and its action."""
    x, y = workers.get("x") or says("x", "one", "two"), workers.get("y") or says("y", "of b")
    lead = manager(plan, *steps)
    graph = hierarchical.build([x, y], manager=lead).compile(checkpointer=InMemorySaver(), name="p")
    assert "__interrupt__" in graph.invoke({"task": "t"}, THREAD)
    (request,) = graph.get_state(THREAD).interrupts
    return graph, request.id, request.value["action_requests"][0]


def decide(graph: Pattern, request: str, kind: str, **more: Any) -> dict[str, Any]:
    result: dict[str, Any] = graph.invoke(Command(resume={request: {"decisions": [{"type": kind, **more}]}}), THREAD)
    return result


def edited(**args: Any) -> dict[str, Any]:
    return {"edited_action": {"name": "resolve_escalation", "args": args}}


def test_at_the_top_a_person_is_asked_what_is_to_become_of_it() -> None:
    graph, _, action = paused(ESCALATE)
    assert action["name"] == "resolve_escalation"
    assert action["args"] == {"subtask": "a", "agent": "x", "task": "Do a."}
    assert "a could not be done: Nobody here knows." in action["description"]
    (request,) = graph.get_state(THREAD).interrupts
    assert request.value["review_configs"][0]["allowed_decisions"] == ["approve", "edit", "reject", "respond"]
    announced = graph.get_state(THREAD).values["messages"][-1]
    assert announced.tool_calls[0]["args"] == action["args"]


def test_a_person_may_approve_what_there_is_and_others_build_on_it() -> None:
    y = says("y", "of b")
    graph, request, _ = paused(ESCALATE, APPROVE, "end", plan=CHAIN, y=y)
    result = decide(graph, request, "approve")
    assert (result["answer"], result["status"], result["reason"]) == ("end", "completed", "")
    assert told(y) == "Do b.\n\nContext from a (Do a.):\none"
    assert verdicts(result)[:2] == [("a", "manager", "escalate"), ("a", "person", "approve")]


def test_a_failure_that_a_person_approves_is_gone_on_without() -> None:
    graph, request, _ = paused(on("a", ESCALATE), on("b", APPROVE), plan=TWO, x=fails("x"))
    result = decide(graph, request, "approve")
    assert (result["answer"], result["status"]) == ("of b", "partial")
    assert result["reason"] == "escalated: a: Nobody here knows."


@pytest.mark.parametrize(("said", "why"), [("Not worth it.", "Not worth it."), (None, "Nobody here knows.")])
def test_what_a_person_rejects_is_given_up_with_their_reason(said: str | None, why: str) -> None:
    graph, request, _ = paused(on("a", ESCALATE), on("b", APPROVE), plan=TWO)
    result = decide(graph, request, "reject", message=said)
    assert (result["answer"], result["status"]) == ("of b", "partial")
    assert result["reason"] == f"escalated: a: given up by a person: {why}"
    assert result["structured"]["results"] == {"b": "b"}


def test_a_try_that_ran_out_of_rounds_is_not_used_when_a_person_rejects_it() -> None:
    graph, request, _ = paused(*[retry()] * 3, x=says("x", "one", "two", "three"))
    result = decide(graph, request, "reject")
    assert (result["answer"], result["status"]) == ("", "failed")


def test_advice_of_a_person_reaches_the_worker() -> None:
    x = says("x", "one", "two")
    graph, request, _ = paused(ESCALATE, APPROVE, x=x)
    result = decide(graph, request, "respond", message="Look in the archive.")
    assert (result["answer"], result["status"], result["structured"]["escalated"]) == ("two", "completed", {})
    assert told(x, 1) == "Do a.\n\nLast try:\none\n\nFeedback on try 1:\nLook in the archive."
    assert result["structured"]["verdicts"][1]["feedback"] == "Look in the archive."


def test_a_person_may_give_the_subtask_to_another_agent_in_other_words() -> None:
    y = says("y", "by y")
    graph, request, _ = paused(ESCALATE, APPROVE, y=y)
    result = decide(graph, request, "edit", **edited(subtask="zzz", agent="y", task="Do half of a."))
    assert (result["answer"], result["status"]) == ("by y", "completed")
    assert told(y).startswith("Do half of a.\n\nLast try:\none\n\nFeedback on try 1:\nA person changed the subtask.")
    assert result["structured"]["plan"]["subtasks"][0]["agent"] == "y"
    assert result["structured"]["verdicts"][1]["agent"] == "y"


@pytest.mark.parametrize("args", [{"agent": "nobody"}, {"agent": None}, {"agent": ["y"]}, {"task": " "}, {"task": 7}])
def test_an_edit_that_cannot_be_carried_out_is_refused_and_the_request_stays_open(args: dict[str, Any]) -> None:
    graph, request, _ = paused(ESCALATE, APPROVE)
    with pytest.raises(InvalidAnswer, match=f"{next(iter(args))}: expected .* still open"):
        decide(graph, request, "edit", **edited(**args))
    assert [one.id for one in graph.get_state(THREAD).interrupts] == [request]
    assert decide(graph, request, "respond", message="Again.")["answer"] == "two"


def test_several_escalated_subtasks_are_put_to_a_person_one_after_the_other() -> None:
    graph, first, action = paused(on("a", ESCALATE), on("b", ESCALATE), "end", plan=TWO)
    assert action["args"]["subtask"] == "a"
    assert "__interrupt__" in decide(graph, first, "approve")
    (second,) = graph.get_state(THREAD).interrupts
    assert second.value["action_requests"][0]["args"]["subtask"] == "b"
    assert decide(graph, second.id, "approve")["answer"] == "end"


def test_a_person_is_asked_about_a_subtask_as_often_as_there_are_rounds() -> None:
    x, lead = says("x", "one", "two", "three"), manager(ONE, *[ESCALATE] * 3)
    graph = hierarchical.build([x], manager=lead).compile(checkpointer=InMemorySaver(), name="p")
    result = graph.invoke({"task": "t"}, THREAD, context=Context(max_rounds=2))
    for _ in range(2):
        (request,) = graph.get_state(THREAD).interrupts
        answer = {"decisions": [{"type": "respond", "message": "Try it again."}]}
        result = graph.invoke(Command(resume={request.id: answer}), THREAD, context=Context(max_rounds=2))
    assert graph.get_state(THREAD).interrupts == ()
    assert (result["status"], result["reason"]) == ("failed", "escalated: a: Nobody here knows.")


def test_an_answer_is_asked_for_only_when_all_is_settled_and_others_go_on_meanwhile() -> None:
    y = says("y", "of b", "of c")
    plan = plan_of(part("a", "x"), part("b", "y"), part("c", "y", "b"))
    graph, request, _ = paused(on("a", ESCALATE), on("b", APPROVE), on("c", APPROVE), "end", plan=plan, y=y)
    assert len(y.model.requests) == 2, "what does not depend on the escalated one is done before a person is asked"  # type: ignore[union-attr]
    assert decide(graph, request, "reject")["answer"] == "end"


# --- pauses and turns


def test_two_people_at_once_are_answered_one_by_one() -> None:
    lead = manager(TWO, on("a", APPROVE), on("b", retry("Really?")), on("b", APPROVE), "end")
    people = [HumanAgent("x"), HumanAgent("y")]
    graph = hierarchical.build(people, manager=lead).compile(checkpointer=InMemorySaver(), name="p")
    graph.invoke({"task": "t"}, THREAD)

    def open_requests() -> dict[str, str]:
        return {one.value["action_requests"][0]["name"]: one.id for one in graph.get_state(THREAD).interrupts}

    assert set(open_requests()) == {"x", "y"}
    decide(graph, open_requests()["y"], "respond", message="from y")
    assert set(open_requests()) == {"x"}
    decide(graph, open_requests()["x"], "respond", message="from x")
    assert set(open_requests()) == {"y"}
    result = decide(graph, open_requests()["y"], "respond", message="from y, again")
    assert (result["answer"], result["status"]) == ("end", "completed")
    assert "from x" in told(lead, 4)
    assert "from y, again" in told(lead, 4)


def test_a_second_turn_knows_nothing_of_what_was_escalated_in_the_first() -> None:
    lead = manager(ONE, ESCALATE, ONE, APPROVE)
    graph = hierarchical.build([says("x", "one", "two")], manager=lead).compile(checkpointer=InMemorySaver(), name="p")
    graph.invoke({"task": "first"}, THREAD)
    (request,) = graph.get_state(THREAD).interrupts
    assert decide(graph, request.id, "reject", message="No.")["status"] == "failed"
    result = graph.invoke({"task": "second"}, THREAD)
    assert (result["answer"], result["status"], list(statuses(result))) == (
        "two",
        "completed",
        ["manager", "a", "manager#2"],
    )
    assert verdicts(result) == [("a", "manager", "accept")]
