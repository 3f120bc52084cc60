"""Budget: what a call may cost is reserved before it, for the agent and all above it, and settled after it."""

from __future__ import annotations

import time
from typing import Any

from langchain.agents.middleware.types import ModelRequest, ModelResponse, ToolCallRequest
from langchain_core.messages import ToolMessage

from nodes.layers.layer import ModelCall, ToolCall, ToolResult
from nodes.models import describe_model
from nodes.prices import price
from nodes.step import Step, current_step
from state.budget import Amount
from state.errors import BudgetExceeded
from state.outcome import Usage, add_usage

MAX_OUTPUT = 4096
"""Tokens set aside for one answer where a token or money limit applies and the model names no limit of its own."""
LEAST_OUTPUT = 16
"""Tokens; with less than this left for the answer a call is not worth making."""


async def model_budget(request: ModelRequest[Any], call: ModelCall) -> ModelResponse[Any]:
    """Make the call within every budget above it; under a token limit `max_tokens` is set to what is left.

    Raises:
        BudgetExceeded: Names the limit; the call was not made.
    """
    step = current_step()
    before, waited = step.usage, time.monotonic()
    request, reserved = await _reserve(step, request)
    step.queued += time.monotonic() - waited
    try:
        return await call(request)
    finally:
        step.account.settle(reserved, _spent_since(before, step.usage))


async def tool_budget(request: ToolCallRequest, call: ToolCall) -> ToolResult:
    """Make the call if tool calls are left; otherwise tell the model, which may still answer with what it has."""
    step = current_step()
    one = Amount(tool_calls=1)
    try:
        step.account.reserve(one)
    except BudgetExceeded as error:
        text = f"Not carried out: {error}. Answer now with what you have."
        return ToolMessage(text, tool_call_id=request.tool_call["id"], name=request.tool_call["name"], status="error")
    step.usage = add_usage(step.usage, Usage(model_calls=0, tool_calls=1, input_tokens=0, output_tokens=0, usd=0.0))
    try:
        return await call(request)
    finally:
        step.account.settle(one, one)


async def _reserve(step: Step, request: ModelRequest[Any]) -> tuple[ModelRequest[Any], Amount]:
    account = step.account
    if account.room("tokens") is None and account.room("usd") is None:
        amount = Amount(model_calls=1)
        await account.reserve_when_free(amount)
        return request, amount
    name, most_in = describe_model(request.model), upper_token_count(request)
    least = _amount(name, most_in, LEAST_OUTPUT)
    await account.reserve_when_free(least)
    account.settle(least, Amount())
    # No suspension between here and the reservation, so the room cannot shrink.
    output = getattr(request.model, "max_tokens", None) or MAX_OUTPUT
    tokens, usd = account.room("tokens"), account.room("usd")
    if tokens is not None:
        output = min(output, int(tokens) - most_in)
    while usd is not None and output > LEAST_OUTPUT and _amount(name, most_in, output).usd > usd:
        output = max(LEAST_OUTPUT, output // 2)
    amount = _amount(name, most_in, output)
    account.reserve(amount)
    return request.override(model_settings={**request.model_settings, "max_tokens": output}), amount


def upper_token_count(request: ModelRequest[Any]) -> int:
    """Return more tokens than the request can have: one for two bytes of text, and some for each message and tool.

    A tokenizer would have to be downloaded; the provider's own count replaces this when the call is settled.
    """
    texts = [str(m.content) for m in request.messages]
    if request.system_message is not None:
        texts.append(str(request.system_message.content))
    tools = sum(len(str(getattr(t, "args", t))) + len(str(getattr(t, "description", ""))) for t in request.tools)
    return sum(len(text.encode("utf-8", "replace")) // 2 + 8 for text in texts) + tools // 2


def _amount(model: str, tokens_in: int, tokens_out: int) -> Amount:
    usage = Usage(model_calls=1, tool_calls=0, input_tokens=tokens_in, output_tokens=tokens_out, usd=None)
    return Amount(model_calls=1, tokens=tokens_in + tokens_out, usd=price(model, usage) or 0.0)


def _spent_since(before: Usage, after: Usage) -> Amount:
    """Return what the call used. A call that failed counts as a call."""
    tokens = after["input_tokens"] + after["output_tokens"] - before["input_tokens"] - before["output_tokens"]
    usd = (after["usd"] or 0.0) - (before["usd"] or 0.0)
    return Amount(model_calls=max(1, after["model_calls"] - before["model_calls"]), tokens=tokens, usd=max(0.0, usd))
