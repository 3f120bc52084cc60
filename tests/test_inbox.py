"""The inbox: what people are asked over all threads, in which form it is answered, and what became of what nobody answered."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from langchain.agents import create_agent
from langchain.agents.middleware import HumanInTheLoopMiddleware
from langchain_core.tools import tool
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.types import Command, Interrupt, interrupt

import orchestra
from cases import says
from graphs import parallel, single
from graphs.registry import REGISTRY
from nodes import HumanAgent, ScriptedChatModel
from nodes.scripted import call, calls
from orchestra.__main__ import command
from orchestra.commands.options import DEFAULT_DB
from orchestra.commands.place import open_place
from orchestra.recipe import Recipe, approval_arguments
from orchestra.request import read_decision, read_request
from orchestra.thread import config_of
from state import ConfigurationError, Context, InvalidAnswer, RequestExpired, open_persistence
from state.persistence import Persistence
from state.storage.requests import RequestTable
from storage import KINDS, fresh_url
from test_expiry import HOUR, Clock, gates
from test_expiry import clock as clock
from test_tool_approval import Mailbox


@pytest.fixture(params=KINDS)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Persistence]:
    with fresh_url(request.param, tmp_path) as url, open_persistence(url) as persistence:
        yield persistence


@pytest.fixture
def docs() -> str:
    folder = Path("docs")
    folder.mkdir()
    (folder / "bees.md").write_text("# Bees\n\nThe queen of a honey bee colony lays up to 2000 eggs a day in summer.\n")
    return "docs"


def person(name: str, place: Persistence, **terms: Any) -> Any:
    return single.build(HumanAgent(name, **terms)).compile(place.checkpointer, name=f"desk of {name}")


def ids(found: Any) -> list[str]:
    return [request.agent for request in found]


# --- what is open


def test_the_open_requests_of_all_threads_are_listed_oldest_first(place: Persistence, clock: Clock) -> None:
    orchestra.start(person("ann", place), place, "First?", thread="one")
    clock(60)
    person("bob", place, due=HOUR).invoke({"task": "Second?"}, config_of("two"))  # without a front door
    clock(60)
    orchestra.start(
        single.build(says("machine", "done")).compile(place.checkpointer, name="m"), place, "t", thread="three"
    )
    first, second = orchestra.requests(place)
    assert (first.thread, first.graph, first.agent, first.step) == ("one", "desk of ann", "ann", "ann")
    assert (first.description, first.allowed, first.expires) == ("First?", ("respond",), None)
    assert (second.thread, second.graph, second.agent) == ("two", "desk of bob", "bob")
    assert second.asked - first.asked == pytest.approx(60, abs=30)
    assert second.expires == second.asked + HOUR
    assert (second.default, second.is_over) == ("timed out", False)
    assert orchestra.requests(place, thread="two") == [second]


def test_a_request_is_listed_until_it_is_answered(place: Persistence) -> None:
    graph = parallel.build([HumanAgent("ann"), HumanAgent("bob")]).compile(place.checkpointer, name="p")
    result = orchestra.start(graph, place, "t", thread="t")
    by_name = {request.agent: request.id for request in result.interrupts}
    assert sorted(ids(orchestra.requests(place))) == ["ann", "bob"]
    orchestra.answer(graph, place, "t", "respond", request=by_name["ann"], message="x")
    assert ids(orchestra.requests(place)) == ["bob"]
    orchestra.answer(graph, place, "t", "respond", request=by_name["bob"], message="y")
    assert orchestra.requests(place) == []


def test_requests_three_levels_deep_and_of_tools_are_listed_once(place: Persistence) -> None:
    box = Mailbox()
    steps = [calls(call("send", to="ann"), call("send", to="bob")), "done"]
    inner = single.build(says("clerk", *steps, tools=[box.tool])).compile(name="inner")
    asked = single.build(HumanAgent("ann", due=HOUR)).compile(name="desk")
    graph = parallel.build([single.build(inner).compile(name="left"), asked]).compile(place.checkpointer, name="p")
    orchestra.start(graph, place, "t", thread="t")
    found = orchestra.requests(place)
    assert sorted(ids(found)) == ["ann", "clerk", "clerk"]
    assert {request.id for request in found} == {one.id for one in graph.get_state(config_of("t")).interrupts}


def test_age_does_not_change_when_a_sibling_is_answered_or_the_thread_is_taken_up(
    place: Persistence, clock: Clock
) -> None:
    graph = parallel.build([HumanAgent("ann", due=HOUR), HumanAgent("bob")]).compile(place.checkpointer, name="p")
    orchestra.start(graph, place, "t", thread="t")
    before = {request.agent: request for request in orchestra.requests(place)}
    clock(600)
    graph.invoke(None, config_of("t"))
    orchestra.answer(graph, place, "t", "respond", request=before["bob"].id, message="x")
    assert orchestra.requests(place) == [before["ann"]]


def test_a_request_whose_row_was_not_written_is_listed_with_the_time_of_its_step(place: Persistence) -> None:
    orchestra.start(person("ann", place, due=HOUR), place, "t", thread="t")
    (noted,) = orchestra.requests(place)
    table = RequestTable(place.checkpointer.place)  # type: ignore[attr-defined]  # ours have one
    table.note("t", {})
    assert table.asked("t") == {}
    (found,) = orchestra.requests(place)
    assert found.asked == pytest.approx(noted.asked, abs=30)
    assert found.expires == found.asked + HOUR
    assert found.model_copy(update={"asked": noted.asked, "expires": noted.expires}) == noted


def test_what_is_noted_goes_with_its_thread(place: Persistence) -> None:
    orchestra.start(person("ann", place), place, "t", thread="t")
    table = RequestTable(place.checkpointer.place)  # type: ignore[attr-defined]  # ours have one
    assert len(table.asked("t")) == 1
    place.delete_thread("t")
    assert table.asked("t") == {}


def test_all_that_expired_is_decided_at_once_where_the_command_can(place: Persistence, clock: Clock) -> None:
    graph = gates(place.checkpointer, {"expires": HOUR, "default": "reject"})
    orchestra.start(graph, place, "t", thread="of a program")
    orchestra.start(person("ann", place), place, "t", thread="without a limit")
    assert orchestra.expire(place) == ([], [])
    clock(HOUR)
    swept = orchestra.expire(place)
    assert (swept.decided, [request.thread for request in swept.left]) == ([], ["of a program"])
    assert len(orchestra.requests(place)) == 2


def three_that_expired(place: Persistence, docs: str, clock: Clock) -> None:
    """Let the requests of three threads expire, of which the first two cannot be built any more."""
    recipe = Recipe(name="research", build=approval_arguments(REGISTRY["research"]))
    context = Context(approval_expires=HOUR, corpus=str(Path(docs).absolute()))
    for thread in ("gone", "changed", "well"):
        graph = recipe.graph(place)
        orchestra.start(graph, place, "How many eggs?", thread=thread, context=context, facts=recipe.facts())
        clock(60)
    place.note_thread("gone", recipe=Recipe(name="no such team").model_dump())
    place.note_thread("changed", recipe=Recipe(name="research", build={"no_such_argument": True}).model_dump())
    clock(HOUR)


def test_a_thread_that_cannot_be_taken_up_keeps_no_other_from_it(place: Persistence, docs: str, clock: Clock) -> None:
    three_that_expired(place, docs, clock)
    swept = orchestra.expire(place)
    assert [request.thread for request in swept.decided] == ["well"]
    assert [request.thread for request in swept.left] == ["gone", "changed"]
    assert "'no such team'" in swept.left[0].reason
    assert "TypeError" in swept.left[1].reason
    assert [request.thread for request in orchestra.requests(place)] == ["gone", "changed"]


# --- requests of others, in each form


@tool
def pay(to: str, amount: int = 1) -> str:
    """Pay somebody."""
    return f"paid {amount} to {to}"


def others_agent(place: Persistence, mode: Any, *steps: Any) -> Any:
    """Return an agent of LangChain's own, with its middleware for approvals."""
    allowed = {"pay": {"allowed_decisions": ["approve", "edit", "reject"]}}
    gate = HumanInTheLoopMiddleware(allowed, interrupt_mode=mode)  # type: ignore[arg-type]  # a plain mapping will do
    agent = create_agent(ScriptedChatModel(list(steps)), [pay], middleware=[gate], checkpointer=None, name="others")
    return single.build(agent).compile(place.checkpointer, name="desk")


def paid(graph: Any) -> list[str]:
    (outcome,) = graph.get_state(config_of("t")).values["outcomes"]
    return str(outcome["output"]).split("; ")


TWO = calls(call("pay", to="ann"), call("pay", to="bob"))


def test_each_of_several_actions_gets_a_decision_of_its_own(place: Persistence) -> None:
    model_says = ScriptedChatModel([TWO, "done"])
    allowed = {"pay": {"allowed_decisions": ["approve", "edit", "reject"]}}
    gate = HumanInTheLoopMiddleware(allowed)  # type: ignore[arg-type]  # a plain mapping will do
    agent = create_agent(model_says, [pay], middleware=[gate], name="others")
    graph = single.build(agent).compile(place.checkpointer, name="desk")
    (request,) = orchestra.start(graph, place, "t", thread="t").interrupts
    assert (request.form, [action.args for action in request.actions]) == ("batched", [{"to": "ann"}, {"to": "bob"}])
    assert request.allowed == ("approve", "edit", "reject")
    wrongs: list[tuple[Any, str]] = [
        (["approve"], "expected 2 decisions, one for each action, got 1"),
        (["approve", {"type": "respond", "message": "x"}], "pay: expected approve or edit or reject, got 'respond'"),
        (["approve", "edit"], "expected edited_action"),
        ("edit", "one decision for each"),
    ]
    for wrong, why in wrongs:
        with pytest.raises(InvalidAnswer, match=why):
            orchestra.answer(graph, place, "t", wrong)
    assert ids(orchestra.requests(place)) == [""]
    edited = {"type": "edit", "edited_action": {"name": "pay", "args": {"to": "bob", "amount": 5}}}
    result = orchestra.answer(graph, place, "t", decisions=[{"type": "reject", "message": "no"}, edited])
    assert result.answer == "done"
    told = [message.text for message in model_says.requests[-1].messages if message.type == "tool"]
    assert "no" in told[0]
    assert told[1].endswith("paid 5 to bob")


def test_a_request_for_each_call_is_answered_with_one_decision(place: Persistence) -> None:
    graph = others_agent(place, "per_call", TWO, "done")
    requests = orchestra.start(graph, place, "t", thread="t").interrupts
    first, second = sorted(requests, key=lambda one: str(one.actions[0].args))
    assert (first.form, first.allowed, first.actions[0].args) == (
        "per_call",
        ("approve", "edit", "reject"),
        {"to": "ann"},
    )
    assert sorted(ids(orchestra.requests(place))) == ["", ""]
    with pytest.raises(InvalidAnswer, match="expected approve or edit or reject, got 'respond'"):
        orchestra.answer(graph, place, "t", "respond", request=first.id, message="x")
    orchestra.answer(graph, place, "t", "edit", request=first.id, args={"to": "cid"})
    result = orchestra.answer(graph, place, "t", [{"type": "reject"}], request=second.id)
    assert result.answer == "done"


def test_a_request_of_ours_takes_a_lone_decision_too(place: Persistence) -> None:
    graph = person("ann", place)
    (request,) = orchestra.start(graph, place, "t", thread="t").interrupts
    given = {"type": "respond", "message": "hello"}
    assert graph.invoke(Command(resume={request.id: given}), config_of("t"))["answer"] == "hello"


def test_a_plain_question_is_shown_and_answered_as_text(place: Persistence) -> None:
    def question(state: MessagesState) -> dict[str, Any]:
        return {"messages": [("ai", f"you said {interrupt('Why?')}")]}

    builder = StateGraph(MessagesState)
    builder.add_node("question", question)
    builder.add_edge(START, "question")
    builder.add_edge("question", END)
    graph = builder.compile(place.checkpointer, name="plain")
    (request,) = orchestra.start(graph, place, "t", thread="t").interrupts
    assert (request.form, request.description, request.actions) == ("text", "Why?", ())
    (found,) = orchestra.requests(place)
    assert (found.description, found.agent) == ("Why?", "")
    assert orchestra.answer(graph, place, "t", "respond", message="because").answer == "you said because"


def test_what_is_no_decision_at_all_is_refused(place: Persistence) -> None:
    graph = person("ann", place)
    orchestra.start(graph, place, "t", thread="t")
    for both in ({}, {"decision": "respond", "decisions": ["respond"], "message": "x"}):
        with pytest.raises(ConfigurationError, match="either a decision or decisions"):
            orchestra.answer(graph, place, "t", **both)


def test_a_request_in_the_form_of_each_call_without_a_schema_takes_all_four() -> None:
    value = {"type": "tool_approval", "tool_call_id": "1", "name": "pay", "args": {"to": "x"}, "description": "Pay?"}
    request = read_request(Interrupt(value=value, id="1"))
    assert request.allowed == ("approve", "edit", "reject", "respond")
    assert read_decision(request, "respond", message="no need") == {"type": "respond", "message": "no need"}


def test_actions_that_allow_different_decisions_are_decided_one_by_one() -> None:
    value = {
        "action_requests": [{"name": "read", "args": {}}, {"name": "pay", "args": {"to": "x"}}],
        "review_configs": [
            {"action_name": "read", "allowed_decisions": ["approve"]},
            {"action_name": "pay", "allowed_decisions": ["reject", "respond"]},
        ],
    }
    request = read_request(Interrupt(value=value, id="1"))
    assert (request.allowed, [action.allowed for action in request.actions]) == (
        (),
        [("approve",), ("reject", "respond")],
    )
    with pytest.raises(InvalidAnswer, match="a decision for each action"):
        read_decision(request, "approve")
    given = read_decision(request, ["approve", {"type": "respond", "message": "x"}])
    assert given == {"decisions": [{"type": "approve"}, {"type": "respond", "message": "x"}]}


# --- at the command line


def typed(*arguments: str) -> Result:
    return CliRunner().invoke(command, arguments)


def test_the_command_lists_requests_and_says_what_to_do(docs: str) -> None:
    assert "Nobody is asked anything" in typed("requests").stderr
    assert json.loads(typed("requests", "--json").stdout) == []
    started = typed("run", "research", "How many eggs?", "--corpus", docs, "--approve", "--thread", "bees")
    assert started.exit_code == 3
    shown = typed("requests")
    assert "bees" in shown.stdout
    assert "orchestra show bees" in shown.stderr
    (plain,) = json.loads(typed("requests", "--json").stdout)
    assert (plain["thread"], plain["graph"], plain["expires"], plain["expired"]) == ("bees", "research", None, False)
    assert typed("approve", "bees", "--id", plain["id"][:8]).exit_code == 0
    assert json.loads(typed("requests", "--json").stdout) == []


def test_what_the_thread_of_a_program_asks_is_shown_with_the_call_that_answers_it() -> None:
    box = Mailbox()
    two = calls(call("send", to="ann"), call("send", to="bob"))
    with open_place(DEFAULT_DB) as place:
        orchestra.start(person("ann", place), place, "Which day?", thread="one")
        graph = single.build(says("clerk", two, tools=[box.tool])).compile(place.checkpointer, name="desk")
        found = orchestra.start(graph, place, "Write.", thread="two").interrupts
    shown = typed("show", "one")
    assert "Which day?" in shown.stderr
    assert 'orchestra.answer(graph, persistence, "one", "respond", message="...")' in shown.stderr
    shown = typed("show", "two")
    for request in found:
        assert f"(request {request.id[:8]})" in shown.stderr
        assert f'"two", "approve", request="{request.id[:8]}")' in shown.stderr
        assert f"to: {request.actions[0].args['to']}" in shown.stderr
    assert len(json.loads(typed("show", "two", "--json").stdout)["interrupts"]) == 2
    assert 'orchestra.answer(graph, persistence, "two", "approve")' in typed("approve", "two").stderr


@pytest.mark.parametrize("words", [("requests", "--expire"), ("resume", "bees")], ids=" ".join)
def test_the_command_takes_the_default_of_what_expired(words: tuple[str, ...], docs: str, clock: Clock) -> None:
    recipe = Recipe(name="research", build=approval_arguments(REGISTRY["research"]))
    with open_place(DEFAULT_DB) as place:
        context = Context(approval_expires=HOUR, corpus=str(Path(docs).absolute()))
        graph, facts = recipe.graph(place), recipe.facts()
        orchestra.start(graph, place, "How many eggs?", thread="bees", context=context, facts=facts)
    assert re.search(r"in 1 h 00 m +reject +Write", typed("requests").stdout)
    assert typed(*words).exit_code in (0, 3)
    assert len(json.loads(typed("requests", "--json").stdout)) == 1
    clock(HOUR)
    assert re.search(r"expired +reject +Write", typed("requests").stdout)
    late = typed("approve", "bees")
    assert late.exit_code == 1
    assert "instead it was decided: reject" in late.stderr
    taken = typed(*words)
    assert "decided: reject" in taken.stderr if words[0] == "requests" else taken.exit_code == 4
    assert json.loads(typed("requests", "--json").stdout) == []
    assert json.loads(typed("show", "bees", "--json").stdout)["reason"].startswith("rejected")


def test_the_command_tells_what_it_left_and_why(docs: str, clock: Clock) -> None:
    with open_place(DEFAULT_DB) as place:
        three_that_expired(place, docs, clock)
        person("ann", place, due=HOUR).invoke({"task": "Which day?"}, config_of("of a program"))
    clock(HOUR)
    told = json.loads(typed("requests", "--expire", "--json").stdout)
    assert {name: [request["thread"] for request in told[name]] for name in told} == {
        "decided": ["well"],
        "left": ["gone", "changed", "of a program"],
        "open": ["gone", "changed", "of a program"],
    }
    assert told["left"][2]["reason"] == "go on with it where it was started"
    shown = typed("requests", "--expire")
    assert shown.exit_code == 0
    assert re.search(r"gone: \w+ expired and was left: .*'no such team'", shown.stderr)


def test_a_late_answer_by_a_program_names_the_thread(place: Persistence, clock: Clock) -> None:
    graph = gates(place.checkpointer, {"expires": HOUR, "default": "approve"})
    orchestra.start(graph, place, "t", thread="t")
    clock(HOUR)
    with pytest.raises(RequestExpired) as caught:
        orchestra.answer(graph, place, "t", "reject")
    assert caught.value.thread == "t"
    assert orchestra.resume(graph, place, "t").answer == "one:approve"
    (noted,) = [event["data"] for event in place.events("t") if event["data"].get("note") == "expired"]
    assert list(noted["decided"].values()) == ["approve"]
