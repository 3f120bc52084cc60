"""Items: what the elements of a list are about, one after the other."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from nodes.engine.choices import Choices
from nodes.engine.evidence import Quote
from nodes.engine.extraction import records
from nodes.engine.material import Material
from nodes.engine.review import Issue
from nodes.engine.roles import Field, Role
from nodes.engine.vocabulary import vocabulary

ItemKind = Literal["quote", "task", "issue", "option", "record"]

MAX_QUOTES = 6

_KIND_OF_ROLE: dict[Role, ItemKind] = {
    "quote": "quote", "claim": "quote", "citation": "quote", "source": "quote", "answer": "quote", "summary": "quote",
    "question": "task", "feedback": "issue", "scores": "option", "agent": "option", "winner": "option", "option": "option",
}  # fmt: skip


@dataclass(frozen=True)
class Item:
    """One element of a list: exactly one of the fields after `text` is set, by what the list is of.

    Attributes:
        kind: What the list is of.
        text: The quote, part of the task, issue, option's name or piece of text.
        index: Place in the list, from 0.
    """

    kind: ItemKind
    text: str
    index: int = 0
    quote: Quote | None = None
    issue: Issue | None = None
    after: tuple[int, ...] = ()


def items_for(
    field: Field, properties: Mapping[str, Any], material: Material, choices: Choices, issues: Sequence[Issue]
) -> list[Item]:
    """List what the elements of a list of objects are about."""
    kind = _kind(field, properties, material)
    if kind == "quote":
        return [Item("quote", quote.text, i, quote=quote) for i, quote in enumerate(material.quotes[:MAX_QUOTES])]
    if kind == "task":
        return task_items(material)
    if kind == "issue":
        return [Item("issue", issue.text, i, issue=issue) for i, issue in enumerate(issues)]
    if kind == "option":
        return [Item("option", option.name, i) for i, option in enumerate(choices.options)]
    return [Item("record", text, i) for i, text in enumerate(records(source_text(material)))]


def task_items(material: Material) -> list[Item]:
    """The parts of the task. What says `then`, `compare` or leans on what came before waits for the parts before it."""
    asks = material.asks
    joins = re.compile(
        r"\b(?:then|finally|compare|comparison|difference|combine|summari[sz]e|based on|review|draft|report|write|it|them|this|"
        r"these|results?|findings)\b",
        re.IGNORECASE,
    )
    found = []
    for i, text in enumerate(asks):
        waits = i > 0 and (joins.search(text) is not None)
        found.append(Item("task", text, i, after=tuple(range(i)) if waits else ()))
    return found


def source_text(material: Material) -> str:
    """The text that values are extracted from: what came with the request, else the request itself, else the best quotes."""
    if material.request.inline:
        return material.request.inline
    if material.given:
        return "\n".join(source.text for source in material.given)
    if material.grounded:
        return "\n".join(quote.text for quote in material.quotes)
    return material.request.task


def _kind(field: Field, properties: Mapping[str, Any], material: Material) -> ItemKind:
    roles = {Field(name, str(inner.get("description", "")), inner).role for name, inner in properties.items()}
    by_name = _KIND_OF_ROLE.get(field.role)
    if material.grounded and roles & {"quote", "claim", "citation"} and by_name not in ("task", "issue", "option"):
        return "quote"
    if by_name == "task" or (roles & {"agent", "depends"} and "question" in roles):
        return "task"
    if by_name is not None and by_name != "quote":
        return by_name
    if material.grounded:
        return "quote" if by_name == "quote" or roles & {"source", "section"} else "record"
    return "quote" if by_name == "quote" and not set(properties) & _RECORD_WORDS else "record"


_RECORD_WORDS = vocabulary("name email age date amount price city company phone quantity")
