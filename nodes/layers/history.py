"""Valid history: what goes to a model always satisfies the strict provider rule, and no tool result is lost on the way.

The rule: every tool call is answered exactly once, by messages that follow it directly. A history breaks it when a run was
cancelled during a tool, when a handoff stood beside another call, or when messages were trimmed in the middle.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from langchain.agents.middleware.types import ModelRequest, ModelResponse
from langchain_core.messages import AIMessage, AnyMessage, BaseMessage, HumanMessage, SystemMessage, ToolMessage
from langchain_core.messages.tool import ToolCall as Call

from nodes.layers.layer import ModelCall
from state.excerpts import clip

MAX_CHARACTERS = 200_000
"""Longest text of one message that is sent; the middle of a longer one is cut out and the cut is named."""

NOT_ANSWERED = "This call was not carried out: the run moved on or was stopped before it ended."

Content = str | list[Any]


async def valid_history(request: ModelRequest[Any], call: ModelCall) -> ModelResponse[Any]:
    """Send a history in which every tool call is answered once, and every text can be encoded."""
    system = encodable(request.system_message) if request.system_message is not None else None
    assert system is None or isinstance(system, SystemMessage)
    response = await call(request.override(messages=compile_history(request.messages), system_message=system))
    if not any(isinstance(message, AIMessage) and message.tool_calls for message in response.result):
        return response
    return replace(response, result=[with_own_ids(message, request.messages) for message in response.result])


def with_own_ids(message: BaseMessage, before: Sequence[AnyMessage]) -> BaseMessage:
    """Return a message each of whose tool calls has an id that no other has; the same object if that was so.

    Some servers number the calls of every answer from zero, and what was said of one call would be taken for another's.
    """
    if not isinstance(message, AIMessage) or not message.tool_calls:
        return message
    taken = {one["id"] for earlier in before if isinstance(earlier, AIMessage) for one in earlier.tool_calls}
    calls, content, changed = list[Call](), message.content, False
    for one in message.tool_calls:
        own = one["id"] or "call"
        number = 1
        while own in taken:
            number += 1
            own = f"{one['id'] or 'call'}_{number}"
        taken.add(own)
        changed = changed or own != one["id"]
        calls.append({**one, "id": own})
        content = _renamed(content, one["id"], own)
    return message.model_copy(update={"tool_calls": calls, "content": content}) if changed else message


def _renamed(content: Content, old: str | None, new: str) -> Content:
    """Return content whose first block of the call with the old id has the new one; some providers tell of a call there too."""
    if old == new or isinstance(content, str):
        return content
    for at, block in enumerate(content):
        if isinstance(block, dict) and block.get("type") in ("tool_use", "tool_call") and block.get("id") == old:
            return [*content[:at], {**block, "id": new}, *content[at + 1 :]]
    return content


def compile_history(messages: Sequence[AnyMessage]) -> list[AnyMessage]:
    """Return messages that satisfy the strict provider rule; a valid history comes back unchanged, its messages too.

    Laws: idempotent; the text of every tool result of the input is in the output; order is kept otherwise.
    """
    readable = [_with_readable_calls(message, at) for at, message in enumerate(messages)]
    results = _results_by_asker(readable)
    compiled: list[AnyMessage] = []
    for at, message in enumerate(readable):
        if isinstance(message, ToolMessage):
            compiled += [_as_note(message)] if at in results[None] else []
            continue
        compiled.append(encodable(message))
        if isinstance(message, AIMessage) and message.tool_calls:
            compiled += _answers(message, [readable[place] for place in results.get(at, ())])
    return compiled


def encodable(message: AnyMessage) -> AnyMessage:
    """Return the message with text that UTF-8 can encode and that is not endless; the same object if it was fine."""
    fields = ["content", "name"]
    if isinstance(message, AIMessage):
        fields.append("tool_calls")
    elif isinstance(message, ToolMessage):
        fields.append("tool_call_id")  # as its call's id is changed
    changes = {}
    for field in fields:
        value = getattr(message, field)
        if (new := _encodable(value)) is not value:
            changes[field] = new
    return message.model_copy(update=changes) if changes else message


def readable_text(text: str, most: int = MAX_CHARACTERS) -> str:
    """Return the text as UTF-8 can encode it, at most about `most` characters of it; the same object if it was fine."""
    if not text.isascii():
        encoded = text.encode("utf-8", "replace").decode("utf-8")
        text = text if encoded == text else encoded
    return clip(text, most)


def _encodable(value: Any) -> Any:
    """Return plain data with every text in it encodable; the same object if nothing had to change."""
    if isinstance(value, str):
        return readable_text(value)
    if isinstance(value, dict):
        items = [(_encodable(key), _encodable(part)) for key, part in value.items()]
        same = all(new is part for (_, new), part in zip(items, value.values(), strict=True))
        return value if same and all(key is old for (key, _), old in zip(items, value, strict=True)) else dict(items)
    if isinstance(value, list):
        parts = [_encodable(part) for part in value]
        return value if all(new is part for new, part in zip(parts, value, strict=True)) else parts
    return value


def _with_readable_calls(message: AnyMessage, at: int) -> AnyMessage:
    """Return an AI message whose calls all have an id, and whose unreadable calls are words: nothing could answer them."""
    if not isinstance(message, AIMessage):
        return message
    changes: dict[str, Any] = {}
    if any(not call["id"] for call in message.tool_calls):
        named = [{**call, "id": call["id"] or f"call-{at}-{i}"} for i, call in enumerate(message.tool_calls)]
        changes["tool_calls"] = named
    if message.invalid_tool_calls:
        lost = ", ".join(str(call.get("name")) for call in message.invalid_tool_calls)
        note = f"[Not carried out, since the arguments could not be read: {lost}]"
        changes["content"] = joined([message.content, note]) if message.content else note
        changes["invalid_tool_calls"] = []
    if changes:  # clients send the calls that stand here too
        kept = {
            key: value for key, value in message.additional_kwargs.items() if key not in ("tool_calls", "function_call")
        }
        changes["additional_kwargs"] = kept
    return message.model_copy(update=changes) if changes else message


def _results_by_asker(messages: Sequence[AnyMessage]) -> dict[int | None, list[int]]:
    """Return the places of tool results by the place of the message that asked for them; under None those nobody did.

    A result belongs to the last message before it that asked for its id, else to the first one after it.
    """
    askers: dict[str, list[int]] = {}
    for at, message in enumerate(messages):
        for call in message.tool_calls if isinstance(message, AIMessage) else ():
            askers.setdefault(call["id"] or "", []).append(at)
    found: dict[int | None, list[int]] = {None: []}
    for at, message in enumerate(messages):
        if isinstance(message, ToolMessage):
            asked = askers.get(message.tool_call_id, [])
            before = [asker for asker in asked if asker < at]
            found.setdefault(before[-1] if before else asked[0] if asked else None, []).append(at)
    return found


def _answers(message: AIMessage, results: Sequence[AnyMessage]) -> Iterator[AnyMessage]:
    """Yield one result for each call of a message, in the order the results came in; then those that are missing."""
    open_calls = [call["id"] for call in message.tool_calls]
    by_call: list[list[ToolMessage]] = []
    for result in results:
        assert isinstance(result, ToolMessage)
        same = next((group for group in by_call if group[0].tool_call_id == result.tool_call_id), None)
        if result.tool_call_id in open_calls:
            open_calls.remove(result.tool_call_id)
            by_call.append([result])
        elif same is not None:
            same.append(result)
    for group in by_call:
        yield encodable(_one_of(group))
    for call in message.tool_calls:
        if call["id"] in open_calls:
            open_calls.remove(call["id"])
            yield encodable(ToolMessage(NOT_ANSWERED, tool_call_id=call["id"] or "", name=call["name"], status="error"))


def _one_of(results: list[ToolMessage]) -> ToolMessage:
    if len(results) == 1:
        return results[0]
    return results[-1].model_copy(update={"content": joined([result.content for result in results])})


def _as_note(result: ToolMessage) -> AnyMessage:
    name = f" of {result.name}" if result.name else ""
    content = joined([f"Result{name} from an earlier call:", result.content], between="\n")
    return encodable(HumanMessage(content, id=result.id))


def joined(contents: Sequence[Content], *, between: str = "\n\n") -> Content:
    """Return contents as one: a text when all are texts, else a list of blocks."""
    if all(isinstance(content, str) for content in contents):
        return between.join(str(content) for content in contents)
    blocks: list[Any] = []
    for content in contents:
        blocks += [{"type": "text", "text": content}] if isinstance(content, str) else content
    return blocks
