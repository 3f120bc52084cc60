"""The outline of a team file: who is in it, with which part, and how they work together. Imports nothing that it names."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from orchestra.teamfile.building import Members, members_in, members_of, prompt_of, stand_in_names
from orchestra.teamfile.model import PersonEntry, TeamEntry, TeamFile
from orchestra.teamfile.parts import cast_agents
from orchestra.teamfile.tasks import dependencies


@dataclass(frozen=True)
class Row:
    """An agent, a person or a team.

    Args:
        name: Its name.
        depth: How many teams it is inside of.
        part: What it plays.
        purpose: What it is for.
        tools: What it names its tools by.
        model: Its own, if it has one.
    """

    name: str
    depth: int
    part: str
    purpose: str
    tools: str = ""
    model: str = ""


@dataclass(frozen=True)
class Outline:
    """What a team file says, in short.

    Args:
        lines: Of the whole team.
        agents: Everybody, those of teams below their team.
        tasks: Name, agent, and what it waits for.
    """

    lines: list[str]
    agents: list[Row]
    tasks: list[tuple[str, str, str]]


def outline(team: TeamFile) -> Outline:
    """Return the outline of a team."""
    lines = [f"Pattern: {_pattern(members_of(team))}"]
    if team.model is not None:
        lines.append(f"Model: {team.model}")
    if team.budget is not None:
        limits = team.budget.model_dump(exclude_none=True)
        lines.append("Budget: " + ", ".join(f"{value:g} {name.replace('_', ' ')}" for name, value in limits.items()))
    if team.options:
        lines.append("Options: " + ", ".join(f"{name}: {value}" for name, value in team.options.items()))
    if team.approvals:
        lines.append("A person approves: " + ", ".join(team.approvals))
    after = dependencies(team.tasks)
    tasks = [(name, one.agent, ", ".join(after[name])) for name, one in team.tasks.items()]
    return Outline(lines, list(_rows(members_of(team), 0)), tasks)


def _rows(members: Members, depth: int) -> Iterator[Row]:
    played = _played(members)
    for name, entry in members.agents.items():
        part = played.get(name, "")
        if isinstance(entry, TeamEntry):
            inner = members_in(members.file, (*members.keys, "agents", name), entry)
            what = entry.description or (inner.file.description if not inner.keys else "")
            yield Row(name, depth, part, what or f"a team: {_pattern(inner)}")
            yield from _rows(inner, depth + 1)
        elif isinstance(entry, PersonEntry):
            yield Row(name, depth, part, entry.description, model="a person")
        else:
            purpose = entry.description or entry.goal or prompt_of(entry).split("\n")[0]
            yield Row(name, depth, part, purpose, ", ".join(entry.tools), entry.model or "")


def _played(members: Members) -> Mapping[str, str]:
    """Return the part of everybody."""
    spare = {
        other: f"stands in for {name}" for name, entry in members.agents.items() for other in stand_in_names(entry)
    }
    if members.tasks:
        doing = {task.agent for task in members.tasks.values()}
        return {**spare, **{name: "does tasks" for name in members.agents if name in doing}}
    given = cast_agents(members.pattern, members.players(), members.options, list(members.agents)).given
    parts: dict[str, str] = {}
    for part, names in given.items():
        for name in names if isinstance(names, list) else [names]:
            parts[name] = ", ".join(filter(None, [parts.get(name, ""), part if part != "agents" else ""]))
    return {**spare, **parts}


def _pattern(members: Members) -> str:
    return f"{members.pattern}, with the tasks of the file" if members.tasks else members.pattern
