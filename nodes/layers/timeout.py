"""Timeouts: no attempt outlives its limit, and an attempt that ran into it is not repeated on the same model."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from langchain.agents.middleware.types import ModelRequest, ModelResponse, ToolCallRequest

from nodes.layers.layer import ModelCall, ToolCall, ToolResult
from nodes.step import Step, current_step
from state.errors import BudgetExceeded


class AttemptTimeout(TimeoutError):
    """An attempt reached its limit and was cancelled."""


async def model_timeout(request: ModelRequest[Any], call: ModelCall) -> ModelResponse[Any]:
    """Make the call within the policy's timeout and what is left of the run's time."""
    step = current_step()
    async with time_limit(step, step.policy.timeout):
        return await call(request)


async def tool_timeout(request: ToolCallRequest, call: ToolCall) -> ToolResult:
    """Make the call within the policy's timeout and what is left of the run's time."""
    step = current_step()
    async with time_limit(step, step.policy.timeout):
        return await call(request)


@asynccontextmanager
async def time_limit(step: Step, limit: float | None) -> AsyncIterator[None]:
    """Cancel what runs inside when the limit in seconds, the budget's seconds or the run's deadline is reached.

    Raises:
        AttemptTimeout: `limit` was reached.
        BudgetExceeded: The time of the run was over first.
    """
    left = seconds_left(step)
    if left is not None and left <= 0:
        raise BudgetExceeded("seconds", cap=0, spent=-left, owner=step.account.owner)
    bound = left if limit is None else limit if left is None else min(limit, left)
    timer = asyncio.timeout(bound)
    try:
        async with timer:
            yield
    except TimeoutError as error:
        if not timer.expired():
            raise  # the provider's own timeout; the retry layer knows what it means
        if limit is None or bound != limit:
            spent = bound or 0.0
            raise BudgetExceeded("seconds", cap=spent, spent=spent, owner=step.account.owner) from error
        raise AttemptTimeout(f"no result within {limit:g} s") from error


def seconds_left(step: Step) -> float | None:
    """Return the seconds until the run must end, by budget or deadline; None when neither is set."""
    left = [s for s in (step.account.seconds_left(),) if s is not None]
    if step.context.deadline is not None:
        left.append(step.context.deadline - time.time())
    return min(left) if left else None
