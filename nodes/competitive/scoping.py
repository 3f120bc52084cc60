"""Scoping: who is compared on what, as a planner, the task or the documents themselves say."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence

from pydantic import BaseModel, Field

from nodes.competitive.profiles import names
from nodes.engine.words import STOP, plain
from tools import Corpus

USUAL_ASPECTS = ("price", "features", "support")
"""What is compared when neither the task nor the documents say."""
MOST_WORDS = 5
"""Words of a name or an aspect."""

_ON = r"(?:on|by|in terms of|with respect to|with regard to|regarding|concerning|as to)"
_TASKS = (
    re.compile(rf"\bcompar\w*\s+(?:of\s+)?(?P<who>.+?)(?:\s+{_ON}\s+|:\s*)(?P<what>[^.?!]+)", re.I | re.S),
    re.compile(rf"\bhow do(?:es)?\s+(?P<who>.+?)\s+(?:compare|differ)\b(?:\s+{_ON}\s+(?P<what>[^.?!]+))?", re.I | re.S),
    re.compile(r"\bcompar\w*\s+(?:of\s+)?(?P<who>[^.?!]+)", re.I),
    re.compile(rf"^(?P<who>.+?\s(?:vs\.?|versus)\s.+?)(?:(?:\s+{_ON}\s+|:\s*)(?P<what>[^.?!]+))?[.?!]*$", re.I | re.S),
)
_BETWEEN = re.compile(r"\s*,\s*(?:and\s+|or\s+)?|\s+(?:and|or|vs\.?|versus|with|to|against)\s+|\s*;\s*", re.I)
_ARTICLE = re.compile(r"^(?:the|their|its|a|an)\s+", re.I)


class Comparison(BaseModel):
    """Who is compared, and on what."""

    competitors: list[str] = Field(
        default_factory=list, description="Names of those who are compared, as the task or the documents write them."
    )
    aspects: list[str] = Field(
        default_factory=list, description="What they are compared on, a word or two each, such as price."
    )


def read_comparison(task: str) -> Comparison:
    """Return the names and aspects that a task itself lists, such as `Compare A, B and C on price and support`."""
    for pattern in _TASKS:
        if match := pattern.search(plain(task)):
            found = match.groupdict()
            who = [part for part in _parts(found["who"]) if part[:1].isupper() or part[:1].isdigit()]
            if len(who) > 1 or pattern is not _TASKS[-1]:
                return Comparison(competitors=who, aspects=_parts(found.get("what") or ""))
    return Comparison()


def _parts(text: str) -> list[str]:
    parts = (_ARTICLE.sub("", part.strip(" .?!:\"'")) for part in _BETWEEN.split(text))
    return distinct(part for part in parts if part and _is_label(part))


def distinct(said: Iterable[str]) -> list[str]:
    """Return texts without blanks and repetitions, in order; case does not tell two apart."""
    return list({text.casefold(): text for text in reversed([plain(one) for one in said]) if text}.values())[::-1]


def fill_in(planned: Comparison, task: str, corpus: Corpus) -> Comparison:
    """Return a comparison with what a plan lacks: read from the task, else from the documents.

    Competitors that neither the task nor a document names are left out.
    """
    said = read_comparison(task)
    whole = plain(task).strip(" .?!")
    called = [name for name in distinct(planned.competitors) if _is_label(name) and name.strip(" .?!") != whole]
    known = [name for name in called if names(task, name) or _is_in(corpus, name)]
    competitors = known or said.competitors or names_in(corpus)
    aspects = [aspect for aspect in distinct(planned.aspects) if _is_label(aspect)]
    aspects = aspects or said.aspects or aspects_in(corpus, competitors)
    return Comparison(competitors=competitors, aspects=aspects)


def _is_label(text: str) -> bool:
    """Whether a text can head a row or a column, rather than being a task."""
    return len(text.split()) <= MOST_WORDS and not re.search(r":|\bvs\b|\bversus\b|\bcompar", text, re.I)


def _is_in(corpus: Corpus, name: str) -> bool:
    return any(names(f"{p.heading} {p.source} {p.text}", name) for p in corpus.search(name, limit=3))


def names_in(corpus: Corpus) -> list[str]:
    """Return the names that documents are about: capitalised in the title and in the file name, of two or more."""
    found: Counter[str] = Counter()
    for source, title, _ in corpus.documents():
        file = set(re.findall(r"[^\W_]+", source.rsplit("/", 1)[-1].lower()))
        found.update({word for word in re.findall(r"\b[A-Z]\w+", title) if word.lower() in file})
    return sorted(name for name, count in found.items() if count > 1 and name.lower() not in STOP)


def aspects_in(corpus: Corpus, competitors: Sequence[str]) -> list[str]:
    """Return the headings that documents about different competitors share, else what is compared as a rule."""
    found: dict[str, set[str]] = {}
    for competitor in competitors:
        for passage in corpus.search(competitor, limit=20):
            title, _, sections = passage.heading.rpartition(" > ")
            for section in sections.lower().split(", ") if names(title, competitor) else ():
                found.setdefault(section, set()).add(competitor)
    return [section for section, shared in found.items() if len(shared) > 1] or list(USUAL_ASPECTS)
