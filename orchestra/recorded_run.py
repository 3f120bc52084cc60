"""One invocation of a graph on a thread: watched, recorded, and noted with the thread however it ends."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from langchain_core.messages import HumanMessage
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
from state.persistence import Persistence
from state.recording import event_of, this_process, why
from state.redaction import redacted, redacting
from state.run import BEGUN_KEY, ENDED_KEY

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
            ThreadError: The thread cannot be run now. Nothing is noted: it is another run's to say where it stands.
        """

        config = RunnableConfig(configurable={**config_of(self.thread)["configurable"]}, run_id=uuid4())

        async def begin() -> None:
            await self._begin(await facts() if facts is not None else {}, note, run=str(config["run_id"]))

        known = isinstance(self.graph, Pattern)  # another graph has no lock to wait for
        if not known:
            await begin()
        if known:
            config["configurable"] |= {BEGUN_KEY: begin, ENDED_KEY: self.on_event}
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
        except ThreadError:
            raise
        except BaseException as error:
            await self.persistence.anote_thread(self.thread, status="unfinished", reason=why(error), process=None)
            raise
        await self.settle(result)
        return result.kept_in(self.persistence, self.graph)

    async def settle(self, result: RunResult) -> None:
        """Note where the thread stands."""
        ended = {"status": result.status, "reason": result.reason or None, "process": None}
        await self.persistence.anote_thread(self.thread, **ended)

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
    properties = graph.get_input_jsonschema().get("properties", {})
    return {"task": task} if "task" in properties else {"messages": [HumanMessage(task)]}


def checkpoint_of(snapshot: StateSnapshot) -> str:
    """Return the id of the checkpoint that a state was read from; empty for a thread that is new."""
    return str((snapshot.config.get("configurable") or {}).get("checkpoint_id") or "")


def _is_event(data: Any) -> bool:
    return isinstance(data, dict) and {"kind", "agent", "step", "parent", "seq"} <= data.keys()
