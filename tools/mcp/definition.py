"""What a server says of a tool: data from outside, so it is cleaned, clipped, and pinned by a hash.

Source: MCP specification 2025-11-25, "Tools" (names, annotations); "rug pull": Invariant Labs, MCP tool poisoning, 2025.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mcp.types import Tool, ToolAnnotations

from state.errors import ConfigurationError

MOST_NAME = 64
"""Characters of a tool's name; what providers of models take."""
MOST_DESCRIPTION = 4_000
"""Characters of a tool's description."""
MOST_NOTE = 1_000
"""Characters of the description of one argument."""
MOST_SCHEMA = 50_000
"""Characters of the JSON that says what a tool takes."""

_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9_-]")
_CONTROL = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\U000e0000-\U000e007f]"
)
"""Control characters, and such as nobody sees: directions, joiners, tags."""
_RESERVED = frozenset({"self", "config", "runtime", "run_manager", "callbacks"})
"""Names of arguments that LangChain keeps for itself."""


@dataclass(frozen=True)
class Definition:
    """A tool as its server defines it, and as a model is shown it."""

    server: str
    original: str
    """Its name on the server."""
    shown: Tool
    pin: str
    """SHA-256, in hexadecimal, of all that the server says of it."""
    renamed: Mapping[str, str]
    """What an argument that a model is shown is called on the server, where that differs."""

    @property
    def name(self) -> str:
        """The name a model calls it by."""
        return self.shown.name

    @property
    def hints(self) -> ToolAnnotations | None:
        """What the server says of the tool's ways; nobody has checked it."""
        return self.shown.annotations


def definition_of(tool: Tool, server: str, *, prefix: bool) -> Definition:
    """Return a tool's definition, clean enough to show to a model.

    Raises:
        ConfigurationError: Its schema is none, or too large.
    """
    name = shown_name(tool, server, prefix=prefix)
    schema, renamed = _shown_schema(tool.inputSchema, f"{server}: {name}")
    description = clean(tool.description or tool.title or "", MOST_DESCRIPTION)
    shown = Tool(name=name, description=description, inputSchema=schema, annotations=tool.annotations)
    return Definition(server, tool.name, shown, pin_of(tool), renamed)


def shown_name(tool: Tool, server: str, *, prefix: bool) -> str:
    """Return the name a model calls a tool by: one that every provider of models takes."""
    name = _NOT_IN_NAMES.sub("_", f"{server}_{tool.name}" if prefix else tool.name)[:MOST_NAME]
    if not name.strip("_"):
        raise ConfigurationError(f"server {server}: a tool's name has no letter or digit: {clean(tool.name, 80)!r}")
    return name


def pin_of(tool: Tool) -> str:
    """Return the hash of all that a server says of a tool and that a model or a right could depend on."""
    parts = {"name", "title", "description", "inputSchema", "outputSchema", "annotations"}
    told = tool.model_dump(mode="json", include=parts, exclude_none=True)
    text = json.dumps(told, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()


def clean(text: str, most: int) -> str:
    """Return text from outside without characters that nobody sees, and at most so many of them."""
    text = _CONTROL.sub("", text.replace("\r\n", "\n")).encode("utf-8", "replace").decode("utf-8")
    return text if len(text) <= most else f"{text[: most - 4]} ..."


def _shown_schema(schema: Any, tool: str) -> tuple[dict[str, Any], dict[str, str]]:
    if len(json.dumps(schema)) > MOST_SCHEMA:
        raise ConfigurationError(f"{tool}: expected a schema of at most {MOST_SCHEMA} characters; leave the tool out")
    properties = schema.get("properties", {})
    if schema.get("type", "object") != "object" or not isinstance(properties, dict):
        raise ConfigurationError(f"{tool}: expected the schema of an object, got another; leave the tool out")
    renamed = {_free_name(name, properties): name for name in properties if name in _RESERVED}
    shown_as = {name: shown for shown, name in renamed.items()}
    noted = _with_clean_notes(schema)
    noted["type"] = "object"
    noted["properties"] = {shown_as.get(name, name): one for name, one in noted.get("properties", {}).items()}
    if isinstance(noted.get("required"), list):
        noted["required"] = [shown_as.get(name, name) for name in noted["required"] if isinstance(name, str)]
    return noted, renamed


def _free_name(name: str, taken: Mapping[str, Any]) -> str:
    name = f"{name}_"
    while name in taken:
        name += "_"
    return name


def _with_clean_notes(part: Any) -> Any:
    if isinstance(part, dict):
        return {
            key: clean(value, MOST_NOTE)
            if key in ("description", "title", "$comment") and isinstance(value, str)
            else _with_clean_notes(value)
            for key, value in part.items()
        }
    return [_with_clean_notes(one) for one in part] if isinstance(part, list) else part
