"""What of a plan fits into the budget, by the estimates of its subtasks."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence

from langchain_core.language_models import BaseChatModel

from nodes.finished import ExecutionState, kept_results
from nodes.spec import Agent, AnyAgent, name_of
from state.budget import Account, Limit
from state.context import Context
from state.plan import Plan, Subtask

_LIMITS: tuple[Limit, ...] = ("model_calls", "tool_calls", "tokens", "usd")


def trimmed(
    plan: Plan, agents: Sequence[AnyAgent], account: Account, context: Context, state: ExecutionState
) -> tuple[Plan, list[tuple[Subtask, str]]]:
    """Return as much of a plan as fits into the budget, and what was left out with the reason, in topological order.

    A subtask takes its estimate; without one, a call of a model if its agent has one. Those that are finished, and need not
    be done again for this plan, take nothing.
    """
    calling = {name_of(agent) for agent in agents if isinstance(agent, Agent | BaseChatModel)}
    left = {limit: account.remaining(limit) for limit in _LIMITS}
    deadline = math.inf if context.deadline is None else context.deadline - time.time()
    seconds = min(account.remaining("seconds"), deadline)
    ends: dict[str, float] = {}
    kept, left_out = list[Subtask](), list[tuple[Subtask, str]]()
    results_kept = kept_results(plan, state)
    for subtask in plan.order():
        done = subtask.id in results_kept
        needs = dict.fromkeys(_LIMITS, 0.0) if done else _needs(subtask, subtask.agent in calling)
        missing = [name for name in subtask.depends_on if name not in ends]
        begins = max((ends[name] for name in subtask.depends_on if name in ends), default=0.0)
        end = begins + (0.0 if done else _estimated(subtask, "seconds") or 0.0)
        over = [
            f"needs {needs[limit]:g} {limit}, {left[limit]:g} left" for limit in _LIMITS if needs[limit] > left[limit]
        ]
        over += [f"ends after {end:g} seconds, {seconds:g} left"] if end > seconds else []
        over += [f"needs {missing[0]}, which was left out"] if missing else []
        if over:
            left_out.append((subtask, "; ".join(over)))
            continue
        ends[subtask.id] = end
        left = {limit: left[limit] - needs[limit] for limit in _LIMITS}
        kept.append(subtask)
    order = [subtask for subtask in plan.subtasks if subtask.id in ends]
    return Plan(subtasks=tuple(order)), left_out


def _needs(subtask: Subtask, calls_model: bool) -> dict[Limit, float]:
    """Return what a subtask takes of each limit, as far as it was estimated."""
    needs = {limit: _estimated(subtask, limit) for limit in _LIMITS}
    if needs["model_calls"] is None:
        needs["model_calls"] = float(calls_model)
    return {limit: need or 0.0 for limit, need in needs.items()}


def _estimated(subtask: Subtask, limit: Limit) -> float | None:
    return getattr(subtask.estimate, limit) if subtask.estimate is not None else None
