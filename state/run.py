"""One run: what all agents below one invocation share, however deeply their graphs are nested.

It travels in the configuration under a private key, which LangGraph hands down to nested graphs and never stores.
"""

from __future__ import annotations

import asyncio
import itertools
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from langchain_core.runnables import RunnableConfig

from state.budget import Account, Budget
from state.context import Context
from state.places import Places

RUN_KEY = "__orchestra_run"


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
        signals: Events by key, for siblings that stop each other.
        faults: Errors of the storage, after which nothing more may begin; LangGraph tells of them at the end of a step only.
        loop: Event loop that the run is on.
    """

    id: str
    thread: str
    account: Account
    width: int
    places: Places
    sequence: Iterator[int] = field(default_factory=lambda: itertools.count(1))
    parent: str = ""
    signals: dict[str, asyncio.Event] = field(default_factory=dict)
    faults: list[Exception] = field(default_factory=list)
    loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.get_running_loop)

    def within(self, step: str, account: Account) -> Run:
        """Return the view that a graph nested under `step` has of the same run."""
        return replace(self, parent=step, account=account)

    def on_this_loop(self) -> Run:
        """Return the run, or the view of it from another event loop than its own.

        A graph gets there when sync code blocks the run's loop and calls it. What stands still meanwhile can neither free a
        place nor settle a call, so the view has places of its own, and its account never waits.
        """
        loop = asyncio.get_running_loop()
        if loop is self.loop:
            return self
        account = Account(owner=self.account.owner, parent=self.account, waits=False)
        return replace(self, loop=loop, account=account, places=Places(self.width), signals={})

    def signal(self, key: str) -> asyncio.Event:
        """Return the event shared by all that name the same key, for siblings that stop each other."""
        return self.signals.setdefault(key, asyncio.Event())


def start_run(config: RunnableConfig, context: Context, *, name: str) -> Run:
    """Return a new run for an invocation of the graph `name`, with nothing spent yet."""
    configurable = config.get("configurable") or {}
    account = Account(owner=f"run of {name}", budget=context.budget or Budget())
    return Run(
        id=str(config.get("run_id") or uuid.uuid4()),
        thread=str(configurable.get("thread_id") or ""),
        account=account,
        width=context.max_concurrency,
        places=Places(context.max_concurrency),
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
