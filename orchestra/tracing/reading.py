"""Read a trace from the events of a thread, or from any prefix of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from orchestra.thread import read_facts, unknown_thread
from orchestra.tracing.span import Call, Decision, Span
from orchestra.tracing.trace import Trace, Turn
from state.audit import Record
from state.events import Event
from state.loop import run_sync
from state.persistence import Persistence
from state.storage.audit import trail_of

_Place = tuple[str, ...]
"""Ids of steps, from the outermost down to one."""
_Key = tuple[str, ...]
"""The place of a step and its agent."""


def read_trace(
    events: Iterable[Event], *, facts: Mapping[str, Any] | None = None, audit: Sequence[Record] = ()
) -> Trace:
    """Return the trace that events amount to. Reads nothing else; works from any prefix of the events of a thread.

    Args:
        events: In the order of their recording.
        facts: What is noted about the thread; see `Persistence.thread`.
        audit: Records of the thread, in order.
    """
    reader = _Reader()
    for event in events:
        reader.add(event)
    return reader.trace(facts or {}, audit)


async def atrace(persistence: Persistence, thread: str) -> Trace:
    """Return the trace of a thread.

    Raises:
        UnknownThread: There is no such thread.
    """
    facts = await persistence.athread(thread)
    if facts is None:
        raise unknown_thread(thread, persistence)
    info = read_facts(facts)  # tells `running` from killed
    events = await persistence.aevents(thread)
    audit = await (await trail_of(persistence.checkpointer)).records(thread=thread)
    return read_trace(events, facts={**facts, "status": info.status}, audit=audit)


def trace(persistence: Persistence, thread: str) -> Trace:
    """Return the trace of a thread; see `atrace`."""
    return run_sync(atrace(persistence, thread))


class _Reader:
    """Takes events in, one after the other."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.turns: list[Turn] = []
        self.left: dict[str, dict[str, Any]] = {}
        self._spans: dict[_Key, Span] = {}
        self._latest: dict[_Place, Span] = {}

    def add(self, event: Event) -> None:
        """Take one event in."""
        self.events.append(event)
        turn = self._turn_of(event)
        turn.ended = event["at"]
        if event["run"] and event["run"] not in turn.runs:
            turn.runs.append(event["run"])
        if event["kind"] == "noted":
            turn.notes.append(decision_of(event))
        elif event["kind"] == "run_ended":
            self._end(event, turn)
        elif event["kind"] == "agent_started":
            self._start(event, turn)
        else:
            self._take(event, turn)

    def trace(self, facts: Mapping[str, Any], audit: Sequence[Record]) -> Trace:
        """Return what was taken in so far."""
        last = self.turns[-1] if self.turns else Turn(1)
        status = str(facts.get("status") or last.status or ("running" if self.events else ""))
        for turn in self.turns:
            _settle(turn, status if turn is last else turn.status or "unfinished")
        times = [event["at"] for event in self.events]
        return Trace(
            thread=str(facts.get("thread") or (self.events[0]["thread"] if self.events else "")),
            graph=str(facts.get("graph") or ""),
            task=str(facts.get("task") or last.task),
            status=status,
            reason=str(facts.get("reason") or last.reason),
            created=facts.get("created") or min(times, default=0.0),
            updated=facts.get("updated") or max(times, default=0.0),
            turns=self.turns,
            audit=list(audit),
            events=self.events,
            budget_left=self.left,
        )

    def _turn_of(self, event: Event) -> Turn:
        """Return the turn that an event belongs to: a new one where a task is given."""
        data = event["data"]
        if event["kind"] == "noted" and data.get("note") == "started":
            if not (self.turns and self.turns[-1].is_untouched):
                self.turns.append(Turn(len(self.turns) + 1, started=event["at"]))
            self.turns[-1].task = str(data.get("task") or "")
            self._spans, self._latest = {}, {}
        elif not self.turns:
            self.turns.append(Turn(1, started=event["at"]))
        return self.turns[-1]

    def _start(self, event: Event, turn: Turn) -> None:
        data, place = event["data"], _place_of(event)
        key, here = (*place, event["step"], event["agent"]), (*place, event["step"])
        turn.status = ""
        if (span := self._spans.get(key)) is not None:
            span.tries += 1
            span.status, span.ended = "running", None
        else:
            span = Span(event["agent"], event["step"], event["parent"], event["run"], started=event["at"])
            span.sender, span.task = str(data.get("sender", "")), str(data.get("task", ""))
            span.given, span.version = dict(data.get("given") or {}), str(data.get("version", ""))
            above = self._latest.get(place) if place else None
            (above.children if above is not None else turn.spans).append(span)
            self._spans[key] = span
        self._latest[here] = span

    def _take(self, event: Event, turn: Turn) -> None:
        """Take in what happened in a step, in a team, or in the outermost graph."""
        place = _place_of(event)
        span = self._spans.get((*place, event["step"], event["agent"]))
        if span is None:
            above = self._latest.get(place)
            (above.decisions if above is not None else turn.decisions).append(decision_of(event))
        elif event["kind"] in _TAKING:
            _TAKING[event["kind"]](span, event)
        else:
            span.decisions.append(decision_of(event))

    def _end(self, event: Event, turn: Turn) -> None:
        turn.status, turn.reason = str(event["data"].get("status", "")), str(event["data"].get("reason", ""))
        if left := event["data"].get("left"):
            self.left[event["run"]] = dict(left)
        turn.notes.append(decision_of(event))


def _place_of(event: Event) -> _Place:
    """Return the ids of the steps that a step is below, the outermost first."""
    return (*event["data"].get("above", ()), event["parent"]) if event["parent"] else ()


def _called(span: Span, event: Event) -> None:
    data = {key: value for key, value in event["data"].items() if key != "above"}
    cached = bool(data.pop("cached", False))
    call = Call(
        kind="model",
        name=str(data.pop("model", "")),
        at=event["at"],
        seconds=data.pop("seconds", 0.0),
        error=data.pop("error", "") or "",
        input_tokens=data.pop("input_tokens", 0),
        output_tokens=data.pop("output_tokens", 0),
        usd=data.pop("usd", 0.0),
        cached=cached,
        detail=data,
    )
    span.calls.append(call)
    span.model = call.name or span.model
    span.cached += cached
    span.model_calls += data.get("model_calls", 0 if cached else 1)
    span.attempts += not cached
    span.input_tokens += call.input_tokens
    span.output_tokens += call.output_tokens
    span.usd = None if call.usd is None or span.usd is None else span.usd + call.usd


def _used(span: Span, event: Event) -> None:
    data = {key: value for key, value in event["data"].items() if key != "above"}
    cached = bool(data.pop("cached", False))
    status = data.get("status", "success")
    name, seconds = str(data.pop("tool", "")), data.pop("seconds", 0.0)
    error = "" if status == "success" else str(data.get("error") or status)
    if where := data.get("where"):
        error += f" at {where}"
    span.calls.append(Call("tool", name, event["at"], seconds, error, cached=cached, detail=data))
    span.tool_calls += 1
    span.cached += cached


def _finished(span: Span, event: Event) -> None:
    data = event["data"]
    span.status, span.ended = str(data.get("status", "")), event["at"]
    span.seconds = (span.seconds or 0.0) + data.get("seconds", 0.0)
    span.attempts = data.get("attempts", span.attempts)
    span.error, span.output = data.get("error"), str(data.get("output", ""))
    span.model = str(data.get("model") or span.model)
    span.version = str(data.get("version") or span.version)


def _paused(span: Span, event: Event) -> None:
    span.status = "waiting"
    span.seconds = (span.seconds or 0.0) + event["data"].get("seconds", 0.0)
    names = ", ".join(each.get("name", "") for each in event["data"].get("requests") or ())
    span.decisions.append(replace(decision_of(event), kind="ask", subject=names))


_TAKING: dict[str, Callable[[Span, Event], None]] = {
    "paused": _paused,
    "model_called": _called,
    "tool_called": _used,
    "agent_finished": _finished,
}
_NAMES = {
    "run_ended": "ended",
    "handed_off": "handoff",
    "consulted": "consult",
    "delegated": "delegate",
    "planned": "plan",
    "progressed": "progress",
}
_SUBJECTS = ("subject", "tool", "to", "agent", "colleague", "subtask", "request")


def decision_of(event: Event) -> Decision:
    """Return what an event that is no call tells: what was decided, about what, and why."""
    data = {key: value for key, value in event["data"].items() if key != "above"}
    said = data.get("note") if event["kind"] == "noted" else data.get("decision")
    kind = str(said or _NAMES.get(event["kind"], event["kind"]))
    subject = next((str(data[name]) for name in _SUBJECTS if data.get(name)), "")
    reason = str(data.get("reason") or data.get("message") or "")
    return Decision(kind, event["at"], event["agent"], event["step"], subject, reason, data)


def _settle(turn: Turn, status: str) -> None:
    """Say what became of steps that did not end."""
    turn.status = status
    if status == "running":
        turn.ended = None
        return
    for span in turn.below():
        if span.status == "running":
            span.status = "waiting" if status == "waiting" else "unfinished"
