"""Arguments: what decides about a call sees what will be carried out, and two ways to write one effect are one effect."""

from __future__ import annotations

import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from langchain_core.messages import AIMessage
from langchain_core.tools import BaseTool, tool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.types import Command
from pydantic import BaseModel, SecretStr

from cases import says
from graphs import single
from nodes import Policy
from nodes.layers.arguments import as_read, without_defaults
from nodes.scripted import call
from orchestra import answer, start
from state import open_persistence
from state.audit import digest_of
from tools import effect, needs, requires_approval

THREAD: Any = {"configurable": {"thread_id": "t"}}


class Part(BaseModel):
    number: int
    name: str = "none"


@tool
def everything(
    count: int,
    flag: bool = False,
    day: datetime.date | None = None,
    price: Decimal = Decimal(1),
    part: Part | None = None,
    either: int | str = 1,
    some: frozenset[int] = frozenset(),
    key: SecretStr | None = None,
) -> str:
    """Take everything."""
    return repr((count, flag, day, price, part, either, some, key))


@pytest.mark.parametrize(
    ("given", "read"),
    [
        ({"count": "7"}, {"count": 7}),
        ({"count": 7.0, "flag": "no"}, {"count": 7, "flag": False}),
        ({"count": 1, "day": "2026-01-02", "price": "1.50"}, {"count": 1, "day": "2026-01-02", "price": "1.50"}),
        ({"count": 1, "part": {"number": "3"}}, {"count": 1, "part": {"number": 3, "name": "none"}}),
        ({"count": 1, "either": "5"}, {"count": 1, "either": "5"}),
        ({"count": 1, "some": ["2", 1]}, {"count": 1, "some": ["2", 1]}),
        ({"count": 1, "key": "not to be masked"}, {"count": 1, "key": "not to be masked"}),
        ({"count": "many"}, {"count": "many"}),
        ({"count": 1, "more": "x"}, {"count": 1, "more": "x"}),
    ],
)
def test_arguments_are_read_by_the_types_of_the_tool_and_mean_the_same_to_it(
    given: dict[str, Any], read: dict[str, Any]
) -> None:
    assert as_read(everything, given) == read
    if given["count"] != "many":
        assert everything.invoke(dict(as_read(everything, given))) == everything.invoke(given)


def test_what_a_tool_takes_anyway_tells_no_effect_apart() -> None:
    given = {"count": 1, "flag": False, "either": 1, "day": None, "price": "2"}
    assert without_defaults(everything, given) == {"count": 1, "price": "2"}
    assert without_defaults(None, given) == given


class Desk:
    """A desk with tools that are guarded."""

    def __init__(self) -> None:
        self.done: list[Any] = []

        def wipe(table: str, dry_run: bool = True) -> str:
            """Wipe a table."""
            self.done.append((table, dry_run))
            return "wiped"

        def refund(order: int, cents: int = 5) -> str:
            """Pay back."""
            self.done.append((order, cents))
            return "paid"

        self.wipe: BaseTool = requires_approval(when=lambda args: not args["dry_run"])(needs("write")(wipe))
        self.refund: BaseTool = effect(refund)


def test_a_person_is_asked_about_what_will_be_done_and_not_about_how_it_was_written() -> None:
    desk = Desk()
    steps = [call("wipe", table="a", dry_run="true"), call("wipe", table="b", dry_run="false"), "done"]
    graph = single.build(says("clerk", *steps, tools=[desk.wipe])).compile(checkpointer=InMemorySaver(), name="g")
    graph.invoke({"task": "t"}, THREAD)
    (request,) = graph.get_state(THREAD).interrupts
    assert request.value["action_requests"][0]["args"] == {"table": "b", "dry_run": False}
    assert desk.done == [("a", True)]
    graph.invoke(Command(resume={request.id: {"decisions": [{"type": "approve"}]}}), THREAD)
    assert desk.done == [("a", True), ("b", False)]


def test_one_effect_that_is_written_in_several_ways_happens_once() -> None:
    desk = Desk()
    written: list[dict[str, Any]] = [
        {"order": 7},
        {"order": "7"},
        {"order": 7.0, "cents": "5"},
        {"order": 8, "cents": 6},
    ]
    steps = [*(call("refund", **args) for args in written), "done"]
    single.build(says("clerk", *steps, tools=[desk.refund])).compile(name="g").invoke({"task": "t"})
    assert desk.done == [(7, 5), (8, 6)]


def test_the_record_of_an_edit_holds_what_was_agreed_to(tmp_path: Path) -> None:
    digests = {}
    for decision, args in (("approve", None), ("edit", {"table": "b", "dry_run": "false"})):
        desk = Desk()
        clerk = says("clerk", call("wipe", table="a", dry_run=False), "done", tools=[desk.wipe])
        with open_persistence(tmp_path / f"{decision}.db") as persistence:
            graph = single.build(clerk).compile(name="g")
            start(graph, persistence, "t", thread="t")
            answer(graph, persistence, "t", decision, args=args)
            (record,) = [one for one in persistence.trail.records() if one.kind == "approval"]
        digests[decision] = (record.outcome, record.arguments)
        assert desk.done == [("b" if args else "a", False)]
    assert digests["edit"] == ("edit", digest_of({"table": "b", "dry_run": False}))
    assert digests["approve"] == ("approve", digest_of({"table": "a", "dry_run": False}))


def test_calls_of_a_server_that_numbers_each_answer_from_zero_are_told_apart(tmp_path: Path) -> None:
    def numbered(*names: str) -> AIMessage:
        asked: list[Any] = [{"name": name, "args": {"order": 1}, "id": "call_0"} for name in names]
        return AIMessage("", tool_calls=asked)

    desk = Desk()
    steps = [numbered("refund"), numbered("wipe", "refund"), "done"]
    clerk = says("clerk", *steps, tools=[desk.refund, desk.wipe], policy=Policy(deny=("refund", "wipe")))
    with open_persistence(tmp_path / "runs.db") as persistence:
        start(single.build(clerk).compile(name="g"), persistence, "t", thread="t")
        denied = [one.subject for one in persistence.trail.records() if one.kind == "denial"]
    assert denied == ["refund", "wipe", "refund"]
