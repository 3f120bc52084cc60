"""Expiry: a request that nobody answered in time is decided by its default, once, and a late answer is told so."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.graph import END, START
from langgraph.types import Command

import orchestra
from cases import says
from graphs import parallel, plan_execute, single
from nodes import HumanAgent
from nodes.human import Decision, ask
from nodes.scripted import call
from nodes.turn import begin_node, conclude
from state import (
    ConfigurationError,
    Context,
    InvalidAnswer,
    RequestExpired,
    TaskState,
    UnknownRequest,
    open_persistence,
)
from state.graph import Pattern, PatternBuilder
from test_tool_approval import Mailbox

CONFIG: Any = {"configurable": {"thread_id": "t"}}
HOUR = 3600.0
Clock = Callable[[float], None]


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Let time pass at once: the function given goes on by seconds."""
    passed, real = [0.0], time.time

    def go_on(seconds: float) -> None:
        passed[0] += seconds

    monkeypatch.setattr(time, "time", lambda: real() + passed[0])
    return go_on


def gate(name: str, **terms: Any) -> Any:
    async def node(state: TaskState) -> dict[str, Any]:
        decision = ask(name, {"to": name}, f"Shall {name}?", ("approve", "edit", "reject", "respond"), **terms)
        return {"answer": f"{state.get('answer', '')} {name}:{decision.type}"}

    return node


def gates(saver: Any, *terms: dict[str, Any], names: tuple[str, ...] = ("one", "two")) -> Pattern:
    """Return a graph that asks about one thing after the other."""
    builder, before = PatternBuilder(), "begin"
    builder.add_node("begin", begin_node())
    builder.add_edge(START, "begin")
    for name, more in zip(names, terms, strict=False):
        builder.add_node(name, gate(name, **more))
        builder.add_edge(before, name)
        before = name

    async def finish(state: TaskState) -> dict[str, Any]:
        return conclude(state, state["answer"].strip(), status="completed")

    builder.add_node("finish", finish)
    builder.add_edge(before, "finish")
    builder.add_edge("finish", END)
    return builder.compile(saver, name="gates")


def request_of(graph: Any, config: Any = CONFIG) -> Any:
    (request,) = graph.get_state(config).interrupts
    return request


def decide(graph: Any, request: Any, kind: str, **more: Any) -> dict[str, Any]:
    result: dict[str, Any] = graph.invoke(Command(resume={request.id: {"type": kind, **more}}), CONFIG)
    return result


SAVERS = ["memory", "stock", "ours"]


@pytest.fixture(params=SAVERS)
def saver(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Any]:
    if request.param == "memory":
        yield InMemorySaver()
    elif request.param == "stock":
        with SqliteSaver.from_conn_string(str(tmp_path / "stock.db")) as stock:
            yield stock
    else:
        with open_persistence(tmp_path / "ours.db") as persistence:
            yield persistence.checkpointer


def test_a_request_says_when_it_expires_and_what_is_decided_then(saver: Any) -> None:
    graph = gates(saver, {"expires": HOUR, "default": "reject"})
    graph.invoke({"task": "t"}, CONFIG)
    about = request_of(graph).value["about"]
    assert about == {"agent": "", "step": "one", "expires_in": HOUR, "default": {"type": "reject"}}


def test_an_answer_in_time_is_taken(saver: Any, clock: Clock) -> None:
    graph = gates(saver, {"expires": HOUR, "default": "reject"})
    graph.invoke({"task": "t"}, CONFIG)
    clock(HOUR - 60)
    assert graph.invoke(None, CONFIG)["__interrupt__"]
    assert decide(graph, request_of(graph), "approve")["answer"] == "one:approve"


def test_after_its_time_an_answer_is_refused_and_the_default_is_taken_by_whoever_goes_on(
    saver: Any, clock: Clock
) -> None:
    graph = gates(saver, {"expires": HOUR, "default": "reject"}, {})
    graph.invoke({"task": "t"}, CONFIG)
    request = request_of(graph)
    clock(HOUR + 1)
    with pytest.raises(RequestExpired, match=r"instead it was decided: reject; resume the thread"):
        decide(graph, request, "approve")
    assert request_of(graph).id == request.id
    paused = graph.invoke(None, CONFIG)
    assert "one:reject" in paused["answer"]
    with pytest.raises(RequestExpired, match=r"instead it was decided: reject$"):
        decide(graph, request, "approve")
    assert decide(graph, request_of(graph), "approve")["answer"] == "one:reject two:approve"
    with pytest.raises(UnknownRequest):
        decide(graph, request, "approve")


def test_the_time_of_a_second_question_is_counted_from_when_it_is_asked(saver: Any, clock: Clock) -> None:
    terms = {"expires": HOUR, "default": "reject"}
    graph = gates(saver, terms, terms)
    graph.invoke({"task": "t"}, CONFIG)
    clock(HOUR - 60)
    decide(graph, request_of(graph), "approve")
    clock(120)
    assert decide(graph, request_of(graph), "approve")["answer"] == "one:approve two:approve"


def test_time_goes_on_while_siblings_are_answered(saver: Any, clock: Clock) -> None:
    people = [HumanAgent("ann", due=HOUR), HumanAgent("bob"), HumanAgent("cid")]
    graph = parallel.build(people).compile(saver, name="p")
    graph.invoke({"task": "t"}, CONFIG)
    for name in ("bob", "cid"):
        clock(HOUR / 2 + 1 if name == "bob" else 0)
        asked = {one.value["about"]["agent"]: one for one in graph.get_state(CONFIG).interrupts}
        assert set(asked) >= {"ann", name}
        if name == "bob":
            decide(graph, asked["bob"], "respond", message="from bob")
            clock(HOUR / 2)
            with pytest.raises(RequestExpired):
                decide(graph, asked["ann"], "respond", message="late")
    result = decide(graph, asked["cid"], "respond", message="from cid")  # whoever goes on takes the default along
    assert [(o["agent"], o["status"]) for o in result["outcomes"]] == [
        ("ann", "timed_out"),
        ("bob", "ok"),
        ("cid", "ok"),
    ]
    assert result["status"] == "partial"


def test_a_default_may_be_a_whole_decision(clock: Clock) -> None:
    graph = gates(InMemorySaver(), {"expires": 5, "default": Decision(type="respond", message="whatever")})
    graph.invoke({"task": "t"}, CONFIG)
    clock(6)
    assert graph.invoke(None, CONFIG)["answer"] == "one:respond"


@pytest.mark.parametrize(
    ("terms", "wrong"),
    [
        ({"expires": 5}, "expected both or neither"),
        ({"default": "reject"}, "expected both or neither"),
        ({"expires": 0, "default": "reject"}, "seconds above 0"),
        ({"expires": float("nan"), "default": "reject"}, "seconds above 0"),
        ({"expires": 5, "default": "edit"}, "a whole decision"),
    ],
)
def test_terms_that_could_never_work_are_refused(terms: dict[str, Any], wrong: str) -> None:
    with pytest.raises(ConfigurationError, match=wrong):
        gates(InMemorySaver(), terms).invoke({"task": "t"}, CONFIG)


@pytest.mark.parametrize("forged", [{"decisions": [], "expired": True}, {"type": "approve", "expired": True}])
def test_nobody_can_say_that_time_ran_out(forged: dict[str, Any]) -> None:
    graph = gates(InMemorySaver(), {"expires": HOUR, "default": "reject"})
    graph.invoke({"task": "t"}, CONFIG)
    request = request_of(graph)
    with pytest.raises(InvalidAnswer, match="time expires by itself"):
        graph.invoke(Command(resume={request.id: forged}), CONFIG)
    assert request_of(graph).id == request.id
    assert "expired" not in str(request.response_schema)


def test_approvals_expire_as_the_context_says(clock: Clock, tmp_path: Path) -> None:
    context = Context(approval_expires=HOUR)
    plan = {"subtasks": [{"id": "a", "task": "Do a.", "agent": "x"}]}
    with open_persistence(tmp_path / "r.db") as persistence:
        planner, worker = says("planner", str(plan).replace("'", '"')), says("x")
        graph = plan_execute.build([worker], planner=planner, approve_plan=True).compile(
            persistence.checkpointer, name="p"
        )
        assert orchestra.start(graph, persistence, "t", thread="t", context=context).status == "waiting"
        clock(HOUR + 1)
        box = Mailbox()
        clerk = single.build(says("clerk", call("send", to="ann"), "done", tools=[box.tool]))
        other = clerk.compile(persistence.checkpointer, name="clerk")
        orchestra.start(other, persistence, "mail", thread="other", context=context)
        assert orchestra.resume(other, persistence, "other").status == "waiting"
        clock(HOUR + 1)
        result = orchestra.resume(other, persistence, "other", context=context)
        assert (result.status, result.answer, box.sent) == ("completed", "done", [])


def test_an_expired_request_is_told_by_its_short_id_after_its_default_was_taken(clock: Clock, tmp_path: Path) -> None:
    with open_persistence(tmp_path / "r.db") as persistence:
        graph = gates(persistence.checkpointer, {"expires": HOUR, "default": "reject"})
        (request,) = orchestra.start(graph, persistence, "t", thread="t").interrupts
        assert (request.expires_in, request.default) == (HOUR, "reject")
        clock(HOUR)
        with pytest.raises(RequestExpired):
            orchestra.answer(graph, persistence, "t", "approve")
        assert orchestra.resume(graph, persistence, "t").answer == "one:reject"
        with pytest.raises(RequestExpired):
            orchestra.answer(graph, persistence, "t", "approve", request=request.id[:6])
        persistence.delete_thread("t")
        assert orchestra.requests(persistence) == []
