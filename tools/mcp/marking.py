"""What a tool of a server needs and changes: as the user says, else as the server hints.

| the server hints              | the tool needs                        | and is             |
|-------------------------------|---------------------------------------|--------------------|
| nothing                       | everything                            |                    |
| `readOnlyHint`                | read; network unless it is closed     |                    |
| anything else                 | read, write, effect; network likewise | an effect, once    |

Hints are what a stranger says of himself: they can be wrong, and they never make a result trusted.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from langchain_core.tools import BaseTool
from mcp.types import ToolAnnotations

from state.errors import ConfigurationError
from tools.effects import effect, requires_approval
from tools.marks import Right, marked_as, marks_of
from tools.rights import check_rights, needs

Rights = Mapping[str, Sequence[Right]]
"""What tools need, by name."""
Effects = Mapping[str, bool | Sequence[str]]
"""Whether tools change the world, by name; arguments instead of True tell two effects apart."""

_HARMLESS: frozenset[Right] = frozenset({"read", "network"})


@dataclass(frozen=True)
class Marking:
    """What the user says of tools, by the name a model calls them by."""

    rights: Rights = field(default_factory=dict)
    effects: Effects = field(default_factory=dict)
    approve: Collection[str] = ()

    def __post_init__(self) -> None:
        """Refuse what is no right, and what is no list."""
        for name, rights in self.rights.items():
            check_rights(f"rights of {name}", rights)
        if isinstance(self.approve, str):
            raise ConfigurationError(f"approve: expected a list of names of tools, got {self.approve!r}")

    @property
    def names(self) -> set[str]:
        """The tools that something is said of."""
        return {*self.rights, *self.effects, *self.approve}

    def of(self, tool: BaseTool, hints: ToolAnnotations | None, server: str) -> BaseTool:
        """Return a tool with its marks."""
        tool = marked_as(tool, source=f"mcp:{server}")
        rights = self.rights[tool.name] if tool.name in self.rights else _hinted(hints)
        if rights is not None:
            tool = needs(*rights)(tool)
        changes = self.effects.get(tool.name, _changes(hints))
        if changes is not False:
            tool = effect(tool) if changes is True else effect(tool, key=changes)
        return requires_approval(tool) if tool.name in self.approve else tool


def may_be_repeated(tool: BaseTool) -> bool:
    """Whether calling a tool twice is the same as calling it once: it only reads."""
    marks = marks_of(tool)
    return marks.effect is None and marks.needs is not None and marks.needs <= _HARMLESS


def _hinted(hints: ToolAnnotations | None) -> tuple[Right, ...] | None:
    if not _says_something(hints):
        return None
    assert hints is not None
    outside: tuple[Right, ...] = () if hints.openWorldHint is False else ("network",)
    return ("read", *outside) if hints.readOnlyHint else ("read", "write", "effect", *outside)


def _changes(hints: ToolAnnotations | None) -> bool:
    return _says_something(hints) and hints is not None and not hints.readOnlyHint


def _says_something(hints: ToolAnnotations | None) -> bool:
    asked = ("readOnlyHint", "destructiveHint", "idempotentHint", "openWorldHint")
    return hints is not None and any(getattr(hints, name) is not None for name in asked)
