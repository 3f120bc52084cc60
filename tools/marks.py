"""What tools are marked with: the agent step reads it where a tool executes, so it holds however the call came about."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

from langchain_core.tools import BaseTool
from langchain_core.tools import tool as as_tool

from state.errors import ConfigurationError

Right = Literal["read", "write", "effect", "network", "code"]
"""What a tool may need: to read what is not public, to write here, to change the world, to reach a network, to run code."""
RIGHTS: frozenset[Right] = frozenset(get_args(Right))
TRUSTED = "trusted"
"""The source of what nobody outside can have written."""

Key = Callable[..., Any] | Sequence[str]
"""What tells two effects apart: names of arguments, or a function of the arguments, by name, that gives anything JSON."""
Reconcile = Callable[..., Any]
"""Finds out whether an effect that was begun has happened; see `effect`."""
When = Callable[[Mapping[str, Any]], bool]
"""Whether a call needs a person's approval: `arguments -> bool`. Asked again after a pause, so it must not change its mind."""

_MARK = "orchestra"


@dataclass(frozen=True)
class Effect:
    """How a tool changes the world; see `effect`."""

    key: Key | None = None
    transactional: bool = False
    reconcile: Reconcile | None = None

    def key_of(self, tool: str, arguments: Mapping[str, Any]) -> str:
        """Return what tells this effect from others of the same turn: the same for the same arguments in any order."""
        told: Any = dict(arguments)
        if callable(self.key):
            told = self.key(**arguments)
        elif self.key is not None:
            told = {name: arguments.get(name) for name in self.key}
        text = json.dumps([tool, told], sort_keys=True, ensure_ascii=False, default=str, separators=(",", ":"))
        return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:32]


@dataclass(frozen=True)
class Marks:
    """What a tool was marked with."""

    effect: Effect | None = None
    approval: When | None = None
    cached: float | None = None
    """Seconds for which a result may be given again."""
    kept_as: str = ""
    """Whose results they are: two tools of one name must not answer for each other."""
    needs: frozenset[Right] | None = None
    """What the tool may do; None where nobody said."""
    source: str = ""
    """Where its results come from, when that is not the tool itself; `TRUSTED` for what nobody outside can have written."""


def marks_of(tool: BaseTool | None) -> Marks:
    """Return what a tool was marked with; nothing for a tool that was not."""
    found = (tool.metadata or {}).get(_MARK) if tool is not None else None
    return found if isinstance(found, Marks) else Marks()


def marked_as(tool: BaseTool | Callable[..., Any], **marks: Any) -> BaseTool:
    """Return a tool with more marks than it had; a function becomes a tool.

    Raises:
        ConfigurationError: It is neither a tool nor a function, or the marks contradict each other.
    """
    if not isinstance(tool, BaseTool):
        if not callable(tool):
            raise ConfigurationError(f"expected a LangChain tool or a function, got {tool!r}")
        tool = as_tool(tool)
    together = replace(marks_of(tool), **marks)
    if together.effect is not None and together.cached is not None:
        raise ConfigurationError(
            f"{tool.name}: a tool that changes the world cannot be cached; its ledger does that for a turn"
        )
    metadata = {**(tool.metadata or {}), _MARK: together}
    return tool.model_copy(update={"metadata": metadata})
