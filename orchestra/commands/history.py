"""`orchestra history`: the checkpoints of a thread, each of which a fork can begin at."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

import click

from orchestra.commands.options import db_option, json_option

if TYPE_CHECKING:
    from rich.table import Table

    from orchestra.thread import Moment


@click.command()
@click.argument("thread")
@db_option
@json_option
def history(thread: str, db: str, as_json: bool) -> None:
    """List the moments of a thread that it can be forked at."""
    from orchestra.commands.place import db_words, known_thread
    from orchestra.forks import short_names
    from orchestra.recipe import recipe_of
    from orchestra.thread import history as moments_of
    from orchestra.view.ending import command
    from orchestra.view.screen import open_screen

    with known_thread(thread, db) as (persistence, facts):
        moments = moments_of(recipe_of(facts).graph(persistence), persistence, thread)
    if as_json:
        click.echo(json.dumps([moment.model_dump(mode="json") for moment in moments], ensure_ascii=False, indent=2))
        return
    names = short_names([moment.checkpoint for moment in moments])
    screen = open_screen()
    screen.table(_table_of(moments, names))
    chosen = max((index for index, moment in enumerate(moments) if moment.next), default=len(moments) - 1)
    again = command("fork", thread, ["--at", names[chosen], *db_words(db)])
    screen.say(f"Go back to one, in a thread of its own: {again}")


def _table_of(moments: list[Moment], names: list[str]) -> Table:
    from rich.text import Text

    from orchestra.view.columns import column_table
    from orchestra.view.figures import moment as moment_of
    from orchestra.view.glyphs import STYLES

    table = column_table("checkpoint", "step", "when", "next", "waiting", cut="next")
    for each, name in zip(moments, names, strict=True):
        waiting = Text("for a person", STYLES["waiting"]) if each.waiting else Text("")
        when = moment_of(each.at.timestamp(), time.time())
        table.add_row(Text(name), str(each.step), when, Text(", ".join(each.next) or "-"), waiting)
    return table
