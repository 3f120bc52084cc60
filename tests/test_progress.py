"""Progress of a plan: what is done, what waits for what, what all hangs on, and how long it is expected to take."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from langgraph.runtime import Runtime
from langgraph.store.memory import InMemoryStore

from acting import says
from cases import part, plan_of
from graphs import plan_execute
from nodes.durations import expected_seconds, note_seconds
from nodes.failure import without_work
from nodes.progress import A_PERSON, A_PLACE, Standing, progress_of
from state import Plan
from state.outcome import Outcome

DIAMOND = Plan.model_validate(
    plan_of(part("a", "x"), part("b", "x", "a"), part("c", "y", "a"), part("d", "x", "b", "c"))
)


@st.composite
def plans_at_work(draw: st.DrawFn) -> tuple[Plan, dict[str, Standing], dict[str, float]]:
    """Draw a plan of which some is done, and how long each subtask takes."""
    names = [f"s{number}" for number in range(draw(st.integers(1, 9)))]
    parts, standings = [], dict[str, Standing]()
    for at, name in enumerate(names):
        needs = draw(st.lists(st.sampled_from(names[:at]), unique=True)) if at else []
        parts.append(part(name, "x", *needs))
        free = all(standings[need] == "done" for need in needs)
        possible: list[Standing] = ["waiting", "ready", "running", "paused", "done"] if free else ["waiting"]
        standings[name] = draw(st.sampled_from(possible))
    seconds = {name: draw(st.sampled_from([0.0, 1.0, 2.5, 10.0])) for name in names}
    return Plan.model_validate(plan_of(*draw(st.permutations(parts)))), standings, seconds


def ways_through(plan: Plan, left: set[str]) -> list[list[str]]:
    """Return every way from a subtask that is not done to one that nothing waits for, slowly and plainly."""
    needs = {one.id: [name for name in one.depends_on if name in left] for one in plan.subtasks if one.id in left}

    def onward(way: list[str]) -> list[list[str]]:
        following = [name for name in needs if way[-1] in needs[name]]
        return [whole for name in following for whole in onward([*way, name])] if following else [way]

    return [way for name, needed in needs.items() if not needed for way in onward([name])]


@settings(deadline=None)
@given(plans_at_work())
def test_every_subtask_is_done_or_runs_or_waits_for_something_that_is_not_done(drawn: Any) -> None:
    plan, standings, seconds = drawn
    progress = progress_of(plan, standings, seconds)
    everywhere = [*progress["done"], *progress["running"], *progress["waiting"]]
    assert sorted(everywhere) == sorted(standings)
    for name, wanted in progress["waiting"].items():
        assert wanted
        if wanted not in ([A_PLACE], [A_PERSON]):
            needs = next(one.depends_on for one in plan.subtasks if one.id == name)
            assert wanted == [need for need in needs if need not in progress["done"]]


@settings(deadline=None)
@given(plans_at_work())
def test_the_critical_path_is_the_longest_way_through_what_is_left(drawn: Any) -> None:
    plan, standings, seconds = drawn
    progress = progress_of(plan, standings, seconds)
    path, left = progress["critical_path"], {name for name in standings if standings[name] != "done"}
    assert set(path) <= left
    assert bool(path) == bool(left)
    needs = {one.id: one.depends_on for one in plan.subtasks}
    assert all(before in needs[after] for before, after in pairwise(path))
    longest = max((sum(seconds[name] for name in way) for way in ways_through(plan, left)), default=0.0)
    assert progress["seconds_left"] == longest == sum(seconds[name] for name in path)


@settings(deadline=None)
@given(plans_at_work())
def test_the_bottleneck_waits_for_no_other_subtask(drawn: Any) -> None:
    plan, standings, seconds = drawn
    progress = progress_of(plan, standings, seconds)
    assert progress["bottleneck"] == (progress["critical_path"] or [""])[0]
    assert progress["waiting"].get(progress["bottleneck"], [A_PLACE]) in ([A_PLACE], [A_PERSON])


def test_a_subtask_behind_a_person_waits_for_that_one_and_not_for_the_person() -> None:
    standings: dict[str, Standing] = {"a": "done", "b": "paused", "c": "running", "d": "waiting"}
    progress = progress_of(DIAMOND, standings, {"a": 1.0, "b": 7.0, "c": 2.0, "d": 3.0})
    assert progress == {
        "done": ["a"],
        "running": ["c"],
        "waiting": {"b": [A_PERSON], "d": ["b", "c"]},
        "critical_path": ["b", "d"],
        "seconds_left": 10.0,
        "bottleneck": "b",
    }


def test_a_plan_that_is_done_waits_for_nothing() -> None:
    progress = progress_of(DIAMOND, dict.fromkeys("abcd", "done"), dict.fromkeys("abcd", 1.0))
    assert (progress["done"], progress["waiting"], progress["bottleneck"]) == (["a", "b", "c", "d"], {}, "")
    assert (progress["critical_path"], progress["seconds_left"]) == ([], 0.0)


async def test_who_watches_the_run_is_told_the_plan_and_where_each_subtask_stands() -> None:
    planner = says("planner", plan_of(part("a", "x"), part("b", "x", "a")))
    graph = plan_execute.build([says("x", "of a", "of b")], planner=planner, synthesizer=says("s", "done")).compile()
    events = [event async for event in graph.astream({"task": "t"}, stream_mode="custom")]
    (planned,) = [event["data"] for event in events if event["kind"] == "planned"]
    assert [subtask["id"] for subtask in planned["plan"]["subtasks"]] == ["a", "b"]
    assert planned["seconds"] == {"a": 1.0, "b": 1.0}
    moves = [(e["data"]["subtask"], e["data"]["standing"]) for e in events if "standing" in e["data"]]
    each = ["ready", "running", "done"]
    assert moves == [*(("a", standing) for standing in each), *(("b", standing) for standing in each)]


# --- how long it takes


def ended(agent: str, seconds: float, *, ok: bool = True) -> Outcome:
    outcome = without_work(agent, agent, "ok" if ok else "failed", {"type": "E", "message": "", "retryable": False})
    return {**outcome, "seconds": seconds}


async def test_how_long_a_subtask_takes_is_its_estimate_else_what_its_agent_took_else_what_others_took() -> None:
    runtime = Runtime(store=InMemoryStore())
    await note_seconds([ended("x", 4.0), ended("z", 8.0), ended("y", 99.0, ok=False)], runtime)
    estimated = {**part("e", "x"), "estimate": {"seconds": 30}}
    plan = Plan.model_validate(plan_of(part("a", "x"), part("b", "y"), part("c", "z"), estimated))
    assert await expected_seconds(plan, runtime) == {"a": 4.0, "b": 6.0, "c": 8.0, "e": 30.0}


async def test_a_newer_run_moves_what_is_expected_by_a_part() -> None:
    runtime = Runtime(store=InMemoryStore())
    for seconds in (10.0, 20.0):
        await note_seconds([ended("x", seconds)], runtime)
    plan = Plan.model_validate(plan_of(part("a", "x")))
    assert await expected_seconds(plan, runtime) == {"a": pytest.approx(13.0)}


async def test_without_a_store_all_subtasks_are_expected_to_take_the_same() -> None:
    await note_seconds([ended("x", 4.0)], Runtime())
    assert await expected_seconds(DIAMOND, Runtime()) == dict.fromkeys("abcd", 1.0)


async def test_what_was_measured_in_one_run_is_expected_in_the_next() -> None:
    store = InMemoryStore()
    plan = plan_of(part("a", "x"))
    workers, seen = [says("x", "done", "done")], []
    for _ in range(2):
        builder = plan_execute.build(workers, planner=says("planner", plan))
        events = [e async for e in builder.compile(store=store).astream({"task": "t"}, stream_mode="custom")]
        seen.append(next(event["data"]["seconds"]["a"] for event in events if event["kind"] == "planned"))
    known = store.get(("orchestra", "durations"), "x")
    assert known is not None
    assert seen[0] == 1.0
    assert seen[1] != 1.0
