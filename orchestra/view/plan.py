"""A plan while it is worked on, rebuilt from the events of a run: what is done, what waits for what, what all hangs on."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from nodes.progress import Progress, Standing, progress_of
from orchestra.view.figures import counted, duration
from state.errors import PlanError
from state.plan import Plan

_UNMEASURED = 1.0
"""Seconds that stand for a subtask of which nobody knows how long it takes."""


@dataclass
class PlanStand:
    """A plan and where each of its subtasks stands."""

    plan: Plan
    seconds: dict[str, float]
    """How long each is expected to take, by id."""
    standings: dict[str, Standing] = field(default_factory=dict)
    """By id."""

    def __post_init__(self) -> None:
        for subtask in self.plan.subtasks:
            self.standings.setdefault(subtask.id, "waiting")

    def move(self, name: str, standing: Standing) -> None:
        """Note where a subtask stands now; one that the plan does not have is nothing to it."""
        if name in self.standings:
            self.standings[name] = standing

    def progress(self) -> Progress:
        """Return where the plan stands as a whole."""
        return progress_of(self.plan, self.standings, self.seconds)


def read_plan(data: dict[str, Any]) -> PlanStand | None:
    """Return the plan that an event announces; None where it cannot be read, as after a change of what is recorded."""
    try:
        plan = Plan.model_validate(data["plan"])
        plan.order()
        seconds = {subtask.id: float(data["seconds"][subtask.id]) for subtask in plan.subtasks}
    except (KeyError, TypeError, ValueError, ValidationError, PlanError):
        return None
    return PlanStand(plan, seconds)


def describe_plan(stand: PlanStand, mark: str = "") -> str:
    """Return where a plan stands in one line: what is done, and what is left of the longest way to the end.

    Args:
        stand: The plan.
        mark: What the subtasks on that way are marked with.
    """
    progress = stand.progress()
    done, path = len(progress["done"]), progress["critical_path"]
    said = f"{done} of {counted(len(stand.standings), 'subtask')} done"
    if not path:
        return said
    measured = any(seconds != _UNMEASURED for seconds in stand.seconds.values())
    left = f"about {duration(progress['seconds_left'])}" if measured else f"{len(path)} more"
    return f"{done} of {len(stand.standings)} done, critical path {mark} {left}".replace("  ", " ")
