"""One run: what all agents below one invocation share, however deeply their graphs are nested.

It travels in the configuration under a private key, which LangGraph hands down to nested graphs and never stores.
"""

from __future__ import annotations

import asyncio
import itertools
import math
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any, Protocol, get_args

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import BaseCheckpointSaver

from state.budget import Account, Budget, Limit, charged_here
from state.context import Context
from state.effects import MemoryLedger
from state.event_log import open_event_log
from state.events import Event
from state.places import Places

RUN_KEY = "__orchestra_run"
BEGUN_KEY = "__orchestra_begun"
"""Holds an async function that is called when a run has its thread and before it does anything; what it raises ends the run."""
ENDED_KEY = "__orchestra_ended"
"""Holds a function that is called with the event of the run's end, where the run is recorded."""
_CHECKPOINTER = "__pregel_checkpointer"
NO_LIMITS = Budget()


class Recorder(Protocol):
    """What takes the events of a run."""

    def add(self, event: Event) -> None:
        """Take one event, whose data is redacted; from any thread."""
        ...


@dataclass
class Run:
    """The shared part of one invocation.

    Args:
        id: Identifies the invocation.
        thread: Thread it belongs to; empty without a checkpointer.
        account: Budget of this graph; its parents are those of the graphs around it.
        width: How many places there are.
        places: How many agents may work at the same time, over the whole tree.
        sequence: Numbers the events of the run, from 1.
        parent: Id of the step that this graph stands in for; empty at the top.
        above: Ids of the steps above that one, the outermost first: ids are unique among the steps of one graph.
        signals: Events by key, for siblings that stop each other.
        faults: Errors of the storage, after which nothing more may begin; LangGraph tells of them at the end of a step only.
        turn: Turn of the thread, the same when it is taken up again; without one, the invocation.
        saver: Checkpointer under it, if there is one.
        effects: What was done to the world, where there is no checkpointer to keep it beside.
        making: Effects that are being carried out, each of which the next to want the same waits for.
        adrift: Effects whose call was given up and may still go on.
        loop: Event loop that the run is on.
        context: What it was told when it started; its secrets are read from here.
        recorder: Takes its events, where its checkpointer's database keeps them.
    """

    id: str
    thread: str
    account: Account
    width: int
    places: Places
    sequence: Iterator[int] = field(default_factory=lambda: itertools.count(1))
    parent: str = ""
    above: tuple[str, ...] = ()
    signals: dict[str, asyncio.Event] = field(default_factory=dict)
    faults: list[Exception] = field(default_factory=list)
    turn: str = ""
    saver: BaseCheckpointSaver[Any] | None = None
    effects: MemoryLedger = field(default_factory=MemoryLedger)
    making: dict[str, asyncio.Lock] = field(default_factory=dict)
    adrift: set[str] = field(default_factory=set)
    loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.get_running_loop)
    context: Context = field(default_factory=Context)
    recorder: Recorder | None = None

    def within(self, step: str, account: Account) -> Run:
        """Return the view that a graph nested under `step` has of the same run."""
        above = (*self.above, self.parent) if self.parent else ()
        return replace(self, parent=step, above=above, account=account)

    def left(self) -> dict[str, float]:
        """Return what is left of each limit that it has, the tightest of those around it."""
        if all(account.budget == NO_LIMITS for account in self.account.lineage()):
            return {}
        left = {limit: self.account.remaining(limit) for limit in get_args(Limit)}
        return {limit: round(much, 6) for limit, much in left.items() if much != math.inf}

    def on_this_loop(self) -> Run:
        """Return the run as a graph that is called here sees it: on the account of the step that calls it, on this event loop.

        A graph gets to another loop than the run's when sync code blocks that and calls it. What stands still meanwhile can
        neither free a place nor settle a call, so the view has places of its own, and its account never waits.
        """
        loop, account = asyncio.get_running_loop(), charged_here(self.account)
        if loop is self.loop:
            return self if account is self.account else replace(self, account=account)
        account = Account(owner=account.owner, parent=account, waits=False)
        return replace(self, loop=loop, account=account, places=Places(self.width), signals={}, making={})

    def signal(self, key: str) -> asyncio.Event:
        """Return the event shared by all that name the same key, for siblings that stop each other."""
        return self.signals.setdefault(key, asyncio.Event())


def start_run(config: RunnableConfig, context: Context, *, name: str) -> Run:
    """Return a new run for an invocation of the graph `name`, with nothing spent yet."""
    open_event_log()
    configurable = config.get("configurable") or {}
    account = Account(owner=f"run of {name}", budget=context.budget or Budget())
    saver, run_id = configurable.get(_CHECKPOINTER), str(config.get("run_id") or uuid.uuid4())
    return Run(
        id=run_id,
        thread=str(configurable.get("thread_id") or ""),
        account=account,
        width=context.max_concurrency,
        places=Places(context.max_concurrency),
        turn=str(
            configurable.get("checkpoint_ns") or run_id
        ),  # within somebody else's graph: the task, which is taken up again
        saver=saver if isinstance(saver, BaseCheckpointSaver) else None,
        context=context,
    )


def run_of(config: RunnableConfig | None) -> Run | None:
    """Return the run that this configuration belongs to, or None outside of one."""
    run: Any = ((config or {}).get("configurable") or {}).get(RUN_KEY)
    return run if isinstance(run, Run) else None


def run_here(config: RunnableConfig, context: Context, *, name: str) -> Run:
    """Return the run that a configuration belongs to, or one of its own outside of any, called after `name`."""
    return run_of(config) or start_run(config, context, name=name)


def with_run(config: RunnableConfig | None, run: Run) -> RunnableConfig:
    """Return a copy of the configuration that carries the run."""
    configurable = {**((config or {}).get("configurable") or {}), RUN_KEY: run}
    return RunnableConfig(**{**(config or {}), "configurable": configurable})
