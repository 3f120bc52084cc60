"""Mood: what in a customer's message says that a person should take over, found by rules that anybody can read.

Rules come first because they cost nothing, never tire, and say why; an agent that sees more hands over by itself.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from nodes.wording import gist_words, says_the_same

LIMIT = 2
"""Points at which a person takes over."""
MANY_ORDERS = 3
"""Orders in one message from which a case is complex."""

_PERSON = re.compile(
    r"\b(?:speak|talk|chat|connect|transfer|put|pass|get|give|want|need|let)\b[^.?!]{0,30}"
    r"\b(?:human|real person|a person|somebody|someone|manager|supervisor|live agent|human agent|representative)\b",
    re.IGNORECASE,
)
_LEGAL = re.compile(
    r"\b(?:lawyers?|attorney|solicitor|sue|legal action|court|chargeback|ombudsman|consumer protection)\b",
    re.IGNORECASE,
)
_ANGER = re.compile(
    r"\b(?:ridiculous|unacceptable|outrageous|terrible|horrible|awful|useless|worst|furious|angry|fed up|disgrace\w*|pathetic|"
    r"nonsense|joke|scam|rip-?off|incompetent|sick of|had enough|waste of (?:my )?time|never again|frustrat\w+|wtf|damn)\b",
    re.IGNORECASE,
)
_AGAIN = re.compile(
    r"\b(?:(?:second|third|fourth|fifth|hundredth|\d+(?:nd|rd|th)) time|how many times|still (?:not|no|waiting|nothing)|"
    r"already (?:told|asked|said|explained)|nobody (?:answers|helps|replies)|no ?one (?:answers|helps|replies)|keep asking)\b",
    re.IGNORECASE,
)
_UNHELPED = re.compile(
    r"\b(?:(?:does|did)(?: not|n['’]t) (?:help|answer)|not what i asked|you(?:'re| are) not (?:helping|listening))\b",
    re.IGNORECASE,
)
_ORDER = re.compile(r"(?<![\d.,])#?(\d{4,9})(?![\d.,]*\d)")
_SHOUTED = 0.6
_LEAST_LETTERS = 12
_LEAST_WORDS = 2


class Mood(NamedTuple):
    """How a customer feels, as far as rules can tell."""

    points: int
    signals: list[str]
    """Why, in words."""

    @property
    def needs_person(self) -> bool:
        """Whether a person should take over."""
        return self.points >= LIMIT


def read_mood(text: str, earlier: Sequence[str] = (), points: int = 0) -> Mood:
    """Return the mood of a message.

    A wish for a person, a threat of legal steps and a case of many orders are enough by themselves. Anger, complaints of having
    asked before, shouting and asking the same again count one point each, and are remembered: a calm message takes one away.

    Args:
        text: The message.
        earlier: What the customer said before.
        points: What the conversation had so far.
    """
    if _PERSON.search(text):
        return Mood(max(points, LIMIT), ["asks for a person"])
    if found := _LEGAL.search(text):
        return Mood(max(points, LIMIT), [f"speaks of legal steps ({found[0].lower()})"])
    if len(orders := orders_in(text)) >= MANY_ORDERS:
        return Mood(max(points, LIMIT), [f"a complex case: {len(orders)} orders at once"])
    signals = [
        *(f"is angry ({found[0].lower()})" for found in [_ANGER.search(text)] if found),
        *(f"has asked before ({found[0].lower()})" for found in [_AGAIN.search(text)] if found),
        *(f"was not helped ({found[0].lower()})" for found in [_UNHELPED.search(text)] if found),
        *(["shouts"] if _is_shouted(text) else []),
        *(["asks the same again"] if _is_asked_again(text, earlier) else []),
    ]
    return Mood(points + len(signals) if signals else max(0, points - 1), signals)


def orders_in(text: str) -> list[int]:
    """Return the numbers in a text that may be those of orders, each once."""
    return list(dict.fromkeys(int(number) for number in _ORDER.findall(text)))


def _is_asked_again(text: str, earlier: Sequence[str]) -> bool:
    return len(gist_words(text)) >= _LEAST_WORDS and any(says_the_same(text, each) for each in earlier)


def _is_shouted(text: str) -> bool:
    letters = [each for each in text if each.isalpha()]
    loud = (
        sum(each.isupper() for each in letters) > _SHOUTED * len(letters) if len(letters) >= _LEAST_LETTERS else False
    )
    return loud or "!!" in text
