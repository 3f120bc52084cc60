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
from typing_extensions import TypedDict

from nodes.agent import Brief, agent_node, nth_id
from nodes.decisions import Delegation, Finish, read_decisions, with_shape
from nodes.matching import find_name, roster, shortlist
from nodes.resolve import compose
from nodes.roles import assistant, writer
from nodes.roles import supervisor as default_supervisor
from nodes.spec import AnyAgent, check_agents, name_of
from nodes.turn import begin_node, conclude, recent_conversation, settle
from nodes.wording import circle, digest, says_the_same
from state.context import Context, context_of
from state.envelope import Envelope
from state.errors import OUTPUT_ERRORS
from state.graph import PatternBuilder
from state.outcome import Outcome, describe_failure
from state.task import RunStatus, TaskState


class Given(TypedDict):
    """A task that was given to a worker."""

    agent: str
    task: str
    reason: str
    outcome: str
    """Id of what became of it."""


class SupervisorState(TaskState, total=False):
    """Adds what the supervisor decided."""

    turns: int
    """Decisions so far."""
    given: list[Given]
    """All tasks of the turn, in order."""
    latest: list[str]
    """Ids of the outcomes of the tasks that the latest decision gave."""
    wrong: int
    """Decisions in a row that gave no task to anybody there is."""
    correction: str
    """What was wrong with the latest decision; empty when nothing was."""
    final: str
    """The supervisor's answer; empty before it gave one."""
    ended: str
    """Why the supervisor cannot go on; empty while it can."""


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
    by_id = {outcome["id"]: outcome for outcome in state["outcomes"]}
    lines = []
    for given in state["given"]:
        outcome = by_id.get(given["outcome"])
        if outcome is not None:
            reply = outcome["output"] if outcome["status"] == "ok" else f"No result: {describe_failure(outcome)}"
            lines.append(f"{given['agent']} was told: {given['task']}\n{digest(reply, most) if most else reply}")
    return lines


def brief_worker(sender: str, recipient: str) -> Brief:
    """Return the brief that sends a worker its task, and nothing of the others or of the conversation."""

    def brief(state: WorkState, runtime: Runtime[Any]) -> Envelope:  # noqa: ARG001  # briefs share one signature
        return Envelope(sender=sender, recipient=recipient, task=state["work"])

    return brief


def take_decision(names: Sequence[str]) -> Callable[[Outcome, SupervisorState], dict[str, Any]]:
    """Return the function that takes the supervisor's decision: tasks for workers, or else its answer."""

    def take(outcome: Outcome, state: SupervisorState) -> dict[str, Any]:
        update: dict[str, Any] = {"turns": state["turns"] + 1, "latest": [], "correction": ""}
        decisions = read_decisions(outcome, Delegation | Finish)
        wanted = [decision for decision in decisions if isinstance(decision, Delegation)]
        answers = [
            decision.answer for decision in decisions if isinstance(decision, Finish) and decision.answer.strip()
        ]
        if outcome["status"] == "ok" and not decisions and outcome["structured"] is None:
            answers = [outcome["output"]]
        known = [(name, one.task, one.reason) for one in wanted if (name := find_name(one.agent, names)) and one.task]
        if known:
            update |= give(known, state) | {"wrong": 0}
        if answers and not wanted:
            return {**update, "final": answers[0]}
        if wanted and len(known) == len(wanted):
            return update
        return {**update, **_wrong(outcome, wanted, names, 0 if known else state["wrong"] + 1)}

    return take


def give(known: Sequence[tuple[str, str, str]], state: SupervisorState) -> dict[str, Any]:
    """Return the update that gives tasks, each `(agent, task, reason)`; the same twice in one decision is given once."""
    given, before = list(state["given"]), len(state["given"])
    for name, task, reason in known:
        if not any(one["agent"] == name and one["task"] == task for one in given[before:]):
            number = 1 + sum(1 for one in given if one["agent"] == name)
            given.append(Given(agent=name, task=task, reason=reason, outcome=nth_id(name, number)))
    return {"given": given, "latest": [one["outcome"] for one in given[before:]]}


def _wrong(outcome: Outcome, wanted: Sequence[Delegation], names: Sequence[str], wrong: int) -> dict[str, Any]:
    """Return what the supervisor is told of a decision that cannot be followed, or why it is not asked again."""
    error = outcome["error"]
    if outcome["status"] != "ok" and (error is None or error["type"] not in OUTPUT_ERRORS):
        return {"ended": describe_failure(outcome)}
    unknown = [one.agent for one in wanted if not find_name(one.agent, names)]
    what = f"there is no {', '.join(map(repr, unknown))}" if unknown else "it held no task and no answer"
    return {"correction": f"Of your last decision: {what}. There are {', '.join(names)}.", "wrong": wrong}


def route_decision(supervisor: str) -> Callable[[SupervisorState, Runtime[Any]], list[Send] | str]:
    """Return the router behind the supervisor: the tasks it gave, all at once; itself, when it named nobody; or the end."""

    def route(state: SupervisorState, runtime: Runtime[Any]) -> list[Send] | str:
        if state["final"] or why_ended(state, context_of(runtime)):
            return "finish"
        given = [one for one in state["given"] if one["outcome"] in state["latest"]]
        if not given:
            return supervisor if state["turns"] < context_of(runtime).max_turns else "finish"
        return [Send(one["agent"], {"branch": one["outcome"], "work": one["task"]}) for one in given]

    return route


def route_reply(supervisor: str) -> Callable[[SupervisorState, Runtime[Any]], str]:
    """Return the router behind the workers: back to the supervisor while it has decisions left."""

    def route(state: SupervisorState, runtime: Runtime[Any]) -> str:
        return supervisor if state["turns"] < context_of(runtime).max_turns else "finish"

    return route


def why_ended(state: SupervisorState, knobs: Context) -> str:
    """Return what ends the work before the supervisor does, or nothing."""
    moves = [(given["agent"], given["task"]) for given in state["given"]]
    if length := circle(moves, knobs.max_repeats):
        return f"loop: {', '.join(name for name, _ in moves[-length:])} got the same tasks again and again"
    if state["wrong"] >= knobs.max_repeats:
        return f"max_repeats_reached: {state['wrong']} wrong decisions in a row. {state['correction']}"
    return state["ended"]


async def finish(state: SupervisorState, runtime: Runtime[Any]) -> dict[str, Any]:
    """Give the supervisor's answer, or the best so far with the reason why there is none."""
    by_id, last = {outcome["id"]: outcome for outcome in state["outcomes"]}, state["outcomes"][-1]
    record = [{**one, "status": by_id[one["outcome"]]["status"]} for one in state["given"] if one["outcome"] in by_id]
    structured, undone = {"delegations": record}, not_done(state)
    if state["final"]:
        done: RunStatus = "partial" if undone else "completed"
        return conclude(state, state["final"], status=done, reason="; ".join(undone), structured=structured)
    best = best_so_far(state)
    reason = why_ended(state, context_of(runtime)) or f"max_turns_reached: no answer after {state['turns']} decisions"
    if state["ended"] and last["status"] != "stopped":
        done = "partial" if best else "failed"
    else:
        done = "stopped" if best or not undone else settle([last])[0]
    return conclude(state, best, status=done, reason="; ".join([reason, *undone]), structured=structured)


def not_done(state: SupervisorState) -> list[str]:
    """Return what failed and was not done later, by the same worker or by another with the same task."""
    by_id = {outcome["id"]: outcome for outcome in state["outcomes"]}
    settled = [(one, by_id[one["outcome"]]) for one in state["given"] if one["outcome"] in by_id]
    lines = []
    for at, (given, outcome) in enumerate(settled):
        later = [one for one, made in settled[at + 1 :] if made["status"] == "ok"]
        made_good = any(one["agent"] == given["agent"] or says_the_same(one["task"], given["task"]) for one in later)
        if outcome["status"] != "ok" and not made_good:
            lines.append(describe_failure(outcome))
    return lines


def best_so_far(state: SupervisorState) -> str:
    """Return the replies to the latest decision that had any, each under its worker's name when there are several."""
    good = {outcome["id"]: outcome for outcome in state["outcomes"] if outcome["status"] == "ok" and outcome["output"]}
    replies = [good[one["outcome"]] for one in state["given"] if one["outcome"] in good]
    latest = [reply for reply in replies if reply["id"] in state["latest"]] or replies[-1:]
    return compose(latest)[0] if latest else ""


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
    nothing: dict[str, Any] = {"given": [], "latest": [], "wrong": 0, "correction": "", "final": "", "ended": ""}
    builder.add_node("begin", begin_node(turns=0, **nothing))
    brief = brief_supervisor(leading, workers)
    builder.add_node(leading, agent_node(leader, brief, memory=recent_conversation, keep=take_decision(names)))
    for worker, name in zip(workers, names, strict=True):
        builder.add_node(name, agent_node(worker, brief_worker(leading, name)))
    builder.add_node("finish", finish)
    builder.add_edge(START, "begin")
    builder.add_edge("begin", leading)
    builder.add_conditional_edges(leading, route_decision(leading), [*names, leading, "finish"])
    for name in names:
        builder.add_conditional_edges(name, route_reply(leading), [leading, "finish"])
    builder.add_edge("finish", END)
    return builder


graph = build().compile(name="supervisor")
