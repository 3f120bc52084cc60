"""`orchestra prune`: let go of what is old, and make the database smaller."""

from __future__ import annotations

import json
from datetime import timedelta

import click

from orchestra.commands.options import age, db_option, json_option
from state.errors import ConfigurationError


@click.command()
@click.option("--keep-last", type=click.IntRange(min=1), metavar="N", help="Checkpoints of each thread that stay.")
@click.option("--older-than", callback=age, metavar="AGE", help="Only checkpoints of that age, such as 30d or 12h.")
@click.option(
    "--threads-older-than", callback=age, metavar="AGE", help="Delete threads that were last used before that."
)
@click.option("--dry-run", is_flag=True, help="Only say what would go.")
@db_option
@json_option
def prune(
    keep_last: int | None,
    older_than: timedelta | None,
    threads_older_than: timedelta | None,
    dry_run: bool,
    db: str,
    as_json: bool,
) -> None:
    """Let go of old checkpoints or threads, and make the database smaller.

    Threads go on as before; only what a fork could go back to is less. Those that wait for a person stay.

    \b
    orchestra prune --keep-last 1
    orchestra prune --older-than 30d --threads-older-than 90d
    """
    from orchestra.commands.place import find_place
    from orchestra.view.figures import counted
    from orchestra.view.screen import open_screen

    if keep_last is None and older_than is None and threads_older_than is None:
        raise ConfigurationError("prune: say what may go: --keep-last N, --older-than AGE or --threads-older-than AGE")
    place, screen = find_place(db), open_screen()
    if place is None:
        raise ConfigurationError(f"prune: there is no database {db} seen from here; give --db")
    with place:
        pruned = place.prune(
            keep_last=keep_last, older_than=older_than, threads_older_than=threads_older_than, dry_run=dry_run
        )
    if as_json:
        click.echo(json.dumps({**pruned._asdict(), "dry_run": dry_run}))
        return
    parts = [counted(number, what) for number, what in ((pruned.checkpoints, "checkpoint"), (pruned.threads, "thread"))]
    freed = f"; the database is {_size(pruned.bytes)} smaller" if pruned.bytes else ""
    screen.say(f"{'Would delete' if dry_run else 'Deleted'} {' and '.join(parts)}{freed}.")
    if pruned.waiting:
        screen.say(f"{counted(pruned.waiting, 'old thread')} wait for a person and stay.")


def _size(count: int) -> str:
    return f"{count / 1e6:,.1f} MB" if count >= 1e5 else f"{count / 1e3:,.1f} kB"
