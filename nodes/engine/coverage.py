"""Coverage: how much of a question one place in the sources speaks of, by which the engine answers or abstains.

The figures were set with the development questions of `benchmarks/retrieval_questions.json`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

from nodes.engine.question import Question
from nodes.engine.reading import Reading, match, overlap
from nodes.engine.words import key_terms, tokens

SUFFICIENT = 0.52  # of the question's weight; what covers less does not answer it
ASKED_FOR = 1.4  # weight of the noun that is asked for, as in `which port`, beside the others
NAMED = 0.3  # of the coverage, for a question that names the document
ABSENT = 0.6  # what is left for each name in the question that a document does not have
ELSEWHERE = 0.4  # what is left in documents other than the one that the question names
OWN = 0.3  # share of the single unit in a place; the rest is what its neighbours and headings add
APART = 0.5  # what a pair of neighbouring words of the question loses where they do not stand together
TOGETHER = 4  # terms between which two words still stand together


def coverage(question: Question, readings: Sequence[Reading]) -> float:
    """Give the share of a question, 0 to 1, that the best place of the sources speaks of.

    A place is a unit with its neighbours and the headings above. What only names the document counts for little: that a
    page about a program has its name in it says nothing else.
    """
    return max(coverages(question, readings), default=0.0)


def coverages(question: Question, readings: Sequence[Reading]) -> list[float]:
    """Give the share of a question that the best place of each source speaks of."""
    named = any(reading.is_named(question) for reading in readings)
    weights = {term: w * (ASKED_FOR if term == question.focus else 1.0) for term, w in question.weights.items()}
    return [_of_reading(question, reading, weights, named=named) for reading in readings]


def _of_reading(question: Question, reading: Reading, weights: Mapping[str, float], *, named: bool) -> float:
    """Give the share that the best place of one source speaks of; `named` says that the question names one of the sources."""
    if not weights or not reading.units:
        return 0.0
    name = [t for t in weights if match(t, reading.name) == 1.0]
    rest = [(t, w) for t, w in weights.items() if t not in name]
    # Of what somebody else quotes neither path nor headings are known: that it lacks a name says nothing.
    absent = sum(match(t, reading.all_terms) == 0 for t in question.names) if reading.source.origin else 0
    total = sum(w for _, w in rest)
    pairs = _pairs(question, dict(rest))
    best = 1.0 if not rest else max(_place(reading, i, rest, pairs) for i in range(len(reading.units))) / total
    if name and rest:
        best = NAMED + (1 - NAMED) * best
    elsewhere = named and not name
    return float(best * ABSENT**absent * (ELSEWHERE if elsewhere else 1.0))


def _place(
    reading: Reading, i: int, rest: Sequence[tuple[str, float]], pairs: Sequence[tuple[str, str, float]]
) -> float:
    around, own = reading.window(i), reading.about | reading.unit_terms[i]
    score = (1 - OWN) * overlap(rest, around) + OWN * overlap(rest, own)
    apart = sum(w for a, b, w in pairs if a in around and b in around and not _together(reading, i, a, b))
    return score - APART * apart


def _pairs(question: Question, weights: dict[str, float]) -> list[tuple[str, str, float]]:
    """Give the words that stand side by side in the question, such as `log file`, with the smaller weight of the two."""
    found = [own[0] if (own := key_terms(token)) else "" for token in tokens(question.text)]
    return [(a, b, min(weights[a], weights[b])) for a, b in pairwise(found) if a in weights and b in weights and a != b]


def _together(reading: Reading, i: int, a: str, b: str) -> bool:
    lines = [*reading.order[max(0, i - 1) : i + 2], reading.heading_order]
    return any(_near(line, a, b) for line in lines)


def _near(line: Sequence[str], a: str, b: str) -> bool:
    first = [j for j, term in enumerate(line) if term == a]
    second = [j for j, term in enumerate(line) if term == b]
    return any(abs(x - y) <= TOGETHER for x in first for y in second)
