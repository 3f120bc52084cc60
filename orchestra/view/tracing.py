"""What a trace looks like: a tree of steps with their figures, and below each what happened in it."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from rich.text import Text

from orchestra.tracing import Span, Trace, Turn
from orchestra.tracing.telling import SHOWN, Line, LineKind, failed_calls, lines_of, notes_of
from orchestra.view.figures import counted, duration, moment, money, one_line
from orchestra.view.glyphs import STYLES, Glyphs, glyphs_for
from orchestra.view.screen import Screen
from state.audit import Record
from state.outcome import Usage

_LEAST = 24
"""Columns that a name has at least."""
_COLUMNS = (9, 8, 9, 9)
"""Of tokens in, tokens out, cost and time."""
_LABELS: dict[LineKind, str] = {"given": "given", "tool": "tool", "model": "model", "person": "person"}
_MOST = 4000
"""Characters of one line where nobody's window cuts it."""


def show_trace(screen: Screen, trace: Trace, *, kinds: Collection[LineKind] = ()) -> None:
    """Give a trace to standard output.

    Args:
        screen: Where it is shown.
        trace: What is shown.
        kinds: Of lines; those of `SHOWN` by default.
    """
    drawing = _Drawing(screen, glyphs_for(screen.out.file), frozenset(kinds) or SHOWN, trace.audit)
    for line in drawing.head(trace):
        screen.out.print(line, soft_wrap=not screen.out.is_terminal)
    for turn in trace.turns:
        for line in drawing.turn(turn):
            drawing.put(line)


@dataclass(frozen=True)
class _Drawing:
    screen: Screen
    glyphs: Glyphs
    kinds: frozenset[LineKind]
    audit: Sequence[Record]

    @property
    def width(self) -> int:
        return self.screen.out.width

    def put(self, line: Text) -> None:
        """Write one line, cut to the window; all of it where there is none."""
        if self.screen.out.is_terminal:
            line.truncate(self.width, overflow="ellipsis" if self.glyphs.ellipsis == "…" else "crop")
        self.screen.out.print(line, soft_wrap=True, no_wrap=True, crop=False)

    def head(self, trace: Trace) -> Iterator[Text]:
        dot = f" {self.glyphs.dot} "
        status = trace.status + (f": {one_line(trace.reason, 300)}" if trace.reason else "")
        yield Text(dot).join(
            [
                Text(one_line(trace.thread), "bold"),
                *([Text(one_line(trace.graph))] if trace.graph else []),
                Text(status or "nothing noted", STYLES.get(trace.status, "")),
                Text(moment(trace.updated, time.time())),
            ]
        )
        yield Text(dot.join(_figures(trace.usage)), "dim")
        for run, left in list(trace.budget_left.items())[-1:]:
            told = ", ".join(f"{name.replace('_', ' ')} {_amount(name, much)}" for name, much in left.items())
            yield Text(f"left of the budget at the end of run {run[:8]}: {told}", "dim")

    def turn(self, turn: Turn) -> Iterator[Text]:
        yield Text("")
        heading = f"Turn {turn.number}" + (f": {one_line(turn.task, 200)}" if turn.task else "")
        heads = [f"{name:>{width}}" for name, width in zip(("in", "out", "cost", "time"), _COLUMNS, strict=True)]
        yield self._beside(Text(heading, "bold"), Text("".join(heads), "dim"))
        notes = [line for line in notes_of(turn) if line.kind in self.kinds]
        both: list[Span | Line] = [*turn.spans, *notes]
        both.sort(key=lambda each: each.at if isinstance(each, Line) else each.started)
        for each in both:
            if isinstance(each, Line):
                yield self._line(each, self.glyphs.last if each is both[-1] else self.glyphs.fork, self.glyphs.dot)
            else:
                yield from self._span(each, "", is_last=each is both[-1])

    def _span(self, span: Span, guide: str, *, is_last: bool) -> Iterator[Text]:
        sign = Text(self.glyphs.of(span.status), STYLES.get(span.status, ""))
        name = Text.assemble(
            (guide + (self.glyphs.last if is_last else self.glyphs.fork), "dim"), sign, " ", one_line(span.name)
        )
        if span.status not in ("ok",):
            name.append(f" {span.status}", STYLES.get(span.status, ""))
        yield self._beside(name, Text("".join(_columns(span))))
        below = guide + (" " * len(self.glyphs.line) if is_last else self.glyphs.line)
        if about := self._about(span):
            yield Text.assemble((below, "dim"), (about, "dim"))
        for line in lines_of(span, self.audit):
            if line.kind in self.kinds:
                yield self._line(line, below)
        for at, child in enumerate(span.children):
            yield from self._span(child, below, is_last=at == len(span.children) - 1)

    def _about(self, span: Span) -> str:
        """Return for whom a step works, with what, and how much of it failed."""
        parts = [f"for {span.sender}"] if span.sender else []
        parts += [span.model] if span.model else []
        parts += [f"version {span.version}"] if span.version not in ("", "1") else []
        parts += [counted(failed, "failed call")] if (failed := failed_calls(span)) else []
        parts += [f"began {span.tries} times"] if span.tries > 1 else []
        parts += [f"{span.cached} from the cache"] if span.cached else []
        return one_line(f" {self.glyphs.dot} ".join(parts), 300)

    def _line(self, line: Line, guide: str, sign: str = " ") -> Text:
        label = f"{_LABELS[line.kind]} " if line.kind in _LABELS else ""
        style = "red" if line.is_trouble else "magenta" if line.kind == "person" else ""
        dim = "dim" if line.kind in ("given", "model") else style
        return Text.assemble((f"{guide}{sign} ", "dim"), (label, "dim"), (one_line(line.text, _MOST), dim))

    def _beside(self, left: Text, right: Text) -> Text:
        """Return a line with a name on the left and figures on the right."""
        room = max(_LEAST, self.width - sum(_COLUMNS) - 1)
        left = left.copy()
        if left.cell_len > room:
            left.truncate(room, overflow="ellipsis" if self.glyphs.ellipsis == "…" else "crop")
        return Text.assemble(left, " " * (room - left.cell_len), right)


def _columns(span: Span) -> list[str]:
    total = span.total() if span.children else span.usage()
    seconds = duration(span.seconds) if span.seconds is not None else "-"
    worked = bool(total["model_calls"] or total["tool_calls"])
    cost = money(total["usd"]) if worked else ""
    tokens = (f"{total['input_tokens']:,}", f"{total['output_tokens']:,}") if total["model_calls"] else ("", "")
    return [f"{text:>{width}}" for text, width in zip((*tokens, cost, seconds), _COLUMNS, strict=True)]


def _figures(usage: Usage) -> list[str]:
    return [
        counted(usage["model_calls"], "model call"),
        counted(usage["tool_calls"], "tool call"),
        f"{usage['input_tokens']:,} tokens in",
        f"{usage['output_tokens']:,} out",
        f"cost {money(usage['usd'])}",
    ]


def _amount(limit: str, much: float) -> str:
    if limit == "usd":
        return money(max(0.0, much))
    return duration(max(0.0, much)) if limit == "seconds" else f"{much:,.0f}"
