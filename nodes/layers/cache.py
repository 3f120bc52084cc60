"""Cache: by declaration, the same request to a model or call of a tool is answered by what it gave before.

Kept in the run's store, so that threads and processes share it; without a store in this process. A hit costs nothing, counts as
no call, and is shown in the trace.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

from langchain.agents.middleware.types import ModelRequest, ModelResponse, ToolCallRequest
from langchain_core.messages import AIMessage, BaseMessage, ToolMessage
from langchain_core.utils.function_calling import convert_to_openai_tool
from langgraph.store.base import BaseStore

from nodes.layers.json_text import schemas_of
from nodes.layers.layer import ModelCall, ToolCall, ToolResult
from nodes.layers.output import find_problem
from nodes.layers.record import NO_CALL
from nodes.models import describe_model
from nodes.step import Step, current_step
from tools.marks import marks_of

_MOST = 1000
"""Answers kept in the process, where there is no store."""
_SPACE = ("orchestra", "cache")

_kept: OrderedDict[str, dict[str, Any]] = OrderedDict()


async def model_cache(request: ModelRequest[Any], call: ModelCall) -> ModelResponse[Any]:
    """Answer from the cache where the agent's policy has one; an answer that cannot be used is never kept."""
    step = current_step()
    seconds = step.policy.cache
    if seconds is None:
        return await call(request)
    key = _key("model", _asked(request))
    if (found := await _get(step, key, seconds)) is not None:
        step.answered_by = describe_model(request.model)
        step.emit("model_called", model=step.answered_by, seconds=0.0, cached=True)
        answer = AIMessage(found["content"], tool_calls=found["tool_calls"], response_metadata={NO_CALL: True})
        step.last_text = answer.text or step.last_text
        return ModelResponse(result=[answer])
    response = await call(request)
    given = next((m for m in response.result if isinstance(m, AIMessage)), None)
    if given is not None and find_problem(given) is None:
        await _put(step, key, {"content": given.content, "tool_calls": given.tool_calls})
    return response


async def tool_cache(request: ToolCallRequest, call: ToolCall) -> ToolResult:
    """Answer from the cache where the tool is marked so; errors are not kept."""
    step, marks = current_step(), marks_of(request.tool)
    if (seconds := marks.cached) is None:
        return await call(request)
    name = request.tool_call["name"]
    key = _key("tool", [name, marks.kept_as, request.tool_call["args"]])
    if (found := await _get(step, key, seconds)) is not None:
        step.emit("tool_called", tool=name, arguments=sorted(request.tool_call["args"]), status="success", cached=True)
        return ToolMessage(
            found["content"], tool_call_id=request.tool_call["id"], name=name, artifact=found["artifact"]
        )
    result = await call(request)
    if isinstance(result, ToolMessage) and result.status != "error" and _is_plain([result.content, result.artifact]):
        await _put(step, key, {"content": result.content, "artifact": result.artifact})
    return result


def _asked(request: ModelRequest[Any]) -> list[Any]:
    """Return all of a request that its answer depends on."""
    name = describe_model(request.model)
    who = name if ":" in name else f"{name} {id(request.model)}"  # one without a name is told by what it is
    messages = [request.system_message, *request.messages] if request.system_message else request.messages
    tools = [tool if isinstance(tool, dict) else convert_to_openai_tool(tool) for tool in request.tools or ()]
    schemas = {name: str(schema) for name, schema in schemas_of(request.response_format).items()}
    settings = [getattr(request.model, field, None) for field in ("temperature", "max_tokens", "seed", "top_p")]
    return [who, [_told(message) for message in messages], tools, schemas, settings, request.model_settings]


def _told(message: BaseMessage) -> list[Any]:
    calls = [[one["name"], one["args"]] for one in message.tool_calls] if isinstance(message, AIMessage) else []
    return [message.type, message.content, calls]


def _key(kind: str, parts: Any) -> str:
    text = json.dumps([kind, parts], sort_keys=True, ensure_ascii=False, default=str)
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()


def _is_plain(value: Any) -> bool:
    try:
        json.dumps(value)
    except (TypeError, ValueError):
        return False
    return True


async def _get(step: Step, key: str, seconds: float) -> Mapping[str, Any] | None:
    store: BaseStore | None = step.runtime.store
    if store is not None:
        item = await store.aget(_SPACE, key)
        found: Mapping[str, Any] | None = item.value if item is not None else None
    else:
        found = _kept.get(key)
    return found if found is not None and time.time() - found["at"] < seconds else None


async def _put(step: Step, key: str, value: dict[str, Any]) -> None:
    value, store = {**value, "at": time.time()}, step.runtime.store
    if store is not None:
        await store.aput(_SPACE, key, value, index=False)
        return
    _kept[key] = value
    while len(_kept) > _MOST:
        _kept.popitem(last=False)
