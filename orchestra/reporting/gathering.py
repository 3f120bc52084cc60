"""Gather what a report is made of from a database. What cannot be read is left out, and said to be."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from langchain_core.messages import AnyMessage, BaseMessage
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import CheckpointTuple
from langgraph.checkpoint.serde.types import INTERRUPT, TASKS
from langgraph.constants import START
from langgraph.types import StateSnapshot

from nodes.models import describe_model
from orchestra.commands.options import DEFAULT_DB
from orchestra.inbox import arequests
from orchestra.recipe import recipe_of
from orchestra.reporting.material import Material
from orchestra.result import RunResult, read_result
from orchestra.runs import is_untaken
from orchestra.thread import Moment, bind, config_of, unknown_thread
from orchestra.tracing import Span, Trace, atrace
from state.budget import Budget
from state.chain import Verified
from state.errors import OrchestraError
from state.outcome import Outcome
from state.persistence import Persistence

MOST_MOMENTS = 100
"""Checkpoints that are told; of a longer thread the latest."""
_FOLLOWS = "branch:to:"
"""What the name of a channel that LangGraph writes for a node which is next begins with."""
_JOINS = "join:"
"""Likewise for a node that waits for several."""


class _State(NamedTuple):
    """What the graph of a thread can tell."""

    result: RunResult | None = None
    messages: Sequence[AnyMessage] | None = None


async def gather(persistence: Persistence, thread: str, graph: Any, options: Sequence[str] | None) -> Material:
    """Return all that is known of a thread.

    Args:
        persistence: Where it is kept.
        thread: Id.
        graph: That it was started with; None to build it, where it is a pattern or team by name.
        options: What printed commands need to find the place again; by default what its URL tells.

    Raises:
        UnknownThread: There is no such thread.
    """
    trace, gaps = await atrace(persistence, thread), list[str]()
    facts = await persistence.athread(thread)
    if facts is None:
        raise unknown_thread(thread, persistence)
    state = await _state(persistence, thread, graph, facts, gaps)
    result = state.result
    if result is not None and trace.turns:
        _tell_whole_answers(trace.turns[-1].spans, result.outcomes)
    status = result.status if result is not None and trace.status not in ("running", "") else trace.status
    context = facts.get("context") or {}
    return Material(
        trace=trace,
        as_of=time.time(),
        model=describe_model(context["model"]) if context.get("model") else str(context.get("model_object", "")),
        budget=_budget(context),
        answer=result.answer if result is not None else "",
        status=status,
        reason=_reason(trace, result, status),
        requests=await arequests(persistence, thread=thread),
        messages=state.messages,
        moments=await _moments(persistence, thread),
        checkpoints=len(await persistence.alineage(thread)),
        verified=await _verified(persistence, gaps),
        by_engine=result.by_engine if result is not None else False,
        gaps=gaps,
        options=_options(persistence, facts) if options is None else options,
    )


def _tell_whole_answers(spans: Sequence[Span], outcomes: Sequence[Outcome]) -> None:
    """Give the steps of the latest turn their whole answers, which its outcomes hold; of earlier ones there is the beginning."""
    by_id = {outcome["id"]: outcome for outcome in outcomes}
    for span in spans:
        if (outcome := by_id.get(span.step)) is not None:
            span.output = outcome["output"] or span.output
            _tell_whole_answers(span.children, outcome.get("children", ()))


def _reason(trace: Trace, result: RunResult | None, status: str) -> str:
    """Return why a thread stands where it does: as it was noted, where that is still so."""
    if status == trace.status and trace.reason:
        return trace.reason
    return result.reason if result is not None and result.status == status else ""


async def _state(
    persistence: Persistence, thread: str, graph: Any, facts: Mapping[str, Any], gaps: list[str]
) -> _State:
    """Return what the state of a thread tells, as far as its graph is at hand."""
    if graph is None and "recipe" not in facts:
        gaps.append("answer and conversation: only the program that started the thread has its graph")
        return _State()
    try:
        bound = bind(graph if graph is not None else recipe_of(facts).graph(persistence), persistence)
        snapshot: StateSnapshot = await bound.aget_state(config_of(thread))
    except OrchestraError as error:
        gaps.append(f"answer and conversation: {error}")
        return _State()
    values = snapshot.values if isinstance(snapshot.values, dict) else {}
    said = [message for message in values.get("messages") or () if isinstance(message, BaseMessage)]
    result = None if is_untaken(facts, snapshot) else read_result(thread, snapshot)
    return _State(result, said)  # type: ignore[arg-type]  # all that a channel of messages holds


async def _moments(persistence: Persistence, thread: str) -> list[Moment]:
    """Return the latest checkpoints, the first one first, from what is stored: rebuilding the state of each takes long."""
    config: RunnableConfig = {"configurable": {"thread_id": thread, "checkpoint_ns": ""}}
    found = [_moment(each) async for each in persistence.checkpointer.alist(config, limit=MOST_MOMENTS)]
    return found[::-1]


def _moment(stored: CheckpointTuple) -> Moment:
    checkpoint = stored.checkpoint
    values = checkpoint.get("channel_values") or {}
    sent = [str(getattr(each, "node", "")) for each in values.get(TASKS) or ()]
    following = [name.removeprefix(_FOLLOWS) for name in values if name.startswith(_FOLLOWS)]
    following += [
        name.rpartition(":")[2] for name, seen in values.items() if name.startswith(_JOINS) and _is_full(name, seen)
    ]
    return Moment(
        checkpoint=checkpoint["id"],
        step=(stored.metadata or {}).get("step", 0),
        at=datetime.fromisoformat(checkpoint["ts"]),
        next=tuple(dict.fromkeys(sorted([*following, *sent, *({START} & values.keys())]))),
        waiting=any(channel == INTERRUPT for _, channel, _ in stored.pending_writes or ()),
    )


def _is_full(name: str, seen: Any) -> bool:
    """Whether all have come that the node behind a join waits for: `join:ann+bob:gather`."""
    return isinstance(seen, set | list | tuple) and len(seen) >= name.count("+") + 1


async def _verified(persistence: Persistence, gaps: list[str]) -> Verified | None:
    try:
        return await persistence._run(persistence.trail.verify)
    except OrchestraError as error:
        gaps.append(f"verification of the audit trail: {error}")
        return None


def _budget(context: Mapping[str, Any]) -> Budget | None:
    """Return the limits that are noted with a thread, or None where there are none, or of another version."""
    try:
        return Budget.model_validate(context["budget"]) if context.get("budget") else None
    except ValueError:
        return None


def _options(persistence: Persistence, facts: Mapping[str, Any]) -> list[str] | None:
    """Return what a command needs besides the thread; None where no command can go on with it."""
    if "recipe" not in facts or persistence.url == "memory:":
        return None
    return [] if persistence.url == DEFAULT_DB else ["--db", persistence.url]
