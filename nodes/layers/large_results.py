"""Large results: what a tool gives beyond a page is kept in the store, and the agent reads on where it wants to.

The model sees the beginning, the end, and a name; `read_result` gives any part. Without a store the middle is left out.
"""

from __future__ import annotations

import hashlib
from typing import Any

from langchain.agents.middleware.types import ModelRequest, ModelResponse, ToolCallRequest
from langchain_core.messages import ToolMessage
from langchain_core.tools import StructuredTool

from nodes.layers.artifact import fact_of, tool_messages, with_facts, with_tool_messages
from nodes.layers.history import encodable, readable_text
from nodes.layers.layer import ModelCall, ToolCall, ToolResult
from nodes.layers.outside import taint
from nodes.step import current_step
from state.excerpts import clip
from state.storage.items import results_of

MAX_RESULT = 40_000
"""Characters of one tool result that a model is shown."""
PAGE = 20_000
"""Characters that `read_result` gives at once."""
READ = "read_result"
_MOST_KEPT = 20_000_000
"""Characters of one result that are kept."""


async def large_results(request: ToolCallRequest, call: ToolCall) -> ToolResult:
    """Make the call and keep what is too large; read on in what was kept."""
    if request.tool is None and request.tool_call["name"] == READ:
        return await _read(request)
    result = await call(request)
    return with_tool_messages(result, iter([await _shown(message) for message in tool_messages(result)]))


async def offer_reading(request: ModelRequest[Any], call: ModelCall) -> ModelResponse[Any]:
    """Offer `read_result` to an agent that has been shown a result that is kept elsewhere."""
    if request.tools and any(fact_of(message, "kept") is not None for message in request.messages):
        request = request.override(tools=[*request.tools, _TOOL])
    return await call(request)


async def _read(request: ToolCallRequest) -> ToolMessage:
    args, store = request.tool_call["args"], current_step().runtime.store
    item = await store.aget(_space(), str(args.get("name", ""))) if store is not None else None
    if item is None:
        return _answer(request, f"Nothing is kept as {args.get('name')!r}.", status="error")
    text: str = item.value["text"]
    # What an earlier version kept has neither source nor taint.
    facts = {fact: item.value[fact] for fact in ("source", "taint") if item.value.get(fact)}
    taint(current_step(), facts.get("taint", ()))
    try:
        start = max(0, int(args.get("start") or 0))
    except (TypeError, ValueError):
        return _answer(request, f"start: expected a number, got {args.get('start')!r}.", status="error")
    part = text[start : start + PAGE]
    rest = len(text) - start - len(part)
    current_step().emit("tool_called", tool=READ, arguments=sorted(args), status="success", characters=len(part))
    page = _answer(request, part + (f"\n[{rest} more characters from start={start + PAGE}]" if rest > 0 else ""))
    return with_facts(page, **facts) if facts else page


async def _shown(message: ToolMessage) -> ToolMessage:
    """Return a tool's message as the model sees it: the whole text of all its blocks, or its two ends in one block."""
    text, others = _parted(message.content)
    if len(text) <= MAX_RESULT:
        small = encodable(message)
        assert isinstance(small, ToolMessage)
        return small
    kept = readable_text(text, _MOST_KEPT)
    clipped, name = clip(kept, MAX_RESULT), await _keep(kept, message)
    if name:
        clipped += f"\n[{len(text)} characters in all, kept as {name!r}: {READ}(name, start) gives any part of it.]"
    content = [{"type": "text", "text": clipped}, *others] if others else clipped
    shown = message.model_copy(update={"content": content})
    return with_facts(shown, kept=name) if name else shown


def _parted(content: str | list[Any]) -> tuple[str, list[Any]]:
    """Return the text of a message, a line break between its blocks, and the blocks that are no text."""
    texts, others = [], []
    for block in [content] if isinstance(content, str) else content:
        text = block.get("text") if isinstance(block, dict) and block.get("type") == "text" else block
        if isinstance(text, str):
            texts.append(text)
        else:
            others.append(block)
    return "\n".join(texts), others


async def _keep(text: str, message: ToolMessage) -> str:
    """Keep a text with where it is from; return its name, or nothing where there is no store."""
    store = current_step().runtime.store
    if store is None:
        return ""
    name = hashlib.sha256(text.encode()).hexdigest()[:12]
    before = await store.aget(_space(), name)  # the same text may have come from elsewhere too
    known = before.value if before is not None else {}
    source = fact_of(message, "source") or known.get("source")
    sources = dict.fromkeys([*known.get("taint", ()), *(fact_of(message, "taint") or ())])
    await store.aput(_space(), name, {"text": text, "source": source, "taint": list(sources)}, index=False)
    return name


def _space() -> tuple[str, ...]:
    run = current_step().run
    return results_of(run.thread or run.id)


def _answer(request: ToolCallRequest, text: str, *, status: Any = "success") -> ToolMessage:
    return ToolMessage(text, tool_call_id=request.tool_call["id"], name=READ, status=status)


def _as_declared(name: str, start: int = 0) -> str:  # noqa: ARG001  # only declared
    """Read a part of a large result that was kept: `name` as it was given, `start` the character to begin at."""
    raise AssertionError("carried out by the layer")


_TOOL = StructuredTool.from_function(_as_declared, name=READ)
