"""Budgets: limits declared as data, and the account that keeps every call within them.

Amounts are reserved before a call and settled after it, in the account of the agent and in every account above it, all or
nothing. So no interleaving of parallel agents can spend more than a cap, as long as a provider honours `max_tokens`.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from state.errors import BudgetExceeded
from state.outcome import Usage

Limit = Literal["model_calls", "tool_calls", "tokens", "seconds", "usd"]


class Budget(BaseModel):
    """Limits of an agent step or of a run. None means no limit."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    model_calls: int | None = Field(default=None, ge=0, description="Calls of a model, counting failed attempts.")
    tool_calls: int | None = Field(default=None, ge=0, description="Calls of tools.")
    tokens: int | None = Field(default=None, ge=0, description="Tokens in and out together.")
    seconds: float | None = Field(default=None, ge=0, description="Wall time from the start, in seconds.")
    usd: float | None = Field(default=None, ge=0, description="Money, in US dollars. Calls of unknown price are not counted.")


@dataclass(frozen=True)
class Amount:
    """What a call needs, or what it took."""

    model_calls: int = 0
    tool_calls: int = 0
    tokens: int = 0
    usd: float = 0.0


@dataclass
class Account:
    """What is left of one budget, and of every budget above it.

    Reservations happen without a suspension point on one event loop, so no lock is needed; waiting for another call's
    settlement is a suspension, after which everything is looked at again.
    """

    owner: str
    budget: Budget = field(default_factory=Budget)
    parent: Account | None = None
    started: float = field(default_factory=time.monotonic)
    spent: Amount = Amount()
    reserved: Amount = Amount()
    _settled: asyncio.Event = field(default_factory=asyncio.Event, repr=False)

    def lineage(self) -> list[Account]:
        """Return this account and those above it, nearest first."""
        return [self, *(self.parent.lineage() if self.parent else ())]

    def room(self, limit: Literal["tokens", "usd"]) -> float | None:
        """Return what may still be reserved of a limit, the tightest along the lineage; None when there is no limit."""
        rooms = [
            cap - getattr(account.spent, limit) - getattr(account.reserved, limit)
            for account in self.lineage()
            if (cap := getattr(account.budget, limit)) is not None
        ]
        return max(0, min(rooms)) if rooms else None

    def seconds_left(self) -> float | None:
        """Return the seconds until the first time limit along the lineage, or None when there is none."""
        now = time.monotonic()
        left = [a.budget.seconds - (now - a.started) for a in self.lineage() if a.budget.seconds is not None]
        return min(left) if left else None

    def reserve(self, amount: Amount) -> None:
        """Set an amount aside in every account of the lineage, or in none.

        Raises:
            BudgetExceeded: Names the first limit that would be passed; nothing was reserved.
        """
        for account in self.lineage():
            account._check(amount)
        for account in self.lineage():
            account.reserved = _plus(account.reserved, amount)

    async def reserve_when_free(self, amount: Amount) -> None:
        """Reserve, waiting while calls in flight hold what this one needs.

        Ends: every call in flight settles within its timeout, and a reservation is refused when nothing is in flight.

        Raises:
            BudgetExceeded: The amount does not fit even after every call in flight has settled.
        """
        while True:
            try:
                return self.reserve(amount)
            except BudgetExceeded:
                holders = [a for a in self.lineage() if a._blocked_only_by_reservations(amount)]
                if not holders:
                    raise
                await holders[0]._settled.wait()

    def settle(self, reserved: Amount, spent: Amount) -> None:
        """Release a reservation and book what was really spent, along the whole lineage."""
        for account in self.lineage():
            account.reserved = _plus(account.reserved, reserved, sign=-1)
            account.spent = _plus(account.spent, spent)
            account._settled.set()
            account._settled = asyncio.Event()

    @property
    def untouched(self) -> bool:
        """Whether nothing was spent or reserved here yet."""
        return self.spent == Amount() == self.reserved

    def adopt(self, usage: Usage) -> None:
        """Book what an earlier process of the same turn spent, so that a resumed run keeps its budget."""
        tokens = usage["input_tokens"] + usage["output_tokens"]
        self.spent = Amount(usage["model_calls"], usage["tool_calls"], tokens, usage["usd"] or 0.0)

    def _check(self, amount: Amount) -> None:
        for limit in ("model_calls", "tool_calls", "tokens", "usd"):
            cap, needed = getattr(self.budget, limit), getattr(amount, limit)
            if cap is None or not needed:
                continue
            used = getattr(self.spent, limit) + getattr(self.reserved, limit)
            if used + needed > cap:
                raise BudgetExceeded(limit, cap=cap, spent=used, owner=self.owner)
        seconds, passed = self.budget.seconds, time.monotonic() - self.started
        if seconds is not None and passed >= seconds:
            raise BudgetExceeded("seconds", cap=seconds, spent=round(passed, 3), owner=self.owner)

    def _blocked_only_by_reservations(self, amount: Amount) -> bool:
        if self.reserved == Amount():
            return False
        held, self.reserved = self.reserved, Amount()
        try:
            self._check(amount)
        except BudgetExceeded:
            return False
        finally:
            self.reserved = held
        return True


def _plus(first: Amount, second: Amount, *, sign: int = 1) -> Amount:
    return Amount(
        first.model_calls + sign * second.model_calls,
        first.tool_calls + sign * second.tool_calls,
        first.tokens + sign * second.tokens,
        round(first.usd + sign * second.usd, 12),
    )
