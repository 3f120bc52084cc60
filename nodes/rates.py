"""Rate limits: calls and tokens in any 60 seconds, over the whole process, first come first served.

Each call is given its time when it asks, so waiting needs no lock and no polling, and no window of 60 seconds holds more than the
limit. What a call turned out to take replaces what was expected of it.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from dataclasses import dataclass, field

WINDOW = 60.0
"""Seconds."""


@dataclass(eq=False)
class Slot:
    """A call's place in the window."""

    at: float
    """When it may be made, on the monotonic clock."""
    tokens: int


@dataclass
class Rate:
    """A limit and the calls that count against it.

    Args:
        requests: Calls a minute; None sets no limit.
        tokens: Tokens a minute, in and out together; None sets no limit. A call that is larger alone is made alone.
    """

    requests: int | None
    tokens: int | None
    _slots: deque[Slot] = field(default_factory=deque, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def book(self, tokens: int) -> Slot:
        """Return the earliest place for a call that is expected to take so many tokens."""
        with self._lock:
            now = time.monotonic()
            while self._slots and self._slots[0].at <= now - WINDOW:
                self._slots.popleft()
            slot = Slot(max(now, self._earliest(tokens)), tokens)
            self._slots.append(slot)
            return slot

    def give_back(self, slot: Slot) -> None:
        """Free the place of a call that is not made after all; those that were given theirs keep it."""
        with self._lock:
            if slot in self._slots:
                self._slots.remove(slot)

    def _earliest(self, tokens: int) -> float:
        at = self._slots[-1].at if self._slots else 0.0
        if self.requests is not None and len(self._slots) >= self.requests:
            at = max(at, self._slots[-self.requests].at + WINDOW)
        if self.tokens is not None:
            counted = sum(slot.tokens for slot in self._slots)
            for slot in self._slots:
                if counted + tokens <= self.tokens:
                    break
                counted -= slot.tokens
                at = max(at, slot.at + WINDOW)
        return at


_rates: dict[tuple[str, int | None, int | None], Rate] = {}
_guard = threading.Lock()


def rate_of(owner: str, requests: int | None, tokens: int | None) -> Rate | None:
    """Return the rate that an agent or model shares with all of its name and limits in this process; None without limits."""
    if requests is None and tokens is None:
        return None
    with _guard:
        return _rates.setdefault((owner, requests, tokens), Rate(requests, tokens))


async def until(slot: Slot) -> None:
    """Wait for the time of a place."""
    await asyncio.sleep(max(0.0, slot.at - time.monotonic()))
