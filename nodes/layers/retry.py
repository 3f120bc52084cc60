"""The one retry layer: classify, back off, try again, then turn to the fallback models."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from email.utils import parsedate_to_datetime
from typing import Any, TypeVar

from langchain.agents.middleware.types import ModelRequest, ModelResponse
from langchain_core.exceptions import ModelError as ProviderError
from langchain_core.language_models import BaseChatModel
from langgraph.errors import GraphBubbleUp, is_invalid_resume

from nodes.layers.layer import ModelCall
from nodes.layers.timeout import seconds_left
from nodes.models import aload_model
from nodes.step import Step, current_step
from state.errors import BudgetExceeded, InvalidAnswer, OrchestraError, PersistenceError, ScriptError

MAX_BACKOFF = 8.0
"""Seconds; the longest wait of our own choosing."""
MAX_RETRY_AFTER = 30.0
"""Seconds; a provider that asks for more is turned away from at once."""

ResultT = TypeVar("ResultT")


async def retry(request: ModelRequest[Any], call: ModelCall) -> ModelResponse[Any]:
    """Try the model, again where that may help, then each fallback model once.

    Bound: `policy.max_attempts` calls in all, repairs by the output check included; one is kept back per fallback model.
    """
    step = current_step()
    most, models = step.policy.max_attempts, _fallback_models(step)[step.passed_over :]
    step.call_attempts, step.call_limit = 0, max(1, most - len(models))
    try:
        return await attempt(lambda: call(request), step, most=step.call_limit)
    except Exception as error:
        if is_final(error):
            raise
        failure = error
    for left, model in zip(range(len(models) - 1, -1, -1), models, strict=True):
        if step.call_attempts >= most:
            break
        step.emit("decided", decision="fallback", reason=type(failure).__name__)
        step.call_limit = max(step.call_attempts + 1, most - left)
        try:
            return await call(request.override(model=await aload_model(model, call_limit=step.policy.timeout)))
        except Exception as error:
            if is_final(error):
                raise
            failure = error
    raise failure


async def load_first(model: str | BaseChatModel | None, step: Step) -> BaseChatModel:
    """Return a step's model; where that cannot be loaded, the first of its fallback models that can.

    Raises:
        ModelError: None can be; it says what the step's own model lacks.
    """
    try:
        return await aload_model(model, call_limit=step.policy.timeout)
    except Exception as error:
        if is_final(error):
            raise
        own = failure = error
    for number, fallback in enumerate(_fallback_models(step), 1):
        step.emit("decided", decision="fallback", reason=type(failure).__name__)
        try:
            loaded = await aload_model(fallback, call_limit=step.policy.timeout)
        except Exception as error:
            if is_final(error):
                raise
            failure = error
        else:
            step.passed_over = number
            return loaded
    raise own


def _fallback_models(step: Step) -> list[str | BaseChatModel]:
    return [fallback.model for fallback in step.policy.fallbacks() if fallback.model is not None]


async def attempt(call: Callable[[], Awaitable[ResultT]], step: Step, *, most: int) -> ResultT:
    """Call until it succeeds, fails for good, or `most` attempts of the step's logical call are used up."""
    while True:
        before = step.call_attempts
        try:
            return await call()
        except Exception as error:
            step.call_attempts = max(step.call_attempts, before + 1)
            wait = seconds_to_wait(error, step.call_attempts, backoff=step.policy.backoff)
            left = seconds_left(step)
            if wait is None or step.call_attempts >= most or (left is not None and wait >= left):
                raise
        await asyncio.sleep(wait)


def is_final(error: Exception) -> bool:
    """Whether an error ends the step whatever could be tried instead: it is about the run, or a limit was reached."""
    return isinstance(error, BudgetExceeded) or concerns_run(error)


def concerns_run(error: Exception) -> bool:
    """Whether an error is none of the agent's: a pause or a wrong answer to one, storage, or a script that ran out."""
    about_run = isinstance(error, GraphBubbleUp | PersistenceError | ScriptError | InvalidAnswer)
    return about_run or is_invalid_resume(error)


def seconds_to_wait(error: Exception, attempts: int, *, backoff: float) -> float | None:
    """Return how long to wait before another attempt, or None when another attempt cannot help."""
    if not is_retryable(error):
        return None
    asked = retry_after(error)
    if asked is not None:
        return asked if asked <= MAX_RETRY_AFTER else None
    full = min(MAX_BACKOFF, backoff * 2.0 ** (attempts - 1))
    return full * random.uniform(0.5, 1.0)


def is_retryable(error: BaseException) -> bool:
    """Whether the same request may succeed later: rate limits, server errors, and connections that broke."""
    if isinstance(error, ProviderError):
        return error.is_retryable
    if isinstance(error, TimeoutError | OrchestraError):
        return False
    return isinstance(error, ConnectionError) or _is_transport_error(error)


def retry_after(error: BaseException) -> float | None:
    """Return the seconds a provider asked to wait, from the error's response headers; None when it did not say."""
    headers = getattr(getattr(error, "response", None), "headers", None)
    value = headers.get("retry-after") if headers is not None else None
    if value is None:
        return None
    with suppress(ValueError):
        return max(0.0, float(value))
    with suppress(ValueError):
        return max(0.0, parsedate_to_datetime(value).timestamp() - time.time())
    return None


def _is_transport_error(error: BaseException) -> bool:
    # By name, so that importing an agent does not import the HTTP client.
    return any(
        kind.__name__ == "TransportError" and kind.__module__.startswith("httpx") for kind in type(error).__mro__
    )
