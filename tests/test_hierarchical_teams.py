"""Hierarchical: teams of teams, what they escalate, budgets of theirs and of the run, and a run cut off inside one."""

from __future__ import annotations

from collections import Counter
from contextlib import aclosing
from typing import Any

import pytest
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver
from langgraph.types import Command

from acting import run, says, statuses, told
from cases import APPROVE, part, plan_of
from graphs import hierarchical, review, single
from managers import CHAIN, ESCALATE, ONE, THREAD, TWO, all_done, asked, manager, on, reassign, retry, team, verdicts
from nodes import HumanAgent
from state import Budget, ConfigurationError, Envelope
from state.graph import Pattern

# --- teams within teams


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


def test_a_team_is_a_worker_of_any_other_pattern() -> None:
    inner = team("team", manager(ONE, ESCALATE, name="boss"), says("x", "of a"))
    graph = single.build(inner).compile(checkpointer=InMemorySaver(), name="p")
    result = graph.invoke({"task": "t"}, THREAD)
    assert (result["answer"], result["status"]) == ("", "failed")
    assert "escalated: a: Nobody here knows." in result["reason"]


# --- budgets, of a team and of the run


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


# --- cuts


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
