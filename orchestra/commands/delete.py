"""`orchestra delete`: threads, and all that belongs to them."""

from __future__ import annotations

import json

import click

from orchestra.commands.options import db_option, json_option


@click.command()
@click.argument("threads", nargs=-1, required=True, metavar="THREAD...")
@click.option("--yes", is_flag=True, help="Do not ask.")
@db_option
@json_option
def delete(threads: tuple[str, ...], yes: bool, db: str, as_json: bool) -> None:
    """Delete threads with all that is kept of them. A running one is refused: halt it first."""
    from orchestra.commands.place import known_thread
    from orchestra.thread import read_facts, unknown_thread
    from orchestra.view.figures import counted
    from orchestra.view.screen import open_screen

    with known_thread(threads[0], db) as (place, _):
        found = []
        for thread in dict.fromkeys(threads):  # all are looked up before the first is deleted
            facts = place.thread(thread)
            if facts is None:
                raise unknown_thread(thread, place)
            found.append(read_facts(facts))
        if not yes:
            names = "\n".join(f"  {info.thread}  {info.status}".rstrip() for info in found)
            click.confirm(
                f"These go, with their answers and what they wait for:\n{names}\nDelete?", abort=True, err=True
            )
        place.delete_thread(*(info.thread for info in found))
    if as_json:
        click.echo(json.dumps({"deleted": [info.thread for info in found]}, ensure_ascii=False))
        return
    open_screen().say(f"Deleted {counted(len(found), 'thread')}.")
