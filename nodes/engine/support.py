"""Support: whether a passage says what a sentence claims."""

from __future__ import annotations

import re
from collections.abc import Sequence

from nodes.engine.reading import match
from nodes.engine.sentences import units
from nodes.engine.vocabulary import vocabulary
from nodes.engine.words import COMMON, heads, negated_terms, numbers, plain, terms, tokens, weight
from tools.passage import CITATION

SUPPORTED = 0.6  # share of a claim's weight that the passage must hold

_OPPOSITES = tuple(
    tuple(pair.split("/"))
    for pair in sorted(
        vocabulary(
            """always/never before/after first/last increase/decrease increases/decreases more/less
            most/least true/false mutable/immutable local/global allow/forbid allowed/forbidden
            allows/forbids allowed/prohibited enable/disable enabled/disabled enables/disables left/right
            top/bottom above/below start/end begin/end success/failure succeeds/fails pass/fail
            valid/invalid include/exclude includes/excludes included/excluded ascending/descending
            highest/lowest higher/lower larger/smaller largest/smallest greater/less faster/slower
            fast/slow required/optional synchronous/asynchronous public/private internal/external
            input/output open/closed read/write add/remove adds/removes minimum/maximum early/late
            lazy/eager supported/unsupported possible/impossible safe/unsafe with/without inside/outside
            on/off same/different possible/impossible positive/negative accept/reject accepts/rejects
            raise/suppress raises/suppresses all/none all/some both/neither implicit/explicit
            automatic/manual automatically/manually single/multiple upper/lower uppercase/lowercase
            forward/backward"""
        )
    )
)


def bare(sentence: str) -> str:
    """A sentence without its citations and list or heading marks, white space collapsed."""
    return plain(re.sub(r"^\s*(?:[-*•>]|\d+[.)])\s+", "", CITATION.sub("", sentence))).strip(" ,")


def is_verbatim(sentence: str, texts: Sequence[str]) -> bool:
    """Say whether a sentence stands word for word in one of the texts; emphasis, quotes and a last full stop do not count."""
    wanted = _letters(sentence)
    return bool(wanted) and any(wanted in _letters(text) for text in texts)


def support(sentence: str, texts: Sequence[str]) -> float:
    """Give the share of a sentence's words, by weight, that stand near each other in one of the texts: 0 to 1."""
    claim = bare(sentence)
    if is_verbatim(claim, texts):
        return 1.0
    wanted = heads(claim)
    total = sum(weight(t) for t in wanted)
    if not total:
        return 1.0
    best = 0.0
    for text in texts:
        bags = [frozenset(terms(unit.text)) for unit in units(text)]
        for i in range(len(bags)):
            window = frozenset().union(*bags[max(0, i - 1) : i + 2])
            best = max(best, sum(weight(t) * match(t, window) for t in wanted) / total)
    return best


def objections(sentence: str, texts: Sequence[str]) -> list[str]:
    """List what a sentence claims that the texts it cites do not say; empty when they support it."""
    claim = bare(sentence)
    if is_verbatim(claim, texts):
        return []
    found = []
    known = {n for text in texts for n in numbers(text)}
    strange = [n for n in dict.fromkeys(numbers(claim)) if n not in known]
    if strange:
        found.append("the cited passage does not have the number " + ", ".join(strange))
    share = support(sentence, texts)
    if share < SUPPORTED:
        absent = _absent(claim, texts)
        found.append(
            "the cited passage does not say this" + (f": it does not mention {_list(absent)}" if absent else "")
        )
        return found
    nearest = _nearest(claim, texts)
    if _contradict(claim, nearest):
        found.append(f"the cited passage says the opposite: {nearest}")
    elif opposite := _opposed(claim, nearest):
        found.append(f"the cited passage says {opposite[1]}, not {opposite[0]}")
    return found


def _contradict(one: str, other: str) -> bool:
    """Say whether one sentence denies what the other states, and they deny nothing together."""
    denied, denied_there = negated_terms(one), negated_terms(other)
    if denied & denied_there:
        return False
    return bool(denied & frozenset(heads(other)) or denied_there & frozenset(heads(one)))


def _letters(text: str) -> str:
    return " ".join(re.sub(r"[*_`\"“”'’‘\\|]+", "", text).split()).rstrip(".:;,! ").lower()


def _absent(claim: str, texts: Sequence[str]) -> list[str]:
    held = frozenset(t for text in texts for t in terms(text))
    missing = [w for w in tokens(claim) if (own := terms(w)) and own[0] not in COMMON and match(own[0], held) == 0]
    return list(dict.fromkeys(missing))[:4]


def _nearest(claim: str, texts: Sequence[str]) -> str:
    """The unit of the texts that shares most with a claim."""
    wanted = heads(claim)
    found = [unit.text for text in texts for unit in units(text)]
    return max(found, key=lambda text: sum(weight(t) * match(t, frozenset(terms(text))) for t in wanted), default="")


def _opposed(claim: str, nearest: str) -> tuple[str, str] | None:
    """A word of the claim whose opposite stands in its place in the nearest sentence, with that opposite."""
    said, written = set(re.findall(r"[a-z]+", claim.lower())), set(re.findall(r"[a-z]+", nearest.lower()))
    for a, b in _OPPOSITES:
        for one, other in ((a, b), (b, a)):
            if one in said and one not in written and other in written and other not in said:
                return one, other
    return None


def _list(words: Sequence[str]) -> str:
    return ", ".join(f'"{word}"' for word in words)
