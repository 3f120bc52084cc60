"""What failing branches mean for the whole, declared as data: `fail_fast`, `continue`, `best_effort`, and a quorum."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Sequence
from typing import Any, Literal, TypeVar

from langchain_core.runnables import RunnableConfig
from langgraph.runtime import Runtime

from nodes.node import Node
from nodes.step import SiblingFailed, step_around
from nodes.turn import settle
from state.errors import ConfigurationError
from state.outcome import Failure, Outcome, OutcomeStatus, describe_failure, no_usage
from state.run import run_of
from state.task import RunStatus

T = TypeVar("T")
OnFailure = Literal["fail_fast", "continue", "best_effort"]

GRACE = 1.0
"""Seconds that a cancelled branch has to say what it spent; one that takes longer is left behind."""


def check_on_failure(on_failure: Any, quorum: Any, branches: int | None) -> None:
    """Refuse an unknown policy, and a quorum that can never be reached.

    Raises:
        ConfigurationError: Names the argument and what it may be.
    """
    if on_failure not in ("fail_fast", "continue", "best_effort"):
        raise ConfigurationError(f"on_failure: expected 'fail_fast', 'continue' or 'best_effort', got {on_failure!r}")
    wrong = quorum is not None and (not isinstance(quorum, int) or isinstance(quorum, bool) or quorum < 1)
    if wrong or (quorum is not None and branches is not None and quorum > branches):
        raise ConfigurationError(f"quorum: expected 1 to {branches or 'the number of branches'}, got {quorum!r}")


def decide(outcomes: Sequence[Outcome], on_failure: OnFailure, quorum: int | None) -> tuple[RunStatus, str]:
    """Return the status and reason of branches that have all settled. What succeeded is kept under every policy.

    `continue`: some failed is `partial`. `best_effort`: some failed is `completed`, with the reason. `fail_fast`: one
    failed is `failed`; one that was skipped is not. A quorum that is not reached is `failed` whatever the policy.
    """
    status, reason = settle(outcomes)
    good = sum(1 for outcome in outcomes if outcome["status"] == "ok")
    if quorum is not None and good < quorum:
        return "failed", f"quorum not reached: {good} of {quorum} needed; {reason}"
    if status != "partial":
        return status, reason
    if on_failure == "fail_fast" and any(map(has_failed, outcomes)):
        return "failed", reason
    if on_failure == "best_effort" or quorum is not None:
        return "completed", reason
    return status, reason


def after_joining(status: RunStatus, reason: str, joined: Outcome | None) -> tuple[RunStatus, str]:
    """Return the status and reason once an aggregator had its turn: without its whole answer the run is partial."""
    if joined is None or (joined["status"] == "ok" and not joined["error"]):
        return status, reason
    return "partial", "; ".join(part for part in (reason, describe_failure(joined)) if part)


def cancelled_by_siblings(node: Node, name: str) -> Node:
    """Return the node for a `fail_fast` branch: it ends as `cancelled` once a sibling has failed, and tells them when it fails.

    Siblings are the nodes wrapped like this that run in the same superstep.
    """

    async def racing(state: Any, runtime: Runtime[Any], config: RunnableConfig) -> dict[str, Any]:
        run = run_of(config)
        if run is None:
            return await node(state, runtime, config)
        info = runtime.execution_info
        failed = run.signal(f"fail_fast {info.checkpoint_id if info else ''}")
        update = await unless(failed, node(state, runtime, config))
        if update is None:
            return {"outcomes": [cancelled(state.get("branch") or name, name)]}
        if any(map(has_failed, update["outcomes"])):
            failed.set()
        return update

    return racing


async def unless(alarm: asyncio.Event, work: Awaitable[T]) -> T | None:
    """Return what the work gives; None when the alarm came first and the work did not end within `GRACE` seconds of it."""
    running, waiting = asyncio.ensure_future(work), asyncio.ensure_future(alarm.wait())
    try:
        await asyncio.wait({running, waiting}, return_when=asyncio.FIRST_COMPLETED)
        if not running.done():
            running.cancel(SiblingFailed(step_around()))
            await asyncio.wait({running}, timeout=GRACE)
    finally:
        waiting.cancel()
        running.cancel()
    return None if running.cancelled() or not running.done() else running.result()


def has_failed(outcome: Outcome) -> bool:
    """Whether an outcome ends its siblings under `fail_fast`."""
    return outcome["status"] in ("failed", "timed_out", "stopped")


def cancelled(step_id: str, name: str) -> Outcome:
    """Return the outcome of an agent that a failed sibling ended, or kept from beginning."""
    return without_work(
        step_id, name, "cancelled", Failure(type="Cancelled", message=str(SiblingFailed(None)), retryable=True)
    )


def without_work(step_id: str, name: str, status: OutcomeStatus, error: Failure) -> Outcome:
    """Return the outcome of a step that never began, or of which nothing is known."""
    return Outcome(
        id=step_id,
        agent=name,
        status=status,
        output="",
        structured=None,
        error=error,
        attempts=0,
        seconds=0.0,
        usage=no_usage(),
    )
