"""Conformity: values that satisfy a JSON schema, whatever was found."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from nodes.engine.patterns import accepts, example

JsonSchema = Mapping[str, Any]

UNKNOWN: Final = object()  # a value that nothing in the request tells: neither null nor empty; who meets it decides

MAX_DEPTH = 8  # of nested schemas; a schema that refers to itself ends there at its smallest value

_FORMATS = {
    "date": "1970-01-01",
    "date-time": "1970-01-01T00:00:00Z",
    "time": "00:00:00Z",
    "duration": "PT0S",
    "email": "unknown@example.invalid",
    "uri": "https://example.invalid/",
    "url": "https://example.invalid/",
    "uuid": "00000000-0000-0000-0000-000000000000",
    "ipv4": "192.0.2.0",
    "ipv6": "::",
    "hostname": "example.invalid",
    "binary": "",
    "byte": "",
    "decimal": "0",
}
_HONEST = ("unknown", "none", "n/a", "na", "other", "unclear", "neutral", "not_stated", "unspecified", "default")


def resolve(schema: JsonSchema, root: JsonSchema) -> JsonSchema:
    """Follow references and merge `allOf`, so that a schema says directly what it allows."""
    for _ in range(MAX_DEPTH):
        if "$ref" in schema:
            target: Any = root
            for step in str(schema["$ref"]).lstrip("#/").split("/"):
                target = target.get(step, {}) if isinstance(target, Mapping) else {}
            schema = {**target, **{key: value for key, value in schema.items() if key != "$ref"}}
        elif "allOf" in schema:
            merged: dict[str, Any] = {key: value for key, value in schema.items() if key != "allOf"}
            for inner in schema["allOf"]:
                merged = {**resolve(inner, root), **merged}
            schema = merged
        else:
            break
    return schema


def alternatives(schema: JsonSchema, root: JsonSchema) -> list[JsonSchema]:
    """List the schemas that a value may satisfy, one of them being enough; a list of types gives one for each."""
    schema = resolve(schema, root)
    for key in ("anyOf", "oneOf"):
        if key in schema:
            rest = {name: value for name, value in schema.items() if name not in (key, "default", "discriminator")}
            inners = list(schema[key])
            if [inner.get("type") for inner in inners[:2]] == ["number", "string"]:  # how Pydantic describes a Decimal
                del inners[1]
            return [found for inner in inners for found in alternatives({**rest, **resolve(inner, root)}, root)]
    if isinstance(schema.get("type"), list):
        return [{**schema, "type": kind} for kind in schema["type"]]
    return [schema]


def kind_of(schema: JsonSchema) -> str:
    """Name a schema's type; one that does not say it is judged by its keywords, and is a string if nothing tells."""
    if "type" in schema:
        return str(schema["type"])
    if "properties" in schema or "additionalProperties" in schema:
        return "object"
    if "items" in schema or "prefixItems" in schema:
        return "array"
    members = schema.get("enum", [schema["const"]] if "const" in schema else [""])
    return {bool: "boolean", int: "integer", float: "number"}.get(type(members[0]), "string")


def neutral(schema: JsonSchema, root: JsonSchema, depth: int = 0) -> Any:
    """Give the value that claims least: null where allowed, else the default, else empty, zero, false, the member `unknown`."""
    options = alternatives(schema, root)
    if any(kind_of(option) == "null" for option in options):
        return None
    if "default" in schema:
        return schema["default"]
    option = options[0]
    if "const" in option:
        return option["const"]
    if "enum" in option:
        return honest_member(option["enum"])
    kind = kind_of(option)
    if kind == "object":
        required = option.get("required", ()) if depth < MAX_DEPTH else ()
        properties = option.get("properties", {})
        return {name: neutral(properties.get(name, {}), root, depth + 1) for name in required}
    if kind == "array":
        return _neutral_array(option, root, depth)
    if kind == "boolean":
        return False
    return fit_number(0, option) if kind in ("integer", "number") else fit_string("", option)


def honest_member(members: Sequence[Any]) -> Any:
    """Choose the member of an enumeration that claims least; the first if none says so."""
    for member in members:
        if member is None or str(member).lower().replace(" ", "_") in _HONEST:
            return member
    return members[0]


def fit_number(value: float, schema: JsonSchema) -> float | int:
    """Bring a number into a schema's bounds and, for an integer, round it."""
    whole = kind_of(schema) == "integer"
    low, high = _bounds(schema, step=1.0 if whole else 1e-6)
    value = min(max(value, low), high)
    if multiple := schema.get("multipleOf"):
        steps = (
            math.floor(value / multiple)
            if math.ceil(value / multiple) * multiple > high
            else math.ceil(value / multiple)
        )
        value = steps * multiple
    if whole:
        return round(value) if math.isfinite(value) else 0
    return value


def limits(schema: JsonSchema) -> tuple[float | None, float | None]:
    """Give a number's smallest and largest allowed value; None where there is none."""
    low, high = _bounds(schema, step=0.0)
    return (low if math.isfinite(low) else None), (high if math.isfinite(high) else None)


def fit_string(text: str, schema: JsonSchema) -> str:
    """Bring a string into a schema's length, format and pattern; "" stays "" where that is allowed."""
    if (form := schema.get("format")) in _FORMATS and not _has_format(text, str(form)):
        text = _FORMATS[str(form)]
    longest = schema.get("maxLength")
    if longest is not None and len(text) > longest:
        text = _clip(text, int(longest))
    shortest = int(schema.get("minLength", 0))
    if len(text) < shortest:
        text = text if text else "unknown"
        text += "." * (shortest - len(text))
        text = text[: int(longest)] if longest is not None else text
    pattern = schema.get("pattern")
    return text if pattern is None or accepts(pattern, text) else example(pattern, text)


def fit_array(values: list[Any], schema: JsonSchema, root: JsonSchema, depth: int = 0) -> list[Any]:
    """Bring a list into a schema's length: cut at the end, or filled up with neutral values."""
    if schema.get("uniqueItems"):
        values = [value for i, value in enumerate(values) if value not in values[:i]]
    values = values[: schema.get("maxItems", len(values))]
    missing = schema.get("minItems", 0) - len(values)
    return [*values, *(neutral(schema.get("items", {}), root, depth + 1) for _ in range(missing))]


def _neutral_array(schema: JsonSchema, root: JsonSchema, depth: int) -> list[Any]:
    if "prefixItems" in schema:
        return [neutral(inner, root, depth + 1) for inner in schema["prefixItems"]]
    return fit_array([], schema, root, depth) if depth < MAX_DEPTH else []


def _bounds(schema: JsonSchema, *, step: float) -> tuple[float, float]:
    low, high = float(schema.get("minimum", -math.inf)), float(schema.get("maximum", math.inf))
    if isinstance(schema.get("exclusiveMinimum"), (int, float)):
        low = max(low, schema["exclusiveMinimum"] + step)
    if isinstance(schema.get("exclusiveMaximum"), (int, float)):
        high = min(high, schema["exclusiveMaximum"] - step)
    return low, high


def _clip(text: str, longest: int) -> str:
    """Cut at a sentence's end if one lies in the last two thirds, else at a word's."""
    cut = text[:longest]
    end = max(cut.rfind(mark) for mark in (". ", "? ", "! "))
    return (
        cut[: end + 1]
        if end >= longest / 3
        else cut[: cut.rfind(" ", longest // 2)]
        if " " in cut[longest // 2 :]
        else cut
    )


def _has_format(text: str, form: str) -> bool:
    shapes = {
        "date": r"\d{4}-\d{2}-\d{2}",
        "date-time": r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(:\d{2}(\.\d+)?)?(Z|[+-]\d{2}:?\d{2})?",
        "time": r"\d{2}:\d{2}(:\d{2})?(Z|[+-]\d{2}:?\d{2})?",
        "email": r"[^@\s]+@[^@\s]+\.[^@\s]+",
        "uri": r"[a-z][a-z0-9+.-]*://\S+",
        "url": r"[a-z][a-z0-9+.-]*://\S+",
        "uuid": r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}",
        "ipv4": r"\d{1,3}(\.\d{1,3}){3}",
        "decimal": r"-?\d+(\.\d+)?",
    }
    return re.fullmatch(shapes.get(form, ".*"), text, re.DOTALL) is not None
