"""The shape of a graph in words that a terminal has room for: who there is, who works side by side, and what is gone round."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from langgraph.constants import END

from nodes.spec import Agent, HumanAgent, describe, name_of
from orchestra.drawing.diagram import Box, Diagram, read_diagram
from orchestra.drawing.layers import backward, layer_of

_Follow = dict[str, list[tuple[str, bool]]]
"""What comes after each node, and whether a router decides about it."""

_DEPTH = 3
"""Functions within functions in which a node's agent is looked for."""


@dataclass(frozen=True)
class Spot:
    """An agent or a team where it stands in its graph."""

    name: str
    note: str = ""
    """What it is for, in one line."""
    nodes: int = 1
    """How many nodes of the graph are its work."""
    stage: int = 0
    """Spots of one stage stand side by side: they work at once, or one of them is chosen."""
    loop: int | None = None
    """Number of the loop that it is in."""
    is_chosen: bool = False
    """Whether only a decision leads to it, so that a run may end without it."""
    is_planned: bool = False
    """Whether it works on subtasks of a plan."""
    team: Shape | None = None


@dataclass(frozen=True)
class Shape:
    """Who there is in a graph, in running order; those of a loop, and those of a stage, stand together."""

    spots: tuple[Spot, ...] = ()

    def loop_of(self, spot: Spot) -> list[Spot]:
        """Return the spots of the loop that one is in; none when it is in no loop."""
        return [one for one in self.spots if spot.loop is not None and one.loop == spot.loop]

    def beside(self, spot: Spot) -> list[Spot]:
        """Return a spot with those beside it."""
        return [one for one in self.spots if (one.stage, one.loop) == (spot.stage, spot.loop)]


def read_shape(graph: Any) -> Shape:
    """Return the shape of a compiled graph; nothing of one that cannot be read, so that it can still be watched."""
    try:
        return _shape_of(graph, read_diagram(graph))
    except (AttributeError, TypeError, ValueError):
        return Shape()


def _shape_of(graph: Any, diagram: Diagram) -> Shape:
    inner = dict(graph.get_subgraphs()) if hasattr(graph, "get_subgraphs") else {}
    layer, found = layer_of(diagram, backward(diagram)), dict[str, Spot]()
    nodes: dict[str, list[str]] = {}
    for box in diagram.boxes:
        for spot in _spots_at(graph, box, inner.get(box.id)):
            # An agent of several nodes, such as a manager who plans and then answers, is one spot.
            before = found.get(spot.name, replace(spot, nodes=0, stage=layer[box.id]))
            found[spot.name] = replace(before, nodes=before.nodes + 1)
            nodes[box.id] = [*dict.fromkeys([*nodes.get(box.id, ()), spot.name])]
    follow = _follow(diagram)
    arrows = list(_between(follow, nodes))
    sure = {target for _, target, dashed in arrows if not dashed} | set(_first(follow, nodes))
    loops = _loops(found, arrows)
    spots = [replace(spot, loop=loops.get(name), is_chosen=name not in sure) for name, spot in found.items()]
    return Shape(tuple(_in_order(spots)))


def _in_order(spots: list[Spot]) -> list[Spot]:
    """Return spots by stage, those of a loop together where it begins."""
    begins: dict[int | None, int] = {}
    for spot in spots:
        begins[spot.loop] = min(spot.stage, begins.get(spot.loop, spot.stage))
    outside = len(spots)
    return sorted(
        spots,
        key=lambda one: (
            one.stage if one.loop is None else begins[one.loop],
            outside if one.loop is None else one.loop,
            one.stage,
        ),
    )


def _spots_at(graph: Any, box: Box, team: Any) -> Iterator[Spot]:
    """Yield who works at a node: its agent, the team in its place, or those whom its plan names; nobody where code stands."""
    if team is not None and box.inner is not None:
        yield Spot(box.id, box.note, team=_shape_of(team, box.inner))
    elif box.inner is not None:
        known = _around(_function_at(graph, box.id)).get("by_name", {})
        for worker in box.inner.boxes:
            yield Spot(worker.id, describe(known[worker.id]) if worker.id in known else "", is_planned=True)
    elif (agent := _agent_in(_function_at(graph, box.id), _DEPTH)) is not None:
        yield Spot(name_of(agent), describe(agent))


def _function_at(graph: Any, node: str) -> Any:
    spec = getattr(getattr(graph, "builder", None), "nodes", {}).get(node)
    runnable = getattr(spec, "runnable", None)
    return getattr(runnable, "afunc", None) or getattr(runnable, "func", None)


def _around(function: Any) -> Mapping[str, Any]:
    """Return what a function closes over, by name."""
    return inspect.getclosurevars(function).nonlocals if inspect.isfunction(function) else {}


def _agent_in(function: Any, depth: int) -> Any:
    """Return the agent that a node's function closes over: by its name, or by its kind where nothing is named so."""
    around = _around(function) if depth else {}
    if around and function.__qualname__.startswith("agent_node."):
        return around.get("agent")
    agents = (value for value in around.values() if isinstance(value, Agent | HumanAgent))
    deeper = (_agent_in(value, depth - 1) for value in around.values())
    return next(agents, None) or next((agent for agent in deeper if agent is not None), None)


def _between(follow: _Follow, nodes: Mapping[str, list[str]]) -> Iterator[tuple[str, str, bool]]:
    """Yield who comes next after whom, through whatever code stands between, and whether something decides about it."""
    for node, names in nodes.items():
        for target, dashed in _reached(follow, node, nodes):
            yield from ((one, other, dashed) for one in names for other in nodes[target])


def _first(follow: _Follow, nodes: Mapping[str, list[str]]) -> Iterator[str]:
    """Yield who is at work first without a decision; inside a team the start is not drawn, so it is whoever nothing leads to."""
    led_to = {target for arrows in follow.values() for target, _ in arrows}
    for start in (node for node in follow if node not in led_to):
        if start in nodes:
            yield from nodes[start]
        for target, dashed in _reached(follow, start, nodes):
            yield from nodes[target] if start not in nodes and not dashed else ()


def _follow(diagram: Diagram) -> _Follow:
    follow: _Follow = {box.id: [] for box in diagram.boxes}
    for arrow in diagram.arrows:
        follow.setdefault(arrow.source, []).append((arrow.target, arrow.dashed))
    return follow


def _reached(follow: _Follow, start: str, nodes: Mapping[str, list[str]]) -> list[tuple[str, bool]]:
    """Return the nodes of agents that come next after a node, with whether something decides about it."""
    found: dict[str, bool] = {}
    seen, todo = set[tuple[str, bool]](), list(follow.get(start, ()))
    while todo:
        node, dashed = todo.pop()
        if (node, dashed) in seen or node == END:
            continue
        seen.add((node, dashed))
        if node in nodes:
            found[node] = found.get(node, True) and dashed
        else:
            todo += [(target, dashed or decided) for target, decided in follow.get(node, ())]
    return list(found.items())


def _loops(names: Iterable[str], arrows: Iterable[tuple[str, str, bool]]) -> dict[str, int]:
    """Return the number of the loop of everyone who is in one with another."""
    follow: dict[str, set[str]] = {name: set() for name in names}
    for source, target, _ in arrows:
        follow[source].add(target)
    reached = {name: _all_after(name, follow) for name in follow}
    loops: dict[str, int] = {}
    for name in follow:
        members = [one for one in follow if one in reached[name] and name in reached[one]]
        if len(members) > 1 and name not in loops:
            loops.update(dict.fromkeys(members, len(set(loops.values()))))
    return loops


def _all_after(start: str, follow: Mapping[str, set[str]]) -> set[str]:
    seen, todo = set[str](), [start]
    while todo:
        new = follow[todo.pop()] - seen
        seen |= new
        todo += new
    return seen
