"""Answers in the form of OpenAI's chat completions: whole, and as the events of a stream."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

ToolCalls = Sequence[tuple[str, Mapping[str, Any]]]
Reply = Callable[[dict[str, Any]], "str | ToolCalls | Mapping[str, Any]"]
"""Makes the answer to a request: a text; tool calls as (name, arguments) pairs; or a whole message in OpenAI's form,
which may also hold `finish_reason` and `usage`."""

_WORDS = re.compile(r"\S+\s*|\s+")


def structured(request: Mapping[str, Any], value: Mapping[str, Any]) -> str | ToolCalls:
    """Return a structured answer in the way the request asks for: JSON text, or a call of the last tool."""
    if request.get("response_format") or not request.get("tools"):
        return json.dumps(value)
    return [(request["tools"][-1]["function"]["name"], value)]


def completion(request: Mapping[str, Any], answer: Any) -> dict[str, Any]:
    """Return the body of a chat completion."""
    message, usage, reason = _message(answer)
    return {
        "id": "chatcmpl-local",
        "object": "chat.completion",
        "created": 0,
        "model": request.get("model", ""),
        "choices": [{"index": 0, "message": message, "finish_reason": reason}],
        "usage": usage or _count(request, message),
    }


def events(request: Mapping[str, Any], answer: Any) -> Iterator[dict[str, Any]]:
    """Stream the same completion: the role, the text word by word, each tool call in two pieces, the end, the usage."""
    body = completion(request, answer)
    head = {**{name: body[name] for name in ("id", "created", "model")}, "object": "chat.completion.chunk"}
    choice = body["choices"][0]
    message = choice["message"]

    def chunk(delta: dict[str, Any], reason: str | None = None) -> dict[str, Any]:
        return {**head, "choices": [{"index": 0, "delta": delta, "finish_reason": reason}]}

    yield chunk({"role": "assistant", "content": ""})
    if message.get("refusal"):
        yield chunk({"refusal": message["refusal"]})
    for word in _WORDS.findall(message.get("content") or ""):
        yield chunk({"content": word})
    for index, call in enumerate(message.get("tool_calls") or []):
        function = call["function"]
        first = {"name": function["name"], "arguments": ""}
        yield chunk({"tool_calls": [{"index": index, "id": call["id"], "type": "function", "function": first}]})
        yield chunk({"tool_calls": [{"index": index, "function": {"arguments": function["arguments"]}}]})
    yield chunk({}, choice["finish_reason"])
    if (request.get("stream_options") or {}).get("include_usage"):
        yield {**head, "choices": [], "usage": body["usage"]}


def _message(answer: Any) -> tuple[dict[str, Any], dict[str, int] | None, str]:
    if isinstance(answer, str):
        message: dict[str, Any] = {"content": answer}
    elif isinstance(answer, Mapping):
        message = dict(answer)
    else:
        written = [{"name": name, "arguments": json.dumps(args)} for name, args in answer]
        calls = [{"id": f"call_{i}", "type": "function", "function": f} for i, f in enumerate(written)]
        message = {"content": None, "tool_calls": calls}
    usage = message.pop("usage", None)
    reason = message.pop("finish_reason", None) or ("tool_calls" if message.get("tool_calls") else "stop")
    return {**message, "role": "assistant"}, usage, reason


def _count(request: Mapping[str, Any], message: Mapping[str, Any]) -> dict[str, int]:
    given, taken = (len(json.dumps(part)) // 4 for part in (request.get("messages", []), message))
    return {"prompt_tokens": given, "completion_tokens": taken, "total_tokens": given + taken}
