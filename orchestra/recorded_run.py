"""One invocation of a graph on a thread: watched, recorded, and noted with the thread however it ends."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from langchain_core.messages import HumanMessage
from langchain_core.runnables import RunnableConfig
from langgraph.types import StateSnapshot

from orchestra.result import RunResult, read_result
from orchestra.thread import config_of, this_process
from state.context import Context
from state.errors import OrchestraError, ThreadError
from state.events import Event
from state.persistence import Persistence

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

    async def run(self, given: Any, **note: Any) -> RunResult:
        """Run until the graph ends or waits. Whatever else ends it leaves the thread to be resumed.

        Args:
            given: Input of the graph, a command, or None to go on.
            note: What somebody did that starts this run, to be recorded once it has begun.

        Raises:
            ThreadError: The thread cannot be run now. Nothing is noted: it is another run's to say where it stands.
        """
        config = RunnableConfig(**config_of(self.thread), run_id=uuid4())
        parts = self.graph.astream(
            given,
            config,
            context=self.context,
            stream_mode=["custom", "updates"],
            subgraphs=True,
            version="v2",
            durability="sync",
        )
        begun = False
        try:
            async for part in parts:
                if not begun:
                    begun = await self._begin(note)
                if part["type"] == "custom" and _is_event(part["data"]):
                    await self._deliver(part["data"])
            result = read_result(self.thread, await self.snapshot())
        except ThreadError:
            raise
        except BaseException as error:
            await self.persistence.anote_thread(self.thread, status="unfinished", reason=_why(error), process=None)
            raise
        facts = {"status": result.status, "reason": result.reason or None, "process": None}
        await self.persistence.anote_thread(self.thread, **facts)
        return result

    async def _begin(self, note: dict[str, Any]) -> bool:
        running = {"status": "running", "reason": None, "process": this_process()}
        await self.persistence.anote_thread(self.thread, **running)
        if note:
            at = time.time()
            event = Event(
                kind="noted", run="", thread=self.thread, agent="", step="", parent="", seq=0, at=at, data=note
            )
            await self._deliver(event)
        return True

    async def _deliver(self, event: Event) -> None:
        if self.on_event:
            self.on_event(event)
        await self.persistence.arecord([event])


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


def _why(error: BaseException) -> str:
    """Return why a run broke off; of errors that are not ours the type only, since nobody checked their text."""
    if isinstance(error, OrchestraError):
        return str(error)
    return type(error).__name__ if isinstance(error, Exception) else "interrupted"
