"""The tree of agents as a table in a page: a line for each, what it does, what it used, and when it was at work."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape

from rich.table import Table

from orchestra.jupyter.markup import colour_of, row, safe, sign_of, state_mark, table
from orchestra.jupyter.text import as_text
from orchestra.view.agents import AgentRow, AgentTree
from orchestra.view.figures import counted, duration, money, one_line
from orchestra.view.glyphs import UNICODE
from orchestra.view.table import activity, totals

MOST_LINES = 200
"""Lines that are shown at most; of more, steps that are done make room."""
_NAME, _TASK, _WHY = 60, 70, 160
"""Characters that are shown of a name, a task, a reason."""
_HEADS = (("agent", ""), ("state", ""), ("calls", "n"), ("tokens", "n"), ("cost", "n"), ("time", "n"), ("when", "line"))


@dataclass(frozen=True)
class Span:
    """When a run was at work, in seconds since 1970."""

    begin: float
    end: float

    def bar(self, row: AgentRow) -> str:
        """Return when a step was at work, as a bar within the run."""
        whole = max(self.end - self.begin, 1e-9)
        begin = max(row.started, self.begin)
        end = self.end if row.state == "running" else row.started + (row.seconds or 0.0)
        left, width = (begin - self.begin) / whole * 100, (max(end, begin) - begin) / whole * 100
        left = min(left, 99.0)
        return f'<i style="margin-left:{left:.1f}%;width:{min(width, 100 - left):.1f}%"></i>'


def tree_markup(tree: AgentTree, span: Span) -> str:
    """Return the tree as a part of a page."""
    lines = list(_lines(tree.top))
    shown, hidden = _fitting(lines)
    rows = [_row(guide, each, span) for guide, each in shown]
    if hidden:
        rows.insert(0, f'<tr><td class="dim" colspan="{len(_HEADS)}">… {counted(hidden, "more step")} done</td></tr>')
    return table(_HEADS, rows)


def tree_text(tree: AgentTree, now: float) -> str:
    """Return the tree as text, in lines."""
    drawn = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for name, kind in _HEADS[:-1]:
        drawn.add_column(name, justify="right" if kind else "left", no_wrap=name == "agent")
    shown, hidden = _fitting(list(_lines(tree.top)))
    for guide, each in shown:
        doing = one_line(f"{sign_of(each.state)} {each.state.replace('_', ' ')} {_doing(each)}")
        drawn.add_row(guide + one_line(each.name, _NAME), doing, *_used(each, now))
    more = f"… {counted(hidden, 'more step')} done\n" if hidden else ""
    return more + as_text(drawn)


def totals_text(tree: AgentTree, seconds: float) -> str:
    """Return one line about all agents together."""
    return totals(tree, UNICODE, seconds)


def _row(guide: str, each: AgentRow, span: Span) -> str:
    name = safe(one_line(each.name, _NAME))
    who = f'<span class="dim">{escape(guide).replace(" ", "&nbsp;")}</span>' + (f"<b>{name}</b>" if each.team else name)
    doing = f' <span class="dim">{safe(note)}</span>' if (note := _doing(each)) else ""
    bar = f'<span class="{colour_of(each.state)}" aria-hidden="true">{span.bar(each)}</span>'
    used = ((safe(figure), "n") for figure in _used(each, span.end))
    return row([(who, "who"), (state_mark(each.state) + doing, ""), *used, (bar, "line")])


def _used(each: AgentRow, now: float) -> tuple[str, str, str, str]:
    """Return calls, tokens, cost and time of a step with all below it."""
    below, (tokens, usd) = list(each.below()), each.used()
    calls, tools = sum(one.model_calls for one in below), sum(one.tool_calls for one in below)
    called = f"{calls} + {counted(tools, 'tool')}" if tools else f"{calls}" if calls else ""
    seconds = now - each.started if each.state == "running" else each.seconds
    time = "" if seconds is None else duration(max(0.0, seconds))
    return called, f"{tokens:,}" if calls else "", money(usd) if calls else "", time


def _doing(each: AgentRow) -> str:
    """Return what a step does just now, what it decided, why it failed, or its task where there are several alike."""
    if each.state in ("running", "ok"):
        task = "" if each.step.startswith(each.agent) else each.task
        return one_line(activity(each) or task, _TASK)
    return one_line(f"{each.trouble}: {each.why}" if each.why else each.trouble, _WHY)


def _fitting(lines: Sequence[tuple[str, AgentRow]]) -> tuple[list[tuple[str, AgentRow]], int]:
    """Return the lines that are shown, and how many are not: the earliest that are done."""
    surplus = len(lines) - MOST_LINES
    if surplus <= 0:
        return list(lines), 0
    done = [index for index, (_, each) in enumerate(lines) if each.state == "ok" and not each.team][:surplus]
    gone = set(done) | set(range(max(0, surplus - len(done))))
    return [line for index, line in enumerate(lines) if index not in gone], len(gone)


def _lines(rows: Sequence[AgentRow], before: str = "", *, top: bool = True) -> Iterator[tuple[str, AgentRow]]:
    for index, each in enumerate(rows):
        is_last = index == len(rows) - 1
        yield "" if top else before + (UNICODE.last if is_last else UNICODE.fork), each
        below = "" if top else before + (" " * len(UNICODE.line) if is_last else UNICODE.line)
        yield from _lines(each.team, below, top=False)
