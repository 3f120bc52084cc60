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

RUN_KEY = "__orchestra_run"


@dataclass
class Run:
    """The shared part of one invocation.

    Args:
        id: Identifies the invocation.
        thread: Thread it belongs to; empty without a checkpointer.
        account: Budget of this graph; its parents are those of the graphs around it.
        places: How many agents may work at the same time, over the whole tree.
        sequence: Numbers the events of the run, from 1.
        parent: Id of the step that this graph stands in for; empty at the top.
    """

    id: str
    thread: str
    account: Account
    places: asyncio.Semaphore
    sequence: Iterator[int] = field(default_factory=lambda: itertools.count(1))
    parent: str = ""
    signals: dict[str, asyncio.Event] = field(default_factory=dict)

    def within(self, step: str, account: Account) -> Run:
        """Return the view that a graph nested under `step` has of the same run."""
        return replace(self, parent=step, account=account)

    def signal(self, key: str) -> asyncio.Event:
        """Return the event shared by all that name the same key, for siblings that stop each other."""
        return self.signals.setdefault(key, asyncio.Event())


def start_run(config: RunnableConfig, context: Context, *, name: str) -> Run:
    """Return a new run for an invocation of the graph `name`, with nothing spent yet."""
    configurable = config.get("configurable") or {}
    account = Account(owner=f"run of {name}", budget=context.budget or Budget())
    return Run(
        id=str(config.get("run_id") or uuid.uuid4()),
        thread=configurable.get("thread_id", ""),
        account=account,
        places=asyncio.Semaphore(context.max_concurrency),
    )


def run_of(config: RunnableConfig | None) -> Run | None:
    """Return the run that this configuration belongs to, or None outside of one."""
    run: Any = ((config or {}).get("configurable") or {}).get(RUN_KEY)
    return run if isinstance(run, Run) else None


def with_run(config: RunnableConfig | None, run: Run) -> RunnableConfig:
    """Return a copy of the configuration that carries the run."""
    configurable = {**((config or {}).get("configurable") or {}), RUN_KEY: run}
    return RunnableConfig(**{**(config or {}), "configurable": configurable})
