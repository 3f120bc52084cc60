"""`orchestra fork`: go back to a moment of a thread, in a new one."""

from __future__ import annotations

import json
from typing import Any

import click

from orchestra.commands.options import db_option, json_option
from state.errors import ConfigurationError


@click.command()
@click.argument("thread")
@click.option(
    "--at",
    required=True,
    metavar="CHECKPOINT",
    help="Id, its first or last six or more characters, or the step's number.",
)
@click.option("--to", metavar="NAME", help="Name of the new thread; by default the old one with -fork behind it.")
@click.option("--set", "given", multiple=True, metavar="CHANNEL=JSON", help="Change the state there; may be repeated.")
@click.option("--as-node", metavar="NODE", help="Whom the changes come from; by default the node that ran last.")
@db_option
@json_option
def fork(
    thread: str, at: str, to: str | None, given: tuple[str, ...], as_node: str | None, db: str, as_json: bool
) -> None:
    """Go back to a moment of a thread, in a new one; the old one stays as it is.

    \b
    orchestra history research-1a2b3c
    orchestra fork research-1a2b3c --at 4
    orchestra fork research-1a2b3c --at 4 --set 'goal="The same, shorter"'
    """
    from orchestra.commands.place import db_words, known_thread
    from orchestra.forks import fork as fork_of
    from orchestra.recipe import recipe_of
    from orchestra.view.ending import command
    from orchestra.view.screen import open_screen

    values = dict(_pair(each) for each in given)
    if as_node is not None and not values:
        raise ConfigurationError("--as-node: says whom the changes of --set come from, and there are none")
    with known_thread(thread, db) as (persistence, facts):
        graph = recipe_of(facts).graph(persistence)
        made = fork_of(graph, persistence, thread, at=at, to=to, values=values, as_node=as_node)
        known: dict[str, Any] = persistence.thread(made) or {}
    if as_json:
        shown = {"thread": made, "status": known.get("status", ""), **known.get("forked", {})}
        click.echo(json.dumps({**shown, "thread": made, "from": thread}, ensure_ascii=False, indent=2))
        return
    screen = open_screen()
    screen.say(f"{thread} {screen.glyphs.dot} {made}: {known.get('status', '')}")
    verb, what = ("resume", "Continue") if known.get("status") == "unfinished" else ("show", "Look at it")
    screen.say(f"{what} with: {command(verb, made, db_words(db))}")


def _pair(argument: str) -> tuple[str, Any]:
    """Return name and value of `channel=json`; a value that cannot be meant as JSON is a text."""
    name, equals, text = argument.partition("=")
    if not (name and equals):
        raise ConfigurationError(f"--set: expected CHANNEL=JSON, got {argument!r}")
    try:
        return name, json.loads(text)
    except ValueError as error:
        if text.lstrip()[:1] in ("{", "[", '"'):
            raise ConfigurationError(f"--set {name}: expected JSON, got {text!r} ({error})") from None
        return name, text
