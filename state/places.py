"""Places: how many may work at once, in all and of one owner, the most urgent first."""

from __future__ import annotations

import asyncio
import itertools
from bisect import insort
from collections import Counter
from dataclasses import dataclass, field


@dataclass(order=True)
class _Waiter:
    urgency: float
    """Negated priority, so that the first in order is the most urgent."""
    turn: int
    owner: str = field(compare=False)
    limit: int | None = field(compare=False)
    admitted: asyncio.Future[None] = field(compare=False)


class Places:
    """A number of places on one event loop. A free one goes to the highest priority, among equals to the first that came.

    One whose owner has reached its own limit is passed over, so it keeps nobody waiting who could work.

    Args:
        width: How many there are.
    """

    def __init__(self, width: int) -> None:
        self.width = width
        self._free = width
        self._busy: Counter[str] = Counter()
        self._waiting: list[_Waiter] = []
        self._turns = itertools.count()

    async def take(self, owner: str = "", *, limit: int | None = None, priority: float = 0.0) -> None:
        """Take a place as soon as there is one.

        Args:
            owner: Whose limit counts.
            limit: How many places the owner may hold at once; None means all.
            priority: Higher goes first.
        """
        admitted = asyncio.get_running_loop().create_future()
        waiter = _Waiter(-priority, next(self._turns), owner, limit, admitted)
        insort(self._waiting, waiter)
        asyncio.get_running_loop().call_soon(self._admit)  # all who ask in one turn of the loop are looked at together
        try:
            await admitted
        except asyncio.CancelledError:
            if admitted.done() and not admitted.cancelled():
                self.give_back(owner)
            else:
                self._waiting.remove(waiter)
            raise

    def give_back(self, owner: str = "") -> None:
        """Let somebody else have the place."""
        self._free += 1
        self._busy[owner] -= 1
        self._admit()

    def _admit(self) -> None:
        for waiter in list(self._waiting) if self._free else ():
            if waiter.admitted.cancelled() or (waiter.limit is not None and self._busy[waiter.owner] >= waiter.limit):
                continue  # one that was cancelled takes itself out of the line as soon as it runs
            self._waiting.remove(waiter)
            self._free -= 1
            self._busy[waiter.owner] += 1
            waiter.admitted.set_result(None)
            if not self._free:
                return
