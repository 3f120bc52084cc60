"""Effects as they are kept: an intent before a tool changes the world, and what it gave after."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, Protocol


@dataclass(frozen=True)
class Intent:
    """A change of the world that is about to be made.

    Args:
        thread: Thread of the run; empty without a checkpointer.
        turn: Turn of the thread.
        effect: What tells it from the other effects of the turn, whoever makes it and however often it is tried.
        tool: Name of the tool.
        arguments: Of the call.
    """

    thread: str
    turn: str
    effect: str
    tool: str
    arguments: Mapping[str, Any]

    @property
    def name(self) -> tuple[str, str, str]:
        """What it is found by."""
        return self.thread, self.turn, self.effect

    @property
    def key(self) -> str:
        """What other systems may know it by: the same at every try, different for every other effect."""
        return hashlib.sha256("\x00".join(self.name).encode("utf-8", "replace")).hexdigest()[:32]


class Entry(NamedTuple):
    """What is known of an effect that was begun."""

    key: str
    status: Literal["intent", "done"]
    allowed: int
    """How often a person has allowed it to be carried out again while it was in doubt."""
    result: Any
    """What the tool gave, plain JSON, when it is done."""
    at: float
    """When it was begun: seconds since 1970, UTC."""


class Effects(Protocol):
    """Where effects are written down."""

    def find(self, intent: Intent) -> Entry | None:
        """Return what is known of an effect, or None if it was never begun."""
        ...

    def begin(self, intent: Intent) -> Entry | None:
        """Write down that an effect is about to be carried out; return what is known of it if it was begun before."""
        ...

    def settle(self, intent: Intent, result: Any) -> None:
        """Write down that an effect has happened, and what its tool gave."""
        ...

    def allow(self, intent: Intent, times: int) -> None:
        """Write down how often a person has allowed an effect in doubt to be carried out again."""
        ...

    def drop(self, intent: Intent) -> None:
        """Forget an effect that was begun and did not happen."""
        ...


class MemoryLedger:
    """A ledger that ends with the process: for runs without a checkpointer, and for checkpointers in memory."""

    def __init__(self) -> None:
        self._entries: dict[tuple[str, str, str], Entry] = {}

    def find(self, intent: Intent) -> Entry | None:
        """Return what is known of an effect, or None if it was never begun."""
        return self._entries.get(intent.name)

    def begin(self, intent: Intent) -> Entry | None:
        """Write down that an effect is about to be carried out; return what is known of it if it was begun before."""
        entry = Entry(intent.key, "intent", 0, None, time.time())
        known = self._entries.setdefault(intent.name, entry)
        return None if known is entry else known

    def settle(self, intent: Intent, result: Any) -> None:
        """Write down that an effect has happened, and what its tool gave."""
        self._entries[intent.name] = self._entries[intent.name]._replace(status="done", result=result)

    def allow(self, intent: Intent, times: int) -> None:
        """Write down how often a person has allowed an effect in doubt to be carried out again."""
        self._entries[intent.name] = self._entries[intent.name]._replace(allowed=times)

    def drop(self, intent: Intent) -> None:
        """Forget an effect that was begun and did not happen."""
        self._entries.pop(intent.name, None)
