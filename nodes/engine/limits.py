"""Limits: what a request says about the length of a text, such as `at most 100 words`."""

from __future__ import annotations

import re
from dataclasses import dataclass

from nodes.engine.sentences import sentences
from nodes.engine.words import NUMBER_WORDS
from tools.passage import CITATION

_WORDS = "|".join(word for word, value in NUMBER_WORDS.items() if 0 < int(value) <= 20)
_LIMIT = re.compile(
    r"\b(?P<bound>at most|no more than|not more than|under|fewer than|less than|maximum(?: of)?|max\.?|up to|within|at least|"
    r"no fewer than|"
    r"minimum(?: of)?|more than|exactly|in)\s+"
    rf"(?P<number>\d+|{_WORDS})\s+(?:short\s+)?(?P<unit>word|sentence|bullet|item|paragraph|character|line)s?\b",
    re.IGNORECASE,
)
_LEAST = ("at least", "no fewer", "minimum", "more than")


@dataclass(frozen=True)
class Limit:
    """A bound on the length of a text; `phrase` is how it was put."""

    unit: str
    number: int
    bound: str
    phrase: str

    def broken_by(self, text: str) -> str:
        """Say how a text breaks the limit; "" when it keeps it."""
        count = measure(text, self.unit)
        if self.bound.startswith(_LEAST):
            broken = count < self.number
        elif self.bound == "exactly":
            broken = count != self.number
        else:
            broken = count > self.number
        return f"The draft has {count} {self.unit}s; asked for is {self.phrase}." if broken else ""


def limits_in(text: str) -> list[Limit]:
    """List the limits that a text states."""
    found = []
    for match in _LIMIT.finditer(text):
        number = int(match["number"]) if match["number"].isdigit() else int(NUMBER_WORDS[match["number"].lower()])
        found.append(Limit(match["unit"].lower(), number, match["bound"].lower(), match[0].lower()))
    return found


def without_limits(text: str) -> str:
    """Take the limits out of a text, and what counts the same without a bound: `two sentences about`."""
    return re.sub(
        rf"\b(?:\d+|{_WORDS})\s+(?:word|sentence|bullet|item|paragraph|line)s?\b(?: points?)?",
        " ",
        _LIMIT.sub(" ", text),
        flags=re.IGNORECASE,
    )


def measure(text: str, unit: str) -> int:
    """Count the words, sentences, bullets, items, paragraphs, characters or lines of a text, citations left out."""
    text = CITATION.sub("", text).strip()
    prose = re.sub(r"(?m)^#{1,6}\s.*$", "", text)
    counts = {
        "word": lambda: len(prose.split()),
        "sentence": lambda: sum(len(sentences(block)) for block in re.split(r"\n\s*\n|\n(?=\s*[-*•]\s)", prose)),
        "bullet": lambda: len(re.findall(r"(?m)^\s*[-*•]\s", text)),
        "item": lambda: len(re.findall(r"(?m)^\s*(?:[-*•]|\d+[.)])\s", text)),
        "paragraph": lambda: sum(bool(block.strip()) for block in re.split(r"\n\s*\n", prose)),
        "line": lambda: sum(bool(line.strip()) for line in text.splitlines()),
        "character": lambda: len(text),
    }
    return counts[unit]()
