"""Threads for sync code: one of its own for each call, so that code which never ends holds up nothing else.

A pool has few threads on a small machine: six calls that hang would stop every later one, and keep the program from exiting.
"""

from __future__ import annotations

import asyncio
import contextvars
import functools
import threading
from collections.abc import Callable, Coroutine
from contextlib import suppress
from inspect import signature
from typing import Any, ParamSpec, TypeVar

from langchain_core.callbacks import AsyncCallbackManagerForChainRun, AsyncCallbackManagerForToolRun
from langchain_core.tools import BaseTool, StructuredTool, Tool
from langchain_core.tools import tool as as_tool

from nodes.coroutines import end_thread, exited, unblocked
from state.redaction import logger
from tools.colleagues import ColleagueTool, HandoffTool

_OF_FUNCTIONS = (StructuredTool._arun, StructuredTool._run, Tool._arun, Tool._run)
"""How tools run that were made of functions."""
_TO_A_POOL = (StructuredTool.ainvoke, Tool.ainvoke)
"""How such a tool is called, past its async form, when it has no async function."""
_ASYNC = (AsyncCallbackManagerForToolRun, AsyncCallbackManagerForChainRun)
"""What LangChain hands to async code; sync code gets its sync form."""

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
        except SystemExit as exit_:
            error = exited(exit_)
        except BaseException as raised:  # noqa: BLE001  # handed to the caller, whatever it is
            error = raised
        with suppress(RuntimeError):  # the loop has been closed, and nobody waits
            loop.call_soon_threadsafe(hand_over, value, error)

    thread = threading.Thread(target=work, name=f"orchestra {getattr(function, '__name__', 'call')}", daemon=True)
    thread.start()
    try:
        return await result
    except asyncio.CancelledError:
        if result.cancelled():  # and not raised by the function itself
            end_thread(thread)
        raise


def threaded(tool: Any) -> Any:
    """Return the tool with an async form that cannot block the event loop: of sync code in a thread of its own.

    A dict describes a tool of the provider, and stays as it is; so do the tools that the agent step itself carries out.
    """
    if isinstance(tool, dict | ColleagueTool | HandoffTool):
        return tool
    tool = tool if isinstance(tool, BaseTool) else as_tool(tool)
    if type(tool)._arun not in _OF_FUNCTIONS:
        return _with_own_code_guarded(tool)
    if tool.coroutine is not None:
        return tool.model_copy(update={"coroutine": unblocked(tool.coroutine, tool.name)})
    # LangChain would hand it the callbacks of async code.
    if tool.func is None or type(tool)._run not in _OF_FUNCTIONS or "callbacks" in signature(tool.func).parameters:
        return _with_own_code_guarded(tool)
    return tool.model_copy(update={"coroutine": in_threads(tool.func)})


def in_threads(function: Callable[..., T], name: str = "") -> Callable[..., Coroutine[Any, Any, T]]:
    """Return a sync function as an async one, each call of it in a thread of its own that has its name, or the one given."""

    @functools.wraps(function)
    def named(*args: Any, **kwargs: Any) -> T:
        given = {key: value.get_sync() if isinstance(value, _ASYNC) else value for key, value in kwargs.items()}
        return function(*args, **given)

    named.__name__ = name or getattr(function, "__name__", "call")

    @functools.wraps(function)
    async def call(*args: Any, **kwargs: Any) -> T:
        return await in_thread(named, *args, **kwargs)

    return call


def _with_own_code_guarded(tool: BaseTool) -> BaseTool:
    """Return a tool that is a class with its own code; what that keeps on itself, it keeps on the tool that was given."""
    call: Callable[..., Any]
    if type(tool)._arun in (BaseTool._arun, *_OF_FUNCTIONS):
        call = functools.wraps(tool._arun)(in_threads(tool._run, tool.name))
    else:
        call = unblocked(tool._arun, tool.name)
    copy = tool.model_copy()
    vars(copy)["_arun"] = call  # no field, and not for the class, which other tools share
    if isinstance(tool, StructuredTool | Tool) and type(tool).ainvoke in _TO_A_POOL and tool.coroutine is None:
        vars(copy)["ainvoke"] = functools.partial(BaseTool.ainvoke, copy)
    return copy
