"""Wording: whether two texts say the same in other words, and what stays of a long one when it is cut to its gist.

No model is asked, so the same texts always give the same.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from tools.retrieval.stemming import stem
from tools.retrieval.words import STOP_WORDS, words

WhatT = TypeVar("WhatT", bound=Any)

SAME = 0.8
"""Share of common words from which two texts count as the same in other words."""

_NEGATION = re.compile(
    r"\b(?:not|no|never|none|nor|neither|without|cannot|nicht|nie|ohne|kein\w*)\b|n['\u2019]t\b", re.IGNORECASE
)
_CLITIC = re.compile(r"(?:n['\u2019]t|['\u2019](?:s|re|ve|ll|d|m))\b", re.IGNORECASE)
_SENTENCE = re.compile(r"(?<=[.!?])\s+|\n+")


def gist_words(text: str) -> frozenset[str]:
    """Return the stems of the words that carry meaning; of a text without any, all its words."""
    found = words(_CLITIC.sub("", text))
    return frozenset(stem(word) for word in found if word not in STOP_WORDS) or frozenset(found)


def says_the_same(first: str, second: str) -> bool:
    """Whether two texts are paraphrases: nearly the same words that carry meaning, in whatever order and form.

    Texts that differ in a number do not say the same, nor does one that says no and one that does not.
    """
    if bool(_NEGATION.search(first)) != bool(_NEGATION.search(second)):
        return False
    one, other = gist_words(first), gist_words(second)
    if not one or not other:
        return first.strip() == second.strip()
    numbers = [{word for word in side if any(c.isdigit() for c in word)} for side in (one, other)]
    return numbers[0] == numbers[1] and len(one & other) / len(one | other) >= SAME


def circle(moves: Sequence[tuple[str, WhatT]], repeats: int, same: Callable[[WhatT, WhatT], bool] | None = None) -> int:
    """Return how many moves the circle has that a sequence ends with; 0 when it does not end with one.

    A circle of n moves has been gone round `repeats` times: the same who, n moves apart, each time saying the same.

    Args:
        moves: `(who, what)`, in order.
        repeats: Rounds from which it is a circle; 1 counts as 2, since one round repeats nothing.
        same: Whether two of `what` are the same; by default `says_the_same`, for texts.
    """
    repeats, alike = max(2, repeats), same or says_the_same
    for length in range(1, len(moves) // repeats + 1):
        tail = moves[-length * repeats :]
        pairs = [(tail[at], tail[at + length]) for at in range(len(tail) - length)]
        if all(one[0] == other[0] and alike(one[1], other[1]) for one, other in pairs):
            return length
    return 0


def digest(text: str, most: int) -> str:
    """Return at most `most` characters of a text: whole sentences, the first and those with the most of its own words.

    Sentences stay in their order and in their words; what is left out is marked.
    """
    text = text.strip()
    if len(text) <= most:
        return text
    sentences = list(dict.fromkeys(part.strip() for part in _SENTENCE.split(text) if part.strip()))
    weight = _weights(sentences)
    kept, room = set[int](), most - 6
    for at in sorted(range(len(sentences)), key=lambda i: (i != 0, -weight[i], i)):
        if len(sentences[at]) + 1 <= room:
            kept.add(at)
            room -= len(sentences[at]) + 1
    if not kept:
        return text[: most - 6].rstrip() + " [...]" if most > 6 else text[: max(0, most)]
    return " ".join(sentences[at] for at in sorted(kept)) + " [...]"


def _weights(sentences: Sequence[str]) -> list[float]:
    """Return how much of what a text is about each sentence holds: how common its words are in all, by their number."""
    gists = [gist_words(sentence) for sentence in sentences]
    common: dict[str, int] = {}
    for gist in gists:
        for word in gist:
            common[word] = common.get(word, 0) + 1
    return [sum(common[word] for word in gist) / (len(gist) + 3) for gist in gists]
