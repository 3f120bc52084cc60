"""Plans to measure with: real workflows, and random graphs of subtasks."""

from __future__ import annotations

import json
import random
from functools import cache
from pathlib import Path

from state.budget import Budget
from state.plan import Plan, Subtask

FILE = Path(__file__).with_name("workflows.json")


@cache
def real_workflows() -> dict[str, Plan]:
    """Return the real workflows, by name; each subtask's estimate is how long it took, in seconds."""
    workflows = json.loads(FILE.read_text("utf-8"))["workflows"]
    return {name: _plan([(seconds, needs) for seconds, needs in tasks]) for name, tasks in workflows.items()}


def random_plan(seed: int, *, subtasks: int = 40) -> Plan:
    """Return a random plan: each subtask depends on up to three of those before it and takes 0.2 to 1 second."""
    chance = random.Random(seed)
    tasks = [
        (chance.uniform(0.2, 1.0), chance.sample(range(at), k=min(at, chance.randint(0, 3)))) for at in range(subtasks)
    ]
    return _plan(tasks)


def scaled(plan: Plan, critical_path: float) -> Plan:
    """Return the plan with all durations multiplied so that its critical path takes that many seconds."""
    factor = critical_path / length_of(plan)
    subtasks = [_subtask(one.id, seconds_of(one) * factor, one.depends_on) for one in plan.subtasks]
    return Plan(subtasks=tuple(subtasks))


def length_of(plan: Plan) -> float:
    """Return the length of a plan's critical path, in seconds."""
    return max(plan.remaining({one.id: seconds_of(one) for one in plan.subtasks}).values())


def seconds_of(subtask: Subtask) -> float:
    """Return how long a subtask takes."""
    assert subtask.estimate is not None
    assert subtask.estimate.seconds is not None
    return subtask.estimate.seconds


def _plan(tasks: list[tuple[float, list[int]]]) -> Plan:
    subtasks = [
        _subtask(f"t{at}", seconds, tuple(f"t{need}" for need in needs)) for at, (seconds, needs) in enumerate(tasks)
    ]
    return Plan(subtasks=tuple(subtasks))


def _subtask(name: str, seconds: float, needs: tuple[str, ...]) -> Subtask:
    return Subtask(id=name, task=str(seconds), agent="sleeper", depends_on=needs, estimate=Budget(seconds=seconds))
