"""`orchestra team check`: what would go wrong with a team, and what a run would cost, without a model call."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING

import click

from orchestra.commands.options import json_option

if TYPE_CHECKING:
    from orchestra.teamfile.checking.costs import Range
    from orchestra.teamfile.checking.report import CheckReport
    from orchestra.view.screen import Screen

_FINE, _WRONG, _UNREADABLE = 0, 1, 2
_STYLES = {"error": "bold red", "warning": "yellow", "note": "dim"}


@click.command()
@click.argument("file", metavar="FILE")
@click.option("--strict", is_flag=True, help="Warnings fail too.")
@click.option(
    "--import", "imports", is_flag=True, help="Import and open its tools, which runs code, to see their rights."
)
@click.option("--model", metavar="NAME", help="provider:model for agents that name none: its prices are taken.")
@json_option
def check(file: str, strict: bool, imports: bool, model: str | None, as_json: bool) -> None:
    """Say what can go wrong with a team, and what it costs.

    Without a single model call.

    \b
    Looked at: what happens when somebody fails, bounds of loops, agents with
    the same role, rights for tools, answers that the next cannot read, and the
    cheapest and the dearest run against the budget.
    Ends with 0 when all is well, 1 when something cannot work (with --strict
    also when something can go wrong), 2 when the file cannot be read.
    """
    from orchestra.teamfile.checking.report import check_team
    from orchestra.teamfile.reading import read_team
    from orchestra.view.screen import open_screen
    from state.errors import ConfigurationError

    try:
        report = check_team(read_team(file), imports=imports, model=model)
    except ConfigurationError as error:
        _refuse(error, as_json=as_json)
        raise click.exceptions.Exit(_UNREADABLE) from None
    if as_json:
        click.echo(json.dumps(report.to_json(), ensure_ascii=False, indent=2))
    else:
        _show(open_screen(), report)
    wrong = report.count("error") + (report.count("warning") if strict else 0)
    raise click.exceptions.Exit(_WRONG if wrong else _FINE)


def _refuse(error: Exception, *, as_json: bool) -> None:
    from orchestra.view.figures import visible
    from state.errors import TeamFileError

    if as_json:
        problems = error.problems if isinstance(error, TeamFileError) else ((1, 1, str(error)),)
        path = error.path if isinstance(error, TeamFileError) else ""
        found = [
            {
                "code": "file",
                "severity": "error",
                "path": path,
                "line": line,
                "column": column,
                "text": text,
                "remedy": "",
            }
            for line, column, text in problems
        ]
        click.echo(json.dumps({"findings": found}, ensure_ascii=False, indent=2))
        return
    click.echo(visible(error.listed() if isinstance(error, TeamFileError) else str(error)), err=True)


def _show(screen: Screen, report: CheckReport) -> None:
    from pathlib import Path

    from rich.text import Text

    from orchestra.view.figures import one_line

    here = f"{Path.cwd()}/"
    for one in report.findings:
        place = f"{one.path.removeprefix(here)}:{one.place.line}:{one.place.column}"
        said = one_line(f"{one.text}; {one.remedy}" if one.remedy else one.text)
        screen.out.print(
            Text.assemble(
                f"{one_line(place)}: ", (one.severity, _STYLES[one.severity]), f": {said} ", (f"[{one.code}]", "dim")
            ),
            soft_wrap=not screen.out.is_terminal,
        )
    if report.findings:
        screen.out.print()
    for team, loop in report.loops:
        screen.out.print(Text(one_line(f"{team}: {loop.what}: at most {loop.bound:,} ({loop.knob})"), "dim"))
    if report.loops:
        screen.out.print()
    _show_costs(screen, report)
    counts = [(report.count(each), each) for each in _STYLES]
    told = ", ".join(f"{count} {each}{'' if count == 1 else 's'}" for count, each in counts if count)
    screen.out.print(Text(told or "nothing found", "bold"))


def _show_costs(screen: Screen, report: CheckReport) -> None:
    from rich.text import Text

    from orchestra.view.columns import column_table
    from orchestra.view.figures import one_line

    table = column_table("agent", "model", "steps", "calls", "tokens", "USD")
    for line in report.estimate.lines:
        name = Text("  " * line.depth + one_line(line.name), "cyan")
        table.add_row(name, one_line(line.model), _span(*line.steps), *_cells(line.cost))
    table.add_row(Text("the run", "bold"), "", "", *_cells(report.estimate.total))
    caps = [None] * 3 if report.budget is None else [report.budget.model_calls, report.budget.tokens, report.budget.usd]
    if any(cap is not None for cap in caps):
        table.add_row(Text("budget", "bold"), "", "", *("-" if cap is None else f"{cap:,}" for cap in caps))
    for sentence in _sentences(report):
        screen.out.print(one_line(sentence), soft_wrap=not screen.out.is_terminal, markup=False, highlight=False)
    screen.out.print()
    screen.table(table)
    screen.out.print(Text("From the cheapest run that succeeds to the dearest that the bounds allow.", "dim"))
    screen.out.print(Text(f"Assumed: {report.estimate.assumed}.", "dim"), soft_wrap=not screen.out.is_terminal)


def _sentences(report: CheckReport) -> list[str]:
    """Return what a run takes, in words."""
    total = report.estimate.total
    least, most = total.least.model_calls, total.most.model_calls
    if math.isinf(most):
        takes = f"A run makes {_calls(least)} or more: nothing limits them"
    else:
        takes = f"A run makes {_calls(least)}" if least == most else f"A run makes {_count(least)} to {_calls(most)}"
    if report.users:
        takes += f"; with one tool call each: {_count(report.using)} ({', '.join(report.users)})"
    said = [f"{takes}."]
    if sum(line.cost.most.model_calls for line in report.estimate.lines if not line.depth) < most < math.inf:
        said.append("That is with every failed step done again, as a person who is asked may decide.")
    if "the run's" in total.unpriced:
        said.append("What it costs depends on the model of the run: see it with --model provider:model.")
    return said


def _calls(count: float) -> str:
    return f"{_count(count)} model call{'' if count == 1 else 's'}"


def _cells(cost: Range) -> tuple[str, str, str]:
    low, high = _usd(cost.least.usd), "no limit" if math.isinf(cost.most.usd) else _usd(cost.most.usd)
    usd = low if low == high else f"{low}..{high}"
    if cost.unpriced:
        usd = "unknown" if not cost.most.usd else f"{usd} + unknown"
    return (
        _span(cost.least.model_calls, cost.most.model_calls),
        _span(cost.least.tokens, cost.most.tokens),
        usd,
    )


def _usd(value: float) -> str:
    """Return an amount of money to two places, a small one to its first figure."""
    return f"{value:.2f}" if value >= 0.01 else f"{value:.5f}".rstrip("0").rstrip(".") or "0"


def _span(least: float, most: float) -> str:
    """Return what a count is at least and at most."""
    low, high = _count(least), "no limit" if math.isinf(most) else _count(most)
    return low if low == high else f"{low}..{high}"


def _count(value: float) -> str:
    """Return a count, a large one in thousands or millions."""
    for unit, size in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if value >= 10 * size:
            return f"{value / size:,.0f}{unit}"
    return f"{value:,.0f}"
