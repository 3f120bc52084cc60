"""A comparison: the table of what is known of each competitor, where the documents differ, and the report of both.

A profile is `{competitor, facts, dropped, found_by, failure}`, its facts `{aspect, value, quote, passage, source}`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations
from typing import Any

from nodes.competitive.figures import agree, contradict
from nodes.research.report import write_report
from tools.passage import Passage

STATED = "stated"
DIFFERING = "sources differ"
NOT_STATED = "not stated"
NOT_RESEARCHED = "not researched"

Profiles = Sequence[Mapping[str, Any]]


def groups_of(facts: Sequence[Mapping[str, Any]]) -> list[list[Mapping[str, Any]]]:
    """Return facts on one aspect of one competitor in groups that say the same, in the order they were found."""
    groups: list[list[Mapping[str, Any]]] = []
    for fact in facts:
        same = next((group for group in groups if all(agree(fact["value"], other["value"]) for other in group)), None)
        if same is None:
            groups.append([fact])
        else:
            same.append(fact)
    return groups


def differing(groups: Sequence[Sequence[Mapping[str, Any]]]) -> list[Mapping[str, Any]]:
    """Return the facts of those groups of which only one can hold; a document that states both means two things."""
    clashing: list[Mapping[str, Any]] = []
    for one, other in combinations(groups, 2):
        shared = {fact["source"] for fact in one} & {fact["source"] for fact in other}
        if not shared and contradict(one[0]["value"], other[0]["value"]):
            clashing += [fact for fact in (*one, *other) if fact not in clashing]
    return clashing


def find_conflicts(profiles: Profiles, aspects: Sequence[str]) -> list[dict[str, Any]]:
    """Return `{competitor, aspect, statements: [{value, quote, passage, source}]}` wherever documents differ."""
    conflicts = []
    for profile in profiles:
        for aspect in aspects:
            if clashing := differing(groups_of(facts_on(profile, aspect))):
                statements = [{key: fact[key] for key in ("value", "quote", "passage", "source")} for fact in clashing]
                conflicts.append({"competitor": profile["competitor"], "aspect": aspect, "statements": statements})
    return conflicts


def facts_on(profile: Mapping[str, Any], aspect: str) -> list[Mapping[str, Any]]:
    """Return a profile's facts on one aspect."""
    return [fact for fact in profile["facts"] if fact["aspect"] == aspect]


def cell_of(profile: Mapping[str, Any], aspect: str) -> str:
    """Return a cell of the table: each value with the ids of the passages that state it."""
    groups = groups_of(facts_on(profile, aspect))
    if not groups:
        return _nothing(profile)
    values = [f"{group[0]['value']} {_cited(fact['passage'] for fact in group)}" for group in groups]
    clashing = differing(groups)
    joined = (" **or** " if clashing and all(group[0] in clashing for group in groups) else "; ").join(values)
    return f"{joined} ({DIFFERING})" if clashing else joined


def write_table(profiles: Profiles, aspects: Sequence[str]) -> str:
    """Return the comparison as a Markdown table, a row for each aspect and a column for each competitor."""
    header = ["", *(profile["competitor"] for profile in profiles)]
    rows = [[f"**{aspect}**", *(cell_of(profile, aspect) for profile in profiles)] for aspect in aspects]
    lines = [" | ".join(cell.replace("|", "\\|") for cell in row) for row in (header, *rows)]
    return "\n".join(f"| {line} |" for line in (lines[0], " | ".join(["---"] * len(header)), *lines[1:]))


def table_of(profiles: Profiles, aspects: Sequence[str], numbers: Mapping[str, int]) -> dict[str, dict[str, Any]]:
    """Return the table as `{aspect: {competitor: {state, values: [{value, references}]}}}`.

    The state is `stated`, `sources differ`, `not stated` or `not researched`; references are numbers of the report.
    """
    return {aspect: {p["competitor"]: _cell(p, aspect, numbers) for p in profiles} for aspect in aspects}


def _cell(profile: Mapping[str, Any], aspect: str, numbers: Mapping[str, int]) -> dict[str, Any]:
    groups = groups_of(facts_on(profile, aspect))
    state = _nothing(profile) if not groups else DIFFERING if differing(groups) else STATED
    values = [
        {"value": group[0]["value"], "references": sorted({numbers[fact["passage"]] for fact in group})}
        for group in groups
    ]
    return {"state": state, "values": values}


def _nothing(profile: Mapping[str, Any]) -> str:
    return NOT_RESEARCHED if profile["failure"] else NOT_STATED


def write_conflicts(conflicts: Sequence[Mapping[str, Any]]) -> str:
    """Return the conflicts as a Markdown list, each statement with its source and its quote."""
    blocks = []
    for conflict in conflicts:
        said = [f'  - {s["value"]} [{s["passage"]}], `{s["source"]}`: "{s["quote"]}"' for s in conflict["statements"]]
        blocks.append("\n".join([f"- **{conflict['competitor']}, {conflict['aspect']}**", *said]))
    return "\n".join(blocks)


def as_quoted(passages: Sequence[Passage], profiles: Profiles) -> list[Passage]:
    """Return passages with only the quotes that facts rest on in place of their whole text."""
    quotes: dict[str, list[str]] = {}
    for fact in (fact for profile in profiles for fact in profile["facts"]):
        quotes.setdefault(fact["passage"], []).append(fact["quote"])
    shown = {name: "\n\n".join(dict.fromkeys(said)) for name, said in quotes.items()}
    return [p.model_copy(update={"text": shown.get(p.id, p.text)}) for p in passages]


def find_gaps(profiles: Profiles, aspects: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return what is missing because something failed, and what the documents do not state, one sentence each."""
    lacking, unstated = [], []
    for profile in profiles:
        name, empty = profile["competitor"], [aspect for aspect in aspects if not facts_on(profile, aspect)]
        if profile["failure"]:
            lacking.append(f"{name}: not researched, {profile['failure']}.")
            continue
        lost = {fact["aspect"]: fact["reason"] for fact in profile["dropped"]}
        lacking += [f"{name}, {one}: a statement was left out, because {lost[one]}." for one in empty if one in lost]
        if silent := [one for one in empty if one not in lost]:
            unstated.append(f"{name}, {listed(silent)}: not stated in the documents.")
    return lacking, unstated


def write_comparison(
    question: str,
    summary: str,
    profiles: Profiles,
    aspects: Sequence[str],
    sources: Sequence[Passage],
    gaps: Sequence[str],
) -> tuple[str, dict[str, Any]]:
    """Return the report as Markdown, and `{table, conflicts, references, gaps, profiles, dropped}`.

    Args:
        question: What was asked.
        summary: What a writer says of it, with passage ids as citations; may be empty.
        profiles: Of each competitor.
        aspects: What was asked of them.
        sources: Passages that the facts rest on.
        gaps: What is missing, one sentence each.
    """
    conflicts = find_conflicts(profiles, aspects)
    parts = [summary or ("" if sources else "The documents do not answer this question.")]
    if conflicts:
        where = "; ".join(f"{conflict['competitor']}, {conflict['aspect']}" for conflict in conflicts)
        parts.append(f"The documents differ on: {where}. Both sides are given below.")
    parts.append(f"## Comparison\n\n{write_table(profiles, aspects)}")
    if conflicts:
        parts.append(f"## Where the documents differ\n\n{write_conflicts(conflicts)}")
    report, references = write_report(question, "\n\n".join(filter(None, parts)), as_quoted(sources, profiles), gaps)
    numbers = {reference["id"]: reference["number"] for reference in references}
    structured = {
        "table": table_of(profiles, aspects, numbers),
        "conflicts": conflicts,
        "references": references,
        "gaps": list(gaps),
        "profiles": list(profiles),
        "dropped": sum(len(profile["dropped"]) for profile in profiles),
    }
    return report, structured


def listed(names: Sequence[str]) -> str:
    """Return names as they are listed in a sentence."""
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def _cited(ids: Iterable[str]) -> str:
    return " ".join(f"[{name}]" for name in dict.fromkeys(ids))
