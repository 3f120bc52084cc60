"""Plan and execute: a plan that can be executed, that fits, that a person agreed to, and one answer from its results."""

from __future__ import annotations

from typing import Any

import pytest
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.types import Command

from acting import fails, run, says, statuses, told
from cases import part, plan_of
from graphs import plan_execute
from nodes import Agent, Policy
from nodes.scripted import Step
from state import Budget, ConfigurationError, Context
from state.errors import InvalidAnswer

THREAD: RunnableConfig = {"configurable": {"thread_id": "t"}}
PLAN = plan_of(part("a", "x"), part("b", "y", "a"))


def team(*answers: Any) -> list[Agent]:
    return [says("x", *answers), says("y", "of b", "of b again")]


def joiner() -> Agent:
    return says("synthesizer", "done")


def test_a_plan_is_carried_out_in_its_order_and_its_results_become_one_answer() -> None:
    planner, synthesizer, (x, y) = says("planner", PLAN), joiner(), team("of a")
    result = run(plan_execute.build([x, y], planner=planner, synthesizer=synthesizer))
    assert (result["answer"], result["status"], result["reason"]) == ("done", "completed", "")
    assert (told(x), told(y)) == ("Do a.", "Do b.\n\nContext from a (Do a.):\nof a")
    assert told(synthesizer) == "the task\n\nResult of a (Do a.):\nof a\n\nResult of b (Do b.):\nof b"
    assert result["structured"]["results"] == {"a": "a", "b": "b"}


def test_one_result_is_the_answer_and_needs_nobody_to_join_it() -> None:
    result = run(plan_execute.build(team("of a"), planner=says("planner", plan_of(part("a", "x")))))
    assert (result["answer"], list(statuses(result))) == ("of a", ["planner", "a"])


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        (plan_of(part("a", "x", "b"), part("b", "y", "a")), "cycle"),
        (plan_of(part("a", "x", "a")), "cycle a -> a"),
        (plan_of(part("a", "nobody")), "'nobody'"),
        (plan_of(part("a", "x"), part("a", "y")), "used twice"),
        (plan_of(part("planner", "x")), "'planner'"),
        (plan_of(part("a#2", "x")), "'#'"),
        (plan_of(), "at least one"),
    ],
)
def test_a_plan_that_cannot_be_executed_goes_back_with_the_reasons(wrong: Any, reason: str) -> None:
    planner = says("planner", wrong, plan_of(part("a", "x")))
    result = run(plan_execute.build(team("of a"), planner=planner))
    assert (result["answer"], result["status"]) == ("of a", "completed")
    assert reason in told(planner, 1)
    assert "Your last plan cannot be executed:" in told(planner, 1)


def test_after_two_repairs_the_best_matching_agent_does_the_whole_task_and_the_run_says_so() -> None:
    wrong = plan_of(part("a", "nobody"))
    planner = says("planner", wrong, wrong, wrong)
    cook = says("cook", description="Cooks soups and stews.")
    clerk = says("clerk", "filed", description="Files contracts and letters.")
    result = run(plan_execute.build([cook, clerk], planner=planner), task="File this contract.")
    assert (result["answer"], result["status"]) == ("filed", "completed")
    assert "one agent was given the whole task" in result["reason"]
    assert result["structured"]["matches"][0]["agent"] == "clerk"


@pytest.mark.parametrize(
    "planner",
    [
        fails("planner"),
        says("planner", Step("late", delay=60), policy=Policy(timeout=0.05)),
        says("planner", *["prose"] * 9),
    ],
)
def test_a_planner_that_fails_hangs_or_never_plans_does_not_leave_the_task_undone(planner: Agent) -> None:
    result = run(plan_execute.build([says("x", "the whole")], planner=planner))
    assert result["answer"] == "the whole"
    assert "one agent was given the whole task" in result["reason"]


@pytest.mark.parametrize("limit", ["model_calls", "tool_calls", "tokens", "usd", "seconds"])
def test_what_does_not_fit_the_budget_is_left_out_before_anything_runs(limit: str) -> None:
    def needs(name: str, amount: float, *depends_on: str) -> dict[str, Any]:
        return {**part(name, "x", *depends_on), "estimate": {limit: amount}}

    async def planner(task: str) -> Any:
        return plan_of(needs("small", 5), needs("huge", 100_000), needs("after", 1, "huge"))

    ran: list[str] = []

    async def x(task: str) -> str:
        ran.append(task)
        return "done"

    graph = plan_execute.build([x], planner=planner).compile(name="g")
    result = graph.invoke({"task": "t"}, context=Context(budget=Budget(**{limit: 50_000})))
    assert (result["status"], ran) == ("partial", ["Do small."])
    by_id = {outcome["id"]: outcome for outcome in result["outcomes"]}
    assert {by_id[name]["error"]["type"] for name in ("huge", "after")} == {"BudgetExceeded"}
    assert limit in result["reason"]


def test_a_plan_of_which_nothing_fits_is_refused() -> None:
    async def planner(task: str) -> Any:
        return plan_of({**part("a", "x"), "estimate": {"tokens": 10**9}})

    graph = plan_execute.build([says("x")], planner=planner).compile(name="g")
    result = graph.invoke({"task": "t"}, context=Context(budget=Budget(tokens=10_000)))
    assert (result["status"], result["answer"]) == ("stopped", "")
    assert result["reason"].startswith("the plan does not fit into the budget: a skipped")


def test_what_failed_is_planned_anew_and_what_is_done_is_kept() -> None:
    second = plan_of(part("a", "x"), part("c", "x", "a"))
    planner, x = says("planner", PLAN, second), says("x", "of a", "of c")
    result = run(plan_execute.build([x, fails("y")], planner=planner, synthesizer=joiner()))
    assert (result["answer"], result["status"]) == ("done", "completed")
    assert list(statuses(result)) == ["planner", "a", "b", "planner#2", "c", "synthesizer"]
    assert "Done, and kept:\n- a (Do a.): of a" in told(planner, 1)
    assert "b failed (ValueError: broken)" in told(planner, 1)


def test_it_is_planned_anew_twice_at_most_and_then_partial() -> None:
    result = run(plan_execute.build([says("x", "of a"), fails("y")], planner=says("planner", PLAN, PLAN, PLAN)))
    assert (result["answer"], result["status"]) == ("of a", "partial")
    assert [name for name in statuses(result) if name.startswith("planner")] == ["planner", "planner#2", "planner#3"]


@pytest.mark.parametrize(
    ("options", "status"),
    [
        ({"on_failure": "fail_fast"}, "failed"),
        ({"on_failure": "continue"}, "partial"),
        ({"on_failure": "best_effort"}, "completed"),
        ({"quorum": 9}, "completed"),
        ({"quorum": 10}, "failed"),
    ],
)
def test_one_of_ten_failed_and_nine_are_kept_whatever_the_policy(options: Any, status: str) -> None:
    async def x(task: str) -> str:
        if "Do 7." in task:
            raise ValueError("not seven")
        return task

    plan = plan_of(*(part(str(number), "x") for number in range(10)))
    builder = plan_execute.build([x], planner=says("planner", plan), synthesizer=joiner(), **options)
    result = run(builder, max_replans=0)
    assert result["status"] == status
    if options.get("on_failure") != "fail_fast":
        assert sum(outcome["status"] == "ok" for outcome in result["outcomes"][1:11]) == 9


def test_why_a_large_plan_failed_is_told_once_and_the_rest_only_names_what_it_needs() -> None:
    names = [f"t{number}" for number in range(50)]
    plan = plan_of(*(part(name, "x", *names[:at]) for at, name in enumerate(names)))
    result = run(plan_execute.build([fails("x")], planner=says("planner", plan)), max_items=50, max_replans=0)
    assert result["reason"].startswith("t0 failed (ValueError: broken); t1 skipped (DependencyFailed: needs t0); ")
    assert result["reason"].count("broken") == 1
    assert len(result["reason"]) < 4_000


def test_a_planner_reads_why_something_failed_once() -> None:
    plan = plan_of(part("a", "y"), part("b", "x", "a"), part("c", "x", "b"))
    planner = says("planner", plan, plan)
    run(plan_execute.build([says("x"), fails("y")], planner=planner, synthesizer=joiner()), max_replans=1)
    assert told(planner, 1).count("broken") == 1
    assert "- c skipped (DependencyFailed: needs b)" in told(planner, 1)


def test_the_workers_may_speak_before_there_is_a_plan() -> None:
    planner, x, y = says("planner", plan_of(part("a", "x"))), says("x", "Mind the tide.", "of a"), says("y", "Nothing.")
    result = run(plan_execute.build([x, y], planner=planner, discuss=True))
    assert result["answer"] == "of a"
    assert "Contribution of x:\nMind the tide." in told(planner)
    assert "Do not do it yet." in told(x)


def test_a_synthesizer_that_fails_leaves_the_results_under_their_names() -> None:
    result = run(plan_execute.build(team("of a"), planner=says("planner", PLAN), synthesizer=fails("synthesizer")))
    assert (result["answer"], result["status"]) == ("## a\n\nof a\n\n## b\n\nof b", "partial")


def decided(graph: Any, **decision: Any) -> Any:
    (request,) = graph.get_state(THREAD).interrupts
    return graph.invoke(Command(resume={request.id: {"decisions": [decision]}}), THREAD)


def test_a_person_approves_edits_or_sends_a_plan_back_with_reasons() -> None:
    planner = says("planner", PLAN, plan_of(part("c", "y")))
    graph = plan_execute.build(team("of a"), planner=planner, approve_plan=True).compile(
        checkpointer=InMemorySaver(), name="g"
    )
    graph.invoke({"task": "t"}, THREAD)
    (request,) = graph.get_state(THREAD).interrupts
    assert request.value["action_requests"][0]["description"] == "Plan for: t\n- a, x: Do a.\n- b, y (after a): Do b."
    decided(graph, type="reject", message="Without x.")
    assert "Feedback on the plan:\n- Without x." in told(planner, 1)
    (request,) = graph.get_state(THREAD).interrupts
    wrong = {"name": "execute_plan", "args": plan_of(part("c", "nobody"))}
    with pytest.raises(InvalidAnswer, match="'nobody'"):
        decided(graph, type="edit", edited_action=wrong)
    assert graph.get_state(THREAD).interrupts[0].id == request.id
    edited = {"name": "execute_plan", "args": plan_of({**part("c", "y"), "task": "Do it my way."})}
    result = decided(graph, type="edit", edited_action=edited)
    assert (result["answer"], result["status"]) == ("of b", "completed")
    assert result["structured"]["plan"]["subtasks"][0]["task"] == "Do it my way."


def test_a_plan_that_is_rejected_too_often_ends_the_run() -> None:
    planner = says("planner", *[PLAN] * 9)
    graph = plan_execute.build(team(), planner=planner, approve_plan=True).compile(
        checkpointer=InMemorySaver(), name="g"
    )
    result = graph.invoke({"task": "t"}, THREAD)
    for number in range(4):
        assert result["status"] == "running", number
        result = decided(graph, type="reject", message=f"No, for the {number}. time.")
    assert (result["status"], result["answer"]) == ("stopped", "")
    assert result["reason"].startswith("rejected: No, for the 3. time.")


def test_of_many_agents_the_planner_is_offered_those_that_match() -> None:
    agents = [says(f"agent{number}", description="Knows nothing.") for number in range(30)]
    agents.append(says("lawyer", "checked", description="Checks contracts."))
    planner = says("planner", plan_of(part("a", "lawyer")))
    result = run(plan_execute.build(agents, planner=planner), task="Check the contract.", max_candidates=3)
    assert result["answer"] == "checked"
    assert "lawyer: Checks contracts." in told(planner)
    assert told(planner).count("- agent") == 2


def test_wrong_arguments_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="on_failure"):
        plan_execute.build(team(), on_failure="sometimes")  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match="different names"):
        plan_execute.build([says("planner")], planner=says("planner"))
    with pytest.raises(ConfigurationError, match="workers"):
        plan_execute.build([])
