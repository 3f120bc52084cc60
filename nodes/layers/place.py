"""Place: how many calls may be in flight at once, over the whole run.

A place is held for one call only, never while waiting for another agent, so agents that ask each other cannot deadlock.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from langchain.agents.middleware.types import ModelRequest, ModelResponse

from nodes.layers.layer import ModelCall
from nodes.step import Step, current_step


async def model_place(request: ModelRequest[Any], call: ModelCall) -> ModelResponse[Any]:
    """Make the call when one of the run's places is free."""
    async with place(current_step()):
        return await call(request)


@asynccontextmanager
async def place(step: Step) -> AsyncIterator[None]:
    """Hold one of the run's places; the wait for it is not counted as the step's time."""
    asked = time.monotonic()
    async with step.run.places:
        step.queued += time.monotonic() - asked
        yield
