"""Triage: which desk a message is for, by rules.

The embedded engine finds and quotes, but does not tell a question about a policy from a wish about an order. Where it stands in
for a language model these rules choose the desk, and say that they did; a language model chooses by itself.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence

from nodes.models import ENGINE_LABEL, describe_model
from nodes.spec import Agent, AnyAgent
from nodes.support.mood import orders_in
from state.context import Context
from state.envelope import Envelope
from tools.shop.shop import money

_MONEY_BACK = re.compile(
    r"\b(?:refund\w*|reimburse\w*|money back|pay(?:ments?)? (?:me )?back|paid|payments?|charged|credit me|compensat\w+)\b",
    re.IGNORECASE,
)
_OWN = re.compile(
    r"\b(?:where (?:is|are)|track|status of|when (?:will|does|do|is)|cancel|show|list|what|which)\b[^.?!]{0,30}"
    r"\b(?:my (?:orders?|parcels?|packages?|deliver(?:y|ies))|orders? (?:do )?i)\b",
    re.IGNORECASE,
)
_AMOUNT = re.compile(r"\d+[.,]\d{2}\b|\d+\s*(?:EUR\b|€|euros?\b)|(?:EUR|€)\s*\d+", re.IGNORECASE)
_ASKS = re.compile(r"\?\s*$|^\W*(?:what|how|when|which|who|can|could|do|does|is|are|may)\b", re.IGNORECASE)


def is_engine(agent: AnyAgent, context: Context) -> bool:
    """Whether the embedded engine answers for an agent."""
    return isinstance(agent, Agent) and describe_model(agent.model or context.model) == ENGINE_LABEL


def desk_for(text: str, desks: Sequence[str]) -> str:
    """Return the desk that a message is for; empty when it stays where it is.

    Args:
        text: Of the customer.
        desks: Names of the frontline, the order desk and the refunds desk, in this order.
    """
    frontline, orders, refunds = desks
    numbered = bool(orders_in(text))
    if numbered and _MONEY_BACK.search(text):
        return refunds
    if numbered or _OWN.search(text):
        return orders
    return frontline if _ASKS.search(text) else ""


def transfer_by_rule(name: str, to: str) -> Callable[[Envelope], Awaitable[dict[str, str]]]:
    """Return what stands in for a desk that hands over by rule.

    Args:
        name: Of the desk.
        to: Whom it hands over to.
    """

    async def transfer(envelope: Envelope) -> dict[str, str]:  # noqa: ARG001  # what a function that is an agent takes
        return {"transfer_to": to}

    transfer.__name__ = name
    return transfer


def spelled_out(text: str, left: Mapping[int, int]) -> str:
    """Return a message with what it leaves to be understood: the whole amount, what there is to refund, all orders.

    Args:
        text: Of the customer.
        left: By order, the cents that can be refunded.
    """
    named = [order for order in orders_in(text) if order in left]
    if len(named) == 1 and _MONEY_BACK.search(text):
        wanted, there = amount_in(text), left[named[0]]
        if wanted is not None and wanted <= there:
            return text
        if wanted is None and there:
            return f"{text.rstrip()} (The whole amount: {money(there)}.)"
        return f"{text.rstrip()} Show the payments for order {named[0]}."
    if not named and not orders_in(text) and _OWN.search(text):
        return f"{text.rstrip()} List all orders."
    return text


def amount_in(text: str) -> int | None:
    """Return the amount of money that a text names, in cents."""
    found = _AMOUNT.search(text)
    number = found and re.search(r"\d+(?:[.,]\d{1,2})?", found[0])
    return round(float(number[0].replace(",", ".")) * 100) if number else None
