"""Record a run at its door: how it began, what happened, and how it ended, whichever way it was called."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any

from langchain_core.runnables import RunnableConfig
from langgraph.types import Command

from state.errors import Halted, OrchestraError, PersistenceError, ThreadError
from state.event_log import log_event
from state.events import Event, EventKind
from state.redaction import redact, redacted, redacting
from state.requests import open_requests
from state.run import BEGUN_KEY, ENDED_KEY, Run
from state.storage.doors import Worker
from state.storage.recorder import recording
from state.storage.records import Records
from state.task import task_in


@asynccontextmanager
async def recorded(run: Run, name: str, given: Any, config: RunnableConfig) -> AsyncIterator[None]:
    """Record what happens within as a run of its thread, in its checkpointer's database; a database of others is left alone.

    Args:
        run: Which holds its thread.
        name: Of the graph.
        given: What the graph is given: its input, an answer, or None to go on.
        config: Of the run. Who starts it may say there that they note with the thread what runs, and want to know its end.

    Raises:
        PersistenceError: Something cannot be written.
    """
    place = getattr(run.saver, "place", None)
    if place is None:
        yield
        return
    async with recording(place, run.thread, run.faults) as run.recorder:
        door = _Door(run, Records(place), place.worker, config.get("configurable") or {})
        await door.begin(name, given)
        try:
            yield
        except BaseException as error:
            with suppress(PersistenceError):  # what ended the run is told
                # An answer that does not fit, say, leaves the thread where it was.
                refused = isinstance(error, ThreadError) and not isinstance(error, Halted)
                await door.end((await _standing(run))[0] if refused else "unfinished", why(error))
            raise
        await door.end(*await _standing(run))


class _Door:
    """Says in the record, and with the thread unless somebody else does, how a run stands."""

    def __init__(self, run: Run, records: Records, worker: Worker, told: Mapping[str, Any]) -> None:
        self.run, self._records, self._worker = run, records, worker
        self._told = told.get(BEGUN_KEY) is not None
        self._ended: Callable[[Event], None] | None = told.get(ENDED_KEY)

    async def begin(self, name: str, given: Any) -> None:
        if self._told:
            return
        note = _note_of(given)
        facts: dict[str, Any] = {"graph": name, "status": "running", "reason": None, "process": this_process()}
        if note["note"] == "started":
            facts["task"] = note["task"]
        await self._note(facts)
        self._add("noted", note)

    async def end(self, status: str, reason: str) -> None:
        told = {"status": status, "reason": reason, "left": self.run.left()}
        event = self._add("run_ended", {name: value for name, value in told.items() if value})
        if self._ended is not None:
            self._ended(event)
        if not self._told:
            await self._note({"status": status, "reason": reason or None, "process": None})

    def _add(self, kind: EventKind, data: dict[str, Any]) -> Event:
        run = self.run
        assert run.recorder is not None
        with redacting(run.context.redact):
            event = event_of(kind, redacted(data), thread=run.thread, run=run.id, seq=next(run.sequence))
        run.recorder.add(event)
        log_event(event)
        return event

    async def _note(self, facts: dict[str, Any]) -> None:
        with redacting(self.run.context.redact):
            facts = redacted(facts)
        await self._worker.run(self._records.note_thread, self.run.thread, facts)


def event_of(kind: EventKind, data: dict[str, Any], *, thread: str, run: str = "", seq: int = 0) -> Event:
    """Return an event of a whole thread or run, at this moment."""
    return Event(kind=kind, run=run, thread=thread, agent="", step="", parent="", seq=seq, at=time.time(), data=data)


def this_process() -> dict[str, Any]:
    """Return what tells this process from others, to be noted with the thread it works on."""
    return {"pid": os.getpid(), "host": socket.gethostname()}


def why(error: BaseException) -> str:
    """Return why a run broke off; of errors that are not ours the type only, since nobody checked their text."""
    if isinstance(error, OrchestraError):
        return redact(str(error))
    return type(error).__name__ if isinstance(error, Exception) else "interrupted"


def _note_of(given: Any) -> dict[str, Any]:
    """Return what somebody did that begins a run."""
    if isinstance(given, Command) and isinstance(given.resume, Mapping):
        kinds = {str(name): _decided(answer) for name, answer in given.resume.items()}
        return {"note": "answered", "request": ", ".join(kinds), "decision": ", ".join(kinds.values())}
    if given is None or isinstance(given, Command):
        return {"note": "resumed"}
    return {"note": "started", "task": task_in(given)}


def _decided(answer: Any) -> str:
    decisions = answer.get("decisions") if isinstance(answer, Mapping) else None
    if not isinstance(decisions, list):
        return "respond"
    return ", ".join(str(each.get("type", "")) for each in decisions if isinstance(each, Mapping))


async def _standing(run: Run) -> tuple[str, str]:
    """Return status and reason of a run that nothing broke off, as its latest checkpoint has them."""
    assert run.saver is not None
    found = await run.saver.aget_tuple({"configurable": {"thread_id": run.thread}})
    if waiting := open_requests(found):
        return "waiting", "waiting for a decision" if len(waiting) == 1 else f"waiting for {len(waiting)} decisions"
    values = found.checkpoint["channel_values"] if found is not None else {}
    status = str(values.get("status") or "completed")
    return ("unfinished" if status == "running" else status), str(values.get("reason") or "")
