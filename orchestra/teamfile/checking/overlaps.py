"""Overlaps: agents that describe the same role, so that whoever chooses between them has nothing to choose by."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

from nodes.matching import match_agents
from nodes.spec import Agent
from orchestra.teamfile.checking.finding import Finding, finding
from orchestra.teamfile.checking.troupe import Player, Troupe
from orchestra.teamfile.model import AgentEntry

CODE = "overlap"
ALIKE = 0.75
"""Share of what two agents say of themselves that they have in common, by weight of the words, from which they overlap."""

CHOSEN_BY_DESCRIPTION = {
    "router": "specialists",
    "supervisor": "workers",
    "hierarchical": "workers",
    "plan_execute": "workers",
    "magentic": "workers",
    "adaptive": "workers",
    "handoff": "agents",
}
"""Parts whose players somebody chooses from by what they say they are for."""

MANY_VIEWS = ("parallel", "debate", "group_chat")
"""Patterns in which the same agent twice can be meant: several views of one task."""


def at_overlaps(troupe: Troupe) -> Iterator[Finding]:
    """Yield agents of the same role or nearly the same name, and those that nobody can choose by what they are for."""
    players = [one for one in troupe.everybody() if isinstance(one.entry, AgentEntry)]
    for first, second in combinations(players, 2):
        if _stands_in(first, second):
            continue
        if first.name.casefold().strip() == second.name.casefold().strip():
            what = f"{first.name!r} and {second.name!r} differ in nothing but case"
            remedy = "a model that writes the name in another way means neither: give them different names"
            yield finding(CODE, "warning", second.file, second.keys, what, remedy)
        elif (alike := likeness(first, second)) >= ALIKE:
            meant = troupe.pattern in MANY_VIEWS
            tools = " and have the same tools" if set(first.references) == set(second.references) else ""
            what = f"{first.name} and {second.name} describe the same role ({alike:.0%} alike){tools}"
            remedy = "say what tells them apart, or make them one agent"
            yield finding(CODE, "note" if meant else "warning", second.file, second.keys, what, remedy)
    yield from _at_descriptions(troupe)


def _stands_in(first: Player, second: Player) -> bool:
    return first in second.stand_ins or second in first.stand_ins or _named(first, second) or _named(second, first)


def _named(first: Player, second: Player) -> bool:
    return second.name in [one.name for one in first.stand_ins]


def likeness(first: Player, second: Player) -> float:
    """Return how alike two agents describe themselves, 0 to 1, by the scoring that routers shortlist agents with."""
    return round((_share(first, second) + _share(second, first)) / 2, 4)


def _share(first: Player, second: Player) -> float:
    agents = [_described(first, "first"), _described(second, "second")]
    scores = {match.agent: match.score for match in match_agents(_said(first), agents)}
    return min(1.0, scores["second"] / scores["first"]) if scores["first"] else 0.0


def _described(player: Player, name: str) -> Agent:
    return Agent(name, _said(player))


def _said(player: Player) -> str:
    entry = player.entry
    assert isinstance(entry, AgentEntry)
    parts = (entry.description, entry.role, entry.goal, entry.prompt or entry.backstory)
    return " ".join(" ".join(part for part in parts if part).split())


def _at_descriptions(troupe: Troupe) -> Iterator[Finding]:
    part = CHOSEN_BY_DESCRIPTION.get(troupe.pattern)
    players = troupe.parts.get(part, ()) if part and not troupe.has_fixed_plan else ()
    for player in players:
        bare = getattr(player.agent, "description", "") if player.team is None else player.entry
        said = bare if isinstance(bare, str) else getattr(bare, "description", "") or (player.team and _about(player))
        if not said and len(players) > 1:
            what = f"{player.name} says nothing of what it is for, and is chosen by that"
            yield finding("no-description", "warning", player.file, player.keys, what, "give it a `description:`")


def _about(player: Player) -> str:
    assert player.team is not None
    return player.team.members.file.description if not player.team.members.keys else ""
