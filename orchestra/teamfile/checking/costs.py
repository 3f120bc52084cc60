"""Costs: what the cheapest and the dearest run would take, from the structure of a team. No model is asked.

What a call takes cannot be known beforehand. `Assumptions` says what is assumed, and is shown beside the figures.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from nodes.models import describe_model
from nodes.policy import Policy
from nodes.prices import price
from nodes.spec import Agent
from orchestra.teamfile.checking.passes import passes_of
from orchestra.teamfile.checking.troupe import Player, Troupe
from state.context import Context

LIMITS = ("model_calls", "tokens", "usd")

_CHARACTERS = 4
"""Of a prompt, for one token."""


@dataclass(frozen=True)
class Assumptions:
    """What one model call is taken to need, in tokens, besides the agent's own prompt."""

    least_input: int = 4
    """A short task."""
    most_input: int = 8_000
    """A long task, what others made, and what tools returned."""
    least_output: int = 2
    most_output: int = 2_000
    tool: int = 200
    """Description of one tool."""

    def __str__(self) -> str:
        return (
            f"a call takes its prompt and {self.least_input}..{self.most_input:,} tokens in, "
            f"{self.least_output}..{self.most_output:,} out, {self.tool} in for each tool"
        )


@dataclass(frozen=True)
class Cost:
    """What something takes at most or at least."""

    model_calls: float = 0
    tokens: float = 0
    usd: float = 0

    def __add__(self, other: Cost) -> Cost:
        return _joined(self, other, lambda one, two: one + two)

    def times(self, count: float) -> Cost:
        """Return what it takes that often."""
        return Cost(*(0 if not count else value * count for value in asdict(self).values()))


def _joined(one: Cost, other: Cost, how: Callable[[float, float], float]) -> Cost:
    return Cost(*(how(getattr(one, name), getattr(other, name)) for name in LIMITS))


def _least(costs: Iterable[Cost]) -> Cost:
    """Return the least of each amount."""
    return _folded(costs, min)


def _most(costs: Iterable[Cost]) -> Cost:
    """Return the most of each amount."""
    return _folded(costs, max)


def _folded(costs: Iterable[Cost], how: Callable[[float, float], float]) -> Cost:
    first, *others = costs
    for other in others:
        first = _joined(first, other, how)
    return first


@dataclass(frozen=True)
class Range:
    """What something takes: at least, at most, and the models whose price is not known, which count as nothing."""

    least: Cost = Cost()
    most: Cost = Cost()
    unpriced: frozenset[str] = frozenset()

    def __add__(self, other: Range) -> Range:
        return Range(self.least + other.least, self.most + other.most, self.unpriced | other.unpriced)

    def times(self, least: float, most: float) -> Range:
        """Return what it takes between `least` and `most` times."""
        return Range(self.least.times(least), self.most.times(most), self.unpriced if most else frozenset())


@dataclass
class Line:
    """What one agent takes in a run: steps, and what they cost."""

    name: str
    depth: int
    model: str
    steps: tuple[float, float]
    cost: Range


@dataclass
class Estimate:
    """What a run takes.

    Args:
        total: Of the whole team.
        lines: Of each agent, those of a team below it.
        assumed: What was assumed.
    """

    total: Range
    lines: list[Line] = field(default_factory=list)
    assumed: Assumptions = Assumptions()

    def to_json(self) -> dict[str, Any]:
        """Return it as plain JSON; what has no bound is null."""
        return {
            **_range_json(self.total),
            "agents": [
                {
                    "agent": line.name,
                    "depth": line.depth,
                    "model": line.model,
                    "steps": [_plain(each) for each in line.steps],
                    **_range_json(line.cost),
                }
                for line in self.lines
            ],
            "assumed": asdict(self.assumed),
        }


def _range_json(cost: Range) -> dict[str, Any]:
    told: dict[str, Any] = {}
    for name, one in (("cheapest", cost.least), ("dearest", cost.most)):
        told[name] = {limit: _plain(getattr(one, limit)) for limit in LIMITS}
        if cost.unpriced:
            told[name]["usd"] = None
    return {**told, "unpriced": sorted(cost.unpriced)}


def _plain(value: float) -> float | None:
    return None if math.isinf(value) else round(value, 6) if value % 1 else int(value)


class Estimating:
    """Works out what the runs of a team take.

    Args:
        knobs: Of the run.
        tools: How many tools each agent has, by the keys of its entry.
        assumed: What one model call takes.
    """

    def __init__(self, knobs: Context, tools: Mapping[tuple[str, ...], int], assumed: Assumptions) -> None:
        self.knobs, self.tools, self.assumed = knobs, tools, assumed

    def run(self, troupe: Troupe) -> Estimate:
        """Return what a run of a team takes."""
        lines = self._lines(troupe, (1, 1), 0)
        return Estimate(self.troupe(troupe), lines, self.assumed)

    def troupe(self, troupe: Troupe) -> Range:
        """Return what one run of those who work together takes."""
        total = Range()
        for passes in passes_of(troupe, self.knobs):
            steps = [self.step(player, troupe) for player in passes.players]
            if passes.each:
                for step in steps:
                    total += step.times(passes.least, passes.most)
                continue
            unpriced = frozenset[str]().union(*(step.unpriced for step in steps))
            least, most = _least(step.least for step in steps), _most(step.most for step in steps)
            total += Range(least, most, unpriced).times(passes.least, passes.most)
        return total

    def step(self, player: Player, troupe: Troupe) -> Range:
        """Return what one step takes, with those who stand in when it fails."""
        own = self._own(player, troupe)
        for other in player.stand_ins:
            own += self.step(other, troupe).times(0, 1)
        policy = player.policy
        if policy is not None and policy.on_failure == "escalate":
            own = own.times(1, 1 + self.knobs.max_rounds)
        return own

    def _own(self, player: Player, troupe: Troupe) -> Range:
        if player.team is not None:
            return self.troupe(player.team)
        if not isinstance(player.agent, Agent):
            return Range()
        least, most = calls_of_step(player.agent.policy, has_tools=self._tools(player, troupe) > 0)
        whole = self._call(player, troupe).times(least, most)
        caps = player.agent.policy.budget
        capped = {name: min(getattr(whole.most, name), _or_none(getattr(caps, name))) for name in LIMITS}
        return Range(whole.least, Cost(**capped), whole.unpriced)

    def _tools(self, player: Player, troupe: Troupe) -> int:
        moves = len(troupe.parts["agents"]) - 1 if troupe.pattern == "handoff" else 0
        return self.tools.get(player.keys, 0) + moves

    def _call(self, player: Player, troupe: Troupe) -> Range:
        """Return what one model call of an agent takes."""
        agent = player.agent
        assert isinstance(agent, Agent)
        prompt = len(agent.prompt) // _CHARACTERS
        fits = self.assumed
        least = (prompt + fits.least_input, fits.least_output)
        most = (prompt + fits.most_input + fits.tool * self._tools(player, troupe), fits.most_output)
        models = [model_of(agent, self.knobs), *(one.model for one in agent.policy.fallbacks() if one.model)]
        prices = [(_price(one, least), _price(one, most)) for one in models]
        unpriced = frozenset(describe_model(one) if one else "the run's" for one in models if _price(one, most) is None)
        dear = max((high for _, high in prices if high is not None), default=0.0)
        return Range(Cost(1, sum(least), prices[0][0] or 0.0), Cost(1, sum(most), dear), unpriced)

    def _lines(self, troupe: Troupe, outer: tuple[float, float], depth: int) -> list[Line]:
        steps: dict[str, tuple[float, float]] = {}
        for passes in passes_of(troupe, self.knobs):
            alone = passes.each or len(passes.players) == 1
            for player in passes.players:
                least, most = steps.get(player.name, (0, 0))
                steps[player.name] = (least + (passes.least if alone else 0), most + passes.most)
        lines: list[Line] = []
        for player in troupe.everybody():
            least, most = steps.get(player.name, (0, _spare(player, troupe, steps)))
            if not most or not (player.asks_model or player.team or player.is_person):
                continue
            here = (least * outer[0], most * outer[1])
            agent = player.agent
            model = describe_or_dash(agent, self.knobs)
            lines.append(Line(player.name, depth, model, here, self._own(player, troupe).times(*here)))
            if player.team is not None:
                lines += self._lines(player.team, here, depth + 1)
        return lines


def _or_none(limit: float | None) -> float:
    """Return a limit; infinity where there is none."""
    return math.inf if limit is None else limit


def _spare(player: Player, troupe: Troupe, steps: Mapping[str, tuple[float, float]]) -> float:
    """Return how often somebody may have to stand in."""
    return sum(steps.get(one.name, (0, 0))[1] for one in troupe.everybody() if player in one.stand_ins) or 1


def calls_of_step(policy: Policy, *, has_tools: bool) -> tuple[float, float]:
    """Return the model calls of one step of an agent: one at least; retries, repairs and tool rounds to their limits."""
    cap = math.inf if policy.budget.model_calls is None else policy.budget.model_calls
    most = math.inf if has_tools else policy.max_attempts
    if has_tools and math.isinf(cap) and policy.budget.tool_calls is not None:
        most = (policy.budget.tool_calls + 1) * policy.max_attempts
    return (0 if policy.cache is not None else 1), min(cap, most)


def model_of(agent: Agent, knobs: Context) -> Any:
    """Return the model that an agent uses, as far as the file says."""
    return agent.model if agent.model is not None else knobs.model


def describe_or_dash(agent: Any, knobs: Context) -> str:
    """Return the name of the model of an agent; a dash for whoever has none."""
    if not isinstance(agent, Agent):
        return "-"
    model = model_of(agent, knobs)
    return describe_model(model) if model is not None else "the run's"


def _price(model: Any, tokens: tuple[int, int]) -> float | None:
    if model is None:
        return None
    return price(describe_model(model), {"input_tokens": tokens[0], "output_tokens": tokens[1]})
