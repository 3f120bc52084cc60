"""Supervisor: who is given what, what the supervisor reads of it, what it costs, and how it ends."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest
from langchain_core.messages import AIMessage, HumanMessage
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.types import Command

from acting import fails, run, says, statuses, told
from graphs import parallel, single, supervisor
from nodes import Agent, HumanAgent, Policy, ScriptedChatModel
from nodes.delegation import MAX_TASKS
from nodes.scripted import Step, call, calls
from state import Budget, ConfigurationError, Context
from state.outcome import total_usage

THREAD: RunnableConfig = {"configurable": {"thread_id": "t"}}
DONE = {"answer": "the answer"}


def give(agent: str, task: str = "") -> dict[str, Any]:
    return {"agent": agent, "task": task or f"Do the part of {agent}.", "reason": f"{agent} suits."}


def at_once(*decisions: dict[str, Any]) -> Any:
    """Return several decisions in one message."""
    return calls(*(call("Finish" if "answer" in one else "Delegation", **one) for one in decisions))


def leads(*steps: Any, **options: Any) -> Agent:
    return says("supervisor", *steps, **options)


def worker(name: str = "a", *replies: Any, **options: Any) -> Agent:
    return says(name, *(replies or [f"{name} found {number}" for number in range(40)]), **options)


def asked(agent: Agent) -> int:
    """Return how often an agent's model was called."""
    assert isinstance(agent.model, ScriptedChatModel)
    return len(agent.model.requests)


def given(result: dict[str, Any]) -> list[tuple[str, str]]:
    return [(one["outcome"], one["status"]) for one in result["structured"]["delegations"]]


def function_of(steps: Sequence[Any]) -> Any:
    """Return a function that gives the steps in order, as a supervisor of one's own."""
    left = list(steps)

    async def lead(text: str) -> Any:
        return left.pop(0)

    return lead


# --- giving tasks


def test_tasks_are_given_one_after_the_other_until_the_supervisor_answers() -> None:
    lead = leads(give("b"), give("a"), DONE)
    result = run(supervisor.build([worker("a"), worker("b")], supervisor=lead))
    assert (result["answer"], result["status"], result["reason"]) == ("the answer", "completed", "")
    assert list(statuses(result)) == ["supervisor", "b", "supervisor#2", "a", "supervisor#3"]
    record = result["structured"]["delegations"]
    assert record[0] == {
        "agent": "b",
        "task": "Do the part of b.",
        "reason": "b suits.",
        "outcome": "b",
        "status": "ok",
    }
    assert json.loads(json.dumps(result["structured"])) == result["structured"]


def test_an_answer_at_once_costs_one_call() -> None:
    lead, helper = leads(DONE), worker()
    result = run(supervisor.build([helper], supervisor=lead))
    assert (result["answer"], result["status"], asked(lead), asked(helper)) == ("the answer", "completed", 1, 0)


def test_tasks_of_one_decision_run_together_and_all_return_before_the_next() -> None:
    lead = leads(at_once(give("a"), give("b"), give("a", "Do something else.")), DONE)
    result = run(supervisor.build([worker("a"), worker("b")], supervisor=lead))
    assert list(statuses(result)) == ["supervisor", "a", "b", "a#2", "supervisor#2"]
    assert given(result) == [("a", "ok"), ("b", "ok"), ("a#2", "ok")]
    assert result["status"] == "completed"


@pytest.mark.parametrize("name", ["A", '"a"', "**a**", " a. "])
def test_a_name_is_known_in_whatever_dress(name: str) -> None:
    result = run(supervisor.build([worker("a")], supervisor=leads(give(name, "Look."), DONE)))
    assert given(result) == [("a", "ok")]


@pytest.mark.parametrize(
    "said",
    [
        give("a", "Look."),
        json.dumps(give("a", "Look.")),
        f"I think a should look.\n```json\n{json.dumps(give('a', 'Look.'))}\n```",
    ],
)
def test_a_supervisor_of_ones_own_may_decide_in_structure_or_in_json(said: Any) -> None:
    result = run(supervisor.build([worker("a")], supervisor=function_of([said, json.dumps(DONE)])))
    assert (given(result), result["answer"]) == ([("a", "ok")], "the answer")


SEVERAL = {
    "one after the other": f"First {json.dumps(give('a'))} and then\n{json.dumps(give('b'))}",
    "a list": json.dumps([give("a"), give("b")]),
    "a list in a fence": f"```json\n{json.dumps([give('a'), give('b')])}\n```",
    "with an answer": f"{json.dumps(give('a'))}\n{json.dumps(give('b'))}\n{json.dumps({'answer': 'too early'})}",
}


@pytest.mark.parametrize("said", SEVERAL.values(), ids=SEVERAL)
def test_several_tasks_may_stand_in_the_text_of_a_function_or_a_graph(said: str) -> None:
    graph = single.build(says("inner", said, json.dumps(DONE))).compile(name="lead")
    for lead in (function_of([said, json.dumps(DONE)]), graph):
        result = run(supervisor.build([worker("a"), worker("b")], supervisor=lead))
        assert list(statuses(result)) == ["lead", "a", "b", "lead#2"]
        assert (result["answer"], result["status"]) == ("the answer", "completed")


def test_the_text_of_a_supervisor_that_answers_without_json_is_the_answer() -> None:
    result = run(supervisor.build([worker("a")], supervisor=function_of([give("a"), "All is well."])))
    assert (result["answer"], result["status"]) == ("All is well.", "completed")
    lead = single.build(says("inner", "All is well.")).compile(name="lead")
    assert run(supervisor.build([worker("a")], supervisor=lead))["answer"] == "All is well."


def test_an_answer_that_a_team_as_supervisor_gave_in_part_is_partial() -> None:
    lead = parallel.build([says("x", "All is well."), fails("y")]).compile(name="lead")
    result = run(supervisor.build([worker("a")], supervisor=lead))
    assert (result["answer"], result["status"]) == ("All is well.", "partial")
    assert "y failed (ValueError: broken)" in result["reason"]


def test_a_decision_in_the_text_counts_where_the_structure_beside_it_is_none() -> None:
    said = {"answer": json.dumps(give("a")), "structured": {"mood": "good"}}
    result = run(supervisor.build([worker("a")], supervisor=function_of([said, DONE])))
    assert (given(result), result["answer"]) == ([("a", "ok")], "the answer")


def test_an_answer_beside_tasks_waits_for_them_and_the_record_says_so() -> None:
    lead = leads(at_once(give("a"), {"answer": "too early"}), DONE)
    result = run(supervisor.build([worker("a")], supervisor=lead))
    assert (result["answer"], result["status"]) == ("the answer", "completed")
    assert "answer" in json.dumps({key: part for key, part in result["structured"].items() if key != "delegations"})


# --- what each is told


def test_a_worker_is_told_its_task_and_nothing_else() -> None:
    first, second = worker("a", "A secret of a."), worker("b")
    lead = leads(give("a", "Find it."), give("b", "Check it."), DONE)
    graph = supervisor.build([first, second], supervisor=lead).compile(name="s")
    graph.invoke({"messages": [HumanMessage("My name is Ada."), AIMessage("Hello."), HumanMessage("the task")]})
    assert (told(first), told(second)) == ("Find it.", "Check it.")
    for agent in (first, second):
        assert isinstance(agent.model, ScriptedChatModel)
        assert "Ada" not in "".join(message.text for message in agent.model.requests[0].messages)
    assert isinstance(lead.model, ScriptedChatModel)
    assert "My name is Ada." in [message.text for message in lead.model.requests[0].messages]


def test_the_supervisor_reads_the_task_the_agents_and_every_reply_exactly_once_in_order() -> None:
    lead = leads(give("a", "First thing."), at_once(give("b", "Second thing."), give("a", "Third thing.")), DONE)
    team = [Agent("a", "Looks.", model=ScriptedChatModel(["Reply one.", "Reply three."])), worker("b", "Reply two.")]
    run(supervisor.build(team, supervisor=lead))
    assert told(lead).startswith("the task\n\nAgents:\n- a: Looks.\n- b")
    assert "First thing." not in told(lead)
    last = told(lead, 2)
    parts = ("First thing.", "Reply one.", "Second thing.", "Reply two.", "Third thing.", "Reply three.")
    assert [last.count(part) for part in parts] == [1] * 6
    assert sorted(parts, key=last.index) == list(parts)
    assert isinstance(lead.model, ScriptedChatModel)
    sent = "".join(message.text for message in lead.model.requests[2].messages)
    assert [sent.count(part) for part in parts] == [1] * 6, "nothing of it is in the memory as well"


def test_long_replies_are_read_as_digests_and_kept_in_full() -> None:
    long = "The bridge is old. " * 2 + "Filler stands here again and again. " * 50
    lead = leads(give("a"), DONE)
    result = run(supervisor.build([worker("a", long)], supervisor=lead), digest_above=200)
    assert "The bridge is old." in told(lead, 1)
    assert len(told(lead, 1)) < 700
    assert result["outcomes"][1]["output"] == long


def test_of_many_workers_those_are_offered_that_suit_the_task() -> None:
    team = [Agent(f"w{at}", f"Knows subject{at}.", model=ScriptedChatModel(["x"])) for at in range(30)]
    lead = leads(give("w20"), DONE)
    result = run(supervisor.build(team, supervisor=lead), task="About subject7 and subject9", max_candidates=2)
    assert "Agents:\n- w7: Knows subject7.\n- w9: Knows subject9." in told(lead)
    assert "w8" not in told(lead)
    assert statuses(result)["w20"] == "ok", "one that was not offered can be named all the same"


@pytest.mark.parametrize(("digest_above", "most"), [(0, 3600), (400, 2200)])
def test_the_prompt_tokens_of_a_run_stay_within_what_is_promised(digest_above: int, most: int) -> None:
    subjects = ("moon", "sun", "coast")
    replies = {name: "".join(f"On the {name} this is finding {at} of many. " for at in range(80)) for name in subjects}
    team = [Agent(name, f"Knows about the {name}.", f"You know all about the {name}. Be brief.") for name in subjects]
    steps = [give(name, f"Say what is known about the {name} and the tides.") for name in subjects]
    model = ScriptedChatModel(
        by_agent={"supervisor": [*steps, DONE], **{name: [replies[name][:2000]] for name in subjects}}
    )
    graph = supervisor.build(team).compile(name="s")
    context = Context(model=model, digest_above=digest_above)
    with model:
        result = graph.invoke({"task": "Explain why there are tides, and why they differ by place."}, context=context)
    assert (result["status"], len(result["outcomes"])) == ("completed", 7)
    assert total_usage(result["outcomes"])["input_tokens"] <= most


# --- decisions that cannot be followed


def test_an_unknown_name_is_told_and_asked_again_while_what_can_be_done_is_done() -> None:
    lead = leads(at_once(give("nobody"), give("a")), give("stranger"), DONE)
    result = run(supervisor.build([worker("a"), worker("b")], supervisor=lead))
    assert (result["answer"], result["status"]) == ("the answer", "completed")
    assert given(result) == [("a", "ok")]
    for at, name in ((1, "nobody"), (2, "stranger")):
        correction = told(lead, at).partition("Correction:\n")[2]
        assert name in correction
        assert "a, b" in correction
    assert "nobody" not in told(lead, 2).partition("Correction:\n")[2]
    assert "Correction" not in told(lead)


WRONG: dict[str, Any] = {
    "an unknown name": json.dumps(give("nobody")),
    "no task": json.dumps({"agent": "a"}),
    "an empty task": json.dumps({"agent": "a", "task": " "}),
    "an empty answer": json.dumps({"answer": " "}),
    "nothing": "",
    "another structure": {"speaker": "a"},
}


@pytest.mark.parametrize("bad", WRONG.values(), ids=WRONG)
def test_a_decision_that_cannot_be_followed_is_no_answer_and_is_asked_for_again(bad: Any) -> None:
    result = run(supervisor.build([worker("a")], supervisor=function_of([bad, give("a"), bad, bad, DONE])))
    assert (result["answer"], result["status"]) == ("the answer", "completed")
    assert given(result) == [("a", "ok")]


@pytest.mark.parametrize("bad", WRONG.values(), ids=WRONG)
@pytest.mark.parametrize("most", [1, 2])
def test_wrong_decisions_in_a_row_end_the_run_with_the_best_so_far(bad: Any, most: int) -> None:
    lead = function_of([give("a"), *[bad] * 9])
    result = run(supervisor.build([worker("a")], supervisor=lead), max_repeats=most)
    assert (result["answer"], result["status"]) == ("a found 0", "partial")
    assert f"{most} wrong decision" in result["reason"]
    result = run(supervisor.build([worker("a")], supervisor=function_of([bad] * 9)), max_repeats=most)
    assert (result["answer"], result["status"], len(result["outcomes"])) == ("", "failed", most)
    assert f"{most} wrong decision" in result["reason"]


def test_an_agent_whose_answers_have_no_shape_is_asked_again_and_then_given_up() -> None:
    lead = leads(give("a"), *["Prose."] * 10)
    result = run(supervisor.build([worker("a")], supervisor=lead))
    assert (result["answer"], result["status"]) == ("a found 0", "partial")
    assert "WrongShape" in result["reason"]


# --- failures


def test_why_a_worker_failed_is_told_and_the_supervisor_decides() -> None:
    lead = leads(give("a", "Find the height."), give("b", "Find the height."), DONE)
    result = run(supervisor.build([fails("a", "no such file"), worker("b")], supervisor=lead))
    assert "a failed (ValueError: no such file)" in told(lead, 1)
    assert (result["answer"], result["status"], result["reason"]) == ("the answer", "completed", "")
    assert given(result) == [("a", "failed"), ("b", "ok")]


def test_an_answer_without_a_task_that_nobody_did_is_partial() -> None:
    lead = leads(give("a", "Find the height."), give("b", "Write a poem."), DONE)
    result = run(supervisor.build([fails("a"), worker("b")], supervisor=lead))
    assert (result["answer"], result["status"]) == ("the answer", "partial")
    assert result["reason"] == "a failed (ValueError: broken)"


def test_a_task_done_at_the_second_try_is_done() -> None:
    lead = leads(give("a", "Find the height."), give("a", "Please find the height!"), DONE)
    broken = worker("a", ValueError("broken"), "It is 3 m.", policy=Policy(max_attempts=1))
    result = run(supervisor.build([broken], supervisor=lead))
    assert (result["status"], given(result)) == ("completed", [("a", "failed"), ("a#2", "ok")])


def test_a_task_done_when_it_was_put_in_more_words_is_done() -> None:
    lead = leads(give("a", "Find the height."), give("a", "Find the height in metres, with its source."), DONE)
    broken = worker("a", ValueError("broken"), "It is 3 m.", policy=Policy(max_attempts=1))
    assert run(supervisor.build([broken], supervisor=lead))["status"] == "completed"


def test_a_worker_that_did_another_task_has_not_done_the_one_it_failed_at() -> None:
    lead = leads(give("a", "Find the height."), give("a", "Write a poem."), DONE)
    broken = worker("a", ValueError("broken"), "Roses are red.", policy=Policy(max_attempts=1))
    result = run(supervisor.build([broken], supervisor=lead))
    assert (result["status"], result["reason"]) == ("partial", "a failed (ValueError: broken)")


def test_a_worker_that_hangs_harms_nobody_beside_it() -> None:
    stuck = says("stuck", Step("late", delay=60), policy=Policy(timeout=0.05))
    lead = leads(at_once(give("stuck"), give("b")), DONE)
    result = run(supervisor.build([stuck, worker("b")], supervisor=lead))
    assert given(result) == [("stuck", "timed_out"), ("b", "ok")]
    assert "stuck timed out (AttemptTimeout" in told(lead, 1)
    assert "b found 0" in told(lead, 1)
    assert result["status"] == "partial"


def test_a_team_that_did_its_task_in_part_makes_the_run_partial() -> None:
    team = parallel.build([says("x", "half"), fails("y")]).compile(name="team")
    lead = leads(give("team"), DONE)
    result = run(supervisor.build([team], supervisor=lead))
    assert "half" in told(lead, 1)
    assert "team done in part (TeamPartial: y failed (ValueError: broken))" in told(lead, 1)
    assert (result["answer"], result["status"]) == ("the answer", "partial")


@pytest.mark.parametrize(
    ("steps", "answer", "status"),
    [
        ([], "", "failed"),
        ([give("a")], "a found 0", "partial"),
        ([give("a"), at_once(give("b"), give("a", "More."))], "## b\n\nb found 0\n\n## a\n\na found 1", "partial"),
        ([at_once(give("a"), give("b")), give("broken")], "## a\n\na found 0\n\n## b\n\nb found 0", "partial"),
        ([give("broken")], "", "failed"),
    ],
)
def test_a_supervisor_that_fails_leaves_the_best_so_far(steps: list[Any], answer: str, status: str) -> None:
    lead = leads(*steps, *[ValueError("gone")] * 5)
    result = run(supervisor.build([worker("a"), worker("b"), fails("broken")], supervisor=lead))
    assert (result["answer"], result["status"]) == (answer, status)
    assert "failed (ValueError: gone)" in result["reason"]


def test_a_supervisor_that_hangs_leaves_the_best_so_far() -> None:
    lead = leads(give("a"), *[Step("late", delay=60)] * 3, policy=Policy(timeout=0.05))
    result = run(supervisor.build([worker("a")], supervisor=lead))
    assert (result["answer"], result["status"]) == ("a found 0", "partial")
    assert "AttemptTimeout" in result["reason"]


def test_of_two_tasks_that_one_worker_had_at_once_both_replies_are_kept() -> None:
    lead = leads(at_once(give("a", "Read the north."), give("a", "Paint the south.")), *[ValueError("gone")] * 5)
    result = run(supervisor.build([worker("a")], supervisor=lead))
    assert "a found 0" in result["answer"]
    assert "a found 1" in result["answer"]


# --- bounds


@pytest.mark.parametrize("turns", [1, 2, 5])
def test_as_many_decisions_as_the_context_allows_are_acted_on(turns: int) -> None:
    lead = leads(*[give("a", f"Do part {at}.") for at in range(turns)])
    result = run(supervisor.build([worker("a")], supervisor=lead), max_turns=turns)
    assert (result["answer"], result["status"]) == (f"a found {turns - 1}", "stopped")
    assert result["reason"].startswith("max_turns_reached: ")
    assert asked(lead) == turns


def test_an_answer_in_the_last_decision_is_the_answer() -> None:
    result = run(supervisor.build([worker("a")], supervisor=leads(give("a"), DONE)), max_turns=2)
    assert (result["answer"], result["status"], result["reason"]) == ("the answer", "completed", "")


def test_wrong_decisions_count_as_decisions() -> None:
    lead = leads(give("a"), *[give("nobody")] * 9)
    result = run(supervisor.build([worker("a")], supervisor=lead), max_turns=3, max_repeats=9)
    assert (result["answer"], result["status"], asked(lead)) == ("a found 0", "stopped", 3)
    assert result["reason"].startswith("max_turns_reached: ")


@pytest.mark.parametrize("names", ["a", "ab", "abc"])
def test_a_circle_of_tasks_ends_the_run_with_the_latest_replies(names: str) -> None:
    ways = ("Please check part {}.", "Check the part {}!", "Checking part {}")
    lead = leads(*[give(name, way.format(name)) for way in (*ways, *ways) for name in names])
    result = run(supervisor.build([worker(name) for name in names], supervisor=lead))
    assert result["status"] == "stopped"
    assert result["reason"].startswith(f"loop: {', '.join(names)} ")
    assert result["answer"].partition(" found ")[0] in names
    assert asked(lead) == 3 * len(names)


def test_wrong_decisions_in_between_do_not_hide_a_circle() -> None:
    lead = leads(*[give("a"), give("nobody")] * 9)
    result = run(supervisor.build([worker("a")], supervisor=lead))
    assert (result["status"], asked(lead), len(given(result))) == ("stopped", 5, 2)
    assert result["reason"].startswith("loop: a ")


def test_the_same_worker_with_ever_new_tasks_is_in_no_circle() -> None:
    steps = [give("a", f"Read chapter {at}.") for at in range(6)]
    result = run(supervisor.build([worker("a")], supervisor=leads(*steps, DONE)))
    assert (result["answer"], result["status"]) == ("the answer", "completed")


def test_a_circle_of_failures_has_no_answer_and_is_no_success() -> None:
    lead = leads(*[give("a")] * 9)
    result = run(supervisor.build([fails("a")], supervisor=lead))
    assert (result["answer"], result["status"], asked(lead)) == ("", "failed", 3)
    assert result["reason"].startswith("loop: a ")
    assert "a failed (ValueError: broken)" in result["reason"]


def test_the_same_tasks_at_once_again_and_again_are_a_circle_too() -> None:
    lead = leads(*[at_once(give("a"), give("b"))] * 9)
    result = run(supervisor.build([worker("a"), worker("b")], supervisor=lead))
    assert (result["status"], asked(lead)) == ("stopped", 3)
    assert result["reason"].startswith("loop: a, b ")


def test_tasks_that_sound_alike_and_are_given_at_once_are_no_circle() -> None:
    about = "Write a detailed review of the restaurant {} with its food, service, prices, music, light, staff and wine."
    lead = leads(at_once(*(give("a", about.format(name)) for name in ("Luigi", "Mario", "Toni", "Enzo"))), DONE)
    result = run(supervisor.build([worker("a")], supervisor=lead))
    assert (result["answer"], result["status"], len(given(result))) == ("the answer", "completed", 4)


def test_the_same_task_twice_in_one_decision_is_done_once() -> None:
    lead = leads(at_once(give("a"), give("a"), give("a")), DONE)
    result = run(supervisor.build([worker("a")], supervisor=lead))
    assert (result["status"], given(result)) == ("completed", [("a", "ok")])


def test_no_decision_starts_more_work_than_is_good() -> None:
    lead = leads(at_once(*(give("a", f"Do part {at}.") for at in range(300))), DONE)
    many = Agent("a", model=ScriptedChatModel(["done"] * 300))
    result = run(supervisor.build([many], supervisor=lead))
    assert (asked(many), result["answer"]) == (MAX_TASKS, "the answer")
    assert "50 of 300" in told(lead, 1)


@pytest.mark.parametrize("made", range(4))
def test_a_budget_ends_the_run_with_what_it_has(made: int) -> None:
    lead, first, second = leads(at_once(give("a"), give("b")), DONE), worker("a"), worker("b")
    result = run(supervisor.build([first, second], supervisor=lead), budget=Budget(model_calls=made))
    assert asked(lead) + asked(first) + asked(second) == made
    assert result["status"] in ("stopped", "partial")
    assert "BudgetExceeded" in result["reason"]
    assert bool(result["answer"]) == (made > 1)


def test_a_worker_that_a_limit_of_its_own_stopped_is_reported_like_any_other() -> None:
    short = worker("a", policy=Policy(budget=Budget(model_calls=0)))
    lead = leads(give("a", "Look."), give("b", "Look."), DONE)
    result = run(supervisor.build([short, worker("b")], supervisor=lead))
    assert (result["answer"], result["status"]) == ("the answer", "completed")
    assert given(result) == [("a", "stopped"), ("b", "ok")]


# --- people, nesting, arguments


def test_two_people_with_tasks_of_one_decision_are_asked_at_once_and_answered_by_id() -> None:
    lead = leads(at_once(give("anna", "Look left."), give("ben", "Look right.")), DONE)
    builder = supervisor.build([HumanAgent("anna"), HumanAgent("ben")], supervisor=lead)
    graph = builder.compile(checkpointer=InMemorySaver(), name="s")
    graph.invoke({"task": "the task"}, THREAD)
    requests = graph.get_state(THREAD).interrupts
    assert [request.value["action_requests"][0]["name"] for request in requests] == ["anna", "ben"]
    for request in reversed(requests):
        name = request.value["action_requests"][0]["name"]
        decision = {"decisions": [{"type": "respond", "message": f"{name} says so"}]}
        assert asked(lead) == 1
        result = graph.invoke(Command(resume={request.id: decision}), THREAD)
    assert (result["answer"], result["status"]) == ("the answer", "completed")
    assert given(result) == [("anna", "ok"), ("ben", "ok")]
    assert "anna says so" in told(lead, 1)
    assert "ben says so" in told(lead, 1)


def test_a_person_may_be_the_supervisor() -> None:
    builder = supervisor.build([worker("a")], supervisor=HumanAgent("boss"))
    graph = builder.compile(checkpointer=InMemorySaver(), name="s")
    graph.invoke({"task": "the task"}, THREAD)
    for said in (json.dumps(give("a")), "It is done."):
        (request,) = graph.get_state(THREAD).interrupts
        decision = {"decisions": [{"type": "respond", "message": said}]}
        result = graph.invoke(Command(resume={request.id: decision}), THREAD)
    assert (result["answer"], result["status"], given(result)) == ("It is done.", "completed", [("a", "ok")])


def test_a_second_turn_starts_without_the_work_of_the_first() -> None:
    lead = leads(give("a"), DONE, give("a"), DONE)
    graph = supervisor.build([worker("a")], supervisor=lead).compile(checkpointer=InMemorySaver(), name="s")
    graph.invoke({"task": "first"}, THREAD)
    result = graph.invoke({"task": "second"}, THREAD)
    assert given(result) == [("a", "ok")]
    assert "a found 0" not in told(lead, 2)
    assert "a found 1" in told(lead, 3)


def test_a_worker_may_be_a_supervisor_itself() -> None:
    inner = supervisor.build([worker("x")], supervisor=says("boss", give("x"), {"answer": "from below"}))
    lead = leads(give("team"), DONE)
    result = run(supervisor.build([inner.compile(name="team")], supervisor=lead))
    assert "from below" in told(lead, 1)
    team = next(outcome for outcome in result["outcomes"] if outcome["id"] == "team")
    assert [child["id"] for child in team["children"]] == ["boss", "x", "boss#2"]


@pytest.mark.parametrize(
    ("wrong", "expected"),
    [
        ({"workers": []}, "at least 1"),
        ({"workers": "a"}, "list of agents"),
        ({"workers": [worker("a"), worker("a")]}, "different names"),
        ({"workers": [worker("supervisor")], "supervisor": leads()}, "different names"),
        ({"workers": [worker("finish")]}, "finish"),
        ({"workers": [7]}, "expected an Agent"),
        ({"supervisor": 7}, "supervisor"),
    ],
    ids=str,
)
def test_a_wrong_argument_is_refused_before_anything_runs(wrong: dict[str, Any], expected: str) -> None:
    with pytest.raises(ConfigurationError, match=expected):
        supervisor.build(**{"workers": [worker("a")], **wrong})
