"""The extractive engine as critic and writer: drafts are held against rules, and mended where feedback names a sentence."""

from __future__ import annotations

from typing import Any, Literal

import pytest
from langchain_core.messages import HumanMessage, SystemMessage
from pydantic import BaseModel, Field

from handbook import PASSAGES, POSTGRES, SQLITE
from nodes import ExtractiveChatModel
from nodes.research.citations import review_citations
from tools.passage import cited_ids

MODEL = ExtractiveChatModel()
CRITIC = "You check a draft against the passages it cites."
WRITER = "You write a short report in Markdown that answers the question from the passages you are given."
QUESTION = "Does SQLite need a server?"
GOOD = "It needs no server and stores everything in one file. [p:0000000001]"


class Review(BaseModel):
    verdict: Literal["accept", "revise"]
    issues: list[str]
    score: float = Field(ge=0, le=1)


def review(draft: str, *, task: str = QUESTION, passages: str = PASSAGES, extra: str = "") -> Any:
    request = f"{task}{passages}\n\nDraft:\n{draft}{extra}"
    return MODEL.with_structured_output(Review).invoke([SystemMessage(CRITIC), HumanMessage(request)])


def write(request: str) -> str:
    return MODEL.invoke([SystemMessage(WRITER), HumanMessage(request)]).text


def test_a_draft_that_its_passages_bear_out_is_accepted() -> None:
    assert review(GOOD) == Review(verdict="accept", issues=[], score=1.0)


@pytest.mark.parametrize(
    "sentence",
    [
        "SQLite stores everything in one file. [p:0000000001]",
        "By default PostgreSQL allows 100 concurrent connections. [p:0000000002]",
        "No server is needed by SQLite. [p:0000000001]",
    ],
)
def test_other_words_for_what_a_passage_says_are_accepted(sentence: str) -> None:
    assert review(f"{GOOD} {sentence}").issues == []


@pytest.mark.parametrize(
    ("sentence", "words"),
    [
        ("SQLite was written in Norway.", "No citation"),
        ("SQLite needs no server. [p:00000000ff]", "not among the passages"),
        ("SQLite compresses images with wavelets. [p:0000000001]", "does not say this"),
        ("SQLite stores everything in 7 files. [p:0000000001]", "does not have the number 7"),
        ("SQLite needs a server. [p:0000000001]", "says the opposite"),
        ("PostgreSQL forbids 100 concurrent connections by default. [p:0000000002]", "says allows, not forbids"),
    ],
)
def test_a_wrong_sentence_is_named_with_what_is_wrong(sentence: str, words: str) -> None:
    found = review(f"{GOOD} {sentence}")
    shown = sentence.split(" [")[0]
    assert found.verdict == "revise"
    assert [issue for issue in found.issues if words in issue and f'"{shown}"' in issue]
    assert len(found.issues) == 1
    assert found.score < 1


def test_a_sentence_said_twice_is_named() -> None:
    assert [issue for issue in review(f"{GOOD} {GOOD}").issues if issue.startswith("Said twice")]


def test_an_empty_draft_and_one_beside_the_question_are_sent_back() -> None:
    assert review("...").issues == ["The draft is empty."]
    assert review("...").score == 0
    aside = review("PostgreSQL is a database server. [p:0000000002]", task="How tall is the lighthouse of Genoa?")
    assert "does not speak of" in aside.issues[0]


def test_an_abstention_is_accepted_only_where_the_passages_hold_no_answer() -> None:
    nothing = "The documents do not answer this."
    assert review(nothing, task="How tall is the lighthouse of Genoa?").verdict == "accept"
    assert review(nothing).verdict == "revise"


def test_stated_limits_are_kept_to() -> None:
    long = review(GOOD, extra="\n\nConstraints:\n- At most 5 words.")
    missing = review(GOOD, extra='\n\nConstraints:\n- Mention "backup".')
    assert long.issues == ["The draft has 10 words; asked for is at most 5 words."]
    assert '"backup"' in missing.issues[0]


def test_a_text_without_passages_needs_no_citations() -> None:
    haiku = "Rain falls on the roof\nsoft drums in the morning light\nthe garden drinks deep"
    found = MODEL.with_structured_output(Review).invoke(f"Write a haiku about rain.\n\nDraft:\n{haiku}")
    assert isinstance(found, Review)
    assert found.verdict == "accept"


def test_a_critic_without_a_schema_names_the_issues_in_words() -> None:
    request = f"{QUESTION}{PASSAGES}\n\nDraft:\nSQLite was written in Norway."
    text = MODEL.invoke([SystemMessage("You are a critic."), HumanMessage(request)]).text
    assert text.startswith("revise\n- No citation")


def test_a_report_has_a_title_the_answer_first_and_a_citation_behind_every_sentence() -> None:
    text = write(f"How does SQLite store data, and how many connections does PostgreSQL allow?{PASSAGES}")
    title, answer, *_ = text.split("\n\n")
    assert title.startswith("# ")
    assert "one file" in answer
    assert "100 concurrent connections by default. [p:0000000002]" in text
    assert review_citations(text, [SQLITE, POSTGRES]).verdict == "accept"


def test_a_report_about_nothing_in_the_passages_says_so() -> None:
    text = write(f"How tall is the lighthouse of Genoa?{PASSAGES}")
    assert "The documents do not answer this." in text
    assert cited_ids(text) == []


def test_feedback_changes_the_sentences_it_names_and_no_other() -> None:
    kept = f"# SQLite\n\nSQLite is an embedded database. [p:0000000001]\n\n## Details\n\n{GOOD}"
    draft = f"{kept} SQLite was written in Norway.\n\n- SQLite compresses images with wavelets. [p:0000000001]"
    feedback = "\n".join(f"- {issue}" for issue in review(draft).issues)
    revised = write(f"{QUESTION}{PASSAGES}\n\nDraft:\n{draft}\n\nFeedback:\n{feedback}")
    assert revised == kept
    assert review(revised).verdict == "accept"


def test_a_sentence_without_its_citation_gets_it() -> None:
    draft = "SQLite is an embedded database. It needs no server and stores everything in one file."
    feedback = "\n".join(f"- {issue}" for issue in review(draft).issues)
    revised = write(f"{QUESTION}{PASSAGES}\n\nDraft:\n{draft}\n\nFeedback:\n{feedback}")
    assert revised == f"SQLite is an embedded database. [p:0000000001] {GOOD}"


def test_a_distorted_sentence_gives_way_to_what_the_passage_says() -> None:
    draft = f"{GOOD} PostgreSQL allows 500 concurrent connections by default. [p:0000000002]"
    feedback = "\n".join(f"- {issue}" for issue in review(draft).issues)
    revised = write(f"{QUESTION}{PASSAGES}\n\nDraft:\n{draft}\n\nFeedback:\n{feedback}")
    assert revised == f"{GOOD} It allows 100 concurrent connections by default. [p:0000000002]"


def test_a_sentence_said_twice_is_kept_once() -> None:
    draft = f"{GOOD}\n\n{GOOD}"
    feedback = "\n".join(f"- {issue}" for issue in review(draft).issues)
    assert write(f"{QUESTION}{PASSAGES}\n\nDraft:\n{draft}\n\nFeedback:\n{feedback}") == GOOD


def test_what_a_person_asks_to_add_is_added_from_the_passages_or_said_to_be_missing() -> None:
    request = f"{QUESTION}{PASSAGES}\n\nDraft:\n{GOOD}\n\nFeedback:\n"
    assert "100 concurrent connections" in write(f"{request}- Add how many concurrent connections PostgreSQL allows.")
    assert "The documents do not say" in write(f"{request}- Add the height of the lighthouse of Genoa.")
