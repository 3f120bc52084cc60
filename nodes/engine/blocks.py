"""Blocks: the paragraphs, list items, tables, code and headings that a plain-text or Markdown passage is made of."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

EARLY = 0.5  # of the text's width; a line that breaks before it was not broken to fit

BlockKind = Literal["prose", "item", "code", "table", "heading", "term"]

_FENCE = re.compile(r"^\s*(```|~~~)")
_BULLET = re.compile(r"^(\s*)(?:[-*+•‣]|\(?\d{1,3}[.)]|\(?[a-zA-Z][.)])\s+(?=\S)")
_UNDERLINE = re.compile(r"^\s*([=\-~*^#\"`+_])\1{2,}\s*$")
_HEADING = re.compile(r"^\s{0,3}#{1,6}\s+\S")
_TABLE = re.compile(r"^\s*(?:\||\+[-=+]{3,}|[=-]{3,}(?:\s+[=-]{3,})+\s*$)")
_PROMPT = re.compile(r"^\s*(?:>>>|\.\.\.\s|\$ |# |//|%\w|import \w+|from [\w.]+ import |def \w|class \w.*:$|@\w)")
_CODE_MARK = re.compile(r"[=(){}\[\];<>|_/\\]|::")
_QUOTE = re.compile(r"^\s*>(?!>)\s?")
_DIRECTIVE = re.compile(r"^\s*(?:\.\. |<!--|<[/a-z][^>]*>\s*$|:\w+:|\[!\[|!\[|\[[^\]]+\]:\s*http)")


@dataclass(frozen=True)
class Block:
    """Lines that belong together."""

    kind: BlockKind
    lines: tuple[str, ...]

    @property
    def text(self) -> str:
        """The lines as written."""
        return "\n".join(self.lines)


def blocks(text: str) -> list[Block]:
    """Split a text into blocks, in order; blank lines and markup without words are left out."""
    found: list[Block] = []
    width = max(map(len, text.splitlines()), default=0)
    for lines in _chunks(text.expandtabs(4).splitlines()):
        found.extend(_classify(lines, found[-1] if found else None, width))
    return [_as_term(block, following) for block, following in zip(found, [*found[1:], None], strict=False)]


def _chunks(lines: list[str]) -> Iterator[list[str]]:
    """Group lines between blank ones; a fenced block is one group whatever it holds."""
    group: list[str] = []
    fence = ""
    for line in lines:
        mark = _FENCE.match(line)
        if fence:
            group.append(line)
            if mark and mark[1] == fence:
                yield group
                group, fence = [], ""
        elif mark:
            if group:
                yield group
            group, fence = [line], mark[1]
        elif line.strip():
            group.append(line)
        elif group:
            yield group
            group = []
    if group:
        yield group


def _classify(lines: list[str], previous: Block | None, width: int) -> Iterator[Block]:
    if _FENCE.match(lines[0]):
        yield Block("code", tuple(lines))
        return
    while lines and (heading := _heading_length(lines, width)):
        yield Block("heading", tuple(lines[:heading]))
        lines = lines[heading:]
    lines = [line for line in lines if not _DIRECTIVE.match(line)]
    if not lines:
        return
    if sum(bool(_TABLE.match(line)) for line in lines) > len(lines) / 2:
        yield Block("table", tuple(lines))
    elif all(_QUOTE.match(line) for line in lines):
        for line in lines:
            yield Block("prose", (_QUOTE.sub("", line),))
    elif _is_code(lines, previous):
        yield Block("code", tuple(lines))
    else:
        yield from _prose(lines)


def _heading_length(lines: list[str], width: int) -> int:
    """Count the lines of the heading that a group begins with: 0 for none."""
    if _HEADING.match(lines[0]):
        return 1
    if len(lines) > 1 and _UNDERLINE.match(lines[1]) and not _BULLET.match(lines[0]):
        return 2
    if _is_title(lines, width):
        return 1
    return 1 if _UNDERLINE.match(lines[0]) else 0


def _is_title(lines: list[str], width: int) -> bool:
    """Say whether the first line of a group is a title without a mark: it ends although the next word had room on it."""
    first = lines[0].strip()
    if len(lines) < 2 or len(first) > 60 or _BULLET.match(first) or not first[:1].isupper() or first[-1] in ".:;,?!|)`":
        return False
    room = width - len(lines[0]) - 1
    starts_anew = lines[1].lstrip("*\"'`(")[:1].isupper() and _indent(lines[1]) == _indent(lines[0])
    needed = len(lines[1].split()[0])
    early = len(lines[0]) + 1 + needed <= EARLY * width and _indent(lines[1]) == _indent(lines[0])
    return len(first.split()) <= 8 and needed < room and (starts_anew or early)


def _prose(lines: list[str]) -> Iterator[Block]:
    """Split a group at its bullets; indented lines after a list item continue it."""
    start = 0
    for i, line in enumerate(lines):
        if i > start and _BULLET.match(line):
            yield _prose_block(lines[start:i])
            start = i
    yield _prose_block(lines[start:])


def _prose_block(lines: list[str]) -> Block:
    if bullet := _BULLET.match(lines[0]):
        return Block("item", (lines[0][bullet.end() :], *lines[1:]))
    return Block("prose", tuple(lines))


def _is_code(lines: list[str], previous: Block | None) -> bool:
    if _PROMPT.match(lines[0]) or any("::=" in line for line in lines):
        return True
    if _BULLET.match(lines[0]) or not all(line.startswith("  ") for line in lines):
        return False
    text = " ".join(lines)
    marks = len(_CODE_MARK.findall(text)) / max(1, len(text))
    opened = previous is not None and previous.text.rstrip().endswith(":")
    sentence = re.match(r"\s*[\"'(*`]*[A-Z]\w*[,\"'`]*(?: [\w\"'`*(][^\s]*){3,}", text) and re.search(
        r"[.:?!]\W*$", text
    )
    return not sentence and (marks > 0.05 or opened)


def _as_term(block: Block, following: Block | None) -> Block:
    """Mark a line with an indented paragraph under it: a defined term, such as the signature of a function."""
    if block.kind != "prose" or following is None or following.kind not in ("prose", "item"):
        return block
    indent = _indent(block.lines[0])
    short = len(block.lines) <= 2 and not block.text.rstrip().endswith((".", ":", "?", "!"))
    return Block("term", block.lines) if short and _indent(following.lines[0]) > indent else block


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())
