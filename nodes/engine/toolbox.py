"""The toolbox: the tools and response schemas that a request binds, and what kind of tool each is."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, is_dataclass
from functools import cached_property
from typing import Any, Literal

from langchain_core.tools import BaseTool, StructuredTool
from langchain_core.utils.function_calling import convert_to_openai_tool
from pydantic import BaseModel, TypeAdapter
from typing_extensions import is_typeddict

from nodes.engine.arguments import QUERY_NAMES

ToolRole = Literal["search", "read", "list", "handoff", "other"]

RESPONSE_MARK = "x-response-schema"

_SEARCHES = re.compile(
    r"search|find|look(?:ing)?[ _-]?up|retriev|query|lookup|wiki|google|browse|ask the docs", re.IGNORECASE
)
_READS = re.compile(r"read|open|fetch|load|get|show|neighbour|neighbor|context", re.IGNORECASE)
_LISTS = re.compile(r"^(?:list|show|enumerate|ls)(?:_|$)|^get_(?:all|available)_", re.IGNORECASE)
_HANDS = re.compile(r"^(?:transfer|handoff|hand_off|hand_over|delegate|escalate|consult|ask_|route)", re.IGNORECASE)
_CLASS_NAME = re.compile(r"[A-Z][A-Za-z0-9]*$")


@dataclass(frozen=True)
class Tool:
    """A tool or a response schema as the engine sees it.

    Attributes:
        name: As bound.
        description: What it says of itself.
        parameters: JSON schema of its arguments.
        response: Whether calling it is giving the final, structured answer.
    """

    name: str
    description: str
    parameters: Mapping[str, Any]
    response: bool = False

    @cached_property
    def required(self) -> list[str]:
        """Names of the arguments that must be given."""
        return list(self.parameters.get("required", ()))

    @cached_property
    def query_argument(self) -> str | None:
        """The argument that a search takes its query in."""
        return next((name for name in self.parameters.get("properties", {}) if name.lower() in QUERY_NAMES), None)

    @cached_property
    def passage_argument(self) -> str | None:
        """The argument that names a passage or another hit of a search."""
        names = self.parameters.get("properties", {})
        return next(
            (name for name in names if re.fullmatch(r"(?:passage|chunk|hit|doc(?:ument)?)(?:_?id)?|id", name)), None
        )

    @cached_property
    def role(self) -> ToolRole:
        """What the tool is for, by its name, arguments and description."""
        says = f"{self.name} {self.description}"
        if _HANDS.match(self.name):
            return "handoff"
        if self.query_argument and set(self.required) <= {self.query_argument} and _SEARCHES.search(says):
            return "search"
        if self.passage_argument and set(self.required) <= {self.passage_argument} and _READS.search(says):
            return "read"
        if _LISTS.match(self.name) and not self.required:
            return "list"
        return "other"


@dataclass(frozen=True)
class Toolbox:
    """What a request binds.

    Attributes:
        tools: Tools that do something.
        responses: Schemas of the final answer, one of which is to be filled.
        forced: Name of a tool that must be called, `"any"` for one of them, "" for a free choice, `"none"` for no call.
        as_text: Whether the answer is to be JSON text instead of a call.
    """

    tools: tuple[Tool, ...] = ()
    responses: tuple[Tool, ...] = ()
    forced: str = ""
    as_text: bool = False

    def of(self, role: ToolRole) -> list[Tool]:
        """List the tools of a role, in the order they were bound."""
        return [tool for tool in self.tools if tool.role == role]


def describe_tool(tool: Any) -> dict[str, Any]:
    """Turn anything that can be bound into an OpenAI tool; a schema of the final answer is marked as one.

    LangChain's agents bind a response schema as a structured tool without a function; `with_structured_output` binds the
    class itself.
    """
    described = dict(convert_to_openai_tool(tool))
    bare = isinstance(tool, StructuredTool) and tool.func is None and tool.coroutine is None
    schema = isinstance(tool, type) and not issubclass(tool, BaseTool)
    if bare or schema or (isinstance(tool, dict) and "title" in tool and "properties" in tool):
        described[RESPONSE_MARK] = True
        described["function"] = {**described["function"], "parameters": _full_schema(tool, described["function"])}
    return described


def read_toolbox(
    tools: Sequence[Mapping[str, Any]], *, choice: object = None, response_format: object = None
) -> Toolbox:
    """Read what was bound.

    Args:
        tools: OpenAI tools, response schemas among them marked by `describe_tool` or named like a class.
        choice: `tool_choice` in any of its forms: None, bool, "auto", "none", "any", "required", a name, or a dict.
        response_format: A JSON schema that the answer's text must match, in OpenAI's form.
    """
    found = [_tool(described) for described in tools if described.get("type", "function") == "function"]
    forced = _forced(choice)
    responses = tuple(tool for tool in found if tool.response)
    schema = _format_schema(response_format)
    if schema is not None:
        responses = (
            Tool(str(schema.get("title", "answer")), str(schema.get("description", "")), schema, response=True),
        )
    return Toolbox(tuple(tool for tool in found if not tool.response), responses, forced, schema is not None)


def _full_schema(tool: Any, described: Mapping[str, Any]) -> Mapping[str, Any]:
    """Give a response schema with all its constraints: the form for providers leaves patterns out."""
    if isinstance(tool, StructuredTool) and isinstance(tool.args_schema, dict):
        return tool.args_schema
    if isinstance(tool, type) and (is_typeddict(tool) or is_dataclass(tool) or issubclass(tool, BaseModel)):
        return TypeAdapter(tool).json_schema()
    return dict(described.get("parameters", {}))


def _tool(described: Mapping[str, Any]) -> Tool:
    function = described.get("function", described)
    name = str(function.get("name", ""))
    parameters = function.get("parameters") or {"type": "object", "properties": {}}
    response = bool(described.get(RESPONSE_MARK)) or bool(_CLASS_NAME.match(name))
    return Tool(name, str(function.get("description") or ""), parameters, response)


def _forced(choice: object) -> str:
    if isinstance(choice, Mapping):
        function = choice.get("function", choice)
        return str(function.get("name", "")) if isinstance(function, Mapping) else ""
    if choice in (True, "any", "required"):
        return "any"
    return "" if choice in (None, False, "auto") else str(choice)


def _format_schema(response_format: object) -> Mapping[str, Any] | None:
    if not isinstance(response_format, Mapping):
        return None
    inner = response_format.get("json_schema", response_format)
    schema = inner.get("schema", inner) if isinstance(inner, Mapping) else None
    if not isinstance(schema, Mapping) or "properties" not in schema:
        return (
            {"type": "object", "properties": {"answer": {"type": "string"}}, "required": ["answer"]}
            if (response_format.get("type") == "json_object")
            else None
        )
    named = {"title": inner["name"], **schema} if isinstance(inner, Mapping) and "name" in inner else schema
    return dict(named)
