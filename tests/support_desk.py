"""A support desk over a shop of its own, what is said to it, and the rows that it leaves."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from langchain_core.runnables import RunnableConfig
from langchain_core.tools import BaseTool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.types import Command

from graphs.teams import support
from nodes import ScriptedChatModel
from nodes.scripted import call
from nodes.support import quality
from state import Context
from tools.shop.desks import Counter, create_order_tools, create_refund_tools, serving
from tools.shop.example import create_shop
from tools.shop.shop import Shop, open_shop

THREAD: RunnableConfig = {"configurable": {"thread_id": "t"}}
ADA, GRACE = "ada@example.com", "grace@example.com"
TO_REFUNDS = call("transfer_to_refunds_desk", reason="Money back.")
TO_ORDERS = call("transfer_to_order_desk", reason="An order.")
TO_PERSON = call("transfer_to_person", reason="I cannot decide this.")


async def reader(task: str) -> dict[str, Any]:
    """Score turns."""
    return {"score": 0.9, "issues": ["Too short."]}


def refund(amount: float, order: int = 1006) -> Any:
    return call("refund_order", order=order, amount=amount, reason="It was damaged.")


@contextmanager
def opened_shop() -> Iterator[Shop]:
    """Give a shop of its own, and let no reading outlive the test."""
    create_shop(Path("shop.db"))
    yield open_shop("shop.db")
    assert quality.settle(30)


def rows(sql: str, *params: Any) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect("shop.db")) as database:
        return database.execute(sql, params).fetchall()


def refunds(order: int = 1006) -> list[tuple[int, int]]:
    """Return `(payment, cents)` of the refunds of an order."""
    sql = "SELECT payment_id, r.cents FROM refunds r JOIN payments p ON p.id = payment_id WHERE order_id = ? ORDER BY r.id"
    return rows(sql, order)


def desk(customer: str | None = ADA, *, saver: Any = None, **options: Any) -> Any:
    builder = support.build(shop="shop.db", customer=customer, **{"quality": reader, **options})
    return builder.compile(saver or InMemorySaver(), name="support")


def script(**by_agent: list[Any]) -> ScriptedChatModel:
    return ScriptedChatModel(by_agent=by_agent)


def say(graph: Any, text: str, model: Any = None, **knobs: Any) -> dict[str, Any]:
    result: dict[str, Any] = graph.invoke({"task": text}, THREAD, context=Context(model=model, **knobs))
    return result


def asked(graph: Any) -> dict[str, Any]:
    """Return the action that a person is asked about."""
    (request,) = graph.get_state(THREAD).interrupts
    action: dict[str, Any] = request.value["action_requests"][0]
    return action


def decide(graph: Any, model: Any = None, **decision: Any) -> dict[str, Any]:
    (request,) = graph.get_state(THREAD).interrupts
    answer: Command[str] = Command(resume={request.id: {"decisions": [decision]}})
    result: dict[str, Any] = graph.invoke(answer, THREAD, context=Context(model=model))
    return result


def tool(name: str, limit: int = 5000) -> BaseTool:
    return next(one for one in (*create_order_tools(), *create_refund_tools(limit)) if one.name == name)


def at(shop: Shop, who: str | None = ADA) -> Any:
    customer = shop.find_customer(who) if who else None
    return serving(Counter(shop, customer, 0, shop.balances(customer.id) if customer else {}))
