"""Parallel: the rules that make one answer of several, and what failing branches mean."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from langchain_core.tools import tool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.types import Command

from acting import Opinion, echo, fails, holds, run, says, statuses, told
from graphs import map_reduce, parallel, review, sequential, single
from nodes import Agent, Fallback, HumanAgent, Policy
from nodes.scripted import Step, call

# Rules


def test_compose_keeps_every_answer_under_its_name_in_the_order_of_the_agents() -> None:
    slow = says("a", Step("first", delay=0.02))
    result = run(parallel.build([slow, says("b", "second")]))
    assert result["answer"] == "## a\n\nfirst\n\n## b\n\nsecond"
    assert result["structured"] == {"parts": {"a": "first", "b": "second"}}


@pytest.mark.parametrize(
    ("answers", "winner"),
    [
        (["Yes.", "no", "yes"], "Yes."),
        (["no", "yes", "YES!"], "yes"),
        (["no", "yes"], "no"),
        (["yes", "no", "no", "yes"], "yes"),
        (["a", "b", "c"], "a"),
    ],
)
def test_a_vote_is_won_by_most_and_a_tie_by_the_first(answers: list[str], winner: str) -> None:
    agents = [says(f"agent{at}", answer) for at, answer in enumerate(answers)]
    result = run(parallel.build(agents, resolve="vote"))
    assert result["answer"] == winner
    conflict = result["structured"]["conflict"]
    assert conflict["resolved_by"] == "vote"
    assert [said["answer"] for said in conflict["said"]] == answers
    kept = [said["answer"].strip(".!").casefold() for said in conflict["dissent"]]
    assert kept == [
        one.strip(".!").casefold() for one in answers if one.strip(".!").casefold() != winner.strip(".!").casefold()
    ]


def test_a_vote_is_by_answers_also_when_they_are_false_or_zero() -> None:
    async def no(task: str) -> dict[str, Any]:
        return {"vote": False, "why": "of one thing"}

    async def nay(task: str) -> dict[str, Any]:
        return {"vote": False, "why": "of another"}

    result = run(parallel.build([says("a", "yes"), no, nay], resolve="vote"))
    assert result["answer"] == "False"


def test_weights_are_confidence_and_an_answer_without_any_counts_one() -> None:
    sure = [holds("a", "left", confidence=0.3), holds("b", "left", confidence=0.3), holds("c", "right", confidence=0.7)]
    result = run(parallel.build(sure, resolve="weighted"))
    assert result["answer"] == "right"
    assert [said["weight"] for said in result["structured"]["conflict"]["said"]] == [0.3, 0.3, 0.7]
    assert (
        run(parallel.build([holds("a", "left", confidence=0.9), says("b", "right")], resolve="weighted"))["answer"]
        == "right"
    )
    tie = [holds("a", "left", confidence=0.5), holds("b", "right", confidence=0.5)]
    assert run(parallel.build(tie, resolve="weighted"))["answer"] == "left"
    odd = [holds("a", "left", confidence=float("nan")), holds("b", "right", confidence=2.0)]
    assert run(parallel.build(odd, resolve="weighted"))["answer"] == "right"


def test_rank_takes_the_best_score_else_confidence_and_a_tie_goes_to_the_first() -> None:
    ranked = [holds("a", "low", score=0.1), holds("b", "high", score=0.9), holds("c", "same", score=0.9)]
    result = run(parallel.build(ranked, resolve="rank"))
    assert result["answer"] == "high"
    assert {said["agent"] for said in result["structured"]["conflict"]["dissent"]} == {"a", "c"}


def test_a_judge_decides_only_between_answers_that_differ() -> None:
    judge = says("judge", Opinion(answer="right"), response_format=Opinion)
    result = run(parallel.build([says("a", "left"), says("b", "right")], aggregator=judge, resolve="adjudicate"))
    assert result["answer"] == "right"
    assert result["structured"]["conflict"]["dissent"] == [{"agent": "a", "answer": "left", "weight": 1.0}]
    assert "Context from a:\nleft" in told(judge)
    idle = says("judge")
    result = run(parallel.build([says("a", "Same."), says("b", "same")], aggregator=idle, resolve="adjudicate"))
    assert (result["answer"], result["status"]) == ("Same.", "completed")
    assert result["structured"]["conflict"]["dissent"] == []


def test_an_aggregator_that_fails_leaves_the_rules_answer_and_says_why() -> None:
    result = run(parallel.build([says("a", "one"), says("b", "two")], aggregator=fails("joiner", "no words")))
    assert result["answer"] == "## a\n\none\n\n## b\n\ntwo"
    assert result["status"] == "partial"
    assert result["reason"] == "joiner failed (ValueError: no words)"


def test_an_aggregator_keeps_what_the_branches_said() -> None:
    result = run(parallel.build([says("a", "one"), says("b", "two")], aggregator=says("joiner", "one and two")))
    assert (result["answer"], result["status"]) == ("one and two", "completed")
    assert result["structured"] == {"parts": {"a": "one", "b": "two"}}


def test_the_answer_of_a_fallback_agent_counts_as_its_agents_own() -> None:
    def with_deputy(agent: Agent, *steps: Any, **options: Any) -> Agent:
        deputy = Fallback(agent=says("deputy", *steps, **options))
        return Agent(agent.name, model=agent.model, policy=Policy(fallback=(deputy,)))

    joiner = with_deputy(fails("joiner"), "joined")
    branches = [with_deputy(fails(name), name.upper()) for name in ("a", "b")]
    result = run(parallel.build(branches, aggregator=joiner))
    assert (result["answer"], result["status"]) == ("joined", "completed")
    assert result["structured"] == {"parts": {"a": "A", "b": "B"}}
    critic = with_deputy(fails("critic"), "ACCEPT")
    result = run(review.build(says("writer", "draft"), [critic]))
    assert (result["answer"], result["status"]) == ("draft", "completed")
    worker = with_deputy(fails("worker"), "X", "Y")
    result = run(map_reduce.build(worker, splitter=says("lines", "x\ny"), aggregator=with_deputy(fails("end"), "XY")))
    assert (result["answer"], result["status"], result["reason"]) == ("XY", "completed", "")


# Failures


def test_nine_of_ten_are_kept() -> None:
    agents = [fails("agent3") if at == 3 else says(f"agent{at}", f"answer {at}") for at in range(10)]
    result = run(parallel.build(agents))
    assert result["status"] == "partial"
    assert result["reason"] == "agent3 failed (ValueError: broken)"
    assert list(result["structured"]["parts"].values()) == [f"answer {at}" for at in range(10) if at != 3]


def test_best_effort_is_complete_with_what_there_is_and_says_what_is_not() -> None:
    result = run(parallel.build([says("a", "one"), fails("b")], on_failure="best_effort"))
    assert (result["answer"], result["status"], result["reason"]) == (
        "one",
        "completed",
        "b failed (ValueError: broken)",
    )
    result = run(parallel.build([fails("a"), fails("b")], on_failure="best_effort"))
    assert (result["answer"], result["status"]) == ("", "failed")


@pytest.mark.parametrize(("quorum", "status"), [(1, "completed"), (2, "completed"), (3, "failed")])
def test_a_quorum_is_reached_or_the_run_has_failed(quorum: int, status: str) -> None:
    result = run(parallel.build([says("a", "one"), says("b", "two"), fails("c")], quorum=quorum))
    assert result["status"] == status
    assert "c failed" in result["reason"]
    assert ("quorum not reached: 2 of 3 needed" in result["reason"]) == (status == "failed")
    assert list(result["structured"]["parts"]) == ["a", "b"]


@pytest.mark.parametrize("checkpointer", [None, "memory"])
def test_fail_fast_cancels_siblings_that_hang_and_keeps_what_is_done(checkpointer: str | None) -> None:
    cleaned, started = list[str](), list[str]()

    async def hang(task: str) -> str:
        started.append("function")
        try:
            await asyncio.sleep(60)
        finally:
            cleaned.append("up")
        return "never"

    def wait(messages: Any) -> Step:
        started.append("model")
        return Step("never", delay=60)

    async def quick(task: str) -> str:
        started.append("quick")
        return "done"

    async def late(task: str) -> str:
        while len(started) < 3:
            await asyncio.sleep(0.001)
        raise ValueError("broken")

    stuck = says("stuck", wait)
    builder = parallel.build([quick, hang, stuck, late], on_failure="fail_fast")
    graph = builder.compile(InMemorySaver() if checkpointer else None, name="p")
    result = graph.invoke({"task": "t"}, {"configurable": {"thread_id": "t"}})
    assert statuses(result) == {"quick": "ok", "hang": "cancelled", "stuck": "cancelled", "late": "failed"}
    assert (result["status"], result["answer"]) == ("failed", "done")
    assert "late failed (ValueError: broken)" in result["reason"]
    assert cleaned == ["up"]
    (cancelled,) = (outcome for outcome in result["outcomes"] if outcome["id"] == "stuck")
    assert cancelled["usage"]["model_calls"] == 1
    assert cancelled["error"]["type"] == "Cancelled"


def test_fail_fast_stops_a_whole_team_and_a_tool_and_books_what_they_had_spent() -> None:
    hanging: list[str] = []

    @tool
    async def hang() -> str:
        """Wait."""
        hanging.append("in a tool")
        await asyncio.sleep(60)
        return "never"

    def stuck(messages: Any) -> Step:
        hanging.append("in a model")
        return Step("two", delay=60)

    async def late(task: str) -> str:
        while len(hanging) < 2:
            await asyncio.sleep(0.001)
        raise ValueError("broken")

    team = sequential.build([says("first", "one"), says("second", stuck), says("third")]).compile(name="team")
    looped = says("looped", call("hang"), tools=[hang])
    result = run(parallel.build([team, looped, late], on_failure="fail_fast"))
    assert statuses(result) == {"team": "cancelled", "looped": "cancelled", "late": "failed"}
    spent = {outcome["id"]: outcome["usage"]["model_calls"] for outcome in result["outcomes"]}
    assert spent == {"team": 2, "looped": 1, "late": 0}


def test_a_branch_that_ignores_its_cancellation_is_left_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nodes.failure.GRACE", 0.02)
    release = asyncio.Event()

    async def stubborn(task: str) -> str:
        while not release.is_set():
            try:
                await asyncio.wait_for(release.wait(), 5)
            except asyncio.CancelledError:
                continue
        return "finally"

    result = run(parallel.build([stubborn, fails("b")], on_failure="fail_fast"))
    assert statuses(result) == {"stubborn": "cancelled", "b": "failed"}
    release._loop.call_soon_threadsafe(release.set)  # type: ignore[attr-defined]  # bound to the loop it was awaited on


def test_each_fail_fast_turn_starts_unhurt_by_the_one_before() -> None:
    agents = [says("a", ValueError("broken"), "fine"), says("b", Step("one", delay=0.01), "two")]
    graph = parallel.build(agents, on_failure="fail_fast").compile(InMemorySaver(), name="p")
    config: Any = {"configurable": {"thread_id": "t"}}
    assert statuses(graph.invoke({"task": "t"}, config)) == {"a": "failed", "b": "cancelled"}
    assert statuses(graph.invoke({"task": "t"}, config)) == {"a": "ok", "b": "ok"}


def test_fail_fast_lets_an_agent_be_skipped() -> None:
    skipped = says("a", ValueError("x"), policy=Policy(on_failure="skip"))
    result = run(parallel.build([skipped, says("b", Step("two", delay=0.01))], on_failure="fail_fast"))
    assert statuses(result) == {"a": "skipped", "b": "ok"}
    assert (result["status"], result["answer"]) == ("partial", "two")


def test_fail_fast_with_a_person_among_the_branches_pauses_and_ends_when_they_answered() -> None:
    builder = parallel.build([HumanAgent("person"), fails("b"), says("c", "three")], on_failure="fail_fast")
    graph = builder.compile(InMemorySaver(), name="p")
    config: Any = {"configurable": {"thread_id": "t"}}
    assert "__interrupt__" in graph.invoke({"task": "t"}, config)
    (request,) = graph.get_state(config).interrupts
    answer = {"decisions": [{"type": "respond", "message": "here"}]}
    result = graph.invoke(Command(resume={request.id: answer}), config)
    assert result["status"] == "failed"
    assert statuses(result)["person"] == "ok"
    assert "here" in result["answer"]


@pytest.mark.parametrize(
    "around",
    [
        lambda team: single.build(team),
        lambda team: sequential.build([team, says("c", "three")]),
        lambda team: parallel.build([team, says("c", "three")]),
        lambda team: parallel.build([says("c", "three"), says("d", "four")], aggregator=team),
        lambda team: map_reduce.build(echo, splitter=says("lines", "x"), aggregator=team),
    ],
)
def test_a_team_that_was_done_in_part_makes_the_whole_partial_and_says_why(around: Any) -> None:
    result = run(around(parallel.build([says("a", "one"), fails("b")]).compile(name="team")))
    assert result["status"] == "partial"
    assert result["reason"] == "team done in part (TeamPartial: b failed (ValueError: broken))"
    assert statuses(result)["team"] == "ok"
