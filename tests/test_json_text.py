"""JSON in what a model wrote: what is found, what is repaired, and how long it may take at most."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from langchain_core.messages import AIMessage, InvalidToolCall
from pydantic import BaseModel

from graphs import single
from nodes import Agent, ScriptedChatModel
from nodes.layers.json_text import MAX_REPAIRED, MAX_STARTS, as_plain_json, fits, read_answers
from nodes.scripted import call, calls
from state import Outcome


class City(BaseModel):
    """A city."""

    name: str
    people: int


class Town(BaseModel):
    """A town."""

    town: str


CITY, EITHER = {"City": City}, {"City": City, "Town": Town}
BERN = City(name="Bern", people=134_591)

prose = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="{}[]"), max_size=200)
lone_braces = st.lists(
    st.sampled_from(["{", "}", "{x}", "{1, 2}", "[", "]", '{"a": ', "{}", '{"name": "X"}', '"', "\\", "//"])
)
cities = st.builds(City, name=st.text(max_size=20), people=st.integers(-(10**9), 10**9))


# --- what is found


@settings(deadline=None)
@given(st.text(st.sampled_from("{}[]\"':,/*#\\ \n`ab1-eEtrunfl.“”") | st.characters(), max_size=300))
def test_no_text_whatever_raises(text: str) -> None:
    for several in (False, True):
        for found in read_answers(text, EITHER, several=several):
            assert isinstance(found, City | Town)


@settings(deadline=None)
@given(prose, lone_braces, cities, prose, st.sampled_from([None, 1]))
def test_an_object_that_fits_is_found_in_any_prose(
    before: str, braces: list[str], city: City, after: str, indent: int | None
) -> None:
    text = f"{before}{' '.join(braces)} {city.model_dump_json(indent=indent)}{after}"
    assert read_answers(text, CITY) == [city]


@settings(deadline=None)
@given(st.lists(cities | st.builds(Town, town=st.text(max_size=20)), min_size=1, max_size=6), prose)
def test_several_answers_are_read_in_their_order(values: list[City | Town], between: str) -> None:
    text = between.join(value.model_dump_json() for value in values)
    assert read_answers(text, EITHER, several=True) == values
    assert read_answers(text, EITHER) == values[:1]
    assert read_answers(f"[{', '.join(value.model_dump_json() for value in values)}]", EITHER, several=True) == values


DAMAGED = {
    "fence": '```json\n{"name": "Bern", "people": 134591}\n```',
    "damaged fence": "Here:\n```json\n{'name': 'Bern', // the capital\n 'people': 134591,}\n```\nAnything else, {friend}?",
    "single quotes": "{'name': 'Bern', 'people': 134591}",
    "no quotes": "{name: Bern, people: 134591}",
    "trailing comma": '{"name": "Bern", "people": 134591,}',
    "missing comma": '{"name": "Bern" "people": 134591}',
    "line comment": '{"name": "Bern", // the capital\n"people": 134591}',
    "block comment": '{"name": /* which? */ "Bern", "people": 134591}',
    "hash comment": '{"name": "Bern",\n# in 2022\n"people": 134591}',
    "not closed": 'So: {"name": "Bern", "people": 134591',
    "raw line break": '{"name":\n"Bern",\n\n"people":\t134591}',
    "curly quotes": "{“name”: “Bern”, “people”: 134591}",
    "number as text": '{"name": "Bern", "people": "134591"}',
    "under a key": '{"result": {"name": "Bern", "people": 134591}}',
    "beside a thought": '{"thought": "A city.", "city": {"name": "Bern", "people": 134591}}',
    "set before it": "Of the set {a, b} take {'name': 'Bern', 'people': 134591}",
    "several, one cut": '{"name": "Bern", "people": 134591} {"name": "Zu',
}


@pytest.mark.parametrize("text", DAMAGED.values(), ids=DAMAGED)
def test_an_object_is_repaired_where_models_damage_it(text: str) -> None:
    assert read_answers(text, CITY) == [BERN]


def test_a_bad_escape_is_repaired_and_keeps_what_was_written() -> None:
    assert read_answers('{"town": "match \\d+ here"}', EITHER) == [Town(town="match \\d+ here")]


@pytest.mark.parametrize(
    "text", ["", "plain text", "{}", "[]", "{x}", '{"name": "B"}', "null", '"name"', "{" * 300, "[{}]"]
)
def test_what_does_not_fit_is_not_made_to(text: str) -> None:
    assert read_answers(text, CITY) == []


def test_strict_json_goes_before_what_would_have_to_be_repaired() -> None:
    assert read_answers("{'name': 'X', 'people': 1} {\"name\": \"Bern\", \"people\": 134591}", CITY) == [BERN]


def test_the_first_shape_that_fits_is_taken_and_an_object_inside_is_the_second_choice() -> None:
    assert fits({"town": "T", "inner": {"town": "U"}}, Town) == Town(town="T")
    assert fits({"inner": {"town": "U"}, "why": "w"}, Town) == Town(town="U")
    several: list[Any] = [
        {"a": {"town": "U"}, "b": {"town": "V"}},
        {"a": {"b": {"town": "U"}}},
        {"a": ["U"]},
        [],
        None,
        "town",
    ]
    for wrong in several:
        with pytest.raises(ValueError, match=r"Town|object|dict"):
            fits(wrong, Town)


def test_a_json_schema_asks_for_its_required_keys() -> None:
    schema = {"title": "t", "type": "object", "properties": {"a": {}}, "required": ["a"]}
    assert read_answers('{"b": 1} {"a": 2}', {"t": schema}) == [{"a": 2}]
    assert read_answers("{b: 1}", {"t": schema}) == []


# --- how long it takes


LONG = {
    "braces": "{" * 1_000_000,
    "short of the limit": "{" * (MAX_REPAIRED - 1),
    "pairs": "{]" * (MAX_REPAIRED // 2),
    "stray quotes": "{" + 'a"' * 20_000,
    "hashes": "{" + '"#' * 20_000,
    "nested": '{"a":' * 9_000,
    "nested lists": '{"a":' + "[" * 40_000,
    "long attempts": '{"a":' * MAX_STARTS + "[" + "1," * 400_000,
    "backslashes": "{" + "\\" * 40_000,
    "prose": "word " * 200_000,
}


@pytest.mark.parametrize("text", LONG.values(), ids=LONG)
def test_the_work_on_a_hopeless_text_is_bounded(text: str) -> None:
    begun = time.process_time()
    assert read_answers(text, EITHER, several=True) == []
    assert time.process_time() - begun < 20, "of the order of a second; minutes without the bound"


def test_an_object_at_the_end_of_a_megabyte_is_found() -> None:
    assert read_answers("word " * 200_000 + BERN.model_dump_json(), CITY) == [BERN]


def test_a_long_answer_is_repaired_as_well_as_a_short_one() -> None:
    names = [f'It\'s "quoted" {{here}} [{at}] // and there' for at in range(700)]
    text = json.dumps({"names": names}, indent=1).replace('there",\n', 'there", // so\n')
    assert 30_000 < len(text) < MAX_REPAIRED
    schema = {"title": "t", "required": ["names"]}
    assert read_answers(text[:-2] + ",", {"t": schema}) == [{"names": names}]


# --- what is kept


def test_structured_answers_are_kept_as_plain_json_several_under_one_key() -> None:
    assert as_plain_json(None) is None
    assert as_plain_json(BERN) == {"name": "Bern", "people": 134_591}
    assert as_plain_json([BERN, Town(town="T")]) == {"answers": [{"name": "Bern", "people": 134_591}, {"town": "T"}]}
    assert as_plain_json("text") == {"value": "text"}


def test_half_a_surrogate_pair_in_a_structured_answer_does_not_reach_the_storage() -> None:
    for value in (Town(town="a\ud800b"), {"town": "a\ud800b"}):
        assert as_plain_json(value) == {"town": "a?b"}
    assert as_plain_json([{"a": ["\udfff", "😀"]}]) == {"answers": [{"a": ["?", "😀"]}]}


# --- in an agent's step


def run(agent: Agent) -> Outcome:
    outcome: Outcome = single.build(agent).compile(name="g").invoke({"task": "t"})["outcomes"][0]
    return outcome


def broken(args: str, name: str = "City") -> AIMessage:
    """Return a message with a call whose arguments the client could not parse."""
    return AIMessage("", invalid_tool_calls=[unparsed(args, name)])


def unparsed(args: str, name: str) -> InvalidToolCall:
    return InvalidToolCall(type="invalid_tool_call", name=name, args=args, id=f"call {name}", error="bad JSON")


@pytest.mark.parametrize("args", [text for name, text in DAMAGED.items() if "several" not in name])
def test_damaged_arguments_of_a_structured_answer_are_repaired_without_asking_again(args: str) -> None:
    with ScriptedChatModel([broken(args)]) as model:
        outcome = run(Agent("a", model=model, response_format=City))
    assert (outcome["status"], outcome["structured"], outcome["attempts"]) == ("ok", BERN.model_dump(), 1)


@pytest.mark.parametrize("response_format", [City, City | Town])
@pytest.mark.parametrize("first", [broken("no JSON"), broken('{"name": "B"}'), broken("{}", name="Other")])
def test_arguments_beyond_repair_are_asked_for_again(first: AIMessage, response_format: Any) -> None:
    with ScriptedChatModel([first, BERN]) as model:
        outcome = run(Agent("a", model=model, response_format=response_format))
    assert (outcome["status"], outcome["structured"], outcome["attempts"]) == ("ok", BERN.model_dump(), 2)


def test_arguments_beyond_repair_twice_are_a_typed_failure() -> None:
    outcome = run(Agent("a", model=ScriptedChatModel([broken("no JSON")] * 2), response_format=City))
    assert outcome["error"] is not None
    assert (outcome["status"], outcome["error"]["type"], outcome["attempts"]) == ("failed", "UnparsableOutput", 2)


@pytest.mark.parametrize(
    "step",
    [
        calls(call("City", name="Bern", people=134_591), call("Town", town="Thun")),
        f'Two: {BERN.model_dump_json()} and {{"town": "Thun"}}.',
        AIMessage(
            "",
            invalid_tool_calls=[
                unparsed("{'name': 'Bern', 'people': 134591", "City"),
                unparsed("{'town': 'Thun',}", "Town"),
            ],
        ),
    ],
)
def test_several_answers_where_the_shapes_are_alternatives_are_all_kept_in_order(step: Any) -> None:
    with ScriptedChatModel([step]) as model:
        outcome = run(Agent("a", model=model, response_format=City | Town))
    assert outcome["structured"] == {"answers": [BERN.model_dump(), {"town": "Thun"}]}
    assert outcome["attempts"] == 1


@pytest.mark.parametrize("step", [call("Town", town="Thun"), '{"town": "Thun"}', broken("{'town': 'Thun'}", "Town")])
def test_one_answer_where_the_shapes_are_alternatives_is_the_plain_object(step: Any) -> None:
    with ScriptedChatModel([step]) as model:
        outcome = run(Agent("a", model=model, response_format=City | Town))
    assert outcome["structured"] == {"town": "Thun"}


def test_several_answers_where_one_was_asked_for_are_asked_for_again() -> None:
    two = calls(call("City", name="A", people=1), call("City", name="B", people=2))
    with ScriptedChatModel([two, BERN]) as model:
        outcome = run(Agent("a", model=model, response_format=City))
        assert "expected one answer, got 2" in model.requests[1].messages[-1].text
    assert (outcome["structured"], outcome["attempts"]) == (BERN.model_dump(), 2)
    outcome = run(Agent("a", model=ScriptedChatModel([two, two]), response_format=City))
    assert outcome["error"] is not None
    assert (outcome["status"], outcome["error"]["type"]) == ("failed", "WrongShape")
