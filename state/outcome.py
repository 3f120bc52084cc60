"""What an agent step gave back: plain JSON, so that it can be checkpointed, sent and compared."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Annotated, Any, Literal, NotRequired

from langgraph.channels import DeltaChannel
from typing_extensions import TypedDict

from state.messages import SNAPSHOT_EVERY

OutcomeStatus = Literal["ok", "failed", "timed_out", "skipped", "denied", "stopped", "cancelled"]


class Usage(TypedDict):
    """What was spent. `usd` is None when a price is unknown, never 0 for want of one."""

    model_calls: int
    tool_calls: int
    input_tokens: int
    output_tokens: int
    usd: float | None


class Failure(TypedDict):
    """Why a step did not succeed: the exception's class name, a message safe to show, and whether trying again may help."""

    type: str
    message: str
    retryable: bool


class Transfer(TypedDict):
    """Control that an agent handed over."""

    to: str
    reason: str
    notes: str
    """What the next agent has to know."""


class Outcome(TypedDict):
    """The result of one agent step. It is returned, never raised, whatever the agent did."""

    id: str
    """Unique within a turn: the agent's name, with `#2`, `#3` for later steps of the same agent, or a branch's own id."""
    agent: str
    status: OutcomeStatus
    output: str
    """The answer's text; empty unless the status is `ok`, or partial work when the step was stopped."""
    structured: dict[str, Any] | None
    error: Failure | None
    """Why it is not `ok`; of a team that is, what its answer lacks."""
    attempts: int
    """Model calls, or calls of the function or graph that stands for the agent, counting failed ones."""
    seconds: float
    """Wall time of the step, without the time it queued for a free place."""
    usage: Usage
    model: NotRequired[str]
    """What answered, as `describe_model` names it."""
    transfer: NotRequired[Transfer]
    """To whom it handed over, when it did; its output is what it said beside that."""
    taint: NotRequired[list[str]]
    """Where what the agent read came from, as far as that is outside: tools, documents, people."""
    children: NotRequired[list[Outcome]]
    """Outcomes of the team that stood for this agent, when it was one."""


def no_usage() -> Usage:
    """Return a usage of nothing."""
    return Usage(model_calls=0, tool_calls=0, input_tokens=0, output_tokens=0, usd=0.0)


def add_usage(first: Usage, second: Usage) -> Usage:
    """Return the sum; associative, identity `no_usage()`. An unknown price makes the sum's price unknown."""
    usd = None if first["usd"] is None or second["usd"] is None else first["usd"] + second["usd"]
    return Usage(
        model_calls=first["model_calls"] + second["model_calls"],
        tool_calls=first["tool_calls"] + second["tool_calls"],
        input_tokens=first["input_tokens"] + second["input_tokens"],
        output_tokens=first["output_tokens"] + second["output_tokens"],
        usd=usd,
    )


def after(first: Outcome, second: Outcome, *, called: str) -> Outcome:
    """Return a second try with the effort of the first one added, which becomes its child.

    Args:
        first: What was tried before.
        second: By the same agent, or another in its place.
        called: What the child's id ends with.
    """
    joined: Outcome = {
        **second,
        "attempts": first["attempts"] + second["attempts"],
        "seconds": round(first["seconds"] + second["seconds"], 6),
        "usage": add_usage(first["usage"], second["usage"]),
    }
    joined["children"] = [*second.get("children", []), {**first, "id": f"{first['id']}/{called}"}]
    return joined


def total_usage(outcomes: Iterable[Outcome]) -> Usage:
    """Return what all outcomes spent together."""
    total = no_usage()
    for outcome in outcomes:
        total = add_usage(total, outcome["usage"])
    return total


def merge_outcomes(outcomes: list[Outcome], writes: Sequence[Sequence[Outcome]]) -> list[Outcome]:
    """Append new outcomes in the order they settled; one with a known id replaces its predecessor in place.

    Batching-invariant: `merge(merge(s, xs), ys) == merge(s, xs + ys)`. Identity: `[]`.
    """
    merged = list(outcomes)
    place = {outcome["id"]: index for index, outcome in enumerate(merged)}
    for write in writes:
        for outcome in write:
            if outcome["id"] in place:
                merged[place[outcome["id"]]] = outcome
            else:
                place[outcome["id"]] = len(merged)
                merged.append(outcome)
    return merged


Outcomes = Annotated[list[Outcome], DeltaChannel(merge_outcomes, snapshot_frequency=SNAPSHOT_EVERY)]
"""The channel of a turn's outcomes: only what is new is stored with each step."""


def node_of(outcome: Outcome) -> str:
    """Return the name of the node whose step this is, also where a fallback agent answered in its place."""
    return outcome["id"].partition("#")[0]


def describe_failure(outcome: Outcome) -> str:
    """Return one line that says who failed and why, for a `reason` or for another agent."""
    error = outcome["error"]
    why = f"{error['type']}: {error['message']}" if error else "no reason given"
    what = "done in part" if outcome["status"] == "ok" else outcome["status"].replace("_", " ")
    return f"{outcome['id']} {what} ({why})"
