"""Auditing: the one way in which the layers write down what an agent did, was allowed, was refused or passed on."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any, Protocol
from weakref import WeakKeyDictionary

from state.audit import Draft, Kind, Record, digest_of
from state.chain import MemoryTrail
from state.effects import MemoryLedger
from state.run import Run
from state.storage.audit import AsyncTrail, trail_of

_trails: WeakKeyDictionary[MemoryLedger, MemoryTrail] = WeakKeyDictionary()
"""Trails of runs without a checkpointer: each lives as long as the run's ledger."""


class Doer(Protocol):
    """Whose doing something is: a step, or what stands for one."""

    @property
    def run(self) -> Run:
        """Return the run it is part of."""
        ...

    @property
    def agent(self) -> str:
        """Return the agent's name."""
        ...

    @property
    def id(self) -> str:
        """Return the id of the step's outcome."""
        ...


async def audit(
    step: Doer,
    kind: Kind,
    subject: str,
    outcome: str,
    *,
    key: str = "",
    arguments: Mapping[str, Any] | None = None,
    taint: Iterable[str] = (),
    detail: str = "",
) -> Record:
    """Write a record of a step's run and return it. A node that is entered again writes the same, which changes nothing.

    Args:
        step: Whose doing it is.
        kind: What it is about.
        subject: Name of the tool or the agent that it is about.
        outcome: What became of it, in a word or two.
        key: What tells it from others of its kind in the turn, the same when the node is entered again: the id of the tool call,
            or of the effect. By default the step, the subject and the arguments.
        arguments: Of the call. Only their names and a digest are kept.
        taint: Where what the agent had read came from, when not from inside.
        detail: A short text, such as a reason.

    Raises:
        PersistenceError: It cannot be written; the run stops.
    """
    run, digest = step.run, digest_of(arguments) if arguments is not None else ""
    draft = Draft(
        kind=kind,
        subject=subject,
        outcome=outcome,
        key=key or hashlib.sha256("\x00".join((step.id, subject, digest)).encode("utf-8", "replace")).hexdigest(),
        thread=run.thread,
        turn=run.turn,
        run=run.id,
        agent=step.agent,
        step=step.id,
        arguments=digest,
        names=tuple(arguments or ()),
        taint=tuple(taint),
        detail=detail,
    )
    return await (await trail_in(step)).append(draft)


async def trail_in(step: Doer) -> AsyncTrail:
    """Return the trail of a step's run: in its checkpointer's database, without one in memory."""
    run = step.run
    if run.saver is not None:
        return await trail_of(run.saver)
    return AsyncTrail(_trails.setdefault(run.effects, MemoryTrail()))
