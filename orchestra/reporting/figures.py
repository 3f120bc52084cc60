"""Figures of a report: what each agent did and spent, with unknown prices said to be unknown."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from orchestra.reporting.markup import Markup, tag
from orchestra.tracing import Call, Span
from orchestra.view.figures import money


@dataclass
class AgentFigures:
    """What one agent did in a thread, over all turns. Its own: what the members of a team did is in their rows.

    Args:
        agent: Name.
        is_team: Whether other agents worked below it.
        steps: How often it was given something to do.
        model_calls: Counting failed ones.
        tool_calls: Counting failed ones.
        input_tokens: Of model calls.
        output_tokens: Of model calls.
        usd: None when a price is unknown.
        seconds: How long its steps took, those of a team with the work of its members; running ones not counted.
        attempts: Of its steps, counting failed ones.
        errors: Calls that failed, and steps that ended with an error without one.
        cached: Calls that the cache answered.
        models: What answered.
    """

    agent: str
    is_team: bool = False
    steps: int = 0
    model_calls: int = 0
    tool_calls: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    usd: float | None = 0.0
    seconds: float = 0.0
    attempts: int = 0
    errors: int = 0
    cached: int = 0
    models: tuple[str, ...] = ()

    def add(self, span: Span) -> None:
        """Count a step."""
        failed = sum(1 for call in span.calls if call.error)
        self.is_team = self.is_team or bool(span.children)
        self.steps += 1
        self.model_calls += span.model_calls
        self.tool_calls += span.tool_calls
        self.input_tokens += span.input_tokens
        self.output_tokens += span.output_tokens
        self.usd = None if self.usd is None or span.usd is None else self.usd + span.usd
        self.seconds += span.seconds or 0.0
        self.attempts += span.attempts
        self.errors += failed or bool(span.error)
        self.cached += span.cached
        if span.model and span.model not in self.models:
            self.models = (*self.models, span.model)

    def plain(self) -> dict[str, Any]:
        """Return it as plain JSON, with the keys of its fields."""
        return {**asdict(self), "models": list(self.models), "seconds": round(self.seconds, 6)}


def agent_figures(spans: Iterable[Span]) -> list[AgentFigures]:
    """Return a row for each agent, in the order in which they began."""
    found: dict[str, AgentFigures] = {}
    for span in spans:
        found.setdefault(span.agent, AgentFigures(span.agent)).add(span)
    return list(found.values())


def cost_of(calls: Iterable[Call]) -> str:
    """Return what calls cost, in words: never less than it was, never 0 for want of a price."""
    known, unknown = 0.0, 0
    for call in calls:
        if call.kind == "model":
            known, unknown = known + (call.usd or 0.0), unknown + (call.usd is None)
    if not unknown:
        return money(known)
    return f"at least {money(known)}" if known else "unknown"


def clock(at: float) -> str:
    """Return the time of day, in UTC."""
    return datetime.fromtimestamp(at, UTC).strftime("%H:%M:%S")


def date(at: float) -> str:
    """Return date and time, in UTC."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def moment_of(at: float, *, short: bool = False) -> Markup:
    """Return a time as an element that machines read too; short ones leave the zone to the heading of their column."""
    whole = datetime.fromtimestamp(at, UTC)
    return tag("time", whole.strftime("%Y-%m-%d %H:%M:%S") if short else date(at), datetime=whole.isoformat())
