"""The JSON schema of team files, for editors: keys, what they are for, and for each pattern its options."""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Mapping
from typing import Any, get_args

from pydantic import TypeAdapter
from pydantic.errors import PydanticUserError

from graphs.registry import REGISTRY, find
from orchestra.teamfile.model import PatternName, TeamFile
from orchestra.teamfile.options import conditions, is_knob, knobs
from orchestra.teamfile.parts import ONLY_PYTHON, Part, parts_of, plain_hint, words_of
from state.context import Context

DIALECT = "https://json-schema.org/draft/2020-12/schema"
_ARGUMENT = re.compile(r"^ {8}(\w+): (.*(?:\n {12}.*)*)", re.MULTILINE)


def team_schema() -> dict[str, Any]:
    """Return the JSON schema of a team file, with the options of every pattern."""
    schema = TeamFile.model_json_schema()
    definitions = schema.pop("$defs")
    for pattern in get_args(PatternName):
        definitions[_name_of(pattern)] = _options_of(pattern)
    definitions |= {f"knob_{name}": one for name, one in _knobs().items()}
    pattern = schema["properties"]["pattern"]
    pattern["description"] += (
        " " + "; ".join(f"{name}: {REGISTRY[name].use_when}" for name in get_args(PatternName)) + "."
    )
    whole = {
        "$schema": DIALECT,
        "title": "Orchestra team",
        **{key: value for key, value in schema.items() if key != "title"},
        "allOf": [_options_for(name) for name in get_args(PatternName)],
        "$defs": dict(sorted(definitions.items())),
    }
    cleaned: dict[str, Any] = _without_titles(whole)
    return {**cleaned, "title": "Orchestra team"}


def schema_text() -> str:
    """Return the schema as it is published."""
    return json.dumps(team_schema(), ensure_ascii=False, indent=2) + "\n"


def _options_for(pattern: str) -> dict[str, Any]:
    """Return the rule that a file with this pattern has the options of this pattern."""
    when: dict[str, Any] = {"properties": {"pattern": {"const": pattern}}}
    if pattern != TeamFile.model_fields["pattern"].default:
        when["required"] = ["pattern"]
    return {"if": when, "then": {"properties": {"options": {"$ref": f"#/$defs/{_name_of(pattern)}"}}}}


def _name_of(pattern: str) -> str:
    return "".join(word.title() for word in pattern.split("_")) + "Options"


def _options_of(pattern: str) -> dict[str, Any]:
    said = _descriptions(pattern)
    properties = {
        name: {**_argument(part), "description": said.get(name, "")}
        for name, part in parts_of(pattern).items()
        if name not in ONLY_PYTHON
    }
    properties |= {name: {"$ref": f"#/$defs/knob_{name}"} for name in knobs() if is_knob(name, pattern)}
    return {"type": "object", "additionalProperties": False, "properties": properties}


def _argument(part: Part) -> dict[str, Any]:
    """Return the schema of one argument of a pattern's `build`."""
    if part.is_many:
        return {"type": "array", "items": {"type": "string"}}
    if part.is_agent:
        return {"type": "string"} if not words_of(part) else {"type": "string", "examples": list(words_of(part))}
    if part.name == "until":
        known = {name: {"type": ["number", "string"]} for name in conditions()}
        every = {"type": "object", "additionalProperties": False, "properties": known, "minProperties": 1}
        return {**every, "properties": {**known, "all": every}}
    hint = plain_hint(part)
    if part.name == "carry":
        return {"enum": ["only_task", "notes", "whole_turn"]}
    try:
        schema = TypeAdapter(hint).json_schema(ref_template="#/$defs/{model}")
    except PydanticUserError:
        return {}
    return _inlined(schema)


def _inlined(schema: dict[str, Any]) -> dict[str, Any]:
    """Return a schema with what it refers to in the place of the references; none refers to itself."""
    definitions = schema.pop("$defs", {})

    def put(value: Any) -> Any:
        if isinstance(value, dict):
            if "$ref" in value:
                return put(definitions[value["$ref"].rpartition("/")[2]])
            return {key: put(one) for key, one in value.items()}
        return [put(one) for one in value] if isinstance(value, list) else value

    found: dict[str, Any] = put(schema)
    return found


def _knobs() -> dict[str, Any]:
    schema = TypeAdapter(Context).json_schema()
    found = _inlined(schema)["properties"]
    return {name: {key: one for key, one in found[name].items() if key != "default"} for name in knobs()}


def _descriptions(pattern: str) -> Mapping[str, str]:
    """Return what the docstring of a pattern's `build` says of each argument."""
    text = inspect.unwrap(find(pattern).load().build).__doc__ or ""
    arguments = text.partition("Args:")[2].partition("Raises:")[0]
    return {found[1]: " ".join(found[2].split()) for found in _ARGUMENT.finditer(arguments)}


def _without_titles(value: Any, *, names: bool = False) -> Any:
    """Return a schema without the titles that Pydantic makes of the names of keys: editors would show everything twice.

    Args:
        value: A schema, or a part of one.
        names: Whether the keys of `value` are names of a file rather than words of a schema.
    """
    if isinstance(value, dict):
        return {
            key: _without_titles(one, names=key in ("properties", "$defs") and not names)
            for key, one in value.items()
            if names or key != "title" or not isinstance(one, str)
        }
    return [_without_titles(one) for one in value] if isinstance(value, list) else value
