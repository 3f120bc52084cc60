"""Team files as graphs of a server. A server imports a module and looks a name up in it: this one, where they are put."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from orchestra.recipe import Recipe, recipe_named
from orchestra.teamfile.team import load_team
from state.errors import ConfigurationError

if TYPE_CHECKING:
    from orchestra.serving.server import Project

_recipes: dict[str, Recipe] = {}
"""Of what is served from files, by the graph's name."""


def served_recipes() -> Mapping[str, Recipe]:
    """Return what the command needs to build the team files that this process serves, by name."""
    return _recipes


def with_teams(project: Project, files: Sequence[Path]) -> Project:
    """Return a project with the teams of files among its graphs. Imports the modules of their tools.

    Raises:
        TeamFileError: Lists everything that is wrong with a file, by line and column.
        ConfigurationError: A file cannot be read, a tool cannot be had, or two graphs have one name.
    """
    graphs = dict(project.graphs)
    for number, file in enumerate(files):
        team = load_team(file)
        if team.name in graphs:
            raise ConfigurationError(f"{file}: there is another graph {team.name!r}; give the team a name of its own")
        place = f"team_{number}"
        globals()[place] = team.graph
        graphs[team.name] = {"path": f"{__name__}:{place}", "description": team.file.description}
        _recipes[team.name], _ = recipe_named(str(file))
    source = ", ".join(filter(None, (project.source, *(file.name for file in files))))
    return replace(project, source=source, graphs=graphs)
