"""Topology: what of a plan's shape is measured, and which pattern follows from it."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodes.topology import COUPLING, Features, Thresholds, choose_topology, features_of
from state import ConfigurationError, Plan, Subtask

Edges = dict[str, tuple[str, ...]]


def plan(edges: Edges, coupling: str = "weak", agents: int = 2) -> Plan:
    """Return a plan of subtasks by what each depends on, given to the agents in turn."""
    items = [
        Subtask(id=name, task=name, agent=f"agent{at % agents}", depends_on=after, coupling=coupling)  # type: ignore[arg-type]
        for at, (name, after) in enumerate(edges.items())
    ]
    return Plan(subtasks=tuple(items))


def shape(**figures: Any) -> Features:
    """Return features that no rule but the last holds for, changed as given."""
    usual = {"subtasks": 5, "edges": 4, "agents": 2, "widest": 2, "coupling": 0.3, "width": 0.4}
    return Features(**{**usual, **figures})  # type: ignore[typeddict-item]


CHAIN: Edges = {"a": (), "b": ("a",), "c": ("b",)}
FAN: Edges = {"a": (), "b": (), "c": (), "d": ("a", "b", "c")}
DIAMOND: Edges = {"a": (), "b": ("a",), "c": ("a",), "d": ("b", "c")}


@pytest.mark.parametrize(
    ("edges", "expected"),
    [
        ({"a": ()}, (1, 0, 1, 1, 0.0, 1.0)),
        ({"a": (), "b": ()}, (2, 0, 2, 2, 0.0, 1.0)),
        (CHAIN, (3, 2, 2, 1, 0.3, 0.3333)),
        (FAN, (4, 3, 2, 3, 0.3, 0.75)),
        (DIAMOND, (4, 4, 2, 2, 0.3, 0.5)),
        ({"a": (), "b": ("a", "a")}, (2, 1, 2, 1, 0.3, 0.5)),
    ],
)
def test_the_features_of_a_plan(edges: Edges, expected: tuple[float, ...]) -> None:
    names = ("subtasks", "edges", "agents", "widest", "coupling", "width")
    assert features_of(plan(edges)) == dict(zip(names, expected, strict=True))


@pytest.mark.parametrize(("coupling", "weight"), [("none", 0.0), ("weak", 0.3), ("strong", 0.7), ("critical", 1.0)])
def test_an_edge_weighs_as_the_subtask_at_its_end_is_coupled(coupling: str, weight: float) -> None:
    assert features_of(plan(CHAIN, coupling))["coupling"] == weight


def test_a_subtask_without_dependencies_adds_nothing_to_the_mean_coupling() -> None:
    items = (
        Subtask(id="a", task="a", agent="x", coupling="critical"),
        Subtask(id="b", task="b", agent="x", depends_on=("a",), coupling="none"),
        Subtask(id="c", task="c", agent="y", depends_on=("a", "b"), coupling="critical"),
    )
    assert features_of(Plan(subtasks=items))["coupling"] == round(2 / 3, 4)


@pytest.mark.parametrize(
    ("figures", "expected"),
    [
        ({"subtasks": 1, "edges": 0, "agents": 1, "widest": 1, "width": 1.0}, "single"),
        ({"agents": 1}, "single"),
        ({"agents": 1, "edges": 0}, "single"),
        ({"agents": 1, "subtasks": 9, "coupling": 1.0}, "single"),
        ({"edges": 0, "widest": 5, "width": 1.0, "coupling": 0.0}, "parallel"),
        ({"edges": 0, "widest": 9, "width": 1.0, "coupling": 0.0, "subtasks": 9}, "parallel"),
        ({"widest": 1, "width": 0.2}, "sequential"),
        ({"widest": 1, "subtasks": 9, "coupling": 1.0}, "sequential"),
        ({"coupling": 0.6001, "subtasks": 6}, "hierarchical"),
        ({"coupling": 1.0, "subtasks": 6, "width": 0.9}, "hierarchical"),
        ({"coupling": 0.6, "subtasks": 6}, "hybrid"),
        ({"coupling": 0.6001, "subtasks": 5}, "hybrid"),
        ({"coupling": 0.6001, "subtasks": 5, "width": 0.6}, "hybrid"),
        ({"width": 0.5001}, "parallel"),
        ({"width": 0.5001, "coupling": 0.6}, "parallel"),
        ({"width": 0.5001, "coupling": 0.6, "subtasks": 6}, "parallel"),
        ({"width": 0.5}, "hybrid"),
        ({}, "hybrid"),
    ],
)
def test_the_first_rule_that_holds_decides(figures: dict[str, Any], expected: str) -> None:
    chosen, why = choose_topology(shape(**figures), Thresholds())
    assert chosen == expected
    assert why


@pytest.mark.parametrize(
    ("thresholds", "figures", "expected"),
    [
        (Thresholds(coupling=0.2, size=4), {}, "hierarchical"),
        (Thresholds(coupling=0.2), {}, "hybrid"),
        (Thresholds(size=4), {}, "hybrid"),
        (Thresholds(size=6), {"coupling": 1.0, "subtasks": 6}, "hybrid"),
        (Thresholds(width=0.3), {}, "parallel"),
        (Thresholds(width=0.3, coupling=0.2), {}, "hybrid"),
        (Thresholds(width=1), {"width": 0.9}, "hybrid"),
        (Thresholds(coupling=1), {"coupling": 1.0, "subtasks": 9}, "hybrid"),
    ],
)
def test_thresholds_change_the_choice(thresholds: Thresholds, figures: dict[str, Any], expected: str) -> None:
    assert choose_topology(shape(**figures), thresholds)[0] == expected


def test_the_reason_gives_the_figures_that_decided() -> None:
    _, why = choose_topology(shape(coupling=0.7, subtasks=6), Thresholds())
    assert why == "6 subtasks (more than 5) with a coupling of 0.7 (above 0.6)"
    _, why = choose_topology(shape(width=0.75), Thresholds())
    assert why == "75% of the subtasks (more than 50%) can be done at once, coupled by 0.3"


def test_a_mean_that_is_a_threshold_on_paper_is_not_above_it() -> None:
    """(0.3 + 0.7 + 0.7 + 0.7) / 4 is 0.6, and in binary more."""
    items = [Subtask(id="s0", task="t", agent="x")]
    for at, coupling in enumerate(("weak", "strong", "strong", "strong"), start=1):
        items.append(Subtask(id=f"s{at}", task="t", agent="y", depends_on=("s0",), coupling=coupling))  # type: ignore[arg-type]
    features = features_of(Plan(subtasks=(*items, Subtask(id="s5", task="t", agent="x"))))
    assert features["coupling"] == 0.6
    assert choose_topology(features, Thresholds())[0] == "parallel"


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    """Draw a plan whose subtasks depend on some of those before them."""
    items: list[Subtask] = []
    for at in range(draw(st.integers(1, 12))):
        after = draw(st.lists(st.sampled_from([item.id for item in items]), max_size=4)) if items else []
        coupling: Any = draw(st.sampled_from(sorted(COUPLING)))
        agent = draw(st.sampled_from(["x", "y", "z"]))
        items.append(Subtask(id=f"s{at}", task="t", agent=agent, depends_on=tuple(after), coupling=coupling))
    return Plan(subtasks=tuple(draw(st.permutations(items))))


@given(plans())
def test_features_keep_within_their_bounds_and_layers_part_the_plan(drawn: Plan) -> None:
    features, layers = features_of(drawn), drawn.layers()
    depth = {name: at for at, layer in enumerate(layers) for name in layer}
    assert sorted(name for layer in layers for name in layer) == sorted(one.id for one in drawn.subtasks)
    assert all(depth[name] < depth[one.id] for one in drawn.subtasks for name in one.depends_on)
    assert all(layers)
    assert 0 < features["width"] <= 1
    assert 1 <= features["widest"] <= features["subtasks"]
    assert 0 <= features["coupling"] <= 1
    assert 1 <= features["agents"] <= min(3, features["subtasks"])
    assert features["edges"] <= features["subtasks"] * (features["subtasks"] - 1) / 2


@given(plans(), st.builds(Thresholds, coupling=st.floats(0, 1), size=st.integers(0, 12), width=st.floats(0, 1)))
def test_every_plan_has_a_topology_that_can_carry_it_out(drawn: Plan, thresholds: Thresholds) -> None:
    features = features_of(drawn)
    chosen, _ = choose_topology(features, thresholds)
    if chosen == "sequential":
        assert features["widest"] == 1
    if chosen == "single":
        assert features["agents"] == 1
    if chosen == "hierarchical":
        assert features["subtasks"] > thresholds.size


@pytest.mark.parametrize("field", ["coupling", "width"])
@pytest.mark.parametrize("value", [-0.1, 1.1, math.nan, math.inf, "0.5", None, True])
def test_a_share_that_is_none_is_refused(field: str, value: Any) -> None:
    with pytest.raises(ConfigurationError, match=rf"Thresholds\.{field}: expected 0 to 1, got"):
        Thresholds(**{field: value})


@pytest.mark.parametrize("value", [-1, 2.5, "5", None, True])
def test_a_size_that_is_no_number_of_subtasks_is_refused(value: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"Thresholds\.size: expected a number of subtasks, got"):
        Thresholds(size=value)
