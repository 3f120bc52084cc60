"""Threads for sync code: one of its own for each call, so that code which never ends holds up nothing else.

A pool has few threads on a small machine: six calls that hang would stop every later one, and keep the program from exiting.
"""

from __future__ import annotations

import asyncio
import contextvars
import functools
import inspect
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any, ParamSpec, TypeVar

from langchain_core.tools import BaseTool, StructuredTool
from langchain_core.tools import tool as as_tool

from nodes.coroutines import Unblocked, end_thread
from state.redaction import logger

_log = logger(__name__)

P = ParamSpec("P")
T = TypeVar("T")


async def in_thread(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Call a sync function in a new thread, with the caller's context variables, and return what it returns.

    When the wait is cancelled the function is ended as soon as it runs Python code again; until then it goes on unheard, and what
    it gives is not used. It does not keep the program alive.
    """
    loop, context = asyncio.get_running_loop(), contextvars.copy_context()
    result: asyncio.Future[T] = loop.create_future()

    def hand_over(value: T | None, error: BaseException | None) -> None:
        if result.done():
            _log.warning("%s came back late; what it gave is not used", getattr(function, "__name__", "a function"))
            return
        if error is not None:
            result.set_exception(error)
        else:
            result.set_result(value)  # type: ignore[arg-type]  # a value is there when there is no error

    def work() -> None:
        value: T | None = None
        error: BaseException | None = None
        try:
            value = context.run(function, *args, **kwargs)
        except StopIteration as stop:
            error = RuntimeError(f"{stop!r} raised by {function!r}")  # no future can hold a StopIteration
        except BaseException as raised:  # noqa: BLE001  # handed to the caller, whatever it is
            error = raised
        with suppress(RuntimeError):  # the loop has been closed, and nobody waits
            loop.call_soon_threadsafe(hand_over, value, error)

    thread = threading.Thread(target=work, name=f"orchestra {getattr(function, '__name__', 'call')}", daemon=True)
    thread.start()
    try:
        return await result
    except asyncio.CancelledError:
        end_thread(thread)
        raise


def threaded(tool: Any) -> Any:
    """Return the tool with an async form that cannot block the event loop: of a sync function in a thread of its own.

    A dict describes a tool of the provider, and stays as it is.
    """
    if isinstance(tool, dict):
        return tool
    tool = tool if isinstance(tool, BaseTool) else as_tool(tool)
    if not isinstance(tool, StructuredTool) or (tool.coroutine is None and tool.func is None):
        return tool
    if tool.coroutine is not None:
        return tool.model_copy(update={"coroutine": _unblocked(tool.coroutine, tool.name)})
    function = tool.func
    assert function is not None
    if "callbacks" in inspect.signature(function).parameters:
        return tool  # LangChain would hand it the callbacks of async code

    @functools.wraps(function)
    async def call(*args: Any, **kwargs: Any) -> Any:
        return await in_thread(function, *args, **kwargs)

    return tool.model_copy(update={"coroutine": call})


def _unblocked(function: Callable[..., Any], name: str) -> Callable[..., Any]:
    @functools.wraps(function)
    async def call(*args: Any, **kwargs: Any) -> Any:
        return await Unblocked(function(*args, **kwargs), name)

    return call
