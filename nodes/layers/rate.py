"""Rate: calls wait where an agent's or a model's share of a minute is used up. Waiting is not the step's time."""

from __future__ import annotations

import time
from typing import Any

from langchain.agents.middleware.types import ModelRequest, ModelResponse
from langchain_core.messages.utils import count_tokens_approximately

from nodes.layers.layer import ModelCall
from nodes.layers.timeout import seconds_left
from nodes.models import describe_model
from nodes.rates import Rate, Slot, rate_of, until
from nodes.step import Step, current_step
from state.errors import BudgetExceeded


async def model_rate(request: ModelRequest[Any], call: ModelCall) -> ModelResponse[Any]:
    """Make the call when the limits of the agent and of the model have room for it.

    Raises:
        BudgetExceeded: The run has to end before that.
    """
    step = current_step()
    policy, context = step.policy, step.context
    rates = (
        rate_of(f"agent {step.agent}", policy.requests_per_minute, policy.tokens_per_minute),
        rate_of(f"model {describe_model(request.model)}", context.requests_per_minute, context.tokens_per_minute),
    )
    limits = [rate for rate in rates if rate is not None]
    if not limits:
        return await call(request)
    slots = await _placed(step, request, limits)
    before = step.usage
    response = await call(request)
    took = step.usage["input_tokens"] + step.usage["output_tokens"] - before["input_tokens"] - before["output_tokens"]
    for slot in slots:
        slot.tokens = took
    return response


async def _placed(step: Step, request: ModelRequest[Any], limits: list[Rate]) -> list[Slot]:
    asked, expected = time.monotonic(), count_tokens_approximately(request.messages)
    slots = [rate.book(expected) for rate in limits]
    wait, left = max(slot.at for slot in slots) - time.monotonic(), seconds_left(step)
    try:
        if left is not None and wait >= left:
            raise BudgetExceeded(
                "seconds", cap=left, spent=round(wait, 1), owner=f"{step.agent} (waiting for its rate limit)"
            )
        if wait > 0:
            step.emit("decided", decision="wait", reason="rate limit", seconds=round(wait, 3))
        for slot in slots:
            await until(slot)
    except BaseException:
        for rate, slot in zip(limits, slots, strict=True):
            rate.give_back(slot)
        raise
    step.queued += time.monotonic() - asked
    return slots
