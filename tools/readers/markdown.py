"""Markdown: headings of both kinds, fenced code kept whole, the title of a front matter."""

from __future__ import annotations

import re

from tools.readers.outline import Outline
from tools.readers.section import Block, Document

_HEADING = re.compile(r" {0,3}(#{1,6})[ \t]+(\S.*)")
_UNDERLINE = re.compile(r" {0,3}(=+|-{2,})\s*$")
_FENCE = re.compile(r"\s*(`{3,}|~{3,})")
_TITLE = re.compile(r"title:\s*(.+?)\s*$")
_LINK = re.compile(r"!?\[([^\]]*)\](?:\([^)]*\)|\{[^}]*\})")
_MARKUP = re.compile(r"[*`]+|</?[a-zA-Z][^>]*>|\{#[^}]*\}")


def read_markdown(text: str) -> Document:
    """Read Markdown into sections by heading."""
    outline = Outline()
    lines = text.split("\n")
    front = _front_matter(lines)
    title = next((match[1].strip("\"'") for line in lines[1:front] if (match := _TITLE.match(line))), "")
    collect_markdown(lines[front:], outline, first=front + 1)
    return Document(title or outline.title, "line", outline.sections())


def collect_markdown(lines: list[str], outline: Outline, *, first: int = 1) -> None:
    """Add Markdown lines to an outline; `first` is the number of the first of them."""
    index = 0
    while index < len(lines):
        used = _fence(lines, index, first + index, outline) or _heading(lines, index, first + index, outline)
        if not used:
            outline.line(first + index, lines[index])
        index += used or 1


def plain_heading(title: str) -> str:
    """Take links, emphasis and tags out of a heading."""
    return _MARKUP.sub("", _LINK.sub(r"\1", title)).strip()


def _front_matter(lines: list[str]) -> int:
    """Count the lines of a YAML front matter, its fences included."""
    if not lines or lines[0].rstrip() != "---":
        return 0
    end = next((i for i, line in enumerate(lines[1:200], 1) if line.rstrip() in ("---", "...")), 0)
    return end + 1 if end else 0


def _fence(lines: list[str], index: int, number: int, outline: Outline) -> int:
    """Add a fenced block as one; returns how many lines it has, 0 when none begins here."""
    opening = _FENCE.match(lines[index])
    if not opening:
        return 0
    fence = opening[1]
    end = index + 1
    while end < len(lines):
        closing = lines[end].strip()
        if closing.startswith(fence) and not closing.strip(fence[0]):
            break
        end += 1
    else:
        return 0  # Never closed: a stray fence must not swallow the headings of the rest.
    block = "\n".join(lines[index : end + 1])
    outline.block(Block(block, number, number + end - index))
    return end - index + 1


def _heading(lines: list[str], index: int, number: int, outline: Outline) -> int:
    """Open a section when a heading begins here; returns how many lines it has, else 0."""
    line = lines[index]
    if match := _HEADING.match(line):
        outline.heading(len(match[1]), plain_heading(match[2].rstrip().rstrip("#")), number)
        return 1
    follows_blank = index == 0 or not lines[index - 1].strip()
    if not follows_blank or not line.strip() or line.lstrip().startswith(("- ", "* ", "|", ">", "---", "===")):
        return 0
    under = _UNDERLINE.match(lines[index + 1]) if index + 1 < len(lines) else None
    if not under:
        return 0
    outline.heading(1 if under[1][0] == "=" else 2, plain_heading(line), number)
    return 2
