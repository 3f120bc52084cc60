"""Circuit breakers: what fails again and again is left alone for a while, then tried by a single call.

One for each model and each tool of the process, whoever calls it. Libraries for this let all waiting calls through at once when
the time is over; here exactly one goes, and the others are refused until it has come back.
"""

from __future__ import annotations

import threading
import time
import weakref
from dataclasses import dataclass, field
from typing import Any, Literal

from state.errors import CircuitOpen

Change = Literal["opened", "closed"]


@dataclass
class Breaker:
    """Counts failures in a row, and refuses calls while it is open.

    Each call gets a number when it is admitted and gives it back when it ends. One that was admitted before the breaker opened
    tells nothing once it is open: that is for the probe to find out.

    Args:
        name: What it protects, for messages.
    """

    name: str
    failures: int = 0
    opened_at: float | None = None
    """When it opened or its probe failed, on the monotonic clock; None while closed."""
    probing: bool = False
    turns: int = 0
    """How often it opened or let a probe through."""
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def admit(self, reset: float) -> int:
        """Let a call through, or the one probe `reset` seconds after it opened, and return its number.

        Raises:
            CircuitOpen: It is open, or the probe has not come back.
        """
        with self._lock:
            if self.opened_at is None:
                return self.turns
            left = self.opened_at + reset - time.monotonic()
            if left > 0 or self.probing:
                when = f"tried again in {left:.0f} s" if left > 0 else "one call is finding out"
                raise CircuitOpen(f"{self.name} failed {self.failures} times in a row and is left alone; {when}")
            self.probing = True
            self.turns += 1
            return self.turns

    def succeeded(self, number: int) -> Change | None:
        """Note a call that came back well."""
        with self._lock:
            if self._is_late(number):
                return None
            was_open, self.failures, self.opened_at, self.probing = self.opened_at is not None, 0, None, False
            return "closed" if was_open else None

    def failed(self, number: int, most: int) -> Change | None:
        """Note a call that failed: the last of `most` in a row opens, and a failed probe keeps open."""
        with self._lock:
            self.failures += 1
            if self._is_late(number):
                return None
            was_open, self.probing = self.opened_at is not None, False
            if was_open or self.failures >= most:
                self.opened_at = time.monotonic()
                self.turns += 1
            return "opened" if self.opened_at is not None and not was_open else None

    def left(self, number: int) -> None:
        """Note a call that told nothing: it was cancelled, or the caller was at fault."""
        with self._lock:
            if not self._is_late(number):
                self.probing = False

    def _is_late(self, number: int) -> bool:
        return self.opened_at is not None and number != self.turns


_breakers: dict[int, Breaker] = {}
_guard = threading.Lock()


def breaker_of(thing: Any, name: str) -> Breaker:
    """Return the breaker of a model or of a tool's function: the same as long as that object lives."""
    with _guard:
        if id(thing) not in _breakers:
            _breakers[id(thing)] = Breaker(name)
            weakref.finalize(thing, _breakers.pop, id(thing), None)
        return _breakers[id(thing)]


def open_breakers() -> list[Breaker]:
    """Return the breakers of this process that are open."""
    with _guard:
        return [breaker for breaker in _breakers.values() if breaker.opened_at is not None]
