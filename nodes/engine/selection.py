"""Selection: which quotes make an answer, with what each needs to be understood."""

from __future__ import annotations

import re
from dataclasses import dataclass

from nodes.engine.evidence import Evidence, Quote
from nodes.engine.request import Source
from nodes.engine.sentences import Unit
from nodes.engine.words import terms

MAX_QUOTES = 6
MAX_LIST = 10  # items quoted after their introduction
MAX_PARAGRAPH = 450  # characters of a paragraph that is quoted whole
MAX_FOLLOWING = 300  # characters of a sentence that is quoted because it follows
MAX_CODE = 25  # lines quoted after their introduction
RELATIVE = 0.5  # of the best quote's score; weaker ones are left out
RELATIVE_SHARE = 0.6  # of what the best quote speaks of the question
_ENDS = re.compile(r"[.!?][\"'”’)*_`\]]*$")
SIMILARITY_COST = 0.6  # how much a quote loses for repeating one already chosen


@dataclass(frozen=True)
class Excerpt:
    """Units of one source that are quoted together, in their order."""

    source: Source
    units: tuple[Unit, ...]


def choose(evidence: Evidence, *, limit: int = 4, least: float = RELATIVE_SHARE) -> list[Quote]:
    """Choose the best quotes that do not repeat each other, best first.

    Each must speak of at least a share `least` of what the best one speaks of the question.

    Source: maximal marginal relevance, Carbonell and Goldstein, SIGIR 1998.
    """
    pool = [quote for quote in evidence.quotes if quote.unit.whole and not _hangs(evidence, quote)][:40]
    pool = pool or evidence.quotes[:10]
    bags = {id(quote): frozenset(terms(quote.text)) for quote in pool}
    chosen: list[Quote] = []
    covered: set[str] = set()
    while pool and len(chosen) < limit:
        scored = [(_marginal(quote, chosen, bags), quote) for quote in pool]
        gain, best = max(scored, key=lambda pair: (pair[0], -pair[1].source.rank, -pair[1].unit.place))
        if chosen and (gain <= 0 or best.score < RELATIVE * chosen[0].score or best.share < least * chosen[0].share):
            pool.remove(best)
            continue
        if len(chosen) >= 2 and best.matched <= covered and best.score < 0.75 * chosen[0].score:
            pool.remove(best)
            continue
        chosen.append(best)
        covered |= best.matched
        pool.remove(best)
    return chosen


def excerpts(evidence: Evidence, quotes: list[Quote]) -> list[Excerpt]:
    """Put chosen quotes in reading order with what they need: the sentence before, the list or code that they introduce."""
    wanted: dict[Source, set[int]] = {}
    for i, quote in enumerate(quotes):
        found = evidence.units_of(quote.source)
        places = wanted.setdefault(quote.source, set())
        places |= _needed(found, quote.unit.place)
        if i == 0:
            places |= _paragraph(found, quote.unit)
    return [
        Excerpt(source, tuple(evidence.units_of(source)[i] for i in sorted(places)))
        for source, places in wanted.items()
        if places
    ]


def _hangs(evidence: Evidence, quote: Quote) -> bool:
    """Say whether a quote announces something that its passage no longer holds."""
    return quote.text.endswith(":") and quote.unit.place + 1 == len(evidence.units_of(quote.source))


def _marginal(quote: Quote, chosen: list[Quote], bags: dict[int, frozenset[str]]) -> float:
    own = bags[id(quote)]
    repeated = max((_similarity(own, bags[id(other)]) for other in chosen), default=0.0)
    return quote.score - SIMILARITY_COST * repeated


def _similarity(a: frozenset[str], b: frozenset[str]) -> float:
    return len(a & b) / max(1, min(len(a), len(b)))


def _needed(found: tuple[Unit, ...], place: int) -> set[int]:
    unit = found[place]
    if unit.kind == "item":
        return _list_around(found, place) | (_introduced(found, place) if unit.opens else set())
    if unit.kind in ("code", "table"):
        before = found[place - 1] if place else None
        announced = before is not None and before.kind == "sentence" and (before.opens or not _ENDS.search(before.text))
        return {place - 1, place} if announced else {place}
    needed = {place}
    if unit.opens or not _ENDS.search(unit.text):
        needed |= _introduced(found, place)
    if unit.dangles and place and found[place - 1].kind == "sentence":
        needed.add(place - 1)
    return needed


def _paragraph(found: tuple[Unit, ...], unit: Unit) -> set[int]:
    """The paragraph of the best quote if it is short, else the next sentence: there stand conditions and exceptions."""
    if unit.kind != "sentence":
        return set()
    group = [other for other in found if other.group == unit.group and other.kind == "sentence" and other.whole]
    if sum(len(other.text) for other in group) <= MAX_PARAGRAPH:
        return {other.place for other in group}
    return {other.place for other in group if other.place == unit.place + 1 and len(other.text) <= MAX_FOLLOWING}


def _introduced(found: tuple[Unit, ...], place: int) -> set[int]:
    """The list or the code right after a sentence that ends with a colon."""
    following = found[place + 1 : place + 1 + MAX_LIST]
    if not following or following[0].kind == "sentence":
        return set()
    first = following[0]
    if first.kind in ("code", "table"):
        return {first.place} if first.text.count("\n") < MAX_CODE else set()
    return {unit.place for unit in following if unit.group == first.group}


def _list_around(found: tuple[Unit, ...], place: int) -> set[int]:
    """An item with the line that introduces its list; the whole list when it is short."""
    group = [unit for unit in found if unit.group == found[place].group]
    first = group[0].place
    intro = {first - 1} if first and found[first - 1].opens else set()
    short = len(group) <= MAX_LIST and sum(len(unit.text) for unit in group) < 700
    return intro | ({unit.place for unit in group} if intro and short else {place})
