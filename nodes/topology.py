"""Topology: the shape of a plan, and the pattern that suits it.

Source: AdaptOrch (arXiv 2602.16873), algorithm 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from typing_extensions import TypedDict

from state.errors import ConfigurationError
from state.plan import Plan

Topology = Literal["single", "sequential", "parallel", "hierarchical", "hybrid"]

COUPLING = {"none": 0.0, "weak": 0.3, "strong": 0.7, "critical": 1.0}
"""Weight of an edge, by how closely the subtask at its end is bound to what it depends on."""


@dataclass(frozen=True)
class Thresholds:
    """Where one topology gives way to another.

    Args:
        coupling: Mean coupling of the edges, 0 to 1, above which a large plan needs a manager.
        size: Subtasks above which it is large.
        width: Widest layer as a share of all subtasks, 0 to 1, above which it is parallel.
    """

    coupling: float = 0.6
    size: int = 5
    width: float = 0.5

    def __post_init__(self) -> None:
        """Refuse shares that are none, and a size that is no number.

        Raises:
            ConfigurationError: Names the field and what it may be.
        """
        for name in ("coupling", "width"):
            share: Any = getattr(self, name)
            if not isinstance(share, int | float) or isinstance(share, bool) or not 0 <= share <= 1:
                raise ConfigurationError(f"Thresholds.{name}: expected 0 to 1, got {share!r}")
        size: Any = self.size
        if not isinstance(size, int) or isinstance(size, bool) or size < 0:
            raise ConfigurationError(f"Thresholds.size: expected a number of subtasks, got {size!r}")


class Features(TypedDict):
    """What of a plan decides about its topology."""

    subtasks: int
    edges: int
    agents: int
    widest: int
    """Subtasks of the widest layer: omega."""
    coupling: float
    """Mean coupling of the edges: gamma; 0 without edges."""
    width: float
    """Widest layer as a share of all subtasks: r."""


def features_of(plan: Plan) -> Features:
    """Return the features of a valid plan with at least one subtask."""
    weights = [COUPLING[subtask.coupling] for subtask in plan.subtasks for _ in set(subtask.depends_on)]
    widest = max(len(layer) for layer in plan.layers())
    return Features(
        subtasks=len(plan.subtasks),
        edges=len(weights),
        agents=len({subtask.agent for subtask in plan.subtasks}),
        widest=widest,
        coupling=round(sum(weights) / len(weights), 4) if weights else 0.0,
        width=round(widest / len(plan.subtasks), 4),
    )


def choose_topology(features: Features, thresholds: Thresholds) -> tuple[Topology, str]:
    """Return the topology for a plan of such features, and why: the first rule that holds."""
    f, t = features, thresholds
    rules: list[tuple[bool, Topology, str]] = [
        (f["subtasks"] == 1, "single", "there is one subtask"),
        (f["agents"] == 1, "single", "one agent does all of it"),
        (f["edges"] == 0, "parallel", "no subtask depends on another"),
        (f["widest"] == 1, "sequential", "each subtask depends on the one before"),
        (
            f["coupling"] > t.coupling and f["subtasks"] > t.size,
            "hierarchical",
            f"{f['subtasks']} subtasks (more than {t.size}) with a coupling of {f['coupling']:g} (above {t.coupling:g})",
        ),
        (
            f["width"] > t.width and f["coupling"] <= t.coupling,
            "parallel",
            f"{f['width']:.0%} of the subtasks (more than {t.width:.0%}) can be done at once, coupled by {f['coupling']:g}",
        ),
        (True, "hybrid", "dependencies and independent parts are mixed"),
    ]
    return next((topology, why) for holds, topology, why in rules if holds)
