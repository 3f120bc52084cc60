"""Write a team that was built in Python as a file. What no file can hold is refused, all of it at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from langgraph.graph import StateGraph
from pydantic import ValidationError

from orchestra.teamfile.entries import Entries, Where, as_data, made_of
from orchestra.teamfile.model import AgentEntry, TeamFile
from orchestra.teamfile.names import SUFFIXES
from orchestra.teamfile.options import is_knob
from orchestra.teamfile.parts import ONLY_PYTHON, cast_agents, parts_of
from orchestra.teamfile.reading import parse_team
from orchestra.teamfile.tasks import FixedPlan, LastResults
from orchestra.teamfile.text import team_text
from orchestra.teamfile.tools import is_installed, lies_in
from state.errors import ConfigurationError
from state.made import Made


def save_team(graph: Any, path: str | Path, *, name: str = "", description: str = "") -> Path:
    """Write a team as a file that loads to an equal graph, and return the file's path.

    Tools are written by the place they are imported from; a Pydantic model that an agent answers with, as its JSON schema.

    Args:
        graph: A pattern that was built of agents, compiled or not, or a `Team`.
        path: Of the file; by its ending it is YAML or JSON. One that is there is replaced.
        name: What the team is called; the graph's name by default.
        description: What it is for.

    Raises:
        ConfigurationError: Lists what no file can hold: functions, model objects, agents of other kinds.
    """
    target = Path(path).expanduser()
    if target.suffix.lower() not in SUFFIXES:
        raise ConfigurationError(f"save_team: expected a name that ends in {', '.join(SUFFIXES)}, got {str(path)!r}")
    data = data_of(graph, target, name=name, description=description)
    text = team_text(data, as_json=target.suffix.lower() == ".json")
    parse_team(text, path=target)  # what is written can be read, or nothing is written
    target.write_text(text, encoding="utf-8")
    return target


def data_of(graph: Any, target: Path, *, name: str = "", description: str = "") -> dict[str, Any]:
    """Return what a team's file says, as plain data.

    Args:
        graph: A pattern that was built of agents, or a `Team`.
        target: The file that it is for.
        name: What the team is called.
        description: What it is for.
    """
    file = getattr(graph, "file", None)
    made = made_of(graph)
    file = file if isinstance(file, TeamFile) else made.source if made is not None else None
    told = {"name": name or (file.name if file else _name_of(graph, made)), "description": description}
    told = {key: value for key, value in told.items() if value}
    if file is not None:
        if problems := _left_behind(file, target):
            raise _refused(problems)
        return {**_moved(file, target), **told}
    if made is None:
        remedy = "give it a pattern's build(...), or that compiled"
        raise ConfigurationError(f"save_team: expected a pattern that was built of agents, got {graph!r}; {remedy}")
    writing = _Writing()
    data = {**told, **writing.members(made, ())}
    if writing.problems:
        raise _refused(writing.problems)
    try:
        TeamFile.model_validate(data)
    except ValidationError as error:
        said = "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors())
        raise ConfigurationError(f"save_team: a file cannot hold it: {said}") from None
    return data


def _refused(problems: Sequence[str]) -> ConfigurationError:
    what = "\n".join(f"- {problem}" for problem in problems)
    return ConfigurationError(f"save_team: this cannot be written in a file:\n{what}")


def _name_of(graph: Any, made: Made | None) -> str:
    named = "" if isinstance(graph, StateGraph) or not hasattr(graph, "get_name") else str(graph.get_name())
    return named if named not in ("", "LangGraph") else made.pattern if made is not None else "team"


def _moved(file: TeamFile, target: Path) -> dict[str, Any]:
    """Return what a file says, with its relative paths as they are from the folder of another file."""
    data: dict[str, Any] = file.model_dump(mode="json", exclude_unset=True)
    folder, other = file.source.folder.resolve(), target.absolute().parent.resolve()
    if folder == other:
        return data
    for settings in data.get("tools", {}).values():
        for key in ("folder", "database", "cwd"):
            if settings.get(key):
                settings[key] = _from(other, folder / settings[key])
    if is_knob("corpus", file.pattern) and data.get("options", {}).get("corpus"):
        data["options"]["corpus"] = _from(other, folder / data["options"]["corpus"])
    for keys in file.teams:
        entry: Any = data
        for key in keys:
            entry = entry[key]
        entry["team"] = _from(other, folder / entry["team"])
    return data


def _left_behind(file: TeamFile, target: Path) -> list[str]:
    """Return the tools whose modules lie beside a file, and cannot be found from the folder of another one."""
    folder, other = file.source.folder.resolve(), target.absolute().parent.resolve()
    if folder == other:
        return []
    problems = []
    for keys, entry in file.entries():
        for tool in entry.tools if isinstance(entry, AgentEntry) else ():
            module, colon, _ = tool.partition(":")
            if colon and lies_in(folder, module) and not lies_in(other, module) and not is_installed(module):
                where = ".".join(key for key in keys if key != "agents")
                remedy = f"copy it to {str(other)!r} first, or install it"
                problems.append(f"{where}.tools: {tool!r} is in a module that lies in {str(folder)!r}; {remedy}")
    return problems


def _from(folder: Path, path: Path) -> str:
    import os

    return Path(os.path.relpath(path.resolve(), folder)).as_posix()


class _Writing:
    """One team on its way to plain data, and what of it cannot be written."""

    def __init__(self) -> None:
        self.problems: list[str] = []

    def members(self, made: Made, where: Where) -> dict[str, Any]:
        """Return pattern, agents, tasks and options of what was built."""
        parts, given = parts_of(made.pattern), dict(made.arguments)
        plan = given.pop("planner") if isinstance(given.get("planner"), FixedPlan) else None
        if isinstance(given.get("synthesizer"), LastResults):
            given.pop("synthesizer")
        pattern = "sequential" if plan is not None and set(given) == {"workers"} else made.pattern
        people = Entries(where, self.members, self.add)
        played, plain = dict[str, Any](), dict[str, Any]()
        for name, value in given.items():
            if value is None:
                continue
            if parts[name].is_part:
                played[name] = people.names(parts[name], value)
            elif (written := self._plain(name, value, where)) is not None:
                plain[name] = written
        if not people.entries:
            self.add(where, "it has default agents only; build it with agents of your own")
        data: dict[str, Any] = {"pattern": pattern, "agents": people.entries}
        if plan is not None:
            data["tasks"] = {
                name: task.model_dump(mode="json", exclude_unset=True) for name, task in plan.tasks.items()
            }
            played.pop("workers", None)
        options = {**self._said(pattern, played, people, has_plan=plan is not None), **plain}
        return {**data, "options": options} if options else data

    def add(self, where: Where, text: str) -> None:
        """Note what cannot be written."""
        self.problems.append(f"{'.'.join(where)}: {text}" if where else text)

    def _said(self, pattern: str, played: Mapping[str, Any], people: Entries, *, has_plan: bool) -> dict[str, Any]:
        """Return which parts a file has to name, since it would be read in another way without that."""
        if has_plan:
            return dict(played)
        said: dict[str, Any] = {}
        for _ in range(len(played) + 1):
            players = people.players(said)
            read = cast_agents(pattern, players, said, list(people.entries))
            wrong = [name for name in played if read.given.get(name) != played[name]]
            more = [name for name in read.given if name not in played and read.given[name]]
            if not wrong and not more and not read.idle:
                return said
            if not wrong:
                return dict(played)
            said[wrong[0]] = played[wrong[0]]
        return dict(played)

    def _plain(self, name: str, value: Any, where: Where) -> Any:
        """Return an argument of `build` that is no agent."""
        if name == "carry":
            return (
                value.__name__ if getattr(value, "__module__", "") == "graphs.handoff" else self._refused(name, where)
            )
        if name in ONLY_PYTHON or name == "until" or callable(value):
            return self._refused(name, where)
        return as_data(value)

    def _refused(self, name: str, where: Where) -> None:
        self.add((*where, name), "it is a function, or made of functions; give it from Python")
