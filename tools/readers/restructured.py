"""reStructuredText and the plain text made from it: underlined headings, and definitions by their signature."""

from __future__ import annotations

import re

from tools.readers.outline import Outline
from tools.readers.section import Document

_RULE = re.compile(r"([!-/:-@\[-`{-~])\1{2,}\s*$")
_LABEL = re.compile(r"\.\. _[^:]*:\s*$|\.\. (?:index|currentmodule|module|highlight|sectionauthor)::")
_DIRECTIVE = re.compile(
    r"(\s*)\.\. (?:\w+:)?(?:auto)?(?:class|function|method|attribute|data|exception|module|option|setting|confval"
    r"|describe|classmethod|staticmethod|property|c?macro|type)::\s*(\S.*)"
)
_SIGNATURE = re.compile(
    r"(?:(?:class|classmethod|staticmethod|exception|async|await|abstract|final|property) )*"
    r"(?:[A-Za-z_][\w.]*\(.*\)(?: -> .*)?|[A-Za-z_]\w*(?:\.\w+)+)$"
)
_LONGEST_SIGNATURE = 300  # characters
_DEFINITION_LEVEL = 100  # Below every underlined heading; deeper by indentation.


def read_restructured(text: str) -> Document:
    """Read reStructuredText into sections by heading and by documented definition."""
    outline = Outline()
    lines = text.split("\n")
    levels: dict[str, int] = {}
    index = 0
    while index < len(lines):
        used = _heading(lines, index, levels, outline) or _definition(lines, index, outline)
        if not used:
            _plain_line(lines[index], index + 1, outline)
        index += used or 1
    return Document(outline.title, "line", outline.sections())


def looks_restructured(text: str) -> bool:
    """Tell whether a plain text has underlined headings."""
    lines = text[:20_000].split("\n")
    return any(_underlined(lines, index) for index in range(len(lines) - 1))


def _underlined(lines: list[str], index: int) -> bool:
    title = lines[index].rstrip()
    if not title or title[0].isspace() or index + 1 >= len(lines) or _RULE.match(title):
        return False
    rule = lines[index + 1].rstrip()
    starts = index == 0 or not lines[index - 1].strip() or bool(_RULE.match(lines[index - 1]))
    return starts and bool(_RULE.match(rule)) and len(rule) >= min(len(title), 4) and len(title) <= 120


def _heading(lines: list[str], index: int, levels: dict[str, int], outline: Outline) -> int:
    overlined = bool(_RULE.match(lines[index])) and index + 2 < len(lines)
    at = index + 1 if overlined else index
    if not _underlined(lines, at) and not (overlined and lines[index].rstrip() == lines[at + 1].rstrip()):
        return 0
    title = lines[at].strip()
    if not title or (overlined and lines[index][0] != lines[at + 1][0]):
        return 0
    style = lines[at + 1][0] * (2 if overlined else 1)
    outline.heading(levels.setdefault(style, len(levels)), title.replace("`", ""), at + 1)
    return at + 2 - index


def _definition(lines: list[str], index: int, outline: Outline) -> int:
    """Open a section for a documented function, class or option; its signature stays in the text too."""
    line = lines[index]
    if match := _DIRECTIVE.match(line):
        outline.heading(_DEFINITION_LEVEL + len(match[1]), match[2].strip())
        outline.line(index + 1, line.strip())
        return 1
    signatures = _signatures(lines, index)
    if signatures:
        names = [signature.partition("(")[0] for signature in signatures]
        outline.heading(_DEFINITION_LEVEL, signatures[0] if len(names) == 1 else ", ".join(names)[:120])
        for offset, signature in enumerate(signatures):
            outline.line(index + 1 + offset, signature)
    return len(signatures)


def _signatures(lines: list[str], index: int) -> list[str]:
    """List the signatures that begin at a line, if a blank line and an indented text follow them."""
    below = index
    while below < len(lines) and len(lines[below]) <= _LONGEST_SIGNATURE and _SIGNATURE.match(lines[below]):
        below += 1
    described = below + 1 < len(lines) and not lines[below].strip() and lines[below + 1].startswith("  ")
    return lines[index:below] if described else []


def _plain_line(line: str, number: int, outline: Outline) -> None:
    if _LABEL.match(line):
        return
    if line.strip():
        # A definition reaches as far as its text is indented.
        outline.leave(_DEFINITION_LEVEL + len(line) - len(line.lstrip()))
    outline.line(number, line)
