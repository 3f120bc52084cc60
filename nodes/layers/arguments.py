"""Arguments: what is judged of a call is what will be carried out, so its arguments are read by the tool's schema first.

A model may write `"false"` or `"7"`. The tool gets a boolean or a number, and so does whoever decides whether a person has to
agree, and whoever tells two effects apart.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from langchain.agents.middleware.types import ToolCallRequest
from langchain_core.tools import BaseTool
from pydantic import BaseModel, ValidationError
from pydantic_core import PydanticSerializationError

from nodes.layers.layer import ToolCall, ToolResult
from state.redaction import lacks


async def read_arguments(request: ToolCallRequest, call: ToolCall) -> ToolResult:
    """Make the call with its arguments as the tool reads them; those that it cannot read are for the tool to refuse."""
    given = request.tool_call["args"]
    read = as_read(request.tool, given)
    return await call(
        request if read == given else request.override(tool_call={**request.tool_call, "args": dict(read)})
    )


def without_defaults(tool: BaseTool | None, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return arguments as `as_read` gives them, without those that say what the tool takes anyway."""
    schema = tool.tool_call_schema if tool is not None else None
    fields = schema.model_fields if isinstance(schema, type) and issubclass(schema, BaseModel) else {}
    usual = {name: field.get_default() for name, field in fields.items() if not field.is_required()}
    return {name: value for name, value in given.items() if name not in usual or _differ(value, usual[name])}


def _differ(one: Any, other: Any) -> bool:
    return type(one) is not type(other) or bool(one != other)


def as_read(tool: BaseTool | None, given: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the arguments of a call, as far as they are given, as plain data of the types that the tool declares.

    They stay as they are where the tool has no types for them, or would read something else from the result.
    """
    schema = tool.tool_call_schema if tool is not None else None
    if not (isinstance(schema, type) and issubclass(schema, BaseModel)) or lacks(given):
        return given
    try:
        wanted = schema.model_validate(given)
        told, values = wanted.model_dump(mode="json", by_alias=True), wanted.model_dump(by_alias=True)
        read = {name: told.get(name, value) if _has_order(values.get(name)) else value for name, value in given.items()}
        return read if schema.model_validate(read) == wanted else given
    except (ValidationError, PydanticSerializationError):
        return given


def _has_order(value: Any) -> bool:
    """Whether a value is told alike in every process: a set is not, and the key of an effect must be."""
    if isinstance(value, Mapping):
        return all(map(_has_order, value.values()))
    return all(map(_has_order, value)) if isinstance(value, list | tuple) else not isinstance(value, set | frozenset)
