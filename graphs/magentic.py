"""Magentic: a manager keeps two ledgers, what is known and how it goes, sends one worker after the other, and replans when stuck.

START -> begin -> plan -> (plan | progress | finish), progress -> ({worker, ...} | progress | plan | answer | finish)
      -> {worker, ...} -> (progress | finish), answer -> finish -> END

Use it when: it is not known beforehand what a task will take, and the way may have to be changed.
Costs: 3 + 2 * s model calls for s steps of workers, and 1 or more for each new plan.
Ends: at most `Context.max_turns` progress ledgers, fewer when the work goes in a circle. A ledger that cannot be used is asked
for until that took 10 calls; then there is a new plan, of which there are at most `max_replans`.
Source: Magentic-One (Fourney et al., 2411.04468), section 4; the rule of stalls is that of autogen-magentic-one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from langgraph.graph import END, START
from langgraph.runtime import Runtime

from nodes.authority import led_by
from nodes.decisions import ProgressLedger, TaskLedger, with_shape
from nodes.ledgers import (
    ANSWER,
    FINISH,
    PLAN,
    PROGRESS,
    LedgerState,
    brief_answer,
    brief_plan,
    brief_progress,
    brief_worker,
    role_node,
    take_plan,
    take_progress,
    work_of,
)
from nodes.node import agent_node
from nodes.roles import assistant, writer
from nodes.roles import manager as default_manager
from nodes.spec import AnyAgent, check_agent, check_agents, name_of
from nodes.turn import begin_node, conclude, recent_conversation, settle
from nodes.wording import circle
from state.context import Context, context_of
from state.errors import ConfigurationError
from state.graph import PatternBuilder
from state.made import remembered
from state.outcome import describe_failure, node_of
from state.task import RunStatus


def route_plan(state: LedgerState) -> str:
    """Lead on from a plan: to the first ledger of progress, or to the manager again."""
    return state["move"]


def route_progress(max_replans: int) -> Callable[[LedgerState, Runtime[Any]], str]:
    """Return the router behind a progress ledger: where the ledger leads, but to no plan beyond those allowed."""

    def route(state: LedgerState, runtime: Runtime[Any]) -> str:
        at_limit = state["replans"] >= max_replans or state["turns"] >= context_of(runtime).max_turns
        return FINISH if at_limit and state["move"] == PLAN else state["move"]

    return route


def route_work(state: LedgerState, runtime: Runtime[Any]) -> str:
    """Lead back from a worker to the manager while there are turns left and the work goes on."""
    return FINISH if why_ended(state, context_of(runtime)) else PROGRESS


def why_ended(state: LedgerState, knobs: Context) -> str:
    """Return which limit ends the work, or nothing."""
    if state["turns"] >= knobs.max_turns:
        return f"max_turns_reached: not satisfied after {state['turns']} progress ledgers"
    moves: list[tuple[str, str]] = []
    for piece in work_of(state):
        moves = [] if piece.stalled else moves  # a manager that sees the loop itself has a rule of its own for it
        moves.append((node_of(piece.outcome), f"{piece.instruction}\n{piece.outcome['output']}"))
    if length := circle(moves, knobs.max_repeats):
        names = ", ".join(name for name, _ in moves[-length:])
        return f"loop: {names} did the same {max(2, knobs.max_repeats)} times"
    return ""


async def finish(state: LedgerState, runtime: Runtime[Any]) -> dict[str, Any]:
    """Give the manager's answer, or the best so far with the reason why there is none."""
    record: dict[str, Any] = {"task_ledger": state["task_ledger"], "progress_ledger": state["progress_ledger"]}
    record |= {"stalls": state["stalls"], "replans": state["replans"]}
    last, best = state["outcomes"][-1], best_so_far(state)
    if node_of(last) == ANSWER and last["status"] == "ok":
        status, reason = settle([last])
        return conclude(state, last["output"], status=status, reason=reason, structured=record)
    status, reason = why_no_answer(state, best, context_of(runtime))
    return conclude(state, best, status=status, reason=reason, structured=record)


def best_so_far(state: LedgerState) -> str:
    """Return the latest reply of a worker that did its task, else what one that was stopped had made; nothing without any."""
    replies = [piece.outcome for piece in work_of(state) if piece.outcome["output"].strip()]
    return next((reply["output"] for reply in sorted(replies[::-1], key=lambda reply: reply["status"] != "ok")), "")


def why_no_answer(state: LedgerState, best: str, knobs: Context) -> tuple[RunStatus, str]:
    """Return the status and reason of a run that ended without the manager's answer."""
    last = state["outcomes"][-1]
    if node_of(last) == ANSWER or state["move"] == FINISH:
        ended: RunStatus = "stopped" if last["status"] == "stopped" else "partial" if best else "failed"
        return ended, describe_failure(last)
    stuck = state["correction"] or state["progress_ledger"]["is_progress_being_made"]["reason"]
    no_plan_left = f"max_replans_reached: no progress after {state['replans']} new plans; {stuck}"
    reason = why_ended(state, knobs) or no_plan_left.rstrip("; ")
    failed = [piece.outcome for piece in work_of(state) if piece.outcome["status"] != "ok"][-1:]
    reason = "; ".join([reason, *map(describe_failure, failed)])
    return ("failed" if failed and not best else "stopped"), reason


def check_limits(**limits: Any) -> None:
    """Refuse a limit that is no count.

    Raises:
        ConfigurationError: Names the argument and what it may be.
    """
    for name, value in limits.items():
        if not isinstance(value, int) or isinstance(value, bool) or value < 0:
            raise ConfigurationError(f"{name}: expected a whole number, 0 or more, got {value!r}")


@remembered
def build(
    workers: Sequence[AnyAgent] | None = None,
    *,
    manager: AnyAgent | None = None,
    max_stalls: int = 3,
    stall_decay: bool = False,
    max_replans: int = 3,
) -> PatternBuilder:
    """Return the uncompiled graph.

    Args:
        workers: Each is told its instruction and the known facts. Names must differ.
        manager: Writes the ledgers and the answer. An `Agent` without a response format is asked for `TaskLedger` and
            `ProgressLedger`; what anything else answers is read as JSON.
        max_stalls: Ledgers without progress, or in a loop, that are put up with; one more and there is a new plan.
        stall_decay: Whether a ledger with progress takes one from the count of stalls.
        max_replans: New plans before the best so far is given.

    Raises:
        ConfigurationError: An argument is wrong; it is named, with what it may be.
    """
    workers = check_agents((assistant(), writer()) if workers is None else workers, role="workers")
    managing = check_agent(default_manager() if manager is None else manager, role="manager")
    check_limits(max_stalls=max_stalls, max_replans=max_replans)
    if stall_decay not in (True, False):
        raise ConfigurationError(f"stall_decay: expected True or False, got {stall_decay!r}")
    leading, names = name_of(managing), [name_of(worker) for worker in workers]
    check_agents([managing, *workers], role="manager and workers")

    planner, watcher = with_shape(managing, TaskLedger), with_shape(managing, ProgressLedger)
    take = take_progress(names, max_stalls, stall_decay=stall_decay)
    plan = role_node(PLAN, planner, brief_plan(leading, workers), memory=recent_conversation, keep=take_plan)
    progress = role_node(PROGRESS, watcher, brief_progress(leading, workers), keep=take)
    answer = role_node(ANSWER, managing, brief_answer(leading))
    builder = PatternBuilder(LedgerState)
    nothing = {"turns": 0, "stalls": 0, "replans": 0, "asked": 0, "correction": "", "move": ""}
    builder.add_node("begin", begin_node(task_ledger={}, progress_ledger={}, **nothing))
    for role, node in ((PLAN, plan), (PROGRESS, progress), (ANSWER, answer)):
        builder.add_node(role, node, metadata={"agent": leading})
    for worker, name in zip(workers, names, strict=True):
        builder.add_node(name, agent_node(worker, brief_worker(leading, name), under=led_by(managing)))
    builder.add_node(FINISH, finish)
    builder.add_edge(START, "begin")
    builder.add_edge("begin", PLAN)
    builder.add_conditional_edges(PLAN, route_plan, [PLAN, PROGRESS, FINISH])
    builder.add_conditional_edges(PROGRESS, route_progress(max_replans), [*names, PROGRESS, PLAN, ANSWER, FINISH])
    for name in names:
        builder.add_conditional_edges(name, route_work, [PROGRESS, FINISH])
    builder.add_edge(ANSWER, FINISH)
    builder.add_edge(FINISH, END)
    return builder


graph = build().compile(name="magentic")
