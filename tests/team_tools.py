"""A module of somebody's own, with tools that a team file can name."""

from __future__ import annotations

from langchain_core.tools import tool


def look_up(number: int) -> str:
    """Look a number up."""
    return f"Number {number} is prime."


@tool
def refund(order: int) -> str:
    """Refund an order."""
    return f"Order {order} is refunded."


BOTH: list[object] = [look_up, refund]
NOTHING = 7
