"""Tool errors: a tool that raises or hangs becomes a tool result the model can read, so its siblings and thread live on."""

from __future__ import annotations

import asyncio
import sys
import traceback
from pathlib import Path

from langchain.agents.middleware.types import ToolCallRequest
from langchain_core.messages import ToolMessage
from langchain_core.tools import ToolException

from nodes.coroutines import Exited
from nodes.layers.layer import ToolCall, ToolResult
from nodes.layers.retry import is_final
from nodes.layers.timeout import AttemptTimeout
from nodes.step import current_step
from state.errors import OrchestraError


async def tool_errors(request: ToolCallRequest, call: ToolCall) -> ToolResult:
    """Run the tool; say what went wrong without what an exception may carry."""
    try:
        return await call(request)
    except asyncio.CancelledError as error:
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise
        return _failed(request, error)  # the tool raised it by itself
    except Exception as error:
        if is_final(error):
            raise
        return _failed(request, error)


def describe_tool_error(error: BaseException) -> str:
    """Return what a model is told. Only errors that were written for it are shown in full: others may hold a secret."""
    if isinstance(error, ToolException | OrchestraError | AttemptTimeout | Exited):
        return f"Error: {error}"
    return f"Error: the tool failed ({type(error).__name__})."


def _where(error: BaseException) -> str:
    """Return file and line that an error comes from, outside of libraries if it can be; what it says may hold a secret."""
    frames = traceback.extract_tb(error.__traceback__)
    theirs = [frame for frame in frames if not frame.filename.startswith((sys.prefix, sys.base_prefix))] or frames
    return f"{Path(theirs[-1].filename).name}:{theirs[-1].lineno}" if theirs else ""


def _failed(request: ToolCallRequest, error: BaseException) -> ToolMessage:
    called, text = request.tool_call, describe_tool_error(error)
    current_step().raised[str(called["id"])] = {"error": type(error).__name__, "where": _where(error)}
    return ToolMessage(text, tool_call_id=called["id"], name=called["name"], status="error")
