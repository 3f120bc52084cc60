"""Control of a thread that may be running anywhere: tell its agents something, or halt it."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from langgraph.checkpoint.base import BaseCheckpointSaver

from nodes.layers.history import readable_text
from orchestra.roster import names_in
from orchestra.thread import bind, config_of, unknown_thread
from state.errors import ConfigurationError
from state.events import Event
from state.loop import run_sync
from state.persistence import Persistence
from state.storage.locks import is_held
from state.storage.signals import AsyncSignals, signals_of

PATIENCE = 10.0
"""Seconds that `halt` waits for a run to notice it; one that is too busy to look does later."""
MAX_TEXT = 20_000
"""Characters of guidance that are kept; the middle of a longer text is cut out. Every model call of the turn carries it."""
_PAUSE = 0.05


async def ainject(graph: Any, persistence: Persistence, thread: str, text: str, *, agent: str | None = None) -> None:
    """Give guidance to the agents of a thread: it reaches their next model call, and is kept until there is one.

    Args:
        graph: The graph that the thread was started with; None where it is not at hand, and names cannot be checked.
        persistence: Where it was started.
        thread: Id; the thread may be running, in any process, paused, or ended: its next turn is told then.
        text: What they are told. It is never taken for a command: to stop a run, `halt` it.
        agent: Name of the agent that is told, or of a team: all of its agents are. All by default.

    Raises:
        ConfigurationError: The text is empty, or the graph has no such agent.
        UnknownThread: There is no such thread.
    """
    if not text.strip():
        raise ConfigurationError("inject: expected what the agents are to be told, got nothing")
    signals, _ = await _signals_of(graph, persistence, thread)
    if agent is not None and graph is not None and agent not in (known := names_in(graph)):
        there = f"it has {', '.join(known)}" if known else "it has none with a model"
        raise ConfigurationError(f"inject: {graph.get_name()!r} has no agent {agent!r}; {there}")
    text = _kept(text)
    await signals.inject(thread, text, agent or "")
    noted = {"note": "injected", "text": text, "to": agent or "all"}
    event = Event(kind="noted", run="", thread=thread, agent="", step="", parent="", seq=0, at=time.time(), data=noted)
    await persistence.arecord([event])


async def ahalt(graph: Any, persistence: Persistence, thread: str, *, reason: str = "") -> bool:
    """Ask the run of a thread to stop at its next boundary, keeping everything; `resume` goes on with it.

    Args:
        graph: The graph that the thread was started with; None where it is not at hand.
        persistence: Where it was started.
        thread: Id; it may be running in any process.
        reason: Kept with the thread.

    Returns:
        Whether there was a run to halt.

    Raises:
        UnknownThread: There is no such thread.
    """
    signals, saver = await _signals_of(graph, persistence, thread)
    until = time.monotonic() + PATIENCE
    asked: int | None = None
    while await is_held(saver, thread):
        taken = await signals.is_taken(asked) if asked is not None else None
        if taken or time.monotonic() >= until:  # in the second case its process is busy, and sees it later
            break
        if taken is None:  # the first time, or a run that was just beginning took it for one of its predecessor
            asked = await signals.halt(thread, _kept(reason) or "halted")
        await asyncio.sleep(_PAUSE)
    else:
        return asked is not None and await _withdrawn(signals, asked)
    return True


def _kept(text: str) -> str:
    """Return a text that every database and every model takes."""
    return readable_text(text.strip().replace("\x00", "\ufffd"), MAX_TEXT)


async def _withdrawn(signals: AsyncSignals, halt: int) -> bool:
    """Forget a halt of a run that has ended, so that it stops no other; return whether it was the halt that ended it."""
    taken = await signals.is_taken(halt)
    await signals.drop(halt)
    return bool(taken)


def inject(graph: Any, persistence: Persistence, thread: str, text: str, *, agent: str | None = None) -> None:
    """Give guidance to the agents of a thread; see `ainject`."""
    run_sync(ainject(graph, persistence, thread, text, agent=agent))


def halt(graph: Any, persistence: Persistence, thread: str, *, reason: str = "") -> bool:
    """Ask the run of a thread to stop; see `ahalt`."""
    return run_sync(ahalt(graph, persistence, thread, reason=reason))


async def _signals_of(
    graph: Any, persistence: Persistence, thread: str
) -> tuple[AsyncSignals, BaseCheckpointSaver[Any]]:
    """Return what reaches a known thread, and the checkpointer that it is kept with."""
    saver: BaseCheckpointSaver[Any] = (
        bind(graph, persistence).checkpointer if graph is not None else persistence.checkpointer
    )
    signals = signals_of(saver)
    if signals is None:
        raise ConfigurationError("a thread can be reached only where its graph keeps it with open_persistence")
    if await persistence.athread(thread) is None and await saver.aget_tuple(config_of(thread)) is None:
        raise unknown_thread(thread, persistence)
    return signals, saver
