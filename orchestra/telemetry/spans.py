"""Spans: the events of runs, turned into spans while they happen. One trace for each run."""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, TypeVar, cast

from opentelemetry import context as ambient
from opentelemetry.context import Context
from opentelemetry.metrics import Meter
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.trace import (
    Link,
    Span,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    Tracer,
    get_current_span,
    set_span_in_context,
)

from orchestra.telemetry import conventions as names
from state.events import Event
from state.outcome import Usage, add_usage, no_usage

_MOST_KEPT = 1000
"""Runs that did not end, and turns that may be taken up again, which are remembered at most."""
_HERE = ambient.create_key("orchestra-step")
_Key = tuple[str, str, str]
V = TypeVar("V")


@dataclass
class _Step:
    span: Span
    parent: Context
    """What the step was begun in, which is put back when it ends."""


@dataclass
class _Run:
    """The spans of a run that have not ended."""

    root: Span | None = None
    """None where our agents work in somebody else's graph, whose beginning nobody tells."""
    steps: dict[_Key, _Step] = field(default_factory=dict)
    latest: dict[str, Span] = field(default_factory=dict)
    """By id of the step, for those whose team tells of it on another thread than the one it began on."""
    usage: Usage = field(default_factory=no_usage)
    trouble: str = ""
    """Type of the last error that an agent ended with."""


class SpanObserver:
    """Turns events into spans and metrics. It is an observer of runs; see `state.observers`.

    Args:
        tracer: Makes the spans.
        meter: Makes the histograms.
        content: Whether texts are told, too.
        foreseeable: Whether the tracer takes its ids from `TurnIds`, so that a run can be linked to one of an earlier process.
    """

    def __init__(self, tracer: Tracer, meter: Meter, *, content: bool, foreseeable: bool) -> None:
        self._tracer, self._content, self._foreseeable = tracer, content, foreseeable
        self._runs: OrderedDict[str, _Run] = OrderedDict()
        self._turns: OrderedDict[tuple[str, str], SpanContext] = OrderedDict()
        self._lock = threading.RLock()
        self._tokens = meter.create_histogram(
            names.USAGE,
            unit="{token}",
            description="Number of input and output tokens used.",
            explicit_bucket_boundaries_advisory=names.USAGE_BUCKETS,
        )
        self._durations = meter.create_histogram(
            names.DURATION,
            unit="s",
            description="GenAI operation duration.",
            explicit_bucket_boundaries_advisory=names.DURATION_BUCKETS,
        )

    def __call__(self, event: Event) -> None:
        """Take one event in."""
        with self._lock:
            take = getattr(self, f"_{event['kind']}", None)
            if take is not None:
                take(event, self._run(event["run"]))

    def close(self) -> None:
        """End what has not ended."""
        with self._lock:
            for run in self._runs.values():
                _end_all(run, "unfinished")
            self._runs.clear()

    def _run_started(self, event: Event, run: _Run) -> None:
        thread, turn = event["thread"], str(event["data"].get("turn", ""))
        resumed = bool(event["data"].get("resumed"))
        before = self._before(thread, turn) if resumed else None
        with _with_ids(None if resumed or not thread else _ids_of(thread, turn)):
            run.root = self._tracer.start_span(
                f"invoke_workflow {event['agent']}",
                kind=SpanKind.INTERNAL,
                attributes=names.workflow_attributes(event, content=self._content),
                links=[Link(before)] if before is not None else None,
                start_time=_nanoseconds(event["at"]),
            )
        if thread:
            self._turns.setdefault((thread, turn), run.root.get_span_context())
            _forget(self._turns)

    def _run_ended(self, event: Event, run: _Run) -> None:
        data = {**event["data"], "usage": run.usage}
        waiting = data.get("status") == "waiting"
        _end_all(run, "waiting" if waiting else "unfinished", at=event["at"])
        if data.get("status") in names.FAILED and not data.get("error"):
            data["error"] = run.trouble
        if run.root is not None:
            run.root.set_attributes(names.ending_attributes(data, content=self._content, text="answer"))
            self._fail(run.root, names.error_of(data), data.get("reason"))
            run.root.end(_nanoseconds(event["at"]))
        self._runs.pop(event["run"], None)

    def _agent_started(self, event: Event, run: _Run) -> None:
        around = self._around(event, run)
        span = self._tracer.start_span(
            f"invoke_agent {event['agent']}",
            context=around,
            kind=SpanKind.INTERNAL,
            attributes=names.agent_attributes(event, content=self._content),
            start_time=_nanoseconds(event["at"]),
        )
        key = _key(event)
        if (before := run.steps.pop(key, None)) is not None:  # begun again without having ended
            _end(before.span, "unfinished", at=event["at"])
        run.steps[key] = _Step(span, ambient.get_current())
        run.latest[event["step"]] = span
        # What the agent's tools and clients trace by themselves is below its span.
        ambient.attach(ambient.set_value(_HERE, (event["run"], span), set_span_in_context(span)))

    def _agent_finished(self, event: Event, run: _Run) -> None:
        step, data = run.steps.pop(_key(event), None), event["data"]
        if step is None:
            return
        step.span.set_attributes(names.ending_attributes(data, content=self._content))
        error = names.error_of(data)
        run.trouble = error or run.trouble
        self._fail(step.span, error, (data.get("error") or {}).get("message"))
        step.span.end(_nanoseconds(event["at"]))
        if get_current_span() is step.span:  # elsewhere, the place it was begun in is gone with its task
            ambient.attach(step.parent)
        if run.root is None and not run.steps:
            self._runs.pop(event["run"], None)

    def _model_called(self, event: Event, run: _Run) -> None:
        attributes, data = names.call_attributes(event), event["data"]
        span = self._call(event, run, f"chat {attributes[names.MODEL]}".strip(), SpanKind.CLIENT, attributes)
        context = set_span_in_context(span)
        labels = {key: attributes[key] for key in (names.OPERATION, names.PROVIDER, names.MODEL)}
        failed = {names.ERROR: attributes[names.ERROR]} if names.ERROR in attributes else {}
        if data.get("cached"):
            return
        self._durations.record(float(data.get("seconds") or 0.0), {**labels, **failed}, context=context)
        for kind, name in (("input", names.INPUT_TOKENS), ("output", names.OUTPUT_TOKENS)):
            if name in attributes and not failed:
                count = int(str(attributes[name]))
                self._tokens.record(count, {**labels, names.TOKEN_TYPE: kind}, context=context)
        run.usage = add_usage(run.usage, cast(Usage, {key: data.get(key, none) for key, none in no_usage().items()}))

    def _tool_called(self, event: Event, run: _Run) -> None:
        attributes = names.tool_attributes(event)
        self._call(event, run, f"execute_tool {attributes[names.TOOL]}", SpanKind.INTERNAL, attributes)
        run.usage = add_usage(run.usage, {**no_usage(), "tool_calls": 1})

    def _decided(self, event: Event, run: _Run) -> None:
        step = run.steps.get(_key(event))
        span = step.span if step is not None else _span_around(event, run)
        if span is not None:
            told = names.decision_attributes(event, content=self._content)
            span.add_event(f"orchestra.{event['kind']}", told, _nanoseconds(event["at"]))

    _planned = _paused = _handed_off = _consulted = _delegated = _guided = _decided

    def _call(self, event: Event, run: _Run, name: str, kind: SpanKind, attributes: names.Attributes) -> Span:
        """Make the span of a call, which is told of when it has ended."""
        ended, step = event["at"], run.steps.get(_key(event))
        began = ended - float(event["data"].get("seconds") or 0.0)
        around = set_span_in_context(step.span) if step is not None else self._around(event, run)
        span = self._tracer.start_span(
            name, context=around, kind=kind, attributes=attributes, start_time=_nanoseconds(began)
        )
        self._fail(span, str(attributes.get(names.ERROR, "")), None)
        span.end(_nanoseconds(ended))
        return span

    def _fail(self, span: Span, error: str, message: object) -> None:
        if error:
            span.set_attribute(names.ERROR, error)
            span.set_status(Status(StatusCode.ERROR, str(message) if message and self._content else None))

    def _around(self, event: Event, run: _Run) -> Context:
        """Return what a step is begun in: what is around it in its run, else what the program has there."""
        span = _span_around(event, run)
        return set_span_in_context(span) if span is not None else ambient.get_current()

    def _before(self, thread: str, turn: str) -> SpanContext | None:
        """Return the run that began a turn, of this process or, where its ids can be told, of an earlier one."""
        known = self._turns.get((thread, turn))
        return known or (_ids_of(thread, turn) if self._foreseeable else None)

    def _run(self, name: str) -> _Run:
        if name not in self._runs:
            self._runs[name] = _Run()
            for left in _forget(self._runs):
                _end_all(left, "unfinished")
        return self._runs[name]


_ids: ContextVar[SpanContext | None] = ContextVar("orchestra_span_ids", default=None)


class TurnIds(RandomIdGenerator):
    """Gives the first span of a turn ids that any process can tell from thread and turn, and random ones to all others."""

    def generate_trace_id(self) -> int:
        """Return the id of a new trace."""
        wanted = _ids.get()
        return wanted.trace_id if wanted is not None else super().generate_trace_id()

    def generate_span_id(self) -> int:
        """Return the id of a new span."""
        wanted = _ids.get()
        return wanted.span_id if wanted is not None else super().generate_span_id()


@contextmanager
def _with_ids(wanted: SpanContext | None) -> Iterator[None]:
    token = _ids.set(wanted)
    try:
        yield
    finally:
        _ids.reset(token)


def _ids_of(thread: str, turn: str) -> SpanContext:
    digest = hashlib.sha256(f"{turn} {thread}".encode()).digest()
    trace, span = int.from_bytes(digest[:16]), int.from_bytes(digest[16:24])
    return SpanContext(trace, span, is_remote=True, trace_flags=TraceFlags(TraceFlags.SAMPLED))


def _span_around(event: Event, run: _Run) -> Span | None:
    """Return the step from which something of a run is told: that in progress here, else that of its team, else the run."""
    here = ambient.get_value(_HERE)
    if isinstance(here, tuple) and here[0] == event["run"]:
        span: Span = here[1]
        return span
    return run.latest.get(event["parent"], run.root)


def _key(event: Event) -> _Key:
    return event["parent"], event["step"], event["agent"]


def _end(span: Span, status: str, *, at: float | None = None) -> None:
    span.set_attribute(names.STATUS, status)
    span.end(_nanoseconds(at) if at is not None else None)


def _end_all(run: _Run, status: str, *, at: float | None = None) -> None:
    for step in reversed(run.steps.values()):
        _end(step.span, status, at=at)
    run.steps.clear()
    if run.root is not None and at is None:
        _end(run.root, status)


def _forget(kept: OrderedDict[Any, V]) -> list[V]:
    """Take the oldest out of what is remembered, as far as there is too much of it."""
    return [kept.popitem(last=False)[1] for _ in range(len(kept) - _MOST_KEPT)]


def _nanoseconds(at: float) -> int:
    return int(at * 1e9)
