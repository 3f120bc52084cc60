"""A team from a file, for programs: `load_team("duo.yaml").graph.invoke({"task": "..."})`."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from orchestra.teamfile.building import build_team
from orchestra.teamfile.context import context_of_file
from orchestra.teamfile.model import TeamFile
from orchestra.teamfile.reading import read_team
from state.context import Context
from state.graph import Pattern, PatternBuilder


@dataclass(frozen=True)
class Team:
    """A team that was read from a file.

    Args:
        file: What the file says.
    """

    file: TeamFile

    @property
    def name(self) -> str:
        """Return what the team is called."""
        return self.file.name

    def build(self) -> PatternBuilder:
        """Return the uncompiled graph. Imports the modules of its tools, which runs them.

        Raises:
            ConfigurationError: A tool cannot be had.
        """
        return build_team(self.file)

    @cached_property
    def graph(self) -> Pattern:
        """Return the compiled graph, without a checkpointer."""
        return self.build().compile(name=self.name)

    def context(self, **knobs: Any) -> Context:
        """Return the context of a run: the model, budget and knobs of the file, and what is given here in their place."""
        return context_of_file(self.file, **knobs)


def load_team(path: str | Path) -> Team:
    """Return the team of a file. Imports nothing that the file names before its graph is built.

    Args:
        path: A file that ends in `.yaml`, `.yml` or `.json`.

    Raises:
        TeamFileError: Lists everything that is wrong with it, by line and column.
        ConfigurationError: It cannot be read.
    """
    return Team(read_team(path))
