"""Valid history: what goes to a model always satisfies the strict provider rule, and no tool result is lost on the way.

The rule: every tool call is answered exactly once, by messages that follow it directly. A history breaks it when a run was
cancelled during a tool, when a handoff stood beside another call, or when messages were trimmed in the middle.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from langchain.agents.middleware.types import ModelRequest, ModelResponse
from langchain_core.messages import AIMessage, AnyMessage, HumanMessage, ToolMessage

from nodes.layers.layer import ModelCall

MAX_CHARACTERS = 200_000
"""Longest text of one message that is sent; the middle of a longer one is cut out and the cut is named."""

NOT_ANSWERED = "This call was not carried out: the run moved on or was stopped before it ended."


async def valid_history(request: ModelRequest[Any], call: ModelCall) -> ModelResponse[Any]:
    """Send a history in which every tool call is answered once, and every text can be encoded."""
    return await call(request.override(messages=compile_history(request.messages)))


def compile_history(messages: Sequence[AnyMessage]) -> list[AnyMessage]:
    """Return messages that satisfy the strict provider rule; a valid history comes back unchanged.

    Laws: idempotent; the text of every tool result of the input is in the output; order is kept otherwise.
    """
    answers: dict[str, list[ToolMessage]] = {}
    for message in messages:
        if isinstance(message, ToolMessage):
            answers.setdefault(message.tool_call_id, []).append(message)
    compiled: list[AnyMessage] = []
    placed: set[int] = set()
    for message in messages:
        if isinstance(message, ToolMessage):
            if id(message) not in placed and not _asked_later(message, messages):
                compiled.append(_as_note(message))
                placed.add(id(message))
            continue
        compiled.append(encodable(message))
        if isinstance(message, AIMessage):
            for tool_call in message.tool_calls:
                results = [m for m in answers.get(tool_call["id"] or "", []) if id(m) not in placed]
                compiled.append(encodable(_one_answer(tool_call["id"] or "", tool_call["name"], results)))
                placed.update(id(m) for m in results)
    return compiled


def encodable(message: AnyMessage) -> AnyMessage:
    """Return the message with text that UTF-8 can encode and that is not endless; the same object if it was fine."""
    if not isinstance(message.content, str):
        return message
    text = message.content
    if not text.isascii():
        text = text.encode("utf-8", "replace").decode("utf-8")
    if len(text) > MAX_CHARACTERS:
        text = clip(text, MAX_CHARACTERS)
    return (
        message if text is message.content or text == message.content else message.model_copy(update={"content": text})
    )


def clip(text: str, most: int) -> str:
    """Return the text with its middle cut out where it is longer than `most` characters; says how much is missing."""
    if len(text) <= most:
        return text
    half = max(0, most - 60) // 2
    return f"{text[:half]}\n[... {len(text) - 2 * half} characters left out ...]\n{text[len(text) - half :]}"


def _one_answer(call_id: str, name: str, results: list[ToolMessage]) -> ToolMessage:
    if not results:
        return ToolMessage(NOT_ANSWERED, tool_call_id=call_id, name=name, status="error")
    if len(results) == 1:
        return results[0]
    return results[-1].model_copy(update={"content": "\n\n".join(m.text for m in results)})


def _asked_later(result: ToolMessage, messages: Sequence[AnyMessage]) -> bool:
    """Whether some message asks for this result, so that it is or will be placed behind its call."""
    return any(isinstance(m, AIMessage) and any(c["id"] == result.tool_call_id for c in m.tool_calls) for m in messages)


def _as_note(result: ToolMessage) -> HumanMessage:
    name = f" of {result.name}" if result.name else ""
    return HumanMessage(f"Result{name} from an earlier call:\n{clip(result.text, MAX_CHARACTERS)}", id=result.id)
