"""Map-reduce: a task is split into items, one branch works on each, and the results become one answer.

START -> begin -> splitter -> (worker for each item | finish) -> gather -> (aggregator | finish) -> finish -> END

Use it when: the parts of a task are independent and their number is known only when it runs.
Costs: 1 + k model calls for k items, and 1 more with an aggregator. Ends: one pass over at most `Context.max_items` items.
Source: MapReduce (Dean and Ghemawat, OSDI 2004); LangGraph's `Send`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from langgraph.graph import END, START
from langgraph.runtime import Runtime
from langgraph.types import Send

from nodes.failure import OnFailure, after_joining, cancelled_by_siblings, check_on_failure, decide
from nodes.node import Brief, agent_node, sent
from nodes.roles import assistant
from nodes.roles import splitter as default_splitter
from nodes.spec import AnyAgent, check_agents, name_of
from nodes.turn import begin_node, brief_task, conclude, recent_conversation, settle
from state.context import context_of
from state.envelope import Envelope
from state.errors import ConfigurationError
from state.graph import PatternBuilder
from state.made import remembered
from state.outcome import Outcome, describe_failure, node_of
from state.task import TaskState

_BRANCH = re.compile(r"item-\d+")
_BULLET = re.compile(r"^\s*(?:[-*+]|\d+[.)])\s+")


class MapState(TaskState, total=False):
    """Adds the items."""

    items: list[str]
    """What the task was split into."""


class BranchState(TaskState, total=False):
    """What one branch is given."""

    branch: str
    """Id of the branch's outcome."""
    item: str


def read_items(outcome: Outcome, state: TaskState) -> dict[str, Any]:  # noqa: ARG001  # one signature for all
    """Take the items from the splitter's answer: the first list of texts in its structure, or its lines."""
    structured = outcome["structured"] or {}
    lists = [value for value in structured.values() if isinstance(value, list)]
    lines = [] if structured else [_BULLET.sub("", line) for line in outcome["output"].splitlines()]
    items = [text for part in (lists[0] if lists else lines) if (text := _text_of(part))]
    return {"items": list(dict.fromkeys(items)) if outcome["status"] == "ok" else []}


def _text_of(part: Any) -> str:
    """Return an item as text: of an object its first text."""
    texts = [value for value in part.values() if isinstance(value, str)] if isinstance(part, dict) else [str(part)]
    return texts[0].strip() if texts else ""


def brief_item(recipient: str) -> Brief:
    """Return the brief that sends a worker its item and nothing of the others."""

    def brief(state: BranchState, runtime: Runtime[Any]) -> Envelope:  # noqa: ARG001  # briefs share one signature
        return Envelope(sender="splitter", recipient=recipient, task=state["item"])

    return brief


def brief_results(recipient: str) -> Brief:
    """Return the brief that sends the aggregator the task and every result under its item."""

    def brief(state: MapState, runtime: Runtime[Any]) -> Envelope:  # noqa: ARG001  # briefs share one signature
        context = {f"Context from {o['id']} ({item})": o["output"] for o, item in results(state)}
        return Envelope(sender="gather", recipient=recipient, task=state["goal"], context=context)

    return brief


def results(state: MapState) -> list[tuple[Outcome, str]]:
    """Return the successful results with their items, in the order of the items."""
    return [(outcome, item) for outcome, item in _branches(state) if outcome["status"] == "ok"]


def failures(state: MapState) -> list[tuple[Outcome, str]]:
    """Return the branches that came to nothing with their items, in the order of the items."""
    return [(outcome, item) for outcome, item in _branches(state) if outcome["status"] != "ok"]


def _branches(state: MapState) -> list[tuple[Outcome, str]]:
    by_id = {outcome["id"]: outcome for outcome in state["outcomes"]}
    named = [(by_id.get(branch_id(index)), item) for index, item in enumerate(state.get("items", []))]
    return [(outcome, item) for outcome, item in named if outcome is not None]


def branch_id(index: int) -> str:
    """Return the id of the outcome of an item, counted from 0."""
    return f"item-{index + 1}"


def route_items(worker: str) -> Callable[[MapState, Runtime[Any]], list[Send] | str]:
    """Return the router that starts one branch for each item, up to the limit; to the end when there is none."""

    def route(state: MapState, runtime: Runtime[Any]) -> list[Send] | str:
        items = state.get("items", [])[: context_of(runtime).max_items]
        return [sent(worker, state, branch=branch_id(i), item=item) for i, item in enumerate(items)] or "finish"

    return route


def gather_node(on_failure: OnFailure, quorum: int | None) -> Any:
    """Return the node behind the branches."""

    async def gather(state: MapState, runtime: Runtime[Any]) -> dict[str, Any]:
        """Settle the branches: status by the failure policy, answer by putting each result under its item."""
        branches = [outcome for outcome, _ in _branches(state)]
        status, reason = decide(branches, on_failure, quorum)
        if left_out := len(state["items"]) - len(branches):
            status = "partial" if status == "completed" else status
            reason = f"{reason}; {left_out} items beyond max_items={context_of(runtime).max_items} left out".strip("; ")
        answer = "\n\n".join(f"## {item}\n\n{outcome['output']}" for outcome, item in results(state))
        return {"status": status, "reason": reason, "answer": answer, "structured": account_for(state)}

    return gather


def account_for(state: MapState) -> dict[str, Any]:
    """Return what came of each item: `{results: [{item, output, structured}], failed: [{item, reason}]}`."""
    done = [{"item": item, "output": o["output"], "structured": o["structured"]} for o, item in results(state)]
    failed = [{"item": item, "reason": describe_failure(outcome)} for outcome, item in failures(state)]
    return {"results": done, "failed": failed}


def route_results(joiner: str) -> Callable[[MapState], str]:
    """Return the router behind the branches: to the aggregator when there is one and something to join."""

    def route(state: MapState) -> str:
        return joiner if joiner and state["answer"] and state["status"] != "failed" else "finish"

    return route


def finish_node(joiner: str) -> Any:
    """Return the last node."""

    async def finish(state: MapState) -> dict[str, Any]:
        """Give the aggregate, or the results under their items; say so when nothing could be split."""
        last = state["outcomes"][-1]
        if not state.get("items"):
            status, why = settle([last]) if last["status"] != "ok" else ("failed", "the splitter gave no items")
            return conclude(state, "", status=status, reason=why)
        joined = last if node_of(last) == joiner else None
        status, reason = after_joining(state["status"], state["reason"], joined)
        answer, structured = state["answer"], state["structured"] or {}
        if joined is not None and joined["status"] == "ok":
            answer, structured = joined["output"], {**(joined["structured"] or {}), **structured}
        return conclude(state, answer, status=status, reason=reason, structured=structured)

    return finish


@remembered
def build(
    worker: AnyAgent | None = None,
    *,
    splitter: AnyAgent | None = None,
    aggregator: AnyAgent | None = None,
    on_failure: OnFailure = "continue",
    quorum: int | None = None,
) -> PatternBuilder:
    """Return the uncompiled graph.

    Args:
        worker: Works on one item; runs once for each.
        splitter: Answers with `Split {items}`, another structure with a list, or a line for each item.
        aggregator: Joins the results; without one they stand under their items.
        on_failure: What a failed branch means; see `nodes.failure.decide`.
        quorum: How many results are enough.

    Raises:
        ConfigurationError: An argument is wrong; it is named, with what it may be.
    """
    roles = [assistant() if worker is None else worker, default_splitter() if splitter is None else splitter]
    roles += [] if aggregator is None else [aggregator]
    worker, splitter, *joiner = check_agents(roles, role="worker, splitter and aggregator")
    check_on_failure(on_failure, quorum, None)
    working, splitting, joining = name_of(worker), name_of(splitter), name_of(joiner[0]) if joiner else ""
    if taken := [name for name in (splitting, joining) if _BRANCH.fullmatch(name)]:
        raise ConfigurationError(f"agent name {taken[0]!r}: expected another, branches are named item-1, item-2, ...")

    work = agent_node(worker, brief_item(working))
    builder = PatternBuilder(MapState)
    builder.add_node("begin", begin_node(items=[]))
    split = agent_node(splitter, brief_task(splitting), memory=recent_conversation, keep=read_items)
    builder.add_node(splitting, split)
    builder.add_node(working, cancelled_by_siblings(work, working) if on_failure == "fail_fast" else work)
    builder.add_node("gather", gather_node(on_failure, quorum))
    if joiner:
        builder.add_node(joining, agent_node(joiner[0], brief_results(joining)))
    builder.add_node("finish", finish_node(joining))
    builder.add_edge(START, "begin")
    builder.add_edge("begin", splitting)
    builder.add_conditional_edges(splitting, route_items(working), [working, "finish"])
    builder.add_edge(working, "gather")
    builder.add_conditional_edges("gather", route_results(joining), [joining, "finish"] if joining else ["finish"])
    if joiner:
        builder.add_edge(joining, "finish")
    builder.add_edge("finish", END)
    return builder


graph = build().compile(name="map_reduce")
