"""Hands: the tools that agents really have, with what they need. Nobody else's code is imported unless that is asked for."""

from __future__ import annotations

from dataclasses import dataclass, field

from langchain_core.tools import BaseTool

from orchestra.teamfile.checking.finding import Finding, finding
from orchestra.teamfile.checking.troupe import Player
from orchestra.teamfile.model import TeamFile
from orchestra.teamfile.places import Keys
from orchestra.teamfile.tools import Tool, Toolbox, known_names, name_of_tool
from orchestra.teamfile.toolsets import McpTools
from state.errors import ConfigurationError, OrchestraError
from tools.marks import TRUSTED, Right, marks_of
from tools.rights import rights_of


@dataclass(frozen=True)
class Hand:
    """A tool of an agent.

    Args:
        name: By which a model calls it; empty where only its server knows.
        reference: By which the file names it.
        tool: The tool itself; None where nothing of it is known without importing or opening it.
    """

    name: str
    reference: str
    tool: Tool | None = None

    @property
    def is_known(self) -> bool:
        """Whether it is known what it needs."""
        return self.tool is not None

    @property
    def needs(self) -> frozenset[Right]:
        """Return the rights that it needs; none of one that is not known."""
        if self.tool is None:
            return frozenset()
        return rights_of(self.tool if isinstance(self.tool, BaseTool) else None)

    @property
    def is_outside(self) -> bool:
        """Whether somebody outside may have written what it returns."""
        return isinstance(self.tool, BaseTool) and marks_of(self.tool).source != TRUSTED

    @property
    def changes(self) -> bool:
        """Whether it is known to change something: it needs more than to read and to reach a network."""
        return self.is_known and bool(self.needs & {"write", "effect", "code"})


@dataclass
class Hands:
    """Looks up the tools of agents.

    Args:
        imports: Whether to import and open what the file names, which runs it.
        found: What could not be had.
    """

    imports: bool = False
    found: list[Finding] = field(default_factory=list)
    _boxes: dict[int, Toolbox] = field(default_factory=dict)
    _known: dict[tuple[int, tuple[str, ...]], list[Hand]] = field(default_factory=dict)

    def of(self, player: Player) -> list[Hand]:
        """Return the tools of an agent."""
        key = (id(player.file), player.keys)
        if key not in self._known:
            each = [self._of(player, index, reference) for index, reference in enumerate(player.references)]
            self._known[key] = [hand for hands in each for hand in hands]
        return self._known[key]

    def _of(self, player: Player, index: int, reference: str) -> list[Hand]:
        file = player.file
        names = known_names(reference, file.tools)
        if not self.imports and _is_foreign(reference, file):
            return [Hand(name, reference) for name in names or [""]]
        box = self._boxes.setdefault(id(file), Toolbox(file.tools, file.source.folder))
        try:
            return [Hand(name_of_tool(tool), reference, tool) for tool in box.tools_of(reference)]
        except (ConfigurationError, OrchestraError, OSError) as error:
            keys: Keys = (*player.keys, "tools", index)
            self.found.append(finding("tools", "error", file, keys, f"{reference} cannot be had: {error}"))
            return [Hand(name, reference) for name in names or [""]]


def _is_foreign(reference: str, file: TeamFile) -> bool:
    """Whether to have a tool means to run somebody's code: a module, or a server."""
    return ":" in reference or isinstance(file.tools.get(reference.partition(".")[0]), McpTools)
