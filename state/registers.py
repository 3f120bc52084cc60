"""Grants as they are kept: what each says, and which were used, so that none is used twice, and which were revoked."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Literal, NamedTuple, Protocol

from state.scopes import Scope

FORGOTTEN_AFTER = 7 * 86_400.0
"""Seconds after which a register may forget an expired grant; more than clocks of two machines differ."""


@dataclass(frozen=True)
class Grant:
    """What one agent lets another do.

    Args:
        id: Identifies it.
        issuer: Who gives it.
        holder: Who may redeem it.
        thread: Thread that it holds for; empty without a checkpointer.
        turn: Turn of the thread.
        scope: What the holder may do.
        depth: How many further delegations may follow below it.
        expires: When it ends.
        chain: Ids of the grants that it was issued under, the first one first.
        token: Its signed form, by which it is believed.
    """

    id: str
    issuer: str
    holder: str
    thread: str
    turn: str
    scope: Scope
    depth: int
    expires: float
    chain: tuple[str, ...] = ()
    token: str = field(default="", repr=False, compare=False)

    @property
    def parent(self) -> str:
        """Id of the grant that it was issued under; empty for the first."""
        return self.chain[-1] if self.chain else ""

    @property
    def lineage(self) -> tuple[str, ...]:
        """Ids of those whose revocation ends it: itself and all above it."""
        return (*self.chain, self.id)


class Known(NamedTuple):
    """What a register knows of a grant."""

    id: str
    parent: str
    thread: str
    turn: str
    issuer: str
    holder: str
    expires: float
    used: float | None
    revoked: float | None
    """When it was revoked itself; see `ended`."""
    ended: bool
    """Whether it or one above it was revoked."""


class Register(Protocol):
    """Where it is kept which grants were used, and which revoked. Methods may be called from many threads and processes."""

    def use(self, grant: Grant, now: float) -> Literal["", "replayed", "revoked"]:
        """Note that a grant is used, at once with finding out that it was not used before and is not revoked."""
        ...

    def revoke(self, grant: str, now: float) -> bool:
        """Note that a grant is revoked, with all below it; return False if it was already."""
        ...

    def is_revoked(self, lineage: Iterable[str]) -> bool:
        """Whether one of these is revoked."""
        ...

    def known(self, thread: str | None = None) -> list[Known]:
        """Return the grants that were used or revoked, the first one used first."""
        ...


class MemoryRegister:
    """A register that ends with the process. It forgets what expired a week ago: that is refused without it."""

    def __init__(self) -> None:
        self._used: dict[str, tuple[Grant, float]] = {}
        self._revoked: dict[str, float] = {}
        self._lock = threading.Lock()

    def use(self, grant: Grant, now: float) -> Literal["", "replayed", "revoked"]:
        """Note that a grant is used, unless it was used before or is revoked."""
        with self._lock:
            if any(one in self._revoked for one in grant.lineage):
                return "revoked"
            if grant.id in self._used:
                return "replayed"
            if len(self._used) % 1_000 == 999:
                self._used = {key: one for key, one in self._used.items() if one[0].expires > now - FORGOTTEN_AFTER}
            self._used[grant.id] = replace(grant, token=""), now
        return ""

    def revoke(self, grant: str, now: float) -> bool:
        """Note that a grant is revoked, with all below it; return False if it was already."""
        with self._lock:
            if grant in self._revoked:
                return False
            self._revoked[grant] = now
        return True

    def is_revoked(self, lineage: Iterable[str]) -> bool:
        """Whether one of these is revoked."""
        with self._lock:
            return any(one in self._revoked for one in lineage)

    def known(self, thread: str | None = None) -> list[Known]:
        """Return the grants that were used, the first one first."""
        with self._lock:
            return [
                Known(
                    *(grant.id, grant.parent, grant.thread, grant.turn, grant.issuer, grant.holder, grant.expires),
                    used=used,
                    revoked=self._revoked.get(grant.id),
                    ended=any(one in self._revoked for one in grant.lineage),
                )
                for grant, used in self._used.values()
                if thread is None or grant.thread == thread
            ]
