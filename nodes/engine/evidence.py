"""Evidence: how well each piece of the sources speaks to a question, and whether together they answer it."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from nodes.engine.coverage import SUFFICIENT, coverage, coverages
from nodes.engine.fitness import fit, worth
from nodes.engine.question import Question
from nodes.engine.reading import SYNONYM, Reading, match, overlap, read_source
from nodes.engine.request import Source
from nodes.engine.sentences import Unit
from nodes.engine.stem import stem

HEADING_SHARE = 0.35  # of a match in the sentence itself
NEIGHBOUR_SHARE = 0.15
TOPICAL = 0.15  # how much more a place counts whose path and headings are what is asked about
FIRST = 0.3  # for the first sentence under a heading that is the question's subject
OTHER_FILE = 0.7  # for places in other documents when the question names one
RANK = 0.1  # how much of its score a source loses that stands last in the search's results
HINT = 0.3  # weight of a word that the question only hints at


@dataclass(frozen=True)
class Quote:
    """A unit of a source with its fit to a question.

    Attributes:
        source: Where it stands.
        unit: What is quoted.
        score: Fit, higher is better.
        matched: The question's terms that the unit itself speaks of.
        share: 0 to 1, how much of the question it speaks of, with what stands above it.
    """

    source: Source
    unit: Unit
    score: float
    matched: frozenset[str]
    share: float

    @property
    def text(self) -> str:
        """The unit's text."""
        return self.unit.text


class Evidence:
    """The sources' units ranked for one question."""

    def __init__(self, question: Question, sources: Iterable[Source]) -> None:
        self.question = question
        self._readings = [read_source(source) for source in sources]
        self._weights = list(_local_weights(question, self._readings).items())
        self._total = sum(w for _, w in self._weights) or 1.0
        self._named = any(reading.is_named(question) for reading in self._readings)

    @cached_property
    def coverage(self) -> float:
        """0 to 1: how much of the question the best place speaks of."""
        return coverage(self.question, self._readings)

    @property
    def sufficient(self) -> bool:
        """Whether the sources answer the question."""
        return self.coverage >= SUFFICIENT and bool(self.quotes)

    @cached_property
    def quotes(self) -> list[Quote]:
        """Every unit that speaks of the question, best first."""
        found = [quote for reading in self._readings for quote in self._quotes(reading)]
        return sorted(found, key=lambda quote: (-quote.score, quote.source.rank, quote.unit.place))

    @cached_property
    def missing(self) -> tuple[str, ...]:
        """Terms of the question that no source speaks of."""
        return tuple(t for t in self.question.terms if all(match(t, r.all_terms) < SYNONYM for r in self._readings))

    @cached_property
    def best_sources(self) -> tuple[Source, ...]:
        """The sources, each by its best unit and by how much of the question it covers, best first."""
        best = dict.fromkeys((reading.source for reading in self._readings), 0.0)
        for quote in self.quotes:
            best[quote.source] = max(best[quote.source], quote.score)
        for reading, covered in zip(self._readings, coverages(self.question, self._readings), strict=True):
            best[reading.source] += covered
        return tuple(sorted(best, key=lambda source: (-best[source], source.rank)))

    def units_of(self, source: Source) -> tuple[Unit, ...]:
        """All units of a source, in order."""
        return read_source(source).units

    def _quotes(self, reading: Reading) -> Iterator[Quote]:
        # What names the document is what all of it is about: a sentence need not repeat it.
        own = [overlap(self._weights, found | reading.name) for found in reading.unit_terms]
        lift = self._lift(reading)
        focus = self._focus(reading)
        for i, unit in enumerate(reading.units):
            around = max((own[j] for j in (i - 1, i + 1) if 0 <= j < len(own)), default=0.0)
            above = overlap(self._weights, reading.about | reading.unit_terms[i] | reading.name) - own[i]
            matched = frozenset(t for t, _ in self._weights if match(t, reading.unit_terms[i]) > 0)
            if matched or above > 0:
                share = min(1.0, (own[i] + HEADING_SHARE * above) / self._total)
                score = share + NEIGHBOUR_SHARE * around / self._total + FIRST * focus / (1 + unit.place)
                yield Quote(
                    reading.source, unit, (score + fit(unit, self.question)) * worth(unit) * lift, matched, share
                )

    def _lift(self, reading: Reading) -> float:
        """Weigh a whole source: by what it is about, by its rank in the search, by whether the question names another."""
        topical = overlap(self._weights, reading.about) / self._total + self._focus(reading)
        apart = OTHER_FILE if self._named and not reading.is_named(self.question) else 1.0
        return (1 + TOPICAL * topical) * apart * (1 - RANK + RANK / (1 + reading.source.rank))

    def _focus(self, reading: Reading) -> float:
        """Say how much a heading is the question's subject: its share that is asked for, times the question's share in it."""
        if not reading.leaf:
            return 0.0
        asked = frozenset(t for t, _ in self._weights)
        inside = sum(match(term, asked) for term in sorted(reading.leaf)) / len(reading.leaf)
        return inside * overlap(self._weights, reading.leaf) / self._total


def _local_weights(question: Question, readings: Sequence[Reading]) -> dict[str, float]:
    """Weigh the question's terms by how rare they are in what was found: what is everywhere does not tell places apart."""
    counts = Counter(term for reading in readings for found in reading.unit_terms for term in found | reading.about)
    number = sum(len(reading.units) for reading in readings) or 1
    rare = {t: math.log(1 + number / (1 + counts[t])) / math.log(1 + number) for t in question.terms}
    hinted = {stem(word): HINT for word in question.hints}
    return hinted | {t: w * (0.4 + 0.6 * rare[t]) for t, w in question.weights.items()}
