"""Hierarchical: what follows from each verdict, who is asked, what bounds the tries, and teams of teams."""

from __future__ import annotations

from collections import Counter
from contextlib import aclosing
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver
from langgraph.types import Command

from acting import fails, run, says, statuses, told
from cases import APPROVE, part, plan_of
from graphs import hierarchical, review, single
from nodes import Agent, HumanAgent, Policy, ScriptedChatModel
from nodes.planning import ASKED
from nodes.scripted import Step
from state import Budget, ConfigurationError, Context, Envelope, InvalidAnswer
from state.graph import Pattern

THREAD: RunnableConfig = {"configurable": {"thread_id": "t"}}
ESCALATE = {"verdict": "escalate", "feedback": "Nobody here knows."}
ONE = plan_of(part("a", "x"))
TWO = plan_of(part("a", "x"), part("b", "y"))
CHAIN = plan_of(part("a", "x"), part("b", "y", "a"))


def retry(feedback: str = "Say more.") -> dict[str, Any]:
    return {"verdict": "retry", "feedback": feedback}


def reassign(agent: str, feedback: str = "") -> dict[str, Any]:
    return {"verdict": "reassign", "agent": agent, "feedback": feedback}


def manager(*steps: Any, name: str = "manager") -> Agent:
    return says(name, *steps)


def on(name: str, verdict: Any) -> Step:
    """Return a verdict on one subtask, whichever comes first."""
    return Step(verdict, match=lambda messages: messages[-1].text.startswith(f"Do {name}."))


def team(name: str, lead: Agent, *workers: Any, **options: Any) -> Pattern:
    return hierarchical.build(workers, manager=lead, **options).compile(name=name)


def verdicts(result: dict[str, Any]) -> list[tuple[str, str, str]]:
    return [(one["outcome"], one["by"], one["verdict"]) for one in result["structured"]["verdicts"]]


def asked(lead: Agent) -> int:
    assert isinstance(lead.model, ScriptedChatModel)
    return len(lead.model.requests)


def all_done(*agents: Agent) -> None:
    for agent in agents:
        assert isinstance(agent.model, ScriptedChatModel)
        agent.model.assert_done()


# --- the verdicts


def test_a_manager_plans_judges_each_result_and_answers_from_what_it_accepted() -> None:
    lead, x, y = manager(CHAIN, APPROVE, APPROVE, "the answer"), says("x", "of a"), says("y", "of b")
    result = run(hierarchical.build([x, y], manager=lead))
    assert (result["answer"], result["status"], result["reason"]) == ("the answer", "completed", "")
    assert list(statuses(result)) == ["manager", "a", "manager#2", "b", "manager#3", "manager#4"]
    assert verdicts(result) == [("a", "manager", "accept"), ("b", "manager", "accept")]
    assert (result["structured"]["results"], result["structured"]["escalated"]) == ({"a": "a", "b": "b"}, {})
    all_done(lead, x, y)


def test_a_single_accepted_result_is_the_answer_without_another_call() -> None:
    lead = manager(ONE, APPROVE)
    result = run(hierarchical.build([says("x", "of a")], manager=lead))
    assert (result["answer"], result["status"], asked(lead)) == ("of a", "completed", 2)


def test_a_worker_that_is_to_try_again_is_told_its_last_try_and_the_feedback() -> None:
    lead, x = manager(ONE, retry("Name the year."), retry("And the place."), APPROVE), says("x", "one", "two", "three")
    result = run(hierarchical.build([x], manager=lead))
    assert (result["answer"], result["status"]) == ("three", "completed")
    assert list(statuses(result)) == ["manager", "a", "manager#2", "a#2", "manager#3", "a#3", "manager#4"]
    assert told(x, 1) == "Do a.\n\nLast try:\none\n\nFeedback on try 1:\nName the year."
    assert told(x, 2) == "Do a.\n\nLast try:\ntwo\n\nFeedback on try 2:\nAnd the place."
    assert "Given to:\nx, try 2 of 3" in told(lead, 2)
    assert "Your feedback on the try before:\nName the year." in told(lead, 2)
    assert result["structured"]["results"] == {"a": "a#3"}


def test_a_worker_that_says_the_same_again_is_still_tried_again() -> None:
    result = run(
        hierarchical.build([says("x", "same", "same", "same")], manager=manager(ONE, *[retry("")] * 2, APPROVE))
    )
    assert list(statuses(result)).count("a#3") == 1
    assert result["status"] == "completed"


def test_a_reassigned_subtask_is_done_by_the_other_worker_who_is_told_of_the_last_try() -> None:
    lead, y = manager(ONE, reassign("y", "It needs figures."), APPROVE), says("y", "by y")
    result = run(hierarchical.build([says("x", "by x"), y], manager=lead))
    assert (result["answer"], result["status"]) == ("by y", "completed")
    assert {outcome["id"]: outcome["agent"] for outcome in result["outcomes"]}["a#2"] == "y"
    assert told(y) == "Do a.\n\nLast try:\nby x\n\nFeedback on try 1:\nIt needs figures."
    assert "Given to:\ny, try 2 of 3" in told(lead, 2)


@pytest.mark.parametrize("name", ["Y", " `y` ", '"y"', "**y**"])
def test_a_worker_is_found_by_its_name_in_other_case_quotes_or_markup(name: str) -> None:
    result = run(
        hierarchical.build([says("x", "by x"), says("y", "by y")], manager=manager(ONE, reassign(name), APPROVE))
    )
    assert result["answer"] == "by y"


@pytest.mark.parametrize("name", ["nobody", "", "manager"])
def test_to_reassign_to_nobody_known_is_to_retry_and_the_manager_is_told(name: str) -> None:
    lead = manager(ONE, reassign(name, "Try it."), APPROVE)
    result = run(hierarchical.build([says("x", "one", "two"), says("y")], manager=lead))
    assert (result["answer"], result["status"]) == ("two", "completed")
    assert verdicts(result)[0] == ("a", "manager", "retry")
    assert f"Your feedback on the try before:\nTry it. (there is no {name!r})" in told(lead, 2)
    assert "Agents:\n- x\n- y" in told(lead, 2)


def test_to_reassign_to_the_same_worker_is_another_try() -> None:
    result = run(hierarchical.build([says("x", "one", "two")], manager=manager(ONE, reassign("x"), APPROVE)))
    assert (result["answer"], list(statuses(result))[3]) == ("two", "a#2")


@pytest.mark.parametrize("feedback", ["Nobody here knows.", ""])
def test_what_is_escalated_at_the_top_without_a_checkpointer_is_left_out_with_the_reason(feedback: str) -> None:
    lead = manager(TWO, on("a", {"verdict": "escalate", "feedback": feedback}), on("b", APPROVE))
    result = run(hierarchical.build([says("x", "secret of a"), says("y", "of b")], manager=lead))
    assert "__interrupt__" not in result
    assert (result["answer"], result["status"]) == ("of b", "partial")
    assert result["reason"].startswith(f"escalated: a: {feedback}")
    assert result["structured"]["results"] == {"b": "b"}


def test_a_run_of_which_all_is_escalated_has_failed() -> None:
    result = run(hierarchical.build([says("x", "of a")], manager=manager(ONE, ESCALATE)))
    assert (result["answer"], result["status"]) == ("", "failed")
    assert result["reason"] == "escalated: a: Nobody here knows."


def test_a_failed_result_can_be_retried_reassigned_or_gone_on_without() -> None:
    lead = manager(ONE, retry(), reassign("y"), APPROVE)
    result = run(hierarchical.build([says("x", *[ValueError("broken")] * 2), says("y", "by y")], manager=lead))
    assert (result["answer"], result["status"]) == ("by y", "completed")
    assert "Draft:\na failed (ValueError: broken)" in told(lead, 1)
    assert result["structured"]["verdicts"][0]["verdict"] == "retry"
    lead = manager(plan_of(part("a", "x"), part("b", "y"), part("c", "y", "a")), on("a", APPROVE), on("b", APPROVE))
    result = run(hierarchical.build([fails("x"), says("y", "of b")], manager=lead))
    assert (result["answer"], result["status"]) == ("of b", "partial")
    assert result["reason"] == (
        "escalated: a: nothing more is built on it: a failed (ValueError: broken); not begun: c"
    )


def test_what_a_worker_was_skipped_for_on_purpose_can_be_built_on_and_is_said() -> None:
    lenient = says("x", *[ValueError("broken")] * 5, policy=Policy(on_failure="skip"))
    result = run(hierarchical.build([lenient, says("y", "of b")], manager=manager(CHAIN, APPROVE, APPROVE)))
    assert (result["answer"], result["status"]) == ("of b", "partial")
    assert result["reason"] == "a skipped (ValueError: broken)"


def test_verdicts_on_several_results_are_asked_for_at_once_and_go_to_the_right_result() -> None:
    parts = [part(name, "x") for name in "abcd"]
    sent = [on("d", retry("d is wrong")), on("b", retry("b is wrong")), on("a", APPROVE), on("c", APPROVE)]
    lead = manager(plan_of(*parts), *sent, on("b", APPROVE), on("d", APPROVE), "end")
    x = says("x", *[Step(f"{name}{at}", match=f"Do {name}.") for name in "abcd" for at in (1, 2)])
    result = run(hierarchical.build([x], manager=lead))
    assert (result["answer"], result["status"]) == ("end", "completed")
    assert result["structured"]["results"] == {"a": "a", "b": "b#2", "c": "c", "d": "d#2"}
    assert "Result of b (Do b.):\nb2" in told(lead, 7)
    again = [request.messages[-1].text for request in x.model.requests[4:]]  # type: ignore[union-attr]
    assert sorted(again) == [
        "Do b.\n\nLast try:\nb1\n\nFeedback on try 1:\nb is wrong",
        "Do d.\n\nLast try:\nd1\n\nFeedback on try 1:\nd is wrong",
    ]


def test_what_depends_on_a_result_begins_only_when_that_is_accepted_and_gets_what_was_accepted() -> None:
    y = says("y", "of b")
    result = run(
        hierarchical.build([says("x", "bad", "good"), y], manager=manager(CHAIN, retry(), APPROVE, APPROVE, "end"))
    )
    assert list(statuses(result)) == ["manager", "a", "manager#2", "a#2", "manager#3", "b", "manager#4", "manager#5"]
    assert told(y) == "Do b.\n\nContext from a (Do a.):\ngood"


def test_accepted_results_are_not_made_again_when_others_are_tried_again() -> None:
    plan = plan_of(part("a", "x"), part("b", "y"), part("c", "y", "a"))
    lead = manager(plan, on("a", APPROVE), on("b", retry()), on("b", APPROVE), on("c", APPROVE), "end")
    x, y = says("x", "of a"), says("y", "b1", Step("b2", match="Do b."), Step("of c", match="Do c."))
    assert run(hierarchical.build([x, y], manager=lead))["status"] == "completed"
    all_done(lead, x, y)


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


# --- teams


def test_what_a_team_escalates_reaches_the_manager_around_it_as_a_failure_with_its_reason() -> None:
    inner = team("team", manager(ONE, ESCALATE, name="boss"), says("x", "of a"))
    lead = manager(plan_of(part("q", "team")), reassign("z"), APPROVE)
    graph = hierarchical.build([inner, says("z", "by z")], manager=lead).compile(checkpointer=InMemorySaver(), name="p")
    result = graph.invoke({"task": "t"}, THREAD)
    assert graph.get_state(THREAD).interrupts == (), "its own manager judges before any person is asked"
    assert "Draft:\nq failed (TeamFailed: escalated: a: Nobody here knows.)" in told(lead, 1)
    assert (result["answer"], result["status"]) == ("by z", "completed")
    assert statuses(result)["q"] == "failed"


def test_a_manager_is_told_what_the_work_of_a_team_lacks_and_so_is_the_user() -> None:
    boss = manager(TWO, on("a", ESCALATE), on("b", APPROVE), name="boss")
    inner = team("team", boss, says("x", "of a"), says("y", "of b"))
    lead = manager(plan_of(part("q", "team")), APPROVE)
    result = run(hierarchical.build([inner], manager=lead))
    why = "q done in part (TeamPartial: escalated: a: Nobody here knows.)"
    assert "Draft:\nof b\n\nWhat the draft lacks:\n" + why in told(lead, 1)
    assert (result["answer"], result["status"], result["reason"]) == ("of b", "partial", why)


def test_what_a_team_had_when_it_was_stopped_is_used_if_the_manager_accepts_it_and_not_if_it_escalates_it() -> None:
    unhappy = {"verdict": "revise", "issues": ["Too short."], "score": 0.2}

    def reviewers() -> Pattern:
        return review.build(says("w", "draft"), [says("c", unhappy)]).compile(name="x")

    lead = manager(TWO, on("a", APPROVE), on("b", APPROVE), "end")
    result = run(hierarchical.build([reviewers(), says("y", "of b")], manager=lead), max_rounds=1)
    assert "Draft:\ndraft\n\nWhat the draft lacks:\na stopped (TeamStopped: max_rounds_reached" in told(lead, 1)
    assert (result["answer"], result["status"]) == ("end", "partial")
    assert "Result of a (Do a.):\ndraft" in told(lead, 3)
    result = run(hierarchical.build([reviewers()], manager=manager(ONE, APPROVE)), max_rounds=1)
    assert (result["answer"], result["status"]) == ("draft", "stopped")
    assert "max_rounds_reached" in result["reason"]
    result = run(hierarchical.build([reviewers()], manager=manager(ONE, ESCALATE)), max_rounds=1)
    assert result["answer"] == ""


def test_a_whole_result_is_kept_before_partial_work_of_a_later_try() -> None:
    happy, unhappy = {"verdict": "accept", "score": 1.0}, {"verdict": "revise", "issues": ["Too short."], "score": 0.2}
    reviewers = review.build(says("w", "whole", "part", "piece"), [says("c", happy, unhappy, unhappy)]).compile(
        name="x"
    )
    result = run(hierarchical.build([reviewers], manager=manager(ONE, retry(), APPROVE)), max_rounds=2)
    assert statuses(result)["a#2"] == "stopped"
    assert (result["answer"], result["status"]) == ("whole", "partial")


def three_deep(innermost: Any = None) -> Pattern:
    low = team("low", manager(ONE, APPROVE, name="low_lead"), innermost or says("x", "from below"))
    middle = team("middle", manager(plan_of(part("m", "low")), APPROVE, name="middle_lead"), low)
    return team("top", manager(plan_of(part("t", "middle")), APPROVE), middle)


def test_teams_of_teams_give_a_tree_of_outcomes_that_accounts_for_every_call() -> None:
    result = three_deep().invoke({"task": "t"})
    assert (result["answer"], result["status"]) == ("from below", "completed")
    top = {outcome["id"]: outcome for outcome in result["outcomes"]}
    middle = {outcome["id"]: outcome for outcome in top["t"]["children"]}
    low = {outcome["id"]: outcome for outcome in middle["m"]["children"]}
    assert list(top) == ["manager", "t", "manager#2"]
    assert list(middle) == ["middle_lead", "m", "middle_lead#2"]
    assert list(low) == ["low_lead", "a", "low_lead#2"]
    assert [one["t" if one is top else "m"]["usage"]["model_calls"] for one in (top, middle)] == [5, 3]


def test_a_person_in_the_lowest_team_is_asked_and_answered_at_the_top() -> None:
    builder = three_deep(HumanAgent("x")).builder
    graph = builder.compile(checkpointer=InMemorySaver(), name="top")
    graph.invoke({"task": "t"}, THREAD)
    (request,) = graph.get_state(THREAD).interrupts
    result = graph.invoke(Command(resume={request.id: {"decisions": [{"type": "respond", "message": "said"}]}}), THREAD)
    assert (result["answer"], result["status"]) == ("said", "completed")


@pytest.mark.parametrize("depth", [1, 2])
def test_teams_nested_too_deep_are_refused_when_built(depth: int) -> None:
    low = team("low", manager(name="low_lead"), says("x"))
    middle = team("middle", manager(name="middle_lead"), low)
    with pytest.raises(ConfigurationError, match=f"depth: expected teams nested at most {depth} deep, got 3"):
        hierarchical.build([middle, says("y")], manager=manager(), depth=depth)
    assert hierarchical.build([middle], manager=manager(), depth=3).levels == 3
    assert hierarchical.build([says("y")], manager=manager(), depth=1).levels == 1


def test_a_team_that_would_spend_more_than_its_budget_is_stopped_and_its_siblings_go_on() -> None:
    low_lead, x = manager(ONE, *[retry()] * 2, name="low_lead"), says("x", "one", "two", "three")
    middle = team("x", manager(plan_of(part("m", "low")), name="middle_lead"), team("low", low_lead, x))
    plan = plan_of(part("a", "x"), part("b", "y"), part("c", "y", "b"))
    lead = manager(plan, on("a", ESCALATE), on("b", APPROVE), on("c", APPROVE), "end")
    y = says("y", "of b", "of c")
    result = run(hierarchical.build([middle, y], manager=lead, budgets={"x": Budget(model_calls=4)}))
    assert asked(low_lead) + asked(x) == 3, "and one for the plan of the team around them"
    assert (result["answer"], result["status"]) == ("end", "partial")
    outcome = next(outcome for outcome in result["outcomes"] if outcome["id"] == "a")
    assert outcome["usage"]["model_calls"] == 4
    assert "BudgetExceeded: budget of x reached: model_calls 4 of 4" in told(lead, 1) + told(lead, 2)
    all_done(lead, y)


def test_a_budget_of_a_worker_holds_for_each_subtask() -> None:
    inner = team("x", manager(ONE, APPROVE, ONE, APPROVE, name="boss"), says("x", "one", "two"))
    lead = manager(plan_of(part("a", "x"), part("b", "x", "a")), APPROVE, APPROVE, "end")
    result = run(hierarchical.build([inner], manager=lead, budgets={"x": Budget(model_calls=3)}))
    assert (result["answer"], result["status"]) == ("end", "completed")


# --- the budget of the run


@pytest.mark.parametrize("calls", range(8))
def test_the_budget_of_the_run_ends_it_with_what_there_is(calls: int) -> None:
    lead, x, y = (
        manager(TWO, on("a", APPROVE), on("b", retry()), on("b", APPROVE), "end"),
        says("x", "A"),
        says("y", "B", "B2"),
    )
    result = run(hierarchical.build([x, y], manager=lead), budget=Budget(model_calls=calls))
    assert asked(lead) + asked(x) + asked(y) == calls
    assert "BudgetExceeded" in result["reason"]
    kept = "## a\n\nA\n\n## b\n\nB"
    assert (
        result["answer"] == ["", "", "A", kept, kept, kept, "## a\n\nA\n\n## b\n\nB2", "## a\n\nA\n\n## b\n\nB2"][calls]
    )
    assert result["status"] == ("stopped" if calls < 2 else "partial")


def test_a_result_that_the_budget_left_unjudged_is_given_and_said() -> None:
    result = run(hierarchical.build([says("x", "of a")], manager=manager(ONE, APPROVE)), budget=Budget(model_calls=2))
    assert (result["answer"], result["status"]) == ("of a", "partial")
    assert result["reason"].startswith("not judged: a; manager#2 stopped (BudgetExceeded: ")
    assert verdicts(result) == []


# --- a manager or a worker that fails


def test_a_manager_that_cannot_plan_has_one_worker_do_it_all() -> None:
    lead = manager(ValueError("broken"), APPROVE)
    result = run(hierarchical.build([says("x", "of it all")], manager=lead))
    assert result["answer"] == "of it all"
    assert "one agent was given the whole task, since manager failed (ValueError: broken)" in result["reason"]


def test_a_manager_whose_plan_is_wrong_is_told_so() -> None:
    lead = manager(plan_of(part("a", "nobody")), plan_of(part("manager", "x")), ONE, APPROVE)
    result = run(hierarchical.build([says("x", "of a")], manager=lead))
    assert (result["answer"], result["status"]) == ("of a", "completed")
    assert "names agent 'nobody'" in told(lead, 1)
    assert "subtask ids ['manager'] cannot be used" in told(lead, 2)


@pytest.mark.parametrize("hanging", [False, True])
def test_a_manager_that_gives_no_verdict_lets_pass_what_succeeded_and_goes_on_without_the_rest(hanging: bool) -> None:
    gone: Any = "late" if hanging else ValueError("broken")
    silent = [replace(on(name, gone), delay=60 if hanging else 0) for name in "ab"]
    plan = plan_of(part("a", "x"), part("b", "y"), part("c", "z", "a"))
    lead = Agent(
        "manager",
        model=ScriptedChatModel([plan, *silent, on("c", APPROVE), "end"]),
        policy=Policy(timeout=0.05 if hanging else 30, max_attempts=1),
    )
    result = run(hierarchical.build([says("x", "of a"), fails("y"), says("z", "of c")], manager=lead))
    kind = "timed out (AttemptTimeout: " if hanging else "failed (ValueError: broken)"
    assert (result["answer"], result["status"]) == ("end", "partial")
    assert f"not judged: a (manager#2 {kind}" in result["reason"]
    assert "escalated: b: nothing more is built on it: b failed (ValueError: broken)" in result["reason"]
    assert [by for _, by, _ in verdicts(result)] == ["", "", "manager"]


@pytest.mark.parametrize("said", ["Well, well.", '{"verdict": "perhaps"}', '{"plan": 3}', "[]"])
def test_a_manager_of_ones_own_that_gives_no_verdict_is_said_to_have_given_none(said: str) -> None:
    async def lead(envelope: Envelope) -> Any:
        return said if "Draft" in envelope.context else ONE

    result = run(hierarchical.build([says("x", "of a")], manager=lead))
    assert (result["answer"], result["status"]) == ("of a", "partial")
    assert result["reason"] == "not judged: a (no verdict was found in the answer)"


def test_a_manager_of_ones_own_may_answer_in_json() -> None:
    async def lead(envelope: Envelope) -> str:
        if "Draft" not in envelope.context:
            return 'The plan: ```json\n{"subtasks": [{"id": "a", "task": "Do a.", "agent": "x"}]}\n```'
        return (
            'I say {"verdict": "retry", "feedback": "More."}'
            if "try 1" in envelope.context["Given to"]
            else '{"verdict": "accept"}'
        )

    result = run(hierarchical.build([says("x", "one", "two")], manager=lead))
    assert (result["answer"], result["status"]) == ("two", "completed")


def test_a_managers_shape_of_its_own_does_not_keep_it_from_its_three_roles() -> None:
    from nodes.decisions import Review

    lead = Agent("manager", model=ScriptedChatModel([TWO, APPROVE, APPROVE, "end"]), response_format=Review)
    assert run(hierarchical.build([says("x", "of a"), says("y", "of b")], manager=lead))["answer"] == "end"


@pytest.mark.parametrize("last", [ValueError("broken"), ""])
def test_a_manager_that_cannot_answer_leaves_the_accepted_results_and_the_reason(last: Any) -> None:
    lead = manager(TWO, APPROVE, APPROVE, *[last] * 3)
    result = run(hierarchical.build([says("x", "of a"), says("y", "of b")], manager=lead))
    assert (result["answer"], result["status"]) == ("## a\n\nof a\n\n## b\n\nof b", "partial")
    assert result["reason"].startswith("manager#4 failed (")


def test_a_worker_that_hangs_is_judged_like_any_failure() -> None:
    stuck = Agent("x", model=ScriptedChatModel([Step("late", delay=60)]), policy=Policy(timeout=0.05, max_attempts=1))
    lead = manager(TWO, on("a", reassign("y")), on("b", APPROVE), on("a", APPROVE), "end")
    result = run(hierarchical.build([stuck, says("y", "of b", "of a")], manager=lead))
    assert (result["answer"], result["status"], statuses(result)["a"]) == ("end", "completed", "timed_out")


# --- who is told what


def test_manager_and_workers_are_told_what_they_need_and_nothing_else() -> None:
    parts = [{**part("a", "x"), "constraints": ["In one line."]}, part("b", "y"), part("c", "y", "b")]
    lead = manager(plan_of(*parts), on("a", APPROVE), on("b", APPROVE), on("c", APPROVE), "end")
    x = says("x", "secret of a", description="Knows a.")
    y = says("y", "secret of b", "secret of c")
    run(hierarchical.build([x, y], manager=lead), task="the whole task")
    assert told(x) == "Do a.\n\nConstraints:\n- In one line."
    assert told(y) == "Do b."
    assert told(y, 1) == "Do c.\n\nContext from b (Do b.):\nsecret of b"
    assert told(lead) == f"the whole task\n\nAgents:\n- x: Knows a.\n- y\n\nConstraints:\n- {ASKED[0]}"
    on_a = next(told(lead, at) for at in (1, 2) if told(lead, at).startswith("Do a."))
    assert on_a == (
        "Do a.\n\nDraft:\nsecret of a\n\nIt has to respect:\nIn one line.\n\nGiven to:\nx, try 1 of 3\n\n"
        "Part of:\nthe whole task\n\nAgents:\n- x: Knows a.\n- y\n\n"
        "Constraints:\n- Give a verdict on the draft: accept, retry with feedback, reassign to another agent, or escalate."
    )
    assert told(lead, 4).startswith(
        "the whole task\n\nResult of a (Do a.):\nsecret of a\n\nResult of b (Do b.):\nsecret of b"
    )


# --- pauses, cuts and turns


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


def teams_that_count(calls: Counter[str]) -> Any:
    """Return a builder of two nested teams whose agents are functions, and can be asked again after a cut."""

    def lead(name: str, plan: dict[str, Any]) -> Any:
        async def decides(envelope: Envelope) -> Any:
            if "Draft" in envelope.context:
                first = "try 1" in envelope.context["Given to"] and envelope.task == "Do b."
                return retry("Again.") if first else APPROVE
            return f"{name} is done" if "Result of a (Do a.)" in envelope.context else plan

        decides.__name__ = name
        return decides

    def worker(name: str) -> Any:
        async def works(envelope: Envelope) -> str:
            key = f"{name}: {envelope.task} {'again' if 'Last try' in envelope.context else ''}".strip()
            calls[key] += 1
            return f"{key} done"

        works.__name__ = name
        return works

    inner = hierarchical.build([worker("x"), worker("y")], manager=lead("boss", CHAIN)).compile(name="inner")
    plan = plan_of(part("a", "inner"), part("c", "z", "a"))
    return hierarchical.build([inner, worker("z")], manager=lead("manager", plan))


WORK = {"x: Do a.", "y: Do b.", "y: Do b. again", "z: Do c."}


async def test_a_run_cut_off_inside_a_team_is_taken_up_there(tmp_path: Any) -> None:
    """Leave the stream after the first step, and after each step of the team within in turn."""
    whole = await teams_that_count(Counter()).compile(name="p").ainvoke({"task": "t"})
    parts = [
        part async for part in teams_that_count(Counter()).compile(name="p").astream({"task": "t"}, subgraphs=True)
    ]
    within = [at for at, (space, _) in enumerate(parts, start=1) if space]
    assert len(within) > 5
    for cut in [1, *within]:
        before: Counter[str] = Counter()
        after: Counter[str] = Counter()
        async with AsyncSqliteSaver.from_conn_string(str(tmp_path / f"{cut}.db")) as saver:
            graph = teams_that_count(before).compile(checkpointer=saver, name="p")
            async with aclosing(graph.astream({"task": "t"}, THREAD, subgraphs=True)) as stream:
                for _ in range(cut):
                    await anext(stream)
            graph = teams_that_count(after).compile(checkpointer=saver, name="p")
            result = await graph.ainvoke(None, THREAD)
        assert (result["answer"], result["status"]) == (whole["answer"], "completed")
        assert [o["id"] for o in result["outcomes"]] == [o["id"] for o in whole["outcomes"]]
        assert set(before) | set(after) == WORK
        assert sum((before + after).values()) <= len(WORK) + 1, "only what was in flight is done again"


# --- arguments


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"workers": []}, "workers: expected at least 1"),
        ({"workers": "x"}, "workers: expected a list"),
        ({"workers": [1]}, "workers: expected an Agent"),
        ({"workers": [says("x"), says("x")]}, "different names"),
        ({"manager": 3}, "manager: expected an Agent"),
        ({"manager": says("x")}, "workers and manager: expected different names"),
        ({"manager": says("execute")}, "name 'execute' cannot be used here"),
        ({"depth": 0}, "depth: expected a number of 1 or more, got 0"),
        ({"depth": "3"}, "depth: expected a number of 1 or more, got '3'"),
        ({"depth": True}, "depth: expected a number of 1 or more, got True"),
        ({"budgets": {"z": Budget()}}, "budgets: expected names of workers ['x', 'y'], got 'z'"),
        ({"budgets": {"x": 5}}, "budgets: expected a Budget for 'x', got 5"),
        ({"budgets": [Budget()]}, "budgets: expected a mapping"),
    ],
)
def test_wrong_arguments_are_refused_when_built(options: dict[str, Any], expected: str) -> None:
    workers = options.pop("workers", [says("x"), says("y")])
    with pytest.raises(ConfigurationError) as refusal:
        hierarchical.build(workers, **options)
    assert expected in str(refusal.value)


def test_a_team_is_a_worker_of_any_other_pattern() -> None:
    inner = team("team", manager(ONE, ESCALATE, name="boss"), says("x", "of a"))
    graph = single.build(inner).compile(checkpointer=InMemorySaver(), name="p")
    result = graph.invoke({"task": "t"}, THREAD)
    assert (result["answer"], result["status"]) == ("", "failed")
    assert "escalated: a: Nobody here knows." in result["reason"]
