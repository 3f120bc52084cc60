"""The question: what is wanted, in comparable terms, in parts, and as a query."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from nodes.engine.dressing import content, undressed
from nodes.engine.sentences import sentences
from nodes.engine.words import COMMON, REQUEST_WORDS, STOP, key_terms, plain, terms, tokens, weight

QuestionKind = Literal["definition", "quantity", "time", "person", "reason", "method", "list", "yesno", "open"]

MAX_PARTS = 8
MAX_QUERY = 14  # words
MAX_TITLE = 12  # words
PART = 0.3  # weight of a part of a compound name beside the whole
ADVERB = 0.5

_KINDS: tuple[tuple[QuestionKind, str], ...] = (
    (
        "quantity",
        r"\bhow (?:many|much|long|often|large|big|small|fast|old|far|high|deep)\b|\b(?:what|which) (?:number|percentage)\b",
    ),
    ("time", r"^when (?:was|did|were|will)\b|\b(?:what|which|in what) (?:year|date|day|month)\b|\bsince when\b"),
    ("person", r"\bwho(?:se|m)?\b"),
    ("reason", r"\bwhy\b|\bwhat (?:is|was) the reason\b|\bfor what reason\b|\bhow come\b"),
    ("method", r"\bhow (?:do|can|could|should|would|to|might) |\bwhat (?:do|must|should) (?:i|we|you) do\b|\bsteps?\b"),
    ("list", r"\b(?:list|enumerate)\b|\bwhat (?:are|kinds?|types?|sorts?)\b"),
    ("list", r"\b(?:which|what) (?:\w+ )?\w{3,}(?<![siu])s (?!is\b|does\b|has\b)"),
    ("definition", r"^(?:what(?:'s| is| are| does)|define|explain|describe|tell me about)\b|\bmeaning of\b"),
    ("yesno", r"^(?:is|are|does|do|can|could|may|must|will|should|did|was|were|has|have)\b"),
)
_FOCUS = re.compile(r"\b(?:which|what|how many|whose)\s+(?:kind of |sort of |type of )?([\w-]+)", re.IGNORECASE)
_HINTS: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"\bhow (?:big|large|small|heavy|deep)\b", re.IGNORECASE), "size"),
    (re.compile(r"\bhow (?:long|wide|tall)\b", re.IGNORECASE), "length"),
    (re.compile(r"\bhow (?:fast|quick|quickly|slow)\b", re.IGNORECASE), "speed"),
    (re.compile(r"\bhow (?:expensive|much (?:does|do|is|are)\b.*\bcost)\b", re.IGNORECASE), "price"),
    (re.compile(r"\bwho (?:wrote|made|created|built|develop(?:s|ed)|maintains)\b", re.IGNORECASE), "author"),
    (re.compile(r"\bhow (?:old)\b", re.IGNORECASE), "age"),
)
_PATTERNS = tuple((kind, re.compile(pattern, re.IGNORECASE)) for kind, pattern in _KINDS)
_BULLET = re.compile(r"(?m)^\s*(?:[-*•]|\(?\d{1,2}[.)])\s+")


@dataclass(frozen=True)
class Question:
    """A question with what it asks about.

    Attributes:
        text: As asked.
        extra: Terms from earlier questions of the conversation that a short follow-up leans on.
    """

    text: str
    extra: tuple[str, ...] = ()

    @cached_property
    def kind(self) -> QuestionKind:
        """What kind of answer is wanted."""
        return next((kind for kind, pattern in _PATTERNS if pattern.search(self.text)), "open")

    @cached_property
    def terms(self) -> tuple[str, ...]:
        """The distinct terms asked about, in order."""
        text = content(self.text)
        return tuple(dict.fromkeys((*(key_terms(text) or key_terms(self.text)), *self.extra)))

    @cached_property
    def names(self) -> frozenset[str]:
        """Terms that an answer must be about: names, acronyms, identifiers and numbers of the question."""
        found: set[str] = set()
        for sentence in sentences(_BULLET.sub("\n", self.text)):
            for i, token in enumerate(tokens(sentence)):
                capital = token[0].isupper() and (i > 0 or not token[1:].islower())
                if (capital or "_" in token or token[0].isdigit()) and token.lower() not in STOP | REQUEST_WORDS:
                    found.update(key_terms(token)[:1])
        return frozenset(found)

    @cached_property
    def focus(self) -> str:
        """The noun that is asked for, as in `which port` or `how many users`; "" if there is none."""
        found = _FOCUS.search(self.text)
        own = key_terms(found[1]) if found else []
        return own[0] if own and own[0] not in COMMON else ""

    @cached_property
    def weights(self) -> dict[str, float]:
        """Weight of each term before any document is seen: little for adverbs and for the parts of a compound name."""
        less: dict[str, float] = {}
        for word in tokens(self.text):
            whole, *parts = key_terms(word) or [""]
            less |= dict.fromkeys(parts, PART)
            less |= {whole: ADVERB} if word.lower().endswith("ly") else {}
        return {term: weight(term) * less.get(term, 1.0) for term in self.terms}

    @cached_property
    def hints(self) -> tuple[str, ...]:
        """Words that an answer likely has although the question does not say them: the size, for `how big`."""
        return tuple(word for pattern, word in _HINTS if pattern.search(self.text))

    @cached_property
    def subject(self) -> str:
        """The request without its politeness and instructions: what a title or a sub-question is made of."""
        return undressed(self.text).strip(" .,;:") or plain(self.text)


def query(text: str) -> str:
    """Condense a question to a search query: its content words as written, each once, at most `MAX_QUERY`."""
    text = content(_BULLET.sub(" ", text))
    marked = [term for term in terms(text) if term.startswith('"')]
    words = [
        token for token in tokens(text) if token.lower() not in STOP | REQUEST_WORDS and f'"{token}"' not in marked
    ]
    return " ".join(list(dict.fromkeys([*words, *marked, *Question(text).hints]))[:MAX_QUERY])


def title(text: str) -> str:
    """Make a title of a request: its subject, capitalised, without a question mark; a long one ends at a clause."""
    subject = re.sub(r"^(?:what (?:is|are)|what's) (?:an? |the )?", "", Question(text).subject, flags=re.IGNORECASE)
    line = re.split(r"[?!.](?:\s|$)", subject)[0]
    if len(line.split()) > MAX_TITLE:
        line = re.split(r"[,;:]\s|\s(?:and|but|which|who|because|so that)\s", line)[0]
    short = " ".join(line.split()[:MAX_TITLE]).rstrip(" ,;:-")
    return short[:1].upper() + short[1:]


def follow_up(text: str, before: Sequence[str]) -> Question:
    """Read a question in its conversation: one with hardly a term of its own leans on the question before it."""
    own = Question(text)
    leans = len(own.terms) < 2 or re.search(
        r"\b(?:it|its|they|them|that|this|those|these|he|she)\b", text, re.IGNORECASE
    )
    if not before or not leans or len(own.terms) > 5:
        return own
    return Question(text, tuple(key_terms(before[-1])[:5]))
