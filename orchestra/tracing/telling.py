"""Telling: what a trace says of a step besides its figures, line by line, and which of it is asked for."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from orchestra.tracing.span import Call, Decision, Span
from orchestra.tracing.trace import Trace, Turn
from state.audit import Record

LineKind = Literal["given", "model", "tool", "decision", "person", "effect", "plan", "note", "error"]
KINDS: tuple[LineKind, ...] = ("given", "model", "tool", "decision", "person", "effect", "plan", "note", "error")
"""Kinds of lines below a step or a turn."""
SHOWN: frozenset[LineKind] = frozenset(KINDS) - {"model"}
"""Those that are shown where none is named."""

_BY_PEOPLE = frozenset({"ask", "approve", "edit", "reject", "respond", "expired", "reassign", "guided"})
_OF_PLANS = frozenset({"plan", "progress", "propose", "replan", "change_plan", "refuse_plan", "ledger"})
_AUDITED = frozenset({"effect", "limit", "revocation"})
"""What only the audit trail tells; the rest of it stands among the decisions."""
_TROUBLE = frozenset(
    {"deny", "refuse", "fallback", "repair", "breaker_opened", "effect_in_doubt", "refuse_plan", "refuse_redacted"}
    | {"expired", "reassign", "reject"}
)

_NAMES = {"ask": "asks a person about", "conclude": "concludes"}
PEOPLE_SAID = {
    "approve": "approved",
    "reject": "rejected",
    "edit": "changed the arguments of",
    "respond": "answered",
}
"""What a person did who decided so, before the name of what it was about."""


@dataclass(frozen=True)
class Line:
    """Something that happened in a step.

    Args:
        kind: What kind of thing.
        at: Seconds since 1970, UTC.
        text: What is said of it.
        is_trouble: Whether something went wrong.
    """

    kind: LineKind
    at: float
    text: str
    is_trouble: bool = False


def lines_of(span: Span, audit: Sequence[Record] = ()) -> list[Line]:
    """Return what happened in a step, in order.

    Args:
        span: The step.
        audit: Records of its thread.
    """
    lines = [Line("given", span.started, told)] if (told := given_of(span)) else []
    lines += [_line_of_call(call) for call in span.calls]
    lines += [line_of(decision) for decision in span.decisions if not _is_told_below(decision, span)]
    lines += [_line_of_record(each) for each in audit if _belongs(each, span)]
    if span.error:
        message = f"{span.error.get('type', '')}: {span.error.get('message', '')}".removesuffix(": ")
        lines.append(Line("error", span.ended or span.started, message, is_trouble=True))
    return sorted(lines, key=lambda line: line.at)


def line_of(decision: Decision) -> Line:
    """Return what a decision says."""
    kind: LineKind = "decision"
    if decision.kind in _BY_PEOPLE:
        kind = "person"
    elif decision.kind in _OF_PLANS:
        kind = "plan"
    return Line(kind, decision.at, told_of(decision).removeprefix("a person "), decision.kind in _TROUBLE)


def told_of(decision: Decision) -> str:
    """Return a decision in words: what, about what, why."""
    name = _NAMES.get(decision.kind, decision.kind.replace("_", " "))
    if decision.data.get("by") == "person":
        name = f"a person {PEOPLE_SAID.get(decision.kind, decision.kind)}"
    elif decision.data.get("by") == "time":
        name = f"nobody answered in time: {name}"
    if decision.kind == "plan":
        subject = ", ".join(each["id"] for each in (decision.data.get("plan") or {}).get("subtasks", ()))
    elif decision.kind == "conclude":
        subject = str(decision.data.get("status", ""))
    elif decision.kind == "answered":
        subject = f"request {decision.subject[:8]}: {decision.data.get('decision', '')}".removesuffix(": ")
    else:
        subject = decision.subject
    more = [str(decision.data[key]) for key in ("ended_by", "why", "decided_by") if decision.data.get(key)]
    reason = "; ".join(dict.fromkeys(each for each in (decision.reason, *more) if each))
    return " ".join(filter(None, (name, subject))) + (f": {reason}" if reason else "")


def given_of(span: Span) -> str:
    """Return what a step was given, as names and sizes in characters."""
    given = span.given
    parts = [f"prompt {given['prompt']:,}"] if given.get("prompt") else []
    parts += [f"task {given['task']:,}"] if given.get("task") else []
    parts += [f"{heading} {size:,}" for heading, size in (given.get("context") or {}).items()]
    parts += [f"constraints {given['constraints']:,}"] if given.get("constraints") else []
    if memory := given.get("memory"):
        parts.append(f"memory {memory['characters']:,} in {memory['messages']} messages")
    if tools := given.get("tools"):
        parts.append(f"tools {', '.join(tools)}")
    if outside := given.get("outside"):
        parts.append(f"from outside: {', '.join(outside)}")
    return " + ".join(parts)


def filtered(
    trace: Trace, *, agent: str = "", kinds: Collection[LineKind] = (), turn: int = 0, errors: bool = False
) -> Trace:
    """Return what of a trace is asked for; the steps above are kept with it, so that it stays a tree.

    Args:
        trace: Which is left as it is.
        agent: Name; all by default.
        kinds: Of lines; those of `SHOWN` by default.
        turn: Number from 1, or from the end as -1; 0 for all.
        errors: Only where something went wrong.
    """
    wanted = _Wanted(agent, frozenset(kinds), errors, trace.audit)
    turns = [trace.turns[turn - 1 if turn > 0 else turn]] if turn and abs(turn) <= len(trace.turns) else trace.turns
    turns = [] if turn and abs(turn) > len(trace.turns) else turns
    kept = [wanted.of_turn(each) for each in turns]
    if not (agent or kinds or errors or turn):
        return trace
    steps = {(span.run, span.step, span.agent) for each in kept for span in each.below()}
    runs = {run for each in kept for run in each.runs}
    events = [
        event
        for event in trace.events
        if (event["run"] in runs)
        and (not event["step"] or any(key[1:] == (event["step"], event["agent"]) for key in steps))
    ]
    return replace(trace, turns=kept, events=events)


@dataclass(frozen=True)
class _Wanted:
    agent: str
    kinds: frozenset[LineKind]
    errors: bool
    audit: Sequence[Record]

    def of_turn(self, turn: Turn) -> Turn:
        spans = [kept for span in turn.spans if (kept := self.of_span(span)) is not None]
        decisions = [one for one in turn.decisions if not self.agent and self._takes(line_of(one))]
        return replace(turn, spans=spans, decisions=decisions)

    def of_span(self, span: Span) -> Span | None:
        """Return a step with what is wanted of it; None where neither it nor a step below is."""
        children = [kept for child in span.children if (kept := self.of_span(child)) is not None]
        if self._is_wanted(span):
            return replace(span, children=children)
        return replace(span, children=children, calls=[], decisions=[], given={}, error=None) if children else None

    def _is_wanted(self, span: Span) -> bool:
        if self.agent and span.agent != self.agent:
            return False
        if not self.errors and not self.kinds:
            return True
        bad = span.status not in ("ok", "running", "waiting")
        return (self.errors and bad and not self.kinds) or any(map(self._takes, lines_of(span, self.audit)))

    def _takes(self, line: Line) -> bool:
        return (not self.kinds or line.kind in self.kinds) and (not self.errors or line.is_trouble)


def notes_of(turn: Turn) -> Iterator[Line]:
    """Yield what happened in a turn outside of any step, in order."""
    lines = [Line("note", note.at, told_of(note)) for note in turn.notes if note.kind not in ("started", "ended")]
    lines += [line_of(one) for one in turn.decisions if one.kind != "progress"]
    yield from sorted(lines, key=lambda line: line.at)


def failed_calls(span: Span) -> int:
    """Return how many of a step's calls of models and tools failed."""
    return sum(1 for call in span.calls if call.error)


def call_words(call: Call) -> str:
    """Return a call in words, without its figures."""
    if call.kind == "tool":
        names = ", ".join(map(str, call.detail.get("arguments") or ()))
        size = call.detail.get("characters")
        came = f", {size:,} characters" if isinstance(size, int) else ""
        return f"{call.name}({names}){came}{' from the cache' if call.cached else ''}"
    asked = ", ".join(map(str, call.detail.get("tools") or ()))
    return f"{call.name}{' from the cache' if call.cached else ''}" + (f" asks for {asked}" if asked else "")


def _line_of_call(call: Call) -> Line:
    failed = f" failed: {call.error}" if call.error else ""
    kind: Any = "error" if call.kind == "model" and call.error else call.kind
    return Line(kind, call.at, call_words(call) + failed, bool(call.error))


def _line_of_record(record: Record) -> Line:
    subject = f"{record.kind} {record.subject}: {record.outcome}"
    detail = f" ({record.detail})" if record.detail else ""
    return Line("effect", record.at, subject + detail, record.kind == "limit")


def _belongs(record: Record, span: Span) -> bool:
    in_time = span.started <= record.at and (span.ended is None or record.at <= span.ended)
    return record.kind in _AUDITED and (record.step, record.agent) == (span.step, span.agent) and in_time


def _is_told_below(decision: Decision, span: Span) -> bool:
    """Whether the steps below say it too: the moves of a plan's subtasks, and that a person is asked."""
    return decision.kind == "progress" or (decision.kind == "ask" and bool(span.children))
