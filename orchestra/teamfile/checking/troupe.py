"""Troupe: a team as its graph was built, each agent with its part and with the place in the file that it comes from."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from nodes import roles
from nodes.planning import has_fixed_plan
from nodes.policy import Policy
from nodes.spec import Agent, AnyAgent, HumanAgent, name_of
from orchestra.teamfile.building import Building, Members, members_in, members_of
from orchestra.teamfile.model import AgentEntry, PersonEntry, TeamEntry, TeamFile
from orchestra.teamfile.parts import parts_of
from orchestra.teamfile.tasks import FixedPlan
from state.graph import Pattern, PatternBuilder

_DEFAULTS: Mapping[str, Callable[[], Agent]] = {
    "splitter": roles.splitter,
    "router": roles.router,
    "supervisor": roles.supervisor,
    "manager": roles.manager,
    "critics": roles.critic,
    "judge": roles.judge,
    "planner": roles.planner,
    "synthesizer": roles.synthesizer,
}
"""Who plays a part that the file gives to nobody."""


@dataclass(frozen=True, eq=False)
class Player:
    """Somebody who plays a part.

    Args:
        name: By which the graph knows them.
        agent: As the graph was built with them; without tools.
        file: That they are written in.
        keys: Where in it; of one that the pattern brings along, where the team is.
        entry: What the file says about them; None for one that the pattern brings along.
        team: Those in it, of a team.
        stand_ins: Agents that take over when it fails, in order.
    """

    name: str
    agent: AnyAgent
    file: TeamFile
    keys: tuple[str, ...]
    entry: AgentEntry | PersonEntry | TeamEntry | None = None
    team: Troupe | None = None
    stand_ins: tuple[Player, ...] = ()

    @property
    def policy(self) -> Policy | None:
        """Return the limits and failure handling of an agent with a model; None of anybody else."""
        return self.agent.policy if isinstance(self.agent, Agent) else None

    @property
    def asks_model(self) -> bool:
        """Whether its own step is that of a model."""
        return isinstance(self.agent, Agent)

    @property
    def is_person(self) -> bool:
        """Whether it is a person."""
        return isinstance(self.agent, HumanAgent)

    @property
    def references(self) -> tuple[str, ...]:
        """Return the tools that the file gives it, as they are named there."""
        return self.entry.tools if isinstance(self.entry, AgentEntry) else ()


@dataclass(frozen=True, eq=False)
class Troupe:
    """Those who work together.

    Args:
        pattern: How.
        members: What the file says.
        builder: The graph.
        parts: Who plays, by argument of the pattern's `build`; parts that nobody has are not there.
        arguments: The other arguments.
    """

    pattern: str
    members: Members
    builder: PatternBuilder
    parts: Mapping[str, tuple[Player, ...]]
    arguments: Mapping[str, Any]

    @property
    def name(self) -> str:
        """Return what the team is called."""
        return self.members.keys[-1] if self.members.keys else self.members.file.name

    @property
    def has_fixed_plan(self) -> bool:
        """Whether its tasks are written in the file."""
        return any(has_fixed_plan(player.agent) for player in self.parts.get("planner", ()))

    def players(self) -> Iterator[tuple[str, Player]]:
        """Yield everybody with the part they play."""
        for part, players in self.parts.items():
            for player in players:
                yield part, player

    def nested(self) -> Iterator[Troupe]:
        """Yield this team, then those in it."""
        yield self
        for player in self.everybody():
            if player.team is not None:
                yield from player.team.nested()

    def everybody(self) -> list[Player]:
        """Return all who take part here, each once, with those who stand in for them; not who is in a team among them."""
        found: dict[str, Player] = {}

        def add(player: Player) -> None:
            if player.name not in found:
                found[player.name] = player
                for one in player.stand_ins:
                    add(one)

        for _, player in self.players():
            add(player)
        return list(found.values())


def troupe_of(team: TeamFile, *, model: str = "") -> Troupe:
    """Return those who work together in a team. Its graph is built; no tool of it is imported or opened.

    Args:
        team: As it was read.
        model: That its runs are given in place of those of its files.
    """
    members = members_of(team)
    return _troupe(Building(with_tools=False, model=model).build(members), members)


def _troupe(builder: PatternBuilder, members: Members) -> Troupe:
    assert builder.made is not None  # every pattern notes it
    pattern, given = builder.made.pattern, builder.made.arguments
    known = {name_of(one): one for value in given.values() for one in _agents_in(value)}
    parts: dict[str, tuple[Player, ...]] = {}
    for name, part in parts_of(pattern).items():
        if not part.is_part:
            continue
        value = given.get(name)
        if value is None and name in _DEFAULTS:
            value = _DEFAULTS[name]()
        if value is None and name == "aggregator" and given.get("resolve") == "adjudicate":
            value = roles.judge()
        value = known.get(value, value) if isinstance(value, str) else value
        if players := tuple(_player(one, members) for one in _agents_in(value)):
            parts[name] = players
    plain = {name: value for name, value in given.items() if name not in parts}
    return Troupe(pattern, members, builder, parts, plain)


def _agents_in(value: Any) -> list[AnyAgent]:
    many = list(value) if isinstance(value, list | tuple) else [value]
    return [
        one for one in many if one is not None and not isinstance(one, str | int | float | dict) and _can_be_agent(one)
    ]


def _can_be_agent(value: Any) -> bool:
    return isinstance(value, Agent | HumanAgent | Pattern) or callable(value)


def _player(agent: AnyAgent, members: Members) -> Player:
    name = name_of(agent)
    entry, keys = members.agents.get(name), (*members.keys, "agents", name)
    if entry is None or isinstance(agent, FixedPlan):
        return Player(name, agent, members.file, members.keys)
    team = None
    if isinstance(entry, TeamEntry) and isinstance(agent, Pattern):
        inner = members_in(members.file, keys, entry, below=members.below)
        team = _troupe(agent.builder, inner)
    stand_ins: list[AnyAgent] = []
    if isinstance(agent, Agent):
        stand_ins = [one.agent for one in agent.policy.fallbacks() if one.agent is not None]
    elif isinstance(agent, HumanAgent) and agent.backup is not None:
        stand_ins = [agent.backup]
    return Player(name, agent, members.file, keys, entry, team, tuple(_player(one, members) for one in stand_ins))
