"""Until: when each condition holds, how they compose, and what they say."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from acting import run, says
from graphs import group_chat
from nodes import until
from nodes.until import StopCondition, Talk
from state import ConfigurationError
from state.outcome import no_usage


def talk(*said: str, speakers: str = "ab", seconds: float = 0.0, silent: str = "", **used: int) -> Talk:
    """Return a conversation; each contribution is `speaker: text`."""
    parts = [line.split(": ", 1) for line in said]
    return Talk(
        speakers=list(speakers),
        turns=[*(name for name, _ in parts), *silent],
        said=[{"speaker": name, "text": text} for name, text in parts],
        seconds=seconds,
        usage={**no_usage(), **used},  # type: ignore[typeddict-item]  # whole numbers of some of its fields
    )


@pytest.mark.parametrize(
    ("condition", "before", "after", "why"),
    [
        (until.rounds(1), talk("a: x", "a: y"), talk("a: x", "a: y", "b: z"), "round 1 is over"),
        (until.rounds(2), talk("a: x", "b: y", "b: z"), talk("a: x", "b: y", silent="ab"), "round 2 is over"),
        (until.turns(2), talk("a: x"), talk("a: x", silent="b"), "turn 2 is over"),
        (until.text("DONE"), talk("a: done"), talk("a: We are DONE.", "b: yes"), "'DONE' was said"),
        (until.seconds(1.5), talk(seconds=1.4), talk(seconds=1.5), "1.5 seconds have passed"),
        (
            until.tokens(10),
            talk(input_tokens=4, output_tokens=5),
            talk(input_tokens=4, output_tokens=6),
            "10 tokens were spent",
        ),
        (until.model_calls(3), talk(model_calls=2), talk(model_calls=3), "3 model calls were made"),
        (
            until.nothing_new(2),
            talk("a: Use a list.", "b: Use a tuple.", "a: Use a list!"),
            talk("a: Use a list.", "b: Use a tuple.", "a: A list: use it.", "b: Use a list."),
            "the last 2 contributions brought nothing new",
        ),
        (
            until.nothing_new(1),
            talk("a: Use a list."),
            talk("a: Use a list.", "b: Use a list."),
            "the last 1 contributions brought nothing new",
        ),
        (
            until.agreement(2),
            talk("a: Use a list.", "a: Use a list."),
            talk("a: No.", "b: Use a list.", "a: List: use a list."),
            "the last 2 speakers say the same",
        ),
        (
            until.agreement(2),
            talk("a: Use 3 lists.", "b: Use 4 lists."),
            talk("a: Use 3 lists.", "b: Use 3 lists."),
            "the last 2 speakers say the same",
        ),
        (
            until.agreement(3),
            talk("a: Use a list.", "b: Use a list.", speakers="abc"),
            talk("a: Use a list.", "b: Use a list.", "c: Use a list.", speakers="abc"),
            "the last 3 speakers say the same",
        ),
    ],
)
def test_a_condition_holds_from_a_point_on_and_says_why(
    condition: StopCondition, before: Talk, after: Talk, why: str
) -> None:
    assert condition.why(before) == ""
    assert condition.why(after) == why == condition.words


def test_nothing_said_at_all_is_not_nothing_new() -> None:
    assert until.nothing_new(1).why(talk(silent="ab")) == ""


def test_a_speaker_that_changed_its_mind_agrees_with_what_it_says_now() -> None:
    assert until.agreement().why(talk("a: Use a list.", "b: Use a list.", "a: Use a tuple.")) == ""


def test_either_of_two_conditions_will_do_and_it_is_said_which() -> None:
    either = until.turns(2) | until.text("DONE")
    assert either.words == "(turn 2 is over or 'DONE' was said)"
    assert either.why(talk("a: x")) == ""
    assert either.why(talk("a: x", "b: y")) == "turn 2 is over"
    assert either.why(talk("a: DONE")) == "'DONE' was said"
    assert either.why(talk("a: x", "b: DONE")) == "turn 2 is over and 'DONE' was said"


def test_both_of_two_conditions_have_to_hold_at_the_same_time() -> None:
    both = until.seconds(5) & until.nothing_new(1)
    assert both.words == "(5 seconds have passed and the last 1 contributions brought nothing new)"
    repeated, moved_on = ("a: Yes indeed.", "b: Yes indeed."), ("a: Yes indeed.", "b: Yes indeed.", "a: Wait now.")
    assert both.why(talk(*repeated, seconds=1)) == ""
    assert both.why(talk(*moved_on, seconds=9)) == ""
    assert both.why(talk(*repeated, seconds=9)).startswith("5 seconds have passed and the last 1")


def test_what_was_said_once_counts_later_too() -> None:
    both = until.text("DONE") & until.turns(3)
    assert both.why(talk("a: DONE", "b: x")) == ""
    assert both.why(talk("a: DONE", "b: x", "a: y")) == "'DONE' was said and turn 3 is over"


def test_conditions_nest_as_operators_bind() -> None:
    condition = until.turns(9) | until.text("DONE") & until.turns(2)
    assert condition.words == "(turn 9 is over or ('DONE' was said and turn 2 is over))"
    assert condition.why(talk("a: DONE")) == ""
    assert condition.why(talk("a: DONE", "b: x")) == "'DONE' was said and turn 2 is over"


@pytest.mark.parametrize("create", [until.rounds, until.turns, until.tokens, until.model_calls, until.nothing_new])
@pytest.mark.parametrize("wrong", [0, -1, 1.5, True, "3", None])
def test_a_count_must_be_a_whole_number_above_0(create: Callable[[Any], StopCondition], wrong: Any) -> None:
    with pytest.raises(ConfigurationError, match=rf"{create.__name__}: expected a whole number, 1 or more"):
        create(wrong)


@pytest.mark.parametrize(
    ("create", "wrong"),
    [
        (until.agreement, 1),
        (until.text, ""),
        (until.text, " "),
        (until.text, 3),
        (until.seconds, 0),
        (until.seconds, float("nan")),
        (until.seconds, float("inf")),
        (until.seconds, True),
        (until.seconds, "1"),
    ],
)
def test_what_can_never_hold_is_refused(create: Callable[[Any], StopCondition], wrong: Any) -> None:
    with pytest.raises(ConfigurationError, match=rf"{create.__name__}: expected"):
        create(wrong)


def test_a_condition_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        until.turns(2).words = "never"  # type: ignore[misc]  # that it cannot is the point


@pytest.mark.parametrize(
    ("condition", "taken"),
    [
        (until.turns(3), 3),
        (until.rounds(2), 4),
        (until.text("five"), 5),
        (until.seconds(1e-9), 1),
        (until.tokens(1), 1),
        (until.model_calls(2), 2),
        (until.turns(5) & until.text("one"), 5),
        (until.turns(5) | until.text("two"), 2),
    ],
)
def test_a_conversation_ends_by_its_condition(condition: StopCondition, taken: int) -> None:
    speakers = [says("a", "one", "three", "five"), says("b", "two", "four", "six")]
    result = run(group_chat.build(speakers, until=condition))
    assert (len(result["outcomes"]), result["status"], result["reason"]) == (taken, "completed", "")
    assert result["structured"]["ended_by"] in condition.words


def test_the_moderators_calls_count_as_well() -> None:
    moderator = says("m", *[{"speaker": "a"}] * 3)
    speakers = [says("a", "one", "two", "three"), says("b")]
    result = run(group_chat.build(speakers, moderator=moderator, until=until.model_calls(4)))
    assert [outcome["id"] for outcome in result["outcomes"]] == ["m", "a", "m#2", "a#2"]
