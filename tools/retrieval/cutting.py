"""Passages out of a document: cut where it breathes, packed to a size that can be read and quoted."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple

from tools.readers.section import Block, Document, Section, Unit, place

LARGEST = 1200  # characters of a passage
_TARGET = 900  # characters aimed at when a section is divided
_SMALL = 300  # characters under which a section joins its neighbour
_LONGEST_HEADING = 200  # characters
_SENTENCE_END = re.compile(r"(?<=[.!?;。])\s+|\s+(?=[-*•] )")


class Piece(NamedTuple):
    """A passage that does not know its file yet."""

    heading: str
    place: str
    text: str


def cut(document: Document) -> list[Piece]:
    """Cut a document into passages of about 400 to 1200 characters at headings, paragraphs and definitions.

    A section that fits is one passage. A longer one is divided evenly between blocks; a block that is too long alone,
    at lines, sentences, words. Neighbouring sections too small to say anything alone share a passage.
    """
    pieces: list[Piece] = []
    for heading, blocks in _joined(document.sections):
        fitting = [part for block in blocks for part in _fitting(block)]
        pieces.extend(
            Piece(
                storable(heading),
                place(document.unit, group[0].first, group[-1].last),
                storable(_text(group, document.unit)),
            )
            for group in _packed(fitting)
        )
    return pieces


def _joined(sections: list[Section]) -> Iterator[tuple[str, list[Block]]]:
    """Yield headings and blocks, with small sections under the same parent joined."""
    waiting: list[Section] = []
    for section in sections:
        if waiting and not _may_join(waiting, section):
            yield _common_heading(waiting), _blocks(waiting)
            waiting = []
        waiting.append(section)
    if waiting:
        yield _common_heading(waiting), _blocks(waiting)


def _may_join(waiting: list[Section], section: Section) -> bool:
    before, size = _size(waiting), _size([section])
    if before + size > _TARGET or (before >= _SMALL and size >= _SMALL):
        return False
    return section.heading[: len(waiting[0].heading) - 1] == waiting[0].heading[:-1]


def _size(sections: list[Section]) -> int:
    return sum(len(block.text) for section in sections for block in section.blocks)


def _common_heading(sections: list[Section]) -> str:
    """Write the heading of one section as a path, of several as their parent and what they are called below it."""
    paths = list(dict.fromkeys(section.heading for section in sections))
    common = 0
    while all(len(path) > common and path[common] == paths[0][common] for path in paths):
        common += 1
    last = ", ".join(dict.fromkeys(path[common] for path in paths if len(path) > common))
    deeper = paths[0][common:] if len(paths) == 1 else ((last,) if last else ())
    heading = " > ".join(" ".join(part.split()) for part in (*paths[0][:common], *deeper))
    return heading if len(heading) <= _LONGEST_HEADING else heading[: _LONGEST_HEADING - 1] + "…"


def _blocks(sections: list[Section]) -> list[Block]:
    """Return the blocks of sections that share a passage; where they have headings of their own, with these on top."""
    together = len({section.heading for section in sections}) > 1
    blocks: list[Block] = []
    for heading, (first, *rest) in sections:
        if together and heading and heading[-1] not in first.text:
            first = first._replace(text=f"{heading[-1]}\n{first.text}")
        blocks += [first, *rest]
    return blocks


def _packed(blocks: list[Block]) -> list[list[Block]]:
    """Divide blocks into groups of about the same size, none over the largest."""
    total = sum(map(_length, blocks))
    target = total / -(-total // _TARGET) if total > LARGEST else total
    groups: list[list[Block]] = []
    size = 0
    for block in blocks:
        length = _length(block)
        if not groups or size + length > LARGEST or size + length / 2 > target:
            groups.append([])
            size = 0
        groups[-1].append(block)
        size += length
    return _without_scraps(groups)


def _without_scraps(groups: list[list[Block]]) -> list[list[Block]]:
    """Join a group that is too small to say anything with the one before it, where they fit."""
    joined: list[list[Block]] = []
    for group in groups:
        sizes = [sum(map(_length, some)) for some in (joined[-1] if joined else [], group)]
        if joined and min(sizes) < _SMALL and sum(sizes) <= LARGEST:
            joined[-1].extend(group)
        else:
            joined.append(group)
    return joined


def _length(block: Block) -> int:
    return len(block.text) + 2  # with what stands between blocks


def _text(blocks: list[Block], unit: Unit) -> str:
    text = blocks[0].text
    for before, block in pairwise(blocks):
        adjacent = unit == "line" and block.first - before.last <= 1
        text += ("\n" if adjacent else "\n\n") + block.text
    return text.rstrip()


def _fitting(block: Block) -> Iterator[Block]:
    """Divide a block that is longer than a passage."""
    if len(block.text) <= LARGEST:
        yield block
        return
    lines = block.text.split("\n")
    numbered = len(lines) == block.last - block.first + 1
    taken: list[str] = []
    first = 0
    for index, line in enumerate([*lines, None]):
        if taken and (line is None or sum(map(len, taken)) + len(taken) + len(line) > _TARGET):
            where = (block.first + first, block.first + index - 1) if numbered else (block.first, block.last)
            yield from (Block(text, *where) for text in _divided("\n".join(taken)))
            taken, first = [], index
        if line is not None:
            taken.append(line)


def _divided(text: str) -> Iterator[str]:
    """Divide one overlong line at sentences, else at spaces, else anywhere."""
    start = 0
    while len(text) - start > LARGEST:
        last = start + LARGEST
        ends = [match.start() for match in _SENTENCE_END.finditer(text, start + _SMALL, last)]
        at = ends[-1] if ends else text.rfind(" ", start + _SMALL, last)
        at = at if at > 0 else last
        yield text[start:at].strip()
        start = at
    if rest := text[start:].strip():
        yield rest


def storable(text: str) -> str:
    """Take out what neither a database nor a model's API can hold: NUL, and surrogates without their partner."""
    if not text.isascii():
        text = text.encode("utf-8", "replace").decode()
    return text.replace("\0", "")
