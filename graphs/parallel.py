"""Parallel: several agents work on the same task at once, and their answers become one.

START -> begin -> {a, b, ...} -> gather -> (aggregator | finish) -> finish -> END

Use it when: several views of one task are worth their price, or one answer should be checked by others.
Costs: n model calls for n agents, and 1 more with an aggregator. Ends: one pass, no loop.
Source: self-consistency (Wang et al., 2203.11171), section 2, for voting.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, get_args

from langgraph.graph import END, START
from langgraph.runtime import Runtime

from nodes.failure import OnFailure, after_joining, cancelled_by_siblings, check_on_failure, decide
from nodes.node import agent_node
from nodes.resolve import RESOLVERS, Resolution, answer_of, compose, conflict, record, unanimous
from nodes.roles import assistant, judge, skeptic
from nodes.spec import AnyAgent, check_agent, check_agents, name_of
from nodes.turn import begin_node, brief_task, conclude, recent_conversation
from state.envelope import Envelope
from state.errors import ConfigurationError
from state.graph import PatternBuilder
from state.made import remembered
from state.outcome import Outcome, node_of
from state.task import TaskState


def answers(state: TaskState, names: Sequence[str]) -> list[Outcome]:
    """Return what the branches answered, in the order of the agents; branches that failed are left out."""
    by_id = {outcome["id"]: outcome for outcome in state["outcomes"]}
    return [by_id[name] for name in names if name in by_id and by_id[name]["status"] == "ok"]


def brief_answers(recipient: str, names: Sequence[str]) -> Callable[[TaskState, Runtime[Any]], Envelope]:
    """Return the aggregator's brief: the task and each branch's answer."""

    def brief(state: TaskState, runtime: Runtime[Any]) -> Envelope:  # noqa: ARG001  # briefs share one signature
        context = {f"Context from {node_of(outcome)}": outcome["output"] for outcome in answers(state, names)}
        return Envelope(sender="gather", recipient=recipient, task=state["goal"], context=context)

    return brief


def gather_node(names: Sequence[str], resolve: Resolution, on_failure: OnFailure, quorum: int | None) -> Any:
    """Return the node behind the branches."""

    async def gather(state: TaskState) -> dict[str, Any]:
        """Settle the branches: status by the failure policy, answer by the rule."""
        status, reason = decide(state["outcomes"], on_failure, quorum)
        good = answers(state, names)
        rule = RESOLVERS.get(resolve, compose if conflict(good) else unanimous)
        answer, structured = rule(good) if good else ("", None)
        return {"status": status, "reason": reason, "answer": answer, "structured": structured}

    return gather


def route_answers(names: Sequence[str], joiner: str, resolve: Resolution) -> Callable[[TaskState], str]:
    """Return the router behind the branches: to the aggregator when there is something for it to do."""

    def route(state: TaskState) -> str:
        good = answers(state, names)
        if state["status"] not in ("completed", "partial") or not good:
            return "finish"
        return joiner if resolve != "adjudicate" or conflict(good) else "finish"

    return route


def finish_node(names: Sequence[str], joiner: str, resolve: Resolution) -> Any:
    """Return the last node."""

    async def finish(state: TaskState) -> dict[str, Any]:
        """Give the aggregator's answer if it gave one, else the rule's."""
        last, answer, structured = state["outcomes"][-1], state["answer"], state["structured"] or {}
        joined = last if node_of(last) == joiner else None
        status, reason = after_joining(state["status"], state["reason"], joined)
        if joined is not None and joined["status"] == "ok":
            answer = answer_of(joined)
            how = structured if resolve == "compose" else record(resolve, answers(state, names), answer)
            structured = {**(joined["structured"] or {}), **how}
        return conclude(state, answer, status=status, reason=reason, structured=structured or None)

    return finish


@remembered
def build(
    agents: Sequence[AnyAgent] | None = None,
    *,
    aggregator: AnyAgent | None = None,
    resolve: Resolution = "compose",
    on_failure: OnFailure = "continue",
    quorum: int | None = None,
) -> PatternBuilder:
    """Return the uncompiled graph.

    Args:
        agents: At least two; each gets the same task. Names must differ.
        aggregator: Joins the answers. With `adjudicate` it decides between them and is asked only when they differ.
        resolve: `compose` joins, `vote` counts, `weighted` counts confidence, `rank` takes the best score, `adjudicate` asks.
        on_failure: What a failed branch means; see `nodes.failure.decide`.
        quorum: How many answers are enough.

    Raises:
        ConfigurationError: An argument is wrong; it is named, with what it may be.
    """
    agents = check_agents((assistant(), skeptic()) if agents is None else agents, least=2)
    check_on_failure(on_failure, quorum, len(agents))
    if resolve not in get_args(Resolution):
        raise ConfigurationError(f"resolve: expected one of {list(get_args(Resolution))}, got {resolve!r}")
    joiner = judge() if aggregator is None and resolve == "adjudicate" else aggregator
    names, joining = [name_of(agent) for agent in agents], name_of(joiner) if joiner is not None else ""
    builder = PatternBuilder()
    builder.add_node("begin", begin_node())
    for agent, name in zip(agents, names, strict=True):
        node = agent_node(agent, brief_task(name), memory=recent_conversation)
        builder.add_node(name, cancelled_by_siblings(node, name) if on_failure == "fail_fast" else node)
    builder.add_node("gather", gather_node(names, resolve, on_failure, quorum))
    if joiner is not None:
        builder.add_node(joining, agent_node(check_agent(joiner, role="aggregator"), brief_answers(joining, names)))
    builder.add_node("finish", finish_node(names, joining, resolve))
    builder.add_edge(START, "begin")
    for name in names:
        builder.add_edge("begin", name)
    builder.add_edge(names, "gather")
    if joiner is None:
        builder.add_edge("gather", "finish")
    else:
        builder.add_conditional_edges("gather", route_answers(names, joining, resolve), [joining, "finish"])
        builder.add_edge(joining, "finish")
    builder.add_edge("finish", END)
    return builder


graph = build().compile(name="parallel")
