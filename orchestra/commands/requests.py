"""`orchestra requests`: what people are asked, over all threads."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

import click

from orchestra.commands.options import db_option, json_option

if TYPE_CHECKING:
    from rich.table import Table

    from orchestra.inbox import OpenRequest, Swept
    from orchestra.view.screen import Screen


@click.command()
@click.option("--expire", "sweep", is_flag=True, help="Go on with every thread whose request nobody answered in time.")
@db_option
@json_option
def requests(sweep: bool, db: str, as_json: bool) -> None:
    """List what people are asked, over all threads, the oldest first.

    With --expire, --json prints what was `decided`, what was `left` and why, and what is `open` now.
    """
    from orchestra.commands.place import find_place, no_database
    from orchestra.inbox import Swept, expire
    from orchestra.inbox import requests as all_requests
    from orchestra.view.screen import open_screen

    place, found, swept = find_place(db), list["OpenRequest"](), Swept([], [])
    if place is not None:
        with place:
            if sweep:
                swept = expire(place)
            found = all_requests(place)
    screen = open_screen()
    if as_json:
        listed: object = [_plain(request) for request in found]
        if sweep:
            of_sweep = {name: [_plain(request) for request in some] for name, some in swept._asdict().items()}
            listed = {**of_sweep, "open": listed}
        click.echo(json.dumps(listed, ensure_ascii=False, indent=2))
        return
    _show_swept(screen, swept)
    if found:
        screen.table(_table_of(found))
        _show_next(screen, found, db)
    else:
        screen.say(f"Nobody is asked anything{f' in {db}' if place else f': {no_database(db)}'}.")


def _plain(request: OpenRequest) -> dict[str, object]:
    return {**request.model_dump(mode="json"), "age": round(time.time() - request.asked), "expired": request.is_over}


def _show_swept(screen: Screen, swept: Swept) -> None:
    for request in swept.decided:
        screen.say(f"{request.thread}: nobody answered {request.id[:8]} in time; decided: {request.default}")
    for request in swept.left:
        screen.say(f"{request.thread}: {request.id[:8]} expired and was left: {request.reason}")


def _table_of(found: list[OpenRequest]) -> Table:
    from rich.text import Text

    from orchestra.view.columns import column_table
    from orchestra.view.figures import one_line

    now, table = time.time(), column_table("thread", "request", "from", "age", "expires", "then", "asked", cut="asked")
    for request in found:
        who = request.agent or request.graph or request.step or "-"
        left = (
            "-" if request.expires is None else "expired" if request.is_over else f"in {_span(request.expires - now)}"
        )
        table.add_row(
            Text(request.thread),
            Text(request.id[:8]),
            Text(one_line(who)),
            _span(now - request.asked),
            left,
            Text(one_line(request.default) or "-"),
            Text(one_line(request.description)),
        )
    return table


def _span(seconds: float) -> str:
    """Return a time span; people's time is not counted in parts of a second."""
    from orchestra.view.figures import duration

    return duration(seconds) if seconds >= 10 else f"{int(max(seconds, 0))} s"


def _show_next(screen: Screen, found: list[OpenRequest], db: str) -> None:
    from orchestra.commands.place import db_words
    from orchestra.view.ending import command

    screen.say(f"See one, and the commands that answer it: {command('show', found[0].thread, db_words(db))}")
    if any(request.is_over for request in found):
        screen.say(
            f"Take what is decided for those that expired: {' '.join(['orchestra requests --expire', *db_words(db)])}"
        )
