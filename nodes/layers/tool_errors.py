"""Tool errors: a tool that raises or hangs becomes a tool result the model can read, so its siblings and thread live on."""

from __future__ import annotations

from langchain.agents.middleware.types import ToolCallRequest
from langchain_core.messages import ToolMessage
from langchain_core.tools import ToolException
from langgraph.errors import GraphBubbleUp

from nodes.layers.history import clip, encodable
from nodes.layers.layer import ToolCall, ToolResult
from nodes.layers.timeout import AttemptTimeout, time_limit
from nodes.step import current_step
from state.errors import BudgetExceeded, OrchestraError, PersistenceError

MAX_RESULT = 40_000
"""Characters of one tool result that a model is shown; the middle of a longer one is cut out and the cut is named."""


async def tool_errors(request: ToolCallRequest, call: ToolCall) -> ToolResult:
    """Run the tool within the attempt's time limit; say what went wrong without what an exception may carry."""
    try:
        async with time_limit(current_step()):
            result = await call(request)
    except (GraphBubbleUp, BudgetExceeded, PersistenceError):
        raise
    except Exception as error:  # noqa: BLE001  # the one edge where a tool runs
        return _failed(request, describe_tool_error(error))
    if isinstance(result, ToolMessage):
        shown = encodable(result)
        if isinstance(shown.content, str) and len(shown.content) > MAX_RESULT:
            shown = shown.model_copy(update={"content": clip(shown.content, MAX_RESULT)})
        assert isinstance(shown, ToolMessage)
        return shown
    return result


def describe_tool_error(error: Exception) -> str:
    """Return what a model is told. Only errors that were written for it are shown in full: others may hold a secret."""
    if isinstance(error, ToolException | OrchestraError | AttemptTimeout):
        return f"Error: {error}"
    return f"Error: the tool failed ({type(error).__name__})."


def _failed(request: ToolCallRequest, text: str) -> ToolMessage:
    return ToolMessage(text, tool_call_id=request.tool_call["id"], name=request.tool_call["name"], status="error")
