"""Wording: paraphrases, circles and digests, without a model."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodes.wording import circle, digest, gist_words, says_the_same

# --- paraphrases


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("Search for the population of Bern.", "search the population of bern"),
        ("Please check the second paragraph.", "Check the second paragraph, please!"),
        ("Checks the drafts", "check the draft"),
        ("Could you look up the price of the ticket?", "Look up the ticket's price."),
        ("The result: 42.", "the result is 42"),
        ("Go on.", "go on"),
        ("", "  "),
        ("of the", "The of"),
        ("Überprüfe den Entwurf", "überprüfe den entwurf!"),
        ("検索する", "検索する"),
    ],
)
def test_the_same_in_other_words_is_the_same(first: str, second: str) -> None:
    assert says_the_same(first, second)
    assert says_the_same(second, first)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("Search for the population of Bern.", "Search for the population of Zurich."),
        ("Read page 1 of the long report on trade.", "Read page 2 of the long report on trade."),
        ("Set the limit to 10 percent of all sales.", "Set the limit to 10.5 percent of all sales."),
        ("Accept the draft.", "Revise the draft."),
        ("Use version v1 of the programme interface.", "Use version v2 of the programme interface."),
        ("Say yes.", ""),
        ("?!", "!?"),
        ("The test passes.", "The test does not pass."),
        ("The account is open.", "The account isn't open."),
        ("Publish the report with the figures of May.", "Never publish the report with the figures of May."),
    ],
)
def test_other_things_in_nearly_the_same_words_are_not_the_same(first: str, second: str) -> None:
    assert not says_the_same(first, second)
    assert not says_the_same(second, first)


@given(st.text(max_size=80), st.text(max_size=80))
def test_it_is_the_same_both_ways_and_of_a_text_with_itself(first: str, second: str) -> None:
    assert says_the_same(first, first)
    assert says_the_same(first, second) == says_the_same(second, first)
    assert gist_words(first) == gist_words(first)


# --- circles


def moves(names: str, *texts: str) -> list[tuple[str, str]]:
    said = texts or ("Check the draft again.",)
    return [(name, said[at % len(said)]) for at, name in enumerate(names)]


@pytest.mark.parametrize(
    ("names", "repeats", "length"),
    [
        ("aaa", 3, 1),
        ("aa", 3, 0),
        ("aa", 2, 1),
        ("ababab", 3, 2),
        ("babab", 3, 0),
        ("xxabab", 2, 2),
        ("abcabcabc", 3, 3),
        ("abcdabcdabcd", 3, 4),
        ("abcdabcdabce", 3, 0),
        ("zzzabcabc", 2, 3),
        ("aabaab", 2, 3),
        ("abaaa", 3, 1),
        ("aaab", 3, 0),
        ("", 3, 0),
    ],
)
def test_circles_of_any_length_are_found_at_the_end_and_nowhere_else(names: str, repeats: int, length: int) -> None:
    assert circle(moves(names), repeats) == length


@pytest.mark.parametrize("length", [1, 2, 3, 4])
def test_a_paraphrased_circle_is_a_circle_and_one_that_brings_something_new_is_not(length: int) -> None:
    names = "abcd"[:length]
    said = ["Check the draft again.", "Please check again the draft!", "the draft: check it again"]
    rounds = [(name, said[at]) for at in range(3) for name in names]
    assert circle(rounds, 3) == length
    assert circle([(name, f"Check part {at} again.") for at in range(3) for name in names], 3) == 0


def test_the_same_words_of_another_are_another_move() -> None:
    assert circle([("a", "Go."), ("b", "Go."), ("c", "Go.")], 3) == 0


@pytest.mark.parametrize("repeats", [1, 0, -1])
def test_one_round_repeats_nothing(repeats: int) -> None:
    assert circle(moves("a"), repeats) == 0
    assert circle(moves("aa"), repeats) == 1


@given(st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from(["one", "two"])), max_size=12), st.integers(2, 4))
def test_a_circle_is_found_exactly_where_the_end_repeats_itself(said: list[tuple[str, str]], repeats: int) -> None:
    def repeats_itself(length: int) -> bool:
        tail = said[-length:]
        return said[-length * repeats :] == tail * repeats

    lengths = [length for length in range(1, len(said) // repeats + 1) if repeats_itself(length)]
    assert circle(said, repeats) == min(lengths, default=0)


# --- digests

REPORT = (
    "The bridge was built in 1890. It rained on the day. The bridge has two arches of stone. Lunch was served. "
    "Each arch of the bridge spans 30 metres. Nobody came late."
)


def test_a_digest_keeps_the_first_sentence_and_those_that_the_text_is_about() -> None:
    short = digest(REPORT, 125)
    assert short.startswith("The bridge was built in 1890.")
    assert "arch" in short
    assert "Lunch" not in short
    assert short.endswith(" [...]")
    assert digest(REPORT, 125) == short


@given(
    st.text(max_size=400) | st.lists(st.sampled_from(REPORT.split()), max_size=80).map(" ".join), st.integers(1, 300)
)
def test_a_digest_is_never_longer_than_asked_and_a_short_text_is_left_as_it_is(text: str, most: int) -> None:
    short = digest(text, most)
    assert len(short) <= most
    assert short == digest(text, most)
    if len(text.strip()) <= most:
        assert short == text.strip()


@given(
    st.lists(st.sampled_from([s.strip() + "." for s in REPORT.split(".") if s.strip()]), min_size=1),
    st.integers(60, 300),
)
def test_a_digest_holds_whole_sentences_in_their_order(sentences: list[str], most: int) -> None:
    short = digest(" ".join(sentences), most)
    kept = re.split(r"(?<=\.) ", short.removesuffix(" [...]"))
    assert kept
    left = iter(sentences)
    assert all(sentence in left for sentence in kept)


def test_a_sentence_that_does_not_fit_is_cut_rather_than_left_out_whole() -> None:
    assert digest("word " * 100, 30) == "word word word word word [...]"
    assert len(digest("x" * 100, 3)) <= 3


def test_a_digest_of_a_megabyte_takes_no_time_to_speak_of() -> None:
    assert len(digest("The bridge is old. And nothing else. " * 27_000, 500)) <= 500
    assert len(digest(" ".join(f"Sentence {at} is here." for at in range(40_000)), 500)) <= 500
