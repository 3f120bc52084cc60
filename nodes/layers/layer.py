"""The shape of a layer, and how layers are put around a call."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

from langchain.agents.middleware.types import ModelRequest, ModelResponse, ToolCallRequest
from langchain_core.messages import ToolMessage
from langgraph.types import Command

ModelCall = Callable[[ModelRequest[Any]], Awaitable[ModelResponse[Any]]]
ModelLayer = Callable[[ModelRequest[Any], ModelCall], Awaitable[ModelResponse[Any]]]
ToolResult = ToolMessage | Command[Any]
ToolCall = Callable[[ToolCallRequest], Awaitable[ToolResult]]
ToolLayer = Callable[[ToolCallRequest, ToolCall], Awaitable[ToolResult]]


class QuickRequest(ModelRequest[Any]):
    """A model request that is made and changed at once: LangChain's silences, and gives, a warning for each of its fields."""

    def __init__(self, like: ModelRequest[Any] | None = None, **fields: Any) -> None:
        if like is None:
            empty: dict[str, Any] = {"system_message": None, "tool_choice": None, "tools": [], "response_format": None}
            vars(self).update(empty, state={"messages": []}, model_settings={})
        else:
            vars(self).update(vars(like))
        vars(self).update(fields)

    def override(self, **changes: Any) -> QuickRequest:
        """Return the request with some of its fields changed."""
        return QuickRequest(self, **changes)


RequestT = TypeVar("RequestT")
ResultT = TypeVar("ResultT")


def wrap(
    layers: Sequence[Callable[[RequestT, Callable[[RequestT], Awaitable[ResultT]]], Awaitable[ResultT]]],
    call: Callable[[RequestT], Awaitable[ResultT]],
) -> Callable[[RequestT], Awaitable[ResultT]]:
    """Return the call with all layers around it, the first one outermost."""
    for layer in reversed(layers):
        call = _around(layer, call)
    return call


def _around(
    layer: Callable[[RequestT, Callable[[RequestT], Awaitable[ResultT]]], Awaitable[ResultT]],
    call: Callable[[RequestT], Awaitable[ResultT]],
) -> Callable[[RequestT], Awaitable[ResultT]]:
    def wrapped(request: RequestT) -> Awaitable[ResultT]:
        return layer(request, call)

    return wrapped
