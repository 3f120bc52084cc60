"""The loop guard: an agent that does the same again and again is stopped with the best it has."""

from __future__ import annotations

from typing import Any

import pytest

from acting import run, says
from graphs import parallel, single
from nodes import Agent, ScriptedChatModel
from nodes.layers.loop_guard import same_arguments
from nodes.scripted import call

looked: list[str] = []


def look(query: str) -> str:
    """Look something up."""
    looked.append(query)
    return f"found {query}"


def read(query: str) -> str:
    """Read something."""
    looked.append(query)
    return f"read {query}"


def agent(*steps: Any) -> Agent:
    looked.clear()
    return says("a", *steps, tools=[look, read])


def calls_of(one: Agent) -> int:
    assert isinstance(one.model, ScriptedChatModel)
    return len(one.model.requests)


@pytest.mark.parametrize(
    "queries",
    [["tides"] * 9, ["the lists of Python", "Python list", "Python lists", "a Python list", "lists in Python"]],
)
def test_the_same_call_is_carried_out_three_times_and_then_the_agent_is_stopped(queries: list[str]) -> None:
    one = agent(*(call("look", query=query) for query in queries))
    result = run(single.build(one))
    assert (result["status"], len(looked), calls_of(one)) == ("stopped", 3, 3)
    assert "LoopDetected: loop: look called with the same arguments 3 times" in result["reason"]
    assert result["answer"] == f"found {looked[-1]}"


def test_a_circle_of_two_tools_is_a_loop_as_well() -> None:
    one = agent(*[call("look", query="x"), call("read", query="y")] * 5)
    result = run(single.build(one))
    assert (result["status"], len(looked)) == ("stopped", 6)
    assert "look, read" in result["reason"]


def test_calls_that_differ_in_a_number_or_a_word_are_progress() -> None:
    one = agent(*(call("read", query=f"page {number}") for number in range(8)), "done")
    assert run(single.build(one))["answer"] == "done"
    one = agent(*(call("look", query=city) for city in ("Bern", "Basel", "Zug", "Chur")), "done")
    assert run(single.build(one))["answer"] == "done"


def test_how_often_is_a_knob_and_what_others_found_is_kept() -> None:
    one = agent(*[call("look", query="x")] * 9)
    result = run(parallel.build([one, says("b", "fine")]), max_repeats=2)
    assert (result["status"], len(looked)) == ("partial", 2)
    assert "fine" in result["answer"]


def test_long_arguments_are_the_same_only_when_they_are_equal() -> None:
    text = "A long text of many words. " * 20
    assert same_arguments({"text": text}, {"text": text})
    assert not same_arguments({"text": text}, {"text": text + "More."})
    assert not same_arguments({"a": "x"}, {"b": "x"})
    assert same_arguments({"n": 1, "q": "the tides"}, {"n": 1, "q": "tides"})


def test_an_agent_without_tools_is_never_stopped() -> None:
    assert run(single.build(Agent("a", model=ScriptedChatModel(["done"]))))["answer"] == "done"


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("6*7", "6+7"),
        ("6+7", "6-7"),
        ("a<b", "a>b"),
        ("-5", "5"),
        ("10/3", "3/10"),
        ("x²", "x³"),
        ("a-b", "b-a"),
        ("C++ tutorial", "C# tutorial"),
        ("Kiel to Bonn", "Bonn to Kiel"),
        ("EUR USD", "USD EUR"),
        ("trains from Kiel to Bonn tomorrow", "trains from Bonn to Kiel tomorrow"),
        ("what is minus 5 and 3 together", "what is minus 3 and 5 together"),
        ("turn the lamp in the hall on", "turn the lamp in the hall off"),
        ("cats and dogs", "cats or dogs"),
    ],
)
def test_what_differs_in_an_operator_a_symbol_or_the_order_is_not_the_same(first: str, second: str) -> None:
    assert not same_arguments({"x": first}, {"x": second})
    assert not same_arguments({"x": second}, {"x": first})


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("Python  List", "python list"),
        ("6 * 7", "6  * 7"),
        ("Could you look up the price of the ticket?", "Look up the ticket's price."),
        ("find the weather report for Bern", "the weather report for Bern, find it"),
    ],
)
def test_prose_in_other_words_and_other_spaces_are_the_same(first: str, second: str) -> None:
    assert same_arguments({"x": first}, {"x": second})


def test_an_agent_that_calculates_with_the_same_numbers_goes_on() -> None:
    sums = ("6*7", "6+7", "6-7", "6/7")
    one = agent(*(call("look", query=text) for text in sums), "done")
    assert (run(single.build(one))["answer"], looked) == ("done", list(sums))


@pytest.mark.parametrize(
    "queries",
    [
        ["the height of the tower in Bern", "what is the tower's height in Bern"],
        ["the height of the tower in Bern", "rain in Basel this week", "the price of a ticket to Chur"],
    ],
)
def test_a_circle_of_prose_is_a_loop_whatever_words_it_is_told_in(queries: list[str]) -> None:
    one = agent(*(call("look", query=query) for query in [*queries, *(f"Please: {query}" for query in queries)] * 3))
    result = run(single.build(one))
    assert result["status"] == "stopped"
    assert "LoopDetected" in result["reason"]
