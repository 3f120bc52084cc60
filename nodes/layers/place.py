"""Place: how many calls may be in flight at once, over the whole run.

A place is held for one call only, never while waiting for another agent, so agents that ask each other cannot deadlock.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from contextvars import ContextVar
from typing import Any

from langchain.agents.middleware.types import ModelRequest, ModelResponse

from nodes.layers.layer import ModelCall
from nodes.step import Step, current_step
from state.places import Places


class Place:
    """One of a run's places, while it is held."""

    def __init__(self, places: Places, owner: str) -> None:
        self.places, self.owner, self.held = places, owner, True

    def give_up(self) -> None:
        """Let another call have the place, once."""
        if self.held:
            self.held = False
            self.places.give_back(self.owner)


_mine: ContextVar[Place | None] = ContextVar("orchestra_place", default=None)


async def model_place(request: ModelRequest[Any], call: ModelCall) -> ModelResponse[Any]:
    """Make the call when one of the run's places is free."""
    async with place(current_step()):
        return await call(request)


@asynccontextmanager
async def place(step: Step) -> AsyncIterator[None]:
    """Hold one of the run's places; the wait for it is not counted as the step's time.

    A function that starts agents gives up the place it is called in: it waits for them, and they need places too.
    """
    outer, asked = _mine.get(), time.monotonic()
    if outer is not None and outer.places is step.run.places:
        outer.give_up()
    await step.run.places.take(step.agent, limit=step.policy.max_concurrency)
    step.queued += time.monotonic() - asked
    held = Place(step.run.places, step.agent)
    token = _mine.set(held)
    try:
        yield
    finally:
        _mine.reset(token)
        held.give_up()
