"""What the command needs to build a graph again: noted with the thread, so that any later command can go on with it."""

from __future__ import annotations

import inspect
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field

from graphs.registry import Entry, find
from orchestra.thread import read_facts
from state.errors import ConfigurationError, GraphChanged
from state.graph import Pattern
from state.persistence import Persistence

if TYPE_CHECKING:
    from orchestra.teamfile.model import TeamFile

_WITH_CORPUS = ("research", "competitive", "support")
"""Teams that look into `Context.corpus`."""
_FROM_DOCUMENTS = frozenset({"research", "competitive"})
"""Teams that search documents and answer with a report, which goes to a file."""


class Recipe(BaseModel):
    """A pattern or team by name, with the arguments of its `build` that the command sets; or a team by its file."""

    model_config = ConfigDict(frozen=True)

    name: str
    build: dict[str, Any] = {}
    out: str = ""
    """File for the answer, absolute; empty for none."""
    file: str = ""
    """Team file that it is built from, absolute; empty for none."""
    digest: str = ""
    """Of what the team file says."""
    model: str = ""
    """That it was asked to run with, in place of those that the team file and the files in it name; empty for none."""
    unfinished: str = Field(default="", exclude=True)
    """Id of the thread it was noted with, if that is in the middle of its work: it goes on with the same file only."""

    @property
    def searches(self) -> bool:
        """Whether it works on documents. Its answer is a report then, and goes to a file without being asked to."""
        return self.name in _FROM_DOCUMENTS and not self.file

    def graph(self, persistence: Persistence) -> Pattern:
        """Build and compile the graph."""
        if self.file:
            from orchestra.teamfile.noted import build_noted  # here: most threads have no file

            builder = build_noted(self.file, self.digest, thread=self.unfinished, model=self.model)
        else:
            builder = find(self.name).load().build(**self.build)
        compiled: Pattern = builder.compile(persistence.checkpointer, store=persistence.store, name=self.name)
        return compiled

    def with_model(self, model: str | None) -> Recipe:
        """Return the recipe of a run that is given a model, which takes the place of those that team files name."""
        return self.model_copy(update={"model": model}) if model and self.file else self

    def facts(self) -> dict[str, Any]:
        """Return what is noted with the thread."""
        return {"recipe": self.model_dump()}


def recipe_named(name: str, *, corpus: bool = False) -> tuple[Recipe, dict[str, Any]]:
    """Return the recipe of a pattern, a team or a team file, and the fields of the context that the file sets.

    Args:
        name: What people type.
        corpus: Whether documents are given that it has to search.

    Raises:
        ConfigurationError: There is none of that name, or nobody in it searches documents.
    """
    from orchestra.teamfile.names import is_team_file

    if not is_team_file(name):
        entry = find(name)
        if corpus and name not in _WITH_CORPUS:
            raise _no_search(name)
        return Recipe(name=entry.name), {}
    from orchestra.teamfile.context import knobs_of
    from orchestra.teamfile.reading import read_team

    team = read_team(name)
    if corpus and not _may_search(team):
        raise _no_search(team.name)
    return Recipe(name=team.name, file=str(team.source.path), digest=team.source.digest), knobs_of(team)


def _no_search(name: str) -> ConfigurationError:
    return ConfigurationError(
        f"--corpus: {name!r} searches no documents; {', '.join(_WITH_CORPUS)} and team files with corpus.search do"
    )


def _may_search(team: TeamFile) -> bool:
    """Return whether somebody in a team has tools for documents, or tools of which that is not known."""
    from orchestra.teamfile.model import AgentEntry

    sets = {name for name, tools in team.tools.items() if tools.use in ("corpus", "mcp")} | {"corpus"}
    agents = [entry for _, entry in team.entries() if isinstance(entry, AgentEntry)]
    named = [tool for agent in agents for tool in agent.tools]
    known = any(":" in tool or tool.partition(".")[0] in sets for tool in named)
    return known or any(map(_may_search, team.teams.values()))


def approval_arguments(entry: Entry) -> dict[str, Any]:
    """Return the arguments that make a pattern pause for a person.

    Raises:
        ConfigurationError: It has none.
    """
    names = [name for name in inspect.signature(entry.load().build).parameters if name.startswith("approve_")]
    if not names:
        raise ConfigurationError(f"--approve: {entry.name!r} has nothing to approve; `research` has")
    return dict.fromkeys(names, True)


def read_settings(name: str, settings: Iterable[str]) -> dict[str, Any]:
    """Return arguments of a pattern's `build` from `KEY=VALUE` texts. A value that names a file or folder becomes absolute.

    Raises:
        ConfigurationError: It has no such argument, or it is none that a text can be.
    """
    found: dict[str, Any] = {}
    parameters = inspect.signature(find(name).load().build).parameters
    for setting in settings:
        key, equals, text = setting.partition("=")
        if not equals or key not in parameters:
            raise ConfigurationError(f"--set: expected KEY=VALUE with one of {', '.join(parameters)}, got {setting!r}")
        kinds = str(parameters[key].annotation)
        if not any(kind in kinds for kind in ("str", "int", "float", "bool")):
            raise ConfigurationError(f"--set: {key!r} of {name!r} cannot be given as a text; use it from Python")
        found[key] = _value(text, kinds)
    return found


def _value(text: str, kinds: str) -> Any:
    """Return a value of the kind that an argument takes: a number or flag where text is not asked for."""
    if "str" in kinds:
        path = Path(text).expanduser()
        return str(path.resolve()) if "Path" in kinds and path.exists() else text
    try:
        return json.loads(text)
    except ValueError:
        raise ConfigurationError(f"--set: expected a number, true or false, got {text!r}") from None


def how_in_python(thread: str, decision: str = "approve", request: str = "") -> str:
    """Say how a thread that waits is answered in the program that started it.

    Args:
        thread: Id.
        decision: One that it takes.
        request: Id of the request, where several are open.
    """
    more = (', message="..."' if decision == "respond" else "") + (f', request="{request}"' if request else "")
    call = f'orchestra.answer(graph, persistence, {json.dumps(thread, ensure_ascii=False)}, "{decision}"{more})'
    return f"answer it in the program that has the graph: {call}"


def recipe_of(facts: Mapping[str, Any]) -> Recipe:
    """Return the recipe that is noted with a thread.

    Raises:
        GraphChanged: There is none, or not of this version: a program runs that thread.
    """
    info = read_facts(facts)
    if "recipe" in facts:
        goes_on = info.status in ("waiting", "unfinished")
        return Recipe.model_validate({**facts["recipe"], "unfinished": info.thread if goes_on else ""})
    what = f"by a program, with its graph {info.graph!r}" if info.graph else "by a program"
    how = "go on with it there: orchestra.resume(graph, persistence, thread)"
    if info.status == "waiting":
        how = f"{how_in_python(info.thread)}; `orchestra show` tells what it asks and takes"
    raise GraphChanged(
        f"thread {info.thread!r} was started {what}, which this command cannot build; {how}",
        thread=info.thread,
    )
