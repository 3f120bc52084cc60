"""One agent step in progress: who works for whom, on which budget, and what it has spent so far."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

from langchain_core.language_models import BaseChatModel
from langchain_core.runnables import RunnableConfig
from langgraph.runtime import Runtime

from nodes.authority import Authority, authority_by
from nodes.layers.history import readable_text
from nodes.policy import Policy
from state.budget import Account, charged, charged_here
from state.context import Context, context_of
from state.envelope import Envelope
from state.event_log import log_event
from state.events import Event, EventKind
from state.observers import tell
from state.outcome import Failure, Outcome, OutcomeStatus, Usage, add_usage, no_usage
from state.redaction import redact, redacted, redacting, shown
from state.registers import Grant
from state.run import Run, run_here


@dataclass
class Step:
    """The scope that the layers around a model call share.

    Args:
        id: Id of the outcome it will become.
        agent: Name of the agent.
        envelope: What it was sent.
        policy: Its limits.
        run: The run it belongs to.
        account: Its budget, below that of the step that called it, or else of its graph.
        context: The run's knobs.
        runtime: Of the node it runs in.
        config: Of the node it runs in.
        model: The agent's model, once it is loaded.
    """

    id: str
    agent: str
    envelope: Envelope
    policy: Policy
    run: Run
    account: Account
    context: Context
    runtime: Runtime[Any]
    config: RunnableConfig
    model: BaseChatModel | None = None
    usage: Usage = field(default_factory=no_usage)
    attempts: int = 0
    call_attempts: int = 0
    """Attempts of the logical model call in progress; set back by the retry layer."""
    passed_over: int = 0
    """How many of its fallback models are behind it already, as its own model could not be loaded."""
    call_limit: int = 1
    """How many of them the model in use may take; set by the retry layer, which keeps some back for fallback models."""
    known_usd: float = 0.0
    """Money spent on calls whose price is known; `usage` says None as soon as one is not."""
    authority: Authority = field(default_factory=Authority)
    """What it may do: what its own policy allows, within what those it works for may do."""
    grant: Grant | None = None
    """By which it works for the agent that gave it a task or asked it, when one did."""
    taint: dict[str, None] = field(default_factory=dict)
    """Where what it has read came from, as far as that is outside; in the order it was read."""
    caller: Step | None = None
    """The step of the function or tool that this agent was called from."""
    raised: dict[str, dict[str, str]] = field(default_factory=dict)
    """Type of the exception that a tool raised, and where, by the id of the call, until that is recorded."""
    queued: float = 0.0
    """Seconds spent waiting for a place or for budget that others held."""
    answered_by: str = ""
    """Name of the model that gave the latest answer: a fallback's, where that one stood in."""
    last_text: str = ""
    """The latest text the model gave, kept as partial work should a limit end the step."""
    called_model: bool = False
    """Whether a model call was made since the step was begun or taken up again."""
    counted: set[str] = field(default_factory=set)
    """Ids of the messages and tool calls that are in `usage`, of a step that is taken up again."""
    started: float = field(default_factory=time.monotonic)

    def spend(self, usage: Usage) -> None:
        """Add to what the step has used, and the steps it was called from."""
        self.usage = add_usage(self.usage, usage)
        self.known_usd += usage["usd"] or 0.0
        if self.caller is not None:
            self.caller.spend(usage)

    def emit(self, kind: EventKind, **data: Any) -> None:
        """Send one event to whoever watches the run."""
        send_event(self.run, self.runtime, kind, data, agent=self.agent, step=self.id)

    def worked(self) -> float:
        """Return for how many seconds the step has worked since it was begun or taken up again, without its waits."""
        return round(time.monotonic() - self.started - self.queued, 6)

    def outcome(
        self,
        status: OutcomeStatus,
        *,
        output: str = "",
        structured: dict[str, Any] | None = None,
        error: Failure | None = None,
        children: list[Outcome] | None = None,
    ) -> Outcome:
        """Return what the step became."""
        outcome = Outcome(
            id=self.id,
            agent=self.agent,
            status=status,
            output=readable_text(redact(str(output))),  # a message's text is a subclass of str
            structured=redacted(structured),
            error=error,
            attempts=self.attempts,
            seconds=self.worked(),
            usage=self.usage,
        )
        if children:
            outcome["children"] = children
            self.taint.update(dict.fromkeys(source for child in children for source in child.get("taint", ())))
        if self.taint:
            outcome["taint"] = list(self.taint)
        return outcome


def send_event(
    run: Run, runtime: Runtime[Any], kind: EventKind, data: dict[str, Any], *, agent: str, step: str = ""
) -> None:
    """Send one event of a run to whoever watches it."""
    event = Event(
        kind=kind,
        run=run.id,
        thread=run.thread,
        agent=agent,
        step=step,
        parent=run.parent,
        seq=next(run.sequence),
        at=time.time(),
        data={**data, "above": list(run.above)} if run.above else data,
    )
    with redacting(run.context.redact):
        event["data"] = redacted(event["data"])
    if run.recorder is not None:
        run.recorder.add(event)
    log_event(event)
    tell(event)
    runtime.stream_writer(event)


@dataclass(frozen=True)
class SiblingFailed:
    """Why a step is cancelled: given to `Task.cancel`, it ends the steps below one caller and not those further down.

    Args:
        caller: The step that the siblings work for; None at the top.
    """

    caller: Step | None

    def __str__(self) -> str:
        """Return what the outcome says."""
        return "a sibling failed and the policy is fail_fast"


_current: ContextVar[Step] = ContextVar("orchestra_step")


def open_step(
    step_id: str,
    agent: str,
    envelope: Envelope,
    policy: Policy,
    runtime: Runtime[Any],
    config: RunnableConfig,
    *,
    under: Authority | None = None,
    grant: Grant | None = None,
) -> Step:
    """Return a new step in the run that the configuration belongs to, or in a run of its own outside of one.

    Args:
        step_id: Id of the outcome it will become.
        agent: Name of the agent.
        envelope: What it was sent.
        policy: Its limits.
        runtime: Of the node it runs in.
        config: Of the node it runs in.
        under: What those may do that it works for, besides the step it is called from.
        grant: By which it works; that of the step it is called from by default.
    """
    context = context_of(runtime)
    run = run_here(config, context, name=agent)
    account = Account(owner=agent, budget=policy.budget, parent=charged_here(run.account))
    caller, envelope = step_around(), envelope_without_secrets(envelope, context)
    step = Step(step_id, agent, envelope, policy, run, account, context, runtime, config, caller=caller)
    step.authority = authority_by(policy, agent).within(under).within(caller.authority if caller is not None else None)
    step.grant = grant or (caller.grant if caller is not None else None)
    step.taint = dict.fromkeys((*(caller.taint if caller is not None else ()), *envelope.taint))
    return step


def envelope_without_secrets(envelope: Envelope, context: Context) -> Envelope:
    """Return what may cross to another agent: an envelope without secrets and the personal data that the run names."""
    with redacting(context.redact):
        told: dict[str, Any] = {"task": envelope.task, "context": envelope.context, "constraints": envelope.constraints}
        new = shown(told)
    return envelope if new is told else envelope.model_copy(update=new)


@contextmanager
def entered(step: Step) -> Iterator[None]:
    """Make a step the current one for everything started within."""
    token, account = _current.set(step), charged.set(step.account)
    try:
        yield
    finally:
        charged.reset(account)
        _current.reset(token)


def step_around() -> Step | None:
    """Return the step that is in progress here, if there is one."""
    return _current.get(None)


def current_step() -> Step:
    """Return the step that is in progress here. Layers run only within one."""
    return _current.get()
