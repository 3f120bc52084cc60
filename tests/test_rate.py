"""Rate limits: no 60 seconds hold more than was agreed, nobody is turned away, and waiting is nobody's run time."""

from __future__ import annotations

import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cases import says
from graphs import parallel, single
from nodes import Agent, Policy, ScriptedChatModel, rates
from nodes.rates import WINDOW, Rate, rate_of
from state import Budget, ConfigurationError, Context


@given(st.integers(1, 5), st.lists(st.integers(0, 200), min_size=1, max_size=30), st.integers(50, 300))
def test_no_window_holds_more_calls_or_tokens_than_the_limit(requests: int, calls: list[int], tokens: int) -> None:
    rate = Rate(requests, tokens)
    slots = [rate.book(need) for need in calls]
    assert [slot.at for slot in slots] == sorted(slot.at for slot in slots)
    for slot in slots:
        window = [other for other in slots if slot.at <= other.at < slot.at + WINDOW - 1e-6]
        assert len(window) <= requests
        assert sum(other.tokens for other in window) <= max(tokens, slot.tokens) or len(window) == 1


def test_the_first_calls_go_at_once_and_the_next_when_the_first_is_a_minute_old() -> None:
    rate, now = Rate(2, None), time.monotonic()
    waits = [round(rate.book(1).at - now) for _ in range(5)]
    assert waits == [0, 0, 60, 60, 120]


def test_a_place_that_is_given_back_is_free_again() -> None:
    rate, now = Rate(1, None), time.monotonic()
    rate.book(1)
    second = rate.book(1)
    rate.give_back(second)
    assert round(rate.book(1).at - now) == 60


def test_agents_of_a_model_share_its_limit_and_wait_without_running_out_of_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(rates, "WINDOW", 0.3)
    model = ScriptedChatModel(["x"] * 3)
    agents = [Agent(n, model=model, policy=Policy(timeout=0.2)) for n in ("a", "b", "c")]
    events: list[Any] = []
    graph = parallel.build(agents).compile(name="g")
    context = Context(requests_per_minute=1)
    for event in graph.stream({"task": "t"}, context=context, stream_mode="custom"):
        events.append(event)
    done = [event for event in events if event["kind"] == "agent_finished"]
    assert [event["data"]["status"] for event in done] == ["ok"] * 3
    assert all(event["data"]["seconds"] < 0.2 for event in done)
    waits = [event["data"]["seconds"] for event in events if event["data"].get("decision") == "wait"]
    assert len(waits) == 2


def test_a_wait_that_the_run_has_no_time_for_is_not_begun() -> None:
    agent = says("limited-and-late", "one", policy=Policy(requests_per_minute=1))
    graph = single.build(agent).compile(name="g")
    assert graph.invoke({"task": "t"})["status"] == "completed"
    result = graph.invoke({"task": "t"}, context=Context(budget=Budget(seconds=5)))
    assert result["status"] == "stopped"
    assert "rate limit" in result["reason"]


def test_the_same_owner_and_limits_share_one_rate_and_no_limit_is_none() -> None:
    assert rate_of("a", None, None) is None
    assert rate_of("a", 1, None) is rate_of("a", 1, None)
    assert rate_of("a", 1, None) is not rate_of("b", 1, None)


def test_tokens_that_were_not_taken_are_free_for_others() -> None:
    rate, now = Rate(None, 100), time.monotonic()
    first = rate.book(90)
    first.tokens = 10
    assert round(rate.book(80).at - now) == 0


@pytest.mark.parametrize("options", [{"requests_per_minute": 0}, {"breaker_reset": 0}, {"breaker_failures": 0}])
def test_limits_that_could_never_work_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match=next(iter(options))):
        Policy(**options)
