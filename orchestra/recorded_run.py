"""One invocation of a graph on a thread: watched, recorded, and noted with the thread however it ends."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from langchain_core.messages import BaseMessage, HumanMessage, message_to_dict, messages_from_dict
from langchain_core.runnables import RunnableConfig
from langgraph.errors import GraphDrained
from langgraph.runtime import RunControl
from langgraph.types import Command, StateSnapshot

from orchestra.result import RunResult, read_result
from orchestra.thread import config_of
from state.context import Context
from state.errors import Halted, ThreadError
from state.event_log import log_event
from state.events import Event
from state.graph import Pattern
from state.outcome import no_usage
from state.persistence import Persistence
from state.recording import event_of, this_process, why
from state.redaction import redacted, redacting
from state.run import BEGUN_KEY, ENDED_KEY

_UNTAKEN = "untaken"
"""Fact with the input of a run, where its text is not all of it, until the run has ended."""
_MESSAGE, _TUPLE = "__message__", "__tuple__"
"""Keys under which a noted input has what plain JSON has not."""

_control: ContextVar[RunControl | None] = ContextVar("orchestra_control", default=None)


@contextmanager
def drained_by(control: RunControl) -> Iterator[None]:
    """Let a control drain the runs that are begun within."""
    token = _control.set(control)
    try:
        yield
    finally:
        _control.reset(token)


Facts = Callable[[], Awaitable[Mapping[str, Any]]]

OnEvent = Callable[[Event], None]
"""Called with each event of a run when it happens, on the event loop of the run: it has to be quick."""


@dataclass(frozen=True)
class RecordedRun:
    """One invocation of a graph on a thread, watched and recorded."""

    graph: Any
    persistence: Persistence
    thread: str
    context: Context
    on_event: OnEvent | None

    async def snapshot(self) -> StateSnapshot:
        """Return the latest state of the thread."""
        snapshot: StateSnapshot = await self.graph.aget_state(config_of(self.thread))
        return snapshot

    async def run(self, given: Any, *, facts: Facts | None = None, **note: Any) -> RunResult:
        """Run until the graph ends or waits. Whatever else ends it leaves the thread to be resumed.

        Args:
            given: Input of the graph, a command, or None to go on.
            facts: Gives what to note with the thread; called when nobody else can run it any more, and may refuse it.
            note: What somebody did that starts this run, to be recorded once it has begun.

        Raises:
            ThreadError: The thread cannot be run now, and nothing is noted: it is another run's to say where it stands. Or the
                run refused what it was given; the thread is noted to stand where it did.
        """
        config = RunnableConfig(configurable={**config_of(self.thread)["configurable"]}, run_id=uuid4())
        begun = False

        async def begin() -> None:
            nonlocal begun
            await self._begin(await facts() if facts is not None else {}, note, run=str(config["run_id"]))
            begun = True

        known = isinstance(self.graph, Pattern)  # another graph has no lock to wait for
        if known:
            config["configurable"] |= {BEGUN_KEY: begin, ENDED_KEY: self.on_event}
        else:
            await begin()
        recorded = known and self.persistence.keeps(self.graph.checkpointer)  # by the run itself
        parts = self.graph.astream(
            given,
            config,
            context=self.context,
            stream_mode=["custom", "updates"],
            subgraphs=True,
            version="v2",
            durability="sync",
            control=_control.get(),
        )
        try:
            async for part in parts:
                if part["type"] == "custom" and _is_event(part["data"]):
                    await self._deliver(part["data"], recorded=recorded)
            result = read_result(self.thread, await self.snapshot())
        except (Halted, GraphDrained) as halted:
            stood = read_result(self.thread, await self.snapshot())
            if untaken := [request.id for request in stood.interrupts if request.id in _answered(given)]:
                await self.settle(stood)
                text = f"thread {self.thread!r} was halted ({halted.reason}) before it took the answer to {untaken[0]}"
                raise Halted(f"{text}; give it again", thread=self.thread, reason=halted.reason) from None
            result = (
                stood.model_copy(update={"reason": f"halted: {halted.reason}"})
                if stood.status == "unfinished"
                else stood
            )
        except ThreadError as error:
            if begun:
                await self.settle(await self._standing(error))
            raise
        except BaseException as error:
            await self.persistence.anote_thread(self.thread, status="unfinished", reason=why(error), process=None)
            raise
        await self.settle(result)
        return result.kept_in(self.persistence, self.graph)

    async def settle(self, result: RunResult) -> None:
        """Note where the thread stands. The input of a run is kept only as long as it may have to be given again."""
        ended = {"status": result.status, "reason": result.reason or None, "process": None}
        taken = {} if result.status == "unfinished" else {_UNTAKEN: None}
        await self.persistence.anote_thread(self.thread, **ended, **taken)

    async def _standing(self, error: ThreadError) -> RunResult:
        """Return where the thread stands after an error, which is the reason where it is in the middle of its work."""
        facts, snapshot = await self.persistence.athread(self.thread) or {}, await self.snapshot()
        untaken = is_untaken(facts, snapshot)
        stands = untaken_result(self.graph, self.thread, facts) if untaken else read_result(self.thread, snapshot)
        return stands.model_copy(update={"reason": why(error)}) if stands.status == "unfinished" else stands

    async def _begin(self, facts: Mapping[str, Any], note: dict[str, Any], *, run: str) -> None:
        running = {"status": "running", "reason": None, "process": this_process()}
        with redacting(self.context.redact):
            facts, note = redacted(dict(facts)), redacted(note)
        await self.persistence.anote_thread(self.thread, **facts, **running)
        if note:
            event = event_of("noted", note, thread=self.thread, run=run)
            log_event(event)
            await self._deliver(event)

    async def _deliver(self, event: Event, *, recorded: bool = False) -> None:
        if self.on_event:
            self.on_event(event)
        if not recorded:
            await self.persistence.arecord([event])


def _answered(given: Any) -> Mapping[str, Any]:
    """Return the answers that a command gives, by the id of the request."""
    resume = given.resume if isinstance(given, Command) else None
    return resume if isinstance(resume, Mapping) else {}


def input_of(graph: Any, task: str | Mapping[str, Any]) -> Any:
    """Return the graph's input; a graph that takes no task gets it as a message."""
    if not isinstance(task, str):
        return task
    builder = getattr(graph, "builder", None)
    # Not the schema of a graph that says what it takes: Pydantic makes none of every class.
    known = builder.schemas[builder.input_schema] if builder is not None else graph.get_input_jsonschema()["properties"]
    return {"task": task} if "task" in known else {"messages": [HumanMessage(task)]}


def checkpoint_of(snapshot: StateSnapshot) -> str:
    """Return the id of the checkpoint that a state was read from; empty for a thread that is new."""
    return str((snapshot.config.get("configurable") or {}).get("checkpoint_id") or "")


def note_input(task: str | Mapping[str, Any], text: str) -> dict[str, Any]:
    """Return facts from which an input can be given again where its text does not say it all: in plain JSON.

    Args:
        task: Text, or the whole input of a graph.
        text: The task in words.

    Returns:
        An empty input where it has something that is neither a message nor plain JSON; none where the text is enough.
    """
    if isinstance(task, str):
        return {_UNTAKEN: None}
    try:
        if task == {"task": text}:
            return {_UNTAKEN: None}
        noted = json.loads(json.dumps(_plain(dict(task))))
        return {_UNTAKEN: noted if _restored(noted) == dict(task) else {}}
    except (TypeError, ValueError, RecursionError):
        return {_UNTAKEN: {}}


def noted_input(graph: Any, facts: Mapping[str, Any]) -> Any:
    """Return the input that is noted with a thread which did not take it; None where it could not be kept."""
    if _UNTAKEN in facts:
        return _restored(facts[_UNTAKEN]) or None
    return input_of(graph, facts["task"]) if facts.get("task") else None


def _plain(value: Any) -> Any:
    """Return a value as JSON has it.

    Raises:
        TypeError: It has something that cannot be told from its JSON form.
    """
    if isinstance(value, BaseMessage):
        return {_MESSAGE: message_to_dict(value)}
    if isinstance(value, tuple):
        return {_TUPLE: [_plain(each) for each in value]}
    if isinstance(value, list):
        return [_plain(each) for each in value]
    if isinstance(value, dict) and not {_MESSAGE, _TUPLE} & value.keys():
        return {key: _plain(each) for key, each in value.items()}
    if value is None or isinstance(value, str | int | float):
        return value
    raise TypeError(f"a {type(value).__name__} is not plain")


def _restored(value: Any) -> Any:
    """Return what `_plain` was given."""
    if isinstance(value, list):
        return [_restored(each) for each in value]
    if not isinstance(value, dict):
        return value
    if _MESSAGE in value:
        return messages_from_dict([value[_MESSAGE]])[0]
    if _TUPLE in value:
        return tuple(_restored(each) for each in value[_TUPLE])
    return {key: _restored(each) for key, each in value.items()}


def is_untaken(facts: Mapping[str, Any], snapshot: StateSnapshot) -> bool:
    """Whether a run ended after its task was noted and before the graph had it."""
    goes_on = facts.get("status") in ("running", "unfinished", None)
    return goes_on and facts.get("after") == checkpoint_of(snapshot) and not snapshot.tasks


def untaken_result(graph: Any, thread: str, facts: Mapping[str, Any]) -> RunResult:
    """Return where a thread stands whose graph did not take what it was given."""
    reason = "the task was not taken yet"
    if noted_input(graph, facts) is None:
        reason = "the task was not taken yet, and not all of it could be kept: start it again with the whole input"
    return RunResult(thread=thread, status="unfinished", reason=reason, usage=no_usage())


def _is_event(data: Any) -> bool:
    return isinstance(data, dict) and {"kind", "agent", "step", "parent", "seq"} <= data.keys()
