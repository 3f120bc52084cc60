"""What chat clients need to show a request: a message of an agent that proposes the action, as the last one of the conversation.

Plans and reports are put to a person by a node that says so in a message. A tool that asks in the middle of an agent's step does
not: the step's messages are its own. A client that reads a thread is shown one in its place; it is kept nowhere.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from orchestra.serving.door import STUDIO

_READING = re.compile(r"/threads/[^/]+/(history|state(/[^/]+)?)")
_ASKED = re.compile(rb'"interrupts":\s*\[\s*\{')


def is_chat(path: str, origins: list[str]) -> bool:
    """Whether a request reads a thread for a page that shows conversations; Studio is shown the state as it is."""
    return bool(origins) and STUDIO not in origins and _READING.fullmatch(path) is not None


def with_proposals(body: bytes) -> bytes:
    """Return the JSON of a thread's state, or of its history, with a message that proposes what is asked where none does."""
    if not _ASKED.search(body):
        return body
    try:
        told = json.loads(body)
    except ValueError:
        return body
    for state in told if isinstance(told, list) else [told]:
        if isinstance(state, dict) and isinstance(state.get("values"), dict):
            _propose(state)
    return json.dumps(told, ensure_ascii=False, separators=(",", ":")).encode()


def _propose(state: dict[str, Any]) -> None:
    messages = state["values"].get("messages") or []
    if not isinstance(messages, list):
        return
    proposed = {call.get("name") for call in _calls_of(messages[-1])} if messages else set()
    for request in _requests_of(state):
        actions = request["value"]["action_requests"]
        if not {action.get("name") for action in actions} <= proposed:
            messages = [*messages, _message(request, actions)]
    state["values"]["messages"] = messages


def _requests_of(state: Mapping[str, Any]) -> Iterator[Any]:
    for task in state.get("tasks") or ():
        for request in task.get("interrupts") or ():
            value = request.get("value")
            if isinstance(value, Mapping) and isinstance(value.get("action_requests"), list):
                yield request


def _calls_of(message: Any) -> list[Mapping[str, Any]]:
    return list(message.get("tool_calls") or ()) if isinstance(message, Mapping) else []


def _message(request: Mapping[str, Any], actions: list[Any]) -> dict[str, Any]:
    name = f"request-{request.get('id', '')}"
    calls = [
        {
            "type": "tool_call",
            "id": f"{name}-{number}",
            "name": action.get("name", ""),
            "args": action.get("args") or {},
        }
        for number, action in enumerate(actions)
        if isinstance(action, Mapping)
    ]
    about = request["value"].get("about")
    agent = about.get("agent") if isinstance(about, Mapping) else None
    return {"type": "ai", "id": name, "name": agent or None, "content": "", "tool_calls": calls}
