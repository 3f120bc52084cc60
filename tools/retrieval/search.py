"""A search: from a question to the best passages, without looking at every passage that holds a common word."""

from __future__ import annotations

from math import log

from tools.passage import Passage
from tools.retrieval.index import Hit, Index
from tools.retrieval.query import Term, is_sentence, parse_query
from tools.retrieval.ranking import rank
from tools.retrieval.stemming import stem

_CANDIDATES = 60  # passages that are ranked word by word
_AFFORDABLE = 12_000  # matching passages that a search computes BM25 for, about a microsecond each
_MOST_COMMON = 3  # common terms that a passage must hold together to be looked at for them
_SHORTEST_PREFIX = 4  # letters of an unknown word that may be the beginning of a known one


class Search:
    """Answers questions from an index, and remembers how frequent the words are that were asked for.

    Args:
        index: Where to look; when it changes, a new `Search` is needed.
    """

    def __init__(self, index: Index) -> None:
        self._index = index
        self._passages = index.count().passages
        self._frequencies: dict[str, int] = {}

    def best(self, query: str, limit: int) -> list[Passage]:
        """Find the passages that answer a question best, at most `limit`, the best first."""
        frequencies = {term: self._frequency(term) for term in parse_query(query)}
        weights = {term: term.weight * self._rarity(count) for term, count in frequencies.items()}
        return rank(self._candidates(frequencies), weights, limit, prose=is_sentence(query))

    def _candidates(self, frequencies: dict[Term, int]) -> list[Hit]:
        """Find the passages worth ranking: those that hold rare terms, and those where common ones meet.

        BM25 is computed for every passage that matches, so a word in half of all passages would cost more than all
        else, and say less. Ranking still counts it in the passages that the others find.
        """
        choices = [
            f'"{term.forms[0][0]}"*' for term, count in frequencies.items() if not count and _may_be_prefix(term)
        ]
        common: list[Term] = []
        spent = 0
        for count, term in sorted((count, term) for term, count in frequencies.items() if count):
            if spent + count <= _AFFORDABLE:
                spent += count
                choices.append(term.expression)
            else:
                common.append(term)
        together = " AND ".join(term.expression for term in common[:_MOST_COMMON])
        if len(common) > 1 and spent < _CANDIDATES:
            choices.append(f"({{source heading}} : ({together}))")
            choices += [_in_a_row([term for term in frequencies if term in common])]
        hits = self._index.matching(" OR ".join(choices), _CANDIDATES) if choices else []
        if common and len(hits) < _CANDIDATES:
            there = {hit.passage.id for hit in hits}
            hits += [hit for hit in self._index.some_matching(together, _CANDIDATES) if hit.passage.id not in there]
        return hits[:_CANDIDATES]

    def _rarity(self, count: int) -> float:
        """Return the weight of a term that this many passages hold; of one that none holds, nothing."""
        if not count:
            return 0.0
        return log(1 + (max(0, self._passages - count) + 0.5) / (count + 0.5))

    def _frequency(self, term: Term) -> int:
        """Count the passages that hold a term; of words next to each other, at most that many."""
        counts = [min(self._token_frequency(word) for word in form) for form in term.forms]
        if term.mark:
            counts.append(min(self._token_frequency(mark) for mark in term.mark.split()))
        return sum(counts)

    def _token_frequency(self, token: str) -> int:
        token = stem(token)
        count = self._frequencies.get(token)
        if count is None:
            count = self._frequencies[token] = self._index.frequency(token)
        return count


def _in_a_row(terms: list[Term]) -> str:
    return '"' + " ".join(word for term in terms for word in (term.forms[:1] or ((),))[0]) + '"'


def _may_be_prefix(term: Term) -> bool:
    return term.weight == 1 and len(term.forms) == 1 == len(term.forms[0]) and len(term.forms[0][0]) >= _SHORTEST_PREFIX
