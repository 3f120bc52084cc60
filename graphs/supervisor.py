"""Supervisor: one agent gives tasks to workers, reads each reply, and goes on until it has the answer.

START -> begin -> supervisor -> ({worker, ...} | supervisor | finish), {worker, ...} -> (supervisor | finish), finish -> END

Several tasks given in one decision are worked on at the same time, and all of them return.

Use it when: who has to do what shows only from what the others found.
Costs: 1 + d + w model calls for d decisions that give tasks and w tasks.
Ends: at most `Context.max_turns` decisions, fewer when they go in a circle or name nobody `Context.max_repeats` times in a row.
Source: orchestrator-workers, "Building effective agents" (Anthropic, 2024).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from langgraph.graph import END, START
from langgraph.runtime import Runtime
from langgraph.types import Send

from nodes.authority import led_by
from nodes.decisions import Delegation, Finish, with_shape
from nodes.delegation import SupervisorState, best_so_far, not_done, take_decision, why_ended, work_of
from nodes.matching import roster, shortlist
from nodes.node import Brief, agent_node, sent
from nodes.roles import assistant, writer
from nodes.roles import supervisor as default_supervisor
from nodes.spec import AnyAgent, check_agents, name_of
from nodes.turn import begin_node, conclude, recent_conversation
from nodes.wording import digest
from state.context import context_of
from state.envelope import Envelope
from state.graph import PatternBuilder
from state.made import remembered
from state.outcome import describe_failure
from state.task import RunStatus


class WorkState(SupervisorState, total=False):
    """What one worker is given."""

    branch: str
    """Id of the outcome."""
    work: str


def brief_supervisor(recipient: str, workers: Sequence[AnyAgent]) -> Brief:
    """Return the supervisor's brief: the task, who there is, and every task given with its reply, once."""

    def brief(state: SupervisorState, runtime: Runtime[Any]) -> Envelope:
        knobs = context_of(runtime)
        context = {
            "Agents": roster(shortlist(state["goal"], workers, knobs.max_candidates)),
            "Results so far": "\n\n".join(_replies(state, knobs.digest_above)),
            "Correction": state["correction"],
        }
        return Envelope(sender="user", recipient=recipient, task=state["goal"], context=context)

    return brief


def _replies(state: SupervisorState, most: int) -> list[str]:
    lines = []
    for given, outcome in work_of(state):
        reply = digest(outcome["output"], most) if most else outcome["output"]
        failed = outcome["status"] != "ok" or outcome["error"]
        parts = (f"{given['agent']} was told: {given['task']}", describe_failure(outcome) if failed else "", reply)
        lines.append("\n".join(part for part in parts if part))
    return lines


def brief_worker(sender: str, recipient: str) -> Brief:
    """Return the brief that sends a worker its task, and nothing of the others or of the conversation."""

    def brief(state: WorkState, runtime: Runtime[Any]) -> Envelope:  # noqa: ARG001  # briefs share one signature
        return Envelope(sender=sender, recipient=recipient, task=state["work"])

    return brief


def route_decision(supervisor: str) -> Callable[[SupervisorState, Runtime[Any]], list[Send] | str]:
    """Return the router behind the supervisor: the tasks it gave, all at once; itself, when it named nobody; or the end."""

    def route(state: SupervisorState, runtime: Runtime[Any]) -> list[Send] | str:
        if state["final"] or why_ended(state, context_of(runtime)):
            return "finish"
        given = [one for one in state["given"] if one["turn"] == state["turns"]]
        if not given:
            return supervisor if state["turns"] < context_of(runtime).max_turns else "finish"
        return [sent(one["agent"], state, branch=one["outcome"], work=one["task"]) for one in given]

    return route


def route_reply(supervisor: str) -> Callable[[SupervisorState, Runtime[Any]], str]:
    """Return the router behind the workers: back to the supervisor while it has decisions left."""

    def route(state: SupervisorState, runtime: Runtime[Any]) -> str:
        return supervisor if state["turns"] < context_of(runtime).max_turns else "finish"

    return route


async def finish(state: SupervisorState, runtime: Runtime[Any]) -> dict[str, Any]:
    """Give the supervisor's answer, or the best so far with the reason why there is none."""
    last, undone = state["outcomes"][-1], not_done(state)
    record = [
        {**{key: part for key, part in given.items() if key != "turn"}, "status": outcome["status"]}
        for given, outcome in work_of(state)
    ]
    structured = {"delegations": record, "notes": state["notes"]}
    if state["final"]:
        undone += [describe_failure(last)] if last["error"] else []
        done: RunStatus = "partial" if undone else "completed"
        return conclude(state, state["final"], status=done, reason="; ".join(undone), structured=structured)
    best, knobs = best_so_far(state), context_of(runtime)
    reason = why_ended(state, knobs) or f"max_turns_reached: no answer after {state['turns']} decisions"
    gave_up = state["wrong"] >= knobs.max_repeats or (state["ended"] and last["status"] != "stopped")
    done = "partial" if gave_up else "stopped"
    if not best and (gave_up or (undone and not state["ended"])):
        done = "failed"
    return conclude(state, best, status=done, reason="; ".join([reason, *undone]), structured=structured)


@remembered
def build(workers: Sequence[AnyAgent] | None = None, *, supervisor: AnyAgent | None = None) -> PatternBuilder:
    """Return the uncompiled graph.

    Args:
        workers: Each is told its task only. Names must differ.
        supervisor: Answers with `Delegation {agent, task, reason}`, several at once if it likes, or `Finish {answer}`; the
            text of one that answers without any is the answer. It remembers the conversation.

    Raises:
        ConfigurationError: An argument is wrong; it is named, with what it may be.
    """
    workers = check_agents((assistant(), writer()) if workers is None else workers, role="workers")
    leader = default_supervisor() if supervisor is None else supervisor
    check_agents([leader, *workers], role="supervisor and workers")
    leading, names = name_of(leader), [name_of(worker) for worker in workers]
    leader = with_shape(leader, Delegation | Finish)

    builder = PatternBuilder(SupervisorState)
    nothing: dict[str, Any] = {"given": [], "wrong": 0, "notes": [], "correction": "", "final": "", "ended": ""}
    builder.add_node("begin", begin_node(turns=0, **nothing))
    brief = brief_supervisor(leading, workers)
    builder.add_node(leading, agent_node(leader, brief, memory=recent_conversation, keep=take_decision(names)))
    for worker, name in zip(workers, names, strict=True):
        builder.add_node(name, agent_node(worker, brief_worker(leading, name), under=led_by(leader)))
    builder.add_node("finish", finish)
    builder.add_edge(START, "begin")
    builder.add_edge("begin", leading)
    builder.add_conditional_edges(leading, route_decision(leading), [*names, leading, "finish"])
    for name in names:
        builder.add_conditional_edges(name, route_reply(leading), [leading, "finish"])
    builder.add_edge("finish", END)
    return builder


graph = build().compile(name="supervisor")
