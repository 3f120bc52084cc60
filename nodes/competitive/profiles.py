"""Profiles: what documents say of one competitor, every fact held against the passage it names.

A fact that does not hold is dropped with the reason. Where an agent gave none that holds, `look_up` reads facts out of the
documents by rules: sentences and table rows that name the competitor and speak of the aspect.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from pydantic import BaseModel, Field

from nodes.competitive.figures import figures, phrase_of, unit_of
from nodes.engine.sentences import units
from nodes.engine.stem import stem
from nodes.engine.thesaurus import related
from nodes.engine.words import NEGATIONS, key_terms, plain
from nodes.matching import find_name
from tools import Corpus
from tools.passage import PASSAGE_ID, Passage

MOST_PASSAGES = 8
"""Passages that are read for one aspect of one competitor."""

_MARKS = str.maketrans({"“": '"', "”": '"', "„": '"', "‘": "'", "’": "'", "*": None, "`": None, "_": None})


class Fact(BaseModel):
    """What one document says of one aspect."""

    aspect: str = Field(description="The aspect it is about, named as you were given it.")
    value: str = Field(
        description="What holds, short enough for a table: the figure with its unit, and the plan or edition it is "
        "for when one is named. Only what the quote says."
    )
    quote: str = Field(description="The sentence or table row that says so, exactly as it stands in the passage.")
    passage: str = Field(description="Id of that passage, such as p:1a2b3c4d5e.")


class Profile(BaseModel):
    """What the documents say of one competitor."""

    competitor: str = Field(default="", description="Its name, as you were given it.")
    facts: list[Fact] = Field(
        default_factory=list,
        description="One for each statement. Documents that give different values are one fact each.",
    )


def verify_profile(
    corpus: Corpus, competitor: str, given: Profile | None, aspects: Sequence[str]
) -> tuple[dict[str, Any], list[Passage]]:
    """Return what holds of a competitor, and the passages it rests on.

    Args:
        corpus: Where the passages are.
        competitor: Whom it is about.
        given: What an agent gave, None when it gave something else.
        aspects: What was asked.

    Returns:
        `{competitor, facts, dropped, found_by}`; found by `agent` or `search`, or by nobody.
    """
    named = (PASSAGE_ID.search(fact.passage) for fact in (given.facts if given else ()))
    passages = {match[0]: found for match in named if match and (found := corpus.find(match[0]))}
    facts, dropped = check_facts(given or Profile(), aspects, passages)
    found_by = "agent"
    if not facts:
        looked_up, found_by = look_up(corpus, competitor, aspects), "search"
        passages = {passage.id: passage for _, passage in looked_up}
        facts, _ = check_facts(Profile(facts=[fact for fact, _ in looked_up]), aspects, passages)
    used = {fact["passage"] for fact in facts}
    profile = {"competitor": competitor, "facts": facts, "dropped": dropped, "found_by": found_by if facts else ""}
    return profile, [passage for name, passage in passages.items() if name in used]


def check_facts(
    profile: Profile, aspects: Sequence[str], passages: Mapping[str, Passage]
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return the facts that hold, and those that do not with a `reason`, as plain JSON.

    One that holds is `{aspect, value, quote, passage, source}`, with the aspect named as it was asked for.
    """
    held: list[dict[str, Any]] = []
    dropped: list[dict[str, Any]] = []
    for fact in profile.facts:
        match = PASSAGE_ID.search(fact.passage)
        passage, aspect = passages.get(match[0] if match else ""), _aspect(fact.aspect, aspects)
        if reason := _fault(fact, aspect, passage):
            dropped.append({**fact.model_dump(), "aspect": aspect or fact.aspect, "reason": reason})
        elif passage is not None and aspect is not None:
            known = {"aspect": aspect, "passage": passage.id, "source": passage.source}
            held.append({**fact.model_dump(), "value": plain(fact.value), "quote": plain(fact.quote), **known})
    return [fact for at, fact in enumerate(held) if fact not in held[:at]], dropped


def _fault(fact: Fact, aspect: str | None, passage: Passage | None) -> str:
    """Return why a fact does not hold, or nothing."""
    quote, value = plain(fact.quote), plain(fact.value)
    if passage is None:
        return f"it names {fact.passage or 'no passage'}, which does not exist"
    if not quote or not value:
        return "it has no quote" if value else "it has no value"
    if aspect is None:
        return "it is about something that was not asked"
    before = _before(quote, passage.text)
    if before is None:
        return "its quote is not in the passage"
    if before.split()[-1:] and before.split()[-1].lower() in NEGATIONS:
        return f"its quote leaves out the word {before.split()[-1]!r} in front of it"
    if missing := {figure.amount for figure in figures(value)} - {figure.amount for figure in figures(quote)}:
        return f"its quote does not say {', '.join(f'{amount:g}' for amount in sorted(missing))}"
    return ""


def _before(quote: str, text: str) -> str | None:
    """Return what stands before a quote in a text, None when it is not in it; white space, case and markup aside."""
    wanted, held = (plain(part.translate(_MARKS)).casefold() for part in (quote, text))
    wanted = wanted.strip(" .\"'…")
    match = re.search(rf"(?<!\w){re.escape(wanted)}(?!\w)", held) if wanted else None
    return held[: match.start()] if match else None


def _aspect(said: str, aspects: Sequence[str]) -> str | None:
    """Return the aspect that was meant: by its name, else the only one that shares a word with what was said."""
    if found := find_name(said, aspects):
        return found
    alike = [aspect for aspect in aspects if _stems(said) & _stems(aspect)]
    return alike[0] if len(alike) == 1 else None


def look_up(corpus: Corpus, competitor: str, aspects: Sequence[str]) -> list[tuple[Fact, Passage]]:
    """Return what documents say of a competitor by rules, each fact with its passage."""
    facts = []
    for aspect in aspects:
        found = corpus.search(f"{competitor} {aspect}", limit=MOST_PASSAGES)
        for passage, said in _telling([(p, said) for p in found for said in _statements(p, competitor, aspect)]):
            facts.append((Fact(aspect=aspect, value=said.value, quote=said.quote, passage=passage.id), passage))
    return facts


class _Statement(NamedTuple):
    value: str
    quote: str
    closeness: int
    """3 when it has the words of the aspect, 2 when it has words like them, 1 when it stands under such a heading."""
    unit: str
    """What its figure measures, where it is one that says so."""


def _telling(found: list[tuple[Passage, _Statement]]) -> list[tuple[Passage, _Statement]]:
    """Return the statements that tell most: of an aspect that is measured those in its unit, else those that are closest."""
    closest = max((said.closeness for _, said in found), default=0)
    units_of_closest = Counter(said.unit for _, said in found if said.closeness == closest and said.unit)
    if closest > 1 and units_of_closest:
        unit = units_of_closest.most_common(1)[0][0]
        return [(passage, said) for passage, said in found if said.unit == unit and said.closeness > 1]
    return [(passage, said) for passage, said in found if said.closeness == closest]


def _statements(passage: Passage, competitor: str, aspect: str) -> list[_Statement]:
    """Return what each sentence and table row says of the competitor and the aspect."""
    found = []
    for heading, text in _sections(passage):
        about = names(passage.heading.split(" ")[0], competitor) and _closeness(heading, aspect) == 3
        for unit in units(text):
            close = _closeness(unit.text, aspect) if names(unit.text, competitor) else 0
            if unit.kind == "table":
                found += _rows(unit.text, competitor, aspect)
            elif unit.kind != "code" and (close or about):
                found += _statement(unit.text, unit.text, close or 1)
    return found


def _statement(text: str, quote: str, closeness: int) -> list[_Statement]:
    """Return what a text says: its figure, or all of it when it is a whole sentence or cell."""
    figure = phrase_of(text)
    if not figure and text is quote and text[-1] not in ".!":
        return []
    return [_Statement(figure or text.rstrip(".!"), quote, closeness, unit_of(figure))]


def _rows(table: str, competitor: str, aspect: str) -> list[_Statement]:
    """Return the cells of a table with a header that stand in the competitor's row and the aspect's column."""
    header, *rows = [[cell.strip() for cell in line.strip().strip("|").split("|")] for line in table.splitlines()]
    found = []
    for cells in rows:
        if len(cells) == len(header) and any(names(cell, competitor) for cell in cells):
            for title, value in zip(header, cells, strict=True):
                if value and (close := _closeness(title, aspect)):
                    found += _statement(value, " | ".join(cells), close)
    return found


def _sections(passage: Passage) -> list[tuple[str, str]]:
    """Return the parts of a passage under the headings that stand in it, as `(heading, text)`."""
    inside = passage.heading.rpartition(" > ")[2].split(", ")
    parts: list[tuple[str, list[str]]] = [(inside[0] if len(inside) == 1 else "", [])]
    for line in passage.text.splitlines():
        if line.strip() in inside:
            parts.append((line.strip(), []))
        else:
            parts[-1][1].append(line)
    return [(heading, "\n".join(lines)) for heading, lines in parts]


def names(text: str, competitor: str) -> bool:
    """Whether a text names a competitor, as a word of its own."""
    return re.search(rf"(?<!\w){re.escape(competitor)}(?!\w)", text, re.IGNORECASE) is not None


def _closeness(text: str, aspect: str) -> int:
    """Return 3 when a text has every word of an aspect, 2 when it has words like them, else 0."""
    said, wanted = set(key_terms(text)), key_terms(aspect)
    if not wanted or not all(term in said or said & related(term) for term in wanted):
        return 0
    return 3 if said.issuperset(wanted) else 2


def _stems(text: str) -> set[str]:
    return {stem(word) for word in re.findall(r"\w+", text.lower()) if len(word) > 2}
