"""What every pattern takes, gives, and keeps in between."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from langchain_core.messages import convert_to_messages
from langgraph.channels import EphemeralValue
from typing_extensions import TypedDict

from state.messages import Messages
from state.outcome import Outcomes

RunStatus = Literal["running", "completed", "partial", "failed", "stopped"]
"""`running` until the turn has ended, also while it waits for a person."""


class TaskInput(TypedDict, total=False):
    """What starts a turn. Both are optional: without `task`, the last human message is the task."""

    messages: Messages
    task: Annotated[str, EphemeralValue(str)]
    """The task in words. Kept for one step only, so that the next turn cannot mistake it for its own."""


class TaskOutput(TypedDict, total=False):
    """What a turn gives."""

    answer: str
    structured: dict[str, Any] | None
    status: RunStatus
    reason: str
    """Why the status is not `completed`; empty when it is."""
    outcomes: Outcomes
    messages: Messages


class TaskState(TaskInput, TaskOutput, total=False):
    """Channels that every pattern has. A pattern adds its own in a subclass of this."""

    goal: str
    """The task of this turn, wherever it came from."""


def task_in(given: Any) -> str:
    """Return the task that an input is, in any form that messages have, as far as that can be seen: `begin` checks it."""
    if not isinstance(given, Mapping):
        return ""
    if isinstance(task := given.get("task"), str) and task.strip():
        return task
    messages = given.get("messages") or [""]
    last = messages[-1] if isinstance(messages, list | tuple) else messages
    try:
        return convert_to_messages([last])[0].text
    except (ValueError, TypeError, NotImplementedError, KeyError, AttributeError):
        return ""
