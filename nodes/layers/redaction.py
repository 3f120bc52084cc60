"""Redaction: no secret reaches a model, and no tool is called with a note where a secret was.

A tool of this process still gets what the model wrote; what it needs of secrets it reads itself (`state.secrets.secret`).
"""

from __future__ import annotations

from typing import Any

from langchain.agents.middleware.types import ModelRequest, ModelResponse, ToolCallRequest
from langchain_core.messages import AIMessage, AnyMessage, SystemMessage, ToolMessage

from nodes.layers.layer import ModelCall, ToolCall, ToolResult
from nodes.step import current_step
from state.redaction import lacks, redacting, shown

_FIELDS = ("content", "name", "additional_kwargs")
_CALLS = ("tool_calls", "invalid_tool_calls")


async def secretless(request: ModelRequest[Any], call: ModelCall) -> ModelResponse[Any]:
    """Send a history without secrets, and without the personal data that the run wants taken out."""
    with redacting(current_step().context.redact):
        messages = [without_secrets(message) for message in request.messages]
        system = without_secrets(request.system_message) if request.system_message is not None else None
    assert system is None or isinstance(system, SystemMessage)
    return await call(request.override(messages=messages, system_message=system))


async def whole_arguments(request: ToolCallRequest, call: ToolCall) -> ToolResult:
    """Make the call unless its arguments lack what was taken out of them: then the model is told, and nothing is done."""
    name, arguments = request.tool_call["name"], request.tool_call["args"]
    lacking = [key for key, value in arguments.items() if lacks(key) or lacks(value)]
    if not lacking:
        return await call(request)
    current_step().emit("decided", decision="refuse_redacted", tool=name, arguments=sorted(map(str, lacking)))
    text = (
        f"Not carried out: {', '.join(map(repr, lacking))} of {name} held a secret or personal data, which is neither stored nor "
        "shown, so the value is not there any more. Expected a call without it: tools read secrets themselves. Nothing was done "
        "now; if the call was begun before the run was taken up again, look whether it happened."
    )
    return ToolMessage(text, tool_call_id=request.tool_call["id"], name=name, status="error")


def without_secrets(message: AnyMessage) -> AnyMessage:
    """Return a message as a model may see it; the same object if there was nothing to take out."""
    changes = {}
    for field in (*_FIELDS, *_CALLS) if isinstance(message, AIMessage) else _FIELDS:
        value = getattr(message, field)
        if value and (new := shown(value)) is not value:
            changes[field] = new
    return message.model_copy(update=changes) if changes else message
