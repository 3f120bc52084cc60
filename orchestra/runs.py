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
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from langchain_core.messages import HumanMessage
from langchain_core.runnables import RunnableConfig
from langgraph.types import Command, StateSnapshot

from nodes.human import Decision
from orchestra.knobs import context_from, note_context
from orchestra.request import Request, read_decision
from orchestra.result import RunResult, read_result
from orchestra.thread import bind, config_of, this_process, unknown_thread
from state.context import Context
from state.errors import ConfigurationError, ThreadBusy, UnknownRequest
from state.events import Event
from state.loop import run_sync
from state.persistence import Persistence

OnEvent = Callable[[Event], None]
"""Called with each event of a run when it happens, on the event loop of the run: it has to be quick."""


async def astart(
    graph: Any,
    persistence: Persistence,
    task: str | Mapping[str, Any],
    *,
    thread: str | None = None,
    context: Context | None = None,
    on_event: OnEvent | None = None,
    facts: Mapping[str, Any] | None = None,
) -> RunResult:
    """Run a graph on a task, in a new thread or as the next turn of one that has ended, and return what came of it.

    Args:
        graph: Compiled. Without a checkpointer of its own it gets the one of `persistence`.
        persistence: Keeps checkpoints, events and facts; see `open_persistence`.
        task: Text, or the whole input of the graph.
        thread: Id; a readable new one by default.
        context: The knobs of the run.
        on_event: Sees every event.
        facts: More to keep with the thread, plain JSON; see `Persistence.note_thread`.

    Raises:
        ConfigurationError: The task is empty.
        ThreadBusy: The thread waits for a person or was interrupted: a new task would lose what it was doing.
    """
    text = task if isinstance(task, str) else str(task.get("task", ""))
    if isinstance(task, str) and not task.strip():
        raise ConfigurationError("task: expected a question or an instruction, got nothing")
    thread = thread if thread is not None else await new_thread(graph.get_name(), persistence)
    turn = _Turn(bind(graph, persistence), persistence, thread, context or Context(), on_event)
    before = await turn.snapshot()
    if before.tasks:
        raise _busy(thread, read_result(thread, before))
    noted = {
        "graph": graph.get_name(),
        "task": text,
        "after": _checkpoint(before),
        "context": note_context(turn.context),
    }
    await persistence.anote_thread(thread, **noted, **(facts or {}))
    await turn.note("started", task=text)
    return await turn.run(_input_of(graph, task))


async def aresume(
    graph: Any,
    persistence: Persistence,
    thread: str,
    *,
    context: Context | None = None,
    on_event: OnEvent | None = None,
) -> RunResult:
    """Go on with a thread that was interrupted. Harmless on one that has ended or waits: it says where it stands.

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
    turn, snapshot, facts = await _reopen(graph, persistence, thread, context, on_event)
    if facts.get("task") and facts.get("after") == _checkpoint(snapshot) and not snapshot.tasks:
        return await turn.run(_input_of(graph, facts["task"]))  # it ended before the task was taken
    if not snapshot.tasks or snapshot.interrupts:
        return read_result(thread, snapshot)
    return await turn.run(None)


async def aanswer(
    graph: Any,
    persistence: Persistence,
    thread: str,
    decision: str | Mapping[str, Any] | Decision,
    *,
    request: str | None = None,
    message: str | None = None,
    args: Mapping[str, Any] | None = None,
    context: Context | None = None,
    on_event: OnEvent | None = None,
) -> RunResult:
    """Answer an open request of a thread and go on with it.

    Args:
        graph: The graph that the thread was started with.
        persistence: Where it was started.
        thread: Id.
        decision: `approve`, `edit`, `reject` or `respond`, or a whole decision of the human-in-the-loop schema.
        request: Id of the request, or its beginning; not needed when there is one.
        message: The reason of a `reject`, the text of a `respond`.
        args: What an `edit` changes; arguments that are not named stay as they are.
        context: The knobs; those it was started with by default.
        on_event: Sees every event.

    Raises:
        UnknownThread: There is no such thread.
        UnknownRequest: It has no such request open: late, answered already, or mistyped.
        InvalidAnswer: The request does not take this decision. It stays open.
    """
    turn, snapshot, _ = await _reopen(graph, persistence, thread, context, on_event)
    asked = find_request(read_result(thread, snapshot), request)
    value = read_decision(asked, decision, message=message, args=args)
    kind = decision if isinstance(decision, str) else dict(decision)["type"]
    await turn.note("answered", request=asked.id, decision=kind, message=message)
    return await turn.run(Command(resume={asked.id: value}))


async def astand(graph: Any, persistence: Persistence, thread: str) -> RunResult:
    """Return where a thread stands, without running anything.

    Raises:
        UnknownThread: There is no such thread.
    """
    snapshot: StateSnapshot = await bind(graph, persistence).aget_state(config_of(thread))
    if snapshot.created_at is None and await persistence.athread(thread) is None:
        raise unknown_thread(thread, persistence)
    return read_result(thread, snapshot)


def start(graph: Any, persistence: Persistence, task: str | Mapping[str, Any], **options: Any) -> RunResult:
    """Run a graph on a task and return what came of it; see `astart`."""
    return run_sync(astart(graph, persistence, task, **options))


def resume(graph: Any, persistence: Persistence, thread: str, **options: Any) -> RunResult:
    """Go on with a thread that was interrupted; see `aresume`."""
    return run_sync(aresume(graph, persistence, thread, **options))


def answer(
    graph: Any, persistence: Persistence, thread: str, decision: str | Mapping[str, Any] | Decision, **options: Any
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


@dataclass(frozen=True)
class _Turn:
    """One invocation of a graph on a thread, watched and recorded."""

    graph: Any
    persistence: Persistence
    thread: str
    context: Context
    on_event: OnEvent | None

    async def snapshot(self) -> StateSnapshot:
        snapshot: StateSnapshot = await self.graph.aget_state(config_of(self.thread))
        return snapshot

    async def run(self, given: Any) -> RunResult:
        """Run until the graph ends or waits. Whatever else ends it leaves the thread to be resumed."""
        config = RunnableConfig(**config_of(self.thread), run_id=uuid4())
        running = {"status": "running", "reason": None, "process": this_process()}
        await self.persistence.anote_thread(self.thread, **running)
        try:
            parts = self.graph.astream(
                given,
                config,
                context=self.context,
                stream_mode=["custom"],
                subgraphs=True,
                version="v2",
                durability="sync",
            )
            async for part in parts:
                if _is_event(part["data"]):
                    await self._deliver(part["data"])
            result = read_result(self.thread, await self.snapshot())
        except BaseException as error:
            await self.persistence.anote_thread(self.thread, status="unfinished", reason=_why(error), process=None)
            raise
        facts = {"status": result.status, "reason": result.reason or None, "process": None}
        await self.persistence.anote_thread(self.thread, **facts)
        return result

    async def note(self, what: str, **data: Any) -> None:
        """Record what somebody did to the thread."""
        event = Event(
            kind="noted",
            run="",
            thread=self.thread,
            agent="",
            step="",
            parent="",
            seq=0,
            at=time.time(),
            data={"note": what, **data},
        )
        await self._deliver(event)

    async def _deliver(self, event: Event) -> None:
        if self.on_event:
            self.on_event(event)
        await self.persistence.arecord([event])


async def _reopen(
    graph: Any, persistence: Persistence, thread: str, context: Context | None, on_event: OnEvent | None
) -> tuple[_Turn, StateSnapshot, dict[str, Any]]:
    """Return a known thread as a turn, with its latest state and what is noted about it."""
    facts, bound = await persistence.athread(thread), bind(graph, persistence)
    snapshot: StateSnapshot = await bound.aget_state(config_of(thread))
    if facts is None and snapshot.created_at is None:
        raise unknown_thread(thread, persistence)
    facts = facts or {}
    return _Turn(bound, persistence, thread, context or context_from(facts), on_event), snapshot, facts


def _busy(thread: str, result: RunResult) -> ThreadBusy:
    remedy = "answer it first" if result.status == "waiting" else "resume it first"
    return ThreadBusy(
        f"thread {thread!r} is {result.status} ({result.reason}); {remedy}, or use another", thread=thread
    )


def _input_of(graph: Any, task: str | Mapping[str, Any]) -> Any:
    """Return the graph's input; a graph that takes no task gets it as a message."""
    if not isinstance(task, str):
        return task
    properties = graph.get_input_jsonschema().get("properties", {})
    return {"task": task} if "task" in properties else {"messages": [HumanMessage(task)]}


def _checkpoint(snapshot: StateSnapshot) -> str:
    return str((snapshot.config.get("configurable") or {}).get("checkpoint_id") or "")


def _is_event(data: Any) -> bool:
    return isinstance(data, dict) and {"kind", "agent", "step", "parent", "seq"} <= data.keys()


def _why(error: BaseException) -> str:
    return str(error) if isinstance(error, Exception) and str(error) else "interrupted"
