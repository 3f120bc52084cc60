"""What a report is made of: all that is known of a thread at one moment."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from langchain_core.messages import AnyMessage

from orchestra.inbox import OpenRequest
from orchestra.thread import Moment
from orchestra.tracing import Decision, Trace
from state.budget import Budget
from state.chain import Verified


@dataclass(frozen=True, kw_only=True)
class Material:
    """All that is known of a thread.

    Args:
        trace: What happened.
        as_of: When it was read: seconds since 1970, UTC.
        model: What answers where an agent names no other.
        budget: Limits of a run; None where there are none.
        answer: Of the last turn; empty while it goes on.
        status: Of the last turn.
        reason: Why it is not `completed`.
        requests: What people are asked.
        messages: The conversation; None where the thread's state could not be read.
        moments: Checkpoints, the first one first; the latest so many of a long thread.
        checkpoints: How many there are.
        verified: What verifying the audit trail gave; None where it could not be.
        by_engine: Whether the embedded engine had a part in it.
        gaps: What could not be read and why, as sentences.
        options: What printed commands need, such as `--db`; None where no command can go on with the thread.
    """

    trace: Trace
    as_of: float
    model: str = ""
    budget: Budget | None = None
    answer: str = ""
    status: str = ""
    reason: str = ""
    requests: Sequence[OpenRequest] = ()
    messages: Sequence[AnyMessage] | None = None
    moments: Sequence[Moment] = ()
    checkpoints: int = 0
    verified: Verified | None = None
    by_engine: bool = False
    gaps: Sequence[str] = field(default_factory=tuple)
    options: Sequence[str] | None = ()

    def decisions(self) -> Iterator[Decision]:
        """Yield everything that was decided, in steps and outside of them, by the time."""
        found = [decision for turn in self.trace.turns for decision in (*turn.notes, *turn.decisions)]
        found += [decision for span in self.trace.spans() for decision in span.decisions]
        yield from sorted(found, key=lambda decision: decision.at)
