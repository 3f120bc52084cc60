"""`orchestra stats`: how the runs of a database went."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

import click

from orchestra.commands.options import age, db_option, json_option

if TYPE_CHECKING:
    from datetime import timedelta

    from orchestra.tracing.stats import Stats


@click.command()
@click.option("--since", metavar="AGE", callback=age, help="Only what happened in the last 30m, 24h, 7d or 4w.")
@db_option
@json_option
def stats(since: timedelta | None, db: str, as_json: bool) -> None:
    """Show how the runs went: how many completed, time, tokens, cost, errors; by pattern and by agent."""
    from orchestra.commands.place import find_place, no_database
    from orchestra.view.screen import open_screen
    from orchestra.view.stats import show_stats

    found, screen = _stats_of(db, since), open_screen()
    if as_json:
        click.echo(json.dumps(found.to_json(), ensure_ascii=False, indent=2))
    elif found.runs.count:
        show_stats(screen, found)
    else:
        when = " in that time" if since is not None else ""
        what = f"No runs in {db}{when}" if find_place(db) else f"No runs: {no_database(db)}"
        screen.say(f'{what}. Start one: orchestra run research "What is a closure?"')


def _stats_of(db: str, since: timedelta | None) -> Stats:
    from orchestra.commands.place import find_place
    from orchestra.tracing.stats import Stats
    from orchestra.tracing.stats import stats as stats_of

    place = find_place(db)
    if place is None:
        return Stats()
    with place:
        return stats_of(place, since=time.time() - since.total_seconds() if since is not None else None)
