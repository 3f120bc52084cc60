"""What statistics look like: a few lines about all runs, then a table by pattern and one by agent."""

from __future__ import annotations

from rich.table import Table
from rich.text import Text

from orchestra.tracing.stats import Figures, Stats
from orchestra.view.columns import column_table
from orchestra.view.figures import counted, duration, money, one_line
from orchestra.view.glyphs import STYLES, glyphs_for
from orchestra.view.screen import Screen

_ERRORS = 10
"""Types of errors that are listed."""


def show_stats(screen: Screen, found: Stats) -> None:
    """Give statistics to standard output."""
    dot = f" {glyphs_for(screen.out.file).dot} "
    for line in _head(found.runs, dot):
        screen.out.print(line)
    screen.out.print()
    screen.table(_table_of("graph", found.by_graph))
    if found.by_agent:
        screen.out.print()
        screen.table(_table_of("agent", found.by_agent))
    if found.runs.errors:
        screen.out.print()
        screen.table(_errors_of(found))


def _head(runs: Figures, dot: str) -> list[Text]:
    statuses = [Text(f"{many:,} {status}", STYLES.get(status, "")) for status, many in runs.by_status.most_common()]
    many = Text.assemble((counted(runs.count, "run"), "bold"), dot, Text(dot).join(statuses))
    rate = (
        f"{_share(runs.completion)} of those that ended completed" if runs.completion is not None else "none has ended"
    )
    half, most = runs.quantile(0.5), runs.quantile(0.95)
    times = (
        f"{dot}half within {duration(half)}, 95 % within {duration(most)}"
        if half is not None and most is not None
        else ""
    )
    calls = f"{counted(runs.model_calls, 'model call')}{dot}{counted(runs.tool_calls, 'tool call')}{dot}"
    tokens = f"{runs.input_tokens:,} tokens in{dot}{runs.output_tokens:,} out{dot}cost {_cost(runs)}"
    return [many, Text(rate + times), Text(calls + tokens)]


def _table_of(name: str, groups: dict[str, Figures]) -> Table:
    table = column_table(name, "runs" if name == "graph" else "steps", "ok", "median", "p95", "tokens", "cost")
    for column in table.columns[1:]:
        column.justify, column.no_wrap = "right", True
    for key, each in groups.items():
        half, most = each.quantile(0.5), each.quantile(0.95)
        table.add_row(
            Text(one_line(key, 60) or "(unnamed)"),
            f"{each.count:,}",
            _share(each.completion),
            duration(half) if half is not None else "-",
            duration(most) if most is not None else "-",
            f"{each.input_tokens + each.output_tokens:,}",
            _cost(each),
        )
    return table


def _errors_of(found: Stats) -> Table:
    table = column_table("error", "times", "agents")
    for kind, times in found.runs.errors.most_common(_ERRORS):
        agents = [name for name, each in found.by_agent.items() if kind in each.errors]
        table.add_row(Text(one_line(kind, 40), "red"), f"{times:,}", Text(one_line(", ".join(agents), 60)))
    return table


def _cost(figures: Figures) -> str:
    if figures.usd is None and figures.known_usd:
        return f"{money(figures.known_usd)} + unknown"
    return money(figures.usd) if figures.model_calls else "-"


def _share(share: float | None) -> str:
    return f"{share:.0%}" if share is not None else "-"
