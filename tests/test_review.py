"""Review: who accepts, when it ends, and which draft is given."""

from __future__ import annotations

from typing import Any

import pytest

from acting import ACCEPT, fails, run, says, told
from graphs import review
from nodes import Agent, Policy, ScriptedChatModel


def critics(*verdicts: Any) -> list[Agent]:
    return [says(f"critic{at}", *several) for at, several in enumerate(verdicts)]


def review_of(verdict: str, score: float, *issues: str) -> dict[str, Any]:
    return {"verdict": verdict, "score": score, "issues": list(issues)}


@pytest.mark.parametrize(("accept", "rounds"), [("all", 2), ("any", 1), (0.55, 1), (0.7, 2), (1, 2)])
def test_a_draft_is_accepted_by_all_by_any_or_by_its_mean_score(accept: Any, rounds: int) -> None:
    first, second = review_of("accept", 0.8), review_of("revise", 0.4, "Too short.")
    from nodes.decisions import Review

    judges = [
        Agent(f"critic{at}", model=ScriptedChatModel([said, ACCEPT]), response_format=Review)
        for at, said in enumerate((first, second))
    ]
    result = run(review.build(says("writer", "one", "two"), judges, accept=accept))
    assert (result["round"], result["status"], result["reason"]) == (rounds, "completed", "")
    assert result["answer"] == ("one", "two")[rounds - 1]


@pytest.mark.parametrize(
    "words", ["ACCEPT", "Accepted.", "**Approved**", "ok", "LGTM!", "Verdict: accept", "OK, nothing to change."]
)
def test_a_critic_may_accept_in_words(words: str) -> None:
    assert run(review.build(says("writer", "draft"), critics([words])))["status"] == "completed"


@pytest.mark.parametrize(
    "words",
    [
        "Acceptable it is not.",
        "OK, but the second line is wrong.",
        "Accept once the title is mended.",
        "Not accepted.",
        "Okra is a plant.",
    ],
)
def test_a_critic_that_has_reservations_does_not_accept(words: str) -> None:
    writer = says("writer", "draft", "better")
    result = run(review.build(writer, critics([words, "ACCEPT"])))
    assert (result["answer"], result["round"]) == ("better", 2)
    assert f"Feedback:\n- {words}" in told(writer, 1)


def test_a_critic_that_names_no_issue_still_has_the_draft_revised() -> None:
    async def stern(envelope: Any) -> dict[str, Any]:
        return {"verdict": "accept" if "better" in envelope.context["Draft"] else "revise", "score": 0.25}

    writer = says("writer", "draft", "better")
    assert run(review.build(writer, [stern]))["status"] == "completed"
    assert "Not accepted, without an issue named (score 0.25)." in told(writer, 1)


@pytest.mark.parametrize(
    "odd",
    [{"score": None}, {"score": "high"}, {"score": float("nan")}, {"issues": None}, {"issues": "all"}, {"score": 17}],
)
def test_a_critic_of_ones_own_may_leave_fields_out_or_fill_them_oddly(odd: dict[str, Any]) -> None:
    async def own(task: str) -> dict[str, Any]:
        return {"verdict": "revise", **odd}

    result = run(review.build(says("writer", "one", "two"), [own]), max_rounds=2)
    assert result["status"] == "stopped"
    assert result["reason"].startswith("max_rounds_reached")


def test_a_critic_that_fails_does_not_count() -> None:
    result = run(review.build(says("writer", "draft"), [fails("broken"), *critics(["ACCEPT"])]))
    assert (result["answer"], result["status"]) == ("draft", "completed")
    for order in (0, 1):
        judges = [fails("broken"), *critics(["Too short.", "Still too short."])][:: 1 - 2 * order]
        result = run(review.build(says("writer", "one", "two"), judges), max_rounds=2)
        assert result["reason"].startswith("max_rounds_reached: not accepted in 2 rounds; open: Still too short.")
        assert "broken" in result["reason"]


def test_critics_that_all_fail_leave_the_draft_unreviewed() -> None:
    result = run(review.build(says("writer", "draft"), [fails("a"), fails("b")]))
    assert (result["answer"], result["status"], result["round"]) == ("draft", "stopped", 1)
    assert result["reason"].startswith("not_reviewed: ")
    assert "a failed (ValueError: broken); b failed" in result["reason"]


def test_a_round_that_changes_nothing_ends_the_review() -> None:
    writer = says("writer", "The same  draft.", "The same draft.")
    result = run(review.build(writer, critics(["Too short.", "never asked"])), max_rounds=5)
    assert (result["answer"], result["status"]) == ("The same  draft.", "stopped")
    assert result["reason"] == "no_change: round 2 changed nothing; open: Too short."


def test_the_best_draft_so_far_is_given_when_rounds_run_out() -> None:
    from nodes.decisions import Review

    scores = [review_of("revise", score, f"issue {score}") for score in (0.3, 0.9, 0.5)]
    judge = Agent("judge", model=ScriptedChatModel(scores), response_format=Review)
    result = run(review.build(says("writer", "one", "two", "three"), [judge]), max_rounds=3)
    assert (result["answer"], result["status"]) == ("two", "stopped")
    assert result["reason"] == "max_rounds_reached: not accepted in 3 rounds; open: issue 0.5"


def test_a_draft_accepted_in_the_last_round_is_accepted() -> None:
    result = run(review.build(says("writer", "one", "two"), critics(["No.", "ACCEPT"])), max_rounds=2)
    assert (result["answer"], result["status"], result["reason"]) == ("two", "completed", "")


@pytest.mark.parametrize("on_failure", ["fail", "skip"])
def test_a_generator_that_fails_later_leaves_the_best_draft(on_failure: Any) -> None:
    writer = says("writer", "one", ValueError("broken"), policy=Policy(on_failure=on_failure))
    result = run(review.build(writer, critics(["Too short."])))
    assert (result["answer"], result["status"]) == ("one", "stopped")
    assert result["reason"].startswith("writer#2 ")
    assert "(ValueError: broken)" in result["reason"]


def test_a_generator_that_fails_at_once_is_a_failure() -> None:
    result = run(review.build(fails("writer"), critics(["never asked"])))
    assert (result["answer"], result["status"], result["reason"]) == (
        "",
        "failed",
        "writer failed (ValueError: broken)",
    )


def test_a_critic_sees_the_task_and_the_latest_draft_and_no_other_critic() -> None:
    judges = critics(["Wrong.", "ACCEPT"], ["ACCEPT", "ACCEPT"])
    run(review.build(says("writer", "one", "two"), judges))
    assert told(judges[1], 1) == "the task\n\nDraft:\ntwo"
