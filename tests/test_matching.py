"""Matching: which agent suits a task, who is offered, and which name was meant."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from langchain_core.tools import tool

from graphs import single
from nodes import Agent, HumanAgent
from nodes.matching import find_name, match_agents, roster, shortlist
from nodes.spec import AnyAgent


@tool
def convert_currency(amount: float, to: str) -> str:
    """Convert an amount of money into another currency."""
    return f"{amount} {to}"


def read_inbox(count: int) -> str:
    """List the newest e-mails."""
    return str(count)


STAFF = (
    Agent("lawyer", "Answers questions about contracts, liability and privacy law."),
    Agent("accountant", "Books invoices, checks tax and payroll."),
    Agent("developer", "Writes and debugs Python and SQL code."),
    Agent("chemist", "Explains reactions, solvents and laboratory safety."),
    Agent("TravelPlanner", "Finds trains, flights and hotels."),
    Agent("exchange", "Knows rates.", tools=[convert_currency]),
    Agent("secretary", "Keeps the calendar.", tools=[read_inbox]),
    Agent("translator", "Translates between German, French and English."),
)


@pytest.mark.parametrize(
    ("task", "agent"),
    [
        ("Is this clause of the contract valid under privacy law?", "lawyer"),
        ("Check the tax on these invoices.", "accountant"),
        ("Why does this Python function not return anything?", "developer"),
        ("Debug my SQL.", "developer"),
        ("Which solvent is safe for this reaction?", "chemist"),
        ("Book a hotel and a flight to Oslo.", "TravelPlanner"),
        ("Plan my travel to the sea.", "TravelPlanner"),
        ("Convert 100 euros into the currency of Japan.", "exchange"),
        ("What is new among my e-mails?", "secretary"),
        ("Translate the letter into French.", "translator"),
        ("Let the chemist have a look.", "chemist"),
    ],
)
def test_the_agent_whose_matter_it_is_comes_first(task: str, agent: str) -> None:
    best, *others = match_agents(task, STAFF)
    assert best.agent == agent
    assert best.words
    assert all(other.score < best.score for other in others)


def test_what_nobody_is_for_matches_nobody_and_keeps_their_order() -> None:
    matches = match_agents("Sing a lullaby.", STAFF)
    assert [match.agent for match in matches] == [agent.name for agent in STAFF]
    assert {(match.score, match.words) for match in matches} == {(0, ())}


def test_of_equals_the_first_given_comes_first() -> None:
    twins = [Agent(name, "Looks up birds.") for name in ("b", "a", "c")]
    assert [match.agent for match in match_agents("Which bird is this?", twins)] == ["b", "a", "c"]
    assert [match.agent for match in match_agents("Which bird is this?", twins[::-1])] == ["c", "a", "b"]


def test_a_word_that_few_have_in_common_tells_more_than_one_that_many_have() -> None:
    staff = [Agent(f"w{at}", "Reads reports.") for at in range(5)] + [Agent("rare", "Knows volcanoes.")]
    best = match_agents("Read the reports about the volcano.", staff)[0]
    assert (best.agent, best.words) == ("rare", ("volcano",))


def test_anything_that_can_be_an_agent_can_be_matched() -> None:
    async def weather(task: str) -> str:
        """Forecast rain and sunshine."""
        return task

    team = single.build(Agent("inner")).compile(name="astronomy")
    staff: list[AnyAgent] = [Agent("silent"), HumanAgent("boss", "Decides about holidays."), weather, team]
    tasks = ["Any rain tomorrow?", "May I take holidays?", "A question of astronomy."]
    assert [match_agents(task, staff)[0].agent for task in tasks] == ["weather", "boss", "astronomy"]
    assert match_agents("", staff)[0].agent == "silent"
    assert match_agents("Any task", []) == []


@given(st.text(max_size=60), st.lists(st.text("abc é漢 1._", max_size=20), max_size=6), st.integers(1, 8))
def test_no_text_breaks_it_and_a_shortlist_is_the_best_in_the_order_given(
    task: str, descriptions: list[str], most: int
) -> None:
    staff = [Agent(f"w{at}", text) for at, text in enumerate(descriptions)]
    matches = match_agents(task, staff)
    assert sorted(match.agent for match in matches) == sorted(agent.name for agent in staff)
    assert [match.score for match in matches] == sorted((match.score for match in matches), reverse=True)
    chosen: Any = shortlist(task, staff, most)
    assert len(chosen) == min(most, len(staff))
    assert {agent.name for agent in chosen} == {match.agent for match in matches[:most]}
    assert list(chosen) == [agent for agent in staff if agent in chosen]


def test_the_roster_has_a_line_for_each_with_its_purpose_and_its_tools() -> None:
    staff: list[AnyAgent] = [Agent("mute"), Agent("lines", "First.\nSecond."), STAFF[5], STAFF[6], HumanAgent("boss")]
    assert roster(staff).splitlines() == [
        "- mute",
        "- lines: First.",
        "- exchange: Knows rates. (tools: convert_currency)",
        "- secretary: Keeps the calendar. (tools: read_inbox)",
        "- boss: A person.",
    ]


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("writer", "writer"),
        ("Writer", "writer"),
        (" writer ", "writer"),
        ('"writer"', "writer"),
        ("`writer`", "writer"),
        ("**Writer**.", "writer"),
        ("<writer>", "writer"),
        ("Ann", "Ann"),
        ("ann", "ann"),
        ("ANN", None),
        ("write", None),
        ("writer and ann", None),
        ("", None),
        ("...", None),
    ],
)
def test_a_name_is_matched_as_written_then_without_case_quotes_and_markup(said: str, meant: str | None) -> None:
    assert find_name(said, ["writer", "Ann", "ann", "final_writer"]) == meant
