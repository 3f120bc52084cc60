"""The answer: quotes in reading order, each followed by its citation, or an abstention."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Sequence

from nodes.engine import phrases
from nodes.engine.coverage import SUFFICIENT
from nodes.engine.material import Material, all_abstain
from nodes.engine.phrases import lacks_model, says_nothing, unsaid
from nodes.engine.question import Question
from nodes.engine.request import Source
from nodes.engine.selection import Excerpt, choose, excerpts
from nodes.engine.sentences import Unit, units
from nodes.engine.words import COMMON, key_terms, plain, terms, tokens

GIVEN_SUFFICIENT = 0.4  # coverage; a text that comes with its question is likely about it, so less proves it
SHORT_RESULT = 40  # words of a tool's result that is given as it is
QUOTES_FOR = {
    "time": 2, "person": 2, "definition": 3, "quantity": 3, "yesno": 3, "reason": 4, "method": 5, "list": 5, "open": 5
}  # fmt: skip


def write_answer(material: Material) -> str:
    """Answer from the sources in quotes with citations; say so when they do not answer."""
    if material.grounded:
        return _grounded(material)
    if material.given:
        return _from_given(material)
    said = [source.text for source in material.request.uncited]
    if any(lacks_model(text) for text in said):
        return phrases.STILL_NO_MODEL if material.request.talk else phrases.NO_MODEL
    return phrases.abstain(material.searched) if all_abstain(said) or material.request.steps else phrases.NO_MODEL


def write_summary(material: Material) -> str:
    """Answer in at most two quotes."""
    if material.given and not material.grounded:
        return render(central(material.given, limit=2))
    if not material.answered:
        return write_answer(material)
    best = max(material.answered, key=lambda part: part.evidence.coverage).evidence
    return render(excerpts(best, choose(best, limit=2)))


def render(found: Iterable[Excerpt]) -> str:
    """Write excerpts as Markdown: sentences in paragraphs, lists and code as such, a citation behind each quote."""
    return "\n\n".join(_render(excerpt) for excerpt in found)


def cite(text: str, source: Source) -> str:
    """Put a source's citation behind a text; text without an id stays as it is."""
    return f"{text} [{source.id}]" if source.id else text


def central(sources: Sequence[Source], *, limit: int) -> list[Excerpt]:
    """Choose the units that say most of what the sources say, in order, at most `limit` a call, fairly over the sources.

    A unit counts the frequency of its terms in all sources, and a little for standing first.
    """
    pools = [(source, [unit for unit in units(source.text) if unit.kind in ("sentence", "item")]) for source in sources]
    counts = Counter(term for _, pool in pools for unit in pool for term in set(terms(unit.text)))
    found = []
    share = max(1, math.ceil(limit / max(1, len(pools))))
    for source, pool in pools:
        ranked = sorted(pool, key=lambda unit: (-_centrality(unit, counts), unit.place))[:share]
        if ranked:
            found.append(Excerpt(source, tuple(sorted(ranked, key=lambda unit: unit.place))))
    return found


def unseen(found: Iterable[Excerpt], seen: set[str], said: str = "") -> list[Excerpt]:
    """Leave out what is quoted already, and what was said; what is left counts as quoted from then on."""
    kept = []
    for excerpt in found:
        fresh = tuple(unit for unit in excerpt.units if unit.text not in seen and plain(unit.text) not in said)
        seen.update(unit.text for unit in fresh)
        if fresh:
            kept.append(Excerpt(excerpt.source, fresh))
    return kept


def _grounded(material: Material) -> str:
    if not material.sufficient and says_nothing(material.request.talk):
        return phrases.abstain(())  # it was said before what was searched for
    if not material.sufficient:
        return phrases.abstain(material.searched, _surface(material.question, material.evidence.missing))
    new = _by_parts(material, SUFFICIENT, material.request.talk)
    if any(new) or not material.request.talk:
        pairs = zip(material.parts, new, strict=True)
        written = [render(found) if part.evidence.sufficient else unsaid(part.text) for part, found in pairs]
        return "\n\n".join(text for text in written if text)
    return f"{phrases.NOTHING_NEW}\n\n{render(_briefly(_by_parts(material, SUFFICIENT)))}"


def _by_parts(material: Material, least: float, said: str = "") -> list[list[Excerpt]]:
    """Quote for each part of the task that is covered at least so far, each quote once and none that was said."""
    seen: set[str] = set()
    found = []
    for part in material.parts:
        limit = QUOTES_FOR[part.evidence.question.kind] if len(material.parts) == 1 else 3
        chosen = choose(part.evidence, limit=limit) if part.evidence.coverage >= least else []
        found.append(unseen(excerpts(part.evidence, chosen), seen, said))
    return found


def _from_given(material: Material) -> str:
    """Repeat what was given: what answers the question, or what is central when the task is to condense."""
    sources = material.given
    evidence = material.evidence
    called = {step.name for step in material.request.steps}
    if all(source.origin in called and len(tokens(source.text)) <= SHORT_RESULT for source in sources):
        return "\n".join(f"{source.origin}: {', '.join(source.text.split(chr(10) * 2)).strip()}" for source in sources)
    if len(material.parts) > 1 and all(part.evidence.coverage >= GIVEN_SUFFICIENT for part in material.parts):
        found = _by_parts(material, GIVEN_SUFFICIENT)
    elif evidence.coverage >= GIVEN_SUFFICIENT and evidence.question.terms:
        found = [excerpts(evidence, choose(evidence, limit=max(4, 2 * len(sources))))]
    elif material.condenses:
        found = [central(sources, limit=max(4, 2 * len(sources)))]
    else:
        return phrases.TEXT_ABSTAINS
    new = unseen([excerpt for part in found for excerpt in part], set(), material.request.talk)
    opening, shown = (phrases.ONLY_REPEATS, new) if new else (phrases.NOTHING_NEW, _briefly(found))
    return "\n\n".join([opening, *map(_attributed, shown)])


def _briefly(parts: Iterable[list[Excerpt]]) -> list[Excerpt]:
    return [excerpt for part in parts for excerpt in part[:1]]


def _attributed(excerpt: Excerpt) -> str:
    text = _render(excerpt)
    return f"{excerpt.source.origin}: {text}" if excerpt.source.origin and not excerpt.source.heading else text


def _render(excerpt: Excerpt) -> str:
    blocks: list[str] = []
    last = ""
    for unit in excerpt.units:
        text = _unit(unit, excerpt.source)
        if blocks and unit.kind == last and unit.kind in ("sentence", "item"):
            blocks[-1] += (" " if unit.kind == "sentence" else "\n") + text
        else:
            blocks.append(text)
        last = unit.kind
    return "\n\n".join(blocks)


def _unit(unit: Unit, source: Source) -> str:
    if unit.kind == "item":
        return cite(f"- {unit.text}", source)
    if unit.kind == "code":
        fenced = unit.text if unit.text.lstrip().startswith(("```", "~~~")) else f"```\n{unit.text}\n```"
        return f"{fenced}\n[{source.id}]" if source.id else fenced
    if unit.kind == "table":
        shown = unit.text if re.search(r"(?m)^\s*\|?[\s:|-]*-{3}[\s:|-]*$", unit.text) else f"```\n{unit.text}\n```"
        return f"{shown}\n\n[{source.id}]" if source.id else shown
    return cite(unit.text, source)


def _centrality(unit: Unit, counts: Counter[str]) -> float:
    own = set(terms(unit.text))
    if not own or not unit.whole:
        return 0.0
    return sum(math.log(1 + counts[term]) for term in own) / math.sqrt(len(own)) + 1.5 / (1 + unit.place)


def _surface(question: Question, missing: Sequence[str]) -> list[str]:
    """Give the telling ones of missing terms, as the question writes them."""
    telling = set(missing) - COMMON
    found = [word for word in tokens(question.text) if set(key_terms(word)) & telling]
    return list(dict.fromkeys(found))
