"""`orchestra new`: a project of one's own to start from, with a team, its tests, and what Studio needs."""

from __future__ import annotations

import re
from pathlib import Path

import click

from state.errors import ConfigurationError

PATTERNS = ("sequential", "supervisor", "handoff", "router", "plan_execute")
"""What a project can be started with; every other pattern is a line away."""

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9]*(?:[ _.-]+[A-Za-z0-9]+)*")


@click.command()
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option(
    "--pattern",
    type=click.Choice(PATTERNS),
    default=PATTERNS[0],
    show_default=True,
    help="How its agents work together.",
)
@click.option("--yaml", "as_yaml", is_flag=True, help="A team file; only its tool is code.")
def new(folder: Path, pattern: str, as_yaml: bool) -> None:
    """Make a project of your own: a team of three agents, a tool, an approval, and tests that pass.

    \b
    orchestra new desk
    orchestra new desk --pattern supervisor
    orchestra new desk --yaml
    """
    from orchestra.starter.project import write_project

    name = _name_of(folder)
    _check_empty(folder)
    written = write_project(folder, name, pattern, kind="yaml" if as_yaml else "python")
    for path in written:
        click.echo(f"  {path}", err=True)
    click.echo("Try it:", err=True)
    for line in _next_lines(folder, as_yaml=as_yaml):
        click.echo(f"  {line}")


def _next_lines(folder: Path, *, as_yaml: bool) -> list[str]:
    import shlex

    there = f"cd {shlex.quote(str(folder))}"
    if as_yaml:
        return [there, "orchestra team check team.yaml", 'orchestra run team.yaml "Please cancel order 1043."']
    return [there, 'pip install -e ".[test]"', "python -m pytest", 'python team.py "Please cancel order 1043."']


def _name_of(folder: Path) -> str:
    """Return the project's name: that of its folder.

    Raises:
        ConfigurationError: It cannot be the name of a Python project.
    """
    name = folder.absolute().resolve().name
    if not _NAME.fullmatch(name) or len(name) > 40:
        raise ConfigurationError(
            f"new: expected a folder name of at most 40 letters, digits, '-' and '_', a letter first, got {name!r}"
        )
    return name


def _check_empty(folder: Path) -> None:
    """Refuse a folder that has something in it: nothing is overwritten.

    Raises:
        ConfigurationError: It is no folder, or not empty.
    """
    if folder.exists() and not folder.is_dir():
        raise ConfigurationError(f"new: {str(folder)!r} is a file; name a folder")
    if folder.is_dir() and (there := sorted(path.name for path in folder.iterdir())):
        some = ", ".join(there[:3]) + (", ..." if len(there) > 3 else "")
        raise ConfigurationError(f"new: {str(folder)!r} is not empty (it has {some}); name a new or an empty folder")
