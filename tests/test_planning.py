"""Planning: what is wrong with a plan goes back to the planner, and what does not fit into the budget is not begun."""

from __future__ import annotations

import time
from typing import Any

import pytest

from acting import fails, run, says, statuses, told
from cases import part, plan_of
from graphs import plan_execute
from nodes import Agent, Policy, ScriptedChatModel
from nodes.planning import MAX_REPAIRS
from nodes.scripted import Step
from state import Budget

GOOD = plan_of(part("a", "cook"))
UNKNOWN = plan_of(part("a", "ghost"))


def cook(*said: str) -> Agent:
    return says("cook", *(said or ("served",)), description="Cooks soup.")


def guard() -> Agent:
    """Return a worker that nobody may call."""
    return says("guard", description="Watches the door.")


def planned(*plans: Any, **options: Any) -> tuple[dict[str, Any], Agent]:
    """Run a team of two with a planner that answers with the plans, in order; return what came of it, and the planner."""
    planner = says("planner", *plans)
    context = {name: options.pop(name) for name in ("budget", "deadline", "max_items") if name in options}
    builder = plan_execute.build(options.pop("workers", [cook(), guard()]), planner=planner, **options)
    return run(builder, "a soup", **context), planner


def estimated(name: str, *depends_on: str, **estimate: Any) -> dict[str, Any]:
    return {**part(name, "cook", *depends_on), "estimate": estimate}


# --- what is wrong with a plan


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        (UNKNOWN, "subtask 'a' names agent 'ghost'; known are ['cook', 'guard']"),
        (plan_of(part("a", "cook", "b"), part("b", "cook", "a")), "cycle "),
        (plan_of(part("a", "cook", "nowhere")), "subtask 'a' depends on 'nowhere', which is not in the plan"),
        (plan_of(part("a", "cook"), part("a", "cook")), "subtask id 'a' is used twice"),
        (plan_of(part("synthesizer", "cook")), "subtask ids ['synthesizer'] cannot be used"),
        (plan_of(part("planner", "cook"), part("a#2", "cook")), "subtask ids ['a#2', 'planner'] cannot be used"),
        (plan_of(), "it has no subtasks"),
    ],
)
def test_a_plan_that_cannot_be_executed_goes_back_with_the_reason(wrong: dict[str, Any], reason: str) -> None:
    result, planner = planned(wrong, GOOD)
    assert reason in told(planner, 1)
    assert "cannot be executed" not in told(planner, 0)
    assert (result["answer"], result["status"], result["reason"]) == ("served", "completed", "")
    assert result["structured"]["replans"] == 0


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ({"subtasks": [{"id": "a"}]}, "subtasks.0.task: Field required"),
        ({"subtasks": "later"}, "subtasks: Input should be"),
        ({"steps": ["cook"]}, "subtasks: Field required"),
        ("I would let the cook do it.", "expected a plan, as {'subtasks'"),
    ],
)
def test_a_planner_without_a_shape_is_told_what_is_wrong_with_its_words(said: Any, reason: str) -> None:
    heard: list[str] = []

    async def planner(task: str) -> Any:
        heard.append(task)
        return said if len(heard) == 1 else GOOD

    result = run(plan_execute.build([cook(), guard()], planner=planner), "a soup")
    assert reason in heard[1]
    assert (result["answer"], result["status"]) == ("served", "completed")


def test_a_plan_in_the_midst_of_words_is_read() -> None:
    async def planner(task: str) -> str:
        return 'Like this: {"subtasks": [{"id": "a", "task": "Do a.", "agent": "cook"}]}. Agreed?'

    result = run(plan_execute.build([cook(), guard()], planner=planner), "a soup")
    assert statuses(result) == {"planner": "ok", "a": "ok"}


def test_after_two_repairs_the_agent_that_suits_it_best_is_given_the_whole_task_and_it_is_said() -> None:
    result, planner = planned(*[UNKNOWN] * (1 + MAX_REPAIRS), workers=[guard(), cook()])
    assert list(statuses(result)) == ["planner", "planner#2", "planner#3", "task-1"]
    (said,) = result["structured"]["adjusted"]
    assert said.startswith("one agent was given the whole task, since the plan cannot be executed")
    assert "'ghost'" in said
    assert (result["answer"], result["status"], result["reason"]) == ("served", "completed", said)
    (subtask,) = result["structured"]["plan"]["subtasks"]
    assert (subtask["agent"], subtask["task"]) == ("cook", "a soup")
    assert "'ghost'" in told(planner, 2)


def test_a_planner_that_answers_in_another_shape_is_asked_again_before_anything_else_is_done() -> None:
    result, planner = planned({"subtasks": [{"id": "a"}]}, GOOD)
    assert (result["answer"], result["status"]) == ("served", "completed")
    assert "task" in told(planner, 1)


@pytest.mark.parametrize(
    ("planner", "error"),
    [
        (fails("planner"), "planner failed (ValueError: broken)"),
        (
            says("planner", Step("late", delay=60), policy=Policy(timeout=0.05)),
            "planner timed out (AttemptTimeout",
        ),
    ],
)
def test_without_a_planner_the_task_is_given_to_one_agent_and_it_is_said(planner: Agent, error: str) -> None:
    result = run(plan_execute.build([guard(), cook()], planner=planner), "a soup")
    assert statuses(result)["task-1"] == "ok"
    assert list(statuses(result)) == ["planner", "task-1"]
    assert (result["answer"], result["status"]) == ("served", "completed")
    assert error in result["reason"]


def test_more_subtasks_than_there_may_be_are_sent_back() -> None:
    result, planner = planned(plan_of(*(part(name, "cook") for name in "abc")), GOOD, max_items=2)
    assert "the plan has 3 subtasks; expected at most max_items=2" in told(planner, 1)
    assert statuses(result) == {"planner": "ok", "planner#2": "ok", "a": "ok"}


def test_a_new_plan_may_depend_on_what_is_finished_without_naming_it_again() -> None:
    first = plan_of(part("a", "cook"), part("b", "guard"))
    workers = [cook("the broth", "the soup"), fails("guard")]
    result, planner = planned(first, plan_of(part("c", "cook", "a")), workers=workers, synthesizer=says("s", "enjoy"))
    assert "- a (Do a.): the broth" in told(planner, 1)
    assert "- b failed (ValueError: broken)" in told(planner, 1)
    assert "Context from a (Do a.):\nthe broth" in told(workers[0], 1)
    assert (result["answer"], result["status"]) == ("enjoy", "completed")
    assert result["structured"]["results"] == {"a": "a", "c": "c"}
    assert result["structured"]["replans"] == 1


def test_of_many_agents_the_planner_is_offered_those_that_match_best() -> None:
    planner = says("planner", GOOD)
    many = [guard(), cook(), says("tailor", description="Sews coats.")]
    result = run(plan_execute.build(many, planner=planner), "cook a soup", max_candidates=1)
    assert "Agents:\n- cook: Cooks soup." in told(planner)
    assert "guard" not in told(planner)
    assert "tailor" not in told(planner)
    assert [match["agent"] for match in result["structured"]["matches"]] == ["cook"]


# --- what does not fit into the budget


@pytest.mark.parametrize(
    ("limit", "cap", "each"),
    [("model_calls", 5, 3), ("tool_calls", 5, 3), ("tokens", 50_000, 30_000), ("usd", 5.0, 3.0)],
)
def test_what_does_not_fit_is_left_out_with_what_needs_it_and_said(limit: str, cap: Any, each: Any) -> None:
    plan = plan_of(estimated("a", **{limit: each}), estimated("b", **{limit: each}), estimated("c", "b"))
    result, _ = planned(plan, budget=Budget(**{limit: cap}))
    by_id = {outcome["id"]: outcome for outcome in result["outcomes"]}
    assert statuses(result) == {"planner": "ok", "b": "skipped", "c": "skipped", "a": "ok"}
    assert by_id["b"]["error"]["type"] == "BudgetExceeded"
    assert f"not begun: needs {each:g} {limit}, " in by_id["b"]["error"]["message"]
    assert by_id["c"]["error"]["message"].endswith("needs b, which was left out")
    assert (result["answer"], result["status"]) == ("served", "partial")
    assert "b skipped (BudgetExceeded: not begun" in result["reason"]
    assert [subtask["id"] for subtask in result["structured"]["plan"]["subtasks"]] == ["a"]


@pytest.mark.parametrize("limit", ["model_calls", "tool_calls", "tokens", "usd", "seconds"])
def test_a_plan_of_which_nothing_fits_is_not_begun(limit: str) -> None:
    plan = plan_of(estimated("a", **{limit: 10**9}), estimated("b", "a", **{limit: 1}))
    result, _ = planned(plan, budget=Budget(**{limit: 10**6}), workers=[says("cook")])
    assert statuses(result) == {"planner": "ok", "a": "skipped", "b": "skipped"}
    assert (result["answer"], result["status"]) == ("", "stopped")
    assert result["reason"].startswith("the plan does not fit into the budget: a skipped (BudgetExceeded: ")


@pytest.mark.parametrize("by", ["budget", "deadline"])
def test_time_is_counted_along_the_longest_way_and_not_in_sum(by: str) -> None:
    plan = plan_of(*(estimated(name, seconds=600) for name in "ab"), estimated("c", "a", "b", seconds=600))
    limit: Any = Budget(seconds=1000) if by == "budget" else time.time() + 1000
    result, _ = planned(plan, **{by: limit}, workers=[cook("one", "two")], synthesizer=says("s", "both"))
    assert statuses(result) == {"planner": "ok", "c": "skipped", "a": "ok", "b": "ok", "s": "ok"}
    assert "c skipped (BudgetExceeded: not begun: ends after 1200 s" in result["reason"]
    assert (result["answer"], result["status"]) == ("both", "partial")


def test_without_an_estimate_a_subtask_of_a_model_takes_a_call_and_one_of_a_function_none() -> None:
    async def helper(task: str) -> str:
        return "helped"

    plan = plan_of(part("a", "cook"), part("b", "cook"), part("c", "helper"))
    result, _ = planned(plan, budget=Budget(model_calls=2), workers=[cook(), helper])
    ended = {"planner": "ok", "b": "skipped", "a": "ok", "c": "ok", "synthesizer": "stopped"}
    assert statuses(result) == ended
    assert (result["answer"], result["status"]) == ("## a\n\nserved\n\n## c\n\nhelped", "partial")


def test_what_was_left_out_is_not_planned_anew() -> None:
    plan = plan_of(estimated("a", tokens=10), estimated("b", tokens=10**6))
    result, planner = planned(plan, budget=Budget(tokens=10**5))
    assert isinstance(planner.model, ScriptedChatModel)
    assert len(planner.model.requests) == 1
    assert result["structured"]["replans"] == 0
