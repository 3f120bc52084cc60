"""Debate: who is told what, when it ends, who wins, and what becomes of the others' positions."""

from __future__ import annotations

from typing import Any

import pytest
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.types import Command

from acting import fails, holds, run, says, statuses, told
from graphs import debate, sequential
from nodes import Agent, HumanAgent, Policy, ScriptedChatModel
from nodes.scripted import Step
from state import Budget, ConfigurationError


def debater(name: str, *said: Any) -> Agent:
    """Return a debater that never says the same thing twice, unless told what to say."""
    return says(name, *(said or [f"{name} argues {number}" for number in range(10)]))


def rules(winner: str, **scores: float) -> Agent:
    return says("judge", {"winner": winner, "reason": "It stood.", "scores": scores})


# --- who is told what


def test_positions_are_taken_alone_then_answered_and_judged_by_the_last_ones() -> None:
    a, b, c, judge = debater("a"), debater("b"), debater("c"), rules("b", a=0.2, b=0.9, c=0.5)
    result = run(debate.build([a, b, c], judge=judge))
    assert (result["answer"], result["status"], result["reason"]) == ("b argues 1", "completed", "")
    assert sorted(statuses(result)) == ["a", "a#2", "b", "b#2", "c", "c#2", "judge"]
    assert result["structured"] == {
        "judgement": {"winner": "b", "reason": "It stood.", "scores": {"a": 0.2, "b": 0.9, "c": 0.5}},
        "decided_by": "judge",
        "rounds": 2,
        "positions": {"a": "a#2", "b": "b#2", "c": "c#2"},
        "dissent": [{"agent": "a", "outcome": "a#2"}, {"agent": "c", "outcome": "c#2"}],
    }
    for agent in (a, b, c):
        assert told(agent) == f"the task\n\nConstraints:\n- {debate.FIRST}"


def test_a_rebuttal_answers_the_others_latest_positions_and_nothing_older() -> None:
    a, b, c = debater("a"), debater("b"), debater("c")
    run(debate.build([a, b, c], judge=rules("a"), rounds=3))
    expected = "the task\n\nYour position:\nb argues 1\n\nPosition of a:\na argues 1\n\nPosition of c:\nc argues 1"
    assert told(b, 2) == f"{expected}\n\nConstraints:\n- {debate.REBUTTAL}"


def test_the_judge_is_told_the_task_the_options_and_final_positions_and_no_more() -> None:
    judge = rules("a")
    run(debate.build([debater("a"), debater("b")], judge=judge, options=["Red", "Blue"]))
    positions = "Position of a:\nRed\n\na argues 1\n\nPosition of b:\nBlue\n\nb argues 1"
    assert told(judge).startswith(f"the task\n\nOptions:\n- Red\n- Blue\n\n{positions}\n\nConstraints:\n")
    assert "argues 0" not in told(judge)


@pytest.mark.parametrize("rounds", [1, 2, 4])
def test_it_takes_as_many_rounds_as_it_is_built_for(rounds: int) -> None:
    with debater("a", *"pqrs"[:rounds]).model as a, debater("b", *"tuvw"[:rounds]).model as b:  # type: ignore[union-attr]
        result = run(debate.build([Agent("a", model=a), Agent("b", model=b)], judge=rules("a"), rounds=rounds))
    assert (result["structured"]["rounds"], result["status"]) == (rounds, "completed")
    assert len(result["outcomes"]) == 2 * rounds + 1


def test_it_ends_early_when_no_position_changes_any_more() -> None:
    a, b = debater("a", "Lists are best.", "Best are lists."), debater("b", "Yes.", "Yes.")
    result = run(debate.build([a, b], judge=rules("a"), rounds=5))
    assert (result["structured"]["rounds"], result["answer"]) == (2, "Best are lists.")
    a, b = debater("a", *["Lists are best."] * 3), debater("b", "Tuples.", "Sets.", "Sets.")
    result = run(debate.build([a, b], judge=rules("a"), rounds=5))
    assert result["structured"]["rounds"] == 3


def test_the_debaters_remember_the_conversation_when_they_take_their_first_positions() -> None:
    a = debater("a")
    graph = debate.build([a, debater("b")], judge=says("judge", {"winner": "a"}, {"winner": "a"})).compile(
        checkpointer=InMemorySaver(), name="p"
    )
    for task in ("first task", "second task"):
        graph.invoke({"task": task}, {"configurable": {"thread_id": "t"}})
    assert isinstance(a.model, ScriptedChatModel)
    earlier = [[message.text for message in request.messages[:-1]] for request in a.model.requests]
    assert earlier == [[], [], ["first task", "a argues 1"], []]


# --- options


def test_with_as_many_options_as_debaters_each_defends_its_own() -> None:
    a, b = debater("a"), debater("b")
    result = run(debate.build([a, b], judge=rules("b"), options=["Red", "Blue"]))
    assert "Options:\n- Red\n- Blue" in told(a)
    assert "You defend this option: Red" in told(a)
    assert "You defend this option: Blue" in told(b, 1)
    assert (result["answer"], result["status"]) == ("Blue\n\nb argues 1", "completed")
    assert [entry["agent"] for entry in result["structured"]["dissent"]] == ["a"]


def test_with_other_numbers_of_options_each_debater_takes_one() -> None:
    a, b, c = debater("a", "**Red**\nIt glows."), debater("b", "I am for blue."), debater("c", "Red\nIt is warm.")
    result = run(debate.build([a, b, c], judge=rules("red", a=0.1, c=0.3), rounds=1, options=["Red", "Blue"]))
    assert debate.CHOOSE in told(a)
    assert (result["answer"], result["structured"]["judgement"]["winner"]) == ("Red\nIt is warm.", "c")
    assert result["structured"]["dissent"] == [{"agent": "b", "outcome": "b"}]


def test_an_option_that_nobody_holds_cannot_win() -> None:
    speakers = [debater("a", "Red\nOne."), debater("b", "Blue\nTwo."), debater("c", "Blue\nThree.")]
    result = run(debate.build(speakers, judge=rules("Green"), rounds=1, options=["Red", "Blue", "Green", "Grey"]))
    assert (result["answer"], result["status"]) == ("Blue\nTwo.", "partial")
    assert result["reason"] == "decided by vote: judge: expected one of a, b, c, got 'Green'"


def test_a_position_may_be_structured() -> None:
    result = run(debate.build([holds("a", "Red"), holds("b", "Blue")], judge=rules("b"), rounds=1))
    assert (result["answer"], result["structured"]["positions"]) == ("Blue", {"a": "a", "b": "b"})


# --- the judge


@pytest.mark.parametrize("said", ["B", "**b**", '"b"', '{"winner": "B"}', {"winner": " b ", "points": 3}])
def test_a_winner_is_known_in_whatever_dress(said: Any) -> None:
    async def own(task: str) -> Any:
        return said

    result = run(debate.build([debater("a"), debater("b")], judge=own, rounds=1))
    assert (result["answer"], result["status"], result["structured"]["decided_by"]) == (
        "b argues 0",
        "completed",
        "judge",
    )


@pytest.mark.parametrize("wrong", ["neither", "", {"winner": ""}, {"winner": "nobody"}, {"other": 1}, {"winner": 3}])
def test_without_a_winner_that_can_be_found_most_votes_decide(wrong: Any) -> None:
    async def own(task: str) -> Any:
        return wrong

    speakers = [debater("a", "Red"), debater("b", "Blue"), debater("c", "blue.")]
    result = run(debate.build(speakers, judge=own, rounds=1))
    assert (result["answer"], result["status"], result["structured"]["decided_by"]) == ("Blue", "partial", "vote")
    assert "own" in result["reason"]
    assert [entry["agent"] for entry in result["structured"]["dissent"]] == ["a"]


@pytest.mark.parametrize("slow", [False, True])
def test_most_votes_decide_when_the_judge_fails_or_hangs(slow: bool) -> None:
    model = ScriptedChatModel([Step("late", delay=60) if slow else ValueError("broken")] * 3)
    judge = Agent("judge", model=model, policy=Policy(timeout=0.05, max_attempts=1))
    result = run(debate.build([debater("a"), debater("b")], judge=judge))
    assert (result["answer"], result["status"], result["structured"]["decided_by"]) == ("a argues 1", "partial", "vote")
    assert result["reason"].startswith("judge timed out" if slow else "judge failed (ValueError: broken)")


def test_a_judge_that_gives_another_shape_is_asked_once_more_and_then_votes_decide() -> None:
    judge = says("judge", "Hard to say.", "Hard to say.")
    result = run(debate.build([debater("a"), debater("b")], judge=judge))
    assert (result["answer"], result["status"]) == ("a argues 1", "partial")
    assert "WrongShape" in result["reason"]


def test_who_failed_and_what_the_judge_got_wrong_are_both_said() -> None:
    result = run(debate.build([debater("a"), fails("b"), debater("c")], judge=rules("b")))
    assert (result["answer"], result["status"]) == ("a argues 1", "partial")
    assert result["reason"] == ("b failed (ValueError: broken); decided by vote: judge: expected one of a, c, got 'b'")


# --- what goes wrong


def test_a_debater_that_fails_is_left_out_and_not_asked_again() -> None:
    judge = rules("c")
    result = run(debate.build([fails("a"), debater("b"), debater("c")], judge=judge))
    assert sorted(statuses(result)) == ["a", "b", "b#2", "c", "c#2", "judge"]
    assert (result["answer"], result["status"]) == ("c argues 1", "partial")
    assert result["reason"] == "a failed (ValueError: broken)"
    assert "Position of a" not in told(judge)


def test_a_debater_that_fails_later_keeps_the_position_it_took() -> None:
    a, judge = debater("a", "a argues 0", ValueError("gone")), rules("a")
    result = run(debate.build([a, debater("b")], judge=judge, rounds=4))
    assert sorted(statuses(result)) == ["a", "a#2", "b", "b#2", "judge"]
    assert (result["answer"], result["status"]) == ("a argues 0", "partial")


@pytest.mark.parametrize("said", [Step("", finish_reason="stop"), Step("half", finish_reason="length")])
def test_a_debater_that_says_nothing_or_half_is_left_out(said: Any) -> None:
    result = run(debate.build([debater("a", *[said] * 4), debater("b")], rounds=1))
    assert (result["answer"], result["status"]) == ("b argues 0", "partial")


def test_a_debater_that_hangs_is_left_out_and_the_only_position_left_needs_no_judge() -> None:
    stuck = Agent("a", model=ScriptedChatModel([Step("late", delay=60)] * 3), policy=Policy(timeout=0.05))
    result = run(debate.build([stuck, debater("b")], judge=says("judge")))
    assert (result["answer"], result["status"]) == ("b argues 0", "partial")
    assert statuses(result) == {"a": "timed_out", "b": "ok"}
    assert result["structured"]["decided_by"] == "only position"
    assert result["structured"]["judgement"]["winner"] == "b"


def test_without_any_position_it_has_failed() -> None:
    result = run(debate.build([fails("a"), fails("b")], judge=says("judge")))
    assert (result["answer"], result["status"]) == ("", "failed")
    assert result["reason"] == "a failed (ValueError: broken); b failed (ValueError: broken)"


def test_a_budget_that_is_used_up_ends_it_with_what_there_is() -> None:
    for calls, answer in ((2, "a argues 0"), (4, "a argues 1")):
        builder = debate.build([debater("a"), debater("b")], judge=rules("b"))
        result = run(builder, budget=Budget(model_calls=calls))
        assert (result["answer"], result["status"]) == (answer, "stopped")
        assert result["structured"]["decided_by"] == "vote"
        assert "BudgetExceeded" in result["reason"]


def test_people_who_debate_are_asked_at_once_and_answer_one_by_one() -> None:
    graph = debate.build([HumanAgent("eva"), HumanAgent("ali"), debater("c")], judge=rules("ali"), rounds=1).compile(
        checkpointer=InMemorySaver(), name="p"
    )
    config: Any = {"configurable": {"thread_id": "t"}}
    graph.invoke({"task": "the task"}, config)
    asked = {r.value["review_configs"][0]["action_name"]: r.id for r in graph.get_state(config).interrupts}
    assert set(asked) == {"eva", "ali"}
    for name in ("ali", "eva"):
        decision = {"decisions": [{"type": "respond", "message": f"said by {name}"}]}
        result = graph.invoke(Command(resume={asked[name]: decision}), config)
    assert (result["answer"], result["status"]) == ("said by ali", "completed")
    assert sorted(statuses(result)) == ["ali", "c", "eva", "judge"]


def test_a_debater_may_be_a_team() -> None:
    team = sequential.build([says("x", "from x"), says("y", "from y")]).compile(name="team")
    result = run(debate.build([debater("a"), team], judge=rules("team"), rounds=1))
    assert (result["answer"], result["status"]) == ("from y", "completed")


# --- what is refused


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"debaters": [says("a")]}, "debaters: expected at least 2, got 1"),
        ({"debaters": [says("a"), says("a")]}, "different names"),
        ({"judge": "wise"}, "judge: expected an Agent"),
        ({"judge": says("opponent")}, "judge and debaters: expected different names"),
        ({"rounds": 0}, "rounds: expected 1 to 10, got 0"),
        ({"rounds": 11}, "rounds: expected 1 to 10, got 11"),
        ({"rounds": True}, "rounds: expected 1 to 10"),
        ({"rounds": 2.0}, "rounds: expected 1 to 10"),
        ({"options": "ab"}, "options: expected a list of texts, got 'ab'"),
        ({"options": ["a", 1]}, "options: expected a list of texts"),
        ({"options": ["a", " "]}, "options: expected a list of texts"),
        ({"options": ["a"]}, "options: expected none, or at least two that differ"),
        ({"options": ["a", "A "]}, "options: expected none, or at least two that differ"),
        ({"options": None}, "options: expected a list of texts, got None"),
        ({"debaters": [says("exchange"), says("b")]}, "'exchange' cannot be used here"),
    ],
)
def test_wrong_arguments_are_refused_before_anything_runs(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        debate.build(**options)
