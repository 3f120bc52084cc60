"""The check of a whole team: findings, loops and costs in one report."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from orchestra.teamfile.checking.answers import at_answers
from orchestra.teamfile.checking.authorities import at_rights
from orchestra.teamfile.checking.bounds import at_bounds, at_size
from orchestra.teamfile.checking.costs import LIMITS, Assumptions, Cost, Estimate, Estimating
from orchestra.teamfile.checking.failures import at_failures
from orchestra.teamfile.checking.finding import Finding, finding, in_order
from orchestra.teamfile.checking.hands import Hands
from orchestra.teamfile.checking.overlaps import at_overlaps
from orchestra.teamfile.checking.passes import Loop, loops_of
from orchestra.teamfile.checking.troupe import Troupe, troupe_of
from orchestra.teamfile.checking.using import CALLS_WITH_A_TOOL, Using, users_of
from orchestra.teamfile.context import context_of_file, knobs_of
from orchestra.teamfile.model import TeamFile
from state.budget import Budget
from state.context import Context

_UNITS = {"model_calls": "model call", "tokens": "token"}


@dataclass(frozen=True)
class CheckReport:
    """What is to be said about a team.

    Args:
        findings: In the order of the file.
        loops: What goes round, by team, with its bound.
        estimate: What the cheapest and the dearest run would take.
        budget: Of a run, as the file says.
        users: The agents that have tools.
        using: Model calls of the cheapest run in which each of those uses one tool once.
    """

    findings: tuple[Finding, ...]
    loops: tuple[tuple[str, Loop], ...]
    estimate: Estimate
    budget: Budget | None
    users: Sequence[str] = field(default=())
    using: float = 0

    def count(self, severity: str) -> int:
        """Return how many findings are that severe."""
        return sum(1 for one in self.findings if one.severity == severity)

    def to_json(self) -> dict[str, Any]:
        """Return it as plain JSON."""
        return {
            "findings": [one.to_json() for one in self.findings],
            "loops": [
                {"team": team, "what": loop.what, "bound": loop.bound, "knob": loop.knob} for team, loop in self.loops
            ],
            "cost": {
                **self.estimate.to_json(),
                "with_tools": {"agents": list(self.users), "model_calls": int(self.using)} if self.users else None,
            },
            "budget": self.budget.model_dump(exclude_none=True) if self.budget is not None else None,
        }


def check_team(
    team: TeamFile, *, imports: bool = False, model: str | None = None, assumed: Assumptions | None = None
) -> CheckReport:
    """Return what is to be said about a team. No model is asked.

    Args:
        team: As it was read.
        imports: Whether to import its tools and open its servers, which runs them, to see what they need.
        model: For agents that name none, in place of the file's.
        assumed: What one model call takes.
    """
    knobs = context_of_file(team)
    knobs = replace(knobs, model=model) if model is not None else knobs
    troupe, hands = troupe_of(team, model=model or ""), Hands(imports)
    counts = {one.keys: len(hands.of(one)) for each in troupe.nested() for one in each.everybody()}
    estimating = Estimating(knobs, counts, assumed or Assumptions())
    estimate, users, using = estimating.run(troupe), users_of(troupe), Using(estimating).calls(troupe)
    teams = list(troupe.nested())
    found = [*hands.found, *at_rights(troupe, hands), *at_size(troupe, estimate, team.budget)]
    found += at_failures(teams, knobs)
    for each in teams:
        found += [*at_bounds(each, knobs), *at_overlaps(each), *at_answers(each)]
        found += _at_ignored(each)
    found += [*_at_budget(team, estimate, users, using), *_at_policies(teams, knobs, counts)]
    loops = dict.fromkeys((each.name, loop) for each in teams for loop in loops_of(each, knobs))
    return CheckReport(tuple(in_order(found)), tuple(loops), estimate, team.budget, users, using)


def _at_budget(team: TeamFile, estimate: Estimate, users: Sequence[str], using: float) -> Iterator[Finding]:
    """Yield what a run needs that its budget does not allow."""
    for limit in LIMITS:
        cap = getattr(team.budget, limit) if team.budget is not None else None
        if cap is None:
            continue
        least, most = getattr(estimate.total.least, limit), getattr(estimate.total.most, limit)
        shown = f"{limit}: {cap:g}" if limit == "usd" else f"{limit}: {cap:,}"
        keys = ("budget", limit)
        if least > cap:
            what = f"even the cheapest run takes {_amount(least, limit)}, and the budget has {shown}"
            yield finding("over-budget", "error", team, keys, what, f"raise it to {_amount(least, limit)} or more")
        elif limit == "model_calls" and users and using > cap:
            each = " and ".join(users) + (" uses a tool once" if len(users) == 1 else " use a tool once each")
            what = f"the budget has {shown}, and the cheapest run in which {each} takes {_amount(using, limit)}"
            yield finding("tight-budget", "warning", team, keys, what, f"raise it to {using:,.0f} or more")
        elif most > cap:
            takes = "has no limit" if math.isinf(most) else f"would take {_amount(most, limit)}"
            what = f"the budget ends runs at {shown}; the dearest {takes}"
            yield finding("budget-cuts", "note", team, keys, what)
        elif limit == "usd" and estimate.total.unpriced:
            names = ", ".join(sorted(estimate.total.unpriced))
            what = f"calls of unknown price are not held against usd: {names}"
            yield finding("unpriced", "note", team, keys, what, "limit tokens too, or give --model to see its price")


def _amount(value: float, limit: str) -> str:
    if limit == "usd":
        return f"{value:.2f} USD" if value >= 1 else f"{value:.2g} USD"
    return f"{value:,.0f} {_UNITS[limit]}{'' if value == 1 else 's'}"


def _at_policies(teams: list[Troupe], knobs: Context, counts: dict[tuple[str, ...], int]) -> Iterator[Finding]:
    """Yield agents whose own budget does not allow a single call."""
    alone = Estimating(knobs, counts, Assumptions())
    for each in teams:
        for player in each.everybody():
            if player.policy is None or player.entry is None:
                continue
            least: Cost = alone.step(player, each).least
            for limit in LIMITS:
                cap = getattr(player.policy.budget, limit)
                if cap is not None and getattr(least, limit) > cap:
                    what = f"{player.name} needs {_amount(getattr(least, limit), limit)} for one step, and has {cap:g}"
                    keys = (*player.keys, "policy", "budget", limit)
                    yield finding("over-budget", "error", player.file, keys, what, "raise the budget in its policy")
                elif limit == "model_calls" and player.references and cap is not None and cap < CALLS_WITH_A_TOOL:
                    what = f"{player.name} has {_amount(cap, limit)} for one step: none is left once it has used a tool"
                    keys = (*player.keys, "policy", "budget", limit)
                    yield finding("tight-budget", "warning", player.file, keys, what, "raise it to 2 or more")


def _at_ignored(troupe: Troupe) -> Iterator[Finding]:
    """Yield what a file says of runs in vain: of a team within a team, and of new plans where all tasks are known."""
    file = troupe.members.file
    if not troupe.members.below:
        if troupe.has_fixed_plan and not troupe.members.keys and file.options.get("max_replans"):
            what = f"max_replans of {troupe.name} does not count: its tasks are written in the file"
            yield finding("ignored", "note", file, ("options", "max_replans"), what, "leave it out")
        return
    for key in ("budget",) if file.budget is not None else ():
        what = f"the {key} of {troupe.name} does not count where it works in another team"
        yield finding("ignored", "note", file, (key,), what, "the budget of the outermost file does")
    knobs = [name for name in knobs_of(file) if name in file.options]
    for name in knobs:
        what = f"{name} of {troupe.name} does not count where it works in another team"
        yield finding("ignored", "note", file, ("options", name), what, "that of the outermost file does")
