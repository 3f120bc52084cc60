"""Figures: the amounts that a value names, and whether two values can both hold.

What is compared is a value as a document states it, such as `8 USD per user per month`, `2 TB` or `phone on working days`.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from nodes.engine.words import NEGATIONS, NUMBER_WORDS, STOP, is_negated
from nodes.wording import gist_words, says_the_same

SHORT = 6
"""Words up to which a value is a state such as `open source`, of which only one holds; a longer one describes."""
ALIKE = 0.6
"""Share of words in common from which two descriptions are about the same."""

_UNITS: dict[str, tuple[str, float]] = {
    **dict.fromkeys(("usd", "us$", "$", "dollar"), ("usd", 1)),
    **dict.fromkeys(("eur", "€", "euro"), ("eur", 1)),
    **dict.fromkeys(("gbp", "£", "pound"), ("gbp", 1)),
    **dict.fromkeys(("%", "percent"), ("percent", 1)),
    **dict.fromkeys(("kb", "kilobyte"), ("byte", 1e3)),
    **dict.fromkeys(("mb", "megabyte"), ("byte", 1e6)),
    **dict.fromkeys(("gb", "gigabyte"), ("byte", 1e9)),
    **dict.fromkeys(("tb", "terabyte"), ("byte", 1e12)),
    "second": ("second", 1),
    "minute": ("second", 60),
    "hour": ("second", 3600),
    "day": ("second", 86_400),
}
_CLEAR = frozenset({"usd", "eur", "gbp", "byte", "percent"})
"""Units that say by themselves what is measured."""

_MARK = r"US\$|[$€£]"
_FIGURE = re.compile(
    rf"(?P<mark>{_MARK})?\s*(?<![\w.])(?P<amount>\d+(?:,\d{{3}})*(?:\.\d+)?)\s*-?"
    rf"(?:(?:working|business|full)\s+)?(?P<unit>{_MARK}|%|[^\W\d_]+)?"
)
_PHRASE = re.compile(
    rf"(?:(?:{_MARK}|\b(?:USD|EUR|GBP))\s?)?(?<![\w.])\d+(?:[.,]\d+)*(?:\s?(?:{_MARK}|%|(?!per\b)[A-Za-z]+))?"
    r"(?:\s(?:per|of|an?)\s[\w-]+)*"
)
_PERIOD = re.compile(
    r"\b(?:per|an?|each|every)\s+(month|year|week|day|hour)\b|\b(month|year|annual|week|dai)l?ly\b|/\s?(mo|yr)\b", re.I
)
_NAME = re.compile(r"\b[A-Z][\w-]*")


class Figure(NamedTuple):
    """An amount in a value."""

    amount: float
    """As it is written."""
    unit: str
    """What is measured: `usd`, `byte`, `second`, else the word behind the amount; empty when there is none."""
    scaled: float
    """In that unit."""


def figures(text: str) -> list[Figure]:
    """Return the figures of a text in order; number words count, and `24/7` is no figure."""
    text = re.sub(r"\b24/7\b", "always", text)
    text = re.sub(r"(\d)([A-Za-z])", r"\1 \2", text)
    text = re.sub(r"\b[a-z]+\b", lambda match: NUMBER_WORDS.get(match[0].lower(), match[0]), text, flags=re.I)
    return [_figure(match) for match in _FIGURE.finditer(text)]


def phrase_of(text: str) -> str:
    """Return the words around the only figure of a text that says what it measures, or nothing: `8 USD per month`."""
    found = [match[0].strip(" .,") for match in _PHRASE.finditer(text)]
    clear = [phrase for phrase in found if any(figure.unit in _CLEAR for figure in figures(phrase))]
    return clear[0] if len(clear) == 1 else ""


def unit_of(phrase: str) -> str:
    """Return what the figure of a phrase measures, or nothing."""
    return next((figure.unit for figure in figures(phrase)), "")


def agree(first: str, second: str) -> bool:
    """Whether two values say the same, or one says what the other says and more."""
    one, other = gist_words(first), gist_words(second)
    mine, yours = ({(f.unit, f.scaled) for f in figures(text)} for text in (first, second))
    if is_negated(first) != is_negated(second) or not (mine <= yours or yours <= mine):
        return False
    if _name_different_things(first, second):
        return False
    if says_the_same(first, second) or one <= other or other <= one:
        return True
    return bool(mine) and mine == yours


def contradict(first: str, second: str) -> bool:
    """Whether of two values of the same thing only one can hold, as far as words tell.

    Values in different units are about different things, and so are those that name different plans or editions.
    """
    if agree(first, second) or _name_different_things(first, second):
        return False
    mine, yours = _by_unit(first), _by_unit(second)
    if mine and yours:
        return any(not mine[unit] & yours[unit] for unit in mine.keys() & yours.keys())
    if max(len(first.split()), len(second.split())) <= SHORT:
        return True
    one, other = gist_words(first), gist_words(second)
    return is_negated(first) != is_negated(second) and len(one & other) >= ALIKE * min(len(one), len(other))


def _figure(match: re.Match[str]) -> Figure:
    amount = float(match["amount"].replace(",", ""))
    word = (match["mark"] or match["unit"] or "").lower()
    word = word if len(word) < 4 or word in _UNITS else word.removesuffix("s")
    unit, factor = _UNITS.get(word, ("" if word in STOP else word, 1))
    return Figure(amount, unit, round(amount * factor, 6))


def _by_unit(value: str) -> dict[str, set[float]]:
    """Return the amounts of a value by unit; prices for different periods are different units."""
    found: dict[str, set[float]] = {}
    for figure in figures(value):
        found.setdefault(figure.unit, set()).add(figure.scaled)
    return found


def _name_different_things(first: str, second: str) -> bool:
    """Whether each value has a name or a period that the other lacks: `Team: 9 USD` and `Business: 15 USD`."""
    one, other = _names(first), _names(second)
    mine, yours = _periods(first), _periods(second)
    return bool(one - other and other - one) or bool(mine and yours and not mine & yours)


def _names(value: str) -> set[str]:
    found = {name.lower() for name in _NAME.findall(value)}
    return {name for name in found if name not in STOP and name not in NEGATIONS and name not in _UNITS}


def _periods(value: str) -> set[str]:
    found = (next(filter(None, match.groups())).lower() for match in _PERIOD.finditer(value))
    return {
        {"mo": "month", "yr": "year", "annua": "year", "annual": "year", "dai": "day"}.get(word, word) for word in found
    }
