"""Passes: how often those who work together take their step in one run, at least and at most, by their pattern.

At least: a run that succeeds, in which each decision is the shortest. At most: every loop runs to its bound. The formulas are
those of the docstrings of the patterns, with the bounds that their routers test.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from nodes.delegation import MAX_TASKS
from nodes.ledgers import MAX_ASKED
from nodes.planning import MAX_REPAIRS
from orchestra.teamfile.checking.troupe import Player, Troupe
from state.context import Context

FIXED = "fixed"
"""In place of a knob, where nothing sets a bound."""


@dataclass(frozen=True)
class Passes:
    """How often some take their step.

    Args:
        players: Who.
        least: Steps at least: of each, or of all together.
        most: Steps at most: of each, or of all together.
        each: Whether that is of each; otherwise one of them, or several, take them.
    """

    players: tuple[Player, ...]
    least: int
    most: int
    each: bool = True


@dataclass(frozen=True)
class Loop:
    """What goes round in a pattern.

    Args:
        what: What is done again.
        bound: How often at most.
        knob: What sets that bound.
    """

    what: str
    bound: int
    knob: str


def passes_of(troupe: Troupe, knobs: Context) -> list[Passes]:
    """Return how often everybody takes their step."""
    return [one for one in _PASSES[troupe.pattern](troupe, knobs) if one.players]


def loops_of(troupe: Troupe, knobs: Context) -> list[Loop]:
    """Return the loops of a pattern with their bounds; none for one that runs straight through."""
    return _LOOPS[troupe.pattern](troupe, knobs) if troupe.pattern in _LOOPS else []


def tries_of(knobs: Context) -> int:
    """Return how often a manager has a subtask tried, a person's advice counted."""
    return knobs.max_rounds * (1 + knobs.max_rounds)


def _part(troupe: Troupe, name: str, least: int, most: int, *, each: bool = True) -> Passes:
    return Passes(troupe.parts.get(name, ()), least, most, each)


def _once(troupe: Troupe, knobs: Context) -> list[Passes]:  # noqa: ARG001  # one signature for all
    return [Passes(players, 1, 1) for players in troupe.parts.values()]


def _parallel(troupe: Troupe, knobs: Context) -> list[Passes]:  # noqa: ARG001  # one signature for all
    asked = 0 if troupe.arguments.get("resolve") == "adjudicate" else 1
    return [_part(troupe, "agents", 1, 1), _part(troupe, "aggregator", asked, 1)]


def _map_reduce(troupe: Troupe, knobs: Context) -> list[Passes]:
    return [
        _part(troupe, "splitter", 1, 1),
        _part(troupe, "worker", 1, knobs.max_items),
        _part(troupe, "aggregator", 1, 1),
    ]


def _router(troupe: Troupe, knobs: Context) -> list[Passes]:  # noqa: ARG001  # one signature for all
    specialists, instead = troupe.parts["specialists"], troupe.parts.get("default", ())
    everybody = tuple({one.name: one for one in (*specialists, *instead)}.values())
    return [
        _part(troupe, "router", 1, 1),
        Passes(specialists, 0, 1),
        Passes(everybody, 1, 1, each=False),  # one is chosen at least; one stands in at most
    ]


def _supervisor(troupe: Troupe, knobs: Context) -> list[Passes]:
    most = (knobs.max_turns - 1) * MAX_TASKS
    return [_part(troupe, "supervisor", 1, knobs.max_turns), _part(troupe, "workers", 0, most, each=False)]


def _hierarchical(troupe: Troupe, knobs: Context) -> list[Passes]:
    tried = knobs.max_items * tries_of(knobs)
    return [
        _part(troupe, "manager", 2, 1 + MAX_REPAIRS + tried + 1),
        _part(troupe, "workers", 1, tried, each=False),
    ]


def _review(troupe: Troupe, knobs: Context) -> list[Passes]:
    return [Passes(players, 1, knobs.max_rounds) for players in troupe.parts.values()]


def _group_chat(troupe: Troupe, knobs: Context) -> list[Passes]:
    least, most = turns_of(troupe, knobs)
    if "moderator" in troupe.parts:
        return [_part(troupe, "moderator", 1, knobs.max_turns + 1), _part(troupe, "speakers", 0, most, each=False)]
    speakers = troupe.parts["speakers"]
    fair = least // len(speakers)
    rest, more = least - fair * len(speakers), most - fair * len(speakers)
    return [Passes(speakers, fair, fair), Passes(speakers, rest, more, each=False)]


def turns_of(troupe: Troupe, knobs: Context) -> tuple[int, int]:
    """Return the turns of a group chat, at least and at most."""
    speakers, until = len(troupe.parts["speakers"]), troupe.members.options.get("until") or {"rounds": knobs.max_rounds}
    counted = {"rounds": speakers, "turns": 1}
    ends = [value * counted[name] for name, value in until.items() if name in counted]
    circle = speakers * max(2, knobs.max_repeats)
    least = min([*ends, circle, knobs.max_turns]) if set(until) <= set(counted) else 1
    in_turn = "moderator" not in troupe.parts
    return least, min([*(ends if in_turn else ()), knobs.max_turns])


def _handoff(troupe: Troupe, knobs: Context) -> list[Passes]:
    return [_part(troupe, "agents", 1, 1 + knobs.max_handoffs, each=False)]


def _debate(troupe: Troupe, knobs: Context) -> list[Passes]:  # noqa: ARG001  # one signature for all
    rounds = int(troupe.arguments.get("rounds", 2))
    return [_part(troupe, "debaters", min(rounds, 2), rounds), _part(troupe, "judge", 1, 1)]


def _plan_execute(troupe: Troupe, knobs: Context) -> list[Passes]:
    if troupe.has_fixed_plan:
        named = {name: player for _, player in troupe.players() for name in (player.name,)}
        return [Passes((named[task.agent],), 1, 1) for task in troupe.members.tasks.values()]
    plans = 1 + knobs.max_replans
    asked = plans + (knobs.max_rounds if troupe.arguments.get("approve_plan") else 0)
    said = 1 if troupe.arguments.get("discuss") else 0
    return [
        _part(troupe, "workers", said, said),
        _part(troupe, "planner", 1, asked * (1 + MAX_REPAIRS)),
        _part(troupe, "workers", 1, knobs.max_items * plans, each=False),
        _part(troupe, "synthesizer", 0, 1),
    ]


def _magentic(troupe: Troupe, knobs: Context) -> list[Passes]:
    plans = 1 + int(troupe.arguments.get("max_replans", 3))
    asked = plans * 2 * MAX_ASKED + knobs.max_turns * MAX_ASKED + 1
    return [_part(troupe, "manager", 3, asked), _part(troupe, "workers", 0, knobs.max_turns, each=False)]


def _adaptive(troupe: Troupe, knobs: Context) -> list[Passes]:
    tried = knobs.max_items * tries_of(knobs)
    return [
        _part(troupe, "planner", 1, 1 + MAX_REPAIRS),
        _part(troupe, "workers", 1, tried, each=False),
        _part(troupe, "manager", 0, 1 + MAX_REPAIRS + tried + 1),
        _part(troupe, "synthesizer", 0, 1),
    ]


_PASSES: dict[str, Callable[[Troupe, Context], Sequence[Passes]]] = {
    "single": _once,
    "sequential": _once,
    "parallel": _parallel,
    "map_reduce": _map_reduce,
    "router": _router,
    "supervisor": _supervisor,
    "hierarchical": _hierarchical,
    "review": _review,
    "group_chat": _group_chat,
    "handoff": _handoff,
    "debate": _debate,
    "plan_execute": _plan_execute,
    "magentic": _magentic,
    "adaptive": _adaptive,
}


def _planned(troupe: Troupe, knobs: Context) -> list[Loop]:
    if troupe.has_fixed_plan:
        return []
    again = [Loop("a new plan for what failed", knobs.max_replans, "max_replans")]
    repairs = [Loop("a plan that cannot be used is sent back", MAX_REPAIRS, FIXED)]
    asked = [Loop("a person sends the plan back", knobs.max_rounds, "max_rounds")]
    return [*again, *repairs, *(asked if troupe.arguments.get("approve_plan") else [])]


_LOOPS: dict[str, Callable[[Troupe, Context], list[Loop]]] = {
    "router": lambda *_: [Loop("stand-in for all that were chosen and failed", 1, FIXED)],
    "supervisor": lambda _, knobs: [Loop("decisions of the supervisor", knobs.max_turns, "max_turns")],
    "hierarchical": lambda _, knobs: [
        Loop("tries at each subtask", knobs.max_rounds, "max_rounds"),
        Loop("tries that a person asks for, at each subtask", tries_of(knobs) - knobs.max_rounds, "max_rounds"),
        Loop("a plan that cannot be used is sent back", MAX_REPAIRS, FIXED),
    ],
    "review": lambda _, knobs: [Loop("drafts", knobs.max_rounds, "max_rounds")],
    "group_chat": lambda troupe, knobs: [Loop("turns", turns_of(troupe, knobs)[1], "max_turns, until")],
    "handoff": lambda _, knobs: [Loop("handoffs", knobs.max_handoffs, "max_handoffs")],
    "debate": lambda troupe, _: [Loop("rounds", int(troupe.arguments.get("rounds", 2)), "rounds")],
    "plan_execute": _planned,
    "magentic": lambda troupe, knobs: [
        Loop("steps of the workers", knobs.max_turns, "max_turns"),
        Loop("new plans", int(troupe.arguments.get("max_replans", 3)), "max_replans"),
    ],
    "adaptive": lambda _, knobs: [
        Loop("tries at each subtask, with a manager", tries_of(knobs), "max_rounds"),
        Loop("a plan that cannot be used is sent back", MAX_REPAIRS, FIXED),
    ],
}
