"""What is seen of a run while it happens: one event for each thing an agent did."""

from __future__ import annotations

from typing import Any, Literal

from typing_extensions import TypedDict

EventKind = Literal[
    "agent_started",
    "model_called",
    "tool_called",
    "agent_finished",
    "decided",
    "noted",
    "planned",
    "progressed",
    "handed_off",
    "consulted",
    "delegated",
    "guided",
    "paused",
    "run_started",
    "run_ended",
]
"""`paused`: a step waits for a person. `noted`: somebody did something to the thread, such as starting a turn.

`run_started` is told to observers only (see `state.observers`); it is not kept.
"""


class Event(TypedDict):
    """One thing that happened, in an order that rebuilds the tree of agents from any prefix.

    Sent on the `custom` stream of the graph it happened in, and kept with the run by whoever records it.
    """

    kind: EventKind
    run: str
    thread: str
    agent: str
    step: str
    """Id of the agent step; the `id` of its outcome."""
    parent: str
    """Id of the step whose team this agent works in; empty at the top."""
    seq: int
    """Position in the run, from 1, over all agents."""
    at: float
    """Seconds since 1970, UTC."""
    data: dict[str, Any]
