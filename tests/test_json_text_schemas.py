"""JSON schemas as answers' shapes: the whole schema is checked, and a broken one fails nothing that it did not fail before."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from graphs import single
from nodes import Agent, ScriptedChatModel
from nodes.layers.json_text import fits
from nodes.scripted import call
from state import Outcome

NAMED = {"type": "object", "properties": {"y": {"type": "string"}}}
ROUTE: dict[str, Any] = {
    "title": "route",
    "type": "object",
    "properties": {
        "team": {"enum": ["billing", "shipping"]},
        "n": {"type": "integer"},
        "to": {"type": "array", "items": {"anyOf": [{"type": "string"}, NAMED]}},
    },
    "required": ["team", "n"],
}


@pytest.mark.parametrize(
    ("wrong", "problem"),
    [
        (
            {"team": "sales", "n": "many"},
            "2 validation errors for route\nteam: 'sales' is not one of ['billing', 'shipping']\n"
            "n: 'many' is not of type 'integer'",
        ),
        (
            {"team": "billing", "n": 1, "to": ["x", {"y": 2}]},
            "1 validation error for route\nto.1.y: 2 is not of type 'string'",
        ),
        ({"team": "billing"}, "expected an object with ['n', 'team'], without ['n']"),
    ],
)
def test_a_json_schema_is_checked_whole_and_what_is_wrong_is_said(wrong: dict[str, Any], problem: str) -> None:
    assert fits({"team": "billing", "n": 1, "to": ["x"]}, ROUTE)
    with pytest.raises(ValueError, match=r"expected|valid") as raised:
        fits(wrong, ROUTE)
    assert str(raised.value) == problem


def test_what_is_wrong_quotes_no_more_of_an_answer_than_helps() -> None:
    with pytest.raises(ValueError, match="is not of type 'integer'") as raised:
        fits({"team": "billing", "n": "x" * 100_000}, ROUTE)
    assert len(str(raised.value)) < 400


BROKEN: list[dict[str, Any]] = [
    {"properties": {"a": {"type": "strin"}}},
    {"properties": {"a": {"$ref": "#/nowhere"}}},
    {"properties": {"a": {"$ref": "https://schemas.invalid/a"}}},
    {"properties": {"a": {"enum": "xyz"}}},
    {"properties": {"a": {"pattern": "("}}},
    {"properties": {"a": {"multipleOf": 0}}},
    {"properties": 3},
    {"$ref": "#"},
]


@pytest.mark.parametrize("schema", BROKEN, ids=str)
def test_a_broken_json_schema_asks_for_its_required_keys_only(schema: dict[str, Any]) -> None:
    for value in ({"a": "text"}, {"a": 5}):
        assert fits(value, {**schema, "required": ["a"]}) == value
    with pytest.raises(ValueError, match="without"):
        fits({}, {**schema, "required": ["a"]})


def test_json_schemas_cost_nothing_where_there_are_none() -> None:
    program = (
        "import sys\nfrom graphs import single\nfrom nodes import Agent, ScriptedChatModel\n"
        "agent = Agent('a', model=ScriptedChatModel(['done']))\n"
        "single.build(agent).compile(name='g').invoke({'task': 't'})\nassert 'jsonschema' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True, cwd=Path(__file__).parent.parent)


# --- in an agent's step


def run(agent: Agent) -> Outcome:
    outcome: Outcome = single.build(agent).compile(name="g").invoke({"task": "t"})["outcomes"][0]
    return outcome


WRONG_ROUTE = {"team": "sales", "n": "many"}


@pytest.mark.parametrize("wrong", [call("route", **WRONG_ROUTE), json.dumps(WRONG_ROUTE), WRONG_ROUTE])
def test_an_answer_that_a_json_schema_does_not_allow_is_asked_for_again_with_the_reason(wrong: Any) -> None:
    with ScriptedChatModel([wrong, call("route", team="billing", n=2)]) as model:
        outcome = run(Agent("a", model=model, response_format=ROUTE))
        told = model.requests[1].messages[-1].text
    assert "team: 'sales' is not one of ['billing', 'shipping'] n: 'many' is not of type 'integer'" in told
    assert (outcome["status"], outcome["structured"]) == ("ok", {"team": "billing", "n": 2})
    outcome = run(Agent("a", model=ScriptedChatModel([wrong, wrong]), response_format=ROUTE))
    assert outcome["error"] is not None
    assert (outcome["status"], outcome["error"]["type"]) == ("failed", "WrongShape")


def test_a_broken_json_schema_does_not_fail_the_step() -> None:
    with ScriptedChatModel([call("route", team="sales", n=1)]) as model:
        outcome = run(Agent("a", model=model, response_format={**ROUTE, "properties": {"n": {"minimum": "x"}}}))
    assert (outcome["status"], outcome["structured"]) == ("ok", {"team": "sales", "n": 1})


def test_what_json_schemas_are_checked_with_is_not_imported_on_the_event_loop() -> None:
    program = (
        "import asyncio, sys, threading\nfrom graphs import single\nfrom nodes import Agent, ScriptedChatModel\n"
        "from nodes.scripted import call\n"
        "where = []\n"
        "class Watch:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name == 'jsonschema':\n"
        "            where.append(threading.current_thread() is threading.main_thread())\n"
        "sys.meta_path.insert(0, Watch())\n"
        "schema = {'title': 's', 'type': 'object', 'properties': {'n': {'type': 'integer'}}}\n"
        "model = ScriptedChatModel([call('s', n='x'), call('s', n=1)])\n"
        "graph = single.build(Agent('a', model=model, response_format=schema)).compile(name='g')\n"
        "outcome = asyncio.run(graph.ainvoke({'task': 't'}))['outcomes'][0]\n"
        "assert (outcome['structured'], where) == ({'n': 1}, [False])"
    )
    subprocess.run([sys.executable, "-c", program], check=True, cwd=Path(__file__).parent.parent)
