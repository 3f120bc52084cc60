"""Rights in a team file: which tools a name in a list of approvals, or in `allow`, `approve` and `deny`, means."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from orchestra.teamfile.tools import Tool, known_names, name_of_tool
from orchestra.teamfile.toolsets import PARTS, McpTools

TRANSFER = "transfer_to_"
"""What the names of tools begin with that patterns give to agents, and no file names."""


def means(name: str, reference: str, tool: str, toolsets: Mapping[str, Any]) -> bool:
    """Return whether a name means a tool of an agent.

    Args:
        name: `docs`, `docs.search`, `package.module:name`, or what a model calls the tool.
        reference: What the agent names it by.
        tool: What a model calls it.
        toolsets: What the file has under `tools`.
    """
    if name in (tool, reference) or reference.startswith(f"{name}."):
        return True
    if not name.startswith(f"{reference}."):
        return False
    part, settings = name.removeprefix(f"{reference}."), toolsets.get(reference)
    return tool in (part, PARTS.get(settings.use if settings is not None else reference, {}).get(part))


def may_mean(name: str, reference: str, toolsets: Mapping[str, Any]) -> bool:
    """Return whether a name means a tool of an agent, as far as that can be told without importing or opening anything.

    What an import path or a server gives is not known before: any plain name may be one of its tools.
    """
    known = known_names(reference, toolsets)
    if any(means(name, reference, tool, toolsets) for tool in known):
        return True
    return is_open(reference, toolsets) and can_mean(name, reference)


def is_open(reference: str, toolsets: Mapping[str, Any]) -> bool:
    """Return whether only importing or opening something tells the names of all tools that a reference means."""
    return ":" in reference or isinstance(toolsets.get(reference), McpTools)


def can_mean(name: str, reference: str) -> bool:
    """Return whether a name has the form of one that means a tool of a reference whose tools are not known."""
    return name.removeprefix(f"{reference}.").isidentifier() or name == reference


def called(
    names: Iterable[str], tools: Mapping[str, Sequence[Tool]], toolsets: Mapping[str, Any]
) -> dict[str, list[str]]:
    """Return what models call the tools that names mean, by the names.

    Args:
        names: As they are in the file.
        tools: Of an agent, by what it names them.
        toolsets: What the file has under `tools`.
    """
    return {
        name: [
            name_of_tool(tool)
            for reference, given in tools.items()
            for tool in given
            if means(name, reference, name_of_tool(tool), toolsets)
        ]
        for name in names
    }
