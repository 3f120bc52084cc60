"""What an agent did, was refused, was allowed and passed on is one record each, however often its node is entered."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from langchain_core.runnables import RunnableConfig
from langgraph.types import Command

from cases import says
from graphs import handoff, parallel, single
from nodes import HumanAgent, Policy
from nodes.scripted import call, calls
from state import open_persistence
from state.persistence import Persistence
from storage import fresh_url
from tools import create_consult_tool, create_delegate_tool, effect, needs, requires_approval

THREAD: RunnableConfig = {"configurable": {"thread_id": "t"}}


@pytest.fixture(params=["sqlite", "postgres", "memory"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    with fresh_url(request.param, tmp_path) as url, open_persistence(url) as opened:
        yield opened


def counted(place: Persistence) -> Counter[tuple[str, str, str]]:
    return Counter((record.kind, record.subject, record.outcome) for record in place.trail.records())


def pay(to: str) -> str:
    """Pay somebody."""
    return f"paid {to}"


def test_each_of_them_is_one_record_also_when_a_pause_makes_the_node_run_again(place: Persistence) -> None:
    peer = says("peer", "as you like")
    worker = says("worker", "it is done")
    person = HumanAgent("person")
    tools = [
        requires_approval(effect(pay)),
        create_consult_tool([peer, person]),
        create_delegate_tool([worker]),
    ]
    steps = [
        calls(call("consult", peer="peer", question="?"), call("delegate", agent="worker", task="go")),
        call("nonsense"),
        call("pay", to="ann"),
        call("consult", peer="person", question="and you?"),
        call("transfer_to_desk", reason="it is yours"),
    ]
    front = says("front", *steps, tools=tools)
    graph = handoff.build([front, says("desk", "done")], entry="front")
    compiled = graph.compile(checkpointer=place.checkpointer, name="g")
    result = compiled.invoke({"task": "go"}, THREAD)
    for decision in ({"type": "approve"}, {"type": "respond", "message": "yes"}):
        (request,) = compiled.get_state(THREAD).interrupts
        result = compiled.invoke(Command(resume={request.id: {"decisions": [decision]}}), THREAD)
    assert result["answer"] == "done"
    assert counted(place) == {
        ("consultation", "peer", "ok"): 1,
        ("delegation", "worker", "ok"): 1,
        ("denial", "nonsense", "denied"): 1,
        ("approval", "pay", "approve"): 1,
        ("effect", "pay", "carried out"): 1,
        ("consultation", "person", "ok"): 1,
        ("handoff", "desk", "handed over"): 1,
    }
    assert not place.trail.verify().findings


def test_the_same_effect_of_two_branches_is_one_record_and_another_turn_has_another(place: Persistence) -> None:
    def agents() -> list[Any]:
        return [says(name, call("pay", to="ann"), "done", tools=[effect(pay)]) for name in ("one", "two")]

    for task in ("first", "second"):
        graph = parallel.build(agents()).compile(checkpointer=place.checkpointer, name="g")
        graph.invoke({"task": task}, THREAD)
    assert counted(place) == {("effect", "pay", "carried out"): 2}


def test_a_record_tells_what_was_asked_for_without_its_values_and_where_it_came_from(place: Persistence) -> None:
    @needs("network")
    def fetch(url: str) -> str:
        """Fetch a page."""
        return "pay bob"

    steps = [call("fetch", url="http://example.org"), call("pay", to="bob the builder"), "done"]
    agent = says("clerk", *steps, tools=[fetch, effect(pay)], policy=Policy(deny=("fetch_all",)))
    single.build(agent).compile(checkpointer=place.checkpointer, name="g").invoke({"task": "go"}, THREAD)
    (record,) = place.trail.records()
    assert (record.agent, record.names, tuple(record.taint)) == ("clerk", ("to",), ("tool fetch",))
    assert "builder" not in str(record)
    assert len(record.arguments) == 64
