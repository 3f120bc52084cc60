"""Progress of a plan: what is done, what runs, what waits for what, and what all of it hangs on."""

from __future__ import annotations

from typing import get_args

from hypothesis import given
from hypothesis import strategies as st

from nodes.progress import A_PERSON, A_PLACE, Standing, progress_of
from state import Plan, Subtask


def subtask(name: str, *depends_on: str) -> Subtask:
    return Subtask(id=name, task=f"Do {name}.", agent="w", depends_on=depends_on)


PLAN = Plan(subtasks=(subtask("a"), subtask("b", "a"), subtask("c", "a"), subtask("d", "b", "c"), subtask("e")))
SECONDS = {"a": 1.0, "b": 5.0, "c": 2.0, "d": 1.0, "e": 3.0}


def test_every_subtask_that_waits_says_for_what() -> None:
    progress = progress_of(PLAN, {"a": "done", "b": "running", "c": "paused", "d": "waiting", "e": "ready"}, SECONDS)
    assert (progress["done"], progress["running"]) == (["a"], ["b"])
    assert progress["waiting"] == {"c": [A_PERSON], "d": ["b", "c"], "e": [A_PLACE]}


def test_the_critical_path_goes_through_what_is_not_done_and_begins_with_the_bottleneck() -> None:
    progress = progress_of(PLAN, dict.fromkeys("abcde", "waiting"), SECONDS)
    assert (progress["critical_path"], progress["seconds_left"]) == (["a", "b", "d"], 7.0)
    progress = progress_of(PLAN, {"a": "done", "b": "done", "c": "running", "d": "waiting", "e": "done"}, SECONDS)
    assert (progress["critical_path"], progress["bottleneck"], progress["seconds_left"]) == (["c", "d"], "c", 3.0)


def test_of_a_plan_that_is_done_nothing_is_left() -> None:
    progress = progress_of(PLAN, dict.fromkeys("abcde", "done"), SECONDS)
    assert (progress["critical_path"], progress["bottleneck"], progress["seconds_left"]) == ([], "", 0.0)


@given(st.lists(st.sampled_from(get_args(Standing)), min_size=5, max_size=5))
def test_everything_is_done_runs_or_waits_for_something(standings: list[Standing]) -> None:
    progress = progress_of(PLAN, dict(zip("abcde", standings, strict=True)), SECONDS)
    assert sorted([*progress["done"], *progress["running"], *progress["waiting"]]) == list("abcde")
    assert all(progress["waiting"].values())
