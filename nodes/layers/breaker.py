"""Breaker: a model or tool that fails again and again is not called for a while, so that nobody waits for it in vain."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from inspect import unwrap
from typing import Any, TypeVar

from langchain.agents.middleware.types import ModelRequest, ModelResponse, ToolCallRequest
from langchain_core.tools import BaseTool, ToolException

from nodes.breakers import Breaker, breaker_of
from nodes.layers.layer import ModelCall, ToolCall, ToolResult
from nodes.layers.retry import is_final, is_retryable
from nodes.layers.timeout import AttemptTimeout
from nodes.models import describe_model
from nodes.step import Step, current_step

T = TypeVar("T")


async def model_breaker(request: ModelRequest[Any], call: ModelCall) -> ModelResponse[Any]:
    """Call the model unless it failed too often in a row. A fallback model has a breaker of its own.

    Raises:
        CircuitOpen: It is left alone for now; nothing was sent.
    """
    breaker = breaker_of(request.model, describe_model(request.model))
    return await _guarded(current_step(), breaker, lambda: call(request), _is_ill)


async def tool_breaker(request: ToolCallRequest, call: ToolCall) -> ToolResult:
    """Call the tool unless it failed too often in a row; what a tool refuses by `ToolException` is no failure.

    Raises:
        CircuitOpen: It is left alone for now; it was not called.
    """
    if request.tool is None:
        return await call(request)
    breaker = breaker_of(_code_of(request.tool), request.tool_call["name"])
    return await _guarded(
        current_step(), breaker, lambda: call(request), lambda error: not isinstance(error, ToolException)
    )


async def _guarded(
    step: Step, breaker: Breaker, call: Callable[[], Awaitable[T]], is_failure: Callable[[Exception], bool]
) -> T:
    number = breaker.admit(step.policy.breaker_reset)
    try:
        result = await call()
    except asyncio.CancelledError:
        breaker.left(number)
        raise
    except Exception as error:
        if is_final(error) or not is_failure(error):
            breaker.left(number)
        elif breaker.failed(number, step.policy.breaker_failures):
            step.emit("decided", decision="breaker_opened", subject=breaker.name, reason=type(error).__name__)
        raise
    if breaker.succeeded(number):
        step.emit("decided", decision="breaker_closed", subject=breaker.name)
    return result


def _is_ill(error: Exception) -> bool:
    """Whether an error is about the service rather than about the request."""
    return isinstance(error, AttemptTimeout) or is_retryable(error)


def _code_of(tool: BaseTool) -> Any:
    """Return what two copies of a tool share."""
    function = getattr(tool, "func", None) or getattr(tool, "coroutine", None)
    return unwrap(function) if function is not None else tool
