"""`orchestra list`: which patterns and teams there are."""

from __future__ import annotations

import json

import click

from orchestra.commands.options import json_option


@click.command("list")
@json_option
def list_patterns(as_json: bool) -> None:
    """List the patterns and teams: when to use each, and what it costs."""
    from graphs.registry import REGISTRY

    entries = REGISTRY.values()
    if as_json:
        rows = [{"name": e.name, "team": e.is_team, "use_when": e.use_when, "model_calls": e.cost} for e in entries]
        click.echo(json.dumps(rows, indent=2))
        return
    from rich.text import Text

    from orchestra.view.columns import column_table
    from orchestra.view.screen import open_screen

    table = column_table("name", "use it when", "model calls")
    for is_team, title in ((False, "Patterns"), (True, "Teams")):
        table.add_row(Text(title, "bold"))
        for entry in entries:
            if entry.is_team == is_team:
                table.add_row(Text(f"  {entry.name}", "cyan"), Text(entry.use_when), Text(entry.cost))
    screen = open_screen()
    screen.table(table)
    screen.say()
    screen.say('Run one: orchestra run NAME "task"    See its graph: orchestra draw NAME', style="dim")
