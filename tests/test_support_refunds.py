"""Refunds of the support desk: within what was paid, above the limit with a person's word, and once whatever is killed."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from typing import Any

import pytest
from langchain_core.tools import ToolException

from state.errors import InvalidAnswer
from support_desk import (
    TO_REFUNDS,
    asked,
    at,
    decide,
    desk,
    opened_shop,
    refund,
    refunds,
    say,
    script,
    tool,
)
from tools.effects import carrying_out
from tools.shop.desks import cents_of
from tools.shop.shop import Shop


@pytest.fixture
def shop() -> Iterator[Shop]:
    with opened_shop() as opened:
        yield opened


# Within what was paid, above the limit with a person's word


def test_a_refund_takes_from_one_payment_after_the_other(shop: Shop) -> None:
    graph = desk(refund_limit=1000)
    with script(frontline=[TO_REFUNDS], refunds_desk=[refund(150), "Done."]) as model:
        say(graph, "It is broken.", model)
    assert refunds() == [(6, 10000), (7, 5000)]


def test_more_than_was_paid_is_refused_without_asking_anybody(shop: Shop) -> None:
    with script(frontline=[TO_REFUNDS], refunds_desk=[refund(500), "That is too much."]) as model:
        assert say(desk(), "I want 500 EUR.", model)["answer"] == "That is too much."
    assert refunds() == []
    refusal = model.requests[-1].messages[-1].text
    assert "500.00 EUR cannot be refunded" in refusal
    assert "189.00 EUR can be refunded" in refusal


@pytest.mark.parametrize(
    ("decision", "paid", "told"),
    [
        ({"type": "approve"}, [(6, 10000), (7, 2000)], "120.00 EUR has been refunded"),
        ({"type": "reject", "message": "No photo."}, [], "No photo."),
        ({"type": "respond", "message": "Ask for a photo first."}, [], "Ask for a photo first."),
        (
            {
                "type": "edit",
                "edited_action": {"name": "refund_order", "args": {"order": 1006, "amount": 80, "reason": "x"}},
            },
            [(6, 8000)],
            "80.00 EUR has been refunded",
        ),
        (
            {
                "type": "edit",
                "edited_action": {"name": "refund_order", "args": {"order": 1006, "amount": 40, "reason": "x"}},
            },
            [(6, 4000)],
            "40.00 EUR has been refunded",
        ),
    ],
)
def test_a_big_refund_waits_for_a_person_and_follows_their_decision(
    shop: Shop, decision: dict[str, Any], paid: list[Any], told: str
) -> None:
    graph = desk()
    with script(frontline=[TO_REFUNDS], refunds_desk=[refund(120), "So it is."]) as model:
        say(graph, "The bookshelf is broken.", model)
        assert asked(graph)["name"] == "refund_order"
        assert refunds() == []
        assert decide(graph, model, **decision)["answer"] == "So it is."
    assert refunds() == paid
    assert told in model.requests[-1].messages[-1].text


def test_an_edit_that_the_tool_does_not_take_is_refused_and_the_request_stays(shop: Shop) -> None:
    graph, model = desk(), script(frontline=[TO_REFUNDS], refunds_desk=[refund(120), "Done."])
    say(graph, "It is broken.", model)
    edited = {"name": "refund_order", "args": {"order": 1006, "amount": -5, "reason": "x"}}
    with pytest.raises(InvalidAnswer, match="amount"):
        decide(graph, model, type="edit", edited_action=edited)
    assert refunds() == []
    decide(graph, model, type="approve")
    assert sum(cents for _, cents in refunds()) == 12000


def test_small_refunds_cannot_pass_the_limit_in_pieces(shop: Shop) -> None:
    graph = desk()
    desk_says = [refund(30), refund(30.01), "That was all I can do.", refund(20.01), "Done."]
    with script(frontline=[TO_REFUNDS], refunds_desk=desk_says) as model:
        assert say(graph, "A scratch, and another.", model)["answer"] == "That was all I can do."
        assert refunds() == [(6, 3000)]
        say(graph, "And one more.", model)  # counted with those of earlier turns, so a person is asked
        assert asked(graph)["args"]["amount"] == 20.01
        decide(graph, model, type="approve")
    assert refunds() == [(6, 3000), (6, 2001)]


def test_the_same_refund_asked_for_twice_in_a_turn_is_paid_once_and_in_the_next_turn_again(shop: Shop) -> None:
    graph = desk()
    with script(
        frontline=[TO_REFUNDS], refunds_desk=[refund(10), refund(10.0), "Done.", refund(10), "Again."]
    ) as model:
        say(graph, "A scratch.", model)
        assert refunds() == [(6, 1000)]
        say(graph, "Another scratch.", model)
    assert refunds() == [(6, 1000), (6, 1000)]


@pytest.mark.parametrize("amount", [0, -1, 1.005, "nan", "inf", 1e12, "ten", None])
def test_what_is_no_amount_of_money_is_refused(amount: Any) -> None:
    with pytest.raises(ToolException, match="Expected an amount"):
        cents_of(amount)


@pytest.mark.parametrize(("amount", "cents"), [(12.5, 1250), (0.07, 7), (19.99, 1999), (100, 10000), ("3.10", 310)])
def test_amounts_are_exact_to_the_cent(amount: Any, cents: int) -> None:
    assert cents_of(amount) == cents


# Killed, raced, taken up again

PROGRAM = """
import os, sys
from langgraph.types import Command
from graphs.teams import support
from nodes import ScriptedChatModel
from nodes.scripted import call
from state import Context, open_persistence
import orchestra, tools.shop.desks
from state.labels import without_lines

async def reader(task: str) -> dict:
    return {"score": 1.0, "issues": []}

def refund(amount):
    return call("refund_order", order=1006, amount=amount, reason="It was damaged.")

def context(**by_agent):
    return Context(model=ScriptedChatModel(by_agent=by_agent))

graph = support.build(shop="shop.db", customer="ada@example.com", quality=reader).compile(name="support")
place = open_persistence("sqlite:///runs.db")
TO_REFUNDS = call("transfer_to_refunds_desk", reason="Money back.")
THREAD = {"configurable": {"thread_id": "t"}}
"""


def process(program: str, *words: str) -> subprocess.Popen[str]:
    """Start a process that begins with `PROGRAM`."""
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", PROGRAM + textwrap.dedent(program), *words]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, env=env, stdin=pipe, stdout=pipe, stderr=pipe, text=True)


def done(program: str, *words: str, code: int = 0) -> str:
    started = process(program, *words)
    out, err = started.communicate(timeout=120)
    assert started.returncode == code, err
    return out


KILLED_AFTER_REFUND = """
once = tools.shop.desks.once
def kill(database, work):
    once(database, work)
    os._exit(9)
tools.shop.desks.once = kill
"""
GO_ON = """
with place:
    result = orchestra.resume(graph, place, "t", context=context(refunds_desk=["Done."]))
    print(result.status, result.answer)
"""


def test_a_kill_between_refund_and_checkpoint_refunds_once(shop: Shop) -> None:
    program = """
    told = context(frontline=[TO_REFUNDS], refunds_desk=[refund(25)])
    orchestra.start(graph, place, "Scratched.", thread="t", context=told)
    """
    done(KILLED_AFTER_REFUND + textwrap.dedent(program), code=9)
    assert refunds() == [(6, 2500)]
    assert done(GO_ON) == "completed Done.\n"
    assert refunds() == [(6, 2500)]


@pytest.mark.parametrize(
    "going_on",
    [
        'graph.copy({"checkpointer": place.checkpointer}).invoke(None, THREAD, context=told)["answer"]',
        'orchestra.answer(graph, place, "t", "approve", context=told).answer',
        'orchestra.answer(graph, place, "t", "reject", context=told).answer',
    ],
    ids=["taken up again", "approved a second time", "rejected too late"],
)
def test_a_kill_right_after_an_approved_refund_refunds_once(shop: Shop, going_on: str) -> None:
    begin = """
    with place:
        told = context(frontline=[TO_REFUNDS], refunds_desk=[refund(120)])
        print(orchestra.start(graph, place, "Broken.", thread="t", context=told).status)
    """
    assert done(begin) == "waiting\n"
    done(
        KILLED_AFTER_REFUND + 'orchestra.answer(graph, place, "t", "approve", context=context(refunds_desk=[]))', code=9
    )
    assert refunds() == [(6, 10000), (7, 2000)]
    go_on = f"""
    with place:
        told = context(refunds_desk=["Done."])
        print({going_on})
        print(without_lines(told.model.requests[-1].messages[-1].text))
    """
    assert done(go_on) == "Done.\n120.00 EUR has been refunded for order 1006.\n"
    assert refunds() == [(6, 10000), (7, 2000)]


def test_of_two_people_who_answer_at_once_one_wins_and_the_refund_is_paid_once(shop: Shop) -> None:
    begin = """
    with place:
        told = context(frontline=[TO_REFUNDS], refunds_desk=[refund(120)])
        request, = orchestra.start(graph, place, "Broken.", thread="t", context=told).interrupts
        print(request.id)
    """
    request = done(begin).strip()
    decide = """
    with place:
        place.thread("t")
        print("ready", flush=True)
        sys.stdin.readline()
        try:
            told = context(refunds_desk=["Done."])
            print(orchestra.answer(graph, place, "t", "approve", request=sys.argv[1], context=told).status)
        except Exception as error:
            print(type(error).__name__)
    """
    people = [process(decide, request) for _ in range(2)]
    for one in people:
        assert one.stdout is not None
        assert one.stdout.readline() == "ready\n"
    for one in people:
        assert one.stdin is not None
        one.stdin.write("go\n")
        one.stdin.flush()
    said = sorted(one.communicate(timeout=120)[0].strip() for one in people)
    assert said[1] == "completed"
    assert said[0] in ("ThreadBusy", "UnknownRequest")
    assert refunds() == [(6, 10000), (7, 2000)]


def test_a_refund_carried_out_again_under_the_same_key_changes_nothing(shop: Shop) -> None:
    args = {"order": 1006, "amount": 30, "reason": "x"}
    with at(shop), carrying_out("key"):
        first = tool("refund_order").invoke(args)
        assert tool("refund_order").invoke(args) == first
    assert refunds() == [(6, 3000)]
