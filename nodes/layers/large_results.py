"""Large results: what a tool gives beyond a page is kept in the store, and the agent reads on where it wants to.

The model sees the beginning, the end, and a name; `read_result` gives any part. Without a store the middle is left out.
"""

from __future__ import annotations

import hashlib
from typing import Any

from langchain.agents.middleware.types import ModelRequest, ModelResponse, ToolCallRequest
from langchain_core.messages import ToolMessage
from langchain_core.tools import StructuredTool

from nodes.layers.artifact import fact_of, with_facts
from nodes.layers.history import encodable, readable_text
from nodes.layers.layer import ModelCall, ToolCall, ToolResult
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
    if not isinstance(result, ToolMessage):
        return result
    text = result.content
    if not isinstance(text, str) or len(text) <= MAX_RESULT:
        shown = encodable(result)
        assert isinstance(shown, ToolMessage)
        return shown
    kept, store = readable_text(text, _MOST_KEPT), current_step().runtime.store
    clipped = clip(kept, MAX_RESULT)
    if store is None:
        return result.model_copy(update={"content": clipped})
    name = hashlib.sha256(kept.encode()).hexdigest()[:12]
    await store.aput(_space(), name, {"text": kept}, index=False)
    note = f"\n[{len(text)} characters in all, kept as {name!r}: {READ}(name, start) gives any part of it.]"
    return with_facts(result.model_copy(update={"content": clipped + note}), kept=name)


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
    try:
        start = max(0, int(args.get("start") or 0))
    except (TypeError, ValueError):
        return _answer(request, f"start: expected a number, got {args.get('start')!r}.", status="error")
    part = text[start : start + PAGE]
    rest = len(text) - start - len(part)
    current_step().emit("tool_called", tool=READ, arguments=sorted(args), status="success", characters=len(part))
    return _answer(request, part + (f"\n[{rest} more characters from start={start + PAGE}]" if rest > 0 else ""))


def _space() -> tuple[str, ...]:
    run = current_step().run
    return results_of(run.thread or run.id)


def _answer(request: ToolCallRequest, text: str, *, status: Any = "success") -> ToolMessage:
    return ToolMessage(text, tool_call_id=request.tool_call["id"], name=READ, status=status)


def _as_declared(name: str, start: int = 0) -> str:  # noqa: ARG001  # only declared
    """Read a part of a large result that was kept: `name` as it was given, `start` the character to begin at."""
    raise AssertionError("carried out by the layer")


_TOOL = StructuredTool.from_function(_as_declared, name=READ)
