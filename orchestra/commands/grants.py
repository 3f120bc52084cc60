"""`orchestra grants` and `revoke`: what agents let each other do, and how to end it."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

import click

from orchestra.commands.options import db_option, json_option
from state.errors import ConfigurationError

if TYPE_CHECKING:
    from rich.table import Table

    from state.registers import Known


@click.command()
@click.argument("thread", required=False)
@db_option
@json_option
def grants(thread: str | None, db: str, as_json: bool) -> None:
    """List the grants that agents used, of a thread or of all; those that ended a week ago are forgotten."""
    from orchestra.commands.place import find_place, no_database
    from orchestra.view.figures import one_line
    from orchestra.view.screen import open_screen

    place, found, now = find_place(db), list["Known"](), time.time()
    if place is not None:
        with place:
            found = place.grants.known(thread)
    if as_json:
        told = [{**each._asdict(), "status": _status(each, now)} for each in found]
        click.echo(json.dumps(told, ensure_ascii=False, indent=2))
    elif found:
        open_screen().table(_table_of(found, now))
    else:
        what = f" of thread {one_line(thread)}" if thread else ""
        open_screen().say(f"No grants{what}{f' in {db}' if place else f': {no_database(db)}'}.")


@click.command()
@click.argument("grant", metavar="GRANT_ID")
@db_option
@json_option
def revoke(grant: str, db: str, as_json: bool) -> None:
    """End a grant and all that were given under it; what its holder has begun is not undone."""
    from orchestra.commands.place import find_place
    from orchestra.view.screen import open_screen
    from state.audit import Draft

    place = find_place(db)
    if place is None:
        raise ConfigurationError(f"revoke: there is no database {db} seen from here; give --db")
    with place:
        known = _found(grant, place.grants.known())
        is_new = place.grants.revoke(known.id, time.time())
        # Written again where it is there already: a command that was killed in between is made good by the next.
        done = Draft(kind="revocation", subject=known.holder, outcome="revoked", key=known.id, thread=known.thread)
        place.trail.append(done)
    if as_json:
        click.echo(json.dumps({"revoked": known.id, "before": not is_new}))
        return
    who = f"grant {known.id} of {known.holder}"
    open_screen().say(f"Revoked {who}, and all below it." if is_new else f"The {who} was revoked before.")


def _found(grant: str, known: list[Known]) -> Known:
    """Return the grant that an id, or the beginning of one, names."""
    found = [each for each in known if grant and each.id.startswith(grant)]
    if len(found) != 1:
        got = "several begin" if found else "none begins"
        raise ConfigurationError(
            f"revoke: expected the id of a grant, and {got} with {grant!r}; see `orchestra grants`"
        )
    return found[0]


def _status(grant: Known, now: float) -> str:
    if grant.ended:
        return "revoked"
    return "ended" if grant.expires <= now else "holds"


def _table_of(found: list[Known], now: float) -> Table:
    from rich.text import Text

    from orchestra.view.columns import column_table
    from orchestra.view.figures import moment, one_line

    table = column_table("grant", "used", "status", "from", "to", "thread", cut="thread")
    for each in found:
        used = moment(each.used, now) if each.used is not None else "-"
        names = [Text(one_line(name, 14) or "-") for name in (each.issuer, each.holder)]
        table.add_row(each.id, used, _status(each, now), *names, Text(one_line(each.thread) or "-"))
    return table
