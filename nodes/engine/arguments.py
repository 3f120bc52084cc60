"""Arguments: what a tool's parameters are filled with from the text of a task."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from nodes.engine.conform import kind_of, neutral
from nodes.engine.facts import FORMATS, Fact, FactKind, facts, labelled, nearest
from nodes.engine.question import query, title
from nodes.engine.roles import split_name
from nodes.engine.vocabulary import vocabulary
from nodes.engine.words import key_terms, plain, terms

QUERY_NAMES = vocabulary("query q question search text keyword keywords term terms topic search_query search_term")
_TEXT_NAMES = vocabulary(
    """text content body message input prompt task instruction instructions request description note comment reason
    subject title"""
)
_AGENT_NAMES = vocabulary("agent name worker specialist assistant peer expert to")
_KIND_NAMES: tuple[tuple[FactKind, frozenset[str]], ...] = (
    ("email", vocabulary("email mail recipient to sender cc address")),
    ("url", vocabulary("url uri link website href endpoint")),
    ("date", vocabulary("date day start end due deadline birthday from until since")),
    ("time", vocabulary("time hour at")),
    ("phone", vocabulary("phone telephone mobile number")),
    ("path", vocabulary("path file filename filepath folder directory")),
    ("identifier", vocabulary("id identifier key code reference ref number no ticket order invoice sku account case")),
    ("name", vocabulary(
    """name city location place country customer person user company town destination origin region state author
    who"""
)),
)  # fmt: skip
_EXPRESSION = re.compile(r"[-(\d][\d\s.+\-*/%^()]*[+\-*/%^][\d\s.+\-*/%^()]*[\d)]")
_PLACED = re.compile(r"\b(?:in|for|at|near|from|to|of|about|user|named|called)\s+(?:the\s+)?$", re.IGNORECASE)
_ABOUT = re.compile(r"\b(?:about|regarding|concerning|on)\s+(?:the\s+)?([^:,.;!?\n\"']{3,80})", re.IGNORECASE)
_CALLED = r"(?:named|called|is|of|=|:|#)?\s*"


class Unfilled(Exception):
    """A required argument that the text does not hold."""


def fill_arguments(parameters: Mapping[str, Any], text: str, *, options: Sequence[str] = ()) -> dict[str, Any] | None:
    """Fill a tool's parameters from a text; None when a required one is not in it.

    `options` are the names that a free-text parameter for an agent may take, best first.
    """
    filler = _Filler(text, options)
    try:
        return filler.object(parameters)
    except Unfilled:
        return None


def neutral_arguments(parameters: Mapping[str, Any], text: str) -> dict[str, Any]:
    """Fill the required parameters of a tool that must be called although the text does not hold them.

    A free string gets the task itself, anything else the value that claims least.
    """
    properties = parameters.get("properties", {})
    found = {}
    for name in parameters.get("required", ()):
        value = fill_arguments({"properties": {name: properties.get(name, {})}, "required": [name]}, text)
        free = kind_of(_concrete(properties.get(name, {}))) == "string" and "enum" not in properties.get(name, {})
        found[name] = value[name] if value else plain(text) if free else neutral(properties.get(name, {}), parameters)
    return found


class _Filler:
    """Fills parameters in order; a value used for one is not used for the next of its kind."""

    def __init__(self, text: str, options: Sequence[str]) -> None:
        self._text = text
        self._facts = facts(text)
        self._used: set[Fact] = set()
        self._options = options

    def object(self, schema: Mapping[str, Any]) -> dict[str, Any]:
        required = set(schema.get("required", ()))
        filled = {}
        for name, inner in schema.get("properties", {}).items():
            value = self._value(name, inner, required=name in required)
            if value is not None:
                filled[name] = value
            elif name in required:
                raise Unfilled(name)
        return filled

    def _value(self, name: str, schema: Mapping[str, Any], *, required: bool) -> Any:
        schema = _concrete(schema)
        if "const" in schema:
            return schema["const"]
        if "enum" in schema:
            return self._member(schema, required=required)
        kind = schema.get("type")
        if kind in ("integer", "number"):
            return self._number(name, schema, required=required)
        if kind == "boolean":
            return self._flag(name, schema, required=required)
        if kind == "array":
            return self._array(name, schema, required=required)
        if kind == "object":
            return self._object(schema, required=required)
        return self._string(name, schema, required=required)

    def _object(self, schema: Mapping[str, Any], *, required: bool) -> Any:
        try:
            return self.object(schema) or (None if not required else {})
        except Unfilled:
            return None

    def _member(self, schema: Mapping[str, Any], *, required: bool) -> Any:
        said = set(terms(self._text))
        members = list(schema["enum"])
        scores = [len(said & set(terms(str(member)))) / max(1, len(set(terms(str(member))))) for member in members]
        if max(scores, default=0.0) > 0.0:
            return members[scores.index(max(scores))]
        mentioned = [
            member for member in members if re.search(rf"\b{re.escape(str(member))}\b", self._text, re.IGNORECASE)
        ]
        if mentioned:
            return mentioned[0]
        return schema.get("default") if not required or "default" in schema else None

    def _number(self, name: str, schema: Mapping[str, Any], *, required: bool) -> float | int | None:
        free = [fact for fact in self._facts if fact.kind in ("number", "money") and fact not in self._used]
        near = nearest(self._text, free, split_name(name))
        fact = near or (free[0] if free and required else None)
        if fact is None:
            return schema.get("default") if required else None
        self._used.add(fact)
        whole = schema.get("type") == "integer"
        return int(fact.number) if whole or fact.number.is_integer() else fact.number

    def _flag(self, name: str, schema: Mapping[str, Any], *, required: bool) -> bool | None:
        if set(terms(" ".join(split_name(name)))) & set(terms(self._text)):
            return True
        return bool(schema.get("default", False)) if required else None

    def _array(self, name: str, schema: Mapping[str, Any], *, required: bool) -> list[Any] | None:
        inner = _concrete(schema.get("items", {}))
        if inner.get("type") in ("integer", "number"):
            found = [fact.number for fact in self._facts if fact.kind in ("number", "money")]
            return [int(n) if inner["type"] == "integer" or n.is_integer() else n for n in found] or (
                [] if required else None
            )
        quoted = [fact.text for fact in self._facts if fact.kind == "quoted"]
        if quoted or not required:
            return quoted or None
        value = self._string(name, inner, required=True)
        return None if value is None else [value]

    def _string(self, name: str, schema: Mapping[str, Any], *, required: bool) -> str | None:
        words = split_name(name)
        if value := labelled(self._text, words):
            return value
        if pair := _pair(self._text, words):
            return pair
        if self._options and words[-1] in _AGENT_NAMES:
            return self._options[0]
        if kind := _kind(words, schema):
            return self._typed(kind, words, required=required)
        if not required:
            return None
        if words[-1] in QUERY_NAMES and not set(words) & (_TEXT_NAMES - QUERY_NAMES):
            return query(self._text) or plain(self._text)
        return self._free_text(words)

    def _typed(self, kind: FactKind, words: Sequence[str], *, required: bool) -> str | None:
        kinds = (kind, "quoted") if kind in ("name", "identifier", "path") else (kind,)
        if kind == "identifier":
            kinds = (*kinds, "number")
        free = [fact for fact in self._facts if fact.kind in kinds and fact not in self._used and fact.text]
        placed = [fact for fact in free if fact.kind == "name" and _PLACED.search(self._text[: fact.start])]
        fact = nearest(self._text, free, words) or next(iter(placed or free if required else placed), None)
        if fact is not None:
            self._used.add(fact)
            return fact.text.lstrip("#") if kind == "identifier" else fact.text
        behind = (
            re.search(r"\b(?:in|for|at|near|from|to|of)\s+(?!the\b|an?\b)([\w-]+)\W*$", self._text)
            if kind == "name"
            else None
        )
        return self._named(words) or (behind[1] if behind and required else None)

    def _free_text(self, words: Sequence[str]) -> str | None:
        if words[-1] in ("expression", "formula", "equation", "calculation"):
            match = _EXPRESSION.search(self._text)
            return match[0].strip() if match else None
        if words[-1] in ("subject", "title", "topic"):
            about = _ABOUT.search(self._text)
            return plain(about[1]) if about else title(self._text)
        quoted = [fact for fact in self._facts if fact.kind == "quoted" and fact not in self._used]
        if quoted:
            self._used.add(quoted[0])
            return quoted[0].text
        if words[-1] in _TEXT_NAMES | QUERY_NAMES:
            given = re.search(r"(?s):\s+(.+)$", self._text)
            return plain(given[1] if given else self._text)
        return self._named(words)

    def _named(self, words: Sequence[str]) -> str | None:
        """The word behind the parameter's name: `user anna`, `the table called orders`."""
        match = re.search(rf"\b{re.escape(words[-1])}\b\s+{_CALLED}([\w./@#-]+)", self._text, re.IGNORECASE)
        return match[1].strip(".") if match and key_terms(match[1]) else None


def _pair(text: str, words: Sequence[str]) -> str | None:
    """One side of `USD to EUR`, for a parameter such as `source` or `to_currency`."""
    match = re.search(r"([A-Za-z][\w.-]*)\s+(?:to|into)\s+([A-Za-z][\w.-]*)", text)
    side = (
        1
        if set(words) & {"source", "src", "from", "base"}
        else 2
        if set(words) & {"target", "dst", "to", "dest"}
        else 0
    )
    alone = len(words) == 1 and words[0] in ("to", "from")  # the address of a message rather than a side
    return match[side] if match and side and not alone else None


def _concrete(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """Take the first alternative that is not null."""
    for key in ("anyOf", "oneOf", "allOf"):
        found = [inner for inner in schema.get(key, ()) if inner.get("type") != "null"]
        if found:
            return {**{k: v for k, v in schema.items() if k != key}, **_concrete(found[0])}
    if isinstance(schema.get("type"), list):
        return {**schema, "type": next((kind for kind in schema["type"] if kind != "null"), "string")}
    return schema


def _kind(words: Sequence[str], schema: Mapping[str, Any]) -> FactKind | None:
    if kind := FORMATS.get(str(schema.get("format", ""))):
        return kind
    for kind, names in _KIND_NAMES:
        if words[-1] in names and not (kind == "name" and len(words) > 1 and words[0] in ("file", "table", "field")):
            return kind
    return None
