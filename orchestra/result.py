"""What a run came to, as programs and the command see it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Self

from langgraph.types import StateSnapshot
from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, SkipValidation

from nodes.models import ENGINE_LABEL
from orchestra.request import Request, read_request
from state.errors import ConfigurationError
from state.outcome import Outcome, Usage, total_usage

if TYPE_CHECKING:
    from orchestra.jupyter.agents import AgentTable
    from orchestra.reporting.report import Report
    from state.persistence import Persistence

Status = Literal["completed", "partial", "failed", "stopped", "waiting", "unfinished"]
"""`waiting` for a person; `unfinished` when it was interrupted and can be resumed."""


@dataclass(frozen=True)
class Origin:
    """Where a result comes from. Results that say the same are equal wherever they come from, and it is not pickled."""

    persistence: Persistence | None = field(default=None, compare=False, repr=False)
    graph: Any = field(default=None, compare=False, repr=False)

    def __reduce__(self) -> tuple[type[Origin], tuple[()]]:
        return Origin, ()


class RunResult(BaseModel):
    """Where a thread stands after a run. The last line of a notebook's cell shows it as a card."""

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
    _origin: Origin = PrivateAttr(default_factory=Origin)

    @property
    def origin(self) -> Origin:
        """What gave this result; nothing of one that was made or copied otherwise."""
        return self._origin

    @property
    def agents(self) -> AgentTable:
        """What each agent used in this turn: a table to print, to show, and to read row by row."""
        from orchestra.jupyter.agents import AgentTable

        return AgentTable(self.outcomes)

    def report(self) -> Report:
        """Return the report of the thread, as it stands now; see `orchestra.report`.

        Raises:
            ConfigurationError: The result was not given by a run: it is not known where its thread is kept.
        """
        from orchestra.reporting.report import report

        if self._origin.persistence is None:
            raise ConfigurationError(
                f"report: it is not known where thread {self.thread!r} is kept, as this result is a copy or was read from "
                f"a file; use orchestra.report(persistence, {self.thread!r})"
            )
        return report(self._origin.persistence, self.thread, graph=self._origin.graph)

    def seconds(self) -> float | None:
        """Return how long the turn took from its first event to its last, in seconds; None where it is not known.

        Time that it waited for people is in it.
        """
        if self._origin.persistence is None:
            return None
        events = self._origin.persistence.events(self.thread)
        begun = [event["at"] for event in events if event["data"].get("note") == "started"]
        return max(0.0, events[-1]["at"] - begun[-1]) if begun else None

    def kept_in(self, persistence: Persistence, graph: Any) -> Self:
        """Return the result, knowing where its thread is kept and what ran it."""
        self._origin = Origin(persistence, graph)
        return self

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:  # noqa: ARG002  # Jupyter's
        from orchestra.jupyter.card import card_markup, card_text

        return {"text/html": card_markup(self), "text/plain": card_text(self)}

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
