"""Sections: the parts of a message, by the lines that head them (`Context from finder:`, `Draft:`, `Feedback:`)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

SectionKind = Literal["task", "context", "draft", "feedback", "constraints", "options"]

_KINDS: tuple[tuple[SectionKind, str], ...] = (
    ("feedback", "feedback|issues?|problems?|review|critique|criticism|objections?|corrections?|change requests?"),
    ("draft", "draft|text to (?:review|check)|candidate|proposal|submission|manuscript|answer to (?:review|check)"),
    ("constraints", "constraints?|requirements?|rules|criteria|limits|expected output|acceptance criteria"),
    (
        "options",
        "options|agents|workers|specialists|speakers|team(?: members)?|participants|choices|routes|candidates|members",
    ),
    ("task", "task|question|request|goal|user request|instructions?|topic|subtask|your task"),
    (
        "context",
        "context|results?|outputs?|outcomes?|answers?|findings|evidence|passages|sources|documents?|notes?|background|material|"
        "transcript|conversation|history|text|input|data|facts|previous \\w+|positions?|contributions?|replies|reports?|"
        "article|quotes|memory|what is known",
    ),
)
_QUALIFIER = (
    r"(?:\s+(?:from|of|by|to|for|so far|given|on|about)\b[^:\n]{0,60}|\s*\([^)\n]{0,60}\)|\s+(?:\d+|[a-z]{1,12}))?"
)
_PATTERNS = tuple(
    (kind, re.compile(rf"^(?:the |your |current |latest |previous )?(?:{names}){_QUALIFIER}$", re.IGNORECASE))
    for kind, names in _KINDS
)
_HEADER = re.compile(r"^[ \t]*(?:#{1,6}[ \t]+|\*\*)?([A-Za-z][^:\n]{0,80}?)(?:\*\*)?:(?:\*\*)?[ \t]*(.*)$")
_TAG = re.compile(r"^[ \t]*<(/?)([a-z][a-z_ -]{2,20})(?:\s[^>]*)?>[ \t]*$", re.IGNORECASE)
_ORIGIN = re.compile(r"\b(?:from|of|by)\s+(.+)$", re.IGNORECASE)


@dataclass(frozen=True)
class Section:
    """A part of a message.

    Attributes:
        kind: What it holds; the text before any header is the task.
        origin: Who it is from, from a header such as `Context from finder:`; "" if not said.
        text: Without the header.
    """

    kind: SectionKind
    origin: str
    text: str


def split_sections(text: str) -> list[Section]:
    """Split a message at its headers. A passage must not stand in the text: its own lines could look like headers."""
    found: list[tuple[SectionKind, str, list[str]]] = [("task", "", [])]
    for line in text.splitlines():
        header = _header(line, inside=found[-1][0])
        if header is None:
            found[-1][2].append(line)
        else:
            kind, origin, rest = header
            found.append((kind, origin, [rest] if rest else []))
    parts = [Section(kind, origin, "\n".join(lines).strip("\n")) for kind, origin, lines in found]
    return [part for part in parts if part.text.strip()]


def _header(line: str, *, inside: SectionKind) -> tuple[SectionKind, str, str] | None:
    if tag := _TAG.match(line):
        kind = _kind(tag[2].replace("_", " "))
        if kind is None:
            return None
        return ("task", "", "") if tag[1] else (kind, "", "")
    match = _HEADER.match(line)
    if match is None:
        return None
    name, rest = match[1].strip(), match[2].strip()
    kind = _kind(name)
    # A sentence such as "Notes: see below" inside a draft is text of the draft; only a header alone on its line ends one.
    if kind is None or (rest and (inside != "task" or len(name.split()) > 3)):
        return None
    origin = _ORIGIN.search(name)
    return kind, origin[1].strip() if origin else "", rest


def _kind(name: str) -> SectionKind | None:
    return next((kind for kind, pattern in _PATTERNS if pattern.match(name.strip())), None)
