"""Alternation: a history that also providers take which want turns to alternate, and no message to be empty.

Anthropic's rule: a person begins, nothing is empty. Gemini's: calls follow a person's turn or results, so a model's words and its
calls are one turn. What satisfies them satisfies OpenAI, which asks for less.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from langchain.agents.middleware.types import ModelRequest, ModelResponse
from langchain_core.messages import AIMessage, AnyMessage, HumanMessage, SystemMessage

from nodes.layers.history import joined
from nodes.layers.layer import ModelCall

BEGINNING = "[The conversation began earlier; what was said then is left out.]"
NOTHING = "[nothing was said]"


async def alternation(request: ModelRequest[Any], call: ModelCall) -> ModelResponse[Any]:
    """Send a history that every provider takes."""
    return await call(request.override(messages=alternating(request.messages)))


def alternating(messages: Sequence[AnyMessage]) -> list[AnyMessage]:
    """Return a valid history (`compile_history`) in which a person begins and models' turns do not follow each other.

    Laws: idempotent; no text and no result is lost; order is kept; a history that is fine comes back with the same messages.
    """
    turned: list[AnyMessage] = []
    for message in messages:
        if isinstance(message, AIMessage) and not message.tool_calls and _is_empty(message):
            continue
        if isinstance(message, HumanMessage) and _is_empty(message):
            message = message.model_copy(update={"content": NOTHING})  # the same one, with words
        last = turned[-1] if turned else None
        if isinstance(message, AIMessage) and isinstance(last, AIMessage) and not last.tool_calls:
            turned[-1] = _one_turn(last, message)
        else:
            turned.append(message)
    begins = next((at for at, message in enumerate(turned) if not isinstance(message, SystemMessage)), len(turned))
    if begins < len(turned) and not isinstance(turned[begins], HumanMessage):
        turned.insert(begins, HumanMessage(BEGINNING))
    return turned


def _one_turn(first: AIMessage, second: AIMessage) -> AIMessage:
    if _is_empty(second):
        return second.model_copy(update={"content": first.content})
    return second.model_copy(update={"content": joined([first.content, second.content])})


def _is_empty(message: AnyMessage) -> bool:
    content = message.content
    return not content.strip() if isinstance(content, str) else not content
