"""The agents of a run as a table: the shape of the graph, with what each is doing and what it has used."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.console import Group
from rich.constrain import Constrain
from rich.table import Table
from rich.text import Text

from orchestra.view.agents import AgentRow, AgentTree
from orchestra.view.budget import Spent, budget_bar
from orchestra.view.figures import counted, duration, money, one_line
from orchestra.view.glyphs import STYLES, Glyphs
from orchestra.view.lines import Line, lines_of
from orchestra.view.plan import describe_plan
from orchestra.view.room import fitting
from orchestra.view.shape import Shape

_WIDEST = 110
"""Columns of a live table: beyond that, eyes lose the line between a name and its figures."""


def agent_table(tree: AgentTree, glyphs: Glyphs, *, now: float, most: int = 0, shape: Shape | None = None) -> Table:
    """Return the agents as a table for a console of any width.

    Args:
        tree: What has happened.
        glyphs: Signs that the console can write.
        now: Seconds since 1970, for the steps that are running.
        most: Lines that there is room for; what is done is folded to fit. 0 for no limit.
        shape: Of the graph, to show those too that have not begun.
    """
    table = Table.grid(expand=True, padding=(0, 0, 0, 2))
    table.add_column(ratio=1, no_wrap=True, overflow="ellipsis" if glyphs.ellipsis == "…" else "crop")
    for _ in ("tokens", "cost", "time"):
        table.add_column(justify="right", no_wrap=True, min_width=6)
    table.add_row("", *(Text(head, "dim") for head in ("tokens", "cost", "time")))
    for guide, line in _cut(list(_guided(fitting(lines_of(tree, shape), most), glyphs)), most):
        if line.hidden:
            table.add_row(Text(f"{guide}{glyphs.ellipsis} {counted(line.hidden, 'more agent')}", "dim"))
        else:
            table.add_row(_label(guide, line, glyphs, now), *_used(line, now))
    return table


def frame(
    tree: AgentTree,
    glyphs: Glyphs,
    *,
    now: float,
    seconds: float,
    spent: Sequence[Spent] = (),
    most: int = 0,
    shape: Shape | None = None,
) -> Group:
    """Return all that is drawn of a run: the agents, what they used together, what is left of the budget.

    Args:
        tree: What has happened.
        glyphs: Signs that the console can write.
        now: Seconds since 1970, for the steps that are running.
        seconds: Since the run began.
        spent: Of its budget.
        most: Lines that there is room for; 0 for no limit.
        shape: Of the graph.
    """
    below = [totals(tree, glyphs, seconds), budget_bar(spent, glyphs), _open_questions(tree)]
    table = Constrain(agent_table(tree, glyphs, now=now, most=most, shape=shape), _WIDEST)
    return Group(table, *(Text(line, "dim") for line in below if line))


def _open_questions(tree: AgentTree) -> str:
    """Say that people are asked something while others work, and when they can answer."""
    rows = tree.rows()
    waiting = sum(1 for row in rows if row.state == "waiting" and not row.team)
    if not waiting or all(row.state != "running" or row.team for row in rows):
        return ""
    return f"{counted(waiting, 'step')} waiting for you: answer when those at work have ended"


def totals(tree: AgentTree, glyphs: Glyphs, seconds: float) -> str:
    """Return one line about all agents together."""
    return f" {glyphs.dot} ".join(totals_of(tree, seconds))


def totals_of(tree: AgentTree, seconds: float) -> list[str]:
    """Return what all agents together have done and used, each figure with its unit."""
    rows = tree.rows()
    tokens, usd = tree.used()
    return [
        counted(len(rows), "step"),
        counted(sum(row.model_calls for row in rows), "model call"),
        counted(sum(row.tool_calls for row in rows), "tool call"),
        counted(tokens, "token"),
        money(usd) if usd is not None else "cost unknown",
        duration(seconds),
    ]


def activity(row: AgentRow) -> str:
    """Return what a running agent is doing, what one that is done decided, or why it ended otherwise than well."""
    if row.state == "running":
        if row.pending:
            first, others = row.pending[0], len(row.pending) - 1
            return first + (f" and {counted(others, 'more call')}" if others else "")
        return f"trying again after {row.trouble}" if row.trouble else "" if row.team else row.decided or "working"
    if row.state == "ok":
        return ", ".join(filter(None, (row.decided, row.chose)))
    return row.state.replace("_", " ") + (f": {row.trouble}" if row.trouble else "")


def _label(guide: str, line: Line, glyphs: Glyphs, now: float) -> Text:
    style, row = STYLES.get(line.state, ""), line.latest
    label = Text.assemble((guide, "dim"))
    label.append(glyphs.of(line.state, now), style)
    label.append(f" {one_line(line.name)}", "bold" if line.below or not line.state else "" if row else "dim")
    if line.round > 1:
        label.append(f"  round {line.round}", "dim")
    elif len(line.rows) > 1:
        label.append(f" {glyphs.times}{len(line.rows)}", "dim")
    if line.role:
        label.append(f"  {one_line(line.role)}", "dim")
    if line.needs:
        label.append(f"  {glyphs.needs} {one_line(', '.join(line.needs))}", "dim")
    doing = line.waits or (activity(row) if row is not None and line.state == row.state else _said(line))
    if doing:
        label.append(f"  {one_line(doing)}", "" if line.state == "ok" else style)
    elif note := describe_plan(line.plan, glyphs.critical) if line.plan is not None else line.note:
        label.append(f"  {one_line(note)}", "dim")
    return label


def _said(line: Line) -> str:
    """Return the state of a line that stands otherwise than its latest step, where its sign alone would not say it."""
    return "" if line.state in ("", "idle") else line.state


def _used(line: Line, now: float) -> list[Text]:
    if not line.rows:
        return []
    used = [row.used() for row in line.rows]
    prices = [usd for _, usd in used]
    usd = None if None in prices else sum(price or 0.0 for price in prices)
    called = any(each.model_calls for row in line.rows for each in row.below())
    known = [
        row.time(now) if line.state != "waiting" else row.seconds for row in line.rows
    ]  # a person takes their time
    seconds = [span for span in known if span is not None]
    return [
        Text(f"{sum(tokens for tokens, _ in used):,}" if called else ""),
        Text(money(usd) if called else ""),
        Text(duration(sum(seconds)) if seconds else ""),
    ]


def _guided(lines: Sequence[Line], glyphs: Glyphs, before: str = "") -> Iterator[tuple[str, Line]]:
    """Yield every line with the brackets before it, those of teams below their own."""
    loops = _brackets([line.loop for line in lines], glyphs.loop)
    fans = _brackets([line.fan for line in lines], glyphs.fan)
    has_loop = any(edge.strip() for edge, _ in loops)
    has_fan = any(edge.strip() for edge, _ in fans) or any(line.is_critical for line in lines)
    for line, (loop, beside_loop), (fan, beside_fan) in zip(lines, loops, fans, strict=True):
        edge = glyphs.critical if line.is_critical else fan
        yield before + f"{loop} " * has_loop + f"{edge} " * has_fan, line
        below = before + f"{beside_loop} " * has_loop + f"{beside_fan} " * has_fan + "  "
        yield from _guided(line.below, glyphs, below)


def _cut(lines: list[tuple[str, Line]], most: int) -> list[tuple[str, Line]]:
    """Return at most so many lines, where even what cannot be folded is too much; 0 for no limit."""
    if not most or len(lines) <= most:
        return lines
    return [*lines[: most - 1], ("", Line("", hidden=len(lines) - most + 1))]


def _brackets(groups: Sequence[int | None], signs: tuple[str, str, str, str]) -> list[tuple[str, str]]:
    """Return the part of a bracket beside each line, and what goes on beside the lines below it."""
    first, middle, last, passing = signs
    parts = list[tuple[str, str]]()
    for before, group, after in zip([None, *groups], groups, [*groups[1:], None], strict=False):
        begins, ends = group is None or before != group, group is None or after != group
        none = " " * len(first)
        edge = none if begins and ends else first if begins else last if ends else middle
        parts.append((edge, none if ends else passing))
    return parts
