"""Traces: everything that happened in one thread."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from orchestra.tracing.span import Decision, Span, usage_in
from state.audit import Record
from state.events import Event
from state.outcome import Usage


@dataclass
class Turn:
    """A task and all that was done for it, however often it was interrupted.

    Args:
        number: From 1.
        task: What was asked.
        started: Seconds since 1970, UTC.
        ended: When the last thing in it happened; None while it goes on.
        runs: Ids of the invocations, in order.
        notes: What people did: started, answered, injected, resumed.
        spans: Steps of the outermost graph, in the order in which they began.
        decisions: What was decided outside of any step.
        status: How its last run ended, as in `RunResult`, or `running`.
        reason: Why it is not `completed`.
    """

    number: int
    task: str = ""
    started: float = 0.0
    ended: float | None = None
    runs: list[str] = field(default_factory=list)
    notes: list[Decision] = field(default_factory=list)
    spans: list[Span] = field(default_factory=list)
    decisions: list[Decision] = field(default_factory=list)
    status: str = ""
    reason: str = ""

    @property
    def is_untouched(self) -> bool:
        """Whether nothing has been done for it yet."""
        return not self.spans and not self.decisions and not self.status

    @property
    def seconds(self) -> float:
        """From its first event to its last; time that it waited for people is in it."""
        return max(0.0, (self.ended or self.started) - self.started)

    def below(self) -> Iterator[Span]:
        """Yield all spans of the turn, parents first."""
        for span in self.spans:
            yield from span.below()

    @property
    def usage(self) -> Usage:
        """What the turn spent."""
        return usage_in(self.below())

    def to_json(self) -> dict[str, Any]:
        """Return it as plain JSON, with the keys of its fields and `usage`."""
        plain: dict[str, Any] = dict(vars(self))
        for name in ("notes", "spans", "decisions"):
            plain[name] = [each.to_json() for each in plain[name]]
        return {**plain, "usage": self.usage}


@dataclass
class Trace:
    """Everything that happened in one thread.

    Args:
        thread: Id.
        graph: Name of the pattern, team or graph; empty when nothing is noted.
        task: What was asked last.
        status: As in `RunResult`, or `running`; empty when nothing is noted.
        reason: Why it is not `completed`.
        created: Seconds since 1970, UTC.
        updated: Seconds since 1970, UTC.
        turns: In order.
        audit: What the audit trail says of the thread.
        events: What it was read from, in order.
    """

    thread: str
    graph: str = ""
    task: str = ""
    status: str = ""
    reason: str = ""
    created: float = 0.0
    updated: float = 0.0
    turns: list[Turn] = field(default_factory=list)
    audit: list[Record] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    budget_left: dict[str, dict[str, Any]] = field(default_factory=dict)
    """By run: what was left of each limit that the run had."""

    def spans(self) -> Iterator[Span]:
        """Yield all spans, parents first."""
        for turn in self.turns:
            yield from turn.below()

    @property
    def usage(self) -> Usage:
        """What the thread spent, over all turns."""
        return usage_in(self.spans())

    def to_json(self) -> dict[str, Any]:
        """Return it as plain JSON, with the keys of its fields and `usage`."""
        plain: dict[str, Any] = dict(vars(self))
        plain["turns"] = [turn.to_json() for turn in self.turns]
        plain["audit"] = [record.plain() for record in self.audit]
        plain["events"] = [dict(event) for event in self.events]
        return {**plain, "usage": self.usage}
