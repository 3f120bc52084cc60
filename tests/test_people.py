"""People as workers: hours, due times and backups; agents that failed and ask; results that a person accepts."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.types import Command

from acting import executing
from cases import ASKING, part, plan_of, says
from graphs import parallel, review, sequential, single
from graphs.registry import REGISTRY
from nodes import Agent, Hours, HumanAgent, Policy, ScriptedChatModel
from nodes.scripted import call
from state import Budget, ConfigurationError, Context, InvalidAnswer, RequestExpired, UnknownRequest, open_persistence
from test_expiry import clock as clock
from test_tool_approval import Mailbox
from tools import create_consult_tool

CONFIG: Any = {"configurable": {"thread_id": "t"}}
HOUR = 3600.0
every_pattern = pytest.mark.parametrize("name", sorted(ASKING))
Clock = Callable[[float], None]


def requests_of(graph: Any) -> dict[str, Any]:
    """Return the open requests by the agent that asks."""
    found = graph.get_state(CONFIG).interrupts
    named = {one.value["about"]["agent"]: one for one in found}
    assert len(named) == len(found)
    return named


def decide(graph: Any, agent: str, kind: str, **more: Any) -> dict[str, Any]:
    request, context = requests_of(graph)[agent], more.pop("context", None)
    answer = {"decisions": [{"type": kind, **more}]}
    result: dict[str, Any] = graph.invoke(Command(resume={request.id: answer}), CONFIG, context=context)
    return result


def started(builder: Any, **context: Any) -> Any:
    graph = builder.compile(InMemorySaver(), name="g")
    graph.invoke({"task": "the task"}, CONFIG, context=Context(**context))
    return graph


def nested(builder: Any) -> Any:
    """Return a graph in which another one works three levels down."""
    return single.build(single.build(builder.compile(name="inner")).compile(name="middle"))


def events_of(graph: Any, given: Any) -> list[dict[str, Any]]:
    parts = graph.stream(given, CONFIG, stream_mode="custom", subgraphs=True)
    return [event for _, event in parts]


# --- hours


def at(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


@pytest.mark.parametrize(
    ("hours", "now", "until"),
    [
        (Hours(), "2026-11-20T10:00+00:00", "2026-11-20T10:00+00:00"),  # a Friday
        (Hours(), "2026-11-20T09:00+00:00", "2026-11-20T09:00+00:00"),
        (Hours(), "2026-11-20T17:00+00:00", "2026-11-23T09:00+00:00"),
        (Hours(), "2026-11-21T12:00+00:00", "2026-11-23T09:00+00:00"),
        (Hours("sat"), "2026-11-21T17:30+00:00", "2026-11-28T09:00+00:00"),
        (Hours("fri-mon"), "2026-11-22T08:00+00:00", "2026-11-22T09:00+00:00"),
        (Hours("mon,wed"), "2026-11-23T18:00+00:00", "2026-11-25T09:00+00:00"),
        (Hours("fri", "22:00", "06:00"), "2026-11-21T05:00+00:00", "2026-11-21T05:00+00:00"),
        (Hours("fri", "22:00", "06:00"), "2026-11-21T06:00+00:00", "2026-11-27T22:00+00:00"),
        (Hours("mon-sun", "00:00", "00:00"), "2026-11-21T23:59:59+00:00", "2026-11-21T23:59:59+00:00"),
        (Hours(zone="Europe/Zurich"), "2026-07-01T06:30+00:00", "2026-07-01T07:00+00:00"),
        (Hours(zone="Europe/Zurich"), "2026-01-07T06:30+00:00", "2026-01-07T08:00+00:00"),
        (
            Hours("mon-sun", zone="Europe/Zurich"),
            "2026-03-28T20:00+00:00",
            "2026-03-29T07:00+00:00",
        ),  # the clock changes
        (Hours("mon", zone="Pacific/Auckland"), "2026-11-22T19:00+00:00", "2026-11-22T20:00+00:00"),
    ],
)
def test_hours_open_when_they_say(hours: Hours, now: str, until: str) -> None:
    assert hours.opens_in(at(now)) == at(until) - at(now)


@pytest.mark.parametrize(
    ("given", "wrong"),
    [
        ({"days": "monday"}, "days like"),
        ({"days": ""}, "days like"),
        ({"start": "9"}, "time like"),
        ({"end": "25:00"}, "time like"),
        ({"zone": "Europe/Atlantis"}, "time zone like"),
    ],
)
def test_hours_of_no_week_are_refused(given: dict[str, str], wrong: str) -> None:
    with pytest.raises(ConfigurationError, match=wrong):
        Hours(**given)


@pytest.mark.parametrize(
    ("given", "wrong"),
    [
        ({"due": 0}, "due in seconds above 0"),
        ({"available": "mon-fri"}, "available as Hours or a function"),
        ({"backup": HumanAgent("bob")}, "never gets a turn"),
        ({"due": 5, "backup": "bob"}, "backup of ann"),
    ],
)
def test_a_person_that_could_never_work_is_refused(given: dict[str, Any], wrong: str) -> None:
    with pytest.raises(ConfigurationError, match=wrong):
        HumanAgent("ann", **given)


# --- due times and backups


@every_pattern
@pytest.mark.parametrize("deep", [False, True], ids=["itself", "three levels down"])
def test_a_task_goes_to_the_backup_when_its_time_ran_out(name: str, deep: bool, clock: Clock) -> None:
    bob = HumanAgent("bob", prompt="For ann.")
    builder = ASKING[name](REGISTRY[name].load(), HumanAgent("person", due=HOUR, backup=bob))
    graph = started(nested(builder) if deep else builder)
    about = requests_of(graph)["person"].value["about"]
    assert about["expires_in"] == HOUR
    assert about["default"] == {"type": "reassign", "to": "bob"}
    clock(HOUR + 1)
    with pytest.raises(RequestExpired, match="reassign to bob"):
        decide(graph, "person", "respond", message="late")
    old = requests_of(graph)["person"]
    graph.invoke(None, CONFIG)
    assert set(requests_of(graph)) == {"bob"}
    assert requests_of(graph)["bob"].id != old.id
    with pytest.raises(RequestExpired, match="reassign to bob"):  # not an answer to bob's
        graph.invoke(Command(resume={old.id: {"type": "respond", "message": "late"}}), CONFIG)
    result = decide(graph, "bob", "respond", message="said by a person")
    assert "said by a person" in result["answer"]
    assert result["status"] == "completed"
    assert graph.get_state(CONFIG).tasks == ()


@every_pattern
def test_an_answer_in_time_needs_no_backup(name: str, clock: Clock) -> None:
    never = says("never")
    builder = ASKING[name](REGISTRY[name].load(), HumanAgent("person", due=HOUR, backup=never))
    graph = started(builder)
    clock(HOUR - 60)
    result = decide(graph, "person", "respond", message="said by a person")
    assert "said by a person" in result["answer"]
    assert result["status"] == "completed"


def test_a_backup_may_be_an_agent_and_does_the_task_without_another_pause(clock: Clock) -> None:
    graph = started(single.build(HumanAgent("ann", due=HOUR, backup=says("machine", "done by machine"))))
    clock(HOUR)
    result = graph.invoke(None, CONFIG)
    (outcome,) = result["outcomes"]
    assert (result["answer"], outcome["agent"], outcome["id"]) == ("done by machine", "machine", "ann")
    (before,) = outcome["children"]
    assert (before["agent"], before["status"], before["error"]["type"]) == ("ann", "timed_out", "NoAnswer")


def test_without_a_backup_the_outcome_is_timed_out(clock: Clock) -> None:
    graph = started(single.build(HumanAgent("ann", due=HOUR)))
    clock(HOUR)
    result = graph.invoke(None, CONFIG)
    (outcome,) = result["outcomes"]
    assert (outcome["status"], outcome["error"]["type"]) == ("timed_out", "NoAnswer")
    assert outcome["error"]["message"] == "ann did not answer within 3600 s"
    assert result["status"] == "failed"


def test_backups_have_backups_and_each_has_its_own_time(clock: Clock) -> None:
    cid = HumanAgent("cid", due=HOUR)
    graph = started(single.build(HumanAgent("ann", due=HOUR, backup=HumanAgent("bob", due=2 * HOUR, backup=cid))))
    for name, due in (("ann", HOUR), ("bob", 2 * HOUR), ("cid", HOUR)):
        clock(due - 60)
        assert graph.invoke(None, CONFIG)["__interrupt__"]
        assert set(requests_of(graph)) == {name}
        clock(60)
        result = graph.invoke(None, CONFIG)
    assert result["status"] == "failed"


def test_who_is_not_there_is_not_asked_and_that_is_found_out_once(clock: Clock) -> None:
    asked: list[int] = []

    def never_there() -> bool:
        asked.append(1)
        return len(asked) > 1

    graph = started(single.build(HumanAgent("ann", available=never_there, backup=HumanAgent("bob"))))
    assert set(requests_of(graph)) == {"bob"}
    graph.invoke(None, CONFIG)
    result = decide(graph, "bob", "respond", message="from bob")
    assert (result["answer"], len(asked)) == ("from bob", 1)


def test_an_async_function_may_say_who_is_there_and_hours_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "time", lambda: at("2026-11-21T12:00+00:00"))

    async def away() -> bool:
        return False

    bob = HumanAgent("bob", available=away, backup=says("machine", "by machine"))
    result = started(single.build(HumanAgent("ann", available=Hours(), backup=bob))).get_state(CONFIG).values
    assert result["answer"] == "by machine"
    (outcome,) = result["outcomes"]
    assert [child["error"]["message"] for child in outcome["children"]] == [
        "bob is not there; it was given to machine",
        "ann is not there (mon-fri 09:00-17:00 UTC); it was given to bob",
    ]


def test_when_nobody_can_tell_who_is_there_the_backup_gets_the_task() -> None:
    def calendar() -> bool:
        raise OSError("no calendar")

    graph = single.build(HumanAgent("ann", available=calendar, backup=says("machine", "by machine")))
    told = events_of(graph.compile(InMemorySaver(), name="g"), {"task": "t"})
    moved = [event["data"] for event in told if event["kind"] == "decided"]
    assert moved == [{"decision": "fallback", "agent": "machine"}]


def test_due_time_is_counted_from_when_the_person_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [at("2026-11-20T18:00+00:00")]
    monkeypatch.setattr(time, "time", lambda: now[0])
    graph = started(single.build(HumanAgent("ann", available=Hours(), due=HOUR)))
    assert requests_of(graph)["ann"].value["about"]["expires_in"] == at("2026-11-23T10:00+00:00") - now[0]
    now[0] = at("2026-11-23T09:59+00:00")
    graph.invoke(None, CONFIG)
    assert decide(graph, "ann", "respond", message="in time")["answer"] == "in time"


def test_who_is_gone_when_they_answer_has_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [at("2026-11-20T16:59+00:00")]
    monkeypatch.setattr(time, "time", lambda: now[0])
    graph = started(single.build(HumanAgent("ann", available=Hours(), backup=says("never"))))
    now[0] = at("2026-11-20T17:10+00:00")
    assert decide(graph, "ann", "respond", message="after hours")["answer"] == "after hours"


def test_each_reassignment_is_told_once(clock: Clock) -> None:
    ann = HumanAgent("ann", due=HOUR, backup=HumanAgent("bob", available=lambda: False, backup=HumanAgent("cid")))
    graph = single.build(ann).compile(InMemorySaver(), name="g")
    told = events_of(graph, {"task": "t"})
    clock(HOUR)
    told += events_of(graph, None)
    told += events_of(graph, None)
    answer = {"decisions": [{"type": "respond", "message": "x"}]}
    told += events_of(graph, Command(resume={requests_of(graph)["cid"].id: answer}))
    moved = [event["data"] for event in told if event["data"].get("decision") == "reassign"]
    assert moved == [
        {"decision": "reassign", "agent": "bob", "reason": "ann did not answer in time"},
        {"decision": "reassign", "agent": "cid", "reason": "bob is not there"},
    ]


def test_several_people_of_a_plan_are_reassigned_each_on_their_own(clock: Clock) -> None:
    people = [HumanAgent(name, due=due, backup=HumanAgent(f"{name} 2")) for name, due in (("ann", 1), ("bob", HOUR))]
    plan = plan_of(part("a", "ann"), part("b", "bob"), part("c", "writer", "a", "b"))
    graph = executing(plan, [*people, says("writer", "joined")]).compile(InMemorySaver(), name="g")
    graph.invoke({"task": "t"}, CONFIG)
    assert set(requests_of(graph)) == {"ann", "bob"}
    clock(2)
    graph.invoke(None, CONFIG)
    assert set(requests_of(graph)) == {"ann 2", "bob"}
    decide(graph, "bob", "respond", message="from bob")
    result = decide(graph, "ann 2", "respond", message="from ann 2")
    assert [(o["id"], o["output"]) for o in result["outcomes"]] == [
        ("a", "from ann 2"),
        ("b", "from bob"),
        ("c", "joined"),
    ]


def test_a_colleague_with_a_backup_is_consulted_in_the_middle_of_a_step(clock: Clock) -> None:
    ann = HumanAgent("ann", "Knows.", due=HOUR, backup=HumanAgent("bob"))
    asker = says("asker", call("consult", agent="ann", question="Why?"), "so", tools=[create_consult_tool([ann])])
    graph = started(single.build(asker))
    clock(HOUR)
    graph.invoke(None, CONFIG)
    assert set(requests_of(graph)) == {"bob"}
    assert decide(graph, "bob", "respond", message="because")["answer"] == "so"
    assert asker.model is not None


@pytest.mark.parametrize("stock", [False, True], ids=["ours", "stock"])
def test_reassignment_survives_the_process(stock: bool, tmp_path: Path, clock: Clock) -> None:
    def graph_on(saver: Any) -> Any:
        person = HumanAgent("ann", due=HOUR, backup=HumanAgent("bob", due=HOUR, backup=says("machine", "by machine")))
        return single.build(person).compile(saver, name="g")

    @contextmanager
    def opened() -> Iterator[Any]:
        if stock:
            with SqliteSaver.from_conn_string(str(tmp_path / "r.db")) as saver:
                yield graph_on(saver)
        else:
            with open_persistence(tmp_path / "r.db") as persistence:
                yield graph_on(persistence.checkpointer)

    with opened() as graph:
        graph.invoke({"task": "t"}, CONFIG)
    clock(HOUR)
    with opened() as graph:
        graph.invoke(None, CONFIG)
    clock(HOUR - 60)
    with opened() as graph:
        assert graph.invoke(None, CONFIG)["__interrupt__"]
        assert set(requests_of(graph)) == {"bob"}
    clock(60)
    with opened() as graph:
        assert graph.invoke(None, CONFIG)["answer"] == "by machine"


# --- agents that failed and ask


def failing(*steps: Any, name: str = "person", **policy: Any) -> Agent:
    return says(name, *steps, policy=Policy(on_failure="escalate", **policy))


@every_pattern
@pytest.mark.parametrize("deep", [False, True], ids=["itself", "three levels down"])
def test_an_agent_that_failed_asks_and_tries_again_and_nothing_is_done_twice(name: str, deep: bool) -> None:
    agent = failing(ValueError("broken"), "said by a person")
    builder = ASKING[name](REGISTRY[name].load(), agent)
    graph = started(nested(builder) if deep else builder)
    graph.invoke(None, CONFIG)  # to go on without an answer makes no other try
    request = requests_of(graph)["person"]
    (action,), (config,) = request.value["action_requests"], request.value["review_configs"]
    assert action["name"] == "resolve_failure"
    assert "ValueError: broken" in action["description"]
    assert config["allowed_decisions"] == ["approve", "edit", "reject", "respond"]
    result = decide(graph, "person", "approve")
    assert "said by a person" in result["answer"]
    assert result["status"] == "completed"
    assert isinstance(agent.model, ScriptedChatModel)
    assert len(agent.model.requests) == 2
    with pytest.raises(UnknownRequest):
        graph.invoke(Command(resume={request.id: {"type": "approve"}}), CONFIG)


def test_a_person_answers_for_an_agent_that_failed() -> None:
    graph = started(single.build(failing(ValueError("broken"), name="a")))
    result = decide(graph, "a", "respond", message="This is it.")
    (outcome,) = result["outcomes"]
    assert (result["answer"], result["status"], outcome["error"]) == ("This is it.", "completed", None)
    assert (outcome["attempts"], outcome["usage"]["model_calls"]) == (1, 1)


def test_a_person_changes_the_task_of_an_agent_that_failed() -> None:
    agent = failing(ValueError("broken"), "easier done", name="a")
    graph = started(single.build(agent))
    for wrong in ({"task": " "}, {"agent": "b", "task": "x"}, {"task": "x", "colour": "red"}, {}):
        with pytest.raises(InvalidAnswer, match="still open"):
            decide(graph, "a", "edit", edited_action={"name": "resolve_failure", "args": wrong})
    result = decide(
        graph, "a", "edit", edited_action={"name": "resolve_failure", "args": {"task": "Something easier."}}
    )
    assert result["answer"] == "easier done"
    assert isinstance(agent.model, ScriptedChatModel)
    assert agent.model.requests[-1].messages[-1].text == "Something easier."
    (outcome,) = result["outcomes"]
    assert [child["id"] for child in outcome["children"]] == ["a/try 1"]
    assert (outcome["attempts"], outcome["usage"]["model_calls"]) == (2, 2)


def test_a_failure_that_is_left_stays_one_and_says_by_whom() -> None:
    graph = started(single.build(failing(ValueError("broken"), name="a")))
    result = decide(graph, "a", "reject", message="not worth it")
    assert result["status"] == "failed"
    assert result["reason"] == "a failed (ValueError: broken (left by a person: not worth it))"


def test_a_person_is_asked_as_often_as_there_are_rounds() -> None:
    agent = failing(*[ValueError("broken")] * 3, name="a")
    context = Context(max_rounds=2)
    graph = started(single.build(agent), max_rounds=2)
    first = requests_of(graph)["a"].id
    decide(graph, "a", "approve", context=context)
    assert requests_of(graph)["a"].id != first
    result = decide(graph, "a", "approve", context=context)
    assert result["status"] == "failed"
    assert result["outcomes"][0]["usage"]["model_calls"] == 3


def test_retries_and_fallbacks_come_before_a_person() -> None:
    agent = failing(ConnectionError("gone"), ConnectionError("gone"), name="a", backoff=0.0, max_attempts=2)
    second = says("b", ValueError("broken too"))
    agent = Agent(
        "a", model=agent.model, policy=Policy(on_failure="escalate", backoff=0.0, max_attempts=2, fallback=(second,))
    )
    graph = started(single.build(agent))
    assert "broken too" in requests_of(graph)["b"].value["action_requests"][0]["description"]
    assert decide(graph, "b", "respond", message="me")["answer"] == "me"


def test_without_a_checkpointer_a_failure_stays_one_and_says_that_nobody_was_asked() -> None:
    result = single.build(failing(ValueError("broken"), name="a")).compile(name="g").invoke({"task": "t"})
    assert result["status"] == "failed"
    assert "nobody was asked" in result["reason"]


def test_an_approval_in_a_try_that_then_fails_is_asked_once_and_so_is_its_effect() -> None:
    box = Mailbox()
    steps = [call("send", to="ann"), ValueError("broken"), "done"]
    agent = says("a", *steps, tools=[box.tool], policy=Policy(on_failure="escalate"))
    graph = started(single.build(agent))
    assert requests_of(graph)["a"].value["action_requests"][0]["name"] == "send"
    decide(graph, "a", "approve")
    assert requests_of(graph)["a"].value["action_requests"][0]["name"] == "resolve_failure"
    graph.invoke(None, CONFIG)
    assert box.sent == [("ann", 1)]
    assert decide(graph, "a", "approve")["answer"] == "done"
    assert box.sent == [("ann", 1)]


def test_a_colleague_that_failed_asks_in_the_middle_of_the_step_that_consulted_it() -> None:
    colleague = failing(ValueError("broken"), "because", name="knows")
    steps = [call("consult", agent="knows", question="Why?"), "so"]
    asker = says("asker", *steps, tools=[create_consult_tool([colleague])])
    graph = started(single.build(asker))
    assert set(requests_of(graph)) == {"knows"}
    assert decide(graph, "knows", "approve")["answer"] == "so"
    assert isinstance(colleague.model, ScriptedChatModel)
    assert len(colleague.model.requests) == 2


def test_two_agents_that_failed_side_by_side_are_answered_in_any_order() -> None:
    agents = [failing(ValueError("one"), "1", name="a"), failing(ValueError("two"), name="b")]
    graph = started(parallel.build(agents))
    assert set(requests_of(graph)) == {"a", "b"}
    decide(graph, "b", "respond", message="2")
    result = decide(graph, "a", "approve")
    assert result["structured"] == {"parts": {"a": "1", "b": "2"}}


def test_what_a_failed_try_spent_counts_after_the_pause(tmp_path: Path) -> None:
    def graph_on(persistence: Any, *steps: Any) -> Any:
        return single.build(failing(*steps, name="a")).compile(persistence.checkpointer, name="g")

    context = Context(budget=Budget(model_calls=1))
    with open_persistence(tmp_path / "r.db") as persistence:
        graph_on(persistence, ValueError("broken")).invoke({"task": "t"}, CONFIG, context=context)
    with open_persistence(tmp_path / "r.db") as persistence:
        graph = graph_on(persistence, "never said")
        result = decide(graph, "a", "approve", context=context)
        assert (result["status"], result["outcomes"][0]["usage"]["model_calls"]) == ("stopped", 1)


def test_a_failure_that_nobody_resolves_in_time_is_left(clock: Clock) -> None:
    graph = started(single.build(failing(ValueError("broken"), name="a")), approval_expires=HOUR)
    clock(HOUR)
    assert graph.invoke(None, CONFIG)["status"] == "failed"


# --- results that a person accepts


def reviewed(*drafts: str, **person: Any) -> tuple[Any, Agent]:
    writer = says("writer", *drafts)
    boss = HumanAgent("boss", prompt="It must be short and true.", **person)
    return started(review.build(writer, [boss])), writer


def test_a_person_sees_the_criteria_and_the_draft_and_may_edit_nothing_else() -> None:
    graph, _ = reviewed("A draft.")
    request = requests_of(graph)["boss"]
    (action,), (config,) = request.value["action_requests"], request.value["review_configs"]
    assert action["args"] == {"text": "A draft."}
    assert config["allowed_decisions"] == ["approve", "edit", "reject", "respond"]
    for shown in ("It must be short and true.", "the task", "A draft."):
        assert shown in action["description"]
    for wrong in ({"text": ""}, {"text": 5}, {}, {"text": "x", "more": 1}):
        with pytest.raises(InvalidAnswer, match="still open"):
            decide(graph, "boss", "edit", edited_action={"name": "boss", "args": wrong})


def test_a_result_that_a_person_approves_is_the_answer() -> None:
    graph, _ = reviewed("A draft.")
    result = decide(graph, "boss", "approve")
    assert (result["answer"], result["status"]) == ("A draft.", "completed")


def test_a_result_that_a_person_edits_is_the_answer_as_they_left_it() -> None:
    graph, _ = reviewed("A draft.")
    result = decide(graph, "boss", "edit", edited_action={"name": "boss", "args": {"text": "A better one."}})
    assert (result["answer"], result["status"], result["structured"]) == ("A better one.", "completed", None)


@pytest.mark.parametrize("kind", ["reject", "respond"])
def test_what_a_person_finds_wrong_goes_back_to_the_writer(kind: str) -> None:
    graph, writer = reviewed("A long draft.", "Short.")
    paused = decide(graph, "boss", kind, message="Too long.")
    assert "__interrupt__" in paused
    assert isinstance(writer.model, ScriptedChatModel)
    assert "Too long." in writer.model.requests[-1].messages[-1].text
    result = decide(graph, "boss", "approve")
    assert (result["answer"], result["status"]) == ("Short.", "completed")


def test_what_a_person_edited_goes_back_when_another_critic_wants_more() -> None:
    critic = says("critic", "Not yet.", "ACCEPT")
    writer = says("writer", "one", "three")
    graph = started(review.build(writer, [HumanAgent("boss"), critic]))
    decide(graph, "boss", "edit", edited_action={"name": "boss", "args": {"text": "two"}})
    assert isinstance(writer.model, ScriptedChatModel)
    assert "two" in writer.model.requests[-1].messages[-1].text
    assert decide(graph, "boss", "approve")["answer"] == "three"


def test_a_team_s_result_is_accepted_by_a_person_with_a_backup(clock: Clock) -> None:
    team = sequential.build([says("a", "one"), says("b", "two")]).compile(name="team")
    boss = HumanAgent("boss", due=HOUR, backup=HumanAgent("deputy"))
    graph = started(review.build(team, [boss]))
    clock(HOUR)
    graph.invoke(None, CONFIG)
    result = decide(graph, "deputy", "edit", edited_action={"name": "deputy", "args": {"text": "2"}})
    assert (result["answer"], result["status"]) == ("2", "completed")
