"""A picture of a graph for notebooks and terminals, made without a network."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Any

from langgraph.graph import StateGraph

from graphs.registry import find
from orchestra.drawing.diagram import Diagram, read_diagram
from orchestra.drawing.svg import draw_svg
from orchestra.drawing.text import draw_text
from orchestra.teamfile.names import is_team_file
from state.errors import ConfigurationError


class Picture:
    """A graph as SVG, as Mermaid and as text. A notebook shows the best form that it can; `print` shows text.

    Args:
        graph: A compiled graph.
    """

    def __init__(self, graph: Any) -> None:
        self.graph = graph

    @cached_property
    def diagram(self) -> Diagram:
        """Boxes and arrows."""
        return read_diagram(self.graph)

    @cached_property
    def svg(self) -> str:
        """An SVG document without scripts."""
        return draw_svg(self.diagram, title=self.graph.get_name())

    @cached_property
    def mermaid(self) -> str:
        """Mermaid source, for documents and services that draw it."""
        source: str = self.graph.get_graph(xray=True).draw_mermaid()
        return source

    @cached_property
    def text(self) -> str:
        """A drawing with characters."""
        return draw_text(self.diagram)

    def _repr_svg_(self) -> str:
        return self.svg

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:  # noqa: ARG002  # Jupyter's
        return {"image/svg+xml": self.svg, "text/vnd.mermaid": self.mermaid, "text/plain": self.text}

    def __repr__(self) -> str:
        return self.text


def show(graph: Any) -> Picture:
    """Return a picture of a graph: the last line of a notebook cell displays it.

    Args:
        graph: A compiled graph, a builder, the name of a pattern or team, or the path of a team file.

    Raises:
        ConfigurationError: It is none of these.
    """
    if isinstance(graph, Path) or (isinstance(graph, str) and is_team_file(graph)):
        graph = draw_file(graph)
    elif isinstance(graph, str):
        graph = find(graph).load().graph
    elif isinstance(graph, StateGraph):
        graph = graph.compile()
    if not hasattr(graph, "get_graph"):
        raise ConfigurationError(f"show: expected a graph or the name of a pattern, got {graph!r}")
    return Picture(graph)


def draw_file(path: str | Path) -> Any:
    """Return the graph of a team file, without its tools: nothing that the file names is imported or run."""
    from orchestra.teamfile.building import Building, members_of  # here: most pictures are of no file
    from orchestra.teamfile.reading import read_team

    team = read_team(path)
    return Building(with_tools=False).build(members_of(team)).compile(name=team.name)
