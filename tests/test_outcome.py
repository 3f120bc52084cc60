"""Outcomes: the laws of merging and adding them, and what is said of those that failed."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from state import Outcome, Usage
from state.outcome import (
    OutcomeStatus,
    add_usage,
    describe_failure,
    merge_outcomes,
    no_usage,
    node_of,
    total_usage,
)

counts = st.integers(0, 1000)
dollars = st.none() | st.integers(0, 10**6).map(lambda cents: cents / 4)
"""Quarters, which floating point adds exactly."""
usages: st.SearchStrategy[Usage] = st.builds(
    lambda m, t, i, o, usd: Usage(model_calls=m, tool_calls=t, input_tokens=i, output_tokens=o, usd=usd),
    counts,
    counts,
    counts,
    counts,
    dollars,
)


def outcome(name: str, *, status: OutcomeStatus = "ok", output: str = "", **fields: Any) -> Outcome:
    made = Outcome(
        id=name,
        agent=name.partition("#")[0],
        status=status,
        output=output,
        structured=None,
        error=None,
        attempts=1,
        seconds=0.0,
        usage=no_usage(),
    )
    made.update(fields)  # type: ignore[typeddict-item]  # any fields of an outcome
    return made


outcomes = st.builds(lambda name, output: outcome(name, output=output), st.sampled_from("abcdef"), st.text(max_size=3))
writes = st.lists(outcomes, max_size=6)
states = writes.map(lambda drawn: merge_outcomes([], [drawn]))


@settings(deadline=None)
@given(states, st.lists(writes, max_size=6), st.integers(0, 6))
def test_merging_is_the_same_in_any_batches(state: list[Outcome], batches: list[list[Outcome]], cut: int) -> None:
    at_once = merge_outcomes(state, batches)
    assert merge_outcomes(merge_outcomes(state, batches[:cut]), batches[cut:]) == at_once
    assert merge_outcomes(state, [[one for batch in batches for one in batch]]) == at_once


@settings(deadline=None)
@given(states)
def test_merging_nothing_changes_nothing(state: list[Outcome]) -> None:
    assert merge_outcomes(state, []) == merge_outcomes(state, [[]]) == merge_outcomes([], [state]) == state


@settings(deadline=None)
@given(states, writes)
def test_ids_stay_unique_and_the_last_write_of_each_counts(state: list[Outcome], write: list[Outcome]) -> None:
    before = list(state)
    merged = merge_outcomes(state, [write])
    assert state == before
    ids = [one["id"] for one in merged]
    assert ids == list(dict.fromkeys(one["id"] for one in [*state, *write]))
    latest = {one["id"]: one for one in [*state, *write]}
    assert merged == [latest[name] for name in ids]


def test_an_outcome_with_a_known_id_replaces_it_in_place() -> None:
    first, second, again = outcome("a", output="1"), outcome("b"), outcome("a", output="2")
    assert merge_outcomes([first, second], [[again]]) == [again, second]


@settings(deadline=None)
@given(usages, usages, usages)
def test_adding_usage_is_associative_and_commutative_with_nothing_as_identity(a: Usage, b: Usage, c: Usage) -> None:
    assert add_usage(add_usage(a, b), c) == add_usage(a, add_usage(b, c))
    assert add_usage(a, b) == add_usage(b, a)
    assert add_usage(a, no_usage()) == a


@settings(deadline=None)
@given(st.lists(usages, max_size=5))
def test_an_unknown_price_makes_the_total_unknown_and_never_cheaper(parts: list[Usage]) -> None:
    total = total_usage(outcome(str(at), usage=usage) for at, usage in enumerate(parts))
    prices = [usage["usd"] for usage in parts]
    assert (total["usd"] is None) == (None in prices)
    assert total["model_calls"] == sum(usage["model_calls"] for usage in parts)


@pytest.mark.parametrize(
    ("name", "node"), [("writer", "writer"), ("writer#2", "writer"), ("item-3", "item-3"), ("my agent#12", "my agent")]
)
def test_an_id_tells_the_node(name: str, node: str) -> None:
    assert node_of(outcome(name, agent="somebody else")) == node


def test_a_failure_is_described_in_one_line() -> None:
    error = {"type": "AttemptTimeout", "message": "no result within 30 s", "retryable": False}
    late = outcome("a#2", status="timed_out", error=error)
    assert describe_failure(late) == "a#2 timed out (AttemptTimeout: no result within 30 s)"
    assert describe_failure(outcome("b", status="failed")) == "b failed (no reason given)"
    part = outcome("team", error={"type": "TeamPartial", "message": "c failed", "retryable": False})
    assert describe_failure(part) == "team done in part (TeamPartial: c failed)"


@settings(deadline=None)
@given(outcomes)
def test_an_outcome_is_plain_json(one: Outcome) -> None:
    assert json.loads(json.dumps(one)) == one
