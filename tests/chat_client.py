"""A chat client as agent-chat-ui and deep-agents-ui are: what they send, what they take for an approval, what they answer.

They hold a thread and what its history said last, ask with messages alone, show the last open interrupt where it has the shape of
a human-in-the-loop request, and answer with `{"decisions": [...]}`, without the interrupt's id.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast
from uuid import uuid4

from langgraph_sdk.client import SyncLangGraphClient

PAGE = {"origin": "http://localhost:3000"}
"""Where they are served from when they run on this machine, as a browser says it."""
DECISIONS = ("approve", "reject", "edit")
"""What they have buttons for, in the order in which they choose the one to begin with."""


def shows(interrupt: Any) -> bool:
    """Whether they show an interrupt as a request with buttons; anything else is printed as it is."""
    value = interrupt.get("value") if isinstance(interrupt, Mapping) else None
    if not isinstance(value, Mapping):
        return False
    requests, reviews = value.get("action_requests"), value.get("review_configs")
    if not (isinstance(requests, list) and requests and isinstance(reviews, list) and reviews):
        return False
    named = all(
        isinstance(each, Mapping) and isinstance(each.get("name"), str) and isinstance(each.get("args"), Mapping)
        for each in requests
    )
    return named and all(
        isinstance(each, Mapping)
        and isinstance(each.get("action_name"), str)
        and isinstance(each.get("allowed_decisions"), list)
        for each in reviews
    )


def buttons(interrupt: Mapping[str, Any]) -> list[str]:
    """Return the decisions that they offer about the first action of a request."""
    (name, *_) = [each["name"] for each in interrupt["value"]["action_requests"]]
    review = next(each for each in interrupt["value"]["review_configs"] if each["action_name"] == name)
    return [kind for kind in DECISIONS if kind in review["allowed_decisions"]]


def decision(interrupt: Mapping[str, Any], kind: str, *, message: str = "", **args: Any) -> dict[str, Any]:
    """Return what a button sends: an edit that changes nothing is an approval, and a rejection has its reason."""
    assert kind in buttons(interrupt), f"there is no button to {kind}"
    action = interrupt["value"]["action_requests"][0]
    if kind == "edit" and args:
        return {"type": "edit", "edited_action": {"name": action["name"], "args": {**action["args"], **args}}}
    return {"type": "reject", "message": message} if kind == "reject" else {"type": "approve"}


class ChatClient:
    """One conversation with one graph.

    Args:
        client: Of the server.
        graph: Its name there.
        names_checkpoint: Whether the checkpoint goes along that the history ended with: it does up to version 1.6 of their
            SDK, and later only where an earlier one is looked at.
        thread: To go on with; a new one by default.
    """

    def __init__(
        self, client: SyncLangGraphClient, graph: str, *, names_checkpoint: bool = True, thread: str | None = None
    ) -> None:
        self.client, self.graph, self.names_checkpoint = client, graph, names_checkpoint
        self.thread = thread or client.threads.create(metadata={"graph_id": graph})["thread_id"]
        self.history: list[dict[str, Any]] = []
        self.errors: list[dict[str, Any]] = []
        self.look()

    def look(self) -> None:
        """Read the history again, as they do when a stream has ended."""
        self.history = cast(
            "list[dict[str, Any]]", self.client.threads.get_history(self.thread, limit=1000, headers=PAGE)
        )

    @property
    def messages(self) -> list[dict[str, Any]]:
        """What is shown as the conversation."""
        return (self.history[0]["values"].get("messages") or []) if self.history else []

    def open(self) -> dict[str, Any] | None:
        """Return the request that they would show: the last one of the last task."""
        tasks = self.history[0]["tasks"] if self.history else []
        found: list[dict[str, Any]] = tasks[-1]["interrupts"] if tasks else []
        return found[-1] if found else None

    def shown(self) -> dict[str, Any]:
        """Return the request that they show with buttons: below the last message, or where nobody has answered anything."""
        request, kinds = self.open(), [each["type"] for each in self.messages]
        assert request is not None, "no request is open"
        assert shows(request), "the request is shown without buttons"
        assert kinds[-1:] != ["human"] or not {"ai", "tool"} & set(kinds), (
            "the request is below no message, and not shown"
        )
        return request

    def say(self, text: str) -> None:
        """Send a message, after a result for every tool call that has none: providers refuse such a conversation."""
        answered = {each.get("tool_call_id") for each in self.messages}
        last = self.messages[-1] if self.messages else {}
        missing = [call for call in last.get("tool_calls") or () if call["id"] not in answered]
        results = [
            {
                "type": "tool",
                "id": f"do-not-render-{uuid4()}",
                "name": call["name"],
                "tool_call_id": call["id"],
                "content": "Successfully handled tool call.",
            }
            for call in missing
        ]
        self._submit({"messages": [*results, {"id": str(uuid4()), "type": "human", "content": text}]})

    def answer(self, kind: str, **more: Any) -> dict[str, Any]:
        """Press a button of the request that is shown, and return what was sent."""
        return self.send({"resume": {"decisions": [decision(self.shown(), kind, **more)]}})

    def send(self, command: dict[str, Any]) -> dict[str, Any]:
        """Send a command, and return the call's arguments, so that it can be sent again."""
        return self._submit({}, command=command)

    def again(self, call: dict[str, Any]) -> None:
        """Send a call once more, as it was."""
        self._stream(call)

    def _submit(self, values: dict[str, Any], **more: Any) -> dict[str, Any]:
        call = {"input": values, "stream_mode": ["values", "messages-tuple", "custom", "updates"], **more}
        if self.names_checkpoint and self.history:
            seen = self.history[0]["checkpoint"]
            call["checkpoint"] = {key: value for key, value in seen.items() if key != "thread_id"}
        self._stream(call)
        return call

    def _stream(self, call: dict[str, Any]) -> None:
        parts = self.client.runs.stream(
            self.thread,
            self.graph,
            **call,
            stream_subgraphs=True,
            stream_resumable=True,
            on_disconnect="continue",
            headers=PAGE,
        )
        self.errors = [cast("dict[str, Any]", part.data) for part in parts if part.event == "error"]
        self.look()
