"""`orchestra audit`: what agents did, were allowed and were refused, and whether that is all of it."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

import click

from orchestra.commands.options import db_option, json_option
from state.errors import ConfigurationError

if TYPE_CHECKING:
    from rich.table import Table

    from orchestra.view.screen import Screen
    from state.audit import Record
    from state.chain import Verified

KINDS = ["effect", "approval", "denial", "handoff", "consultation", "delegation", "grant", "revocation", "limit"]
"""As `state.audit` has them: help is shown without loading it."""
_LAST = 50


class _AuditGroup(click.Group):
    """A group whose first word may also be a thread: then the records are listed."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Put the name of the listing first, unless a command or help is asked for."""
        if not args or (args[0] not in self.commands and args[0] not in ctx.help_option_names):
            args = ["list", *args]
        return super().parse_args(ctx, args)


@click.group(cls=_AuditGroup, subcommand_metavar="[THREAD] | verify | list [OPTIONS] [THREAD]")
def audit() -> None:
    """Show what agents did, were allowed and were refused; verify that nothing of it was changed.

    Records hold no contents, and stay when their thread is deleted.

    \b
    orchestra audit                    the latest records of all threads
    orchestra audit THREAD             those of a thread
    orchestra audit --kind denial      those of a kind
    orchestra audit verify             walk the chain that they form
    """


@audit.command("list")
@click.argument("thread", required=False)
@click.option("--kind", type=click.Choice(KINDS), help="Only records of that kind.")
@click.option(
    "--last", type=click.IntRange(min=1), metavar="N", help=f"Latest records that are shown; {_LAST} by default."
)
@db_option
@json_option
def list_records(thread: str | None, kind: str | None, last: int | None, db: str, as_json: bool) -> None:
    """List the records of a thread, or of all, the first one first. With --json all fields of all of them."""
    from orchestra.commands.place import find_place, no_database
    from orchestra.view.figures import one_line
    from orchestra.view.screen import open_screen

    place, found = find_place(db), list["Record"]()
    last = last or (None if as_json else _LAST)
    if place is not None:
        with place:
            found = place.trail.records(thread=thread, kind=kind, last=last)
    if as_json:
        click.echo(json.dumps([record.plain() for record in found], ensure_ascii=False, indent=2))
        return
    screen = open_screen()
    if not found:
        what = f"of thread {one_line(thread)} " if thread else ""
        where = f" in {db}{f' as {kind}' if kind else ''}" if place else f": {no_database(db)}"
        screen.say(f"Nothing {what}is recorded{where}.")
        return
    screen.table(_table_of(found, with_thread=thread is None))
    if len(found) == last and (found[0].seq > 1):
        screen.say(f"The latest {len(found)}; more with --last N.")


@audit.command()
@click.option(
    "--head", default="", metavar="HASH", help="What an earlier verify printed: that record has to be there still."
)
@db_option
@json_option
@click.pass_context
def verify(ctx: click.Context, head: str, db: str, as_json: bool) -> None:
    """Walk the chain of all records; exit with 1 if one was changed, taken out, put in or moved.

    Whoever can write to the database can shorten the chain or write it anew. Keep the head that this prints elsewhere, and give
    it the next time: then that shows, too.
    """
    from orchestra.commands.place import find_place
    from orchestra.view.screen import open_screen

    sought = head.strip().lower()
    if head and (len(sought) != 64 or set(sought) - set("0123456789abcdef")):
        raise ConfigurationError(
            f"audit: expected --head as the 64 hexadecimal digits that verify printed, got {head!r}"
        )
    place = find_place(db)
    if place is None:
        raise ConfigurationError(f"audit: there is no database {db} seen from here; give --db")
    with place:
        verified = place.trail.verify(sought)
    if as_json:
        plain = {**verified._asdict(), "findings": [finding._asdict() for finding in verified.findings]}
        click.echo(json.dumps({"ok": not verified.findings, **plain}, ensure_ascii=False, indent=2))
    else:
        _show(open_screen(), verified, sought)
    if verified.findings:
        ctx.exit(1)


def _show(screen: Screen, verified: Verified, sought: str) -> None:
    from orchestra.view.figures import counted

    if verified.findings:
        for finding in verified.findings:
            screen.give(f"{finding.kind}: {finding.text}")
        screen.insist("The audit trail is not as it was written. Compare it with a backup.", style="red")
        return
    screen.give(f"{counted(verified.records, 'record')}, unchanged and complete{' since that head' if sought else ''}")
    if verified.head:
        screen.give(f"head {verified.head}")
        screen.say(
            "Keep the head elsewhere; `orchestra audit verify --head HASH` also notices when the end is missing."
        )


def _table_of(found: list[Record], *, with_thread: bool) -> Table:
    from rich.text import Text

    from orchestra.view.columns import column_table
    from orchestra.view.figures import moment, one_line

    now, names = time.time(), ("#", "when", *(("thread",) if with_thread else ()), "agent", "what")
    table = column_table(*names, cut="what")
    for record in found:
        what = f"{record.kind} {record.subject}: {record.outcome}{f' ({record.detail})' if record.detail else ''}"
        if record.taint:
            what = f"{what}, after {', '.join(record.taint)}"
        cells = [str(record.seq), moment(record.at, now)]
        cells += [one_line(record.thread, 14) or "-"] if with_thread else []
        cells += [one_line(record.agent, 12) or "-", one_line(what)]
        table.add_row(*map(Text, cells))
    return table
