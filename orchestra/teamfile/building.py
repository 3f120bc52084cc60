"""Build the graph of a team file: its agents, its tools, and the pattern that joins them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from graphs.registry import find
from nodes.availability import Hours
from nodes.policy import Fallback, Policy
from nodes.spec import Agent, AnyAgent, HumanAgent
from orchestra.teamfile.context import knobs_of
from orchestra.teamfile.listed import Names, unmet_names
from orchestra.teamfile.model import AgentEntry, PersonEntry, PolicyEntry, TaskEntry, TeamEntry, TeamFile
from orchestra.teamfile.options import read_option
from orchestra.teamfile.parts import cast_agents, parts_of
from orchestra.teamfile.rights import called
from orchestra.teamfile.tasks import stand_ins
from orchestra.teamfile.tools import Tool, Toolbox, name_of_tool
from state.errors import ConfigurationError, DocumentError, TeamFileError
from state.graph import PatternBuilder
from tools.mcp.failure import ToolServerError

PLANNED = ("sequential", "plan_execute")
"""Patterns that tasks known beforehand go with."""


@dataclass(frozen=True)
class Members:
    """Who works together, and how: a whole file, or a team in the place of an agent.

    Args:
        file: That it is written in.
        keys: Where in it.
        pattern: How they work together.
        agents: By name.
        tasks: By name.
        options: Of the pattern.
        below: Whether it is in a file that another file names.
    """

    file: TeamFile
    keys: tuple[str, ...]
    pattern: str
    agents: Mapping[str, AgentEntry | PersonEntry | TeamEntry]
    tasks: Mapping[str, TaskEntry]
    options: Mapping[str, Any]
    below: bool = False

    def players(self) -> list[str]:
        """Return who takes part, in order: not those who only stand in for others."""
        spare = {name for entry in self.agents.values() for name in stand_in_names(entry)}
        named = {name for value in self.options.values() for name in _names_in(value)}
        busy = named | {task.agent for task in self.tasks.values()}
        return [name for name in self.agents if name not in spare or name in busy]


def _names_in(value: Any) -> list[str]:
    return (
        [value]
        if isinstance(value, str)
        else [one for one in value if isinstance(one, str)]
        if isinstance(value, list)
        else []
    )


def stand_in_names(entry: AgentEntry | PersonEntry | TeamEntry) -> list[str]:
    """Return who stands in for an agent or a person, by name; models too."""
    if isinstance(entry, PersonEntry):
        return [entry.backup] if entry.backup is not None else []
    if isinstance(entry, AgentEntry) and entry.policy is not None:
        return list(entry.policy.fallback)
    return []


def members_of(file: TeamFile) -> Members:
    """Return who works together in a file."""
    return Members(file, (), file.pattern, file.agents, file.tasks, file.options)


def members_in(file: TeamFile, keys: tuple[str, ...], entry: TeamEntry, *, below: bool = False) -> Members:
    """Return who works together in a team that is in the place of an agent."""
    if entry.team is not None:
        return replace(members_of(file.teams[keys]), below=True)
    return Members(file, keys, entry.pattern or "sequential", entry.agents, entry.tasks, entry.options, below=below)


def build_team(team: TeamFile, *, model: str = "") -> PatternBuilder:
    """Return the uncompiled graph of a team. Imports the modules of its tools.

    Args:
        team: As it was read.
        model: That its runs are given in place of those of its files; empty where they are given none.

    Raises:
        ConfigurationError: A tool cannot be had, or nobody has a tool that approvals or a policy list.
    """
    builder = Building(model=model).build(members_of(team))
    if builder.made is not None:
        builder.made = replace(builder.made, source=team)
    builder.knobs = knobs_of(team)
    return builder


class Building:
    """Makes the graph of a team and of those in it.

    Args:
        with_tools: Whether to make the tools; without them nothing is imported, opened or started.
        model: That its runs are given; agents that name none take it then, and not that of their file.
    """

    def __init__(self, *, with_tools: bool = True, model: str = "") -> None:
        self.with_tools, self.model = with_tools, model
        self.boxes: dict[int, Toolbox] = {}

    def build(self, members: Members, approvals: Sequence[str] = ()) -> PatternBuilder:
        """Return the uncompiled graph of those who work together.

        Args:
            members: They.
            approvals: What people around them have to agree to.
        """
        asked = (*approvals, *(members.file.approvals if not members.keys else ()))
        agents = self._agents(members, asked)
        pattern, arguments = self._arguments(members, agents)
        builder: PatternBuilder = find(pattern).load().build(**arguments)
        if self.with_tools and not members.keys:
            self._check_lists(members.file)
        return builder

    def _check_lists(self, file: TeamFile) -> None:
        """Refuse names of tools that nobody has in approvals and policies, which shows only when the tools are there."""
        found = [(file.source.value(*one.keys), str(one)) for one in unmet_names(file, self._names)]
        if found:
            problems = [(place.line, place.column, text) for place, text in sorted(found)]
            raise TeamFileError(str(file.source.path or "team"), problems)

    def _names(self, reference: str, file: TeamFile) -> Names:
        return Names([name_of_tool(tool) for tool in self._box(file).tools_of(reference)], is_all=True)

    def _box(self, file: TeamFile) -> Toolbox:
        return self.boxes.setdefault(id(file), Toolbox(file.tools, file.source.folder))

    def _arguments(self, members: Members, agents: Mapping[str, AnyAgent]) -> tuple[str, dict[str, Any]]:
        """Return the pattern and the arguments of its `build`."""
        parts = parts_of(members.pattern)
        options = {name: value for name, value in members.options.items() if name in parts}
        plain = {name: read_option(parts[name], options[name]) for name in options if not parts[name].is_part}
        players = members.players()
        if members.tasks and members.pattern == "sequential":
            plan, result = stand_ins(members.tasks, list(agents))
            workers = [agents[name] for name in players]
            return "plan_execute", {"workers": workers, "planner": plan, "synthesizer": result}
        casting = cast_agents(members.pattern, players, options, list(agents))
        arguments = {name: _played(parts[name], value, casting.given, agents) for name, value in casting.given.items()}
        if members.tasks:
            plan, result = stand_ins(members.tasks, list(agents))
            arguments = {"synthesizer": result, **arguments, "planner": plan}
        return members.pattern, {**plain, **arguments}

    def _agents(self, members: Members, approvals: Sequence[str]) -> dict[str, AnyAgent]:
        """Return the agents by name; those that stand in for others are made before them."""
        made: dict[str, AnyAgent] = {}
        making: list[str] = []

        def make(name: str) -> AnyAgent:
            if name in made:
                return made[name]
            if name in making:
                way = " -> ".join([*making[making.index(name) :], name])
                raise ConfigurationError(f"agents stand in for each other in a circle: {way}")
            making.append(name)
            made[name] = self._agent(members, name, approvals, make)
            making.pop()
            return made[name]

        return {name: make(name) for name in members.agents}

    def _agent(
        self, members: Members, name: str, approvals: Sequence[str], make: Callable[[str], AnyAgent]
    ) -> AnyAgent:
        entry = members.agents[name]
        if isinstance(entry, TeamEntry):
            inner = members_in(members.file, (*members.keys, "agents", name), entry, below=members.below)
            builder = self.build(inner, approvals)
            builder.description = entry.description or (inner.file.description if not inner.keys else "")
            return builder.compile(name=name)
        if isinstance(entry, PersonEntry):
            hours = Hours(**entry.available.model_dump()) if entry.available is not None else None
            backup = make(entry.backup) if entry.backup is not None else None
            return HumanAgent(name, entry.description, entry.prompt, available=hours, due=entry.due, backup=backup)
        tools = self._tools(members, (*members.keys, "agents", name, "tools"), entry)
        return Agent(
            name,
            entry.description or entry.goal or entry.role or "",
            prompt_of(entry),
            tools=[tool for given in tools.values() for tool in given],
            model=entry.model if entry.model is not None else self._model_of(members),
            response_format=_shape(name, entry.response_format),
            policy=self._policy(members, entry, tools, approvals, make),
            version=entry.version,
        )

    def _model_of(self, members: Members) -> str | None:
        """Return the model of agents that name none: that of a file within another, else the run's."""
        return members.file.model if members.below and not self.model else None

    def _tools(self, members: Members, keys: tuple[str, ...], entry: AgentEntry) -> dict[str, tuple[Tool, ...]]:
        """Return an agent's tools, by what it names them."""
        if not self.with_tools:
            return {}
        source = members.file.source
        box = self._box(members.file)
        tools: dict[str, tuple[Tool, ...]] = {}
        for index, reference in enumerate(entry.tools):
            try:
                tools[reference] = box.tools_of(reference)
            except (ConfigurationError, DocumentError, ToolServerError) as error:
                name = reference.partition(".")[0]
                place = source.key("tools", name) if name in members.file.tools else source.value(*keys, index)
                raise TeamFileError(str(source.path), [(place.line, place.column, str(error))]) from error
        return tools

    def _policy(
        self,
        members: Members,
        entry: AgentEntry,
        tools: Mapping[str, Sequence[Tool]],
        approvals: Sequence[str],
        make: Callable[[str], AnyAgent],
    ) -> Policy:
        settings, toolsets = {**_settings(members.file.policy), **_settings(entry.policy)}, members.file.tools
        for key in ("allow", "deny", "approve"):
            if key in settings:
                meant = called(settings[key], tools, toolsets)
                settings[key] = tuple(tool for name, found in meant.items() for tool in found or [name])
        asked = called(approvals, tools, toolsets)
        if names := list(dict.fromkeys(tool for found in asked.values() for tool in found)):
            settings["approve"] = tuple(dict.fromkeys([*settings.get("approve", ()), *names]))
        if "fallback" in settings:
            settings["fallback"] = tuple(
                Fallback(agent=make(name)) if name in members.agents else Fallback(model=name)
                for name in settings["fallback"]
            )
        return Policy(**settings)


def _played(part: Any, value: Any, given: Mapping[str, Any], agents: Mapping[str, AnyAgent]) -> Any:
    """Return what is given to an argument of `build`: agents by their names, and words that are no agents."""
    if isinstance(value, list):
        return [agents[name] for name in value]
    playing = {name for names in given.values() if isinstance(names, list) for name in names}
    if part.by_name and value in playing:
        return value
    return agents.get(value, value)


def _settings(policy: PolicyEntry | None) -> dict[str, Any]:
    """Return those fields of a policy that the file has."""
    if policy is None:
        return {}
    return {name: getattr(policy, name) for name in policy.model_fields_set if getattr(policy, name) is not None}


def prompt_of(entry: AgentEntry) -> str:
    """Return the system prompt of an agent."""
    if entry.prompt is not None:
        return entry.prompt
    parts = [
        f"You are {entry.role}." if entry.role else "",
        entry.backstory or "",
        f"Your goal: {entry.goal}" if entry.goal else "",
    ]
    return "\n".join(part for part in parts if part)


def _shape(name: str, schema: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Return a JSON schema with the title that models are shown."""
    if schema is None:
        return None
    return {"title": f"{name}_answer".replace(" ", "_"), **schema}
