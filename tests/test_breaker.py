"""Circuit breakers: what fails in a row is left alone, one call finds out whether it is well again, and a fallback answers."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from langchain_core.tools import ToolException

from cases import says
from graphs import parallel, single
from nodes import Agent, Policy, ScriptedChatModel
from nodes.breakers import Breaker, breaker_of, open_breakers
from nodes.scripted import Step, call
from state import CircuitOpen

FAST = Policy(max_attempts=1, breaker_failures=5, breaker_reset=30)


def ask(agent: Agent) -> dict[str, Any]:
    result: dict[str, Any] = single.build(agent).compile(name="g").invoke({"task": "t"})
    return result


def failing(model: ScriptedChatModel, times: int, policy: Policy = FAST) -> list[str]:
    """Ask a failing model so many times, and return the types of the errors."""
    results = [ask(Agent("a", model=model, policy=policy)) for _ in range(times)]
    return [result["outcomes"][0]["error"]["type"] for result in results]


def wait_out(thing: Any) -> Breaker:
    """Let the time of an open breaker be over."""
    breaker = breaker_of(thing, "")
    assert breaker.opened_at is not None
    breaker.opened_at -= 31
    return breaker


def test_it_opens_after_five_failures_in_a_row_and_then_nothing_is_sent() -> None:
    model = ScriptedChatModel([ConnectionError("reset")] * 5)
    assert failing(model, 8) == ["ConnectionError"] * 5 + ["CircuitOpen"] * 3
    assert len(model.requests) == 5
    assert [breaker.name for breaker in open_breakers() if breaker is breaker_of(model, "")]


def test_a_success_between_failures_begins_the_count_anew_and_errors_of_the_request_do_not_count() -> None:
    steps = [*[ConnectionError("reset")] * 4, "fine", *[ConnectionError("reset")] * 4, *[ValueError("400")] * 9, "fine"]
    model = ScriptedChatModel(steps)
    statuses = [ask(Agent("a", model=model, policy=FAST))["status"] for _ in steps]
    assert statuses[4] == statuses[-1] == "completed"
    assert len(model.requests) == len(steps)


def test_after_its_time_one_call_finds_out_and_closes_it_or_keeps_it_open() -> None:
    model = ScriptedChatModel([*[ConnectionError("reset")] * 5, ConnectionError("still"), "well again", "fine"])
    failing(model, 5)
    wait_out(model)
    assert failing(model, 2) == ["ConnectionError", "CircuitOpen"]
    wait_out(model)
    assert [ask(Agent("a", model=model, policy=FAST))["answer"] for _ in range(2)] == ["well again", "fine"]


async def test_of_a_hundred_calls_at_once_exactly_one_is_the_probe() -> None:
    model = ScriptedChatModel([*[ConnectionError("reset")] * 5, Step("well again", delay=0.05)])
    for _ in range(5):
        await single.build(Agent("a", model=model, policy=FAST)).compile(name="g").ainvoke({"task": "t"})
    wait_out(model)
    agents = [Agent(f"a{number}", model=model, policy=FAST) for number in range(100)]
    result = await parallel.build(agents).compile(name="g").ainvoke({"task": "t"})
    statuses = [outcome["status"] for outcome in result["outcomes"]]
    assert (statuses.count("ok"), statuses.count("failed")) == (1, 99)
    assert len(model.requests) == 6
    assert {outcome["error"]["type"] for outcome in result["outcomes"] if outcome["error"]} == {"CircuitOpen"}


async def test_a_probe_that_is_cancelled_lets_another_one_go() -> None:
    model = ScriptedChatModel([*[ConnectionError("reset")] * 5, Step("late", delay=60), "well again"])
    graph = single.build(Agent("a", model=model, policy=FAST)).compile(name="g")
    for _ in range(5):
        await graph.ainvoke({"task": "t"})
    wait_out(model)
    probe = asyncio.create_task(graph.ainvoke({"task": "t"}))
    while len(model.requests) < 6:
        await asyncio.sleep(0.005)
    probe.cancel()
    await asyncio.gather(probe, return_exceptions=True)
    assert (await graph.ainvoke({"task": "t"}))["answer"] == "well again"


def test_a_fallback_answers_while_the_model_is_left_alone() -> None:
    first, second = ScriptedChatModel([ConnectionError("reset")] * 5), ScriptedChatModel(["from the second"] * 7)
    policy = Policy(max_attempts=2, breaker_failures=5, fallback=(second,))
    answers = [ask(Agent("a", model=first, policy=policy))["answer"] for _ in range(7)]
    assert answers == ["from the second"] * 7
    assert len(first.requests) == 5


def test_a_tool_that_breaks_is_left_alone_by_all_its_users_and_one_that_says_no_is_not() -> None:
    tries: list[str] = []

    def weather(city: str) -> str:
        """Tell the weather."""
        tries.append(city)
        raise RuntimeError("no connection")

    def prices(item: str) -> str:
        """Tell a price."""
        tries.append(item)
        raise ToolException("no such item")

    for tool, most in ((weather, 5), (prices, 8)):
        tries.clear()
        agents = [
            says(n, *[call(tool.__name__, **{arg: f"{n}{i}"}) for i in range(4)], "done", tools=[tool])
            for n in ("a", "b")
            for arg in [next(name for name in tool.__annotations__ if name != "return")]
        ]
        for agent in agents:
            assert ask(agent)["answer"] == "done"
        assert len(tries) == most
    assert isinstance(agents[0].model, ScriptedChatModel)


@given(st.lists(st.sampled_from(["ok", "bad", "left"]), max_size=40), st.integers(1, 6))
def test_it_is_open_exactly_after_so_many_failures_without_a_success_between(seen: list[str], most: int) -> None:
    breaker, row = Breaker("x"), 0
    for what in seen:
        if row >= most:
            with pytest.raises(CircuitOpen):
                breaker.admit(30)
            break
        number = breaker.admit(30)
        if what == "ok":
            breaker.succeeded(number)
            row = 0
        elif what == "bad":
            assert (breaker.failed(number, most) == "opened") == (row + 1 == most)
            row += 1
        else:
            breaker.left(number)
    assert (breaker.opened_at is not None) == (row >= most)


@pytest.mark.parametrize("late", ["ok", "bad", "left"])
def test_a_call_from_before_it_opened_neither_closes_it_nor_lets_a_second_probe_through(late: str) -> None:
    breaker = Breaker("x")
    early, last = breaker.admit(30), breaker.admit(30)
    assert breaker.failed(last, 1) == "opened"
    breaker.opened_at = 0.0
    probe = breaker.admit(0)
    told = {"ok": lambda: breaker.succeeded(early), "bad": lambda: breaker.failed(early, 1)}
    assert told.get(late, lambda: breaker.left(early))() is None
    with pytest.raises(CircuitOpen, match="one call is finding out"):
        breaker.admit(0)
    assert breaker.succeeded(probe) == "closed"
    assert breaker.admit(30) == probe
