"""Budgets: limits declared as data, and the account that keeps every call within them.

Amounts are reserved before a call and settled after it, in the account of the agent and in every account above it, all or
nothing. So no interleaving of parallel agents can spend more than a cap, as long as a provider honours `max_tokens`.
"""

from __future__ import annotations

import asyncio
import math
import threading
import time
from contextlib import suppress
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from state.errors import BudgetExceeded
from state.outcome import Usage

Limit = Literal["model_calls", "tool_calls", "tokens", "seconds", "usd"]

_books = threading.Lock()
charged: ContextVar[Account | None] = ContextVar("orchestra_charged", default=None)
"""The account of the agent step that is in progress here."""


class Budget(BaseModel):
    """Limits of an agent step or of a run. None means no limit."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    model_calls: int | None = Field(default=None, ge=0, description="Calls of a model, counting failed attempts.")
    tool_calls: int | None = Field(default=None, ge=0, description="Calls of tools.")
    tokens: int | None = Field(default=None, ge=0, description="Tokens in and out together.")
    seconds: float | None = Field(default=None, ge=0, description="Wall time from the start, in seconds.")
    usd: float | None = Field(
        default=None, ge=0, description="Money, in US dollars. Calls of unknown price are not counted."
    )


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

    One lock guards the books of all accounts, so that runs on several event loops can share one. Waiting for another call's
    settlement happens outside of it, and everything is looked at again afterwards.

    Args:
        owner: Whose budget it is, for messages.
        budget: The limits.
        parent: Account of what is around it; what is spent here is spent there too.
        waits: Whether a call may wait for others to settle. False where those others stand still meanwhile.
        started: When the time limit began to run, on the monotonic clock.
    """

    owner: str
    budget: Budget = field(default_factory=Budget)
    parent: Account | None = None
    waits: bool = True
    started: float = field(default_factory=time.monotonic)
    spent: Amount = Amount()
    reserved: Amount = Amount()
    _waiting: dict[asyncio.Event, asyncio.AbstractEventLoop] = field(default_factory=dict, repr=False)

    def lineage(self) -> list[Account]:
        """Return this account and those above it, nearest first."""
        return [self, *(self.parent.lineage() if self.parent else ())]

    def remaining(self, limit: Limit) -> float:
        """Return what is left of a limit, the tightest along the lineage; infinity when there is none."""
        if limit == "seconds":
            left = self.seconds_left()
            return math.inf if left is None else left
        return min(account._left(limit) for account in self.lineage())

    def room(self, limit: Literal["tokens", "usd"]) -> float | None:
        """Return what may still be reserved of a limit, the tightest along the lineage; None when there is no limit."""
        least = min(account._left(limit) for account in self.lineage())
        return None if least == math.inf else max(0, least)

    def exhausted(self, limit: Literal["tokens", "usd"]) -> BudgetExceeded:
        """Return the error that names the budget along the lineage which leaves least of a limit."""
        account = min(self.lineage(), key=lambda one: one._left(limit))
        cap = getattr(account.budget, limit) or 0
        return BudgetExceeded(limit, cap=cap, spent=cap - account._left(limit), owner=account.owner)

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
        with _books:
            for account in self.lineage():
                if refusal := account._refusal(amount, account.reserved):
                    raise refusal
            self._hold(amount)

    async def reserve_when_free(self, amount: Amount) -> None:
        """Reserve, waiting while calls in flight hold what this one needs; those that came first are looked at first.

        Ends: every call in flight settles within its timeout, and what does not fit without them is refused.

        Raises:
            BudgetExceeded: The amount does not fit even after every call in flight has settled.
        """
        while True:
            with _books:
                short = self._short_of(amount)
                if short is None:
                    return self._hold(amount)
                settled = asyncio.Event()
                short._waiting[settled] = asyncio.get_running_loop()
            try:
                await settled.wait()
            finally:
                short._waiting.pop(settled, None)

    def settle(self, reserved: Amount, spent: Amount) -> None:
        """Release a reservation and book what was really spent, along the whole lineage."""
        with _books:
            for account in self.lineage():
                account.reserved = _plus(account.reserved, reserved, sign=-1)
                account.spent = _plus(account.spent, spent)
                waiting, account._waiting = account._waiting, {}
                for settled, loop in waiting.items():
                    with suppress(RuntimeError):  # the loop has been closed, and nobody waits there
                        loop.call_soon_threadsafe(settled.set)

    def adopt(self, usage: Usage) -> None:
        """Book what an earlier process of the same turn spent, so that a resumed run keeps its budget."""
        tokens = usage["input_tokens"] + usage["output_tokens"]
        self.settle(Amount(), Amount(usage["model_calls"], usage["tool_calls"], tokens, usage["usd"] or 0.0))

    def _left(self, limit: str) -> float:
        cap: float | None = getattr(self.budget, limit)
        return math.inf if cap is None else cap - getattr(self.spent, limit) - getattr(self.reserved, limit)

    def _hold(self, amount: Amount) -> None:
        for account in self.lineage():
            account.reserved = _plus(account.reserved, amount)

    def _short_of(self, amount: Amount) -> Account | None:
        """Return the first account that has no room until a call in flight settles, or None when all have.

        Only that account's settlements can help, so it is the one to wait for.
        """
        short: Account | None = None
        patient = all(account.waits for account in self.lineage())
        for account in self.lineage():
            refusal = account._refusal(amount, account.reserved)
            if refusal and (not patient or account._refusal(amount, Amount())):
                raise refusal
            if refusal and short is None:
                short = account
        return short

    def _refusal(self, amount: Amount, reserved: Amount) -> BudgetExceeded | None:
        for limit in ("model_calls", "tool_calls", "tokens", "usd"):
            cap, needed = getattr(self.budget, limit), getattr(amount, limit)
            if cap is None or not needed:
                continue
            used = getattr(self.spent, limit) + getattr(reserved, limit)
            if round(used + needed, 12) > cap:
                more = needed if limit in ("tokens", "usd") else 0.0
                return BudgetExceeded(limit, cap=cap, spent=used, owner=self.owner, needed=more)
        seconds, passed = self.budget.seconds, time.monotonic() - self.started
        if seconds is not None and passed >= seconds:
            return BudgetExceeded("seconds", cap=seconds, spent=round(passed, 3), owner=self.owner)
        return None


def charged_here(account: Account) -> Account:
    """Return what pays for work begun here: the account of the step in progress, where it is below the one given."""
    here = charged.get()
    return here if here is not None and any(one is account for one in here.lineage()) else account


def _plus(first: Amount, second: Amount, *, sign: int = 1) -> Amount:
    return Amount(
        first.model_calls + sign * second.model_calls,
        first.tool_calls + sign * second.tool_calls,
        first.tokens + sign * second.tokens,
        round(first.usd + sign * second.usd, 12),
    )
