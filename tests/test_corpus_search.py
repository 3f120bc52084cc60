"""A search finds what was asked for, names whole and in parts, the best first, and is safe with any text."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from corpus_docs import FILLER, found, write_docs
from tools import Corpus, open_corpus


@pytest.fixture
def docs(tmp_path: Path) -> Path:
    return write_docs(tmp_path / "docs")


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Corpus]:
    """The language reference."""
    with open_corpus(None, index=tmp_path_factory.mktemp("index") / "python.db") as corpus:
        yield corpus


def test_headings_and_file_names_weigh_more_than_text(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text(f"# Swarming\n\nBees leave. {FILLER}\n")
    (tmp_path / "b.md").write_text(f"# Other\n\nSome words about swarming. {FILLER}\n")
    (tmp_path / "varroa.md").write_text(f"# Mites\n\nThey are small. {FILLER}\n")

    with open_corpus(tmp_path) as corpus:
        assert found(corpus, "swarming") == ["a.md#Swarming", "b.md#Other"]
        assert found(corpus, "varroa") == ["varroa.md#Mites"]


def test_passages_that_hold_more_of_the_question_and_closer_together_come_first(tmp_path: Path) -> None:
    some = "one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen " * 3
    other = "red green blue black white grey brown pink violet purple orange yellow golden silver beige " * 3
    (tmp_path / "1.txt").write_text(f"smoker {some} calms {some} colony")
    (tmp_path / "2.txt").write_text(f"{other} smoker calms colony {other}")
    (tmp_path / "3.txt").write_text(f"smoker smoker smoker smoker smoker {some} {some}")

    with open_corpus(tmp_path) as corpus:
        near, far, part = corpus.search("smoker colony calms")

    assert [passage.source for passage in (near, far, part)] == ["2.txt", "1.txt", "3.txt"]
    assert near.score > far.score + 0.02
    assert far.score > part.score + 0.1


_TEXTS = {
    "Call asyncio.gather(a, b) here.": ["asyncio.gather"],
    "Gather what asyncio wants, then gather more for asyncio.": [],
    "Write `__init__` first, before anything else is written down.": ["__init__"],
    "Init is the init of init systems.": ["init"],
    "A ThreadPoolExecutor runs it.": ["ThreadPoolExecutor", "thread pool", "executor"],
    "Set max_retries=3 for the connection, or the connection is lost.": ["max_retries"],
    "Retries at max, max of retries.": [],
    "The timeout is thirty.": ["time out"],
    "A naïve way.": ["naive", "NAÏVE"],
    "これは日本語の文書です。": ["日本語"],
    "Configuration happens elsewhere.": ["configur"],
    "Names are resolved late.": ["resolution"],
    'Test with "in", `is` or "===".': ["what does in do?", "difference between is and ===", "the is operator"],
}


@pytest.mark.parametrize(("query", "text"), [(query, text) for text, queries in _TEXTS.items() for query in queries])
def test_names_are_found_whole_and_in_parts(tmp_path: Path, query: str, text: str) -> None:
    for number, other in enumerate(_TEXTS):
        (tmp_path / f"{number}.md").write_text(other)

    with open_corpus(tmp_path) as corpus:
        assert corpus.search(query)[0].text == text


def test_what_changed_once_comes_after_what_is_unless_it_is_asked_for(tmp_path: Path) -> None:
    (tmp_path / "history.md").write_text(f"# Changelog\n\nHoney filters, honey filters. {FILLER}\n")
    (tmp_path / "guide.md").write_text(f"# Guide\n\n{FILLER} There are filters for honey.\n")

    with open_corpus(tmp_path) as corpus:
        assert corpus.search("honey filters")[0].source == "guide.md"
        assert corpus.search("in which version were honey filters changed?")[0].source == "history.md"


def test_repetitions_do_not_crowd_out_the_rest(tmp_path: Path) -> None:
    for number in range(6):
        (tmp_path / f"copy{number}.md").write_text(f"# Honey\n\nHoney is sweet honey. {FILLER} {number}\n")
    (tmp_path / "other.md").write_text(
        "# Wax\n\nHoney is kept in wax, which is something else altogether, made of scales.\n"
    )

    with open_corpus(tmp_path) as corpus:
        assert corpus.search("honey", limit=2)[1].source == "other.md"


@pytest.mark.parametrize("query", ["", "   ", "?!", "zebra", "NOT", "\0", "zebra AND"])
def test_a_query_that_matches_nothing_finds_nothing(docs: Path, query: str) -> None:
    with open_corpus(docs) as corpus:
        assert corpus.search(query) == []


_SYNTAX = st.sampled_from(
    ['"', "'", "(", ")", "*", "AND", "OR", "NOT", "NEAR(", "^", ":", "-", "{", "queen", "_", "\0", "ǁ", "A.b"]
)


@settings(deadline=None)
@given(st.lists(_SYNTAX | st.text(max_size=8), max_size=12).map(" ".join))
def test_any_text_is_a_safe_query(python: Corpus, query: str) -> None:
    scores = [passage.score for passage in python.search(query, limit=5)]

    assert scores == sorted(scores, reverse=True)
    assert all(0 <= score <= 1 for score in scores)


def test_a_very_long_query_is_answered(docs: Path) -> None:
    with open_corpus(docs) as corpus:
        assert corpus.search("queen eggs " + "filler word " * 10_000)[0].source == "bees.md"


def test_words_that_are_everywhere_are_found_where_they_meet(docs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tools.retrieval.search._AFFORDABLE", 0)

    with open_corpus(docs) as corpus:
        assert corpus.search("queens lay")[0].source == "bees.md"
        assert corpus.search("queens")[0].source in ("bees.md", "ants.txt")


@pytest.mark.parametrize("limit", [-1, 0, 1, 2, 10_000])
def test_the_limit_is_kept_within_its_bounds(python: Corpus, limit: int) -> None:
    assert len(python.search("class", limit=limit)) == max(1, min(limit, 50))


@pytest.mark.parametrize(
    ("question", "topic", "words"),
    [
        ("How does Python resolve a name in a nested scope?", "naming", "nearest enclosing scope"),
        ("What does nonlocal do?", "nonlocal", "causes the listed identifiers"),
        ("When is a finally clause executed?", "try", "‘cleanup’ handler"),
        ("How are default parameter values evaluated?", "function", "evaluated from left to right"),
        ("What is the difference between is and ==?", "comparisons", "test for an object’s identity"),
    ],
)
def test_the_language_reference_answers_in_its_first_passages(
    python: Corpus, question: str, topic: str, words: str
) -> None:
    # From 3.12 on the reference has more to say of defaults and evaluation, of type parameters too.
    passages = python.search(question, limit=3 if sys.version_info < (3, 12) else 5)

    # Some releases repeat a topic within the one about compound statements.
    sources = {f"python-reference/{topic}", "python-reference/compound"}
    assert sources & {passage.source for passage in passages}
    assert any(" ".join(words.split()) in " ".join(passage.text.split()) for passage in passages)


def test_every_topic_of_the_language_reference_is_there_under_headings(python: Corpus) -> None:
    from pydoc_data.topics import topics

    assert {entry.source for entry in python.documents()} == {f"python-reference/{topic}" for topic in topics}
    assert all(entry.title for entry in python.documents())
    assert python.folder is None
