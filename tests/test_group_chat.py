"""Group chat: who speaks, who is told what, what it costs, and how it ends."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.types import Command

from acting import fails, run, says, statuses, told
from graphs import group_chat, sequential
from nodes import Agent, HumanAgent, Policy, ScriptedChatModel, until
from nodes.scripted import Step
from nodes.transcript import DIGEST, Contribution, digest_of
from state import Budget, ConfigurationError, Context
from state.outcome import total_usage


def speaker(name: str, *said: Any, **options: Any) -> Agent:
    """Return a speaker that never says the same thing twice, unless told what to say."""
    return says(name, *(said or [f"{name} says {number}" for number in range(40)]), **options)


def picks(*names: str) -> Agent:
    """Return a moderator that names speakers, and is done after the last."""
    steps = [{"speaker": name, "reason": f"it is {name}'s turn"} for name in names]
    return says("moderator", *steps, {"done": True, "reason": "All is said."})


def order(result: dict[str, Any]) -> list[str]:
    return [entry["speaker"] for entry in result["structured"]["contributions"]]


# --- who speaks


@pytest.mark.parametrize("moderator", [None, "round_robin"])
def test_speakers_take_turns_in_their_order_for_as_many_rounds_as_the_context_says(moderator: Any) -> None:
    result = run(group_chat.build([speaker("a"), speaker("b"), speaker("c")], moderator=moderator), max_rounds=2)
    assert order(result) == ["a", "b", "c", "a", "b", "c"]
    assert (result["answer"], result["status"], result["reason"]) == ("c says 1", "completed", "")
    assert result["structured"] == {
        "contributions": [{"speaker": name.partition("#")[0], "outcome": name} for name in statuses(result)],
        "ended_by": "round 2 is over",
        "notes": [],
    }


def test_a_moderator_says_who_speaks_and_when_it_is_done() -> None:
    moderator = picks("b", "a", "b")
    result = run(group_chat.build([speaker("a"), speaker("b")], moderator=moderator))
    assert order(result) == ["b", "a", "b"]
    assert (result["answer"], result["status"], result["reason"]) == ("b says 1", "completed", "")
    assert result["structured"]["ended_by"] == "moderator: All is said."


@pytest.mark.parametrize(
    "said", ['"B"', "**b**", 'I think: {"speaker": "b"}', {"speaker": "`B`", "reason": "", "x": 1}]
)
def test_a_name_is_known_in_whatever_dress(said: Any) -> None:
    replies = iter([said, {"done": True}])

    async def own(task: str) -> Any:
        return next(replies)

    result = run(group_chat.build([speaker("a"), speaker("b")], moderator=own))
    assert (order(result), result["status"]) == (["b"], "completed")


def test_a_rule_says_who_speaks_by_what_was_said() -> None:
    seen: list[list[Contribution]] = []

    def rule(said: list[Contribution]) -> str | None:
        seen.append(said)
        return ("b", "a", None)[len(said)]

    result = run(group_chat.build([speaker("a"), speaker("b")], rule=rule))
    assert (order(result), result["status"], result["answer"]) == (["b", "a"], "completed", "a says 0")
    assert seen[-1] == [{"speaker": "b", "text": "b says 0"}, {"speaker": "a", "text": "a says 0"}]
    assert result["structured"]["ended_by"] == "rule: done"


def test_a_rule_that_raises_is_noted_and_the_speakers_go_on_in_turn() -> None:
    def rule(said: Sequence[Contribution]) -> str | None:
        raise KeyError("nobody")

    result = run(group_chat.build([speaker("a"), speaker("b")], rule=rule), max_rounds=1)
    assert (order(result), result["status"], result["answer"]) == (["a", "b"], "partial", "b says 0")
    assert "rule#2 failed (KeyError: 'nobody')" in result["reason"]


# --- who is told what


def test_a_speaker_is_told_the_task_who_talks_the_latest_in_full_and_of_the_rest_a_digest() -> None:
    long = "The first sentence of all. " + "Nothing of this matters much here. " * 40
    a, b = speaker("a", long, "a says more"), speaker("b", "b one\n\nin two parts", "b two")
    run(group_chat.build([a, b], until=until.rounds(2)), transcript_window=2)
    assert told(a) == (
        "the task\n\nConstraints:\n- You talk with b. It is your turn.\n"
        "- Say only what is new, and answer what was said last."
    )
    older, latest = (
        told(b, 1).removeprefix("the task\n\nPrevious contributions:\n").split("\n\nLatest contributions:\n")
    )
    assert older.startswith("- a: The first sentence of all. ")
    assert older.endswith(" [...]")
    assert len(older) < 300
    assert latest.startswith("b (you): b one\n\nin two parts\n\na: a says more\n\nConstraints:\n- You talk with a.")


def test_what_a_speaker_said_long_ago_is_still_told_to_it_as_its_own() -> None:
    names = list("abcdefgh")
    speakers = [speaker(name) for name in names]
    run(group_chat.build(speakers, until=until.turns(9)))
    assert "Your contribution before:\n- a: a says 0" in told(speakers[0], 1)
    assert told(speakers[0], 1).count("a says 0") == 1
    assert "- b: b says 0" in told(speakers[0], 1)
    assert "h: h says 0" in told(speakers[0], 1)


def test_a_moderator_is_told_the_agents_their_turns_and_gists_alone() -> None:
    moderator, long = picks("a", "b"), "A first sentence. " + "Many words that do not matter. " * 50
    a = Agent("a", "Knows all of it.", model=ScriptedChatModel([long]))
    run(group_chat.build([a, fails("b")], moderator=moderator))
    assert "Agents:\n- a: Knows all of it.\n- b\n\nTurns so far:\na 0, b 0" in told(moderator)
    assert "Turns so far:\na 1, b 1; b failed (ValueError: broken)" in told(moderator, 2)
    assert "Contributions so far:\n- a: A first sentence." in told(moderator, 2)
    assert len(told(moderator, 2)) < 900


def test_who_opens_the_conversation_and_the_moderator_remember_what_was_said_before() -> None:
    config: Any = {"configurable": {"thread_id": "t"}}
    a, b, moderator = speaker("a"), speaker("b"), says("moderator", *[{"speaker": "a"}, {"speaker": "b"}] * 2)
    builder = group_chat.build([a, b], moderator=moderator, until=until.rounds(1))
    graph = builder.compile(checkpointer=InMemorySaver(), name="p")
    for task in ("first task", "second task"):
        graph.invoke({"task": task}, config)
    sent = {
        agent.name: [m.text for m in agent.model.requests[-1].messages if m.type != "system"][:-1]  # type: ignore[union-attr]
        for agent in (a, b, moderator)
    }
    assert sent == {"a": ["first task", "b says 0"], "b": [], "moderator": ["first task", "b says 0"]}


def test_the_digest_is_bounded_the_later_the_longer_and_says_that_something_is_missing() -> None:
    said = [
        Contribution(speaker="a", text=" ".join(f"Turn {at} has a point {number}." for number in range(60)))
        for at in range(50)
    ]
    lines = digest_of(said, DIGEST).split("\n")
    assert len("\n".join(lines)) <= DIGEST
    assert lines[0] == "[...]"
    assert lines[-1].startswith("- a: Turn 49 has a point 0.")
    assert len(lines) > 4
    assert [len(line) for line in lines] == sorted(len(line) for line in lines)
    short = [Contribution(speaker="a", text=f"Point {at}.") for at in range(5)]
    assert digest_of(short, DIGEST) == "\n".join(f"- a: Point {at}." for at in range(5))
    assert digest_of([], DIGEST) == ""


# --- what it costs


def words_of(turn: int) -> str:
    """Return about a thousand characters that nobody else says."""
    sentences = (
        f"On point {turn * 100 + at} case t{turn}w{at} holds, as item q{turn}z{at} has it." for at in range(30)
    )
    text = ""
    for sentence in sentences:
        text += sentence + " "
    return text[:1000]


def prompt_tokens(turns: int, *, moderated: bool) -> int:
    names = ["ann", "ben", "cid"]
    model = ScriptedChatModel([words_of(turn) for turn in range(turns)])
    speakers = [Agent(name, "Takes part in it.", "You are one of three experts.", model=model) for name in names]
    moderator = says("moderator", *[{"speaker": names[turn % 3], "reason": "Next."} for turn in range(turns)])
    builder = group_chat.build(speakers, moderator=moderator if moderated else None, until=until.turns(turns))
    result = run(builder, "Decide how the archive is to be kept.", max_turns=100)
    assert len(order(result)) == turns
    return total_usage(result["outcomes"])["input_tokens"]


@pytest.mark.parametrize("moderated", [False, True])
def test_thirty_turns_of_a_thousand_characters_take_at_most_41000_prompt_tokens_and_grow_linearly(
    moderated: bool,
) -> None:
    ten, twenty, thirty = (prompt_tokens(turns, moderated=moderated) for turns in (10, 20, 30))
    assert thirty <= 41_000
    assert thirty - twenty == pytest.approx(twenty - ten, rel=0.2)


# --- how it ends


def test_it_is_stopped_when_the_turns_of_the_context_run_out_whatever_else_holds() -> None:
    result = run(group_chat.build([speaker("a"), speaker("b")], until=until.turns(3)), max_turns=3)
    assert (result["answer"], result["status"]) == ("a says 1", "stopped")
    assert result["reason"] == "max_turns_reached: not ended after 3 turns"


@pytest.mark.parametrize(("repeats", "taken"), [(1, 4), (2, 4), (3, 6)])
def test_a_conversation_that_goes_in_a_circle_is_stopped(repeats: int, taken: int) -> None:
    a, b = speaker("a", *["Ping goes it."] * 9), speaker("b", *["Pong goes it."] * 9)
    result = run(group_chat.build([a, b], until=until.turns(15)), max_repeats=repeats)
    assert (len(order(result)), result["status"], result["answer"]) == (taken, "stopped", "Pong goes it.")
    assert result["reason"].startswith("loop: a, b said the same")


def test_a_moderator_that_sends_one_speaker_in_circles_is_stopped() -> None:
    result = run(group_chat.build([speaker("a", *["Again."] * 9), speaker("b")], moderator=picks(*"aaaaaaaa")))
    assert (len(order(result)), result["status"]) == (3, "stopped")
    assert result["reason"] == "loop: a said the same 3 times"


def test_a_conversation_that_ends_as_agreed_is_completed_even_where_it_repeats_itself() -> None:
    a, b = speaker("a", "Yes.", "Yes."), speaker("b", "No.", "No.")
    result = run(group_chat.build([a, b], until=until.rounds(2)), max_repeats=2)
    assert (result["status"], result["structured"]["ended_by"]) == ("completed", "round 2 is over")


def test_a_budget_that_is_used_up_ends_it_with_what_there_is() -> None:
    result = run(group_chat.build([speaker("a"), speaker("b")], moderator=picks(*"abab")), budget=Budget(model_calls=4))
    assert (result["answer"], result["status"]) == ("b says 0", "stopped")
    assert result["reason"].startswith("moderator#3 stopped (BudgetExceeded")
    assert order(result) == ["a", "b"]


# --- what goes wrong


@pytest.mark.parametrize(
    "broken", [ValueError("broken"), Step("", finish_reason="stop"), Step("half", finish_reason="length")]
)
def test_a_speaker_that_fails_or_says_nothing_loses_its_turn(broken: Any) -> None:
    a = speaker(
        "a", broken, broken, broken, "a says 1", policy=Policy(max_attempts=3 if isinstance(broken, Step) else 1)
    )
    b = speaker("b")
    result = run(group_chat.build([a, b], until=until.rounds(1)))
    assert statuses(result) == {"a": "failed", "b": "ok"}
    assert (order(result), result["answer"], result["status"]) == (["b"], "b says 0", "partial")
    assert result["reason"].startswith("a failed (")
    assert "Latest contributions" not in told(b)


def test_a_speaker_that_hangs_loses_its_turn() -> None:
    stuck = Agent("a", model=ScriptedChatModel([Step("late", delay=60)] * 3), policy=Policy(timeout=0.05))
    result = run(group_chat.build([stuck, speaker("b")], until=until.rounds(1)))
    assert (statuses(result), result["status"]) == ({"a": "timed_out", "b": "ok"}, "partial")


def test_a_speaker_that_found_its_voice_again_goes_on() -> None:
    a = speaker("a", ValueError("broken"), "a is back")
    result = run(group_chat.build([a, speaker("b")], until=until.turns(3)))
    assert (order(result), result["answer"], result["status"]) == (["b", "a"], "a is back", "partial")


def test_it_has_failed_when_nobody_ever_says_anything() -> None:
    result = run(group_chat.build([fails("a"), fails("b")]))
    assert statuses(result) == {"a": "failed", "b": "failed"}
    assert (result["answer"], result["status"]) == ("", "failed")
    assert result["reason"] == (
        "nothing was said: nobody can speak; a failed (ValueError: broken); b failed (ValueError: broken)"
    )


def test_a_round_in_which_everybody_fails_ends_it_with_what_was_said() -> None:
    a, b = speaker("a", "a says 0", *[ValueError("gone")] * 5), speaker("b", *[ValueError("gone")] * 5)
    result = run(group_chat.build([a, b], until=until.rounds(5)))
    assert statuses(result) == {"a": "ok", "b": "failed", "a#2": "failed"}
    assert (result["answer"], result["status"]) == ("a says 0", "partial")
    assert result["reason"].startswith("nobody can speak; ")


def test_a_moderator_that_names_nobody_is_told_and_the_next_in_turn_speaks() -> None:
    moderator = says("moderator", {"speaker": "a"}, {"speaker": "nobody"}, {"speaker": "a"}, {"done": True})
    result = run(group_chat.build([speaker("a"), speaker("b")], moderator=moderator))
    assert (order(result), result["status"], result["reason"]) == (["a", "b", "a"], "completed", "")
    note = "moderator#2: expected one of a, b, got 'nobody'; b spoke instead"
    assert result["structured"]["notes"] == [note]
    assert note in told(moderator, 2)
    assert "Correction" not in told(moderator, 3)


@pytest.mark.parametrize("wrong", ["nobody", "", {"speaker": ""}, {"other": 1}, {"speaker": 3}, "I could not say."])
def test_a_moderator_that_names_nobody_again_and_again_is_stopped(wrong: Any) -> None:
    async def lost(task: str) -> Any:
        return wrong

    result = run(group_chat.build([speaker("a"), speaker("b")], moderator=lost, until=until.turns(9)))
    assert (order(result), result["answer"], result["status"]) == (["a", "b"], "b says 0", "stopped")
    assert result["reason"].startswith("max_repeats_reached: 3 wrong choices in a row")


def test_a_model_as_moderator_that_never_gives_the_shape_is_stopped() -> None:
    moderator = says("moderator", *["Hm, hard to say."] * 9)
    result = run(group_chat.build([speaker("a"), speaker("b")], moderator=moderator, until=until.turns(9)))
    assert (order(result), result["status"]) == (["a", "b"], "stopped")
    assert "WrongShape" in result["reason"]


def test_wrong_choices_count_only_in_a_row() -> None:
    lost, a = {"speaker": "nobody"}, {"speaker": "a"}
    moderator = says("moderator", lost, lost, a, lost, lost, a, {"done": True})
    result = run(group_chat.build([speaker("a"), speaker("b")], moderator=moderator, until=until.turns(9)))
    assert (len(order(result)), result["status"]) == (6, "completed")


@pytest.mark.parametrize("slow", [False, True])
def test_speakers_go_on_in_turn_without_a_moderator_that_fails_or_hangs(slow: bool) -> None:
    steps = [Step("late", delay=60) if slow else ValueError("broken")] * 20
    moderator = Agent("moderator", model=ScriptedChatModel(steps), policy=Policy(timeout=0.02, max_attempts=1))
    result = run(group_chat.build([speaker("a"), speaker("b")], moderator=moderator, until=until.turns(5)))
    assert (order(result), result["status"]) == (["a", "b", "a", "b", "a"], "partial")
    assert result["reason"].startswith("moderator#5 ")
    assert result["structured"]["notes"][0].endswith("; a spoke instead")


@pytest.mark.parametrize(("words", "status"), [("There is nothing to discuss.", "completed"), ("", "failed")])
def test_the_moderators_closing_words_are_the_answer_where_nobody_spoke(words: str, status: str) -> None:
    moderator = says("moderator", {"done": True, "reason": words})
    result = run(group_chat.build([speaker("a"), speaker("b")], moderator=moderator))
    assert (result["answer"], result["status"]) == (words, status)


def test_closing_words_are_the_answer_too_where_those_who_were_asked_failed() -> None:
    moderator = says("moderator", {"speaker": "a"}, {"done": True, "reason": "Nobody knows."})
    result = run(group_chat.build([fails("a"), speaker("b")], moderator=moderator))
    assert (result["answer"], result["status"]) == ("Nobody knows.", "partial")
    assert "a failed (ValueError: broken)" in result["reason"]


def test_people_may_speak_and_moderate() -> None:
    graph = group_chat.build([HumanAgent("eva"), speaker("b")], moderator=HumanAgent("chair")).compile(
        checkpointer=InMemorySaver(), name="p"
    )
    config: Any = {"configurable": {"thread_id": "t"}}
    result = graph.invoke({"task": "the task"}, config)
    for said in ("Eva", "I say so.", "b", '{"done": true}'):
        (request,) = graph.get_state(config).interrupts
        decision = {"decisions": [{"type": "respond", "message": said}]}
        result = graph.invoke(Command(resume={request.id: decision}), config)
    assert (order(result), result["answer"], result["status"]) == (["eva", "b"], "b says 0", "completed")


def test_a_speaker_may_be_a_team() -> None:
    team = sequential.build([says("x", "from x"), says("y", "from y")]).compile(name="team")
    result = run(group_chat.build([speaker("a"), team], until=until.rounds(1)))
    assert (order(result), result["answer"], result["status"]) == (["a", "team"], "from y", "completed")


def test_the_time_when_it_began_is_data_and_new_in_each_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    graph = group_chat.build([speaker("a"), speaker("b")], until=until.seconds(50) | until.turns(4)).compile(
        checkpointer=InMemorySaver(), name="p"
    )
    config: Any = {"configurable": {"thread_id": "t"}}
    for now, ends_by in ((1000.0, "turn 4 is over"), (2000.0, "turn 4 is over")):
        monkeypatch.setattr("graphs.group_chat.time.time", lambda now=now: now)
        result = graph.invoke({"task": "the task"}, config, context=Context())
        assert (graph.get_state(config).values["began"], result["structured"]["ended_by"]) == (now, ends_by)


# --- what is refused


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"speakers": [says("a")]}, "speakers: expected at least 2, got 1"),
        ({"speakers": [says("a"), says("a")]}, "different names"),
        ({"speakers": [says("a"), 3]}, "speakers: expected an Agent"),
        ({"moderator": "chair"}, "moderator: expected 'round_robin' or an agent, got 'chair'"),
        ({"moderator": 3}, "moderator: expected an Agent"),
        ({"moderator": says("assistant")}, "moderator and speakers: expected different names"),
        ({"moderator": says("m"), "rule": lambda said: None}, "moderator and rule: expected one of them, got both"),
        ({"moderator": "round_robin", "rule": lambda said: None}, "moderator and rule: expected one of them"),
        ({"rule": "a"}, "rule: expected a function"),
        ({"rule": lambda said: None, "speakers": [says("rule"), says("b")]}, "'rule' cannot be used here"),
        ({"until": 3}, "until: expected a StopCondition"),
        ({"speakers": [says("finish"), says("b")]}, "'finish' cannot be used here"),
    ],
)
def test_wrong_arguments_are_refused_before_anything_runs(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        group_chat.build(**options)
