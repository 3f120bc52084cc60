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

P = ParamSpec("P")
T = TypeVar("T")


async def in_thread(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Call a sync function in a new thread, with the caller's context variables, and return what it returns.

    When the wait is cancelled the function goes on unheard: nothing can stop a thread. It does not keep the program alive.
    """
    loop, context = asyncio.get_running_loop(), contextvars.copy_context()
    result: asyncio.Future[T] = loop.create_future()

    def hand_over(value: T | None, error: BaseException | None) -> None:
        if result.done():
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

    threading.Thread(target=work, name=f"orchestra {getattr(function, '__name__', 'call')}", daemon=True).start()
    return await result


def threaded(tool: Any) -> Any:
    """Return the tool with an async form that calls its sync function in a thread; the tool itself if it has one.

    A dict describes a tool of the provider, and stays as it is.
    """
    if isinstance(tool, dict):
        return tool
    tool = tool if isinstance(tool, BaseTool) else as_tool(tool)
    if not isinstance(tool, StructuredTool) or tool.coroutine is not None or tool.func is None:
        return tool
    if "callbacks" in inspect.signature(tool.func).parameters:
        return tool  # LangChain would hand it the callbacks of async code
    function = tool.func

    @functools.wraps(function)
    async def call(*args: Any, **kwargs: Any) -> Any:
        return await in_thread(function, *args, **kwargs)

    return tool.model_copy(update={"coroutine": call})
