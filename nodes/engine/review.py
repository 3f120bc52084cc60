"""The review: what is wrong with a draft, by rules."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

from nodes.engine.limits import limits_in, without_limits
from nodes.engine.material import Material
from nodes.engine.phrases import says_nothing
from nodes.engine.question import Question
from nodes.engine.reading import match
from nodes.engine.sentences import sentences
from nodes.engine.support import bare, objections
from nodes.engine.words import is_negated, numbers, plain, terms, tokens
from tools.passage import CITATION, PASSAGE_ID, cited_ids

MIN_WORDS = 3  # of a line to be a factual sentence
COVERED = 0.5  # share of the question's weight that a draft must speak of

_FENCE = re.compile(r"(?ms)^\s*(```|~~~).*?^\s*\1\s*$|^\s*\|.*?\|\s*$")
_HEADING = re.compile(r"(?m)^\s{0,3}#{1,6}\s.*$|^[^\n]+\n[=\-]{3,}\s*$")
_BAD_CITATION = re.compile(r"\[(p:[^\]\s]*)\]")
_MENTION = re.compile(
    r"\b(?:must |should |has to )?(?:mention|include|contain|refer to)s?\s+[\"“'`]([^\"”'`]+)[\"”'`]", re.IGNORECASE
)
_DEMANDS_CITATIONS = re.compile(r"\bcit(?:e|ed|ation|ations|ing)\b|\[p:", re.IGNORECASE)


@dataclass(frozen=True)
class Issue:
    """One thing that is wrong; `sentence` is the sentence of the draft that it is about, "" for the whole draft."""

    text: str
    sentence: str = ""


class Review:
    """A draft held against rules.

    The rules: it is not empty; every factual sentence cites a passage that the request holds, which says what the sentence
    says, with its numbers and denials; nothing is said twice; the question is spoken of; stated limits are kept. Citations
    are asked for only where there are passages to cite.
    """

    def __init__(self, material: Material, draft: str) -> None:
        self._material = material
        self.draft = draft.strip()

    @cached_property
    def issues(self) -> list[Issue]:
        """Everything that is wrong, in the order of the draft, then of the whole."""
        if not self.draft or not terms(self.draft):
            return [Issue("The draft is empty.")]
        if says_nothing(self.draft) and len(self._factual) <= 3:
            return list(self._of_abstention())
        return [*self._of_sentences(), *self._of_repetition(), *self._of_coverage(), *self._of_limits()]

    @property
    def accepts(self) -> bool:
        """Whether nothing is wrong."""
        return not self.issues

    @cached_property
    def score(self) -> float:
        """1 for a draft without issues, less by the share of sentences with one, 0 for an empty draft."""
        if self.accepts:
            return 0.5 if says_nothing(self.draft) else 1.0
        if not self._factual or self.issues[0].text == "The draft is empty.":
            return 0.0
        bad = len({issue.sentence for issue in self.issues if issue.sentence})
        general = sum(not issue.sentence for issue in self.issues)
        return round(max(0.0, 1 - bad / len(self._factual) - 0.15 * general) * 0.95, 2)

    @cached_property
    def _factual(self) -> list[str]:
        return factual_sentences(self.draft)

    @cached_property
    def _texts(self) -> Mapping[str, list[str]]:
        """Passage id to what is known of the passage; a quote that only the draft itself holds vouches for nothing."""
        known = {passage.id for passage in self._material.request.passages}
        own = plain(CITATION.sub("", self.draft))
        found: dict[str, list[str]] = {}
        for source in self._material.request.cited:
            if source.id in known or not all(plain(quote) in own for quote in source.text.split("\n\n")):
                found.setdefault(source.id, []).append(f"{source.text}\n\n{source.heading}")
        return found

    def _of_abstention(self) -> Iterator[Issue]:
        if self._material.request.passages and self._material.sufficient:
            quote = self._material.quotes[0] if self._material.quotes else None
            hint = f": passage [{quote.source.id}] says: {plain(quote.text)}" if quote else "."
            yield Issue(
                f"The draft says that there is no answer, but the passages hold one{hint}",
                self._factual[0] if self._factual else "",
            )

    def _of_sentences(self) -> Iterator[Issue]:
        demanded = bool(self._texts) or bool(_DEMANDS_CITATIONS.search(self._rules))
        for sentence in self._factual:
            if says_nothing(sentence):
                continue
            keys = _BAD_CITATION.findall(sentence)
            shown = bare(_BAD_CITATION.sub("", sentence))
            unknown = [key for key in keys if key not in self._texts]
            if not keys and demanded:
                yield Issue(f'No citation: "{shown}"', sentence)
            elif unknown and (self._texts or not all(PASSAGE_ID.fullmatch(key) for key in unknown) or demanded):
                yield Issue(f'Citation {", ".join(unknown)} is not among the passages: "{shown}"', sentence)
            elif keys:
                texts = [text for key in keys for text in self._texts.get(key, ())]
                for objection in objections(sentence, texts) if texts else ():
                    yield Issue(f'Not supported: "{shown}" - {objection}', sentence)

    def _of_repetition(self) -> Iterator[Issue]:
        seen: dict[str, frozenset[str]] = {}
        for sentence in self._factual:
            shown = bare(sentence)
            own = frozenset(terms(shown))
            for other, bag in seen.items():
                if shown == other or (_same(own, bag) and _alike(shown, other)):
                    yield Issue(f'Said twice: "{shown}"', sentence)
                    break
            seen.setdefault(shown, own)

    def _of_coverage(self) -> Iterator[Issue]:
        bag = frozenset(terms(self.draft))
        for part in self._material.asks:
            question = Question(without_limits(part))
            total = sum(question.weights.values())
            share = sum(w * match(t, bag) for t, w in question.weights.items()) / total if total else 1.0
            if share < COVERED:
                missing = [w for w in tokens(question.subject) if (own := terms(w)) and match(own[0], bag) == 0]
                yield Issue(
                    f'The draft does not speak of "{question.subject}"'
                    + (f" (missing: {', '.join(missing[:4])})" if missing else "")
                    + "."
                )

    def _of_limits(self) -> Iterator[Issue]:
        for limit in limits_in(f"{self._material.request.task}\n{self._constraints}"):
            if text := limit.broken_by(self.draft):
                yield Issue(text)
        for mention in _MENTION.findall(self._constraints):
            if mention.lower() not in self.draft.lower():
                yield Issue(f'The draft does not mention "{mention}", which the constraints ask for.')

    @cached_property
    def _constraints(self) -> str:
        return "\n".join(part.text for part in self._material.request.parts("constraints"))

    @cached_property
    def _rules(self) -> str:
        return f"{self._material.request.task}\n{self._constraints}\n{self._material.request.system}"


def factual_sentences(draft: str) -> list[str]:
    """List the sentences of a draft that state something: no headings, code, tables, questions or lines that open a list."""
    text = _HEADING.sub("\n\n", _FENCE.sub("\n\n", draft))
    found = []
    for paragraph in re.split(r"\n\s*\n|\n(?=\s*(?:[-*•]|\d+[.)])\s)", text):
        for sentence in sentences(paragraph):
            shown = bare(_BAD_CITATION.sub("", sentence))
            stated = len(tokens(shown)) >= MIN_WORDS or (cited_ids(sentence) and tokens(shown))
            if stated and not shown.endswith((":", "?")):
                found.append(sentence)
    return found


def _alike(a: str, b: str) -> bool:
    return numbers(a) == numbers(b) and is_negated(a) == is_negated(b)


def _same(a: frozenset[str], b: frozenset[str]) -> bool:
    return len(a & b) / max(1, len(a | b)) > 0.85
