"""The support desk: what it says is worth little, so these tests look at the rows of the shop."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from graphs.teams import support
from nodes import Agent, ScriptedChatModel
from nodes.scripted import call
from nodes.support import quality
from nodes.support.quality import TurnScore
from state import ConfigurationError, Context
from support_desk import (
    ADA,
    THREAD,
    TO_ORDERS,
    TO_REFUNDS,
    asked,
    decide,
    desk,
    opened_shop,
    refund,
    refunds,
    rows,
    say,
    script,
)
from tools.shop.example import example_folder, example_shop
from tools.shop.shop import Shop, open_shop


@pytest.fixture
def shop() -> Iterator[Shop]:
    with opened_shop() as opened:
        yield opened


# Conversations


def test_the_frontline_answers_about_policies_without_asking_who_it_talks_to(shop: Shop) -> None:
    result = say(desk(None), "How long can I return something?")
    assert "within 30 days of delivery" in result["answer"]
    assert result["structured"]["path"] == ["frontline"]
    assert rows("SELECT customer_id FROM tickets WHERE thread LIKE 't %'") == [(None,)]


def test_the_policies_are_those_of_the_argument_else_of_the_context(shop: Shop) -> None:
    for name in ("given", "told"):
        Path(name).mkdir()
        (Path(name) / "returns.md").write_text(
            f"# Returns\n\nYou can return {name} things within 77 days of delivery.\n"
        )
    question = {"task": "How long after delivery can I return things?"}
    told = Context(corpus="told")
    assert "return told things" in desk().invoke(question, THREAD, context=told)["answer"]
    assert "return given things" in desk(policies="given").invoke(question, THREAD, context=told)["answer"]


def test_a_small_refund_is_paid_back_and_noted_with_the_ticket_of_the_customer(shop: Shop) -> None:
    with script(frontline=[TO_REFUNDS], refunds_desk=[refund(25.5), "Done."]) as model:
        result = say(desk(), "One shelf of order 1006 is scratched.", model)
    assert (result["answer"], result["status"]) == ("Done.", "completed")
    assert result["structured"]["path"] == ["frontline", "refunds_desk"]
    ticket = result["structured"]["ticket"]
    assert rows("SELECT payment_id, ticket_id, cents FROM refunds WHERE id > 1") == [(6, ticket, 2550)]
    assert rows("SELECT customer_id FROM tickets WHERE id = ? AND thread LIKE 't %'", ticket) == [(1,)]


def test_control_stays_with_a_desk_over_turns_and_moves_on_by_handoff(shop: Shop) -> None:
    graph = desk()
    orders = [call("show_order", order=1007), "Not packed yet.", call("cancel_order", order=1007), TO_REFUNDS]
    with script(frontline=[TO_ORDERS], order_desk=orders, refunds_desk=[refund(44, 1007), "All done."]) as model:
        assert say(graph, "Where is 1007?", model)["structured"]["path"] == ["frontline", "order_desk"]
        result = say(graph, "Then cancel it and pay me back.", model)
    assert result["structured"]["path"] == ["order_desk", "refunds_desk"]
    assert rows("SELECT status FROM orders WHERE id = 1007") == [("cancelled",)]
    assert refunds(1007) == [(8, 4400)]


def test_the_embedded_engine_holds_a_whole_conversation(shop: Shop) -> None:
    graph = desk(None)
    assert "five years" in say(graph, "What does the warranty on furniture cover?")["answer"]
    assert "e-mail address" in say(graph, "Where is my order 1003?")["answer"]
    assert "JD0146001003" in say(graph, f"It is {ADA}.")["answer"]
    result = say(graph, "Please refund 20 EUR for order 1001.")
    assert "20.00 EUR has been refunded for order 1001" in result["answer"]
    assert result["structured"]["path"] == ["order_desk", "refunds_desk"]
    say(graph, "I want a refund of 100 EUR for order 1006.")
    assert asked(graph)["args"]["amount"] == 100
    assert "100.00 EUR has been refunded" in decide(graph, type="approve")["answer"]
    assert "cancelled" in say(graph, "Cancel order 1007.")["answer"]
    assert refunds(1001) + refunds() == [(1, 2000), (6, 10000)]
    assert rows("SELECT status FROM orders WHERE id = 1007") == [("cancelled",)]


# Quality


def test_every_turn_is_scored_and_nobody_waits_for_it(shop: Shop) -> None:
    gate = threading.Event()

    def slow(task: str) -> dict[str, Any]:
        """Score turns, when it is allowed to."""
        assert gate.wait(30)
        return {"score": 0.5, "issues": []}

    graph = desk(quality=slow)
    with script(frontline=["One.", "Two."]) as model:
        assert say(graph, "first", model)["answer"] == "One."
        assert say(graph, "second", model)["answer"] == "Two."
    assert rows("SELECT number, score FROM turns ORDER BY number") == [(1, None), (2, None)]
    gate.set()
    assert quality.settle(30)
    assert rows("SELECT number, desk, question, answer, score FROM turns ORDER BY number") == [
        (1, "frontline", "first", "One.", 0.5),
        (2, "frontline", "second", "Two.", 0.5),
    ]


def test_a_turn_that_nobody_scored_is_scored_later_by_whoever_comes_next(shop: Shop) -> None:
    shop.note_turn(1, 1, desk="frontline", question="q", answer="a", status="completed")  # its process died then
    say(desk(), "hello", script(frontline=["Hello."]))
    assert quality.settle(30)
    assert rows("SELECT ticket_id, score, remark FROM turns") == [(1, 0.9, "Too short."), (2, 0.9, "Too short.")]


def test_a_reader_that_fails_does_no_harm_and_is_not_asked_for_ever(shop: Shop) -> None:
    graph = desk(quality=Agent("quality", model=ScriptedChatModel([ValueError("down")] * 9), response_format=TurnScore))
    with script(frontline=["Hello."] * 5) as model:
        for _ in range(5):
            assert say(graph, "hello", model)["status"] == "completed"
            assert quality.settle(30)
    assert rows("SELECT score, readings FROM turns WHERE number = 1") == [(None, quality.TRIES)]


# The shop


def test_the_example_is_copied_on_first_use_and_what_was_done_to_the_copy_stays() -> None:
    before = {path: path.read_bytes() for path in example_folder().rglob("*") if path.is_file()}
    copy = example_shop()
    assert copy == Path(".orchestra/support/shop.db")
    open_shop(copy).set_status(1, "open")
    assert open_shop(example_shop()).customer_of(1) is not None
    assert oct(copy.stat().st_mode)[-3:] == "600"
    with closing(sqlite3.connect(copy)) as database:
        assert database.execute("SELECT status FROM tickets").fetchall() == [("open",)]
    assert {path: path.read_bytes() for path in example_folder().rglob("*") if path.is_file()} == before


def test_processes_that_begin_at_the_same_time_share_one_copy() -> None:
    barrier, made = threading.Barrier(4), []

    def begin() -> None:
        barrier.wait(30)
        made.append(example_shop())

    threads = [threading.Thread(target=begin) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(made) == 4
    assert [path.name for path in Path(".orchestra/support").iterdir()] == ["shop.db"]


def test_a_shop_that_cannot_be_one_is_refused_with_what_it_lacks(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="found none"):
        open_shop("nowhere.db")
    Path("text.db").write_text("not a database, by far not a database " * 50)
    with pytest.raises(ConfigurationError, match="no SQLite database"):
        open_shop("text.db")
    with closing(sqlite3.connect("other.db")) as database:
        database.execute("CREATE TABLE customers (id, email)")
    with pytest.raises(ConfigurationError, match=r"customers: address, name.*refunds"):
        open_shop("other.db")


@pytest.mark.parametrize(
    ("sql", "why"),
    [
        ("INSERT INTO refunds (payment_id, cents, reason) VALUES (1, 5901, 'x')", "cannot exceed"),
        ("INSERT INTO refunds (payment_id, cents, reason) VALUES (4, 2401, 'with the 500 of before')", "cannot exceed"),
        ("INSERT INTO refunds (payment_id, cents, reason) VALUES (1, 0, 'x')", "CHECK"),
        ("INSERT INTO refunds (payment_id, cents, reason) VALUES (99, 1, 'x')", "FOREIGN KEY"),
        ("UPDATE refunds SET cents = 1 WHERE id = 1", "cannot be changed"),
        ("DELETE FROM refunds", "cannot be deleted"),
        ("UPDATE payments SET cents = 499 WHERE id = 4", "cannot be less"),
        ("UPDATE orders SET status = 'cancelled' WHERE id = 1003", "has left"),
        ("UPDATE orders SET address = 'elsewhere, 12345' WHERE id = 1003", "until the order is packed"),
        ("UPDATE orders SET status = 'lost' WHERE id = 1003", "CHECK"),
    ],
)
def test_the_shop_itself_refuses_what_must_never_happen(shop: Shop, sql: str, why: str) -> None:
    with shop.connect() as database, pytest.raises(sqlite3.IntegrityError, match=why):
        database.execute(sql)


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"refund_limit": -1}, "refund_limit"),
        ({"frontline": 3}, "expected an Agent"),
        ({"quality": 3}, "quality"),
        ({"order_desk": Agent("frontline")}, "more than once"),
    ],
)
def test_wrong_arguments_are_refused_before_anything_runs(options: dict[str, Any], why: str) -> None:
    with pytest.raises(ConfigurationError, match=why):
        support.build(**options)
