"""What a reader makes of a file: sections of blocks, each block with the place it stands at."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from typing import Literal, NamedTuple

Unit = Literal["line", "page", "cell", "paragraph"]


class Block(NamedTuple):
    """A paragraph, list, table, code block or function: text that should stay together."""

    text: str
    first: int  # 1-based, in the document's unit
    last: int


class Section(NamedTuple):
    """The blocks that stand under one heading."""

    heading: tuple[str, ...]  # outermost first; () before the first heading
    blocks: list[Block]


class Document(NamedTuple):
    """A file as sections."""

    title: str
    unit: Unit
    sections: list[Section]


def place(unit: Unit, first: int, last: int) -> str:
    """Say where a passage stands: "line 3", "lines 10-24", "page 3"."""
    return f"{unit} {first}" if first == last else f"{unit}s {first}-{last}"


def blocks_of(lines: list[str], first: int = 1) -> list[Block]:
    """Group lines into blocks at blank lines.

    Args:
        lines: Lines without their ends.
        first: Number of the first line.
    """
    blocks: list[Block] = []
    start: int | None = None
    for offset, line in enumerate([*lines, ""]):
        if line.strip():
            start = offset if start is None else start
        elif start is not None:
            blocks.append(Block("\n".join(lines[start:offset]), first + start, first + offset - 1))
            start = None
    return blocks


def renumbered(sections: list[Section], starts: Sequence[int]) -> list[Section]:
    """Turn lines that were counted over a whole document into the numbers of its pages or cells.

    Args:
        sections: With blocks by line.
        starts: The first line of each page or cell.
    """
    return [
        Section(
            heading,
            [Block(text, bisect_right(starts, first), bisect_right(starts, last)) for text, first, last in blocks],
        )
        for heading, blocks in sections
    ]
