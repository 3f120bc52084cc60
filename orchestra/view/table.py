"""The tree of agents as a table: a line for each, with what it is doing and what it has used."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rich.table import Table
from rich.text import Text

from orchestra.view.agents import AgentRow, AgentTree
from orchestra.view.figures import counted, duration, money, one_line
from orchestra.view.glyphs import STYLES, Glyphs


@dataclass(frozen=True)
class _Line:
    """A row with the guide lines before it; without a row, the number of those left out."""

    guide: str
    row: AgentRow | None
    hidden: int = 0


def agent_table(tree: AgentTree, glyphs: Glyphs, *, now: float, most: int = 0) -> Table:
    """Return the tree as a table for a console of any width.

    Args:
        tree: What is shown.
        glyphs: Signs that the console can write.
        now: Seconds since 1970, for the steps that are running.
        most: Lines that there is room for; the teams that are done are folded to fit. 0 for no limit.
    """
    table = Table.grid(expand=True, padding=(0, 0, 0, 2))
    table.add_column(ratio=1, no_wrap=True, overflow="ellipsis" if glyphs.ellipsis == "…" else "crop")
    for _ in ("tokens", "cost", "time"):
        table.add_column(justify="right", no_wrap=True, min_width=6)
    table.add_row("", *(Text(head, "dim") for head in ("tokens", "cost", "time")))
    for line in _fitting(tree.top, glyphs, most):
        if line.row is None:
            table.add_row(Text(f"{line.guide}{glyphs.ellipsis} {counted(line.hidden, 'more agent')}", "dim"))
        else:
            table.add_row(_label(line, glyphs, now), *_used(line.row, now))
    return table


def totals(tree: AgentTree, glyphs: Glyphs, seconds: float) -> str:
    """Return one line about all agents together."""
    rows, used = tree.rows(), [top.used() for top in tree.top]
    prices = [price for _, price in used]
    usd = None if None in prices else sum(price or 0.0 for price in prices)
    parts = [
        counted(len(rows), "step"),
        counted(sum(row.model_calls for row in rows), "model call"),
        counted(sum(row.tool_calls for row in rows), "tool call"),
        counted(sum(tokens for tokens, _ in used), "token"),
        money(usd) if usd is not None else "cost unknown",
        duration(seconds),
    ]
    return f" {glyphs.dot} ".join(parts)


def activity(row: AgentRow) -> str:
    """Return what a running agent is doing, or why it ended otherwise than well."""
    if row.state == "running":
        if row.pending:
            first, others = row.pending[0], len(row.pending) - 1
            return first + (f" and {counted(others, 'more call')}" if others else "")
        return f"trying again after {row.trouble}" if row.trouble else "" if row.team else "thinking"
    if row.state == "ok":
        return ""
    return row.state.replace("_", " ") + (f": {row.trouble}" if row.trouble else "")


def _label(line: _Line, glyphs: Glyphs, now: float) -> Text:
    assert line.row is not None
    row, style = line.row, STYLES.get(line.row.state, "")
    label = Text(line.guide, "dim")
    label.append(glyphs.of(row.state, now), style)
    label.append(f" {one_line(row.name)}", "bold" if row.team else "")
    if doing := activity(row):
        label.append(f"  {one_line(doing)}", style)
    elif row.task and not row.step.startswith(row.agent):  # one of several of the same agent
        label.append(f"  {one_line(row.task)}", "dim")
    return label


def _used(row: AgentRow, now: float) -> list[Text]:
    tokens, usd = row.used()
    called = any(each.model_calls for each in row.below())
    seconds = row.seconds if row.seconds is not None else max(0.0, now - row.started)
    time = duration(seconds) if row.seconds is not None or row.state == "running" else ""
    return [Text(f"{tokens:,}" if called else ""), Text(money(usd) if called else ""), Text(time)]


def _fitting(top: Sequence[AgentRow], glyphs: Glyphs, most: int) -> list[_Line]:
    """Return the lines of the tree, folding first the teams that are done, then steps that are done."""
    lines = list(_lines(top, glyphs, fold=False))
    if not most or len(lines) <= most:
        return lines
    lines = list(_lines(top, glyphs, fold=True))
    done = [line for line in lines if line.row is not None and line.row.state == "ok"]
    surplus = len(lines) - max(most - 1, 1)
    if len(lines) <= most or not done:
        return lines
    gone = {id(line) for line in done[:surplus]}
    return [_Line("", None, len(gone)), *(line for line in lines if id(line) not in gone)]


def _lines(
    rows: Sequence[AgentRow], glyphs: Glyphs, *, fold: bool, before: str = "", top: bool = True
) -> Iterator[_Line]:
    for index, row in enumerate(rows):
        is_last = index == len(rows) - 1
        yield _Line("" if top else before + (glyphs.last if is_last else glyphs.fork), row)
        if row.team and not (fold and row.state == "ok"):
            below = "" if top else before + (" " * len(glyphs.line) if is_last else glyphs.line)
            yield from _lines(row.team, glyphs, fold=fold, before=below, top=False)
