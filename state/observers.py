"""Observers: they see every event of every run in this process, whichever way the run was started.

    stop = observe(print)
    graph.invoke({"task": "..."})
    stop()

An observer also sees where a run of a graph begins (`run_started`) and where it ends or pauses (`run_ended`). What it
raises is logged, once for each observer, and hurts no run.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import aclosing
from typing import Any

from langgraph.errors import GraphDrained

from state.events import Event, EventKind
from state.excerpts import excerpt
from state.redaction import redacted, redacting
from state.run import Run
from state.task import task_in

Observer = Callable[[Event], None]
"""Called with each event when it happens, on the event loop of the run and in its context: it has to be quick."""

_observers: tuple[Observer, ...] = ()
_failed: set[int] = set()
_LONGEST = 500
"""Characters of the task and of the answer that an observer is told."""
_BROKEN_OFF = (asyncio.CancelledError, GeneratorExit, GraphDrained, KeyboardInterrupt)

_log = logging.getLogger(__name__)


def observe(observer: Observer) -> Callable[[], None]:
    """Show every event from now on to an observer, and return what ends that."""
    global _observers
    _observers = (*_observers, observer)

    def stop() -> None:
        global _observers
        _observers = tuple(each for each in _observers if each is not observer)
        _failed.discard(id(observer))

    return stop


def tell(event: Event) -> None:
    """Show one event to all observers."""
    for observer in _observers:
        try:
            observer(event)
        except Exception:  # noqa: BLE001  # whatever it is: who only looks on ends no run
            if id(observer) not in _failed:
                _failed.add(id(observer))
                _log.warning(
                    "an observer of runs failed at %r; later failures are not told", event["kind"], exc_info=True
                )


def observed(
    parts: AsyncGenerator[Any, None],
    run: Run,
    *,
    graph: str,
    given: Any,
    resumed: bool,
    stand: Callable[[], Awaitable[Mapping[str, Any]]],
) -> AsyncGenerator[Any, None]:
    """Return what a run yields; observers, if there are any, are told where it begins and ends.

    Args:
        parts: What the run yields.
        run: The run, of the outermost graph.
        graph: Its name.
        given: The input.
        resumed: Whether it takes up an earlier run of its thread.
        stand: Says how the graph stands once nothing more is yielded: nothing, or `status`, `reason` and `answer`.
    """
    return _observed(parts, run, graph, given, resumed, stand) if _observers else parts


async def _observed(
    parts: AsyncGenerator[Any, None],
    run: Run,
    graph: str,
    given: Any,
    resumed: bool,
    stand: Callable[[], Awaitable[Mapping[str, Any]]],
) -> AsyncGenerator[Any, None]:
    _tell(run, "run_started", graph, turn=run.turn, resumed=resumed, task=task_in(given))
    standing: Mapping[str, Any] = {}
    try:
        async with aclosing(parts):
            async for part in parts:
                standing = _standing_in(part) or standing
                yield part
        standing = await stand() or standing
    except BaseException as error:
        kind = "" if isinstance(error, _BROKEN_OFF) else type(error).__name__
        _tell(run, "run_ended", graph, status="unfinished", reason=type(error).__name__, error=kind)
        raise
    told = {name: str(standing.get(name) or "") for name in ("status", "reason", "answer")}
    _tell(run, "run_ended", graph, **told)


def _tell(run: Run, kind: EventKind, graph: str, **data: Any) -> None:
    with redacting(run.context.redact):
        texts = {name: excerpt(value, _LONGEST) for name, value in data.items() if isinstance(value, str)}
        safe = redacted({**data, **texts})
    at, seq = time.time(), 0
    tell(
        Event(
            kind=kind, run=run.id, thread=run.thread, agent=graph, step="", parent=run.parent, seq=seq, at=at, data=safe
        )
    )


def _standing_in(part: Any) -> Mapping[str, Any]:
    """Return what a part of a stream, in any of its shapes, says of how the graph stands; nothing if it does not."""
    data = part[-1] if isinstance(part, tuple) else part
    data = data["data"] if isinstance(data, Mapping) and {"type", "ns", "data"} <= data.keys() else data
    if not isinstance(data, Mapping):
        return {}
    if "__interrupt__" in data:
        return {"status": "waiting"}
    of_nodes = (data, *data.values())
    found = (each for each in of_nodes if isinstance(each, Mapping) and {"status", "answer"} <= each.keys())
    return next((each for each in found if each["status"] != "running"), {})
