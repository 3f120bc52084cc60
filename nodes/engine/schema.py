"""Schemas: an answer in any shape that a JSON schema asks for, filled as far as the request allows."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from nodes.engine.conform import (
    MAX_DEPTH,
    UNKNOWN,
    JsonSchema,
    alternatives,
    fit_array,
    fit_number,
    fit_string,
    kind_of,
    neutral,
    resolve,
)
from nodes.engine.facts import FactKind, facts
from nodes.engine.items import Item, items_for, source_text, task_items
from nodes.engine.material import Material
from nodes.engine.options import named_in
from nodes.engine.roles import Field
from nodes.engine.toolbox import Tool
from nodes.engine.values import Values
from nodes.engine.words import plain

_FINAL = re.compile(r"finish|final|answer|done|respon|complete|result|report|conclu", re.IGNORECASE)
_LISTED: dict[str, tuple[FactKind, ...]] = {
    **dict.fromkeys(
        ("names", "people", "persons", "entities", "places", "locations", "companies", "organizations"), ("name",)
    ),
    **dict.fromkeys(("urls", "links"), ("url",)),
    **dict.fromkeys(("files", "paths"), ("path",)),
    "emails": ("email",),
    "dates": ("date",),
    "numbers": ("number", "money"),
    "amounts": ("money",),
    "ids": ("identifier",),
    "phones": ("phone",),
}


def fill_schema(schema: JsonSchema, material: Material) -> dict[str, Any]:
    """Fill the schema of an object for a request.

    Returns:
        A value that satisfies the schema. What nothing in the request tells is null or left out where that is allowed,
        and else the value that claims least.
    """
    value = _Filler(schema, material).object(schema, (), None, 0)
    return value if isinstance(value, dict) else {}


def fill_each(schema: JsonSchema, material: Material) -> list[dict[str, Any]]:
    """Fill the schema of an object once for each part of a task if it gives a task to somebody, else once."""
    properties = resolve(schema, schema).get("properties", {})
    roles = {Field(name, "", inner).role for name, inner in properties.items()}
    if not {"agent", "question"} <= roles:
        return [fill_schema(schema, material)]
    return [_Filler(schema, material).object(schema, (), item, 0) for item in task_items(material)]


def choose_response(responses: Sequence[Tool], material: Material) -> Tool:
    """Choose which of several response schemas to fill: the final one when there are results, else one to act."""
    final = [
        tool for tool in responses if _FINAL.search(tool.name) or "answer" in tool.parameters.get("properties", {})
    ]
    acting = [tool for tool in responses if tool not in final]
    if not acting or not final:
        return responses[0]
    request, found = material.request, material.grounded and material.sufficient
    return final[0] if found or request.results or request.steps else acting[0]


class _Filler:
    """Walks a schema; the values themselves come from `Values`."""

    def __init__(self, root: JsonSchema, material: Material) -> None:
        self._root = root
        self._values = Values(material)
        self._material = material
        self._open: list[str] = []  # titles of the objects being filled, outermost first

    def object(self, schema: JsonSchema, parents: tuple[str, ...], item: Item | None, depth: int) -> Any:
        schema = resolve(schema, self._root)
        required = set(schema.get("required", ()))
        filled: dict[str, Any] = {}
        self._open.append(str(schema.get("title", "")))
        beside = frozenset(Field(name, "", inner).role for name, inner in schema.get("properties", {}).items())
        for name, inner in schema.get("properties", {}).items():
            inner = resolve(inner, self._root)
            field = Field(name, str(inner.get("description", "")), inner, parents, name in required, beside)
            value = self._value(inner, field, item, depth + 1)
            if value is not UNKNOWN:
                filled[name] = value
            elif field.required:
                filled[name] = neutral(inner, self._root, depth)
        self._open.pop()
        if not schema.get("properties") and isinstance(schema.get("additionalProperties"), Mapping):
            return self._mapping(schema["additionalProperties"], parents, depth)
        return filled

    def _value(self, schema: JsonSchema, field: Field, item: Item | None, depth: int) -> Any:
        """Fill one place: the first alternative that something is known for, else null if allowed, else unknown."""
        if depth > MAX_DEPTH:
            return UNKNOWN
        options = alternatives(schema, self._root)
        for option in self._likely(options):
            value = self._of_kind(option, replace(field, schema=option), item, depth)
            if value is not UNKNOWN:
                return value
        nullable = any(kind_of(option) == "null" for option in options)
        return None if nullable and "default" not in schema else UNKNOWN

    def _likely(self, options: list[JsonSchema]) -> list[JsonSchema]:
        """Order the alternatives of a union: the final answer comes last while there is nothing to answer from."""
        found = [option for option in options if kind_of(option) != "null"]
        final = [option for option in found if _FINAL.search(str(option.get("title", "")))]
        if not final or len(final) == len(found):
            return found
        answered = self._material.sufficient or self._material.request.material
        return sorted(found, key=lambda option: (option in final) != bool(answered))

    def _of_kind(self, schema: JsonSchema, field: Field, item: Item | None, depth: int) -> Any:
        if "const" in schema:
            return schema["const"]
        if "enum" in schema:
            return self._values.member(
                field, [member for member in schema["enum"] if member is not None] or schema["enum"], item
            )
        kind = kind_of(schema)
        if kind == "object":
            return self._nested(schema, field, item, depth)
        if kind == "array":
            return self._array(schema, field, item, depth)
        if kind == "boolean":
            return self._values.flag(field)
        if kind in ("integer", "number"):
            value = self._values.number(field, item)
            return UNKNOWN if value is UNKNOWN else fit_number(float(value), schema)
        value = self._values.text(field, item)
        return UNKNOWN if value is UNKNOWN or (value == "" and not field.required) else fit_string(str(value), schema)

    def _nested(self, schema: JsonSchema, field: Field, item: Item | None, depth: int) -> Any:
        """Fill an object inside another: about a quote if it asks for one, else about the same thing as what is around it."""
        properties = resolve(schema, self._root).get("properties", {})
        roles = {Field(name, "", inner).role for name, inner in properties.items()}
        if item is None and roles & {"quote", "citation"} and self._material.quotes:
            best = self._material.quotes[0]
            item = Item("quote", best.text, quote=best)
        return self.object(schema, (*field.parents, field.name), item, depth)

    def _array(self, schema: JsonSchema, field: Field, item: Item | None, depth: int) -> Any:
        if "prefixItems" in schema:
            return [self._or_neutral(inner, field, item, depth) for inner in schema["prefixItems"]]
        inner = resolve(schema.get("items", {}), self._root)
        options = [option for option in alternatives(inner, self._root) if kind_of(option) != "null"] or [inner]
        kind = kind_of(options[0])
        if kind == "object" and options[0].get("properties"):
            found: list[Any] | None = self._objects(options[0], field, depth)
        elif "const" in options[0]:
            found = []
        elif "enum" in options[0]:
            found = self._members(options[0], field, item)
        elif kind in ("integer", "number") and field.role == "depends":
            found = [index + 1 for index in item.after] if item is not None else []
        elif kind in ("integer", "number"):
            found = [
                fit_number(fact.number, options[0]) for fact in facts(source_text(self._material), ("number", "money"))
            ]
        elif kind == "string":
            strings = self._strings(field, item)
            found = None if strings is None else [fit_string(text, options[0]) for text in strings]
        else:
            found = None
        if found is None:
            return UNKNOWN if not field.required else fit_array([], schema, self._root, depth)
        return fit_array(found, schema, self._root, depth)

    def _strings(self, field: Field, item: Item | None) -> list[str] | None:
        if item is not None and field.role == "depends":
            return [f"t{index + 1}" for index in item.after]
        if item is not None and field.role not in ("citation", "source", "quote"):
            return None
        if item is not None and item.quote is not None:
            return (
                [item.quote.source.id]
                if field.role == "citation"
                else [item.quote.text if field.role == "quote" else item.quote.source.origin]
            )
        listed = _LISTED.get(field.words[-1])
        if listed and not self._material.grounded:
            return list(dict.fromkeys(fact.text for fact in facts(source_text(self._material), listed)))
        return self._values.wording.strings(field)

    def _objects(self, schema: JsonSchema, field: Field, depth: int) -> list[Any]:
        properties = resolve(schema, self._root).get("properties", {})
        found: list[Any] = []
        if schema.get("title") in self._open:  # a tree: nothing tells how it goes on
            return found
        for item in items_for(field, properties, self._material, self._values.choices, self._values.standing.issues):
            value = self.object(schema, (*field.parents, field.name), item, depth + 1)
            if item.kind != "record" or self._is_filled(value, schema, depth):
                found.append(value)
        return found

    def _is_filled(self, value: Mapping[str, Any], schema: JsonSchema, depth: int) -> bool:
        """Say whether a record says anything beyond what is neutral."""
        empty = neutral(schema, self._root, depth)
        known = sum(inner not in ("", None, [], empty.get(name)) for name, inner in value.items())
        return 2 * known >= len(schema.get("required", ())) and known > 0

    def _members(self, schema: JsonSchema, field: Field, item: Item | None) -> list[Any]:
        names = [member for member in schema["enum"] if isinstance(member, str)]
        if len(names) < len(schema["enum"]):
            return []
        text = (
            item.text if item is not None else plain(f"{self._material.request.task} {self._material.request.inline}")
        )
        return list(self._values.choices.several(text, named_in(field.description, names) or names))

    def _mapping(self, inner: JsonSchema, parents: tuple[str, ...], depth: int) -> dict[str, Any]:
        """Fill an object with free keys: by option for scores, by part for answers to several questions, else empty."""
        name = parents[-1] if parents else ""
        field = Field(name, "", inner, parents)
        if field.role in ("scores", "agent", "winner"):
            items = [Item("option", name, i) for i, name in enumerate(self._values.choices.merits())]
        elif field.role == "question":
            items = task_items(self._material)
        else:
            items = []
        return {item.text: self._or_neutral(inner, field, item, depth) for item in items}

    def _or_neutral(self, schema: JsonSchema, field: Field, item: Item | None, depth: int) -> Any:
        value = self._value(schema, field, item, depth + 1)
        return neutral(schema, self._root, depth) if value is UNKNOWN else value
