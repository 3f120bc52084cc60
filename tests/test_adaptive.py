"""Adaptive: which pattern a plan is worked on by, what that pattern then does, and why it was chosen."""

from __future__ import annotations

from typing import Any

import pytest
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.types import Command

from acting import fails, run, says, statuses, told
from cases import APPROVE, part, plan_of
from graphs import adaptive, single
from nodes import Agent, HumanAgent, ScriptedChatModel
from nodes.planning import ASKED
from nodes.scripted import Step
from nodes.topology import Thresholds
from state import Budget, ConfigurationError, Context

THREAD: RunnableConfig = {"configurable": {"thread_id": "t"}}
MANAGED = Thresholds(coupling=0.2, size=2)
"""Under which a plan of three coupled subtasks is given to a manager."""

PLANS: dict[str, Any] = {
    "single": plan_of(part("a", "x"), part("b", "x", "a")),
    "parallel": plan_of(part("a", "x"), part("b", "y")),
    "sequential": plan_of(part("a", "x"), part("b", "y", "a")),
    "hybrid": plan_of(part("a", "x"), part("b", "y", "a"), part("c", "x", "a"), part("d", "y", "b", "c")),
    "hierarchical": plan_of(part("a", "x"), part("b", "y", "a"), part("c", "x", "a")),
}


def planner(*steps: Any) -> Agent:
    return says("planner", *steps)


def worker(name: str) -> Agent:
    """Return a worker that knows each subtask by its task, in any order."""
    steps = [Step(f"of {part}", match=lambda m, part=part: m[-1].text.startswith(f"Do {part}.")) for part in "abcd"]  # type: ignore[misc]
    return says(name, *steps, Step("of it all", match=lambda messages: messages[-1].text == "the task"))


def lead() -> Agent:
    return says("manager", plan_of(part("a", "x"), part("b", "y", "a")), APPROVE, APPROVE, "by the manager")


def built(name: str, **options: Any) -> Any:
    thresholds = MANAGED if name == "hierarchical" else None
    workers = options.pop("workers", [worker("x"), worker("y")])
    usual: dict[str, Any] = {"planner": planner(PLANS[name]), "synthesizer": says("synthesizer", "joined")}
    return adaptive.build(workers, thresholds=thresholds, manager=lead(), **{**usual, **options})


# --- the choice, and what the chosen pattern does


@pytest.mark.parametrize(
    ("name", "answer", "steps"),
    [
        ("single", "of it all", ["planner", "task"]),
        ("parallel", "joined", ["planner", "a", "b", "synthesizer"]),
        ("sequential", "joined", ["planner", "a", "b", "synthesizer"]),
        ("hybrid", "joined", ["planner", "a", "b", "c", "d", "synthesizer"]),
        ("hierarchical", "by the manager", ["planner", "hierarchical"]),
    ],
)
def test_the_plan_is_worked_on_by_the_pattern_that_suits_its_shape(name: str, answer: str, steps: list[str]) -> None:
    result = run(built(name))
    assert (result["answer"], result["status"], result["reason"]) == (answer, "completed", "")
    assert list(statuses(result)) == steps
    assert result["structured"]["pattern"] == name
    assert result["structured"]["why"]
    assert result["structured"]["features"]["subtasks"] == len(PLANS[name]["subtasks"])


def test_where_one_agent_would_do_it_all_it_is_given_the_whole_task_and_nothing_of_the_plan() -> None:
    x, joiner = worker("x"), says("synthesizer")
    result = run(built("single", workers=[x, worker("y")], synthesizer=joiner))
    assert told(x) == "the task"
    assert result["structured"]["why"] == "one agent does all of it"
    assert result["structured"]["results"] == {"task": "task"}


def test_a_single_agent_does_the_whole_task_also_when_the_budget_had_no_room_for_each_part_of_the_plan() -> None:
    plan = plan_of(*[part(name, "x") for name in "abc"])
    result = run(built("single", planner=planner(plan)), budget=Budget(model_calls=3))
    assert (result["answer"], result["status"], result["reason"]) == ("of it all", "completed", "")


def test_a_plan_of_one_subtask_is_done_by_its_agent_as_planned() -> None:
    y = worker("y")
    result = run(built("single", planner=planner(plan_of(part("b", "y"))), workers=[worker("x"), y]))
    assert (result["answer"], result["structured"]["why"]) == ("of b", "there is one subtask")
    assert told(y) == "Do b."


def test_parallel_still_honours_dependencies() -> None:
    wide = plan_of(part("a", "x"), part("b", "y"), part("c", "x"), part("d", "y", "a"))
    y = worker("y")
    result = run(built("parallel", planner=planner(wide), workers=[worker("x"), y]))
    assert result["structured"]["pattern"] == "parallel"
    assert result["structured"]["features"]["width"] == 0.75
    assert "Do d.\n\nContext from a (Do a.):\nof a" in [told(y, at) for at in range(2)]


def test_a_manager_is_given_the_task_with_the_plan_and_judges_the_same_workers() -> None:
    manager, x = lead(), worker("x")
    graph = adaptive.build(
        [x, worker("y")], planner=planner(PLANS["hierarchical"]), manager=manager, thresholds=MANAGED
    )
    result = run(graph)
    assert told(manager).startswith("the task\n\nA plan that suits it:\n- a, x: Do a.\n- b, y (after a): Do b.\n")
    assert result["structured"]["verdicts"][0]["verdict"] == "accept"
    assert [outcome["id"] for outcome in result["outcomes"][1]["children"]][:2] == ["manager", "a"]
    assert result["outcomes"][1]["usage"]["model_calls"] == 6


@pytest.mark.parametrize(
    ("thresholds", "pattern"), [(None, "hybrid"), (Thresholds(width=0.4), "parallel"), (MANAGED, "hierarchical")]
)
def test_thresholds_change_the_choice(thresholds: Thresholds | None, pattern: str) -> None:
    graph = adaptive.build(
        [worker("x"), worker("y")],
        planner=planner(PLANS["hybrid"]),
        manager=lead(),
        synthesizer=says("synthesizer", "joined"),
        thresholds=thresholds,
    )
    assert run(graph)["structured"]["pattern"] == pattern


def test_tight_coupling_of_a_large_plan_calls_for_a_manager_without_thresholds_of_ones_own() -> None:
    parts = [part("a", "x"), *[{**part(f"p{at}", "y", "a"), "coupling": "strong"} for at in range(5)]]
    result = run(built("hybrid", planner=planner(plan_of(*parts))))
    assert (result["structured"]["pattern"], result["answer"]) == ("hierarchical", "by the manager")
    assert result["structured"]["why"] == "6 subtasks (more than 5) with a coupling of 0.7 (above 0.6)"


# --- what goes wrong


def test_a_planner_that_fails_leaves_one_agent_to_do_it_all() -> None:
    result = run(built("single", planner=fails("planner")))
    assert result["answer"] == "of it all"
    assert (result["structured"]["pattern"], result["structured"]["why"]) == ("single", "there is one subtask")
    assert "one agent was given the whole task, since planner failed (ValueError: broken)" in result["reason"]


def test_a_planner_whose_plan_is_wrong_is_told_so() -> None:
    plans = planner(plan_of(part("hierarchical", "x")), plan_of(part("a", "nobody")), PLANS["sequential"])
    assert run(built("sequential", planner=plans))["answer"] == "joined"
    assert "subtask ids ['hierarchical'] cannot be used" in told(plans, 1)
    assert "names agent 'nobody'" in told(plans, 2)


@pytest.mark.parametrize("name", ["parallel", "sequential", "hybrid"])
def test_a_worker_that_fails_leaves_what_the_others_made(name: str) -> None:
    joiner = says("synthesizer", "joined")
    result = run(built(name, workers=[worker("x"), fails("y")], synthesizer=joiner))
    assert result["answer"] == ("joined" if name == "hybrid" else "of a")
    assert result["status"] == "partial"
    assert "b failed (ValueError: broken)" in result["reason"]
    assert result["structured"]["pattern"] == name


def test_a_team_that_fails_says_why_and_why_it_was_chosen() -> None:
    escalating = says("manager", plan_of(part("a", "x")), {"verdict": "escalate", "feedback": "Nobody knows."})
    result = run(
        adaptive.build(
            [worker("x"), worker("y")],
            planner=planner(PLANS["hierarchical"]),
            manager=escalating,
            thresholds=MANAGED,
        )
    )
    assert (result["answer"], result["status"]) == ("", "failed")
    assert "escalated: a: Nobody knows." in result["reason"]
    assert result["structured"]["pattern"] == "hierarchical"


def test_a_synthesizer_that_fails_leaves_the_results_under_their_subtasks() -> None:
    result = run(built("parallel", synthesizer=fails("synthesizer")))
    assert (result["answer"], result["status"]) == ("## a\n\nof a\n\n## b\n\nof b", "partial")
    assert "synthesizer failed (ValueError: broken)" in result["reason"]


@pytest.mark.parametrize("name", sorted(PLANS))
def test_a_budget_ends_each_pattern_with_what_it_has(name: str) -> None:
    whole = run(built(name))
    needed = sum(outcome["usage"]["model_calls"] for outcome in whole["outcomes"])
    for calls in range(needed):
        result = run(built(name), budget=Budget(model_calls=calls))
        assert sum(outcome["usage"]["model_calls"] for outcome in result["outcomes"]) <= calls
        assert result["status"] in ("stopped", "partial")
        assert "BudgetExceeded" in result["reason"]


# --- people, nesting, turns


@pytest.mark.parametrize("name", sorted(PLANS))
def test_a_person_among_the_workers_is_asked_in_each_pattern(name: str) -> None:
    joiner = says("synthesizer", lambda messages: "joined: " + messages[-1].text)
    manager = says("manager", plan_of(part("a", "x")), APPROVE)
    graph = adaptive.build(
        [HumanAgent("x"), worker("y")],
        planner=planner(PLANS[name]),
        manager=manager,
        synthesizer=joiner,
        thresholds=MANAGED if name == "hierarchical" else None,
    ).compile(checkpointer=InMemorySaver(), name="p")
    result = graph.invoke({"task": "the task"}, THREAD)
    pauses = 0
    while requests := graph.get_state(THREAD).interrupts:
        pauses += 1
        answer = {"decisions": [{"type": "respond", "message": f"said {pauses}"}]}
        result = graph.invoke(Command(resume={requests[0].id: answer}), THREAD)
    assert pauses == (2 if name == "hybrid" else 1)
    assert "said 1" in result["answer"]
    assert (result["status"], result["structured"]["pattern"]) == ("completed", name)


def test_it_can_be_an_agent_of_another_pattern() -> None:
    inner = built("hierarchical").compile(name="team")
    result = run(single.build(inner))
    assert (result["answer"], result["status"]) == ("by the manager", "completed")
    team = result["outcomes"][0]
    assert [outcome["id"] for outcome in team["children"]] == ["planner", "hierarchical"]
    assert team["usage"]["model_calls"] == 7


def test_each_turn_chooses_anew() -> None:
    x = says("x", "of a", "of it all")
    graph = adaptive.build(
        [x, says("y", "of b")],
        planner=planner(PLANS["parallel"], PLANS["single"]),
        synthesizer=says("synthesizer", "joined"),
    ).compile(checkpointer=InMemorySaver(), name="p")
    first = graph.invoke({"task": "first"}, THREAD, context=Context())
    second = graph.invoke({"task": "second"}, THREAD, context=Context())
    assert [one["structured"]["pattern"] for one in (first, second)] == ["parallel", "single"]
    assert (second["answer"], list(statuses(second))) == ("of it all", ["planner", "task"])


def test_the_planner_is_told_the_task_and_who_there_is_and_workers_their_subtask_alone() -> None:
    plans, x, y = planner(PLANS["parallel"]), says("x", "of a", description="Knows a."), worker("y")
    joiner = says("synthesizer", "joined")
    run(adaptive.build([x, y], planner=plans, synthesizer=joiner))
    assert told(plans) == f"the task\n\nAgents:\n- x: Knows a.\n- y\n\nConstraints:\n- {ASKED[0]}"
    assert (told(x), told(y)) == ("Do a.", "Do b.")
    assert told(joiner) == "the task\n\nResult of a (Do a.):\nof a\n\nResult of b (Do b.):\nof b"


# --- arguments


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"policy": "learned"}, "policy: expected 'rules', got 'learned'"),
        ({"policy": None}, "policy: expected 'rules', got None"),
        ({"thresholds": {"size": 3}}, "thresholds: expected Thresholds(coupling, size, width), got {'size': 3}"),
        ({"workers": []}, "workers: expected at least 1"),
        ({"planner": says("x")}, "expected different names"),
        ({"planner": says("single")}, "name 'single' cannot be used here"),
        ({"manager": says("x")}, "expected different names"),
        ({"synthesizer": 3}, "expected an Agent"),
    ],
)
def test_wrong_arguments_are_refused_when_built(options: dict[str, Any], expected: str) -> None:
    workers = options.pop("workers", [says("x"), says("y")])
    with pytest.raises(ConfigurationError) as refusal:
        adaptive.build(workers, **options)
    assert expected in str(refusal.value)


def test_the_models_of_all_roles_may_be_the_runs_own() -> None:
    steps = {"planner": [PLANS["sequential"]], "x": ["of a"], "y": ["of b"], "synthesizer": ["joined"]}
    with ScriptedChatModel(by_agent=steps) as model:
        assert run(adaptive.build([Agent("x"), Agent("y")]), model=model)["answer"] == "joined"
