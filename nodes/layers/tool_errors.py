"""Tool errors: a tool that raises or hangs becomes a tool result the model can read, so its siblings and thread live on."""

from __future__ import annotations

from langchain.agents.middleware.types import ToolCallRequest
from langchain_core.messages import ToolMessage
from langchain_core.tools import ToolException

from nodes.layers.history import clip, encodable
from nodes.layers.layer import ToolCall, ToolResult
from nodes.layers.retry import is_final
from nodes.layers.timeout import AttemptTimeout, time_limit
from nodes.step import current_step
from state.errors import OrchestraError

MAX_RESULT = 40_000
"""Characters of one tool result that a model is shown; the middle of a longer one is cut out and the cut is named."""


async def tool_errors(request: ToolCallRequest, call: ToolCall) -> ToolResult:
    """Run the tool within the attempt's time limit; say what went wrong without what an exception may carry."""
    step = current_step()
    try:
        async with time_limit(step, step.policy.timeout):
            result = await call(request)
    except Exception as error:
        if is_final(error):
            raise
        return _failed(request, describe_tool_error(error))
    return _shown(result) if isinstance(result, ToolMessage) else result


def describe_tool_error(error: Exception) -> str:
    """Return what a model is told. Only errors that were written for it are shown in full: others may hold a secret."""
    if isinstance(error, ToolException | OrchestraError | AttemptTimeout):
        return f"Error: {error}"
    return f"Error: the tool failed ({type(error).__name__})."


def _shown(result: ToolMessage) -> ToolMessage:
    shown = encodable(result)
    if isinstance(shown.content, str) and len(shown.content) > MAX_RESULT:
        shown = shown.model_copy(update={"content": clip(shown.content, MAX_RESULT)})
    assert isinstance(shown, ToolMessage)
    return shown


def _failed(request: ToolCallRequest, text: str) -> ToolMessage:
    return ToolMessage(text, tool_call_id=request.tool_call["id"], name=request.tool_call["name"], status="error")
