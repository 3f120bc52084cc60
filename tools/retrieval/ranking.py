"""Which of the passages that match come first: those that hold most of the question, close together, and not twice."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from tools.passage import Passage
from tools.retrieval.index import Hit
from tools.retrieval.query import Term
from tools.retrieval.stemming import inflected, stem
from tools.retrieval.words import STOP_WORDS, words

# What a score is made of; the shares add up to 1.
_BM25, _COVERED, _NEAR, _HEADED, _FOCUS, _PROSE = 0.25, 0.26, 0.10, 0.14, 0.14, 0.11
_WINDOW = 20  # words within which terms count as near each other
_INEXACT = 0.6  # what a word counts that has the stem in common, but is another word: "generic" for "generator"
_SHORT, _SHORT_FACTOR = 160, 0.9  # characters under which a passage is likely to be a remark
_DRAWN, _DRAWN_FACTOR = 0.5, 0.8  # share of letters and digits under which a text is a drawn table or a list of numbers
_PROSE_SHARE = 0.3  # share of stop words from which a text is all prose
# What headings say of everything: these words say nothing about what a section is about.
_KINDS = "def class statement statements clause expression expressions operator function method section introduction"
_HALF = 2.0  # a heading about half of the question is as good as one about all of it: "is and ==" have one each
_NOT_FOCUS = STOP_WORDS.union(_KINDS.split())
# What happened to something is not what it is, unless that was asked.
_HISTORY = frozenset(("changelog", "changes", "history", "releases", "news"))
_ASKS_HISTORY = frozenset(map(stem, ("version", "change", "changelog", "release", "new", "added", "fixed", "history")))
_HISTORY_FACTOR = 0.8
# What counts less, because much like it was taken already.
_PER_SECTION, _SECTION_FACTOR = 2, 0.75
_PER_DOCUMENT, _DOCUMENT_FACTOR = 3, 0.9
_SAME, _SAME_FACTOR = 0.7, 0.3  # share of words in common from which two passages say the same
_NEW = 0.12  # for terms that no passage taken so far holds


class _Asked(NamedTuple):
    """A term as it is compared."""

    forms: tuple[tuple[str, ...], ...]  # of stems
    exact: frozenset[str]  # its words without plural and tense
    mark: frozenset[str]
    share: float  # of the weight of all terms


class _Question(NamedTuple):
    """What passages are compared with."""

    terms: tuple[_Asked, ...]
    stems: frozenset[str]
    prose: bool
    best: float  # BM25 of the best match


class _Candidate(NamedTuple):
    passage: Passage
    score: float
    vocabulary: frozenset[str]
    held: Mapping[int, float]  # number and share of each term that it holds


class _Text(NamedTuple):
    """Where the words of a question stand in a text."""

    positions: Mapping[str, Sequence[int]]  # by stem
    exact: frozenset[str]


def rank(hits: Sequence[Hit], weights: Mapping[Term, float], limit: int, *, prose: bool = False) -> list[Passage]:
    """Order passages by how well they answer, and keep the best that differ.

    Args:
        hits: What matched, in any order.
        weights: What each term of the question is worth; rare ones more.
        limit: How many at most.
        prose: Whether the question is a sentence; then sentences are preferred as answers over code.

    Returns:
        Passages with a score from 0 to 1, best first.
    """
    total = sum(weights.values()) or 1.0
    terms = tuple(_compared(term, weight / total) for term, weight in weights.items())
    wanted = frozenset(token for term in terms for form in term.forms for token in form)
    question = _Question(terms, wanted, prose, max((hit.bm25 for hit in hits), default=0.0))
    return _diverse([_scored(hit, question) for hit in hits], limit)


def _compared(term: Term, share: float) -> _Asked:
    forms = tuple(tuple(map(stem, form)) for form in term.forms)
    exact = frozenset(inflected(word) for form in term.forms for word in form)
    return _Asked(forms, exact, frozenset(term.mark.split()), share)


def _scored(hit: Hit, question: _Question) -> _Candidate:
    passage = hit.passage
    tokens, heading_words, path_words = words(passage.text), words(passage.heading), words(passage.source)
    body, heading, path = (_look(some, question) for some in (tokens, heading_words, path_words))
    parts = hit.marks | {stem(mark) for mark in hit.marks}
    held: dict[int, float] = {}
    headed = 0.0
    places: list[tuple[int, int, float]] = []
    for number, term in enumerate(question.terms):
        here, in_heading = _occurrences(term, body), bool(_occurrences(term, heading))
        exact = not term.exact or not term.exact.isdisjoint(body.exact | heading.exact | hit.marks)
        worth = term.share if exact else term.share * _INEXACT
        if here or in_heading or _marked(term, parts):
            held[number] = worth
        elif _occurrences(term, path):
            held[number] = worth / 2
        headed += worth * in_heading
        places += [(position, number, worth) for position in here]
    score = _COVERED * sum(held.values()) + _NEAR * _nearest(places) + _HEADED * headed
    score += _FOCUS * _focus(passage.heading, question) + _BM25 * (hit.bm25 / question.best if question.best > 0 else 0)
    score += _PROSE * _prose(tokens) if question.prose else 0.0
    score *= _SHORT_FACTOR if len(passage.text) < _SHORT else 1.0
    if not _HISTORY.isdisjoint((*heading_words, *path_words)) and _ASKS_HISTORY.isdisjoint(question.stems):
        score *= _HISTORY_FACTOR
    score *= _DRAWN_FACTOR if sum(map(len, tokens)) < _DRAWN * len("".join(passage.text.split())) else 1.0
    return _Candidate(passage, score, frozenset(tokens), held)


def _look(tokens: Iterable[str], question: _Question) -> _Text:
    """Find the words of a question in a text."""
    positions: dict[str, list[int]] = defaultdict(list)
    exact = set()
    for position, token in enumerate(tokens):
        root = stem(token)
        if root in question.stems:
            positions[root].append(position)
            exact.add(inflected(token))
    return _Text(positions, frozenset(exact))


def _occurrences(term: _Asked, text: _Text) -> list[int]:
    """List where a term stands; the words of a form right after each other."""
    found: list[int] = []
    for first, *rest in term.forms:
        starts = text.positions.get(first, ())
        following = [frozenset(text.positions.get(token, ())) for token in rest]
        found += [start for start in starts if all(start + n in at for n, at in enumerate(following, 1))]
    return found


def _marked(term: _Asked, parts: frozenset[str]) -> bool:
    if term.mark and term.mark <= parts:
        return True
    return any(len(form) == 1 and form[0] in parts for form in term.forms)


def _nearest(places: list[tuple[int, int, float]]) -> float:
    """Return the greatest share of different terms that stand within a window of words.

    Args:
        places: Position, number of the term and its share, for every occurrence.
    """
    places.sort()
    inside: Counter[int] = Counter()
    best = share = 0.0
    start = 0
    for position, term, worth in places:
        share += worth if not inside[term] else 0.0
        inside[term] += 1
        while position - places[start][0] >= _WINDOW:
            _, leaving, worth_leaving = places[start]
            inside[leaving] -= 1
            share -= worth_leaving if not inside[leaving] else 0.0
            start += 1
        best = max(best, share)
    return best


def _focus(heading: str, question: _Question) -> float:
    """Return how much a heading's last part is about what was asked, 0 to 1.

    That is the share of its words that were asked for, less when they are a small part of the question: a document's
    name stands above everything in it.
    """
    leaf = [stem(word) for word in words(heading.rpartition(" > ")[2]) if word not in _NOT_FOCUS]
    if not leaf:
        return 0.0
    asked = sum(term.share for term in question.terms if any(form[0] in leaf for form in term.forms))
    return sum(word in question.stems for word in leaf) / len(leaf) * min(1.0, asked * _HALF)


def _prose(tokens: Sequence[str]) -> float:
    """Return how much of a text is sentences, 0 to 1, by its share of stop words."""
    return min(1.0, sum(token in STOP_WORDS for token in tokens) / (len(tokens) or 1) / _PROSE_SHARE)


def _diverse(candidates: list[_Candidate], limit: int) -> list[Passage]:
    """Take the best candidate again and again; what is like those taken already counts less."""
    taken: list[_Candidate] = []
    passages: list[Passage] = []
    waiting = {candidate.passage.id: candidate for candidate in candidates}
    while waiting and len(taken) < limit:
        # Equal scores are ordered by id, so that the same question always gets the same answer.
        score, chosen = max((_discounted(candidate, taken), name) for name, candidate in waiting.items())
        taken.append(waiting.pop(chosen))
        ceiling = passages[-1].score if passages else 1.0
        passages.append(taken[-1].passage.model_copy(update={"score": min(round(score, 4), ceiling)}))
    return passages


def _discounted(candidate: _Candidate, taken: Sequence[_Candidate]) -> float:
    """Lower a score for every way in which a candidate repeats what was taken; raise it for what is new."""
    if not taken:
        return candidate.score
    passage = candidate.passage
    siblings = [other.passage for other in taken if other.passage.source == passage.source]
    of_section = sum(other.heading == passage.heading for other in siblings)
    score = candidate.score * _DOCUMENT_FACTOR ** max(0, len(siblings) - _PER_DOCUMENT + 1)
    score *= _SECTION_FACTOR ** max(0, of_section - _PER_SECTION + 1)
    missing = set(candidate.held).difference(*(other.held for other in taken))
    score += _NEW * sum(candidate.held[number] for number in missing)
    return score * _SAME_FACTOR if any(_alike(candidate, other) for other in taken) else score


def _alike(one: _Candidate, other: _Candidate) -> bool:
    """Tell whether two passages use nearly the same words: Jaccard similarity."""
    common = len(one.vocabulary & other.vocabulary)
    return common > _SAME * (len(one.vocabulary) + len(other.vocabulary) - common)
