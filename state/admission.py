"""Admission: what a call may do to a thread that has a past.

A request is answered by its id, once; one whose time ran out is answered with its default by whoever takes up the thread next;
a run that failed is taken up where it stopped; and a thread that waits in a node which the graph no longer has is refused rather
than ended without a word.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.types import Command, Send, StateSnapshot

from state.delivery import Delivery, delivery_of, request_meant
from state.errors import GraphChanged, InvalidAnswer, RequestExpired, UnknownRequest, UnknownThread
from state.requests import EXPIRED, Asked, answer_of, asked_of, describe_default
from state.shapes import changed_in, gone_from
from state.storage.requests import book_of

_CHECKPOINTER = "__pregel_checkpointer"
_TRIGGER, _SENDS = "branch:to:", "__pregel_tasks"


async def admitted(graph: Any, given: Any, config: RunnableConfig) -> Any:
    """Return what a call from outside gives to a thread, as it is to be given: None where it goes on with what it began.

    Raises:
        InvalidAnswer: It answers without an id, or with nothing. A chat client's answer over a server needs none where only
            one request can be meant.
        UnknownRequest: It answers what nobody asks: late, twice, or mistyped; `RequestExpired` where time ran out.
        UnknownThread: It answers in a thread that does not exist.
        GraphChanged: It answers what a node asked that is gone.
    """
    if isinstance(given, Command):
        if given.resume is None and (given.update or given.goto):
            return given
        await refuse_changed(graph, config)  # which would ask nothing, as the node that asked is gone
        thread, snapshot = _thread_of(config), await graph.aget_state(config)
        asked = await _asked(graph, snapshot, config)
        if (delivery := delivery_of(given.resume, config)) is not None and snapshot.created_at is not None:
            name = await _meant(delivery, graph, snapshot, asked, config)
            given = replace(given, resume={name: given.resume})
        _check_answer(given.resume, snapshot, asked, thread=thread)
        over = await _defaults(graph, snapshot, asked, config)
        return replace(given, resume={**over, **dict(given.resume or {})}) if over else given
    at_a_moment = (config.get("configurable") or {}).get("checkpoint_id")  # of the past, when nobody waits
    if given is None and not at_a_moment:
        snapshot = await graph.aget_state(config)
        if snapshot.interrupts:
            over = await _defaults(graph, snapshot, await _asked(graph, snapshot, config), config)
            return Command(resume=over) if over else None
    if isinstance(given, Mapping) and (goal := _goal_of(given)):
        snapshot = await graph.aget_state(config)
        if snapshot.tasks and not snapshot.interrupts and snapshot.values.get("goal") == goal:
            return None
    return given


async def _asked(graph: Any, snapshot: StateSnapshot, config: RunnableConfig) -> dict[str, Asked]:
    book, thread = await book_of(graph.checkpointer), str(_thread_of(config))
    return await asked_of(book, thread, snapshot.interrupts, snapshot.created_at)


async def _meant(
    delivery: Delivery, graph: Any, snapshot: StateSnapshot, asked: Mapping[str, Asked], config: RunnableConfig
) -> str:
    """Return the id of the request that an answer without one is meant for, as the thread is now."""
    thread, latest = str(_thread_of(config)), snapshot
    if delivery.checkpoint:
        latest = await graph.aget_state({"configurable": {"thread_id": thread}})
        asked = await _asked(graph, latest, config)
    return await request_meant(delivery, latest, asked, await book_of(graph.checkpointer), thread=thread)


async def _defaults(
    graph: Any, snapshot: StateSnapshot, asked: Mapping[str, Asked], config: RunnableConfig
) -> dict[str, dict[str, Any]]:
    """Return the answers to the requests whose time ran out, and write down what they are."""
    over = {each.id: asked[each.id] for each in snapshot.interrupts if asked[each.id].is_over}
    if over:
        decided = {name: (each, describe_default(each.about)) for name, each in over.items()}
        book = await book_of(graph.checkpointer)
        await book.decide(str(_thread_of(config)), decided)
    return {name: answer_of(each) for name, each in over.items()}


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
    if lost := gone_from(graph.channels, values, found.metadata):
        raise _changed(graph, config, f"has {', '.join(map(repr, lost))} in its state, which the graph no longer has")
    if other := changed_in(graph.channels, values, found.metadata):
        raise _changed(
            graph, config, f"has {', '.join(map(repr, other))} in its state, of another type than the graph's"
        )


def _changed(graph: Any, config: RunnableConfig, what: str) -> GraphChanged:
    thread = _thread_of(config)
    remedy = "resume it with the version of the graph that it was started with, or start a new thread"
    return GraphChanged(f"thread {thread!r} of {graph.get_name()!r} {what}; {remedy}", thread=thread)


def _check_answer(resume: Any, snapshot: StateSnapshot, asked: Mapping[str, Asked], *, thread: object) -> None:
    if snapshot.created_at is None:
        raise UnknownThread(f"no thread {thread!r}: there is nothing to answer", thread=thread)
    ids = [request.id for request in snapshot.interrupts]
    if not isinstance(resume, Mapping) or not resume:
        form = 'Command(resume={request_id: {"decisions": [...]}})'
        text = f"thread {thread!r}: expected an answer by the id of its request, as {form}, got {type(resume).__name__}"
        raise InvalidAnswer(f"{text}; open: {ids}", thread=thread)
    for name in resume:
        check_in_time(name, asked.get(name), is_open=name in ids, thread=thread)
    if late := [str(name) for name in resume if name not in ids]:
        text = f"thread {thread!r} has no open request {', '.join(map(repr, late))}: answered already, or mistyped"
        raise UnknownRequest(f"{text}; open: {ids}", thread=thread)
    if empty := [name for name, answer in resume.items() if answer is None]:
        raise InvalidAnswer(f"thread {thread!r}: expected an answer to {empty}, got None", thread=thread)
    if forged := [name for name, answer in resume.items() if isinstance(answer, Mapping) and EXPIRED in answer]:
        raise InvalidAnswer(
            f"thread {thread!r}: expected decisions for {forged}; time expires by itself", thread=thread
        )


def check_in_time(request: object, asked: Asked | None, *, is_open: bool, thread: object) -> None:
    """Refuse an answer to a request whose time ran out, whether its default was taken already or will be.

    Raises:
        RequestExpired: Says what was decided instead.
    """
    if asked is None or not (asked.decided or (is_open and asked.is_over)):
        return
    when = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(asked.expires))
    text = f"request {request!r} of thread {thread!r} expired on {when}: nobody answered in time, and instead it was decided: "
    remedy = "" if asked.decided else "; resume the thread to go on with that"
    raise RequestExpired(f"{text}{asked.decided or describe_default(asked.about)}{remedy}", thread=thread)


def _goal_of(given: Mapping[str, Any]) -> str:
    task = given.get("task")
    return task.strip() if isinstance(task, str) and task.strip() else ""


def _thread_of(config: RunnableConfig) -> object:
    return (config.get("configurable") or {}).get("thread_id")
