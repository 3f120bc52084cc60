"""Compaction: a request that is too long for its model is made half as long, once, and sent again.

No model is asked to summarise: prompt, task and latest exchange stay, the oldest go first, and what is missing is said.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from langchain.agents.middleware.types import ModelRequest, ModelResponse
from langchain_core.exceptions import ContextOverflowError
from langchain_core.messages import AIMessage, AnyMessage, BaseMessage, HumanMessage, ToolMessage

from nodes.layers.alternation import alternating
from nodes.layers.history import compile_history
from nodes.layers.layer import ModelCall
from nodes.step import current_step
from state.excerpts import clip

SHARE = 0.5
"""Of its characters, what a request has after it was compacted, at most."""
_OLD_RESULT = 500
"""Characters that an older tool result keeps."""


async def compaction(request: ModelRequest[Any], call: ModelCall) -> ModelResponse[Any]:
    """Make the call; when it does not fit into the model's context, once more with half of it.

    Raises:
        ContextOverflowError: It still does not fit, or no attempt is left.
    """
    step = current_step()
    try:
        return await call(request)
    except ContextOverflowError:
        if step.call_attempts >= step.call_limit:
            raise
    before = length_of(request.messages)
    messages = compacted(request.messages, int(before * SHARE))
    step.emit("decided", decision="compact", reason="context overflow", characters=[before, length_of(messages)])
    return await call(request.override(messages=messages))


def compacted(messages: Sequence[AnyMessage], most: int) -> list[AnyMessage]:
    """Return a valid history of at most about `most` characters.

    What goes, in this order, until it fits: the middle of older tool results; what was remembered of earlier turns, the oldest
    first; older exchanges with tools; the middle of what is left. The task and the latest exchange always stay in part.
    """
    latest = _start_of_latest_exchange(messages)
    kept = [_shorter(message) if at < latest else message for at, message in enumerate(messages)]
    task = max((at for at, message in enumerate(messages) if isinstance(message, HumanMessage)), default=0)
    droppable = [at for at in range(latest) if at < task] + [at for at in range(task + 1, latest)]
    gone: set[int] = set()
    for at in droppable:
        if _length(kept, gone) <= most:
            break
        gone.add(at)
    left = [message for at, message in enumerate(kept) if at not in gone]
    if gone:
        place = next((at for at, message in enumerate(left) if message is kept[task]), 0)
        note = f"\n\n[{len(gone)} earlier messages were left out to fit the model's context.]"
        left[place] = left[place].model_copy(update={"content": _with(left[place].content, note)})
    if (total := length_of(left)) > most:
        left = [_clipped(message, max(200, int(len(message.text) * most / total))) for message in left]
    return alternating(compile_history(left))


def length_of(messages: Sequence[BaseMessage]) -> int:
    """Return the characters of messages, their tool calls included."""
    return sum(len(message.text) + _calls(message) for message in messages)


def _length(messages: Sequence[AnyMessage], gone: set[int]) -> int:
    return length_of([message for at, message in enumerate(messages) if at not in gone])


def _calls(message: BaseMessage) -> int:
    return sum(len(str(call["args"])) for call in message.tool_calls) if isinstance(message, AIMessage) else 0


def _start_of_latest_exchange(messages: Sequence[AnyMessage]) -> int:
    """Return where the last message of a model stands whose calls were just answered; the end without one."""
    if not messages or not isinstance(messages[-1], ToolMessage):
        return len(messages) - 1
    return max((at for at, message in enumerate(messages) if isinstance(message, AIMessage)), default=len(messages) - 1)


def _shorter(message: AnyMessage) -> AnyMessage:
    return _clipped(message, _OLD_RESULT) if isinstance(message, ToolMessage) else message


def _clipped(message: AnyMessage, most: int) -> AnyMessage:
    text = message.text
    return message if len(text) <= most else message.model_copy(update={"content": clip(text, most)})


def _with(content: Any, note: str) -> Any:
    return content + note if isinstance(content, str) else [*content, {"type": "text", "text": note}]
