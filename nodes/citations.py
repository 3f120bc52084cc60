"""Citations: does every claim of a draft name a passage, does the passage exist, and does it say so.

A claim is the text before a citation `[p:1a2b3c4d5e]`, back to the citation or line before it. The comparison is by words,
numbers and negation: it finds what a passage does not mention. Whether the passage *means* it is for the fact-checker to judge.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from nodes.engine.sentences import sentences
from nodes.engine.words import is_negated, key_terms, numbers, plain
from nodes.roles import Review
from state.envelope import Envelope
from tools.passage import CITATION, Passage, cited_ids, parse_passages

SUPPORT = 0.5
"""Least share of a claim's content words that its passages must hold."""
SAME_SENTENCE = 0.8
"""From this share on a passage's sentence is taken to be the one a claim restates, so that they must agree in negation."""
UNSUPPORTED = "(unsupported)"

_GROUP = re.compile(r"\s*(?:\[p:[0-9a-f]{10}\][ \t,;]*)+[.!?]?")
_NO_CLAIM = re.compile(
    r"^(#|>|\||```|---|\*[^*]+\*$|_[^_]+_$|(the|these|those|my) (documents|sources|passages|findings) do(es)? not\b)",
    re.I,
)
_BULLET = re.compile(r"^\s*(?:[-*+]|\d+[.)])\s+")


@dataclass(frozen=True)
class Claim:
    """A piece of a draft that says something, and the passages it names.

    Args:
        text: The claim's words, without its citations.
        ids: Ids of the passages cited for it; empty when there are none.
        end: Position in the draft behind its citations.
    """

    text: str
    ids: tuple[str, ...]
    end: int


def find_claims(draft: str) -> list[Claim]:
    """Return the claims of a draft in order. Headings, quotations, code, and sentences that say what is missing are none."""
    claims: list[Claim] = []
    offset, in_code = 0, False
    for line in draft.splitlines(keepends=True):
        if line.lstrip().startswith("```"):
            in_code = not in_code
        elif not in_code:
            claims += _claims_of_line(line, offset)
        offset += len(line)
    return claims


def find_fault(claim: Claim, passages: Mapping[str, Passage]) -> str:
    """Return what is wrong with a claim, or nothing when its passages bear it out."""
    if not claim.ids:
        return "has no citation"
    unknown = [name for name in claim.ids if name not in passages]
    if unknown:
        return f"cites {', '.join(unknown)}, which is not among the sources"
    cited = [passages[name] for name in claim.ids]
    text = " ".join(f"{passage.heading} {passage.text}" for passage in cited)
    if any(_quotes(claim.text, passage.text) for passage in cited):
        return ""
    wanted, held = set(key_terms(claim.text)), set(key_terms(text))
    if missing := [number for number in numbers(claim.text) if number not in numbers(text)]:
        return f"names {', '.join(missing)}, which the cited passage does not"
    if wanted and len(wanted & held) / len(wanted) < SUPPORT:
        return "is not borne out by the cited passage"
    same = [s for passage in cited for s in sentences(passage.text) if _shared(wanted, s) >= SAME_SENTENCE]
    if same and all(is_negated(sentence) != is_negated(claim.text) for sentence in same):
        return f"turns round what the cited passage says: {same[0]!r}"
    return ""


def review_citations(draft: str, passages: Sequence[Passage]) -> Review:
    """Return a verdict on a draft's citations, with one issue for each claim at fault."""
    by_id = {passage.id: passage for passage in passages}
    claims = find_claims(draft)
    faults = [(claim, fault) for claim in claims if (fault := find_fault(claim, by_id))]
    issues = [f'"{claim.text}" {fault}.' for claim, fault in faults]
    if not draft.strip():
        issues = ["The draft is empty."]
    score = 1 - len(faults) / len(claims) if claims else float(bool(draft.strip()))
    return Review(verdict="revise" if issues else "accept", issues=issues, score=round(score, 3))


async def citation_check(envelope: Envelope) -> Review:
    """Resolves every citation and compares each claim with the passage it names, word by word."""
    passages = parse_passages(envelope.task) + [p for text in envelope.context.values() for p in parse_passages(text)]
    return review_citations(envelope.context.get("Draft", ""), passages)


def mark_unsupported(draft: str, passages: Sequence[Passage]) -> tuple[str, list[str]]:
    """Return the draft with `(unsupported)` behind each claim at fault and without citations that lead nowhere.

    Returns:
        The text, and the claims that were marked.
    """
    by_id = {passage.id: passage for passage in passages}
    faulty = [claim for claim in find_claims(draft) if find_fault(claim, by_id)]
    for claim in reversed(faulty):
        draft = f"{draft[: claim.end].rstrip()} {UNSUPPORTED}{draft[claim.end :]}"
    for name in cited_ids(draft):
        if name not in by_id:
            draft = draft.replace(f"[{name}]", "")
    return draft, [claim.text for claim in faulty]


def number_citations(draft: str, passages: Sequence[Passage]) -> tuple[str, list[Passage]]:
    """Return the draft with `[1]`, `[2]` in place of passage ids, and the passages in that order."""
    by_id = {passage.id: passage for passage in passages}
    order = [name for name in cited_ids(draft) if name in by_id]
    number = {name: index + 1 for index, name in enumerate(order)}
    text = CITATION.sub(lambda match: f"[{number[match[1]]}]" if match[1] in number else match[0], draft)
    return text, [by_id[name] for name in order]


def _quotes(claim: str, text: str) -> bool:
    """Whether a claim stands in a text word for word, from where something begins: a part could leave out a "not"."""
    wanted, held = plain(claim), plain(text)
    at = held.find(wanted)
    return at == 0 or (at > 0 and not held[:at].rstrip()[-1:].isalnum() and held[at - 1] != ",")


def _shared(wanted: set[str], sentence: str) -> float:
    return len(wanted & set(key_terms(sentence))) / len(wanted) if wanted else 0.0


def _claims_of_line(line: str, offset: int) -> list[Claim]:
    claims, start = [], 0
    for group in _GROUP.finditer(line):
        claims += _claim(line[start : group.start()], tuple(cited_ids(group[0])), offset + group.end())
        start = group.end()
    rest = line[start:].rstrip()
    if rest and not (start and len(rest.split()) < 3):
        claims += _claim(rest, (), offset + start + len(rest))
    return claims


def _claim(text: str, ids: tuple[str, ...], end: int) -> list[Claim]:
    words = _BULLET.sub("", text).strip().strip("*_").strip()
    says_nothing = not key_terms(words) or _NO_CLAIM.match(words) or (not ids and words.endswith((":", "?")))
    return [] if says_nothing else [Claim(words, ids, end)]
