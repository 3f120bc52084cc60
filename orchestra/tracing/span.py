"""Spans: what one agent step was, as its events tell it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from typing import Any, Literal

from state.outcome import Usage


@dataclass
class Call:
    """One call of a model or a tool.

    Args:
        kind: What was called.
        name: Of the model, as `describe_model` names it, or of the tool.
        at: When it ended: seconds since 1970, UTC.
        seconds: How long it took.
        error: Type of the error it ended with; empty when it succeeded. Of a tool whose result says it failed: `error`.
        input_tokens: Of a model call.
        output_tokens: Of a model call.
        usd: Price; None when it is unknown.
        cached: Whether the answer was taken from the cache, and nothing was called.
        detail: Everything else that was recorded: tools asked for, names of arguments, characters of the result.
    """

    kind: Literal["model", "tool"]
    name: str
    at: float
    seconds: float = 0.0
    error: str = ""
    input_tokens: int = 0
    output_tokens: int = 0
    usd: float | None = 0.0
    cached: bool = False
    detail: dict[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return it as plain JSON, with the keys of its fields."""
        return dict(vars(self))


@dataclass
class Decision:
    """Something that was decided, by an agent, a rule, a layer or a person.

    Args:
        kind: What kind of decision: `approve`, `fallback`, `route`, `handoff`, `plan`, ...
        at: When: seconds since 1970, UTC.
        agent: Who decided, or in whose step it was decided; empty of the run as a whole.
        step: Id of that step.
        subject: What it is about: a tool, an agent, a subtask.
        reason: Why, as far as somebody said.
        data: Everything that was recorded.
    """

    kind: str
    at: float
    agent: str = ""
    step: str = ""
    subject: str = ""
    reason: str = ""
    data: dict[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return it as plain JSON, with the keys of its fields."""
        return dict(vars(self))


@dataclass
class Span:
    """One agent step; the steps of a team are its children.

    A step that starts again, after a pause or because its process was killed, is one span with several tries. Figures are its
    own, without those of its children; see `total`.

    Args:
        agent: Who worked.
        step: Id of the step, and of the outcome it became.
        parent: Id of the step whose team this agent works in; empty at the top.
        run: Id of the invocation it began in.
        sender: Who gave it the task.
        task: The beginning of the task.
        given: What it was given, as names and sizes in characters, never contents.
        started: When it first began: seconds since 1970, UTC.
        ended: When it ended, or None.
        status: Status of its outcome, or `running`, `waiting` for a person, `unfinished` when its run broke off.
        attempts: Calls of the model, or of what stands for the agent, counting failed ones.
        tries: How often the step began.
        seconds: How long it worked, over all tries and before it waited for a person; None before that.
        model_calls: Its own.
        tool_calls: Its own.
        input_tokens: Its own.
        output_tokens: Its own.
        usd: Price of its own calls; None when one is unknown.
        cached: Calls that the cache answered.
        error: `{type, message, retryable}` of its outcome.
        output: The beginning of its answer.
        version: Of the agent.
        model: What answered.
        calls: Of models and tools, in order.
        decisions: What was decided in it, in order, with reasons.
        children: Steps of its team, and of those it asked, in the order in which they began.
    """

    agent: str
    step: str
    parent: str = ""
    run: str = ""
    sender: str = ""
    task: str = ""
    given: dict[str, Any] = field(default_factory=dict)
    started: float = 0.0
    ended: float | None = None
    status: str = "running"
    attempts: int = 0
    tries: int = 1
    seconds: float | None = None
    model_calls: int = 0
    tool_calls: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    usd: float | None = 0.0
    cached: int = 0
    error: dict[str, Any] | None = None
    output: str = ""
    version: str = ""
    model: str = ""
    calls: list[Call] = field(default_factory=list)
    decisions: list[Decision] = field(default_factory=list)
    children: list[Span] = field(default_factory=list)

    @property
    def name(self) -> str:
        """What tells it from other steps: the agent, and its step where that says more."""
        if self.step.startswith(self.agent):
            return self.agent + self.step.removeprefix(self.agent).replace("#", " #")
        return f"{self.agent} {self.step}"

    @property
    def tokens(self) -> int:
        """Its own, in and out together."""
        return self.input_tokens + self.output_tokens

    def below(self) -> Iterator[Span]:
        """Yield this span and all below it, parents first."""
        waiting = [self]
        while waiting:
            span = waiting.pop()
            yield span
            waiting.extend(reversed(span.children))

    def usage(self) -> Usage:
        """Return what it spent itself."""
        return Usage(
            model_calls=self.model_calls,
            tool_calls=self.tool_calls,
            input_tokens=self.input_tokens,
            output_tokens=self.output_tokens,
            usd=self.usd,
        )

    def total(self) -> Usage:
        """Return what it and all below it spent."""
        return usage_in(self.below())

    def to_json(self) -> dict[str, Any]:
        """Return it as plain JSON, with the keys of its fields; calls, decisions and children are lists of such objects."""
        plain = {each.name: getattr(self, each.name) for each in fields(self)}
        for name in ("calls", "decisions", "children"):
            plain[name] = [each.to_json() for each in plain[name]]
        return plain


def usage_in(spans: Iterator[Span]) -> Usage:
    """Return what these spans spent themselves, in sum."""
    from state.outcome import add_usage, no_usage

    total = no_usage()
    for span in spans:
        total = add_usage(total, span.usage())
    return total
