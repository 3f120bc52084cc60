"""Hierarchical: what follows from each verdict, and from a manager or a worker that fails, and who is told what."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from acting import fails, run, says, statuses, told
from cases import APPROVE, part, plan_of
from graphs import hierarchical
from managers import CHAIN, ESCALATE, ONE, TWO, all_done, asked, manager, on, reassign, retry, verdicts
from nodes import Agent, Policy, ScriptedChatModel
from nodes.planning import ASKED
from nodes.scripted import Step
from state import Budget, ConfigurationError, Envelope

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
