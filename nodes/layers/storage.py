"""Storage: nothing more is begun once something of the run could not be stored.

LangGraph tells of a result that could not be stored at the end of the run only, if the storage works again meanwhile.
"""

from __future__ import annotations

from typing import Any

from langchain.agents.middleware.types import ModelRequest, ModelResponse, ToolCallRequest

from nodes.layers.layer import ModelCall, ToolCall, ToolResult
from nodes.step import current_step


async def model_storage(request: ModelRequest[Any], call: ModelCall) -> ModelResponse[Any]:
    """Make the call unless the storage under the run has failed."""
    _refuse_after_fault()
    return await call(request)


async def tool_storage(request: ToolCallRequest, call: ToolCall) -> ToolResult:
    """Make the call unless the storage under the run has failed."""
    _refuse_after_fault()
    return await call(request)


def _refuse_after_fault() -> None:
    if faults := current_step().run.faults:
        raise faults[0]
