"""Threads: which there are, where each stands, and the moments it can be looked at."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from langchain_core.runnables import RunnableConfig
from pydantic import BaseModel, ConfigDict

from state.errors import ConfigurationError, UnknownThread
from state.loop import run_sync
from state.persistence import Persistence
from state.recording import this_process as this_process


class ThreadInfo(BaseModel):
    """What is noted about a thread, without looking into its state."""

    model_config = ConfigDict(frozen=True)

    thread: str
    graph: str = ""
    """Name of the pattern, team or graph; empty when nothing is noted."""
    task: str = ""
    """What was asked last."""
    status: str = ""
    """As in `RunResult`, or `running`; empty when nothing is noted."""
    reason: str = ""
    created: float
    """Seconds since 1970, UTC."""
    updated: float
    """Seconds since 1970, UTC."""


class Moment(BaseModel):
    """A checkpoint of a thread."""

    model_config = ConfigDict(frozen=True)

    checkpoint: str
    step: int
    """Counts the supersteps of the thread; -1 is the first input."""
    at: datetime
    next: tuple[str, ...]
    """Nodes that were about to run."""
    waiting: bool
    """Whether it waited for a person."""


async def athreads(persistence: Persistence) -> list[ThreadInfo]:
    """Return every thread of a database, the last one used first."""
    return [read_facts(facts) for facts in await persistence.athreads()]


def threads(persistence: Persistence) -> list[ThreadInfo]:
    """Return every thread of a database, the last one used first."""
    return run_sync(athreads(persistence))


async def ahistory(graph: Any, persistence: Persistence, thread: str) -> list[Moment]:
    """Return the checkpoints of a thread, the first one first.

    Raises:
        UnknownThread: There is no such thread.
    """
    config = config_of(thread)
    moments = [_moment(snapshot) async for snapshot in bind(graph, persistence).aget_state_history(config)]
    if not moments:
        raise unknown_thread(thread, persistence)
    return moments[::-1]


def history(graph: Any, persistence: Persistence, thread: str) -> list[Moment]:
    """Return the checkpoints of a thread; see `ahistory`."""
    return run_sync(ahistory(graph, persistence, thread))


def bind(graph: Any, persistence: Persistence) -> Any:
    """Return the graph with the persistence under it. A graph that was compiled with a checkpointer keeps its own."""
    if not hasattr(graph, "ainvoke"):
        remedy = "call .compile(name=...) first" if hasattr(graph, "compile") else "a team of a file has it as .graph"
        raise ConfigurationError(f"expected a compiled graph, got a {type(graph).__name__}: {remedy}")
    if getattr(graph, "checkpointer", None):
        return graph
    return graph.copy({"checkpointer": persistence.checkpointer, "store": graph.store or persistence.store})


def config_of(thread: str) -> RunnableConfig:
    """Return the configuration that names a thread."""
    return RunnableConfig(configurable={"thread_id": thread})


def unknown_thread(thread: str, persistence: Persistence) -> UnknownThread:
    """Return the error for a thread that does not exist, with what to do."""
    return UnknownThread(
        f"no thread {thread!r} in {persistence.location}; `orchestra threads` lists them", thread=thread
    )


def read_facts(facts: Mapping[str, Any]) -> ThreadInfo:
    """Return what is noted about a thread; `running` only while the process that said so may be alive."""
    known = {key: facts[key] for key in ThreadInfo.model_fields if key in facts}
    if known.get("status") == "running" and _is_gone(facts.get("process") or {}):
        known["status"] = "unfinished"
    return ThreadInfo(**known)


def _is_gone(process: Mapping[str, Any]) -> bool:
    if process.get("host") != socket.gethostname():
        return False  # nothing is known of other machines
    try:
        os.kill(process["pid"], 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        pass
    return False


def _moment(snapshot: Any) -> Moment:
    return Moment(
        checkpoint=snapshot.config["configurable"]["checkpoint_id"],
        step=(snapshot.metadata or {}).get("step", 0),
        at=datetime.fromisoformat(snapshot.created_at),
        next=snapshot.next,
        waiting=bool(snapshot.interrupts),
    )
