"""What a tool of a server gives, as text that any model can be shown. What is no text is named with its kind and size."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from mcp.types import (
    AudioContent,
    BlobResourceContents,
    CallToolResult,
    ContentBlock,
    EmbeddedResource,
    ImageContent,
    ResourceLink,
    TextContent,
    TextResourceContents,
)

from tools.mcp.definition import clean

MOST_STRUCTURED = 40_000
"""Characters of JSON of a structured result that is kept beside the text: it is stored with the thread at every step."""


def as_text(result: CallToolResult) -> CallToolResult:
    """Return a result whose content is one text, and whose structured content is of a size that can be kept."""
    structured = result.structuredContent
    plain = json.dumps(structured, ensure_ascii=False) if structured is not None else ""
    text = "\n".join(_text_of(block) for block in result.content) or plain or "The tool gave nothing."
    kept = structured if len(plain) <= MOST_STRUCTURED else None
    return CallToolResult(content=[TextContent(type="text", text=text)], structuredContent=kept, isError=result.isError)


def joined(blocks: Any) -> str:
    """Return the text of LangChain's content blocks."""
    if isinstance(blocks, str):
        return blocks
    assert isinstance(blocks, Sequence)
    return "\n".join(str(block["text"]) for block in blocks)


def _text_of(block: ContentBlock) -> str:
    if isinstance(block, TextContent):
        return block.text
    if isinstance(block, ImageContent | AudioContent):
        kind = "image" if isinstance(block, ImageContent) else "audio"
        return _note(kind, block.mimeType, block.data)
    if isinstance(block, ResourceLink):
        about = f": {clean(block.description, 300)}" if block.description else ""
        return f"[link to {clean(block.name, 200)}, {clean(str(block.uri), 500)}{about}]"
    assert isinstance(block, EmbeddedResource)
    resource, place = block.resource, clean(str(block.resource.uri), 500)
    if isinstance(resource, TextResourceContents):
        return f"[{place}]\n{resource.text}"
    assert isinstance(resource, BlobResourceContents)
    return _note(f"file {place}", resource.mimeType, resource.blob)


def _note(what: str, mime: str | None, base64: str) -> str:
    size = len(base64) * 3 // 4 - base64[-2:].count("=")
    return f"[{what}, {clean(mime or 'of unknown kind', 100)}, {size} bytes, not shown]"
