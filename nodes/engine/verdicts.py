"""Verdicts: yes or no, accept or revise, positive or negative, high or low - members of closed sets, by rules."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from nodes.engine.vocabulary import vocabulary
from nodes.engine.words import is_negated, tokens

_GOOD = vocabulary(
    """accept accepted approve approved pass passed passes yes ok okay good valid correct true supported support
    supports done complete completed finished satisfied sufficient entailed entailment grounded agree agreed
    ready publish keep allow confirmed answered found success successful relevant consistent finish stop end
    proceed"""
)
_BAD = vocabulary(
    """not non revise revision reject rejected retry fail failed fails no bad invalid incorrect false unsupported refuted
    contradicted incomplete insufficient wrong redo rework rewrite improve changes deny denied disagree unknown
    missing unanswered failure irrelevant inconsistent needs need not_enough continue"""
)
_TROUBLE = vocabulary(
    """needs need requires loop error failed missing stuck ambiguous unclear retry revise duplicate contradiction hallucinated
    hallucination unsupported escalate insufficient incomplete"""
)
_SURE = vocabulary("enough progress made answerable covered cited verified available known sure confident")
_LAST_RESORT = vocabulary("escalate reassign abort human handoff replan")
_SENTIMENTS = {
    **dict.fromkeys(("positive", "good", "happy", "satisfied"), 1),
    **dict.fromkeys(("negative", "bad", "angry", "unhappy", "dissatisfied"), -1),
}
_NEUTRAL = vocabulary("neutral mixed none unknown undecided")
_LEVELS = (
    vocabulary("lowest trivial none minimal verylow"),
    vocabulary("low minor easy small info p4 p3 simple beginner"),
    vocabulary("medium moderate normal average p2 warning mid intermediate"),
    vocabulary("high major hard large important p1 error complex advanced severe"),
    vocabulary("critical urgent blocker emergency p0 fatal highest"),
)
_PLEASED = vocabulary(
    """great good excellent love loved loves amazing wonderful fantastic perfect happy pleased satisfied best
    awesome nice helpful easy fast recommend thanks thank delighted enjoy enjoyed brilliant superb reliable
    smooth beautiful impressed works"""
)
_DISPLEASED = vocabulary(
    """bad terrible awful hate hated hates horrible worst poor broken slow disappointed disappointing
    disappointment angry useless crash crashes crashed annoying frustrating frustrated unhappy waste wasted fail
    failed fails failing problem problems refund rude late wrong difficult confusing unusable unacceptable bug
    bugs defective"""
)
_PRESSING = re.compile(
    r"\b(?:urgent(?:ly)?|asap|immediately|critical|emergency|outage|down for|production|data loss|security|breach|blocked|"
    r"cannot (?:work|log ?in|access)|can't (?:work|log ?in|access)|right away|all (?:users|customers)|deadline today)\b",
    re.IGNORECASE,
)
_RELAXED = re.compile(
    r"\b(?:whenever|no rush|no hurry|minor|cosmetic|nice to have|low priority|when you have time|typo|suggestion|curious)\b",
    re.IGNORECASE,
)


def verdict_member(members: Sequence[Any], *, good: bool) -> Any | None:
    """Choose from a set of verdicts, such as accept and revise; None if the members are no verdicts.

    Of several bad ones the mildest is taken: to retry comes before to reassign, and a human last.
    """
    names = [_words(member) for member in members]
    praising = [m for m, words in zip(members, names, strict=True) if words & _GOOD and not words & _BAD]
    blaming = [m for m, words in zip(members, names, strict=True) if words & _BAD]
    others = [m for m, words in zip(members, names, strict=True) if words & _LAST_RESORT]
    if not praising or not (blaming or others):
        return None
    return praising[0] if good else (blaming or others)[0]


def sentiment_member(members: Sequence[Any], text: str) -> Any | None:
    """Choose between positive, negative and neutral by the words of a text; None if these are not the members."""
    signs = {member: next((_SENTIMENTS[w] for w in _words(member) if w in _SENTIMENTS), 0) for member in members}
    if {1, -1} - set(signs.values()):
        return None
    tone = sentiment(text)
    wanted = 1 if tone > 0.1 else -1 if tone < -0.1 else 0
    fitting = [member for member, sign in signs.items() if sign == wanted and (wanted or _words(member) & _NEUTRAL)]
    return fitting[0] if fitting else next((m for m, sign in signs.items() if sign == (1 if tone >= 0 else -1)), None)


def sentiment(text: str) -> float:
    """Say how pleased a text sounds, -1 to 1; a denied word counts the other way."""
    words = [word.lower() for word in tokens(text)]
    score = hits = 0
    for i, word in enumerate(words):
        sign = (word in _PLEASED) - (word in _DISPLEASED)
        if sign:
            denied = is_negated(" ".join(words[max(0, i - 3) : i]))
            score += -sign if denied else sign
            hits += 1
    return score / hits if hits else 0.0


def level_member(members: Sequence[Any], degree: float) -> Any | None:
    """Choose from ordered levels, such as low, medium and high; None if the members are no levels.

    `degree` is 0 for the lowest to 1 for the highest.
    """
    ranks = {m: next((i for i, names in enumerate(_LEVELS) if _words(m) & names), None) for m in members}
    ordered = sorted((rank, str(m), m) for m, rank in ranks.items() if rank is not None)
    if len(ordered) < 2 or len(ordered) < len(members) - 1:
        return None
    return ordered[min(len(ordered) - 1, int(degree * len(ordered)))][2]


def urgency(text: str) -> float:
    """Say how pressing a text sounds: 0.1 relaxed, 0.5 ordinary, 0.95 pressing."""
    if _PRESSING.search(text):
        return 0.95
    return 0.1 if _RELAXED.search(text) else 0.5


def is_good_word(words: Sequence[str]) -> bool | None:
    """Say whether a flag such as `is_satisfied` or `needs_revision` is set by things being well; None if neither."""
    found = set(words)
    denied = bool(found & {"not", "no", "un", "without"})
    if found & _TROUBLE:
        return denied
    if found & (_GOOD | _SURE):
        return not denied
    return None


def _words(member: Any) -> frozenset[str]:
    name = str(member).lower()
    return frozenset(re.split(r"[^a-z0-9]+", name)) | {name, re.sub(r"[^a-z]+", "", name)}
