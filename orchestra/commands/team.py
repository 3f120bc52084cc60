"""`orchestra team`: teams that are written in files."""

from __future__ import annotations

import json
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING

import click

from orchestra.commands.options import json_option
from orchestra.commands.team_check import check
from orchestra.commands.team_import import import_

if TYPE_CHECKING:
    from orchestra.teamfile.model import TeamFile
    from orchestra.view.screen import Screen


@click.group()
def team() -> None:
    """Look at teams that are written in files.

    \b
    orchestra team show examples/teams/duo.yaml
    orchestra run examples/teams/duo.yaml "What is a closure?"
    """


team.add_command(check)
team.add_command(import_)


@team.command()
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE", help="Write it there.")
def schema(out: Path | None) -> None:
    """Print the JSON schema of team files, for editors.

    They complete and check files by it. The first line of a file says where its schema is: # yaml-language-server: $schema=PATH
    """
    from orchestra.teamfile.schema import schema_text

    if out is None:
        click.echo(schema_text(), nl=False)
        return
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(schema_text(), encoding="utf-8")
    click.echo(f"Written to {out}", err=True)


@team.command()
@click.argument("file", metavar="FILE")
@click.option("--import", "imports", is_flag=True, help="Import and open its tools, which runs code, and name them.")
@json_option
def show(file: str, imports: bool, as_json: bool) -> None:
    """Show who is in a team, and how they work together.

    Nothing that the file names is imported or run, unless --import says so.
    """
    from orchestra.teamfile.reading import read_team
    from orchestra.view.screen import open_screen

    found = read_team(file)
    tools = _imported(found) if imports else {}
    if as_json:
        shown = found.model_dump(mode="json", exclude_defaults=True)
        click.echo(json.dumps({**shown, **({"imported": tools} if imports else {})}, ensure_ascii=False, indent=2))
        return
    _show(open_screen(), found, file, tools)


def _imported(found: TeamFile) -> dict[str, list[str]]:
    """Return the names of the tools that each name in a file means."""
    from orchestra.teamfile.building import build_team
    from orchestra.teamfile.model import AgentEntry
    from orchestra.teamfile.tools import Toolbox, name_of_tool

    build_team(found)
    box = Toolbox(found.tools, found.source.folder)
    named = [one for _, entry in found.entries() if isinstance(entry, AgentEntry) for one in entry.tools]
    return {one: [name_of_tool(tool) for tool in box.tools_of(one)] for one in dict.fromkeys(named)}


def _show(screen: Screen, found: TeamFile, file: str, tools: dict[str, list[str]]) -> None:
    from rich.text import Text

    from orchestra.teamfile.outline import outline
    from orchestra.view.columns import column_table
    from orchestra.view.figures import one_line

    told = outline(found)
    screen.say(Text(one_line(f"{found.name}: {found.description}" if found.description else found.name), "bold"))
    for line in told.lines:
        screen.say(one_line(line))
    screen.say()
    table = column_table("agent", "part", "what it is for", "tools", "model")
    for row in told.agents:
        shown = Text("  " * row.depth + one_line(row.name), "cyan")
        table.add_row(shown, *(Text(one_line(cell)) for cell in (row.part, row.purpose, row.tools, row.model)))
    screen.table(table)
    if told.tasks:
        screen.say()
        rows = column_table("task", "agent", "after")
        for task in told.tasks:
            rows.add_row(Text(one_line(task[0]), "cyan"), Text(one_line(task[1])), Text(one_line(task[2])))
        screen.table(rows)
    for name, means in tools.items():
        screen.say(one_line(f"{name}: {', '.join(means)}"))
    screen.say()
    screen.say(one_line(f'Run it: orchestra run {quote(file)} "task"'), style="dim")
    screen.say(one_line(f"See its graph: orchestra draw {quote(file)}"), style="dim")
