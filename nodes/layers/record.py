"""Record: usage, cost, latency and errors of every call, one event each, innermost so that each attempt counts."""

from __future__ import annotations

import time
from collections.abc import Sequence
from itertools import takewhile
from typing import Any

from langchain.agents.middleware.types import ModelRequest, ModelResponse, ToolCallRequest
from langchain_core.messages import AIMessage, AnyMessage, HumanMessage, ToolMessage
from langchain_core.messages.utils import count_tokens_approximately

from nodes.layers.artifact import fact_of
from nodes.layers.budget import offered
from nodes.layers.layer import ModelCall, ToolCall, ToolResult
from nodes.models import describe_model
from nodes.prices import price
from nodes.step import Step, current_step
from state.outcome import Usage, add_usage

NO_CALL = "orchestra_no_call"
"""Key in the metadata of a message that ends a loop in a model's place, and that no model gave."""
_CHARACTERS = 4
"""In a token, where nobody counted."""


async def record_model(request: ModelRequest[Any], call: ModelCall) -> ModelResponse[Any]:
    """Count the attempt, what it used and how long it took, whether it succeeds or not."""
    step = current_step()
    step.attempts += 1
    step.call_attempts += 1
    model, started = describe_model(request.model), time.monotonic()
    try:
        response = await call(request)
    except BaseException as error:
        usage = Usage(model_calls=1, tool_calls=0, input_tokens=0, output_tokens=0, usd=0.0)
        step.spend(usage)
        seconds = round(time.monotonic() - started, 6)
        step.emit("model_called", model=model, seconds=seconds, error=type(error).__name__, **usage)
        raise
    answer = next((m for m in response.result if isinstance(m, AIMessage)), AIMessage(""))
    step.last_text, step.answered_by = answer.text or step.last_text, model
    usage = usage_of(model, request, answer)
    step.spend(usage)
    asked = {"tools": [tool_call["name"] for tool_call in answer.tool_calls]} if answer.tool_calls else {}
    step.emit("model_called", model=model, seconds=round(time.monotonic() - started, 6), **asked, **usage)
    return response


async def record_tool(request: ToolCallRequest, call: ToolCall) -> ToolResult:
    """Report the call, its arguments' names, its size and how long it took. Arguments' values may be private."""
    step, started = current_step(), time.monotonic()
    result = await call(request)
    status = result.status if isinstance(result, ToolMessage) else "success"
    size = len(result.text) if isinstance(result, ToolMessage) else 0
    step.emit(
        "tool_called",
        tool=request.tool_call["name"],
        arguments=sorted(request.tool_call["args"]),
        status=status,
        characters=size,
        seconds=round(time.monotonic() - started, 6),
        **step.raised.pop(str(request.tool_call["id"]), {}),  # what it says may hold a secret, so type and place only
    )
    return result


def adopt_earlier_calls(step: Step, messages: Sequence[AnyMessage]) -> None:
    """Count what the step did before the run was stopped or paused, as its loop's messages since the task tell.

    They are there before the first model call of a step, or at its end without one, only where a loop is taken up again. Its
    open tool calls come before that and are counted where they are made, so each message is counted once.
    """
    new = [message for message in since_task(messages) if _id_of(message) not in step.counted]
    if not new:
        return
    step.counted.update(map(_id_of, new))
    count_calls(step, new, model=describe_model(step.model))
    answers = [message for message in new if isinstance(message, AIMessage) and not _is_ours(message)]
    step.attempts += len(answers)
    step.last_text = next((m.text for m in reversed(answers) if m.text), step.last_text)


def count_calls(step: Step, messages: Sequence[AnyMessage], *, model: str = "") -> None:
    """Book the calls that the messages since the last human one tell of.

    Args:
        step: Whose calls they are.
        messages: The conversation of a loop.
        model: What answered, for the price; by default what each message says.
    """
    since = since_task(messages)
    tools = sum(1 for message in since if isinstance(message, ToolMessage))
    usage = Usage(model_calls=0, tool_calls=tools, input_tokens=0, output_tokens=0, usd=0.0)
    for message in since:
        if isinstance(message, AIMessage) and not _is_ours(message):
            counted = message.usage_metadata
            tokens = (counted["input_tokens"], counted["output_tokens"]) if counted is not None else (0, 0)
            usage = add_usage(usage, _usage(model or message.response_metadata.get("model_name", ""), *tokens))
        elif (spent := fact_of(message, "usage")) is not None:  # of a colleague that was asked
            usage = add_usage(usage, spent)
    step.spend(usage)
    step.account.adopt(usage)


def since_task(messages: Sequence[AnyMessage]) -> list[AnyMessage]:
    """Return the messages after the last human one, in order: what a step did so far."""
    return list(takewhile(lambda message: not isinstance(message, HumanMessage), reversed(messages)))[::-1]


def _is_ours(message: AIMessage) -> bool:
    return NO_CALL in message.response_metadata


def _id_of(message: AnyMessage) -> str:
    return message.tool_call_id if isinstance(message, ToolMessage) else message.id or ""


def usage_of(model: str, request: ModelRequest[Any], answer: AIMessage) -> Usage:
    """Return what a call used: the provider's count where it gave one, else an estimate of four characters a token.

    The estimate is of all that was reserved for: the prompt, the messages, the tools, and the schema of the answer.
    """
    counted = answer.usage_metadata
    if counted is not None:
        return _usage(model, counted["input_tokens"], counted["output_tokens"])
    messages = [request.system_message, *request.messages] if request.system_message else request.messages
    tokens_in = count_tokens_approximately(messages) + sum(len(text) // _CHARACTERS for text in offered(request))
    return _usage(model, tokens_in, count_tokens_approximately([answer]))


def _usage(model: str, tokens_in: int, tokens_out: int) -> Usage:
    usage = Usage(model_calls=1, tool_calls=0, input_tokens=tokens_in, output_tokens=tokens_out, usd=None)
    usage["usd"] = price(model, usage)
    return usage
