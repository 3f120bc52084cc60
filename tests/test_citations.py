"""Citations: which sentences of a realistic draft are claims, what is wrong with them, and how the report shows it."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nodes.research.citations import (
    UNSUPPORTED,
    citation_check,
    find_claims,
    find_fault,
    mark_unsupported,
    number_citations,
    review_citations,
)
from nodes.research.report import write_report
from state import Envelope
from tools.passage import Passage, render_passages

LIST, TUPLE, SPEED, GHOST = (f"p:{digit * 10}" for digit in "abcd")
PASSAGES = [
    Passage(
        id=LIST,
        source="docs/data.md",
        heading="Data model > Sequences",
        place="lines 10-24",
        text="Lists are mutable sequences. Items of a list can be replaced, added or removed after it was created. "
        "A list is not hashable, so it cannot be a key of a dictionary.",
    ),
    Passage(
        id=TUPLE,
        source="docs/data.md",
        heading="Data model > Tuples",
        text="Tuples are immutable sequences. A tuple of hashable items is hashable and may be a key of a dictionary.",
    ),
    Passage(
        id=SPEED,
        source="notes/speed.txt",
        place="page 3",
        text="The benchmark took 12.5 seconds in version 3.11 and 1,250 rows were read.\nIt used two threads.",
    ),
]
BY_ID = {passage.id: passage for passage in PASSAGES}


def claims_of(draft: str) -> list[tuple[str, tuple[str, ...]]]:
    return [(claim.text, claim.ids) for claim in find_claims(draft)]


def faults(draft: str) -> list[str]:
    return [find_fault(claim, BY_ID) for claim in find_claims(draft)]


# --- what a claim is


@pytest.mark.parametrize(
    "draft",
    [
        f"Lists are mutable sequences [{LIST}].",
        f"Lists are mutable sequences. [{LIST}]",
        f"- Lists are mutable sequences [{LIST}]",
        f"2. Lists are mutable sequences [{LIST}].",
        f"Lists are\nmutable sequences\n[{LIST}].",
        f"**Lists are mutable sequences** [{LIST}]",
        f"> Lists are mutable sequences. [{LIST}]",
    ],
)
def test_a_sentence_and_its_citation_are_a_claim_however_they_are_written(draft: str) -> None:
    (claim,) = find_claims(draft)
    assert claim.text.rstrip(".") == "Lists are mutable sequences"
    assert claim.ids == (LIST,)
    assert claim.end == len(draft)
    assert find_fault(claim, BY_ID) == ""


def test_several_citations_belong_to_the_sentence_before_them() -> None:
    draft = f"Lists are mutable and tuples are not [{LIST}] [{TUPLE}], [{LIST}]. Tuples are immutable [{TUPLE}]."
    assert claims_of(draft) == [
        ("Lists are mutable and tuples are not", (LIST, TUPLE)),
        ("Tuples are immutable", (TUPLE,)),
    ]


def test_sentences_before_a_citation_are_claims_of_their_own_with_that_citation() -> None:
    draft = f"Lists are mutable sequences. Items can be replaced or removed. Their colour is green. [{LIST}]"
    assert [ids for _, ids in claims_of(draft)] == [(LIST,)] * 3
    assert faults(draft) == ["", "", "is not borne out by the cited passage"]


def test_a_sentence_with_a_citation_in_its_middle_is_two_claims() -> None:
    draft = f"Lists are mutable sequences [{LIST}], whereas tuples are immutable sequences [{TUPLE}]."
    assert claims_of(draft) == [
        ("Lists are mutable sequences", (LIST,)),
        ("whereas tuples are immutable sequences", (TUPLE,)),
    ]


def test_a_full_stop_inside_a_sentence_does_not_end_it() -> None:
    draft = f"The benchmark took 12.5 seconds, e.g. in version 3.11 [{SPEED}]."
    assert claims_of(draft) == [("The benchmark took 12.5 seconds, e.g. in version 3.11", (SPEED,))]
    assert faults(draft) == [""]


@pytest.mark.parametrize(
    "draft",
    [
        "# Lists and tuples\n\n## Which to choose\n",
        "```python\nlists = mutable  # a claim in code\n```\n",
        "~~~\nlists are immutable\n~~~\n",
        "> Somebody said that lists are immutable.\n",
        "| sequence | mutable |\n|---|---|\n| list | yes |\n",
        "---\n***\n___\n",
        "What is the difference between lists and tuples?",
        "Lists and tuples differ in two ways:",
        "The documents do not say why tuples exist.",
        "These sources do not mention dictionaries of lists.",
        "None of the documents says when tuples were added.",
        "Nothing in the sources explains the colour of lists.",
        "No passage covers the history of tuples.",
        "",
        "\n\n  \n",
    ],
)
def test_what_says_nothing_of_its_own_is_no_claim(draft: str) -> None:
    assert claims_of(draft) == []


def test_an_abstention_does_not_cover_what_is_said_beside_it() -> None:
    draft = "The documents do not say why. Tuples are faster than lists."
    assert claims_of(draft) == [("Tuples are faster than lists.", ())]
    assert len(claims_of("The documents do not say why, but tuples are faster than lists.")) == 1


def test_headings_tables_and_quotations_are_held_to_the_citations_they_have() -> None:
    draft = (
        f"| list | mutable sequence [{LIST}] |\n| tuple | purple elephant [{TUPLE}] |\n\n> Lists can fly [{GHOST}]\n"
    )
    assert [bool(fault) for fault in faults(draft)] == [False, True, True]


def test_text_after_a_code_block_is_read_again() -> None:
    draft = "```\ncode\n```\nTuples can fly over rainbows.\n"
    assert claims_of(draft) == [("Tuples can fly over rainbows.", ())]


# --- what is wrong with one


@pytest.mark.parametrize(
    "claim",
    [
        "Lists are mutable sequences",
        "A list is mutable: its items can be added, removed or replaced",
        "You can replace items of a list after it was created",
        "A list cannot be a key of a dictionary, since it is not hashable",
        "No list is hashable",
        "One can replace one item of a list",
        "A list's items, once created, can be removed",
    ],
)
def test_a_fair_paraphrase_is_borne_out(claim: str) -> None:
    assert faults(f"{claim} [{LIST}].") == [""]


@pytest.mark.parametrize(
    ("claim", "fault"),
    [
        (f"Lists are not mutable sequences [{LIST}].", "turns round what the cited passage says"),
        (f"Tuples are not immutable sequences [{TUPLE}].", "turns round what the cited passage says"),
        (f"A list is hashable, so it can be a key of a dictionary [{LIST}].", "turns round"),
        (f"The benchmark took 13.5 seconds in version 3.11 [{SPEED}].", "names 13.5, which the cited passage does not"),
        (f"The benchmark took 12.5 seconds in version 3.12 [{SPEED}].", "names 3.12"),
        (f"The benchmark used three threads [{SPEED}].", "names 3"),
        (f"Lists are mutable sequences [{TUPLE}] [{GHOST}].", f"cites {GHOST}, which is not among the sources"),
        ("Lists are mutable sequences.", "has no citation"),
        (f"Elephants are large and grey animals of Africa [{LIST}].", "is not borne out by the cited passage"),
        (f"Items can be replaced, added or removed later [{TUPLE}].", "is not borne out by the cited passage"),
    ],
)
def test_each_kind_of_fault_is_named(claim: str, fault: str) -> None:
    (found,) = faults(claim)
    assert fault in found


@pytest.mark.parametrize(
    "written", ["1,250 rows", "1250 rows", "two threads", "2 threads", "12.5 seconds", "version 3.11"]
)
def test_a_number_may_be_written_another_way(written: str) -> None:
    assert faults(f"The benchmark had {written} [{SPEED}].") == [""]


def test_a_quotation_is_borne_out_unless_it_leaves_out_the_not() -> None:
    assert faults(f"A list is not hashable, so it cannot be a key of a dictionary. [{LIST}]") == [""]
    assert faults(f"hashable, so it can be a key of a dictionary [{LIST}]") != [""]


def test_a_review_has_an_issue_for_each_fault_and_a_score_for_the_share_without() -> None:
    good, bad = f"Lists are mutable sequences [{LIST}].", "Tuples can fly over rainbows."
    verdict = review_citations(f"{good}\n\n{bad}\n\n- {good}\n- {good}\n", PASSAGES)
    assert (verdict.verdict, verdict.score) == ("revise", 0.75)
    assert verdict.issues == ['"Tuples can fly over rainbows." has no citation.']
    assert review_citations(good, PASSAGES).verdict == "accept"
    assert review_citations("  \n", PASSAGES).issues == ["The draft is empty."]
    assert review_citations("The documents do not say.", []).verdict == "accept"


async def test_the_critic_reads_draft_and_sources_from_its_envelope() -> None:
    context = {"Draft": f"Lists are mutable sequences [{LIST}].", "Sources": render_passages(PASSAGES)}
    envelope = Envelope(sender="writer", recipient="citation_check", task="What are lists?", context=context)
    assert (await citation_check(envelope)).verdict == "accept"
    wrong = envelope.model_copy(update={"context": {**context, "Draft": "Lists can fly over rainbows."}})
    assert (await citation_check(wrong)).verdict == "revise"


# --- marks


def test_every_faulty_claim_is_marked_where_it_ends_and_no_other() -> None:
    draft = (
        "# Sequences\n\n"
        f"Lists are mutable sequences [{LIST}]. Tuples can fly over rainbows [{TUPLE}]. "
        f"Tuples are immutable sequences [{TUPLE}].\n\n"
        f"- Lists are not mutable sequences. [{LIST}]\n"
        "- Elephants are grey animals\n"
        f"- Tuples are immutable sequences [{TUPLE}]\n\n"
        f"Purple rain falls. Lists are mutable sequences [{LIST}], and cows give milk [{SPEED}] every day.\n"
    )
    marked, claims = mark_unsupported(draft, PASSAGES)
    assert marked == (
        "# Sequences\n\n"
        f"Lists are mutable sequences [{LIST}]. Tuples can fly over rainbows [{TUPLE}]. (unsupported) "
        f"Tuples are immutable sequences [{TUPLE}].\n\n"
        f"- Lists are not mutable sequences. [{LIST}] (unsupported)\n"
        "- Elephants are grey animals (unsupported)\n"
        f"- Tuples are immutable sequences [{TUPLE}]\n\n"
        f"Purple rain falls. (unsupported) Lists are mutable sequences [{LIST}], "
        f"and cows give milk [{SPEED}] (unsupported) every day.\n"
    )
    assert claims == [
        "Tuples can fly over rainbows",
        "Lists are not mutable sequences.",
        "Elephants are grey animals",
        "Purple rain falls.",
        "and cows give milk",
    ]
    assert mark_unsupported(marked, PASSAGES)[0] == marked


@pytest.mark.parametrize(
    ("draft", "marked"),
    [
        (f"Lists can fly [{GHOST}].", "Lists can fly. (unsupported)"),
        (f"Lists can fly. [{GHOST}]", "Lists can fly. (unsupported)"),
        (f"Lists are mutable [{GHOST}], [{LIST}].", f"Lists are mutable [{LIST}]. (unsupported)"),
        (f"Lists are mutable [{LIST}] [{GHOST}].", f"Lists are mutable [{LIST}]. (unsupported)"),
        (f"[{GHOST}] Lists are mutable sequences [{LIST}].", f" Lists are mutable sequences [{LIST}]."),
    ],
)
def test_citations_that_lead_nowhere_are_taken_out(draft: str, marked: str) -> None:
    assert mark_unsupported(draft, PASSAGES)[0].strip() == marked.strip()


lines = st.sampled_from(
    [
        f"Lists are mutable sequences [{LIST}].",
        f"Tuples can fly over rainbows [{TUPLE}]. Tuples are immutable sequences. [{TUPLE}]",
        "- Elephants are grey animals",
        f"- The benchmark took 12.5 seconds [{SPEED}] [{LIST}]",
        "# A heading",
        "```",
        "",
        f"> Quoted words [{GHOST}]",
        f"| a | b [{LIST}] |",
        "The documents do not say so.",
        "Wrapped text that goes on",
    ]
)


@settings(deadline=None)
@given(st.lists(lines, max_size=10).map("\n".join))
def test_marking_only_adds_marks_and_takes_out_what_leads_nowhere(draft: str) -> None:
    marked, claims = mark_unsupported(draft, PASSAGES)
    assert marked.count(UNSUPPORTED) == len(claims)
    words = re.sub(r"\s*\[p:d{10}\]", "", draft).split()
    assert marked.replace(f" {UNSUPPORTED}", "").split() == words
    assert mark_unsupported(marked, PASSAGES)[0] == marked
    assert all(draft[: claim.end] == draft[: claim.end].rstrip() for claim in find_claims(draft))


@settings(deadline=None)
@given(st.lists(lines, max_size=8).map("\n".join))
def test_claims_stand_in_the_draft_in_order(draft: str) -> None:
    at = 0
    for claim in find_claims(draft):
        assert claim.end > at
        first = claim.text.split()[0]
        assert first in draft[at : claim.end]
        at = claim.end


# --- numbers and references


def test_passages_are_numbered_by_first_mention_and_keep_their_number() -> None:
    draft = f"B [{TUPLE}]. A [{LIST}] [{TUPLE}]. Nowhere [{GHOST}]. A again [{LIST}]."
    text, cited = number_citations(draft, PASSAGES)
    assert text == f"B [1]. A [2] [1]. Nowhere [{GHOST}]. A again [2]."
    assert [passage.id for passage in cited] == [TUPLE, LIST]
    assert number_citations(draft, PASSAGES[::-1]) == (text, cited)


def test_a_report_quotes_every_passage_it_cites_once_and_whole() -> None:
    draft = f"The benchmark took 12.5 seconds [{SPEED}]. Lists are mutable [{LIST}]. It used two threads [{SPEED}]."
    report, references = write_report("How fast?", draft, PASSAGES, [])
    assert report == (
        "# How fast?\n\n"
        "The benchmark took 12.5 seconds [1]. Lists are mutable [2]. It used two threads [1].\n\n"
        "## References\n\n"
        "**[1]** `notes/speed.txt`, page 3\n\n"
        "> The benchmark took 12.5 seconds in version 3.11 and 1,250 rows were read.\n"
        "> It used two threads.\n\n"
        "**[2]** `docs/data.md`, Data model > Sequences, lines 10-24\n\n"
        f"> {PASSAGES[0].text}\n"
    )
    assert [(one["number"], one["id"]) for one in references] == [(1, SPEED), (2, LIST)]
    assert "score" not in references[0]


def test_a_report_keeps_its_own_title_and_says_what_is_missing_and_what_is_not_supported() -> None:
    marked, _ = mark_unsupported(f"# My title\n\nTuples can fly over rainbows [{TUPLE}].", PASSAGES)
    report, _ = write_report("Ignored?", marked, PASSAGES, ["Why tuples fly.", "How high."])
    assert report.startswith("# My title\n\nTuples can fly over rainbows [1]. (unsupported)\n")
    assert f"Statements marked {UNSUPPORTED} are not borne out" in report
    assert "## What is missing\n\n- Why tuples fly.\n- How high.\n" in report


def test_a_report_of_nothing_says_so() -> None:
    report, references = write_report("Why?", "  \n", PASSAGES, ["Everything."])
    assert "The documents do not answer this question." in report
    assert "## References" not in report
    assert references == []
