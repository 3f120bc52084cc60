"""`orchestra report`: everything that happened in a thread, as one HTML file."""

from __future__ import annotations

import json
import re
from pathlib import Path

import click

from orchestra.commands.options import db_option, json_option
from state.errors import ConfigurationError


@click.command()
@click.argument("thread")
@click.option(
    "--out", metavar="FILE", help="Where the page is written, `-` for the output; reports/THREAD.html by default."
)
@db_option
@json_option
def report(thread: str, out: str | None, db: str, as_json: bool) -> None:
    """Write a page about a thread: timeline, agents, cost, decisions, audit trail, messages, errors.

    One HTML file that loads nothing: it can be kept, sent and printed. With --json the figures are printed instead, and
    the page is written only where --out says.
    """
    from orchestra.commands.place import db_words, known_thread
    from orchestra.reporting.report import report as report_of
    from orchestra.view.screen import open_screen

    if out == "-" and as_json:
        raise ConfigurationError(
            "--out: the page and the figures cannot both go to the output; leave out --json, or name a file"
        )
    with known_thread(thread, db) as (persistence, facts):
        options = db_words(db) if "recipe" in facts else None
        made = report_of(persistence, thread, options=options)
    if out == "-":
        click.echo(made.html)
    elif out is not None or not as_json:
        written = made.save(out if out is not None else Path("reports") / f"{file_name(thread)}.html")
        if not as_json:
            open_screen().say(f"Written to {_from_here(written)}")
    if as_json:
        click.echo(json.dumps(made.to_json(), ensure_ascii=False, indent=2))


def file_name(thread: str) -> str:
    """Return a thread's id as the name of a file, on any system; of two ids that differ, mostly two names."""
    kept = re.sub(r"[^\w.-]+", "-", thread, flags=re.ASCII).strip(".-")[:100].rstrip(".-")
    if kept == thread:
        return kept
    from state.audit import digest_of

    return f"{kept or 'thread'}-{digest_of(thread)[:8]}"


def _from_here(path: Path) -> Path:
    try:
        return path.relative_to(Path.cwd())
    except ValueError:
        return path
