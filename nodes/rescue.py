"""Rescue: an agent that failed asks a person what to do, when its policy is to escalate.

Code before a pause runs again after it. What the agent did is therefore kept, each try in a `@task` of its own: the failed one is
not made again, and the one that a person asked for is made once. Where agents stand in for others, so is what came before them.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, cast

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.config import get_config
from langgraph.func import task
from langgraph.runtime import Runtime

from nodes.asking import answer_within
from nodes.human import FOUR, Decision, approval_terms, expiring
from nodes.step import step_around
from state.budget import Account, charged_here
from state.context import Context, context_of
from state.envelope import Envelope
from state.outcome import Failure, Outcome, after, describe_failure
from state.run import run_of, with_run

_CHECKPOINTER = "__pregel_checkpointer"

Try = Callable[[Envelope, RunnableConfig], Awaitable[Outcome]]
"""One try of an agent's step: `(envelope, config) -> outcome`."""


async def rescued(attempt: Try, envelope: Envelope, runtime: Runtime[Any], config: RunnableConfig) -> Outcome:
    """Return the outcome of a step; of one that failed, what a person made of it.

    Bound: `Context.max_rounds` questions; then it stays failed. Without a checkpointer nobody can be asked.

    Args:
        attempt: Makes the step once.
        envelope: What the agent is sent.
        runtime: Of the node it runs in.
        config: Of the node it runs in.
    """
    if not can_pause(config):
        outcome = await attempt(envelope, config)
        return (
            _noted(outcome, "nobody was asked, as this run keeps nothing to pause with")
            if has_failed(outcome)
            else outcome
        )
    tries, context = [await kept(attempt, envelope, config)], context_of(runtime)
    for _ in range(context.max_rounds):
        if not has_failed(tries[-1]):
            break
        decision = await _decision(tries[-1], envelope, context)
        if decision.type == "reject":
            return _noted(
                _with(tries), f"left by a person: {decision.message}" if decision.message else "left by a person"
            )
        if decision.type == "respond":
            answered: Outcome = {**tries[-1], "status": "ok", "output": decision.message or "", "error": None}
            return _with([*tries[:-1], answered])
        if decision.edited_action is not None:
            envelope = envelope.model_copy(update={"task": decision.edited_action.args["task"]})
        tries.append(await kept(attempt, envelope, config))
    return _with(tries)


async def _decision(outcome: Outcome, envelope: Envelope, context: Context) -> Decision:
    description = (
        f"{describe_failure(outcome)}\n\n{envelope.render()}\n\n"
        "Approve: try again. Edit: try again with another task. Reject: leave it. Respond: this is the answer."
    )
    args = {"agent": outcome["agent"], "task": envelope.task}
    about = {"agent": outcome["agent"], "step": outcome["id"], **(expiring(**approval_terms(context)) or {})}
    check = _check(outcome["agent"])
    return (await answer_within("resolve_failure", args, description, FOUR, check=check, about=about)).decisions[0]


def _check(agent: str) -> Callable[[Decision], None]:
    def can_be_done(decision: Decision) -> None:
        """Refuse an edit of anything but the task."""
        args = decision.edited_action.args if decision.edited_action is not None else {"task": "-"}
        if unknown := sorted(args.keys() - {"agent", "task"}):
            raise ValueError(f"edit: expected a task, got {', '.join(unknown)} too")
        if not isinstance(args.get("task"), str) or not args["task"].strip():
            raise ValueError(f"task: expected text, got {args.get('task')!r}")
        if args.get("agent", agent) != agent:
            raise ValueError(f"agent: expected {agent!r}, who tries again, got {args['agent']!r}")

    return can_be_done


async def kept(attempt: Try, envelope: Envelope, config: RunnableConfig, *, account: Account | None = None) -> Outcome:
    """Make a try that is not made again when the thread is taken up; what it spent then is booked.

    Args:
        attempt: Makes the try.
        envelope: What the agent is sent.
        config: Whose run the try belongs to.
        account: Pays for it; by default what pays for work begun here.
    """
    run, made = run_of(config), False

    async def step() -> Outcome:
        nonlocal made
        made = True
        return await attempt(envelope, get_config() if run is None else with_run(get_config(), run))

    step.__name__ = step.__qualname__ = "attempt"
    outcome: Outcome = await cast(Any, task(step))()
    if not made and run is not None:
        (account or charged_here(run.account)).adopt(outcome["usage"])
        if (caller := step_around()) is not None:
            caller.spend(outcome["usage"])
    return outcome


def _with(tries: list[Outcome]) -> Outcome:
    """Return the last try with the effort of all, and the earlier ones as its children."""
    *earlier, last = tries
    for number, before in enumerate(earlier, 1):
        last = after(before, last, called=f"try {number}")
    return last


def _noted(outcome: Outcome, note: str) -> Outcome:
    error = outcome["error"] or Failure(type="Failed", message="", retryable=False)
    return {**outcome, "error": {**error, "message": f"{error['message']} ({note})".strip()}}


def has_failed(outcome: Outcome) -> bool:
    """Whether somebody else may try, or a person be asked."""
    return outcome["status"] in ("failed", "timed_out")


def can_pause(config: RunnableConfig) -> bool:
    """Whether a step may pause for a person: what waits is kept by a checkpointer."""
    return isinstance((config.get("configurable") or {}).get(_CHECKPOINTER), BaseCheckpointSaver)
