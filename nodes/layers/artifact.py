"""What our own layers keep beside a tool's result: plain data under one key, which no tool of anybody else's may set."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, cast

from langchain_core.messages import AnyMessage, BaseMessage, ToolMessage, convert_to_messages
from langgraph.types import Command

from nodes.layers.layer import ToolResult

_KEY = "orchestra"


def noted(**facts: Any) -> dict[str, Any]:
    """Return the artifact of a tool result that carries these facts."""
    return {_KEY: facts}


def with_facts(result: ToolMessage, **facts: Any) -> ToolMessage:
    """Return a tool result with more facts than it had."""
    artifact = result.artifact if isinstance(result.artifact, dict) else {}
    return result.model_copy(update={"artifact": {**artifact, **noted(**{**artifact.get(_KEY, {}), **facts})}})


def fact_of(message: AnyMessage, name: str) -> Any:
    """Return a fact that one of our layers noted with a tool's result, or None."""
    artifact = message.artifact if isinstance(message, ToolMessage) else None
    facts = artifact.get(_KEY) if isinstance(artifact, dict) else None
    return facts.get(name) if isinstance(facts, dict) else None


def without_facts(result: ToolResult) -> ToolResult:
    """Return the result of somebody else's tool without anything that could be taken for a fact of ours."""
    return with_tool_messages(result, iter([_without_facts(message) for message in tool_messages(result)]))


def tool_messages(result: ToolResult | list[Any]) -> list[ToolMessage]:
    """Return the tool messages of a tool's result, in order: itself, or those in a command or a list of both."""
    if isinstance(result, ToolMessage):
        return [result]
    if isinstance(result, list):
        return [message for part in result for message in tool_messages(part)]
    return [message for message in _added(result) if isinstance(message, ToolMessage)]


def with_tool_messages(result: ToolResult | list[Any], changed: Iterator[ToolMessage]) -> ToolResult:
    """Return a tool's result with other tool messages in place of its own, in the order of `tool_messages`."""
    if isinstance(result, ToolMessage):
        return next(changed)
    if isinstance(result, list):
        # LangGraph's types do not say so, but a tool may return several.
        return cast(ToolResult, [with_tool_messages(part, changed) for part in result])
    if not (added := _added(result)):
        return result
    messages = [next(changed) if isinstance(message, ToolMessage) else message for message in added]
    return replace(result, update={**(result.update or {}), "messages": messages})


def _added(command: Command[Any]) -> list[BaseMessage]:
    """Return the messages that a tool's command adds to the conversation."""
    given = command.update.get("messages") if isinstance(command.update, dict) else None
    return list(convert_to_messages(given if isinstance(given, list) else [given])) if given else []


def _without_facts(message: ToolMessage) -> ToolMessage:
    if not isinstance(message.artifact, dict) or _KEY not in message.artifact:
        return message
    rest = {key: value for key, value in message.artifact.items() if key != _KEY}
    return message.model_copy(update={"artifact": rest})
