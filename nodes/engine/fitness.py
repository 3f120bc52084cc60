"""Fitness: whether a unit has the form of the answer that is wanted, and whether it can be read alone."""

from __future__ import annotations

import re
from collections.abc import Sequence

from nodes.engine.question import Question
from nodes.engine.sentences import Unit
from nodes.engine.words import is_negated, numbers, terms, tokens

LONG_QUOTE = 70  # words

_DEFINES = (
    r"\W*(?:\s+\w+\W*){0,2}?\s*"
    r"(?:\b(?:is|are|means?|refers? to|defines?|denotes?|describes?|provides?|allows?)\b|:)"
)
_MONTHS = "january|february|march|april|may|june|july|august|september|october|november|december"
_FORMS = {
    kind: re.compile(pattern)
    for kind, pattern in (
        (
            "reason",
            r"(?i)\b(?:because|since|so that|due to|reason|therefore|in order to|to avoid|to prevent|thus|hence)\b",
        ),
        ("method", r"(?i)\b(?:use|using|call|pass|set|run|install|add|create|must|should|can|by)\b"),
        ("time", rf"(?i)\b(?:1[89]|20)\d\d\b|\b(?:{_MONTHS})\b"),
        ("person", r"\b[A-Z][a-z]+ [A-Z][a-z]+\b|\b(?:author|maintain|creator|written by|team|committee|manager)\w*\b"),
    )
}
_REFERS = re.compile(
    r"(?:for (?:more|further|details?|full|complete)\b.*\b)?(?:see|refer to|visit|check out|read) ", re.IGNORECASE
)
_CHANGE = re.compile(
    r"\((?:PR|pull|issue|gh)?[ -]?#\d+\)|\[#\d+\]|\bby \[?@\w+", re.IGNORECASE
)  # a line of a changelog
_MARKUP = re.compile(r"https?://\S+|\]\([^)]*\)|[`*_#<>|=\[\]{}]")


def fit(unit: Unit, question: Question) -> float:
    """Give a bonus to a unit that has the form of the answer wanted: 0 to 0.5."""
    denies = 0.2 if is_negated(question.text) and is_negated(unit.text) else 0.0
    return denies + _form_bonus(unit, question)


def _form_bonus(unit: Unit, question: Question) -> float:
    if unit.kind == "code":
        return 0.1 if question.kind == "method" else 0.0
    form = _FORMS.get(question.kind)
    if form is not None:
        return 0.15 if form.search(unit.text) else 0.0
    if question.kind == "quantity":
        return 0.2 if numbers(unit.text) else 0.0
    return _defines(unit.text, question.terms) if question.kind in ("definition", "open", "list") else 0.0


def worth(unit: Unit) -> float:
    """Weigh a unit by how readable it is alone: fragments, links and very long sentences are worth less."""
    words = len(tokens(unit.text))
    found = 1.0 if unit.whole else 0.4
    if unit.kind == "sentence" and (words < 4 or words > LONG_QUOTE):
        found *= 0.5
    if unit.kind in ("sentence", "item") and len("".join(_MARKUP.findall(unit.text))) > 0.4 * len(unit.text):
        found *= 0.4
    if unit.kind in ("code", "table"):
        found *= 0.75
    if unit.dangles:
        found *= 0.85
    if _REFERS.match(unit.text):
        found *= 0.5
    if _CHANGE.search(unit.text):
        found *= 0.7
    return found * (0.7 if unit.text.endswith("?") else 1.0)


def _defines(text: str, wanted: Sequence[str]) -> float:
    words = tokens(text)[:6]
    surface = [word for word in words if set(terms(word)) & set(wanted)]
    if not surface:
        return 0.0
    opening = " ".join(text.split()[:12])
    return 0.3 if re.search(re.escape(surface[-1]) + _DEFINES, opening) else 0.05
