"""`orchestra inject` and `halt`: reach a thread that may be running in another terminal."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from orchestra.commands.options import db_option, json_option

if TYPE_CHECKING:
    from state.graph import Pattern
    from state.persistence import Persistence


@click.command()
@click.argument("thread")
@click.argument("text")
@click.option("--agent", metavar="NAME", help="Tell this agent or team only; all by default.")
@db_option
@json_option
def inject(thread: str, text: str, agent: str | None, db: str, as_json: bool) -> None:
    """Tell the agents of a thread something: it reaches their next model call.

    A paused thread keeps it until it goes on. It is never taken for a command: `halt` stops a run.
    """
    from orchestra.commands.place import known_thread
    from orchestra.control import inject as inject_into
    from orchestra.view.screen import open_screen

    with known_thread(thread, db) as (persistence, facts):
        inject_into(_graph_of(facts, persistence), persistence, thread, text, agent=agent)
    if as_json:
        click.echo(json.dumps({"thread": thread, "agent": agent, "text": text}, ensure_ascii=False))
        return
    open_screen().say(f"Kept for the next model call of {agent or 'every agent'} in {thread}.")


@click.command()
@click.argument("thread")
@click.option("--reason", metavar="TEXT", default="", help="Why; it is kept with the thread.")
@db_option
@json_option
def halt(thread: str, reason: str, db: str, as_json: bool) -> None:
    """Stop the run of a thread after its current step; everything is kept."""
    from orchestra.commands.place import known_thread
    from orchestra.control import halt as halt_run
    from orchestra.thread import read_facts
    from orchestra.view.screen import open_screen

    with known_thread(thread, db) as (persistence, facts):
        halted = halt_run(_graph_of(facts, persistence), persistence, thread, reason=reason)
        status = read_facts(persistence.thread(thread) or facts).status
    if as_json:
        click.echo(json.dumps({"thread": thread, "halted": halted, "status": status}, ensure_ascii=False))
        return
    screen = open_screen()
    if halted:
        screen.say(f"{thread} stops after its current step. {_next_command(thread, facts, db)}")
    else:
        screen.say(f"Nothing runs in {thread}" + (f"; it is {status}." if status else "."))
        if status == "unfinished":
            screen.say(_next_command(thread, facts, db))


def _next_command(thread: str, facts: dict[str, Any], db: str) -> str:
    """Return how to go on with a thread: only the program that made its graph can, if the command did not."""
    from orchestra.commands.place import db_words
    from orchestra.view.ending import command

    if "recipe" in facts:
        return f"Continue with: {command('resume', thread, db_words(db))}"
    return "Continue where it was started: orchestra.resume(graph, persistence, thread)"


def _graph_of(facts: dict[str, Any], persistence: Persistence) -> Pattern | None:
    """Return the graph of a thread; None of one that a program runs, which can be reached without it."""
    from orchestra.recipe import recipe_of

    return recipe_of(facts).graph(persistence) if "recipe" in facts else None
