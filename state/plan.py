"""Plans: a task taken apart into subtasks that depend on each other."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from graphlib import CycleError, TopologicalSorter
from heapq import heappop, heappush
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from state.budget import Budget
from state.errors import PlanError


class Subtask(BaseModel):
    """One item of a plan, given to one agent."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str = Field(min_length=1, description="Short name, unique in the plan.")
    task: str = Field(min_length=1, description="What to do, complete in itself.")
    agent: str = Field(min_length=1, description="Name of the agent that does it.")
    depends_on: tuple[str, ...] = Field(default=(), description="Ids of the subtasks whose results it needs.")
    coupling: Literal["none", "weak", "strong", "critical"] = Field(
        default="weak", description="How closely its work is bound to those results."
    )
    constraints: tuple[str, ...] = Field(default=(), description="What the result has to respect.")
    estimate: Budget | None = Field(default=None, description="What it is expected to take.")


class Plan(BaseModel):
    """A directed acyclic graph of subtasks. Its shape is checked by `validate_for`, which names what is wrong."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    subtasks: tuple[Subtask, ...] = Field(description="The items, in any order.")

    def validate_for(self, agents: Collection[str]) -> Plan:
        """Return this plan if every id is unique, every agent and dependency known, and there is no cycle.

        Args:
            agents: Names of the agents that subtasks may be given to.

        Raises:
            PlanError: Lists everything that is wrong, with a cycle's members named in order.
        """
        problems = [*self._problems_of_items(agents), *self._problem_of_order()]
        if problems:
            raise PlanError("the plan cannot be executed: " + "; ".join(problems))
        return self

    def order(self) -> list[Subtask]:
        """Return the subtasks in topological order: of those whose dependencies are done, always the first as written.

        Raises:
            PlanError: A dependency is not in the plan, or there is a cycle.
        """
        if problems := [*self._missing(), *self._problem_of_order()]:
            raise PlanError("the plan has no order: " + "; ".join(problems))
        place = {subtask.id: index for index, subtask in enumerate(self.subtasks)}
        sorter = TopologicalSorter({subtask.id: subtask.depends_on for subtask in self.subtasks})
        sorter.prepare()
        ready, order = list[int](), list[Subtask]()
        while sorter.is_active():
            for name in sorter.get_ready():
                heappush(ready, place[name])
            order.append(self.subtasks[heappop(ready)])
            sorter.done(order[-1].id)
        return order

    def layers(self) -> list[list[str]]:
        """Return the ids by depth: those that depend on nothing, those that depend on these only, and so on.

        Raises:
            PlanError: As `order` does.
        """
        depth: dict[str, int] = {}
        for subtask in self.order():
            depth[subtask.id] = 1 + max((depth[name] for name in subtask.depends_on), default=-1)
        layers: list[list[str]] = [[] for _ in range(max(depth.values(), default=-1) + 1)]
        for subtask in self.subtasks:
            layers[depth[subtask.id]].append(subtask.id)
        return layers

    def remaining(self, seconds: Mapping[str, float]) -> dict[str, float]:
        """Return the longest path from the start of each subtask to the end of the plan, in seconds.

        Args:
            seconds: How long each subtask takes, by id.

        Raises:
            PlanError: As `order` does.
        """
        left: dict[str, float] = {}
        after: dict[str, float] = {}
        for subtask in reversed(self.order()):
            left[subtask.id] = seconds[subtask.id] + after.get(subtask.id, 0.0)
            for name in subtask.depends_on:
                after[name] = max(after.get(name, 0.0), left[subtask.id])
        return left

    def critical_path(self, seconds: Mapping[str, float]) -> list[str]:
        """Return the ids along the longest path, from start to end; arguments and errors are those of `remaining`."""
        left = self.remaining(seconds)
        needed_by: dict[str, list[str]] = {subtask.id: [] for subtask in self.subtasks}
        for subtask in self.subtasks:
            for name in subtask.depends_on:
                needed_by[name].append(subtask.id)
        path: list[str] = []
        step = [subtask.id for subtask in self.subtasks if not subtask.depends_on]
        while step:
            path.append(max(step, key=lambda name: left[name]))
            step = needed_by[path[-1]]
        return path

    def _problems_of_items(self, agents: Collection[str]) -> list[str]:
        if not self.subtasks:
            return ["it has no subtasks; expected at least one"]
        problems, seen = [], set[str]()
        for subtask in self.subtasks:
            if subtask.id in seen:
                problems.append(f"subtask id {subtask.id!r} is used twice")
            seen.add(subtask.id)
            if subtask.agent not in agents:
                problems.append(f"subtask {subtask.id!r} names agent {subtask.agent!r}; known are {sorted(agents)}")
        return problems + self._missing()

    def _missing(self) -> list[str]:
        known = {subtask.id for subtask in self.subtasks}
        return [
            f"subtask {subtask.id!r} depends on {name!r}, which is not in the plan"
            for subtask in self.subtasks
            for name in subtask.depends_on
            if name not in known
        ]

    def _problem_of_order(self) -> list[str]:
        known = {subtask.id for subtask in self.subtasks}
        graph = {subtask.id: [name for name in subtask.depends_on if name in known] for subtask in self.subtasks}
        try:
            TopologicalSorter(graph).prepare()
        except CycleError as error:
            return [f"cycle {' -> '.join(error.args[1])}"]
        return []
