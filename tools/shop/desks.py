"""The tools of the support desks: each reaches the orders of the one customer who is being served, and of nobody else.

Who that is, is not for a model to say: the node around the desk says it with `serving`, and the tools have no argument for it.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

from langchain_core.tools import BaseTool, StructuredTool, ToolException
from pydantic import BaseModel, Field

from tools.effects import effect, once, requires_approval
from tools.rights import needs
from tools.shop.shop import PAYMENTS, Balance, Customer, Shop, money

STATUS = {
    "placed": "has been placed and is not packed yet",
    "packed": "is packed and waits for the carrier",
    "shipped": "has been shipped",
    "delivered": "has been delivered",
    "cancelled": "has been cancelled",
    "returned": "has come back to us",
}


@dataclass(frozen=True)
class Counter:
    """What a desk has before it: one customer's affairs.

    Args:
        shop: Where they are kept.
        customer: Who is served; None while nobody knows.
        ticket: Of the conversation.
        before: What was paid and refunded for each order when this turn began. A refund's need of approval is judged by it,
            because it does not change while the turn is paused, killed or taken up again.
    """

    shop: Shop
    customer: Customer | None
    ticket: int
    before: Mapping[int, Balance]


_counter: ContextVar[Counter] = ContextVar("orchestra_counter")


@contextmanager
def serving(counter: Counter) -> Iterator[None]:
    """Make a customer the one whose affairs the tools reach within."""
    token = _counter.set(counter)
    try:
        yield
    finally:
        _counter.reset(token)


class _Order(BaseModel):
    order: int = Field(description="Number of the order, such as 1003.")


class _Address(_Order):
    address: str = Field(min_length=10, description="The whole new address, on one line.")


class _Refund(_Order):
    amount: float = Field(gt=0, description="How much to pay back, in EUR, such as 12.50.")
    reason: str = Field(description="Why, in a sentence.")


def create_order_tools() -> list[BaseTool]:
    """Create the tools of the order desk: `list_orders`, `show_order`, `cancel_order`, `change_address`."""
    return [
        _tool(list_orders, None, "List all orders of the customer: number, date, status, articles."),
        _tool(show_order, _Order, "Show where an order of the customer is: status, articles, carrier, delivery date."),
        effect(
            _tool(cancel_order, _Order, "Cancel an order of the customer that has not been shipped yet."),
            key=["order"],
            transactional=True,
        ),
        effect(
            _tool(change_address, _Address, "Change the delivery address of an order that has not been packed yet."),
            transactional=True,
        ),
    ]


def create_refund_tools(limit: int) -> list[BaseTool]:
    """Create the tools of the refunds desk: `show_payments`, `refund_order`.

    Args:
        limit: Cents that the desk may pay back for one order without asking anybody, over all turns together.
    """

    def needs_approval(arguments: Mapping[str, Any]) -> bool:
        cents, before = cents_of(arguments["amount"]), _counter.get().before.get(int(arguments["order"]), Balance(0, 0))
        # What cannot be refunded at all is refused by the tool: nobody is asked about it.
        return cents <= before.left and cents + before.refunded > limit

    def refund_order(order: int, amount: float, reason: str) -> str:
        # A call that needs approval gets here only with it.
        alone = not needs_approval({"order": order, "amount": amount})
        return _refund(order, cents_of(amount), reason, alone=alone, limit=limit)

    refund = _tool(
        refund_order,
        _Refund,
        "Refund money that the customer paid for an order, to the way it was paid. Show the payments first. "
        f"Above {money(limit)} for an order a colleague is asked to approve.",
    )
    refund = effect(refund, key=lambda order, amount, **_: [order, cents_of(amount)], transactional=True)
    return [
        _tool(
            show_payments,
            _Order,
            "Show how much EUR was paid for an order, and how much of it was and can be refunded.",
        ),
        requires_approval(refund, when=needs_approval),
    ]


def list_orders() -> str:
    """List the customer's orders."""
    counter, customer = _served()
    found = counter.shop.orders(customer.id)
    if not found:
        return f"{customer.name} has no orders."
    lines = [
        f"- Order {row['id']} of {row['placed_on']} {STATUS[row['status']]}: {_articles(counter, row['id'])}."
        for row in found
    ]
    return "\n".join([f"{customer.name} has {len(found)} orders:", *lines])


def show_order(order: int) -> str:
    """Show where an order is."""
    try:
        counter, row = _own_order(order)
    except ToolException as error:
        return str(error)  # to look is no failure
    return describe_order(counter.shop, row)


def describe_order(shop: Shop, row: sqlite3.Row) -> str:
    """Say where an order is, in sentences."""
    said = [f"Order {row['id']} of {row['placed_on']} {STATUS[row['status']]}"]
    if row["status"] == "shipped":
        said[0] += f" with {row['carrier'] or 'the carrier'}, tracking number {row['tracking'] or 'not known'}"
        said.append(f"Order {row['id']} is expected to arrive on {row['expected_on'] or 'a day that is not known'}")
    elif row["status"] in ("placed", "packed") and row["expected_on"]:
        said.append(f"Order {row['id']} is expected to arrive on {row['expected_on']}")
    elif row["status"] == "delivered" and row["delivered_on"]:
        said[0] += f" on {row['delivered_on']}"
    articles = ", ".join(f"{item['quantity']} x {item['title']}" for item in shop.items(row["id"]))
    said += [f"It holds {articles}", f"It goes to {row['address']}"]
    return ". ".join(said) + "."


def cancel_order(order: int) -> str:
    """Cancel an order that has not left."""
    counter, row = _own_order(order)
    with counter.shop.connect() as database:

        def cancel() -> str:
            changed = database.execute(
                "UPDATE orders SET status = 'cancelled' WHERE id = ? AND customer_id = ?", (order, row["customer_id"])
            )
            assert changed.rowcount == 1
            return f"Order {order} has been cancelled. What was paid for it can be refunded now."

        return _committed(database, cancel, f"Order {order} {STATUS[row['status']]} and cannot be cancelled any more.")


def change_address(order: int, address: str) -> str:
    """Change where an order goes."""
    counter, row = _own_order(order)
    with counter.shop.connect() as database:

        def change() -> str:
            database.execute(
                "UPDATE orders SET address = ? WHERE id = ? AND customer_id = ?",
                (address.strip(), order, row["customer_id"]),
            )
            return f"Order {order} goes to {address.strip()} now."

        refusal = f"Order {order} {STATUS[row['status']]}, so its address cannot be changed any more."
        return _committed(database, change, refusal)


def show_payments(order: int) -> str:
    """Show what was paid for an order."""
    try:
        counter, _ = _own_order(order)
    except ToolException as error:
        return str(error)
    payments = counter.shop.payments(order)
    balance = Balance(sum(p["cents"] for p in payments), sum(p["refunded"] for p in payments))
    return describe_balance(order, balance)


def describe_balance(order: int, balance: Balance) -> str:
    """Say what was paid for an order, in sentences."""
    paid, refunded = money(balance.paid), money(balance.refunded)
    return f"For order {order} {paid} was paid and {refunded} refunded. {money(balance.left)} can be refunded for order {order}."


def cents_of(amount: Any) -> int:
    """Return an amount in cents.

    Raises:
        ToolException: It is no amount of money.
    """
    try:
        exact = Decimal(str(amount)) * 100
        cents = int(exact)
    except (InvalidOperation, ValueError, OverflowError):
        cents, exact = 0, Decimal(1)
    if cents != exact or not 0 < cents < 10**11:
        raise ToolException(f"Expected an amount in EUR with at most two decimals, such as 12.50, got {amount!r}.")
    return cents


def _refund(order: int, cents: int, reason: str, *, alone: bool, limit: int) -> str:
    """Pay back, from one payment after the other, in one transaction with the key of the effect.

    Args:
        order: Of the customer.
        cents: How much.
        reason: Kept with it.
        alone: Whether nobody was asked. Then all refunds of the order together have to stay within the limit, counted now:
            several small ones in one turn are no way round it.
        limit: In cents.
    """
    counter, _ = _own_order(order)
    with counter.shop.connect() as database:

        def refund() -> str:
            payments = database.execute(PAYMENTS, (order,)).fetchall()
            balance = Balance(sum(p["cents"] for p in payments), sum(p["refunded"] for p in payments))
            if cents > balance.left:
                raise ToolException(f"{money(cents)} cannot be refunded. {describe_balance(order, balance)}")
            if alone and balance.refunded + cents > limit:
                raise ToolException(
                    f"With {money(cents)} more, the refunds of order {order} would pass {money(limit)} in pieces. "
                    "Hand over to a person."
                )
            _pay_back(database, payments, cents, reason, counter.ticket)
            return f"{money(cents)} has been refunded for order {order}."

        return _committed(database, refund, f"{money(cents)} cannot be refunded for order {order}.")


def _pay_back(database: sqlite3.Connection, payments: list[sqlite3.Row], cents: int, reason: str, ticket: int) -> None:
    for payment in payments:
        part = min(cents, payment["cents"] - payment["refunded"])
        if part > 0:
            database.execute(
                "INSERT INTO refunds (payment_id, ticket_id, cents, reason) VALUES (?, ?, ?, ?)",
                (payment["id"], ticket or None, part, reason),
            )
            cents -= part


def _committed(database: sqlite3.Connection, work: Callable[[], str], refusal: str) -> str:
    """Do the work once, with the key of the effect. What the shop's rules refuse becomes a sentence: nothing was changed."""
    try:
        return str(once(database, work))
    except sqlite3.IntegrityError as error:
        raise ToolException(f"{refusal} ({error})") from error


def _served() -> tuple[Counter, Customer]:
    counter = _counter.get(None)
    if counter is None or counter.customer is None:
        raise ToolException("Nobody knows yet who the customer is: ask for the e-mail address of the order.")
    return counter, counter.customer


def _own_order(order: int) -> tuple[Counter, sqlite3.Row]:
    """Return an order of the customer. Somebody else's order is said to be missing, as one that does not exist is."""
    counter, customer = _served()
    row = counter.shop.order(customer.id, order)
    if row is None:
        known = ", ".join(str(each["id"]) for each in counter.shop.orders(customer.id)) or "none"
        raise ToolException(f"{customer.name} has no order {order}. Orders of {customer.name}: {known}.")
    return counter, row


def _articles(counter: Counter, order: int) -> str:
    return ", ".join(f"{item['quantity']} x {item['title']}" for item in counter.shop.items(order))


def _tool(function: Callable[..., str], arguments: type[BaseModel] | None, description: str) -> BaseTool:
    tool = StructuredTool.from_function(
        function, args_schema=arguments, description=description, handle_tool_error=False
    )
    return needs("read")(tool)
