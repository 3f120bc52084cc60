"""Budget: what a call may cost is reserved before it, for the agent and all above it, and settled after it."""

from __future__ import annotations

import json
import re
import time
from functools import lru_cache
from typing import Any

from langchain.agents.middleware.types import ModelRequest, ModelResponse, ToolCallRequest
from langchain_core.messages import AIMessage, ToolMessage
from pydantic import TypeAdapter

from nodes.layers.json_text import schemas_of
from nodes.layers.layer import ModelCall, ToolCall, ToolResult
from nodes.layers.output import is_cut
from nodes.models import describe_model
from nodes.prices import price
from nodes.step import Step, current_step
from state.budget import Account, Amount
from state.errors import BudgetExceeded
from state.outcome import Usage

MAX_OUTPUT = 4096
"""Tokens set aside for one answer where a token or money limit applies and the model names no limit of its own."""
LEAST_OUTPUT = 16
"""Tokens; with less than this left for the answer a call is not worth making."""
_NOT_A_LETTER = re.compile(rb"[^A-Za-z ]")


async def model_budget(request: ModelRequest[Any], call: ModelCall) -> ModelResponse[Any]:
    """Make the call within every budget above it; under a token limit `max_tokens` is set to what is left.

    Raises:
        BudgetExceeded: Names the limit; the call was not made, or its answer was cut off where the budget ended.
    """
    step = current_step()
    before, known, waited = step.usage, step.known_usd, time.monotonic()
    request, reserved, shortened = await _reserve(step, request)
    step.queued += time.monotonic() - waited
    try:
        response = await call(request)
    finally:
        step.account.settle(reserved, _spent_since(step, before, known))
    if shortened and any(isinstance(m, AIMessage) and is_cut(m) for m in response.result):
        raise step.account.exhausted("tokens" if step.account.room("tokens") is not None else "usd")
    return response


async def tool_budget(request: ToolCallRequest, call: ToolCall) -> ToolResult:
    """Make the call if tool calls are left; otherwise tell the model, which may still answer with what it has."""
    step = current_step()
    one = Amount(tool_calls=1)
    try:
        step.account.reserve(one)
    except BudgetExceeded as error:
        text = f"Not carried out: {error}. Answer now with what you have."
        return ToolMessage(text, tool_call_id=request.tool_call["id"], name=request.tool_call["name"], status="error")
    step.spend(Usage(model_calls=0, tool_calls=1, input_tokens=0, output_tokens=0, usd=0.0))
    try:
        return await call(request)
    finally:
        step.account.settle(one, one)


async def _reserve(step: Step, request: ModelRequest[Any]) -> tuple[ModelRequest[Any], Amount, bool]:
    """Return the request to make, what was reserved for it, and whether its answer has less room than it might take."""
    account = step.account
    if account.room("tokens") is None and account.room("usd") is None:
        amount = Amount(model_calls=1)
        await account.reserve_when_free(amount)
        return request, amount, False
    name, most_in = describe_model(request.model), upper_token_count(request)
    least = _amount(name, most_in, LEAST_OUTPUT)
    await account.reserve_when_free(least)
    wanted: int = getattr(request.model, "max_tokens", None) or MAX_OUTPUT
    output = _most_output(account, name, most_in, wanted)
    amount = _amount(name, most_in, output)
    try:
        account.reserve(Amount(tokens=amount.tokens - least.tokens, usd=amount.usd - least.usd))
    except BudgetExceeded:  # a run on another event loop was faster: the least is ours already
        output, amount = LEAST_OUTPUT, least
    request = request.override(model_settings={**request.model_settings, "max_tokens": output})
    return request, amount, output < wanted


def _most_output(account: Account, model: str, most_in: int, wanted: int) -> int:
    """Return how many tokens the answer may have, given that `LEAST_OUTPUT` is reserved for it already."""
    tokens, usd = account.room("tokens"), account.room("usd")
    output = wanted if tokens is None else min(wanted, int(tokens) + LEAST_OUTPUT)
    if usd is not None:
        usd += _amount(model, most_in, LEAST_OUTPUT).usd
        while output > LEAST_OUTPUT and _amount(model, most_in, output).usd > usd:
            output = max(LEAST_OUTPUT, output // 2)
    return output


def upper_token_count(request: ModelRequest[Any]) -> int:
    """Return at least as many tokens as the request has in common tokenizers, with some for each message and tool.

    Two letters or spaces are a token at worst, and so is one byte of anything else. A tokenizer would have to be downloaded;
    the provider's own count replaces this when the call is settled.
    """
    messages = [request.system_message, *request.messages] if request.system_message else request.messages
    texts = [str(message.content) for message in messages]
    texts += [json.dumps(m.tool_calls, default=str) for m in messages if isinstance(m, AIMessage) and m.tool_calls]
    return sum(_upper_count(text) + 8 for text in [*texts, *offered(request)])


def offered(request: ModelRequest[Any]) -> list[str]:
    """Return what a request tells the model besides its messages: each tool, and each schema of an answer."""
    texts = [f"{getattr(tool, 'args', tool)}{getattr(tool, 'description', '')}" for tool in request.tools]
    if request.response_format is not None:
        texts += [_schema_text(schema) for schema in schemas_of(request.response_format).values()]
    return texts


def _schema_text(schema: Any) -> str:
    return json.dumps(schema) if isinstance(schema, dict) else _text_of_type(schema)


@lru_cache(maxsize=64)
def _text_of_type(schema: Any) -> str:
    return json.dumps(TypeAdapter(schema).json_schema())


def _upper_count(text: str) -> int:
    data = text.encode("utf-8", "replace")
    return (len(data) + len(_NOT_A_LETTER.findall(data)) + 1) // 2


def _amount(model: str, tokens_in: int, tokens_out: int) -> Amount:
    usage = Usage(model_calls=1, tool_calls=0, input_tokens=tokens_in, output_tokens=tokens_out, usd=None)
    return Amount(model_calls=1, tokens=tokens_in + tokens_out, usd=price(model, usage) or 0.0)


def _spent_since(step: Step, before: Usage, known_usd: float) -> Amount:
    """Return what the call used. A call that failed counts as a call, one of unknown price as free."""
    after = step.usage
    tokens = after["input_tokens"] + after["output_tokens"] - before["input_tokens"] - before["output_tokens"]
    calls = max(1, after["model_calls"] - before["model_calls"])
    return Amount(model_calls=calls, tokens=tokens, usd=step.known_usd - known_usd)
