"""Using: the cheapest run in which every agent that has tools uses one once. No model is asked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from nodes.spec import Agent
from orchestra.teamfile.checking.costs import Estimating
from orchestra.teamfile.checking.passes import Passes, passes_of
from orchestra.teamfile.checking.troupe import Player, Troupe

CALLS_WITH_A_TOOL = 2
"""Model calls of a step with one tool call: one asks for the tool, one answers from what it returned."""

_ASKED: Mapping[str, tuple[str, int, int]] = {
    "supervisor": ("supervisor", 1, 0),
    "group_chat": ("moderator", 0, 1),
    "magentic": ("manager", 0, 1),
    "hierarchical": ("manager", 0, 1),
    "plan_execute": ("synthesizer", 1, 0),
    "adaptive": ("synthesizer", 1, 0),
}
"""Who is asked more often when more steps are taken: once for all of them, and for each of them."""


@dataclass
class Using:
    """Counts the model calls of the cheapest run in which tools are used.

    Args:
        estimating: What a step takes without tools.
    """

    estimating: Estimating
    _counted: dict[int, float] = field(default_factory=dict)

    def calls(self, troupe: Troupe) -> float:
        """Return the model calls of a run in which each agent that has tools uses one once."""
        if id(troupe) not in self._counted:
            self._counted[id(troupe)] = self._calls(troupe)
        return self._counted[id(troupe)]

    def _calls(self, troupe: Troupe) -> float:
        taken, certain, chosen, more = 0.0, dict[str, Player](), dict[str, Player](), 0
        passes = passes_of(troupe, self.estimating.knobs)
        for one in passes:
            if _is_certain(one):
                taken += sum(self._plain(player, troupe) for player in one.players) * one.least
                certain |= {player.name: player for player in one.players}
        for one in passes:
            if one.each or _is_certain(one):
                continue
            busy = {**certain, **chosen}
            free = [each for each in one.players if self._more(each, troupe) and each.name not in busy]
            rest = max(one.least - len(free), 0)
            chosen |= {player.name: player for player in free}
            taken += sum(self._plain(player, troupe) for player in free)
            taken += rest * min(self._plain(player, troupe) for player in one.players)
            more += len(free) + rest - one.least
        taken += self._asked(troupe, more)
        return taken + sum(self._more(player, troupe) for player in {**certain, **chosen}.values())

    def _plain(self, player: Player, troupe: Troupe) -> float:
        """Return the model calls of a step without tools."""
        return self.estimating.step(player, troupe).least.model_calls

    def _more(self, player: Player, troupe: Troupe) -> float:
        """Return the model calls that tools add to a step."""
        if player.team is not None:
            return self.calls(player.team) - self._plain(player, troupe)
        has = isinstance(player.agent, Agent) and bool(player.references) and self._plain(player, troupe)
        return CALLS_WITH_A_TOOL - 1 if has else 0

    def _asked(self, troupe: Troupe, more: int) -> float:
        """Return the model calls of who is asked because of more steps."""
        part, once, each = _ASKED.get(troupe.pattern, ("", 0, 0))
        if not more or troupe.has_fixed_plan or part not in troupe.parts:
            return 0
        return (once + each * more) * self._plain(troupe.parts[part][0], troupe)


def _is_certain(passes: Passes) -> bool:
    """Return whether all of them take a step in every run."""
    return bool(passes.least) and (passes.each or len(passes.players) == 1)


def users_of(troupe: Troupe) -> list[str]:
    """Return the agents that have tools, by name, those of teams in the team too; not who only stands in."""
    players = (player for each in troupe.nested() for _, player in each.players())
    return list(dict.fromkeys(player.name for player in players if player.references))
