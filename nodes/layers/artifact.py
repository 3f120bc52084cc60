"""What our own layers keep beside a tool's result: plain data under one key, which no tool of anybody else's may set."""

from __future__ import annotations

from typing import Any

from langchain_core.messages import AnyMessage, ToolMessage

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
    if not isinstance(result, ToolMessage) or not isinstance(result.artifact, dict) or _KEY not in result.artifact:
        return result
    rest = {key: value for key, value in result.artifact.items() if key != _KEY}
    return result.model_copy(update={"artifact": rest})
