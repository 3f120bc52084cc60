"""What is drawn: boxes and arrows, read from a compiled graph."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

from langgraph.constants import END, START

from nodes.spec import Agent, HumanAgent, describe

Kind = Literal["start", "end", "agent", "code", "team"]

_ROUTER = re.compile(r"route_(\w+)")


@dataclass(frozen=True)
class Box:
    """A node."""

    id: str
    label: str
    kind: Kind
    note: str = ""
    """What it is for, in one line."""
    inner: Diagram | None = None
    """Of a team, what is drawn inside."""


@dataclass(frozen=True)
class Arrow:
    """An edge."""

    source: str
    target: str
    dashed: bool = False
    """Whether a router decides to take it."""


@dataclass(frozen=True)
class Diagram:
    """Boxes in their running order, and the arrows between them."""

    boxes: tuple[Box, ...]
    arrows: tuple[Arrow, ...]
    questions: dict[str, str] = field(default_factory=dict)
    """What is decided behind a box, by its id."""


def read_diagram(graph: Any, *, top: bool = True) -> Diagram:
    """Return a compiled graph as a diagram; the graphs that stand in it for agents are drawn inside their box.

    Args:
        graph: A compiled LangGraph graph.
        top: Whether to draw where it starts and ends, which goes without saying inside a box.
    """
    drawn, inner = graph.get_graph(), dict(graph.get_subgraphs())
    left_out = set() if top else {START, END}
    boxes = [_box(graph, name, inner.get(name)) for name in drawn.nodes if name not in left_out]
    arrows = [
        Arrow(edge.source, edge.target, edge.conditional)
        for edge in drawn.edges
        if not left_out & {edge.source, edge.target}
    ]
    order = {START: -1} | {name: index for index, name in enumerate(getattr(graph, "nodes", {}))}
    boxes.sort(key=lambda box: order.get(box.id, len(order)))
    return Diagram(tuple(boxes), tuple(arrows), _questions(graph))


def _box(graph: Any, name: str, inner: Any) -> Box:
    if name == START:
        return Box(name, "start", "start")
    if name == END:
        return Box(name, "end", "end")
    function = _function_of(graph, name)
    if hasattr(inner, "get_graph") and hasattr(inner, "get_subgraphs"):
        return Box(name, name, "team", inner=read_diagram(inner, top=False))
    agent = _agent_in(function)
    if agent is not None:
        return Box(name, name, "agent", note=describe(agent))
    note = (inspect.getdoc(function) or "").split("\n")[0] if function else ""
    if workers := _workers_in(graph, name):
        return Box(name, name, "team", note, Diagram(tuple(Box(worker, worker, "agent") for worker in workers), ()))
    return Box(name, name, "code", note)


def _workers_in(graph: Any, name: str) -> list[str]:
    """Return the names of the agents that a node runs by itself, in an order that only shows when it runs."""
    spec = getattr(getattr(graph, "builder", None), "nodes", {}).get(name)
    named = (getattr(spec, "metadata", None) or {}).get("workers", "")
    return [worker for worker in named.split(", ") if worker]


def _questions(graph: Any) -> dict[str, str]:
    """Return what the routers decide about, by the name of the node before them: `route_verdict` asks `verdict?`."""
    branches = getattr(getattr(graph, "builder", None), "branches", {})
    questions = {}
    for node, routers in branches.items():
        paths = [router.path for router in routers.values()]
        names = [getattr(getattr(p, "afunc", None) or getattr(p, "func", None), "__qualname__", "") for p in paths]
        found = [match for name in names for match in _ROUTER.findall(name)]
        if found:
            questions[node] = ", ".join(dict.fromkeys(found)).replace("_", " ") + "?"
    return questions


def _function_of(graph: Any, name: str) -> Callable[..., Any] | None:
    spec = getattr(getattr(graph, "builder", None), "nodes", {}).get(name)
    runnable = getattr(spec, "runnable", None)
    function: Callable[..., Any] | None = getattr(runnable, "afunc", None) or getattr(runnable, "func", None)
    return function


def _agent_in(function: Any, depth: int = 3) -> Agent | HumanAgent | None:
    """Return the agent that a node was made for: it is among what the node's function closes over."""
    if not inspect.isfunction(function) or depth == 0:
        return None
    around = inspect.getclosurevars(function).nonlocals.values()
    agents = [value for value in around if isinstance(value, Agent | HumanAgent)]
    deeper = (_agent_in(value, depth - 1) for value in around)
    return agents[0] if agents else next((agent for agent in deeper if agent), None)
