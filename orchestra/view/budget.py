"""What is left of a budget, in figures and as a bar."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from orchestra.view.agents import AgentTree
from orchestra.view.figures import counted, duration, money
from orchestra.view.glyphs import Glyphs
from state.budget import Budget

_CELLS = 10
"""Length of the bar."""


class Spent(NamedTuple):
    """What is used of one limit."""

    part: float
    """Of the limit, from 0; more than 1 where a provider went over it."""
    words: str
    """What is used, of what."""


def spent_of(budget: Budget | None, tree: AgentTree, seconds: float) -> list[Spent]:
    """Return what a run has used of each limit of its budget.

    Args:
        budget: Of the run.
        tree: What has happened in this turn.
        seconds: Since the run began.
    """
    return list(_spent(budget, tree, seconds)) if budget is not None else []


def budget_bar(spent: Sequence[Spent], glyphs: Glyphs) -> str:
    """Return a budget in one line, with a bar for the limit that is nearest; empty without limits."""
    if not spent:
        return ""
    part = max(one.part for one in spent)
    filled = min(_CELLS, round(part * _CELLS))
    bar = glyphs.bar[0] * filled + glyphs.bar[1] * (_CELLS - filled)
    return f" {glyphs.dot} ".join([f"budget {bar} {part:.0%}", *(one.words for one in spent)])


def _spent(budget: Budget, tree: AgentTree, seconds: float) -> Iterator[Spent]:
    rows, (tokens, usd) = tree.rows(), tree.used()
    known = usd if usd is not None else sum(row.usd or 0.0 for row in rows)
    if budget.usd is not None:
        least = "" if usd is not None else "at least "  # calls of unknown price are not held against it
        yield Spent(_part(known, budget.usd), f"{least}{money(known)} of {money(budget.usd)}")
    if budget.tokens is not None:
        yield Spent(_part(tokens, budget.tokens), f"{tokens:,} of {counted(budget.tokens, 'token')}")
    for limit, noun in (("model_calls", "model call"), ("tool_calls", "tool call")):
        cap = getattr(budget, limit)
        if cap is not None:
            used = sum(getattr(row, limit) for row in rows)
            yield Spent(_part(used, cap), f"{used:,} of {counted(cap, noun)}")
    if budget.seconds is not None:
        yield Spent(_part(seconds, budget.seconds), f"{duration(seconds)} of {duration(budget.seconds)}")


def _part(used: float, cap: float) -> float:
    return used / cap if cap else 1.0
