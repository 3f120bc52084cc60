"""Bounds: that whatever goes round in a graph comes out of it, and how often it goes round."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from langgraph.graph import END, START

from orchestra.teamfile.checking.costs import Estimate
from orchestra.teamfile.checking.finding import Finding, finding
from orchestra.teamfile.checking.passes import loops_of
from orchestra.teamfile.checking.troupe import Troupe
from state.budget import Budget
from state.context import Context
from state.graph import PatternBuilder

CODE = "unbounded"
MANY = 1_000
"""Model calls of the dearest run, from which it is worth a budget."""


@dataclass(frozen=True)
class Cycle:
    """Nodes that can be reached from each other.

    Args:
        nodes: Their names.
        exits: Those of them whose router can lead out.
    """

    nodes: tuple[str, ...]
    exits: tuple[str, ...]


def ways_of(builder: PatternBuilder) -> dict[str, set[str]]:
    """Return where each node of a graph can lead to."""
    ways: dict[str, set[str]] = {name: set() for name in (START, *builder.nodes, END)}
    for start, end in builder.edges:
        ways[start].add(end)
    for starts, end in builder.waiting_edges:
        for start in starts:
            ways[start].add(end)
    for start, branches in builder.branches.items():
        for branch in branches.values():
            ways[start] |= set(branch.ends.values()) if branch.ends is not None else set(builder.nodes) | {END}
    return ways


def cycles_of(builder: PatternBuilder) -> list[Cycle]:
    """Return what goes round in a graph: its strongly connected parts that hold an edge."""
    ways = ways_of(builder)
    reached = {name: _reached(name, ways) for name in ways}
    cycles, seen = [], set[str]()
    for name in ways:
        if name in seen or name not in reached[name]:
            continue
        together = tuple(other for other in ways if other in reached[name] and name in reached[other])
        seen |= set(together)
        exits = tuple(one for one in together if one in builder.branches and ways[one] - set(together))
        cycles.append(Cycle(together, exits))
    return cycles


def _reached(start: str, ways: Mapping[str, set[str]]) -> set[str]:
    """Return what can be reached from a node by one step or more."""
    found: set[str] = set()
    todo = list(ways[start])
    while todo:
        name = todo.pop()
        if name not in found:
            found.add(name)
            todo += ways.get(name, ())
    return found


def at_bounds(troupe: Troupe, knobs: Context) -> Iterator[Finding]:
    """Yield what goes round without a router that tests a bound."""
    loops = loops_of(troupe, knobs)
    for cycle in cycles_of(troupe.builder):
        if cycle.exits and (loops or troupe.has_fixed_plan):
            continue
        what = f"{' -> '.join(cycle.nodes)} goes round, and nothing in it leads out"
        members = troupe.members
        yield finding(CODE, "error", members.file, members.keys, what, "add a router that tests a bound first")


def at_size(troupe: Troupe, estimate: Estimate, budget: Budget | None) -> Iterator[Finding]:
    """Yield what of a run has no limit, or a large one that no budget stops."""
    file, most = troupe.members.file, estimate.total.most.model_calls
    capped = budget is not None and any(
        getattr(budget, name) is not None for name in ("model_calls", "tokens", "usd", "seconds")
    )
    for line in estimate.lines:
        if math.isinf(line.cost.most.model_calls) and line.steps[1] != math.inf and line.model != "-":
            keys = next((one.keys for each in troupe.nested() for one in each.everybody() if one.name == line.name), ())
            what = f"{line.name} has no limit of model or tool calls in its policy"
            remedy = "give its budget `model_calls`"
            yield finding(CODE, "warning" if capped else "error", file, (*keys, "policy"), what, remedy)
    if not capped and not math.isinf(most) and most >= MANY:
        what = f"loops multiply: the dearest run takes up to {most:,.0f} model calls, and there is no budget"
        yield finding("costly", "warning", file, ("pattern",), what, "add `budget: {model_calls: ..., usd: ...}`")
