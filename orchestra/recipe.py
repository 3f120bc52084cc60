"""What the command needs to build a graph again: noted with the thread, so that any later command can go on with it."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict

from graphs.registry import Entry, find
from orchestra.thread import read_facts
from state.errors import ConfigurationError, GraphChanged
from state.graph import Pattern
from state.persistence import Persistence

_FROM_DOCUMENTS = frozenset({"research", "competitive"})
"""Teams that search documents and answer with a report, which goes to a file."""


class Recipe(BaseModel):
    """A pattern or team by name, with the arguments of its `build` that the command sets."""

    model_config = ConfigDict(frozen=True)

    name: str
    build: dict[str, Any] = {}
    out: str = ""
    """File for the answer, absolute; empty for none."""

    @property
    def searches(self) -> bool:
        """Whether it works on documents. Its answer is a report then, and goes to a file without being asked to."""
        return self.name in _FROM_DOCUMENTS

    def graph(self, persistence: Persistence) -> Pattern:
        """Build and compile the graph."""
        builder = find(self.name).load().build(**self.build)
        compiled: Pattern = builder.compile(persistence.checkpointer, store=persistence.store, name=self.name)
        return compiled

    def facts(self) -> dict[str, Any]:
        """Return what is noted with the thread."""
        return {"recipe": self.model_dump()}


def approval_arguments(entry: Entry) -> dict[str, Any]:
    """Return the arguments that make a pattern pause for a person.

    Raises:
        ConfigurationError: It has none.
    """
    names = [name for name in inspect.signature(entry.load().build).parameters if name.startswith("approve_")]
    if not names:
        raise ConfigurationError(f"--approve: {entry.name!r} has nothing to approve; `research` has")
    return dict.fromkeys(names, True)


def recipe_of(facts: Mapping[str, Any]) -> Recipe:
    """Return the recipe that is noted with a thread.

    Raises:
        GraphChanged: There is none, or not of this version: a program runs that thread.
    """
    if "recipe" in facts:
        return Recipe.model_validate(facts["recipe"])
    info = read_facts(facts)
    what = f"by a program, with its graph {info.graph!r}" if info.graph else "by a program"
    raise GraphChanged(
        f"thread {info.thread!r} was started {what}, which this command cannot build; "
        "go on with it there: orchestra.resume(graph, persistence, thread)",
        thread=info.thread,
    )
