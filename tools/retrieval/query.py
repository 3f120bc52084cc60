"""A question as search terms: which words carry it, which names it asks for, and how the index is asked."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from tools.retrieval.stemming import stem
from tools.retrieval.words import (
    STOP_WORDS,
    camel_parts,
    cjk_marks,
    fold,
    is_camel,
    mention_mark,
    underscored_mark,
    words,
)

_LONGEST = 4_000  # characters of a question that are read
_MOST_TERMS = 24
_PART = 0.4  # weight of a part of a name beside the whole
_JOINED = 0.5  # weight of two neighbouring words written as one: "time out", "timeout"
_CALL = 0.6  # weight of what an operator is called
_VAGUE = 0.3  # weight of words that say what kind of answer is wanted rather than what it is about
_VAGUE_WORDS = frozenset(
    (
        "difference",
        "differences",
        "different",
        "meaning",
        "example",
        "examples",
        "work",
        "works",
        "happen",
        "happens",
        "purpose",
        "find",
        "handle",
        "possible",
        "kind",
        "kinds",
        "make",
        "makes",
        "best",
    )
)
_NAME = re.compile(r"(?<![\w.])(?:[^\W\d]\w*(?:(?:\.|::)[^\W\d]\w*)+|\w*_\w*|[^\W\d_]\w*)(?![\w])")
_QUOTED = re.compile(r"""(?<!\w)(["'`]{1,2})([^"'`\n]{1,16})\1(?!\w)""")
_NEIGHBOURS = re.compile(r"\b([a-z]{2,})[ -](?=([a-z]{2,})\b)")
_PARTICLES = frozenset(("in", "off", "on", "out", "over", "up"))
_OPERATOR = re.compile(r"(?<!\S)([+*/%@&|^~<>=!]{1,3}|->|:=|\?\?|\?(?=\s+\w))(?=[\s?.,;)]|$)")
# Little words that a sentence names instead of using: "between is and ==", "the with statement", "what does in do".
_NAMED = re.compile(
    r"\b(?:between|difference of|compare) (\w+)(?= and\b)|\band ((?:\w+ )?\w+)[?.]?$|(\w+) (?:vs\.?|versus) (\w+)"
    r"|(\w+) (?:keyword|statement|operator|clause|loop|block|expression)s?\b"
    r"|\b(?:does|do) (\w+) (?:do|mean|work)\b|\b(?:keyword|operator) (\w+)"
)
_NAMEABLE = STOP_WORDS - {
    "the",
    "a",
    "an",
    "this",
    "that",
    "it",
    "i",
    "you",
    "one",
    "each",
    "every",
    "any",
    "my",
    "your",
}
# Words whose forms Porter's rules do not bring together, each family on a line.
_FAMILIES = """
resolve resolution resolver
compare comparison
define definition
describe description
explain explanation
permit permission
write written wrote author
overwrite overwritten
override overridden overriding
catch caught
throw thrown
hide hidden
choose chosen choice
bind bound binding
build built
run ran
send sent
find found
arg argument
param parameter
config configuration configure
auth authentication authenticate
dir directory
doc documentation
func function
async asynchronous asynchronously
sync synchronous
regex regexp
delete deletion remove removal
index indices
"""
# What prose calls an operator that a question writes as a sign.
_CALLED = {
    "==": ("equality",),
    "!=": ("inequality",),
    "is": ("identity",),
    "in": ("membership",),
    "**": ("power",),
    "//": ("floor", "division"),
    "%": ("modulo",),
    "@": ("decorator",),
    ":=": ("assignment", "expression"),
    "->": ("annotation",),
    "&": ("bitwise",),
    "|": ("bitwise",),
    "^": ("bitwise",),
    "~": ("bitwise",),
    "<<": ("shifting",),
    ">>": ("shifting",),
}
_RELATED = {
    member: tuple(family) for line in _FAMILIES.strip().splitlines() for family in [line.split()] for member in family
}


class Term(NamedTuple):
    """Something that a question asks for."""

    forms: tuple[tuple[str, ...], ...]  # words that stand next to each other; any of the forms counts
    mark: str = ""  # a mark that counts as well
    weight: float = 1.0

    @property
    def expression(self) -> str:
        """The term in FTS5 syntax; every token is quoted, so no text can be anything but words."""
        quoted = ['"' + " ".join(form) + '"' for form in self.forms]
        if self.mark:
            quoted.append(f'marks : "{self.mark}"')
        return "(" + " OR ".join(quoted) + ")"


def parse_query(text: str) -> list[Term]:
    """Take a question apart, the whole of a name before its parts; [] when it holds no word at all."""
    text = text[:_LONGEST]
    terms: dict[tuple[object, ...], Term] = {}
    for term in (*_mentions(text), *_names(text), *_joined(text)):
        terms.setdefault((term.forms, term.mark), term)
    if not terms:
        terms = {(word,): _word(word) for word in words(text)}
    return list(terms.values())[:_MOST_TERMS]


def is_sentence(text: str) -> bool:
    """Tell whether a question is asked in a sentence, rather than in search words."""
    return sum(word in STOP_WORDS for word in words(text[:_LONGEST])) >= 2


def _mentions(text: str) -> Iterator[Term]:
    """Yield operators, and little words that are named or quoted, with what they are called."""
    mentioned = [match[2].strip().lower() for match in _QUOTED.finditer(text)]
    mentioned += [match[1] for match in _OPERATOR.finditer(text)]
    mentioned += [
        word
        for match in _NAMED.finditer(text.lower())
        for word in match.groups()
        if word and _NAMEABLE.issuperset(word.split())
    ]
    for mention in dict.fromkeys(mentioned):
        if mention and all(word in STOP_WORDS for word in words(mention)):
            yield Term((), mention_mark(mention))
            if mention in _CALLED:
                yield Term((_CALLED[mention],), weight=_CALL)


def _names(text: str) -> Iterator[Term]:
    """Yield names whole and in parts, and plain content words."""
    for match in _NAME.finditer(text):
        name = match[0]
        parts = words(name)
        if not parts:
            continue
        if is_camel(name) and len(parts) == 1:
            yield Term(((parts[0],),), mark=" ".join(camel_parts(name)))
            yield from (_word(part, _PART) for part in camel_parts(name) if part not in STOP_WORDS)
        elif name.startswith("_"):
            yield Term((), mark=underscored_mark(name))
            yield from (_word(part, _PART) for part in parts if part not in STOP_WORDS)
        elif len(parts) > 1:
            yield Term((tuple(parts),))
            yield from (_word(part, _PART) for part in parts if part not in STOP_WORDS)
        elif parts[0] not in STOP_WORDS:
            yield _word(parts[0])
    yield from (Term((), mark) for mark in cjk_marks(fold(text)))


def _joined(text: str) -> Iterator[Term]:
    """Yield neighbouring words written as one; the index knows which of them exist."""
    for first, second in _NEIGHBOURS.findall(fold(text)):
        if first not in STOP_WORDS and (second not in STOP_WORDS or second in _PARTICLES):
            yield Term(((first + second,),), weight=_JOINED)


def _word(word: str, weight: float = 1.0) -> Term:
    if word in _VAGUE_WORDS:
        weight *= _VAGUE
    # One form a stem: "resolves" and "resolved" are the same to the index.
    forms = {stem(form): (form,) for form in (*_RELATED.get(word, ()), word)}
    return Term(tuple(forms.values()), weight=weight)
