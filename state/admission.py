"""Admission: what a call may do to a thread that has a past.

A request is answered by its id, once; a run that failed is taken up where it stopped; and a thread that waits in a node which the
graph no longer has is refused rather than ended without a word.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.types import Command, Send, StateSnapshot

from state.errors import GraphChanged, InvalidAnswer, UnknownRequest, UnknownThread

_CHECKPOINTER = "__pregel_checkpointer"
_TRIGGER, _SENDS = "branch:to:", "__pregel_tasks"


async def admitted(graph: Any, given: Any, config: RunnableConfig) -> Any:
    """Return what a call from outside gives to a thread, as it is to be given: None where it goes on with what it began.

    Raises:
        InvalidAnswer: It answers without an id, or with nothing.
        UnknownRequest: It answers what nobody asks: late, twice, or mistyped.
        UnknownThread: It answers in a thread that does not exist.
    """
    if isinstance(given, Command):
        if given.resume is not None or not (given.update or given.goto):
            _check_answer(given.resume, await graph.aget_state(config), thread=_thread_of(config))
        return given
    if isinstance(given, Mapping) and (goal := _goal_of(given)):
        snapshot = await graph.aget_state(config)
        if snapshot.tasks and not snapshot.interrupts and snapshot.values.get("goal") == goal:
            return None
    return given


async def refuse_changed(graph: Any, config: RunnableConfig) -> None:
    """Refuse a graph that lacks what its unfinished thread goes on with.

    Raises:
        GraphChanged: Names the nodes, or the channels of the state, that are gone.
    """
    saver = (config.get("configurable") or {}).get(_CHECKPOINTER, graph.checkpointer)
    found = await saver.aget_tuple(config) if isinstance(saver, BaseCheckpointSaver) else None
    if found is None:
        return
    values = found.checkpoint["channel_values"]
    waiting = [name.removeprefix(_TRIGGER) for name in values if name.startswith(_TRIGGER)]
    waiting += [send.node for send in values.get(_SENDS) or () if isinstance(send, Send)]
    if gone := sorted({node for node in waiting if node not in graph.nodes}):
        raise _changed(graph, config, f"waits in {', '.join(map(repr, gone))}, which the graph no longer has")
    lost = [name for name in values if not name.startswith((_TRIGGER, "__")) and name not in graph.channels]
    if lost:
        raise _changed(
            graph, config, f"has {', '.join(map(repr, sorted(lost)))} in its state, which the graph no longer has"
        )


def _changed(graph: Any, config: RunnableConfig, what: str) -> GraphChanged:
    thread = _thread_of(config)
    remedy = "resume it with the version of the graph that it was started with, or start a new thread"
    return GraphChanged(f"thread {thread!r} of {graph.get_name()!r} {what}; {remedy}", thread=thread)


def _check_answer(resume: Any, snapshot: StateSnapshot, *, thread: object) -> None:
    if snapshot.created_at is None:
        raise UnknownThread(f"no thread {thread!r}: there is nothing to answer", thread=thread)
    ids = [request.id for request in snapshot.interrupts]
    if not isinstance(resume, Mapping) or not resume:
        form = 'Command(resume={request_id: {"decisions": [...]}})'
        text = f"thread {thread!r}: expected an answer by the id of its request, as {form}, got {type(resume).__name__}"
        raise InvalidAnswer(f"{text}; open: {ids}", thread=thread)
    if late := [str(name) for name in resume if name not in ids]:
        text = f"thread {thread!r} has no open request {', '.join(map(repr, late))}: answered already, or mistyped"
        raise UnknownRequest(f"{text}; open: {ids}", thread=thread)
    if empty := [name for name, answer in resume.items() if answer is None]:
        raise InvalidAnswer(f"thread {thread!r}: expected an answer to {empty}, got None", thread=thread)


def _goal_of(given: Mapping[str, Any]) -> str:
    task = given.get("task")
    return task.strip() if isinstance(task, str) and task.strip() else ""


def _thread_of(config: RunnableConfig) -> object:
    return (config.get("configurable") or {}).get("thread_id")
