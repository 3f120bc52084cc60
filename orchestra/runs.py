"""Runs: start one, take one up again, answer what it asks.

Each function is there twice: `astart` for programs with an event loop, `start` for all others.

    with open_persistence("sqlite:///runs.db") as persistence:
        result = start(graph, persistence, "Why are there tides?", thread="t1", on_event=print)
        for request in result.interrupts:
            result = answer(graph, persistence, "t1", "approve", request=request.id)
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any

from langgraph.types import Command, StateSnapshot

from orchestra.knobs import context_from, note_context
from orchestra.recorded_run import (
    OnEvent,
    RecordedRun,
    checkpoint_of,
    input_of,
    note_input,
    noted_input,
    untaken_result,
)
from orchestra.recorded_run import is_untaken as is_untaken
from orchestra.request import AnyDecision, Request, read_decision
from orchestra.result import RunResult, read_result
from orchestra.thread import bind, config_of, unknown_thread
from state.admission import check_in_time
from state.context import Context, check_context
from state.errors import ConfigurationError, ThreadBusy, UnknownRequest
from state.graph import Pattern
from state.loop import run_sync
from state.persistence import Persistence
from state.requests import expired_of
from state.storage.requests import book_of
from state.task import task_in


async def astart(
    graph: Any,
    persistence: Persistence,
    task: str | Mapping[str, Any],
    *,
    thread: str | None = None,
    context: Context | Mapping[str, Any] | None = None,
    on_event: OnEvent | None = None,
    facts: Mapping[str, Any] | None = None,
) -> RunResult:
    """Run a graph on a task, in a new thread or as the next turn of one that has ended, and return what came of it.

    Args:
        graph: Compiled. Without a checkpointer of its own it gets the one of `persistence`.
        persistence: Keeps checkpoints, events and facts; see `open_persistence`.
        task: Text, or the whole input of the graph.
        thread: Id; a readable new one by default.
        context: The knobs of the run: all of them, or some by name; those of the graph by default.
        on_event: Sees every event.
        facts: More to keep with the thread, plain JSON; see `Persistence.note_thread`.

    Raises:
        ConfigurationError: The task is empty.
        ThreadBusy: The thread waits for a person or was interrupted: a new task would lose what it was doing.
    """
    text = task if isinstance(task, str) else task_in(task)
    if isinstance(task, str) and not task.strip():
        raise ConfigurationError("task: expected a question or an instruction, got nothing")
    bound = bind(graph, persistence)
    thread = thread if thread is not None else await new_thread(bound.get_name(), persistence)
    run = RecordedRun(bound, persistence, thread, _context_of(bound, context), on_event)

    async def noted() -> dict[str, Any]:
        before = await run.snapshot()
        if before.tasks:
            raise _busy(thread, read_result(thread, before))
        told = {"graph": graph.get_name(), "task": text, "after": checkpoint_of(before), **(facts or {})}
        return {"context": note_context(run.context), **told, **note_input(task, text)}

    return await run.run(input_of(graph, task), facts=noted, note="started", task=text)


async def aresume(
    graph: Any,
    persistence: Persistence,
    thread: str,
    *,
    context: Context | Mapping[str, Any] | None = None,
    on_event: OnEvent | None = None,
) -> RunResult:
    """Go on with a thread that was interrupted. Harmless on one that has ended or waits: it says where it stands.

    A request whose time ran out is decided by its default. An input that the graph did not take before the process died is
    given to it now; where it could not be kept, the thread stays `unfinished` and the reason says so.

    Args:
        graph: The graph that the thread was started with.
        persistence: Where it was started.
        thread: Id.
        context: The knobs; those it was started with by default.
        on_event: Sees every event.

    Raises:
        UnknownThread: There is no such thread.
        ConfigurationError: It was started with a model object, which cannot be noted, and `context` is not given.
    """
    run, snapshot, facts = await _reopen(graph, persistence, thread, context, on_event)
    if is_untaken(facts, snapshot):
        if (given := noted_input(run.graph, facts)) is None:
            result = untaken_result(run.graph, thread, facts)
            await run.settle(result)
            return result.kept_in(persistence, run.graph)
        return await run.run(given, note="started", task=facts["task"])
    expired = await expired_of(await book_of(run.graph.checkpointer), thread, snapshot)
    cut = facts.get("status") not in (
        "waiting",
        None,
    )  # between an answer and what followed, so the request still shows
    if not snapshot.tasks or (snapshot.interrupts and not expired and not cut):
        result = read_result(thread, snapshot)
        if facts.get("status") not in (result.status, None):  # a process died before it could note the end
            await run.settle(result)
        return result.kept_in(persistence, run.graph)
    note: dict[str, Any] = {"note": "expired", "decided": expired} if expired else {"note": "resumed"}
    return await run.run(None, **note)


async def aanswer(
    graph: Any,
    persistence: Persistence,
    thread: str,
    decision: AnyDecision | Sequence[AnyDecision] | None = None,
    *,
    decisions: Sequence[AnyDecision] | None = None,
    request: str | None = None,
    message: str | None = None,
    args: Mapping[str, Any] | None = None,
    context: Context | Mapping[str, Any] | None = None,
    on_event: OnEvent | None = None,
) -> RunResult:
    """Answer an open request of a thread and go on with it.

    Args:
        graph: The graph that the thread was started with.
        persistence: Where it was started.
        thread: Id.
        decision: `approve`, `edit`, `reject` or `respond`, or a whole decision of the human-in-the-loop schema.
        decisions: In its place, one for each action of a request about several.
        request: Id of the request, or its beginning; not needed when there is one.
        message: The reason of a `reject`, the text of a `respond`.
        args: What an `edit` changes; arguments that are not named stay as they are.
        context: The knobs; those it was started with by default.
        on_event: Sees every event.

    Raises:
        UnknownThread: There is no such thread.
        UnknownRequest: It has no such request open: late, answered already, or mistyped; `RequestExpired` where time
            ran out.
        InvalidAnswer: The request does not take this decision. It stays open.
        ConfigurationError: Neither `decision` nor `decisions` is given, or both.
    """
    given = decision if decisions is None else decisions
    if given is None or (decision is not None and decisions is not None):
        raise ConfigurationError("answer: expected either a decision or decisions")
    run, snapshot, _ = await _reopen(graph, persistence, thread, context, on_event)
    await _refuse_late(run, request, snapshot)
    asked = find_request(read_result(thread, snapshot), request)
    value = read_decision(asked, given, message=message, args=args)
    told: dict[str, Any] = {"request": asked.id, "decision": _kinds(given), "message": message}
    return await run.run(Command(resume={asked.id: value}), note="answered", **told)


async def astand(graph: Any, persistence: Persistence, thread: str) -> RunResult:
    """Return where a thread stands, without running anything.

    Raises:
        UnknownThread: There is no such thread.
    """
    run, snapshot, facts = await _reopen(graph, persistence, thread, Context(), None)
    stands = untaken_result(run.graph, thread, facts) if is_untaken(facts, snapshot) else read_result(thread, snapshot)
    return stands.kept_in(persistence, run.graph)


def start(graph: Any, persistence: Persistence, task: str | Mapping[str, Any], **options: Any) -> RunResult:
    """Run a graph on a task and return what came of it; see `astart`."""
    return run_sync(astart(graph, persistence, task, **options))


def resume(graph: Any, persistence: Persistence, thread: str, **options: Any) -> RunResult:
    """Go on with a thread that was interrupted; see `aresume`."""
    return run_sync(aresume(graph, persistence, thread, **options))


def answer(
    graph: Any,
    persistence: Persistence,
    thread: str,
    decision: AnyDecision | Sequence[AnyDecision] | None = None,
    **options: Any,
) -> RunResult:
    """Answer an open request of a thread and go on with it; see `aanswer`."""
    return run_sync(aanswer(graph, persistence, thread, decision, **options))


async def new_thread(name: str, persistence: Persistence) -> str:
    """Return an unused thread id that begins with a name and can be typed."""
    slug = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") or "thread"
    while await persistence.athread(thread := f"{slug}-{secrets.token_hex(3)}") is not None:
        pass
    return thread


def find_request(result: RunResult, wanted: str | None) -> Request:
    """Return the open request that an id, or its beginning, names; without one, the only one there is.

    Raises:
        UnknownRequest: There is none, or it is not clear which.
    """
    thread, found = result.thread, result.interrupts
    if not found:
        raise UnknownRequest(f"thread {thread!r} asks nothing (it is {result.status})", thread=thread)
    ids = ", ".join(request.id for request in found)
    matching = [request for request in found if wanted is None or (wanted and request.id.startswith(wanted))]
    if not matching:
        raise UnknownRequest(f"thread {thread!r} has no open request {wanted!r}; open: {ids}", thread=thread)
    if len(matching) > 1:
        raise UnknownRequest(f"thread {thread!r} has {len(found)} open requests; name one of {ids}", thread=thread)
    return matching[0]


async def _refuse_late(run: RecordedRun, request: str | None, snapshot: StateSnapshot) -> None:
    """Refuse an answer to a request that was decided when its time ran out, however short its id is given."""
    book = await book_of(run.graph.checkpointer)
    for name, asked in (await book.asked(run.thread)).items():
        if request and name.startswith(request) and all(name != each.id for each in snapshot.interrupts):
            check_in_time(name, asked, is_open=False, thread=run.thread)


def _context_of(
    graph: Any, given: Context | Mapping[str, Any] | None, facts: Mapping[str, Any] | None = None
) -> Context:
    """Return the context of a run: the one given; else what its thread noted, or the graph has, with the fields given."""
    if isinstance(given, Context):
        return given
    if facts is not None and "context" in facts:
        usual = context_from(facts)
    else:
        usual = graph.default_context() if isinstance(graph, Pattern) else Context()
    return check_context({**{one.name: getattr(usual, one.name) for one in fields(usual)}, **given}) if given else usual


def _kinds(given: AnyDecision | Sequence[AnyDecision]) -> str:
    """Return what was decided, in a word; of several decisions, a word for each."""
    if isinstance(given, str):
        return given
    return ", ".join(map(_kinds, given)) if isinstance(given, Sequence) else str(dict(given).get("type"))


async def _reopen(
    graph: Any,
    persistence: Persistence,
    thread: str,
    context: Context | Mapping[str, Any] | None,
    on_event: OnEvent | None,
) -> tuple[RecordedRun, StateSnapshot, dict[str, Any]]:
    """Return a run of a known thread, with its latest state and what is noted about it."""
    facts, bound = await persistence.athread(thread), bind(graph, persistence)
    snapshot: StateSnapshot = await bound.aget_state(config_of(thread))
    if facts is None and snapshot.created_at is None:
        raise unknown_thread(thread, persistence)
    facts = facts or {}
    return RecordedRun(bound, persistence, thread, _context_of(bound, context, facts), on_event), snapshot, facts


def _busy(thread: str, result: RunResult) -> ThreadBusy:
    remedy = "answer it first" if result.status == "waiting" else "resume it first"
    return ThreadBusy(
        f"thread {thread!r} is {result.status} ({result.reason}); {remedy}, or use another", thread=thread
    )
