"""Magentic: when it stalls, replans and gives up, what a damaged ledger means, and who is told what."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.types import Command

from acting import fails, run, says, statuses, told
from cases import PLAN_LEDGER, progress
from graphs import magentic, sequential
from nodes import Agent, HumanAgent, Policy, ScriptedChatModel
from nodes.scripted import Step
from state import ConfigurationError

DONE = progress(satisfied=True)
STUCK = {"moving": False}


def manager(*steps: Any) -> Agent:
    return says("manager", *steps)


def worker(name: str = "a", *replies: Any) -> Agent:
    """Return a worker that never says the same thing twice, unless told what to say."""
    return says(name, *(replies or [f"{name} found {number}" for number in range(30)]))


def plans(result: dict[str, Any]) -> int:
    return sum(1 for name in statuses(result) if name.partition("#")[0] == "plan")


def going(*stuck: bool, to: str = "a") -> list[dict[str, Any]]:
    """Return ledgers that send a worker, each with something of its own to do."""
    return [progress(to, moving=not bad, told=f"Do part {at}.") for at, bad in enumerate(stuck)]


# --- the rule


def test_the_work_goes_on_until_the_manager_is_satisfied_and_writes_the_answer() -> None:
    lead = manager(PLAN_LEDGER, progress("b"), progress("a"), DONE, "the answer")
    with lead.model as model:  # type: ignore[union-attr]  # it is scripted
        result = run(magentic.build([worker("a"), worker("b")], manager=lead))
        assert len(model.requests) == 5
    assert (result["answer"], result["status"], result["reason"]) == ("the answer", "completed", "")
    assert list(statuses(result)) == ["plan", "progress", "b", "progress#2", "a", "progress#3", "answer"]
    assert {outcome["agent"] for outcome in result["outcomes"]} == {"manager", "a", "b"}
    assert result["structured"] == {"task_ledger": PLAN_LEDGER, "progress_ledger": DONE, "stalls": 0, "replans": 0}


@pytest.mark.parametrize("flags", [{"moving": False}, {"loop": True}, {"moving": False, "loop": True}])
@pytest.mark.parametrize("max_stalls", [0, 1, 3])
def test_a_new_plan_is_made_when_there_are_more_stalls_than_allowed(max_stalls: int, flags: dict[str, bool]) -> None:
    ledgers = [progress("a", told=f"Part {at}.", **flags) for at in range(max_stalls + 1)]
    lead = manager(PLAN_LEDGER, *ledgers, PLAN_LEDGER, DONE, "end")
    result = run(magentic.build([worker()], manager=lead, max_stalls=max_stalls))
    assert (result["answer"], plans(result)) == ("end", 2)
    assert sum(outcome["agent"] == "a" for outcome in result["outcomes"]) == max_stalls
    assert (result["structured"]["stalls"], result["structured"]["replans"]) == (0, 1)


def test_progress_in_between_takes_nothing_from_the_stalls() -> None:
    lead = manager(PLAN_LEDGER, *going(True, False, True, False, True, False, True), PLAN_LEDGER, DONE, "end")
    result = run(magentic.build([worker()], manager=lead))
    assert (result["answer"], plans(result)) == ("end", 2)


def test_progress_in_between_takes_one_stall_away_where_stalls_decay() -> None:
    lead = manager(PLAN_LEDGER, *going(False, True, False, True, False, True, False, True), DONE, "end")
    result = run(magentic.build([worker()], manager=lead, max_stalls=1, stall_decay=True))
    assert (result["answer"], plans(result), result["structured"]["stalls"]) == ("end", 1, 1)
    lead = manager(PLAN_LEDGER, *going(True, True), PLAN_LEDGER, DONE, "end")
    result = run(magentic.build([worker()], manager=lead, max_stalls=1, stall_decay=True))
    assert (result["answer"], plans(result)) == ("end", 2)


@pytest.mark.parametrize(("max_stalls", "max_replans"), [(3, 3), (0, 0), (1, 2), (0, 4)])
def test_it_gives_up_with_the_best_so_far_after_the_last_new_plan_has_stalled(
    max_stalls: int, max_replans: int
) -> None:
    ledgers = [*going(*[True] * max_stalls), progress("nobody", moving=False)]
    lead = manager(*[PLAN_LEDGER, *ledgers] * (max_replans + 1))
    with lead.model:  # type: ignore[union-attr]  # it is scripted
        result = run(magentic.build([worker()], manager=lead, max_stalls=max_stalls, max_replans=max_replans))
    steps = max_stalls * (max_replans + 1)
    assert result["status"] == "stopped"
    assert result["answer"] == (f"a found {steps - 1}" if steps else "")
    assert result["reason"].startswith(
        f"max_replans_reached: no progress after {max_replans} new plans; why is_progress"
    )
    assert (plans(result), result["structured"]["replans"]) == (max_replans + 1, max_replans)


def test_a_satisfied_ledger_ends_the_run_whatever_else_it_says() -> None:
    contradictory = progress("nobody", satisfied=True, loop=True, moving=False, told="")
    result = run(magentic.build([worker()], manager=manager(PLAN_LEDGER, contradictory, "end"), max_stalls=0))
    assert (result["answer"], result["status"], result["structured"]["stalls"]) == ("end", "completed", 0)


def test_facts_outlive_a_plan_and_the_manager_is_told_them_when_it_plans_anew() -> None:
    first = {
        "facts": ["The tower is 330 m high.", "It stands in Paris."],
        "guesses": ["It is red."],
        "plan": ["Old way."],
    }
    second = {
        "facts": ["In Paris it stands.", "The tower is 300 m high."],
        "guesses": ["It is brown."],
        "plan": ["New way."],
    }
    lead = manager(first, *going(True, True), second, progress("a", told="Look."), DONE, "end")
    helper = worker()
    result = run(magentic.build([helper], manager=lead, max_stalls=1))
    ledger = result["structured"]["task_ledger"]
    facts = ["The tower is 330 m high.", "It stands in Paris.", "The tower is 300 m high."]
    assert ledger == {"facts": facts, "guesses": ["It is brown."], "plan": ["New way."]}
    asked = told(lead, 3)
    assert "Facts:\n- The tower is 330 m high.\n- It stands in Paris.\n\nGuesses:\n- It is red." in asked
    assert "Plan that led nowhere:\n- Old way." in asked
    assert "- a was told: Do part 0.\n  and answered: a found 0" in asked
    assert told(helper, 1) == "Look.\n\nFacts:\n" + "\n".join(f"- {fact}" for fact in facts)


# --- what each is told


def test_a_worker_is_told_its_instruction_and_the_facts_and_nothing_else() -> None:
    first, second = worker("a", "A secret of a."), worker("b")
    lead = manager(PLAN_LEDGER, progress("a", told="Find it."), progress("b", told="Check it."), DONE, "end")
    run(magentic.build([first, second], manager=lead))
    assert told(first) == "Find it.\n\nFacts:\n- One is known."
    assert told(second) == "Check it.\n\nFacts:\n- One is known."


def test_the_manager_reads_the_latest_reply_in_full_and_the_gist_of_those_before() -> None:
    long = ["The bridge is old. " + "Nothing else is said here at all. " * 40 + f"End {number}." for number in range(5)]
    lead = manager(PLAN_LEDGER, *going(*[False] * 5), DONE, "end")
    run(magentic.build([Agent("a", "Looks things up.", model=ScriptedChatModel(long))], manager=lead))
    plan, third, answer = told(lead, 0), told(lead, 3), told(lead, 7)
    assert plan.startswith("the task\n\nAgents:\n- a: Looks things up.\n\nConstraints:")
    for part in (
        "Agents:\n- a: Looks",
        "Facts:\n- One is",
        "Guesses:\n- Two is",
        "Plan:\n- assistant begins\n- writer",
    ):
        assert part in third
    assert (third.count("- a was told: Do part"), long[1] in third, long[0] in third) == (2, True, False)
    assert "and answered: The bridge is old." in third
    assert [text in answer for text in long] == [False, False, True, True, True]
    assert "Facts:\n- One is known." in answer


def test_a_long_reply_is_digested_for_the_manager_where_the_context_says_so() -> None:
    long = "The bridge is old. " * 2 + "Filler stands here again and again. " * 50
    lead = manager(PLAN_LEDGER, progress("a"), DONE, "end")
    run(magentic.build([worker("a", long)], manager=lead), digest_above=200)
    assert len(told(lead, 2)) < len(long)
    assert "The bridge is old." in told(lead, 2)


def test_results_of_earlier_plans_are_kept_apart() -> None:
    lead = manager(PLAN_LEDGER, *going(True, True), PLAN_LEDGER, *going(False), DONE, "end")
    run(magentic.build([worker()], manager=lead, max_stalls=1))
    assert "Results of earlier plans:\n- a was told: Do part 0." in told(lead, 4)
    assert "Results so far:\nNone." in told(lead, 4)
    assert "Results so far:\n- a was told: Do part 0.\n  and answered: a found 1" in told(lead, 5)


def test_of_many_workers_those_are_offered_that_suit_the_task() -> None:
    team = [Agent(f"w{at}", f"Knows subject{at}.", model=ScriptedChatModel(["x"])) for at in range(30)]
    lead = manager(PLAN_LEDGER, progress("w20"), DONE, "end")
    result = run(magentic.build(team, manager=lead), task="About subject7 and subject9", max_candidates=2)
    assert "Agents:\n- w7: Knows subject7.\n- w9: Knows subject9.\n" in told(lead)
    assert statuses(result)["w20"] == "ok", "one that was not offered can be named all the same"


# --- ledgers that cannot be used

WHOLE = json.dumps(progress("a", told="Match \\d+ in 'x'"), indent=1)
DAMAGED = {
    "fenced": f"Here is where we stand.\n```json\n{WHOLE}\n```\nShall I go on?",
    "braces before": f"The set {{1, 2}} and {{x}} are mentioned. {WHOLE} {{not this}}",
    "comments": WHOLE.replace('"next_speaker"', '// who goes on\n"next_speaker"'),
    "block comment": WHOLE.replace('"next_speaker"', '/* who */ "next_speaker"'),
    "trailing commas": WHOLE.replace("\n }", ",\n }"),
    "bad escape": WHOLE.replace("\\\\d", "\\d"),
    "no closing brace": WHOLE.rstrip("}\n "),
    "single quotes": str(progress("a", told="Go on")),
    "python names": WHOLE.replace("true", "True").replace("false", "False"),
    "under a key": json.dumps({"progress_ledger": progress("a")}),
    "odd keys": json.dumps({key.title(): {"Answer": part["answer"]} for key, part in progress("a").items()}),
    "camel keys": WHOLE.replace("is_in_loop", "isInLoop").replace("next_speaker", "nextSpeaker"),
    "yes and no": WHOLE.replace("true", '"Yes."').replace("false", '"no, not yet"'),
    "no reasons": json.dumps({key: {"answer": part["answer"]} for key, part in progress("a").items()}),
    "bare answers": json.dumps({key: part["answer"] for key, part in progress("a").items()}),
    "quoted name": WHOLE.replace('"a"', '"`A`."'),
}


@pytest.mark.parametrize("text", DAMAGED.values(), ids=DAMAGED)
@pytest.mark.parametrize("shaped", [True, False])
def test_a_damaged_ledger_is_repaired(text: str, *, shaped: bool) -> None:
    steps = [PLAN_LEDGER if shaped else json.dumps(PLAN_LEDGER), text, DONE if shaped else json.dumps(DONE), "end"]
    lead = manager(*steps) if shaped else function_of(steps)
    result = run(magentic.build([worker()], manager=lead))
    assert (result["answer"], result["status"]) == ("end", "completed")
    assert list(statuses(result)) == ["plan", "progress", "a", "progress#2", "answer"]
    assert all(outcome["attempts"] == 1 for outcome in result["outcomes"])


def function_of(steps: Sequence[Any]) -> Any:
    """Return a function that gives the steps in order, as a manager of one's own."""
    left = list(steps)

    async def lead(text: str) -> Any:
        return left.pop(0)

    return lead


@pytest.mark.parametrize(
    ("bad", "why"),
    [
        ("Let us see.", "no JSON with all of the keys was found"),
        (json.dumps({"is_in_loop": {"answer": False}}), "no JSON with all of the keys was found"),
        (json.dumps(progress("a") | {"is_in_loop": {"answer": "perhaps"}}), "no JSON with all of the keys was found"),
        (json.dumps(progress("nobody")), "next_speaker: expected one of a, b, got 'nobody'"),
        (json.dumps(progress("a") | {"next_speaker": None}), "next_speaker: expected one of a, b, got ''"),
        (json.dumps(progress("a", told=" ")), "instruction_or_question: expected what the agent is told, got nothing"),
    ],
)
def test_a_ledger_that_cannot_be_used_is_asked_for_again_with_the_reason(bad: str, why: str) -> None:
    steps = ["{}", bad, json.dumps(progress("a")), json.dumps(DONE), "end"]
    asked: list[str] = []

    async def lead(text: str) -> str:
        asked.append(text)
        return steps.pop(0)

    result = run(magentic.build([worker("a"), worker("b")], manager=lead))
    assert (result["answer"], result["structured"]["stalls"]) == ("end", 0)
    assert f"Correction:\nthe last ledger cannot be used: {why}" in asked[2]
    assert "Correction" not in asked[1] + asked[3]


@pytest.mark.parametrize("bad", ["Let us see.", json.dumps(progress("nobody"))])
def test_a_ledger_is_asked_for_ten_times_then_there_is_a_new_plan_and_at_last_an_end(bad: str) -> None:
    asked: list[str] = []

    async def lead(text: str) -> str:
        asked.append(text)
        return bad if "is_in_loop" in text else "{}"

    result = run(magentic.build([worker()], manager=lead, max_replans=2))
    assert [("is_in_loop" in text) for text in asked] == [False, *[True] * 10] * 3
    assert (result["status"], result["answer"]) == ("stopped", "")
    assert result["reason"].startswith(
        "max_replans_reached: no progress after 2 new plans; the last ledger cannot be used"
    )


def test_an_agent_that_is_asked_again_within_its_step_is_asked_no_more_than_ten_times_either() -> None:
    lead = manager(PLAN_LEDGER, *["No ledger at all."] * 10)
    with lead.model as model:  # type: ignore[union-attr]  # it is scripted
        result = run(magentic.build([worker()], manager=lead, max_replans=0))
    assert (result["status"], len(model.requests)) == ("stopped", 11)


def test_a_manager_that_gives_no_task_ledger_is_asked_again_too() -> None:
    lead = manager("prose", "more prose", PLAN_LEDGER, DONE, "end")
    assert run(magentic.build([worker()], manager=lead))["answer"] == "end"
    result = run(magentic.build([worker()], manager=manager(*["prose"] * 10)))
    assert (result["status"], result["answer"], plans(result)) == ("failed", "", 5)
    assert "WrongShape" in result["reason"]


def test_a_plan_in_words_is_a_plan() -> None:
    lead = function_of(["1. Find it.\n2. Write it down.", progress("a"), DONE, "end"])
    result = run(magentic.build([worker()], manager=lead))
    assert result["structured"]["task_ledger"] == {"facts": [], "guesses": [], "plan": ["Find it.", "Write it down."]}


# --- failures


def test_why_a_worker_failed_is_told_to_the_manager_and_stalls_nothing_by_itself() -> None:
    lead = manager(PLAN_LEDGER, progress("a"), progress("b"), DONE, "end")
    result = run(magentic.build([fails("a", "no such file"), worker("b")], manager=lead, max_stalls=0))
    assert (result["answer"], result["status"]) == ("end", "completed")
    assert "- a was told: Go on.\n  a failed (ValueError: no such file)" in told(lead, 2)


def test_a_worker_that_hangs_is_a_failure_that_the_manager_decides_about() -> None:
    stuck = says("stuck", Step("late", delay=60), policy=Policy(timeout=0.05))
    lead = manager(PLAN_LEDGER, progress("stuck"), progress("b"), DONE, "end")
    result = run(magentic.build([stuck, worker("b")], manager=lead))
    assert (result["answer"], statuses(result)["stuck"]) == ("end", "timed_out")
    assert "stuck timed out (AttemptTimeout" in told(lead, 2)


def test_workers_that_only_fail_leave_nothing_and_the_reason_says_both() -> None:
    lead = manager(*[PLAN_LEDGER, progress("a", moving=False), progress("a", moving=False)] * 3)
    result = run(magentic.build([fails("a")], manager=lead, max_stalls=1, max_replans=2))
    assert (result["status"], result["answer"], plans(result)) == ("failed", "", 3)
    assert "max_replans_reached" in result["reason"]
    assert "a#3 failed (ValueError: broken)" in result["reason"]


@pytest.mark.parametrize(
    ("steps", "status", "answer", "who"),
    [
        ([], "failed", "", "plan"),
        ([PLAN_LEDGER], "failed", "", "progress"),
        ([PLAN_LEDGER, progress("a")], "partial", "a found 0", "progress#2"),
        ([PLAN_LEDGER, progress("a"), progress("a", moving=False)], "partial", "a found 0", "plan#2"),
        ([PLAN_LEDGER, progress("a"), DONE], "partial", "a found 0", "answer"),
    ],
)
def test_a_manager_that_fails_leaves_the_best_so_far(steps: list[Any], status: str, answer: str, who: str) -> None:
    result = run(magentic.build([worker()], manager=manager(*steps, ValueError("gone")), max_stalls=0))
    assert (result["status"], result["answer"]) == (status, answer)
    assert result["reason"] == f"{who} failed (ValueError: gone)"
    assert set(result["structured"]) == {"task_ledger", "progress_ledger", "stalls", "replans"}


def test_what_a_worker_that_was_stopped_had_made_is_better_than_nothing() -> None:
    team = sequential.build([worker("first", "half of it"), says("second", ValueError("broken"))])

    async def stopped(text: str) -> dict[str, Any]:
        return {"answer": "some of it", "status": "stopped", "reason": "max_rounds_reached"}

    steps = [PLAN_LEDGER, progress("stopped"), ValueError("gone")]
    result = run(magentic.build([stopped, team.compile(name="team")], manager=manager(*steps)))
    assert (result["status"], result["answer"]) == ("partial", "some of it")
    steps = [PLAN_LEDGER, progress("team"), progress("stopped"), ValueError("gone")]
    result = run(magentic.build([stopped, team.compile(name="team")], manager=manager(*steps)))
    assert (result["status"], result["answer"]) == ("partial", "half of it")


# --- bounds


@pytest.mark.parametrize("turns", [1, 2, 5])
def test_as_many_ledgers_as_the_context_allows_are_acted_on(turns: int) -> None:
    with manager(PLAN_LEDGER, *going(*[False] * turns)).model as model:  # type: ignore[union-attr]  # it is scripted
        result = run(magentic.build([worker()], manager=Agent("manager", model=model)), max_turns=turns)
    assert (result["status"], result["answer"]) == ("stopped", f"a found {turns - 1}")
    assert result["reason"] == f"max_turns_reached: not satisfied after {turns} progress ledgers"


def test_no_new_plan_is_made_when_no_turn_is_left_to_follow_it() -> None:
    lead = manager(PLAN_LEDGER, *going(False, True))
    result = run(magentic.build([worker()], manager=lead, max_stalls=0), max_turns=2)
    assert (result["status"], result["answer"], plans(result)) == ("stopped", "a found 0", 1)
    assert result["reason"].startswith("max_turns_reached")


@pytest.mark.parametrize("names", ["a", "ab", "abc"])
def test_a_circle_that_the_manager_takes_for_progress_ends_the_run(names: str) -> None:
    lead = manager(PLAN_LEDGER, *[progress(name, told=f"Please check part {name}.") for name in names * 3])
    team = [worker(name, *["Checked the part.", "The part is checked.", "Part checked!"]) for name in names]
    with lead.model:  # type: ignore[union-attr]  # it is scripted
        result = run(magentic.build(team, manager=lead))
    assert (result["status"], result["answer"]) == ("stopped", "Part checked!")
    assert result["reason"] == f"loop: {', '.join(names)} did the same 3 times"


def test_the_same_instruction_with_something_new_each_time_is_no_circle() -> None:
    lead = manager(PLAN_LEDGER, *[progress("a", told="The next page.")] * 5, DONE, "end")
    assert run(magentic.build([worker()], manager=lead))["answer"] == "end"


def test_a_circle_that_the_manager_sees_is_left_to_its_own_rule() -> None:
    lead = manager(PLAN_LEDGER, *[progress("a", loop=True)] * 4, PLAN_LEDGER, DONE, "end")
    result = run(magentic.build([worker("a", *["same"] * 5)], manager=lead))
    assert (result["answer"], plans(result)) == ("end", 2)


# --- building


@pytest.mark.parametrize(
    "wrong",
    [
        {"max_stalls": -1},
        {"max_stalls": True},
        {"max_replans": 1.5},
        {"max_replans": None},
        {"stall_decay": "no"},
        {"manager": 7},
        {"workers": []},
        {"workers": "a"},
        {"workers": [worker("a"), worker("a")]},
        {"workers": [worker("manager")], "manager": manager()},
        {"workers": [worker("progress")]},
    ],
    ids=str,
)
def test_a_wrong_argument_is_refused_before_anything_runs(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        magentic.build(**{"workers": [worker()], **wrong})


def test_a_person_may_be_the_manager() -> None:
    graph = magentic.build([worker()], manager=HumanAgent("boss")).compile(checkpointer=InMemorySaver(), name="m")
    graph.invoke({"task": "the task"}, {"configurable": {"thread_id": "t"}})
    for said in ("- Ask a.", json.dumps(progress("a")), json.dumps(DONE), "It is done."):
        (request,) = graph.get_state({"configurable": {"thread_id": "t"}}).interrupts
        answer: Command[Any] = Command(resume={request.id: {"decisions": [{"type": "respond", "message": said}]}})
        result = graph.invoke(answer, {"configurable": {"thread_id": "t"}})
    assert (result["answer"], result["status"]) == ("It is done.", "completed")
    assert result["structured"]["task_ledger"]["plan"] == ["Ask a."]


def test_a_team_may_be_a_worker_and_its_note_reaches_the_manager() -> None:
    inner = magentic.build([worker("x")], manager=says("inner_lead", PLAN_LEDGER, progress("x"), ValueError("gone")))
    lead = manager(PLAN_LEDGER, progress("team"), DONE, "end")
    result = run(magentic.build([inner.compile(name="team")], manager=lead))
    assert (result["answer"], result["status"]) == ("end", "completed")
    (team,) = [outcome for outcome in result["outcomes"] if outcome["agent"] == "team"]
    assert [child["id"] for child in team["children"]] == ["plan", "progress", "x", "progress#2"]
    assert "and answered: x found 0" in told(lead, 2)
    assert "team done in part (TeamPartial: progress#2 failed" in told(lead, 2)
