"""A message as the chunks that a streaming model would send."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from langchain_core.messages import AIMessage, AIMessageChunk, ToolCallChunk

_WORDS = re.compile(r"\S+\s*|\s+")


def chunks_of(message: AIMessage) -> Iterator[AIMessageChunk]:
    """Stream a message: the text word by word, each tool call in three pieces, and the figures on the last chunk."""
    texts = _WORDS.findall(message.content) if isinstance(message.content, str) else [message.content]
    for text in texts:
        yield AIMessageChunk(content=text, id=message.id, name=message.name)
    written = [(c["name"], json.dumps(c["args"], ensure_ascii=False), c["id"]) for c in message.tool_calls]
    broken = [(c["name"], c["args"], c["id"]) for c in message.invalid_tool_calls]
    for index, (name, args, call_id) in enumerate([*written, *broken]):
        args = args or ""
        half = len(args) // 2
        for piece in (
            ToolCallChunk(name=name, args="", id=call_id, index=index, type="tool_call_chunk"),
            ToolCallChunk(name=None, args=args[:half], id=None, index=index, type="tool_call_chunk"),
            ToolCallChunk(name=None, args=args[half:], id=None, index=index, type="tool_call_chunk"),
        ):
            yield AIMessageChunk(content="", id=message.id, tool_call_chunks=[piece])
    yield AIMessageChunk(
        content="",
        id=message.id,
        additional_kwargs=message.additional_kwargs,
        response_metadata=message.response_metadata,
        usage_metadata=message.usage_metadata,
        chunk_position="last",
    )
