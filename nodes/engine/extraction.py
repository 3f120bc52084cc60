"""Extraction: the value of a named field in free text."""

from __future__ import annotations

import re
from collections.abc import Sequence

from nodes.engine.facts import FORMATS, Fact, FactKind, facts, labelled, nearest
from nodes.engine.vocabulary import vocabulary
from nodes.engine.words import plain

_HINTS = {
    "age": "years old aged year-old",
    "price": "cost costs price priced for at worth",
    "cost": "cost costs price for",
    "total": "total sum amount altogether",
    "amount": "amount total sum paid pay",
    "salary": "salary earns paid wage",
    "quantity": "quantity units pieces items copies ordered",
    "count": "count number total",
    "year": "year in since founded",
    "duration": "takes lasts minutes hours days weeks",
    "due": "due by until before deadline",
    "vendor": "from by vendor seller supplier company",
    "author": "by written author",
    "sender": "from sender sent",
    "recipient": "to recipient dear",
    "company": "at for company works employed employer joined",
    "employer": "at for works employed employer",
    "city": "in lives city from based located",
    "location": "in at lives located based from near",
    "country": "in from country",
    "job": "works as job engineer",
    "title": "title titled called",
    "name": "name named called",
}
_PLACES = vocabulary("city location place country town address region state destination origin venue")
_ORGANISATIONS = vocabulary("company organization organisation vendor employer seller supplier brand institution")
_PEOPLE = vocabulary(
    "name person author customer user contact sender recipient patient student employee manager owner candidate"
)
_AMOUNTS = vocabulary("price cost total amount salary fee budget balance")
_KINDS: tuple[tuple[frozenset[str], tuple[FactKind, ...]], ...] = (
    (vocabulary("email mail"), ("email",)),
    (vocabulary("url website link homepage uri"), ("url",)),
    (vocabulary("phone telephone mobile fax"), ("phone",)),
    (vocabulary("date day deadline birthday birthdate due when dob"), ("date",)),
    (vocabulary("time hour"), ("time", "date")),
    (vocabulary("id identifier number no code reference ref sku ticket invoice order"), ("identifier", "number")),
    (_AMOUNTS, ("money", "number")),
    (vocabulary("path file filename"), ("path",)),
    (_PEOPLE | _PLACES | _ORGANISATIONS, ("name",)),
)
_KIND_WORDS = {word: kinds for words, kinds in _KINDS for word in words}
_BEFORE_PLACE = re.compile(r"\b(?:in|at|near|from|to|of|based in|lives in)\s+(?:the\s+)?$", re.IGNORECASE)
_INSIDE = re.compile(r"\b(?:in|near|to)\s+(?:the\s+)?$", re.IGNORECASE)
_BEFORE_ORGANISATION = re.compile(r"\b(?:at|from|by|with|for|joined|of)\s+(?:the\s+)?$", re.IGNORECASE)
_ORGANISATION = re.compile(
    r"\b(?:Inc|Corp|GmbH|Ltd|LLC|AG|Co|Company|Bank|University|Institute|Group|Foundation|Labs?|Systems|Software)\b\.?"
)
_FREE = r"(?:\s+(?:is|was|are|were|of|named|called|as|:|=))\s+(?:an?\s+|the\s+)?([^\n.;,!?()]{1,80})"


def find_text(text: str, words: Sequence[str], kind: str = "") -> str:
    """Find the value that a text gives a field; "" if it gives none.

    `words` is the field's name; `kind` a JSON schema format that the value must have, such as `email`.
    """
    for names in (list(words), list(words[-1:]), list(words[:1])):
        if names and (value := labelled(text, names)):
            return _of_format(value, kind)
    wanted = _wanted(words, kind)
    if wanted:
        fact = _choose(text, facts(text, wanted), words)
        if fact is not None:
            return fact.text.lstrip("#") if fact.kind == "identifier" else fact.text
        return ""
    match = re.search(rf"\b{r'[ _-]'.join(map(re.escape, words))}\b{_FREE}", text, re.IGNORECASE)
    return plain(match[1]) if match else ""


def find_number(text: str, words: Sequence[str]) -> float | None:
    """Find the number that a text gives a field, by a label, by the words near it, or because it is the only one."""
    if value := labelled(text, list(words)):
        found = facts(value, ("money", "number"))
        if found:
            return found[0].number
    found = facts(text, ("money", "number"))
    money = [fact for fact in found if fact.kind == "money"]
    if money and set(words) & _AMOUNTS:
        near = nearest(text, money, _hinted(words))
        return (near or money[-1]).number
    fact = nearest(text, found, _hinted(words))
    return fact.number if fact else None


def records(text: str) -> list[str]:
    """Split a text into the pieces that each may describe one thing: its list items or lines, else its sentences."""
    lines = [re.sub(r"^\s*(?:[-*•]|\d+[.)])\s+", "", line).strip() for line in text.splitlines() if line.strip()]
    if len(lines) > 1:
        return lines
    return [piece.strip() for piece in re.split(r"(?<=[.!?;])\s+", text) if piece.strip()]


def _wanted(words: Sequence[str], kind: str) -> tuple[FactKind, ...]:
    if kind in FORMATS:
        return (FORMATS[kind],)
    return next((_KIND_WORDS[word] for word in reversed(words) if word in _KIND_WORDS), ())


def _choose(text: str, found: list[Fact], words: Sequence[str]) -> Fact | None:
    if not found:
        return None
    if found[0].kind == "name" or (set(words) & (_PLACES | _ORGANISATIONS)):
        return _choose_name(text, found, set(words))
    near = nearest(text, found, _hinted(words))
    if near is not None:
        return near
    sure = found[0].kind in ("email", "url", "phone", "money", "date", "path", "identifier")
    return found[0] if sure else None


def _choose_name(text: str, found: list[Fact], words: set[str]) -> Fact | None:
    """Tell people, places and organisations apart by what stands before them, and by what companies are called."""
    places = [
        fact for fact in found if _BEFORE_PLACE.search(text[: fact.start]) and not _ORGANISATION.search(fact.text)
    ]
    named = [fact for fact in found if _ORGANISATION.search(fact.text)]
    firms = named or [fact for fact in found if _BEFORE_ORGANISATION.search(text[: fact.start])]
    if words & _PLACES:
        places = places or _cells(text, found)[1:]
        return next((fact for fact in places if _INSIDE.search(text[: fact.start])), next(iter(places), None))
    if words & _ORGANISATIONS:
        return next(iter(firms), None)
    people = [fact for fact in found if fact not in places]
    people = [fact for fact in people if fact not in firms] or people
    telling = words - {"name", "full", "first", "last"}
    near = nearest(text, people, _hinted(list(telling))) if telling else None
    return near or next(iter(people), None)


def _cells(text: str, found: list[Fact]) -> list[Fact]:
    """The names that fill a comma-separated cell."""
    return [
        f
        for f in found
        if re.search(r"(?:^|[,;|]\s*)$", text[: f.start]) and re.match(r"\s*(?:[,;|.]|$)", text[f.end :])
    ]


def _hinted(words: Sequence[str]) -> list[str]:
    return [*words, *(hint for word in words for hint in _HINTS.get(word, "").split())]


def _of_format(value: str, kind: str) -> str:
    wanted = _wanted([], kind)
    found = facts(value, wanted) if wanted else []
    return found[0].text if found else value
