"""Readings: a source taken apart once, and how well a word is met by what it says."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import PurePosixPath

from nodes.engine.question import Question
from nodes.engine.request import Source
from nodes.engine.sentences import Unit, units
from nodes.engine.thesaurus import related
from nodes.engine.words import COMMON, terms

SYNONYM = 0.5  # of a match
PREFIX = 0.7

_URL = re.compile(r"\b(?:https?|ftp)://[^\s)>\]]+")


@dataclass(frozen=True)
class Reading:
    """A source with its units and what they speak of.

    Attributes:
        source: What was read.
        units: Its units, without the headings that its text repeats.
        unit_terms: The terms of each unit, addresses left out.
        about: Terms of its headings and of its path.
    """

    source: Source
    units: tuple[Unit, ...]
    unit_terms: tuple[frozenset[str], ...]
    about: frozenset[str]

    @cached_property
    def name(self) -> frozenset[str]:
        """Terms of the file's name without ordinary words: a file called `return` is about what its name says."""
        found = terms(re.sub(r"[-_.]+", " ", PurePosixPath(self.source.origin).stem))
        return frozenset(term for term in found if term not in COMMON and not related(term))

    @cached_property
    def leaf(self) -> frozenset[str]:
        """Terms of the innermost heading; of the path if there is no heading."""
        return frozenset(terms(self.source.heading.split(" > ")[-1])) or self.about

    @cached_property
    def all_terms(self) -> frozenset[str]:
        """Terms of the whole source with its headings and path."""
        return self.about.union(*self.unit_terms)

    @cached_property
    def order(self) -> tuple[tuple[str, ...], ...]:
        """The terms of each unit in order, with repetitions."""
        return tuple(tuple(terms(_URL.sub(" ", unit.text))) for unit in self.units)

    @cached_property
    def heading_order(self) -> tuple[str, ...]:
        """The terms of the headings in order."""
        return tuple(terms(self.source.heading))

    def is_named(self, question: Question) -> bool:
        """Whether the question names the document: every word of the file's name."""
        return bool(self.name) and self.name <= set(question.terms)

    def window(self, place: int) -> frozenset[str]:
        """Terms of a unit, of its neighbours and of what stands above."""
        return self.about.union(*self.unit_terms[max(0, place - 1) : place + 2])


@lru_cache(maxsize=512)
def read_source(source: Source) -> Reading:
    """Take a source apart."""
    found = units(body(source))
    path = re.sub(r"[/\\_.-]+", " ", re.sub(r"\.\w{1,5}$", "", source.origin))
    about = frozenset(terms(source.heading)) | frozenset(terms(path))
    return Reading(source, found, tuple(frozenset(terms(_URL.sub(" ", unit.text))) for unit in found), about)


def body(source: Source) -> str:
    """A source's text without the lines at its beginning that only repeat the headings above it."""
    headings = {_letters(part) for part in source.heading.split(" > ")}
    lines = source.text.split("\n")
    while len(lines) > 1 and (not lines[0].strip() or _letters(lines[0]) in headings) and source.heading:
        lines = lines[1:]
    return "\n".join(lines)


@lru_cache(maxsize=50_000)
def match(term: str, found: frozenset[str]) -> float:
    """Say how well a term is met by a set of terms: 1 itself, less for a word it begins with, or one of the same meaning."""
    if term in found:
        return 1.0
    if len(term) > 4 and any(len(t) > 4 and (t.startswith(term) or term.startswith(t)) for t in found):
        return PREFIX
    return SYNONYM if related(term) & found else 0.0


def overlap(weights: Sequence[tuple[str, float]], found: frozenset[str]) -> float:
    """Sum the weights of terms by how well each is met."""
    return sum(w * match(term, found) for term, w in weights)


def _letters(text: str) -> str:
    return re.sub(r"[\W_]+", " ", text).strip().lower()
