"""What a run came to, as programs and the command see it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Literal

from langgraph.types import StateSnapshot
from pydantic import BaseModel, ConfigDict, Field, SkipValidation

from nodes.models import ENGINE_LABEL
from orchestra.request import Request, read_request
from state.outcome import Outcome, Usage, total_usage

Status = Literal["completed", "partial", "failed", "stopped", "waiting", "unfinished"]
"""`waiting` for a person; `unfinished` when it was interrupted and can be resumed."""


class RunResult(BaseModel):
    """Where a thread stands after a run."""

    model_config = ConfigDict(frozen=True)

    thread: str
    status: Status
    answer: str = ""
    structured: dict[str, Any] | None = None
    reason: str = ""
    """Why the status is not `completed`; empty when it is."""
    outcomes: SkipValidation[list[Outcome]] = Field(default_factory=list)
    """Of this turn, in the order in which they settled."""
    usage: Usage
    """What the turn has spent so far."""
    interrupts: tuple[Request, ...] = ()
    """What people are asked; see `orchestra.answer`."""
    models: tuple[str, ...] = ()
    """What answered, as `describe_model` names it."""

    @property
    def failures(self) -> set[str]:
        """Types of the errors that agents ended with, those of teams' members too."""
        return {error["type"] for outcome in _all(self.outcomes) if (error := outcome["error"])}

    @property
    def by_engine(self) -> bool:
        """Whether the embedded engine, which is not a language model, had a part in it."""
        return ENGINE_LABEL in self.models


def read_result(thread: str, snapshot: StateSnapshot) -> RunResult:
    """Return the result that a thread's latest state amounts to.

    Whether it has ended is judged by its tasks: `next` is empty at some points where it has not.
    """
    values: dict[str, Any] = snapshot.values if isinstance(snapshot.values, dict) else {}
    outcomes: list[Outcome] = list(values.get("outcomes") or ())
    requests = tuple(read_request(interrupt) for interrupt in snapshot.interrupts)
    status, reason = _status(snapshot, values, requests)
    ended = not snapshot.tasks
    return RunResult(
        thread=thread,
        status=status,
        answer=_answer(values) if ended else "",
        structured=values.get("structured") if ended else None,
        reason=reason,
        outcomes=outcomes,
        usage=total_usage(outcomes),
        interrupts=requests,
        models=tuple(dict.fromkeys(each["model"] for each in _all(outcomes) if "model" in each)),
    )


def _status(snapshot: StateSnapshot, values: dict[str, Any], requests: tuple[Request, ...]) -> tuple[Status, str]:
    if requests:
        count = len(requests)
        return "waiting", "waiting for a decision" if count == 1 else f"waiting for {count} decisions"
    if snapshot.tasks:
        errors = (str(task.error) for task in snapshot.tasks if task.error)
        return "unfinished", next(errors, "interrupted")
    status: Any = values.get("status", "completed")
    if status == "running":
        return "failed", "the graph ended without saying what came of it"
    return status, values.get("reason", "")


def _answer(values: dict[str, Any]) -> str:
    """Return the answer; of a graph that has no such channel, the last message."""
    if "answer" in values:
        return values["answer"] or ""
    messages = values.get("messages") or [None]
    return getattr(messages[-1], "text", "")


def _all(outcomes: Iterable[Outcome]) -> Iterator[Outcome]:
    for outcome in outcomes:
        yield outcome
        yield from _all(outcome.get("children", ()))
