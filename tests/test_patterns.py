"""What each pattern does besides the happy path: failures, ties, limits, and arguments that cannot work."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from langchain_core.messages import HumanMessage
from langchain_core.tools import tool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.types import Command
from pydantic import BaseModel

from graphs import map_reduce, parallel, review, sequential, single
from nodes import Agent, Fallback, HumanAgent, Policy, ScriptedChatModel
from nodes.scripted import Step, call
from state import Budget, ConfigurationError, Context

REVISE = {"verdict": "revise", "issues": ["Too short."], "score": 0.2}
ACCEPT = {"verdict": "accept", "issues": [], "score": 1.0}


class Opinion(BaseModel):
    """An answer with how sure its author is."""

    answer: str
    confidence: float = 1.0
    score: float = 0.0


class Parts(BaseModel):
    """Items under another name, in front of which stands something else."""

    title: str
    parts: list[Any]


def says(name: str, *steps: Any, **options: Any) -> Agent:
    """Return an agent that answers with the steps, in order."""
    return Agent(name, model=ScriptedChatModel(list(steps)), **options)


def holds(name: str, answer: str, **figures: float) -> Agent:
    """Return an agent that answers with an opinion."""
    return says(name, Opinion(answer=answer, **figures), response_format=Opinion)


def fails(name: str, message: str = "broken") -> Agent:
    """Return an agent that always fails."""
    return says(name, *[ValueError(message)] * 5)


def run(builder: Any, task: str = "the task", **context: Any) -> dict[str, Any]:
    """Run a pattern and return its final state."""
    result: dict[str, Any] = builder.compile(name="p").invoke({"task": task}, context=Context(**context))
    return result


def statuses(result: dict[str, Any]) -> dict[str, str]:
    return {outcome["id"]: outcome["status"] for outcome in result["outcomes"]}


def told(agent: Agent, call: int = 0) -> str:
    """Return what an agent was sent at a call."""
    assert isinstance(agent.model, ScriptedChatModel)
    return agent.model.requests[call].messages[-1].text


# --- parallel: rules


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


# --- parallel: failures


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


# --- map-reduce


def worked(result: dict[str, Any]) -> list[str]:
    return [entry["item"] for entry in result["structured"]["results"]]


async def echo(item: str) -> str:
    if item == "bad":
        raise ValueError("bad item")
    return f"<{item}>"


@pytest.mark.parametrize(
    ("answer", "items"),
    [
        ("one\ntwo\n\n three ", ["one", "two", "three"]),
        ("- one\n* two\n1. three\n2) four", ["one", "two", "three", "four"]),
        ("2024 results\n3.11 notes\n-5 degrees", ["2024 results", "3.11 notes", "-5 degrees"]),
        ("same\nother\nsame", ["same", "other"]),
    ],
)
def test_a_splitter_may_answer_in_lines(answer: str, items: list[str]) -> None:
    assert worked(run(map_reduce.build(echo, splitter=says("lines", answer)))) == items


@pytest.mark.parametrize(
    ("parts", "items"),
    [
        (["one", "two", "one"], ["one", "two"]),
        ([1984, 2001], ["1984", "2001"]),
        ([{"id": 1, "task": "one"}, {"task": "two"}, {}], ["one", "two"]),
        (["- 1. kept as it is", "  "], ["- 1. kept as it is"]),
    ],
)
def test_a_splitter_may_answer_with_any_list(parts: list[Any], items: list[str]) -> None:
    splitter = says("parts", Parts(title="t", parts=parts), response_format=Parts)
    assert worked(run(map_reduce.build(echo, splitter=splitter))) == items


def test_a_splitter_that_gives_no_item_or_fails_ends_the_run_with_the_reason() -> None:
    empty = says("empty", Parts(title="t", parts=[]), response_format=Parts)
    result = run(map_reduce.build(echo, splitter=empty))
    assert (result["answer"], result["status"], result["reason"]) == ("", "failed", "the splitter gave no items")
    result = run(map_reduce.build(echo, splitter=holds("opinion", "no list at all")))
    assert result["reason"] == "the splitter gave no items"
    result = run(map_reduce.build(echo, splitter=fails("broken")))
    assert (result["status"], result["reason"]) == ("failed", "broken failed (ValueError: broken)")


def test_items_beyond_the_limit_are_left_out_and_that_is_said() -> None:
    result = run(map_reduce.build(echo, splitter=says("lines", "a\nb\nc\nd\ne")), max_items=3)
    assert worked(result) == ["a", "b", "c"]
    assert (result["status"], result["reason"]) == ("partial", "2 items beyond max_items=3 left out")


def test_a_worker_that_fails_on_one_item_leaves_the_others() -> None:
    result = run(map_reduce.build(echo, splitter=says("lines", "a\nbad\nc")))
    assert result["answer"] == "## a\n\n<a>\n\n## c\n\n<c>"
    assert (result["status"], result["reason"]) == ("partial", "item-2 failed (ValueError: bad item)")
    assert result["structured"]["failed"] == [{"item": "bad", "reason": "item-2 failed (ValueError: bad item)"}]


@pytest.mark.parametrize(("quorum", "status"), [(2, "completed"), (3, "failed")])
def test_a_quorum_of_items_is_enough(quorum: int, status: str) -> None:
    result = run(map_reduce.build(echo, splitter=says("lines", "a\nbad\nc"), quorum=quorum))
    assert result["status"] == status
    assert worked(result) == ["a", "c"]


def test_fail_fast_cancels_the_items_that_are_still_worked_on() -> None:
    async def work(item: str) -> str:
        if item == "bad":
            raise ValueError("bad item")
        await asyncio.sleep(60 if item == "slow" else 0)
        return item

    result = run(map_reduce.build(work, splitter=says("lines", "quick\nslow\nbad"), on_failure="fail_fast"))
    assert statuses(result) == {"lines": "ok", "item-1": "ok", "item-2": "cancelled", "item-3": "failed"}
    assert (result["status"], worked(result)) == ("failed", ["quick"])


def test_an_aggregator_sees_every_result_and_its_failure_leaves_them() -> None:
    joiner = says("joiner", "all of it")
    result = run(map_reduce.build(echo, splitter=says("lines", "a\nb"), aggregator=joiner))
    assert (result["answer"], result["status"], worked(result)) == ("all of it", "completed", ["a", "b"])
    assert told(joiner) == "the task\n\nContext from item-1 (a):\n<a>\n\nContext from item-2 (b):\n<b>"
    result = run(map_reduce.build(echo, splitter=says("lines", "a\nbad"), aggregator=fails("joiner")))
    assert result["answer"] == "## a\n\n<a>"
    assert result["reason"] == "item-2 failed (ValueError: bad item); joiner failed (ValueError: broken)"


def test_a_team_as_worker_starts_each_item_with_nothing_of_the_others() -> None:
    inner = map_reduce.build(echo, splitter=says("inner lines", "x\ny", "z")).compile(name="inner")
    result = run(map_reduce.build(inner, splitter=says("outer lines", "a\nb")), max_concurrency=1)
    assert list(statuses(result)) == ["outer lines", "item-1", "item-2"]
    children = [[child["id"] for child in outcome["children"]] for outcome in result["outcomes"][1:]]
    assert sorted(map(len, children)) == [2, 3]
    assert all(names[0] == "inner lines" and names[1] == "item-1" for names in children)


# --- review


def critics(*verdicts: Any) -> list[Agent]:
    return [says(f"critic{at}", *several) for at, several in enumerate(verdicts)]


def review_of(verdict: str, score: float, *issues: str) -> dict[str, Any]:
    return {"verdict": verdict, "score": score, "issues": list(issues)}


@pytest.mark.parametrize(("accept", "rounds"), [("all", 2), ("any", 1), (0.55, 1), (0.7, 2), (1, 2)])
def test_a_draft_is_accepted_by_all_by_any_or_by_its_mean_score(accept: Any, rounds: int) -> None:
    first, second = review_of("accept", 0.8), review_of("revise", 0.4, "Too short.")
    from nodes.roles import Review

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
    from nodes.roles import Review

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


# --- sequential


def test_a_failure_in_the_middle_keeps_what_was_made_and_asks_nobody_else() -> None:
    last = says("c")
    result = run(sequential.build([says("a", "one"), fails("b"), last]))
    assert (result["answer"], result["status"], result["reason"]) == ("one", "partial", "b failed (ValueError: broken)")
    assert list(statuses(result)) == ["a", "b"]


def test_a_failure_at_the_start_is_a_failure_without_an_answer() -> None:
    result = run(sequential.build([fails("a"), says("b")]))
    assert (result["answer"], result["status"]) == ("", "failed")
    assert [type(message) for message in result["messages"]] == [HumanMessage]


def test_who_is_skipped_is_left_out_of_what_the_next_one_is_told() -> None:
    last = says("c", "three")
    skipped = says("b", ValueError("x"), policy=Policy(on_failure="skip"))
    result = run(sequential.build([says("a", "one"), skipped, last]))
    assert told(last) == "the task\n\nContext from a:\none"
    assert (result["answer"], result["status"], result["reason"]) == ("three", "partial", "b skipped (ValueError: x)")


def test_a_chain_that_a_budget_stops_is_stopped_with_what_it_made() -> None:
    agents = [says(name, name.upper()) for name in "abc"]
    result = run(sequential.build(agents), budget=Budget(model_calls=2))
    assert (result["answer"], result["status"]) == ("B", "stopped")


# --- knobs


def test_no_more_agents_work_at_once_than_the_context_allows() -> None:
    working, most = [0], [0]

    async def count(item: str) -> str:
        working[0] += 1
        most[0] = max(most[0], working[0])
        await asyncio.sleep(0.002)
        working[0] -= 1
        return item

    items = "\n".join(str(number) for number in range(20))
    run(map_reduce.build(count, splitter=says("lines", items)), max_concurrency=4)
    assert most == [4]


def test_a_deadline_that_has_passed_stops_every_pattern_before_a_model_is_called() -> None:
    for builder in (
        single.build(says("a")),
        sequential.build([says("a"), says("b")]),
        parallel.build([says("a"), says("b")]),
        map_reduce.build(says("a"), splitter=says("b")),
        review.build(says("a"), [says("b")]),
    ):
        result = run(builder, deadline=1.0)
        assert (result["status"], result["answer"]) == ("stopped", "")
        assert "seconds" in result["reason"]


def test_a_foreign_graph_is_held_to_the_runs_time() -> None:
    from langgraph.graph import END, START, StateGraph

    from state import TaskState

    async def hang(state: TaskState) -> dict[str, Any]:
        await asyncio.sleep(60)
        return {}

    foreign = StateGraph(TaskState)
    foreign.add_node("hang", hang)
    foreign.add_edge(START, "hang")
    foreign.add_edge("hang", END)
    result = run(single.build(foreign.compile(name="foreign")), budget=Budget(seconds=0.05))
    assert (result["status"], statuses(result)) == ("stopped", {"foreign": "stopped"})


# --- arguments


def two() -> list[Agent]:
    return [says("a"), says("b")]


WRONG: list[tuple[Any, dict[str, Any], str]] = [
    (single, {"agent": "writer"}, "agent: expected"),
    (sequential, {"agents": []}, "agents: expected at least 1"),
    (sequential, {"agents": says("a")}, "agents: expected a list"),
    (sequential, {"agents": "ab"}, "agents: expected a list"),
    (sequential, {"agents": [says("a"), says("a")]}, r"\['a'\] more than once"),
    (sequential, {"agents": [says("begin")]}, "name 'begin' cannot be used"),
    (parallel, {"agents": [says("a")]}, "agents: expected at least 2, got 1"),
    (parallel, {"agents": two(), "resolve": "coin"}, "resolve: expected one of"),
    (parallel, {"agents": two(), "on_failure": "shrug"}, "on_failure: expected"),
    (parallel, {"agents": two(), "quorum": 3}, "quorum: expected 1 to 2, got 3"),
    (parallel, {"agents": two(), "quorum": 0}, "quorum: expected"),
    (parallel, {"agents": two(), "quorum": "2"}, "quorum: expected"),
    (parallel, {"agents": two(), "quorum": True}, "quorum: expected"),
    (parallel, {"agents": two(), "aggregator": "joiner"}, "aggregator: expected"),
    (parallel, {"agents": two(), "aggregator": says("a")}, "name 'a' cannot be used"),
    (map_reduce, {"worker": "worker"}, "worker, splitter and aggregator: expected"),
    (map_reduce, {"worker": ""}, "worker, splitter and aggregator: expected"),
    (map_reduce, {"worker": says("a"), "splitter": says("a")}, r"\['a'\] more than once"),
    (map_reduce, {"splitter": says("item-1")}, "'item-1'"),
    (map_reduce, {"quorum": -1}, "quorum: expected"),
    (review, {"critics": []}, "critics: expected at least 1, got 0"),
    (review, {"critics": says("b")}, "critics: expected a list"),
    (review, {"generator": says("a"), "critics": [says("a")]}, r"\['a'\] more than once"),
    (review, {"accept": "most"}, "accept: expected"),
    (review, {"accept": 0}, "accept: expected"),
    (review, {"accept": 1.5}, "accept: expected"),
    (review, {"accept": True}, "accept: expected"),
]


@pytest.mark.parametrize(("pattern", "arguments", "named"), WRONG)
def test_arguments_that_cannot_work_are_refused_by_name(pattern: Any, arguments: dict[str, Any], named: str) -> None:
    with pytest.raises(ConfigurationError, match=named):
        pattern.build(**arguments)


def test_a_name_that_would_look_like_a_later_step_of_another_agent_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="agent name: expected"):
        Agent("writer#2")


@pytest.mark.parametrize(
    ("context", "named"),
    [
        ({"max_round": 1}, "unknown field max_round"),
        ({"max_rounds": 0}, "max_rounds"),
        ("fast", "expected a Context"),
        (object(), "expected a Context"),
    ],
)
def test_a_context_that_cannot_work_is_refused_by_name(context: Any, named: str) -> None:
    with pytest.raises(ConfigurationError, match=named):
        single.graph.invoke({"task": "t"}, context=context)


@pytest.mark.parametrize("task", [3, {"a": 1}, ["text"]])
def test_a_task_that_is_no_text_is_refused(task: Any) -> None:
    with pytest.raises(ConfigurationError, match="task: expected text"):
        single.graph.invoke({"task": task})


def test_a_task_beside_messages_is_the_task_and_the_messages_are_remembered() -> None:
    agent = says("a", "done")
    result = single.build(agent).compile().invoke({"task": "Now this.", "messages": [("user", "Before that.")]})
    assert [message.text for message in result["messages"]] == ["Before that.", "Now this.", "done"]
    assert isinstance(agent.model, ScriptedChatModel)
    assert [message.text for message in agent.model.requests[0].messages] == ["Before that.", "Now this."]
