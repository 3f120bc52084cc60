"""Memory: what flows between agents, what is kept, and what was spent. Imports nothing else of Orchestra."""

from __future__ import annotations

from typing import TYPE_CHECKING

from state.errors import *  # noqa: F403  # the whole tree; it imports nothing
from state.lazily import exported

if TYPE_CHECKING:
    from state.budget import Budget as Budget
    from state.context import Context as Context
    from state.context import context_of as context_of
    from state.envelope import Envelope as Envelope
    from state.messages import Messages as Messages
    from state.outcome import Outcome as Outcome
    from state.outcome import Usage as Usage
    from state.persistence import open_persistence as open_persistence
    from state.plan import Plan as Plan
    from state.plan import Subtask as Subtask
    from state.task import TaskInput as TaskInput
    from state.task import TaskOutput as TaskOutput
    from state.task import TaskState as TaskState

_HOME = {
    "Budget": "budget",
    "Context": "context",
    "context_of": "context",
    "Envelope": "envelope",
    "Messages": "messages",
    "Outcome": "outcome",
    "Usage": "outcome",
    "open_persistence": "persistence",
    "Plan": "plan",
    "Subtask": "plan",
    "TaskInput": "task",
    "TaskOutput": "task",
    "TaskState": "task",
}

__getattr__, __dir__ = exported(__name__, _HOME)
