"""Citations: does every claim of a draft name a passage, does the passage exist, and does it say so.

A claim is a sentence; the citations `[p:1a2b3c4d5e]` behind it, or behind a later sentence of its paragraph, are its own. The
comparison is by words, numbers and negation: it finds what a passage does not mention. Whether the passage *means* it is for
the fact-checker to judge.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from nodes.decisions import Review
from nodes.engine.sentences import sentences
from nodes.engine.words import is_negated, key_terms, numbers, plain
from state.envelope import Envelope
from tools.passage import CITATION, Passage, cited_ids, parse_passages

SUPPORT = 0.5
"""Least share of a claim's content words that its passages must hold."""
SAME_SENTENCE = 0.8
"""From this share on a passage's sentence is taken to be the one a claim restates, so that they must agree in negation."""
UNSUPPORTED = "(unsupported)"

_GROUP = re.compile(r"\s*\[p:[0-9a-f]{10}\](?:[ \t,;]*\[p:[0-9a-f]{10}\])*[.!?]?")
_FENCE = re.compile(r"\s*(?:```|~~~)")
_OWN_LINE = re.compile(r"\s*(?:[#|>]|(?:-{3,}|\*{3,}|_{3,})\s*$)")
_BULLET = re.compile(r"^\s*(?:[-*+]|\d+[.)])\s+")
_MARKUP = re.compile(r"^(?:#|>|\||---|___)")
_SOURCES = r"(?:the|these|those|my) (?:documents?|sources?|passages?|findings)\b"
_ABSTENTION = re.compile(
    rf"^(?:(?:none of|nothing in) {_SOURCES}|no (?:document|source|passage)s?\b|{_SOURCES} (?:do(?:es)? not|don't|doesn't|"
    r"(?:say|contain|give|mention|hold)s? (?:nothing|no)\b))(?!.*\b(?:but|however|though|yet)\b)",
    re.I,
)


@dataclass(frozen=True)
class Claim:
    """A piece of a draft that says something, and the passages it names.

    Args:
        text: The claim's words, without its citations.
        ids: Ids of the passages cited for it; empty when there are none.
        end: Position in the draft behind it, and behind its citations where they follow directly.
    """

    text: str
    ids: tuple[str, ...]
    end: int


def find_claims(draft: str) -> list[Claim]:
    """Return the claims of a draft in order.

    None are: code, sentences that say what is missing, and headings, tables and quotations without a citation.
    """
    return [claim for offset, text in _pieces(draft) for claim in _claims_of(text, offset)]


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
    if missing := [number for number in _figures(claim.text) if number not in numbers(text)]:
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
        marked = draft[: claim.end].endswith(UNSUPPORTED) or draft.startswith(f" {UNSUPPORTED}", claim.end)
        if not marked:
            draft = f"{draft[: claim.end]} {UNSUPPORTED}{draft[claim.end :]}"
    for name in cited_ids(draft):
        if name not in by_id:
            draft = re.sub(rf"[ \t]*\[{name}\](?:[ \t]*[,;](?=[ \t]*\[p:))?", "", draft)
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


def _figures(claim: str) -> list[str]:
    """Return the numbers a claim names; the word "one" is rarely a number."""
    return [number for number in numbers(claim) if number != "1" or "1" in claim]


def _pieces(draft: str) -> list[tuple[int, str]]:
    """Return the paragraphs, list items and lines of their own, with the place where each begins; no code."""
    pieces: list[tuple[int, str]] = []
    offset, in_code, is_open = 0, False, False
    for line in draft.splitlines(keepends=True):
        fence = _FENCE.match(line) is not None
        in_code ^= fence
        if fence or in_code or not line.strip():
            is_open = False
        elif is_open and not (_BULLET.match(line) or _OWN_LINE.match(line)):
            pieces[-1] = (pieces[-1][0], pieces[-1][1] + line)
        else:
            pieces.append((offset, line))
            is_open = not _OWN_LINE.match(line)
        offset += len(line)
    return pieces


def _claims_of(text: str, offset: int) -> list[Claim]:
    claims, start = [], 0
    for group in _GROUP.finditer(text):
        claims += _cited(text[start : group.start()], tuple(cited_ids(group[0])), offset + start, offset + group.end())
        start = group.end()
    rest = text[start:].rstrip()
    if not (start and len(rest.replace(UNSUPPORTED, "").split()) < 3):
        claims += _cited(rest, (), offset + start, offset + start + len(rest))
    return claims


def _cited(text: str, ids: tuple[str, ...], offset: int, end: int) -> list[Claim]:
    """Return the claims of a text that the same citations follow, which end at `end`."""
    claims, spans = [], _sentence_spans(text)
    for begin, stop in spans:
        words = _BULLET.sub("", text[begin:stop]).replace(UNSUPPORTED, "").strip(" \t\r\n*,;")
        if not _says_nothing(words, cited=bool(ids)):
            claims.append(Claim(plain(words).lstrip("> "), ids, end if stop == spans[-1][1] else offset + stop))
    return claims


def _says_nothing(words: str, *, cited: bool) -> bool:
    if not key_terms(words) or _ABSTENTION.match(words):
        return True
    return not cited and (_MARKUP.match(words) is not None or words.endswith((":", "?")))


def _sentence_spans(text: str) -> list[tuple[int, int]]:
    """Return where each sentence begins and ends; one of a single word that means something belongs to its neighbour."""
    words = [match.span() for match in re.finditer(r"\S+", text)]
    counts = [len(sentence.split()) for sentence in sentences(text)]
    if sum(counts) != len(words):  # sentences without spaces between them
        return [(0, len(text.rstrip()))]
    spans: list[tuple[int, int]] = []
    for count in counts:
        begin, words = words[0][0], words[count - 1 :]
        span, words = (begin, words[0][1]), words[1:]
        if spans and (_is_short(text, span) or _is_short(text, spans[-1])):
            spans[-1] = (spans[-1][0], span[1])
        else:
            spans.append(span)
    return spans


def _is_short(text: str, span: tuple[int, int]) -> bool:
    sentence = text[slice(*span)]
    return len(key_terms(sentence)) < 2 and not _ABSTENTION.match(sentence)
