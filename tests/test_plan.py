"""Plans: what is wrong with one is named, all of it at once, and a good one has an order."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from state import Budget, ConfigurationError, Plan, Subtask
from state.errors import PlanError

AGENTS = ("finder", "writer")


def subtask(name: str, *depends_on: str, agent: str = "finder") -> Subtask:
    return Subtask(id=name, task=f"Do {name}.", agent=agent, depends_on=depends_on)


def plan(*subtasks: Subtask) -> Plan:
    return Plan(subtasks=subtasks)


@st.composite
def valid_plans(draw: st.DrawFn) -> Plan:
    """Draw a plan whose subtasks depend on ones made before them, written in any order."""
    names = [f"s{number}" for number in range(draw(st.integers(1, 12)))]
    made = [
        subtask(name, *draw(st.lists(st.sampled_from(names[:at]), unique=True) if at else st.just([])))
        for at, name in enumerate(names)
    ]
    return plan(*draw(st.permutations(made)))


def refusal_of(wrong: Plan) -> str:
    with pytest.raises(PlanError) as caught:
        wrong.validate_for(AGENTS)
    assert isinstance(caught.value, ConfigurationError)
    return str(caught.value)


@settings(deadline=None)
@given(valid_plans())
def test_a_valid_plan_is_returned_and_its_order_puts_dependencies_first(valid: Plan) -> None:
    assert valid.validate_for(AGENTS) is valid
    order = [one.id for one in valid.order()]
    assert sorted(order) == sorted(one.id for one in valid.subtasks)
    for one in valid.subtasks:
        assert all(order.index(name) < order.index(one.id) for name in one.depends_on)


@settings(deadline=None)
@given(valid_plans())
def test_the_order_takes_the_first_as_written_of_those_that_are_ready(valid: Plan) -> None:
    done: set[str] = set()
    for one in valid.order():
        ready = [other for other in valid.subtasks if other.id not in done and done.issuperset(other.depends_on)]
        assert one is ready[0]
        done.add(one.id)


@settings(deadline=None)
@given(valid_plans(), st.data())
def test_closing_a_circle_anywhere_names_its_members_in_order(valid: Plan, data: st.DataObject) -> None:
    order = valid.order()
    first = data.draw(st.sampled_from(order))
    last = data.draw(st.sampled_from(order[order.index(first) :]))
    closed = first.model_copy(update={"depends_on": (*first.depends_on, last.id)})
    forward = last if first is not last and first.id not in last.depends_on else None
    changed = {first.id: closed}
    if forward is not None:
        changed[forward.id] = forward.model_copy(update={"depends_on": (*forward.depends_on, first.id)})
    wrong = plan(*(changed.get(one.id, one) for one in valid.subtasks))
    said = refusal_of(wrong)
    cycle = said.partition("cycle ")[2].split(" -> ")
    assert cycle[0] == cycle[-1]
    by_id = {one.id: one for one in wrong.subtasks}
    assert len(cycle) > 1
    assert all(before in by_id[after].depends_on for before, after in pairwise(cycle))
    with pytest.raises(PlanError, match="cycle"):
        wrong.order()


def test_a_subtask_that_depends_on_itself_is_a_cycle_of_one() -> None:
    assert refusal_of(plan(subtask("a"), subtask("b", "b"))).endswith(": cycle b -> b")


def test_a_longer_cycle_is_named_from_dependency_to_dependent() -> None:
    said = refusal_of(plan(subtask("a", "c"), subtask("b", "a"), subtask("c", "b"), subtask("d", "a")))
    assert said.partition("cycle ")[2] in ("a -> b -> c -> a", "b -> c -> a -> b", "c -> a -> b -> c")


def test_everything_that_is_wrong_is_said_at_once() -> None:
    wrong = plan(
        subtask("a", "nowhere"), subtask("a"), subtask("b", agent="ghost"), subtask("c", "d"), subtask("d", "c")
    )
    said = refusal_of(wrong)
    for part in (
        "subtask id 'a' is used twice",
        "subtask 'a' depends on 'nowhere', which is not in the plan",
        "subtask 'b' names agent 'ghost'; known are ['finder', 'writer']",
        "cycle ",
    ):
        assert part in said


def test_a_plan_of_nothing_is_refused() -> None:
    assert "it has no subtasks" in refusal_of(plan())


def test_an_order_with_a_dependency_that_is_missing_is_refused_by_name() -> None:
    with pytest.raises(PlanError, match="subtask 'a' depends on 'b', which is not in the plan"):
        plan(subtask("a", "b")).order()


def test_a_long_chain_has_an_order() -> None:
    chain = plan(*(subtask(f"s{n}", *([f"s{n - 1}"] if n else [])) for n in reversed(range(2000))))
    assert [one.id for one in chain.validate_for(AGENTS).order()] == [f"s{n}" for n in range(2000)]


@pytest.mark.parametrize("wrong", [{"id": ""}, {"task": ""}, {"agent": ""}, {"deadline": 1}, {"depends_on": "a"}])
def test_a_subtask_with_a_wrong_field_is_refused_with_the_field_named(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match=next(iter(wrong))):
        Subtask.model_validate({"id": "a", "task": "t", "agent": "finder", **wrong})


def test_a_plan_survives_a_trip_through_json() -> None:
    full = Subtask(id="a", task="t", agent="finder", constraints=("short",), estimate=Budget(tokens=100))
    assert Plan.model_validate_json(plan(full, subtask("b", "a")).model_dump_json()) == plan(full, subtask("b", "a"))
