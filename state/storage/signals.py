"""Keep what people send to a thread that runs, from whatever process: guidance for its agents, and the wish that it halts.

Guidance belongs to the turn that saw it first, and is read again at every model call of that turn: what a killed process was told
need not be in any agent's messages. Written once for every database: plain SQL. Rows go with their thread.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from langgraph.checkpoint.base import BaseCheckpointSaver

from state.redaction import redact
from state.storage.place import Execute, Place

TABLES = ("orchestra_signals",)

SCHEMA = (
    """CREATE TABLE IF NOT EXISTS orchestra_signals (
        id {counter},
        thread_id TEXT NOT NULL, kind TEXT NOT NULL, turn TEXT NOT NULL,
        agent TEXT NOT NULL, text TEXT NOT NULL, at DOUBLE PRECISION NOT NULL
    )""",
    "CREATE INDEX IF NOT EXISTS orchestra_signals_thread ON orchestra_signals (thread_id, kind, turn)",
    "CREATE INDEX IF NOT EXISTS orchestra_signals_kind ON orchestra_signals (kind, turn)",
)
"""`turn` is empty until the signal was taken: guidance by the turn that is in it then, a halt by the run that stops."""

_INJECT, _HALT, _TAKEN = "inject", "halt", "taken"


class Guidance(NamedTuple):
    """What somebody told the agents of a thread."""

    id: int
    turn: str
    """Turn that saw it first; empty where none has."""
    agent: str
    """Whom it is for; empty for all."""
    text: str


class Halt(NamedTuple):
    """The wish that a thread halts, which no run has taken."""

    id: int
    thread: str
    reason: str


class Signals:
    """The signals to the threads in `place`. Its methods block, and belong on the place's worker."""

    def __init__(self, place: Place) -> None:
        self._place = place

    def inject(self, thread: str, text: str, agent: str) -> int:
        """Keep guidance for the next model calls of a thread, and return its id."""
        return self._add(_INJECT, thread, text, agent)

    def guidance(self, thread: str, turn: str) -> list[Guidance]:
        """Return the guidance that a turn has seen, and that which no turn has, the oldest first."""
        query = (
            "SELECT id, turn, agent, text FROM orchestra_signals "
            "WHERE thread_id = ? AND kind = ? AND turn IN ('', ?) ORDER BY id"
        )
        with self._place.transaction(write=False) as execute:
            return [Guidance(*row) for row in execute(query, (thread, _INJECT, turn))]

    def see(self, seen: Iterable[int], turn: str) -> None:
        """Write down that a turn has seen guidance that none had."""
        with self._place.transaction(write=True) as execute:
            for number in seen:
                _take(execute, number, turn)

    def halt(self, thread: str, reason: str) -> int:
        """Keep the wish that the run of a thread halts, and return its id."""
        return self._add(_HALT, thread, reason, "")

    def halts(self) -> list[Halt]:
        """Return the halts of all threads that no run has taken."""
        query = "SELECT id, thread_id, text FROM orchestra_signals WHERE kind = ? AND turn = '' ORDER BY id"
        with self._place.transaction(write=False) as execute:
            return [Halt(*row) for row in execute(query, (_HALT,))]

    def take(self, halts: Iterable[int]) -> None:
        """Write down that the runs which halts were meant for know of them."""
        with self._place.transaction(write=True) as execute:
            for number in halts:
                _take(execute, number, _TAKEN)

    def is_taken(self, halt: int) -> bool | None:
        """Whether a run has taken a halt; None where one that was just beginning has thrown it away."""
        with self._place.transaction(write=False) as execute:
            rows = execute("SELECT turn FROM orchestra_signals WHERE id = ?", (halt,))
        return bool(rows[0][0]) if rows else None

    def drop(self, halt: int) -> None:
        """Forget a halt."""
        with self._place.transaction(write=True) as execute:
            execute("DELETE FROM orchestra_signals WHERE id = ?", (halt,))

    def clear(self, thread: str) -> None:
        """Forget the halts of a thread whose next run begins: they were meant for another."""
        with self._place.transaction(write=False) as execute:
            stale = execute("SELECT id FROM orchestra_signals WHERE thread_id = ? AND kind = ?", (thread, _HALT))
        for (number,) in stale:
            self.drop(number)

    def _add(self, kind: str, thread: str, text: str, agent: str) -> int:
        insert = "INSERT INTO orchestra_signals (thread_id, kind, turn, agent, text, at) VALUES (?, ?, '', ?, ?, ?)"
        with self._place.transaction(write=True) as execute:
            number: int = execute(f"{insert} RETURNING id", (thread, kind, agent, redact(text), time.time()))[0][0]
        return number


class AsyncSignals:
    """Signals for async code: each method as that of `Signals`, on the worker where it blocks.

    Raises:
        PersistenceError: From every method.
    """

    def __init__(self, place: Place) -> None:
        self.place, self._signals, self._worker = place, Signals(place), place.worker

    async def inject(self, thread: str, text: str, agent: str) -> int:
        """Keep guidance for the next model calls of a thread, and return its id."""
        return await self._worker.run(self._signals.inject, thread, text, agent)

    async def guidance(self, thread: str, turn: str) -> Sequence[Guidance]:
        """Return the guidance that a turn has seen, and that which no turn has, the oldest first."""
        return await self._worker.run(self._signals.guidance, thread, turn)

    async def see(self, seen: Iterable[int], turn: str) -> None:
        """Write down that a turn has seen guidance that none had."""
        await self._worker.run(self._signals.see, seen, turn)

    async def halt(self, thread: str, reason: str) -> int:
        """Keep the wish that the run of a thread halts, and return its id."""
        return await self._worker.run(self._signals.halt, thread, reason)

    async def is_taken(self, halt: int) -> bool | None:
        """Whether a run has taken a halt; None where one that was just beginning has thrown it away."""
        return await self._worker.run(self._signals.is_taken, halt)

    async def drop(self, halt: int) -> None:
        """Forget a halt."""
        await self._worker.run(self._signals.drop, halt)

    async def clear(self, thread: str) -> None:
        """Forget the halts of a thread whose next run begins: they were meant for another."""
        await self._worker.run(self._signals.clear, thread)


def copy_guidance(execute: Execute, thread: str, to: str, turn: str) -> None:
    """Let a fork of a thread know what its agents were told: in the turn that it begins in, and what none has seen.

    Halts are not copied: nobody wished that the fork stops.
    """
    execute(
        "INSERT INTO orchestra_signals (thread_id, kind, turn, agent, text, at) SELECT ?, kind, turn, agent, text, at "
        "FROM orchestra_signals WHERE thread_id = ? AND kind = ? AND turn IN ('', ?) ORDER BY id",
        (to, thread, _INJECT, turn),
    )


def signals_of(saver: BaseCheckpointSaver[Any] | None) -> AsyncSignals | None:
    """Return the signals in the database of one of our savers; None for any other: nobody could send it any."""
    place: Place | None = getattr(saver, "place", None)
    return AsyncSignals(place) if place is not None else None


def _take(execute: Execute, signal: int, by: str) -> None:
    execute("UPDATE orchestra_signals SET turn = ? WHERE id = ? AND turn = ''", (by, signal))
