"""`orchestra team import`: a crew of CrewAI as a team file."""

from __future__ import annotations

from pathlib import Path

import click


def _pairs(ctx: click.Context, param: click.Parameter, values: tuple[str, ...]) -> dict[str, str]:  # noqa: ARG001  # click's
    """Return what options such as `--set topic=tides` say, by name."""
    for value in values:
        name, sign, text = value.partition("=")
        if not (name.strip() and sign and text.strip()):
            raise click.BadParameter(f"expected NAME=VALUE, got {value!r}")
    return {name.strip(): text.strip() for name, _, text in (value.partition("=") for value in values)}


@click.command("import")
@click.argument("agents", metavar="AGENTS.yaml|FOLDER")
@click.argument("tasks", metavar="TASKS.yaml", required=False)
@click.option("--process", type=click.Choice(["sequential", "hierarchical"]), default="sequential", show_default=True)
@click.option("--name", default="", help="What the team is called.")
@click.option(
    "--tool", "tools", multiple=True, callback=_pairs, metavar="NAME=TOOL", help="A tool of ours for one of theirs."
)
@click.option(
    "--set", "given", multiple=True, callback=_pairs, metavar="NAME=VALUE", help="A value for a {placeholder}."
)
@click.option(
    "--agent", "who", multiple=True, callback=_pairs, metavar="TASK=AGENT", help="Who does a task that names nobody."
)
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE", help="Write it there.")
@click.option("--force", is_flag=True, help="Replace a file that is there.")
def import_(
    agents: str,
    tasks: str | None,
    process: str,
    name: str,
    tools: dict[str, str],
    given: dict[str, str],
    who: dict[str, str],
    out: Path | None,
    force: bool,
) -> None:
    """Write a crew of CrewAI as a team file.

    What could not be carried over is listed, and stands in the file's first lines.

    \b
    orchestra team import src/my_crew/config --out team.yaml
    orchestra team import agents.yaml tasks.yaml --tool SerperDevTool=web
    orchestra team import agents.yaml tasks.yaml --set current_year=2026
    """
    from typing import Literal, cast

    from orchestra.teamfile.crew.crewai import import_crew
    from orchestra.teamfile.crew.files import find_crew
    from orchestra.view.figures import counted, visible
    from state.errors import ConfigurationError

    if out is not None and out.exists() and not force:
        raise ConfigurationError(f"{str(out)!r} is there already; take another name, or --force")
    how = cast(Literal["sequential", "hierarchical"], process)
    found = import_crew(
        *find_crew(agents, tasks), name=name, process=how, tools=tools, given=given, agents_of_tasks=who, target=out
    )
    if out is None:
        click.echo(found.text, nl=False)
    else:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(found.text, encoding="utf-8")
    for one in found.left_out:
        click.echo(visible(str(one)), err=True)
    if out is not None:
        count = counted(len(found.left_out), "thing")
        click.echo(f"Written to {out}; {count} not carried over, or changed", err=True)
        click.echo(f'Check it: orchestra team check {out}    Run it: orchestra run {out} "task"', err=True)
