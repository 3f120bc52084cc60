"""`orchestra trace`: who did what in a thread, for whom, at what cost and why; of a run that goes on, as it happens."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NoReturn

import click

from orchestra.commands.options import db_option, json_option
from state.errors import ConfigurationError

if TYPE_CHECKING:
    from orchestra.tracing import Trace
    from state.persistence import Persistence

_KINDS = ("given", "model", "tool", "decision", "person", "effect", "plan", "note", "error")


@click.command()
@click.argument("thread")
@click.option("--agent", metavar="NAME", help="Only what this agent did.")
@click.option(
    "--kind", "kinds", multiple=True, type=click.Choice(_KINDS), help="Only such lines; again for several kinds."
)
@click.option("--turn", type=int, metavar="N", help="Only this turn; -1 is the last one.")
@click.option("--errors", is_flag=True, help="Only where something went wrong.")
@click.option("--follow", "-f", is_flag=True, help="Show a run while it goes on, until it ends or waits.")
@db_option
@json_option
def trace(
    thread: str,
    agent: str | None,
    kinds: tuple[Any, ...],
    turn: int | None,
    errors: bool,
    follow: bool,
    db: str,
    as_json: bool,
) -> None:
    """Show what happened in a thread: a tree of its agents' steps, with figures and reasons.

    With --follow, a line for each thing as it happens, and the exit code of the run; with --json too, the events as they were
    recorded, one JSON object a line.
    """
    from orchestra.commands.place import known_thread
    from orchestra.tracing.telling import filtered
    from orchestra.view.screen import open_screen
    from orchestra.view.tracing import show_trace

    if turn == 0:
        raise ConfigurationError("--turn: expected a number from 1, or from the end as -1; got 0")
    if follow and (agent or kinds or turn or errors):
        raise ConfigurationError(
            "--follow: shows everything; give --agent, --kind, --turn and --errors once the run has ended"
        )
    with known_thread(thread, db) as (persistence, _):
        if follow:
            _follow(persistence, thread, as_json=as_json)
        found = _trace_of(persistence, thread)
    shown = filtered(found, agent=agent or "", kinds=kinds, turn=turn or 0, errors=errors)
    if as_json:
        click.echo(json.dumps(shown.to_json(), ensure_ascii=False, indent=2))
        return
    screen = open_screen()
    show_trace(screen, shown, kinds=kinds)
    if any(True for _ in shown.spans()):
        return
    if not any(found.turns):
        screen.say("Nothing of this thread was recorded.", style="dim")
    elif agent or kinds or turn or errors:
        screen.say("Nothing of that kind happened.", style="dim")


def _trace_of(persistence: Persistence, thread: str) -> Trace:
    from orchestra.tracing import trace as trace_of

    return trace_of(persistence, thread)


def _follow(persistence: Persistence, thread: str, *, as_json: bool) -> NoReturn:
    """Show events until the run ends, and end with its exit code."""
    from orchestra.commands.running import EXIT_CODES
    from orchestra.tracing.following import follow
    from orchestra.view.events import EventLines
    from orchestra.view.screen import open_screen

    screen = open_screen()
    lines = EventLines(screen)
    status = ""
    for event in follow(persistence, thread):
        if isinstance(event, str):
            status = event
        elif as_json:
            screen.out.file.write(json.dumps(event, ensure_ascii=False) + "\n")
            screen.out.file.flush()
        else:
            lines.show(event)
    if not as_json:
        lines.end(status)
    raise click.exceptions.Exit(EXIT_CODES.get(status, 0))
