"""Caching: the same request is answered once by a model and then for nothing, until its time is over."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from langchain_core.tools import ToolException
from pydantic import BaseModel

from cases import says
from graphs import sequential, single
from nodes import Agent, Policy, ScriptedChatModel
from nodes.layers import cache
from nodes.scripted import call
from state import Budget, ConfigurationError, Context, open_persistence
from state.labels import without_lines
from tools import cached, effect
from tools.marks import marks_of

KEEP = Policy(cache=3600)


class City(BaseModel):
    """A city."""

    name: str
    people: int


@pytest.fixture(autouse=True)
def _empty() -> None:
    cache._kept.clear()


def ask(graph: Any, task: str = "t", **context: Any) -> dict[str, Any]:
    result: dict[str, Any] = graph.invoke({"task": task}, context=Context(**context))
    return result


def test_the_same_request_is_sent_once_and_a_hit_costs_nothing() -> None:
    agent = says("clerk", "one", "two", policy=KEEP)
    graph = single.build(agent).compile(name="g")
    assert [ask(graph)["answer"], ask(graph)["answer"], ask(graph, "another")["answer"]] == ["one", "one", "two"]
    (outcome,) = ask(graph, budget=Budget(model_calls=0))["outcomes"]
    assert (outcome["status"], outcome["attempts"], outcome["usage"]["model_calls"]) == ("ok", 0, 0)
    assert outcome["usage"]["usd"] == 0.0


def test_a_hit_is_shown_as_one() -> None:
    graph = single.build(says("clerk", "one", policy=KEEP)).compile(name="g")
    ask(graph)
    (called,) = [e for e in graph.stream({"task": "t"}, stream_mode="custom") if e["kind"] == "model_called"]
    assert called["data"]["cached"] is True


def test_agents_with_tools_and_schemas_are_answered_from_it_too() -> None:
    looked: list[str] = []

    def look(city: str) -> str:
        """Look a city up."""
        looked.append(city)
        return "134000"

    steps = [call("look", city="Bern"), City(name="Bern", people=134000)]
    agent = says("clerk", *steps, tools=[look], response_format=City, policy=KEEP)
    graph = single.build(agent).compile(name="g")
    first, second = ask(graph), ask(graph)
    assert first["structured"] == second["structured"] == {"name": "Bern", "people": 134000}
    assert looked == ["Bern", "Bern"]  # the tool is not marked
    assert second["outcomes"][0]["usage"]["model_calls"] == 0


def test_an_answer_that_cannot_be_used_is_not_kept() -> None:
    graph = single.build(says("clerk", "", "", "good", policy=KEEP)).compile(name="g")
    assert [ask(graph)["status"], ask(graph)["answer"]] == ["failed", "good"]


def test_without_a_policy_nothing_is_kept_and_after_its_time_nothing_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    graph = single.build(says("clerk", "one", "two")).compile(name="g")
    assert [ask(graph)["answer"], ask(graph)["answer"]] == ["one", "two"]
    graph = single.build(says("clerk", "one", "two", policy=KEEP)).compile(name="g")
    ask(graph)
    (kept,) = cache._kept.values()
    kept["at"] -= 3601
    assert ask(graph)["answer"] == "two"


def test_what_is_kept_in_a_store_is_there_for_the_next_process(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/runs.db"
    calls: list[str] = []

    @cached(seconds=60)
    def look(city: str) -> str:
        """Look a city up."""
        calls.append(city)
        return f"{city} has 134000 people"

    for _ in range(2):
        with open_persistence(url) as persistence:
            agent = says("clerk", call("look", city="Bern"), "done", tools=[look])
            single.build(agent).compile(persistence.checkpointer, store=persistence.store, name="g").invoke(
                {"task": "t"}, {"configurable": {"thread_id": f"t{len(calls)}"}}
            )
            assert without_lines(agent.model.requests[-1].messages[-1].text) == "Bern has 134000 people"  # type: ignore[union-attr]
    assert calls == ["Bern"]


def test_tools_that_are_marked_are_called_once_for_all_agents_and_their_errors_are_not_kept() -> None:
    calls: list[int] = []

    @cached
    def half(number: int) -> str:
        """Halve a number."""
        calls.append(number)
        if number % 2:
            raise ToolException("odd")
        return str(number // 2)

    agents = [says(n, call("half", number=4), call("half", number=3), "done", tools=[half]) for n in ("a", "b", "c")]
    ask(sequential.build(agents).compile(name="g"))
    assert calls == [4, 3, 3, 3]


def test_another_model_or_prompt_is_another_request() -> None:
    first, second = ScriptedChatModel(["one", "three"]), ScriptedChatModel(["two"])
    answers = [
        ask(single.build(Agent("a", "", prompt, model=model, policy=KEEP)).compile(name="g"))["answer"]
        for model, prompt in ((first, "p"), (second, "p"), (first, "q"), (first, "p"))
    ]
    assert answers == ["one", "two", "three", "one"]


def test_what_changes_the_world_cannot_be_cached() -> None:
    def pay(amount: int) -> str:
        """Pay."""
        return "paid"

    with pytest.raises(ConfigurationError, match="cannot be cached"):
        cached(effect(pay))
    with pytest.raises(ConfigurationError, match="seconds above 0"):
        cached(pay, seconds=0)


def test_two_tools_of_one_name_do_not_answer_for_each_other() -> None:
    def search_in(text: str) -> Any:
        def search(words: str) -> str:
            """Search."""
            return text

        return cached(search)

    board = says("board", call("search", words="x"), "done", tools=[search_in("confidential")])
    guest = says("guest", call("search", words="x"), "done", tools=[search_in("public")])
    ask(sequential.build([board, guest]).compile(name="g"))
    assert isinstance(guest.model, ScriptedChatModel)
    assert without_lines(guest.model.requests[-1].messages[-1].text) == "public"


def town(city: str) -> str:
    """Look a city up."""
    return city


def test_a_function_of_a_module_is_known_again_by_its_name() -> None:
    def inner(city: str) -> str:
        """Look a city up."""
        return city

    named = [marks_of(cached(one)).kept_as for one in (town, town, inner, inner)]
    assert named[0] == named[1] == f"{__name__}:town"
    assert len(set(named)) == 3
