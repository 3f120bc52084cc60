"""The course of a turn: when it was worked on, when it waited for a person, and when nobody ran it."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

from orchestra.reporting.scale import Interval
from orchestra.tracing import Decision, Span, Trace, Turn
from state.events import Event

_BEGINNINGS = frozenset({"started", "answered", "expired", "resumed"})
"""Notes with which an invocation begins."""
_ANSWERS = frozenset({"answered", "expired"})


@dataclass(frozen=True)
class Pause:
    """A time in which no process ran the turn."""

    start: float
    end: float
    why: Literal["person", "stopped"]


@dataclass(frozen=True)
class Course:
    """When what happened in a turn.

    Args:
        turn: What it is about.
        start: Seconds since 1970.
        end: Of the last thing in it, or now while it goes on.
        pauses: In order.
    """

    turn: Turn
    start: float
    end: float
    pauses: list[Pause] = field(default_factory=list)

    def end_of(self, span: Span) -> float:
        """Return when a step ended, or where it stands still."""
        return max(span.started, span.ended if span.ended is not None else self.end)

    def pauses_of(self, span: Span) -> Iterator[Pause]:
        """Yield the pauses while a step was open."""
        end = self.end_of(span)
        for pause in self.pauses:
            start, until = max(_asked(span, pause), span.started), min(pause.end, end)
            if start < until:
                yield Pause(start, until, pause.why)

    def worked(self, span: Span) -> Iterator[Interval]:
        """Yield the times in which a step was open and a process ran it."""
        at, end = span.started, self.end_of(span)
        for pause in self.pauses_of(span):
            if at < pause.start:
                yield at, pause.start
            at = pause.end
        if at <= end:
            yield at, end

    def busy(self) -> Iterator[Interval]:
        """Yield the times in which something is known to have happened."""
        yield self.start, self.start
        yield self.end, self.end
        for span in self.turn.below():
            yield span.started, span.started
            yield self.end_of(span), self.end_of(span)
            for call in span.calls:
                yield max(span.started, call.at - call.seconds), call.at
            for decision in span.decisions:
                yield decision.at, decision.at + waited(decision)
            if not span.calls and not span.children:
                yield from self.worked(span)
        for note in self.turn.notes:
            yield note.at, note.at


def _asked(span: Span, pause: Pause) -> float:
    """Return when a step began to wait: other agents may have worked on until nothing was left but to wait."""
    asked = [each.at for each in span.decisions if each.kind == "ask" and each.at <= pause.start]
    if pause.why != "person" or not asked or any(asked[-1] < call.at <= pause.start for call in span.calls):
        return pause.start
    return asked[-1]


def waited(decision: Decision) -> float:
    """Return the seconds that a call was held back by a rate limit, if that is what was decided."""
    seconds = decision.data.get("seconds", 0.0) if decision.kind == "wait" else 0.0
    return float(seconds) if isinstance(seconds, int | float) else 0.0


def courses(trace: Trace, as_of: float) -> list[Course]:
    """Return the course of each turn.

    Args:
        trace: Of the thread.
        as_of: When it was read: seconds since 1970.
    """
    events, found = _by_turn(trace), []
    for turn in trace.turns:
        mine = events.get(turn.number, [])
        is_last = turn is trace.turns[-1]
        last = max([event["at"] for event in mine] or [turn.started])
        is_open = is_last and trace.status in ("running", "waiting")
        pauses = list(_pauses(mine))
        if is_last and trace.status == "waiting":
            pauses.append(Pause(last, max(last, as_of), "person"))
        found.append(Course(turn, turn.started, max(last, as_of) if is_open else last, pauses))
    return found


def _by_turn(trace: Trace) -> dict[int, list[Event]]:
    """Return the events of each turn, by its number."""
    found: dict[int, list[Event]] = {}
    begun = [turn.started for turn in trace.turns]
    for event in trace.events:
        found.setdefault(max(1, bisect_right(begun, event["at"])), []).append(event)
    return found


def _pauses(events: list[Event]) -> Iterator[Pause]:
    """Yield what lies between one invocation and the next: up to the note that begins it, or its first event."""
    last = {event["run"]: index for index, event in enumerate(events)}
    running, before, seen, is_noted = "", 0.0, {""}, False
    for index, event in enumerate(events):
        run, note = event["run"], event["data"].get("note") if event["kind"] == "noted" else None
        if event["kind"] == "noted" and note not in _BEGINNINGS:
            continue  # somebody said something meanwhile
        is_new = run not in seen and bool(running) and last[running] < index and not is_noted
        if before and event["at"] > before and (note or is_new):
            yield Pause(before, event["at"], "person" if note in _ANSWERS else "stopped")
        seen.add(run)
        running, is_noted, before = run or running, bool(note), max(before, event["at"])
