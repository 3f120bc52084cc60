"""Facts: typed values in a text - numbers, dates, addresses, names, labelled values - and which of them a field means."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from nodes.engine.thesaurus import related
from nodes.engine.words import STOP, terms

FactKind = Literal["number", "date", "time", "email", "url", "phone", "identifier", "money", "name", "quoted", "path"]

FORMATS: dict[str, FactKind] = {
    "email": "email", "uri": "url", "url": "url", "date": "date", "date-time": "date", "time": "time"
}  # fmt: skip
_MONTH = "(?:January|February|March|April|May|June|July|August|September|October|November|December|" + (
    r"(?:Jan|Feb|Mar|Apr|Jun|Jul|Aug|Sept?|Oct|Nov|Dec)\.?)"
)
_DAY = r"\d{1,2}(?:st|nd|rd|th)?"
_CLOCK = r"\d{2}:\d{2}(?::\d{2})?(?:Z|[+-]\d{2}:\d{2})?"
_CURRENCY = r"(?:USD|EUR|GBP|CHF)"
_AMOUNT = r"\d[\d,]*(?:\.\d+)?"
_DATES = (
    rf"\b\d{{4}}-\d{{2}}-\d{{2}}(?:T{_CLOCK})?\b",
    r"\b\d{1,2}[./]\d{1,2}[./]\d{2,4}\b",
    rf"\b{_MONTH} {_DAY}(?:,? \d{{4}})?\b",
    rf"\b{_DAY}\.? (?:of )?{_MONTH}(?:,? \d{{4}})?\b",
    rf"\b{_MONTH} \d{{4}}\b",
)
_ENDINGS = "py|md|txt|csv|json|yaml|yml|pdf|docx|html|toml|log|xml"
# In this order: what one pattern takes, later ones leave alone.
_PATTERNS: tuple[tuple[FactKind, re.Pattern[str]], ...] = (
    ("email", re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+")),
    ("url", re.compile(r"\b(?:https?|ftp)://[^\s<>\"')\]]+[^\s<>\"')\].,;:!?]")),
    ("date", re.compile("|".join(_DATES))),
    ("time", re.compile(r"\b\d{1,2}:\d{2}(?::\d{2})?(?:\s?[ap]m)?\b|\b\d{1,2}\s?[ap]m\b", re.IGNORECASE)),
    (
        "money",
        re.compile(rf"(?:[$€£¥]|\b{_CURRENCY}\s?){_AMOUNT}\b|\b{_AMOUNT}\s?(?:[$€£¥]|(?:{_CURRENCY}|dollars|euros)\b)"),
    ),
    ("phone", re.compile(r"(?<![\w-])\+?\(?\d{2,4}\)?[ \-/]\d{2,4}[ \-]?\d{2,}(?:[ \-]\d+)*\b(?!-)")),
    (
        "identifier",
        re.compile(
            r"(?<![\w.])(?:#\d+|(?=[\w-]*\d)(?=[\w-]*[A-Za-z])[A-Z][A-Z0-9]*(?:[-_][A-Za-z0-9]+)*|[A-Za-z]+-\d[\w-]*)\b"
        ),
    ),
    ("path", re.compile(rf"(?<![\w:/])(?:[.~]?/)?(?:[\w.-]+/)+[\w.-]*\w|\b[\w-]+\.(?:{_ENDINGS})\b")),
    ("number", re.compile(r"(?<![\w.])-?\d[\d,]*(?:\.\d+)?(?:e[+-]?\d+)?(?!\d)%?", re.IGNORECASE)),
    ("quoted", re.compile(r"[\"“]([^\"”\n]{1,300})[\"”]|(?<![\w'])'([^'\n]{1,300})'(?!\w)|`([^`\n]{1,300})`")),
    (
        "name",
        re.compile(r"\b(?:(?:Mr|Mrs|Ms|Dr|Prof)\.? )?[A-Z][\w'’-]*(?:(?: (?:de|van|von|of|the|&))? [A-Z][\w'’&-]*)*"),
    ),
)


@dataclass(frozen=True)
class Fact:
    """A value in a text with where it stands."""

    kind: FactKind
    text: str
    start: int
    end: int

    @property
    def number(self) -> float:
        """The value of a number or an amount of money; a percentage counts as its number."""
        digits = re.search(r"-?\d[\d,]*(?:\.\d+)?(?:e[+-]?\d+)?", self.text, re.IGNORECASE)
        return float(digits[0].replace(",", "")) if digits else 0.0


def facts(text: str, kinds: Iterable[FactKind] = ()) -> list[Fact]:
    """List the values of a text, in order. What one pattern took, such as the digits of a date, later ones leave alone.

    Of no `kinds` all are listed. A `quoted` value may hold values of other kinds.
    """
    wanted = set(kinds)
    found: list[Fact] = []
    taken: list[tuple[int, int]] = []
    for kind, pattern in _PATTERNS:
        for match in pattern.finditer(text):
            value = next((group for group in match.groups() if group), match[0])
            if kind == "name":
                value, skipped = _name(match[0], text, match.start())
                if not value:
                    continue
            else:
                skipped = 0
            span = (match.start() + skipped, match.end())
            if kind not in ("quoted", "name") and any(a < span[1] and span[0] < b for a, b in taken):
                continue
            if kind != "quoted":
                taken.append(span)
            found.append(Fact(kind, value.strip(), *span))
    chosen = [fact for fact in found if not wanted or fact.kind in wanted]
    return sorted(chosen, key=lambda fact: (fact.start, -fact.end))


def labelled(text: str, words: Sequence[str]) -> str:
    """Find the value behind a label, as in `Due date: 2024-03-01` or `name = Anna`; "" if there is none."""
    label = r"[\s_-]+".join(re.escape(word) for word in words)
    match = re.search(
        rf"(?im)(?:^|[\n,;|(\"'*-])[\s*\"']*(?:the )?{label}[*\"']*\s*(?::|=|\|)\s*[*\"']*([^\n;|]+)", text
    )
    if match is None:
        return ""
    value = re.split(r",\s+(?=[\w ]{2,20}\s*[:=])", match[1])[0]
    return value.strip(" \t*\"',")


def nearest(text: str, found: Sequence[Fact], words: Sequence[str]) -> Fact | None:
    """Choose the fact that stands closest to a word of the field's name, or to one of the same meaning, in its sentence.

    A fact behind the word is taken before one in front of it. None if no fact stands in a sentence with such a word.
    """
    anchors = _anchors(text, words)
    best: tuple[float, Fact] | None = None
    for fact in found:
        for start, end, share in anchors:
            between = text[end : fact.start] if fact.start >= end else text[fact.end : start]
            if (start < fact.end and fact.start < end) or re.search(r"[.!?]\s+[A-Z]|\n", between):
                continue
            distance = (len(between) + (0 if fact.start >= end else 8)) / share
            if distance <= 80 and (best is None or distance < best[0]):
                best = (distance, fact)
    return best[1] if best else None


def _anchors(text: str, words: Sequence[str]) -> list[tuple[int, int, float]]:
    """Give `(start, end, share)` for each word of the text that names the field."""
    wanted = [term for word in words for term in terms(word)]
    found = []
    for match in re.finditer(r"[A-Za-z]{2,}", text):
        own = set(terms(match[0]))
        if own & set(wanted):
            found.append((match.start(), match.end(), 1.0))
        elif any(own & related(term) for term in wanted):
            found.append((match.start(), match.end(), 0.5))
    return found


def _name(value: str, text: str, start: int) -> tuple[str, int]:
    """Take function words off the front of capitalised words; a lone capitalised word that opens a sentence is no name."""
    words = value.split()
    skipped = 0
    while words and words[0].lower() in STOP | {"extract", "find", "get", "send", "what", "who", "please"}:
        skipped += len(words[0]) + 1
        words = words[1:]
    opens = re.search(r"(?:^|[.!?:\n]\s*)$", text[:start]) is not None and skipped == 0
    if not words or (len(words) == 1 and opens and _ordinary(words[0], text, start)):
        return "", 0
    return " ".join(words), skipped


def _ordinary(word: str, text: str, start: int) -> bool:
    """Say whether a capitalised word at the start of a sentence is likely no name: it is followed by no verb of a subject."""
    following = text[start + len(word) : start + len(word) + 14]
    return not re.match(
        r"\s+(?:is|was|has|works|lives|said|and [A-Z]|\(|joined|bought|ordered|wrote|likes)|,|'s", following
    )
