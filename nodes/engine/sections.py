"""Sections: the parts of a message, by the lines that head them (`Context from finder:`, `Draft:`, `Feedback:`)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

SectionKind = Literal["task", "context", "draft", "feedback", "constraints", "options", "talk", "aside"]

_KINDS: tuple[tuple[SectionKind, str], ...] = (
    ("aside", "part of|given to|turns so far|missing|failed|guesses|plan(?: that led nowhere)?|a plan that suits it"),
    (
        "feedback",
        "what the draft lacks|feedback|issues?|problems?|review|critique|criticism|objections?|corrections?|change requests?",
    ),
    ("draft", "draft|text to (?:review|check)|candidate|proposal|submission|manuscript|answer to (?:review|check)"),
    (
        "constraints",
        "it has to respect|constraints?|requirements?|rules|criteria|limits|expected output|acceptance criteria",
    ),
    (
        "options",
        "options|agents|workers|specialists|speakers|team(?: members)?|participants|choices|routes|candidates|members",
    ),
    ("task", "task|question|request|goal|user request|instructions?|topic|subtask|your task"),
    ("talk", "contributions?"),
    (
        "context",
        "context|done(?:, and kept)?|results?|outputs?|outcomes?|answers?|findings|evidence|passages|sources|documents?|notes?|"
        "background|material|text|input|data|facts|previous \\w+|positions?|replies|reports?|article|quotes|memory|what is known|"
        "transcript|conversation|history",
    ),
)
_QUALIFIER = r"(?:\s+(?:from|of|by|to|for|so far|given|on|about)\b[^:\n]{0,60}|\s+(?:\d+|[a-z]{1,12}))?"
_PATTERNS = tuple(
    (kind, re.compile(rf"^(?:(?:the|your|current|latest|previous|last) )*(?:{names}){_QUALIFIER}$", re.IGNORECASE))
    for kind, names in _KINDS
)
_HEADER = re.compile(
    r"^[ \t]*(?:#{1,6}[ \t]+|\*\*)?([A-Za-z][^:(\n]{0,80}?)(?:[ \t]*\((.*?)\))?(?:\*\*)?:(?:\*\*)?[ \t]*(.*)$"
)
_TAG = re.compile(r"^[ \t]*<(/?)([a-z][a-z_ -]{2,20})(?:\s[^>]*)?>[ \t]*$", re.IGNORECASE)
_ORIGIN = re.compile(r"\b(?:from|of|by)\s+(.+)$", re.IGNORECASE)
_NAMED = r"^(?:[-*] )?([A-Za-z_][\w-]*(?: [\w-]+){0,2}?)(?: \(you\))?"
_TOLD = re.compile(rf"{_NAMED} was (?:told|asked): (.*)$")
_SAYS = re.compile(rf"{_NAMED}: (.*)$")
_MARKS = re.compile(r"\s*\[(?:\.\.\.|…)\]\s*|^\s*and answered: |^\W*none\W*$", re.IGNORECASE)  # they say nothing


@dataclass(frozen=True)
class Section:
    """A part of a message.

    Attributes:
        kind: What it holds; the text before any header is the task.
        origin: Who it is from, from a header such as `Context from finder:`; "" if not said.
        text: Without the header.
        about: What it answers, from a header such as `Result of t1 (What is a list?):`; "" if not said.
    """

    kind: SectionKind
    origin: str
    text: str
    about: str = ""


def split_sections(text: str) -> list[Section]:
    """Split a message at its headers. A passage must not stand in the text: its own lines could look like headers."""
    found: list[tuple[SectionKind, str, str, list[str]]] = [("task", "", "", [])]
    for line in text.splitlines():
        inside = found[-1][0]
        header = _header(line, inside=inside) or (_entry(line, inside) if inside in ("context", "talk") else None)
        if header is None:
            found[-1][3].append(line)
        else:
            kind, origin, about, rest = header
            found.append((kind, origin, about, [rest] if rest else []))
    parts = []
    for kind, origin, about, lines in found:
        body = "\n".join(lines)
        body = _MARKS.sub("\n\n", body) if kind in ("context", "talk") else body
        parts.append(Section(kind, origin, body.strip("\n"), about))
    return [part for part in parts if part.text.strip()]


def _entry(line: str, inside: SectionKind) -> tuple[SectionKind, str, str, str] | None:
    """Read a line by which somebody's part of what was said begins: `anna was told: ...`, or in a talk `anna: ...`."""
    if told := _TOLD.match(line):
        return inside, told[1], told[2], ""
    says = _SAYS.match(line) if inside == "talk" else None
    return (inside, says[1], "", says[2]) if says else None


def _header(line: str, *, inside: SectionKind) -> tuple[SectionKind, str, str, str] | None:
    if tag := _TAG.match(line):
        kind = _kind(tag[2].replace("_", " "))
        if kind is None:
            return None
        return ("task", "", "", "") if tag[1] else (kind, "", "", "")
    match = _HEADER.match(line)
    if match is None:
        return None
    name, about, rest = match[1].strip(), match[2] or "", match[3].strip()
    kind = _kind(name)
    # A sentence such as "Notes: see below" inside a draft is text of the draft; only a header alone on its line ends one.
    if kind is None or (rest and (inside != "task" or len(name.split()) > 3 or kind in ("aside", "talk"))):
        return None
    origin = _ORIGIN.search(name)
    return kind, origin[1].strip() if origin else "", about, rest


def _kind(name: str) -> SectionKind | None:
    return next((kind for kind, pattern in _PATTERNS if pattern.match(name.strip())), None)
