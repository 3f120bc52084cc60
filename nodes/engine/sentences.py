"""Sentences: the pieces of a passage that can be quoted on their own."""

from __future__ import annotations

import re
import textwrap
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from nodes.engine.blocks import Block, BlockKind, blocks
from nodes.engine.words import plain, tokens

UnitKind = Literal["sentence", "item", "code", "table"]

MAX_ITEM = 420  # characters; a longer list item is quoted sentence by sentence
MAX_TABLE = 600  # characters; a longer table is quoted row by row

_KIND: dict[BlockKind, UnitKind] = {"prose": "sentence", "item": "item", "code": "code", "table": "table"}
_END = re.compile(r"[.!?…。！？]+[\"'”’)\]*_`]*(?:\s*\[p:[0-9a-f]{10}\][.,]?)*(?=\s|$)|[。！？]")
_ABBREVIATION = re.compile(
    r"(?:\b(?:e\.g|i\.e|etc|vs|cf|approx|resp|no|nos|fig|figs|eq|sec|ch|dr|mr|mrs|ms|prof|st|inc|ltd|co|corp|jr|sr|al|ca|"
    r"viz|esp|incl|excl|ver|vol|pp|ed|eds|jan|feb|mar|apr|jun|jul|aug|sep|sept|oct|nov|dec)|\b[A-Za-z]|^\(?\d{1,2})\.$",
    re.IGNORECASE,
)
_POINTS = re.compile(r"\b(?:following|as follows|like this|this example)\b", re.IGNORECASE)
_DANGLING = re.compile(
    r"^(?:it|its|this|that|these|those|they|their|them|he|she|such|however|but|also|thus|therefore|hence|otherwise|instead|so|"
    r"then|moreover|furthermore|in this case|for example|for instance|in addition|in particular|similarly|again|both|neither|"
    r"as such|conversely|note that|in contrast|here)\b",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Unit:
    """A piece of a passage that is quoted whole.

    Attributes:
        text: The piece as written, white space collapsed except in code and tables.
        kind: What it is.
        place: Index of the unit in its passage, from 0.
        group: Units of one paragraph or list share a number.
        whole: False if the passage begins or ends in the middle of it.
    """

    text: str
    kind: UnitKind
    place: int
    group: int
    whole: bool = True

    @property
    def opens(self) -> bool:
        """Whether it introduces what follows: it ends with a colon, or speaks of what is below."""
        return self.text.rstrip("*_`").endswith(":") or (self.kind == "sentence" and bool(_POINTS.search(self.text)))

    @property
    def dangles(self) -> bool:
        """Whether it needs the sentence before it: it begins with `it`, `this`, `however` or the like."""
        return self.kind == "sentence" and _DANGLING.match(self.text) is not None


def sentences(text: str) -> list[str]:
    """Split running text into sentences, white space collapsed; a citation stays with the sentence before it."""
    text = plain(text)
    found, start = [], 0
    for match in _END.finditer(text):
        before, after = text[start : match.end()], text[match.end() :].lstrip()
        if after and _continues(before, after, match[0]):
            continue
        found.append(before.strip())
        start = match.end()
    rest = text[start:].strip()
    return [*found, rest] if rest else found


@lru_cache(maxsize=512)
def units(text: str) -> tuple[Unit, ...]:
    """Split a passage into what can be quoted from it, in order. Headings are left out."""
    found: list[Unit] = []
    term = ""
    group, list_open = 0, False
    for block in blocks(text):
        if block.kind in ("heading", "term"):
            term = plain(block.text) if block.kind == "term" else ""
            continue
        group += 0 if list_open and block.kind == "item" else 1
        list_open = block.kind == "item"
        for piece in _pieces(block, term):
            found.append(Unit(piece, _KIND[block.kind], len(found), group))
        term = ""
    return tuple(_mark_cuts(found))


def _continues(before: str, after: str, end: str) -> bool:
    """Say whether what looks like the end of a sentence is not one."""
    last = before.rsplit(" ", 1)[-1].lstrip("(\"'[")
    if after.startswith("[p:"):
        return True
    if after[0].islower() and (end.startswith(("...", "…")) or "?" in end or "!" in end or ")" in end):
        return True
    return bool(_ABBREVIATION.search(last)) and not (last.lower() == "etc." and after[0].isupper())


def _pieces(block: Block, term: str) -> list[str]:
    if block.kind == "code":
        return [textwrap.dedent(block.text)]
    if block.kind == "table":
        return [block.text] if len(block.text) <= MAX_TABLE else _rows(block.lines)
    text = plain(f"{term} {block.text}")
    if block.kind == "item" and len(text) <= MAX_ITEM:
        return [text]
    return sentences(text)


def _mark_cuts(found: list[Unit]) -> list[Unit]:
    """Mark a first unit that starts, and a last one that ends, in the middle of a sentence."""
    if not found:
        return found
    first, last = found[0], found[-1]
    if first.kind == "sentence" and re.match(r"[a-z]+[ ,]|[,;)]", first.text) and len(found) > 1:
        found[0] = Unit(first.text, first.kind, first.place, first.group, whole=False)
    if (
        last.kind == "sentence"
        and len(tokens(last.text)) > 4
        and not re.search(r"[.!?:…。！？)\"'”’*`|\]]$", last.text)
    ):
        found[-1] = Unit(last.text, last.kind, last.place, last.group, whole=False)
    return found


def _rows(lines: tuple[str, ...]) -> list[str]:
    """Split a table at its rules; one whose rows have none, at its lines."""
    ruled = any(line.lstrip().startswith("+") for line in lines)
    rows: list[list[str]] = [[]]
    for line in lines:
        if not any(char.isalnum() for char in line):
            rows.append([])
        else:
            rows[-1].append(line)
            rows += [] if ruled else [[]]
    return ["\n".join(row) for row in rows if row]
