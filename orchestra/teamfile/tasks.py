"""Tasks that are known beforehand: a plan that is written in the file, in the place of a planner's.

Two functions stand where `plan_execute` has agents: `FixedPlan` gives the plan, `LastResults` the answer. No model is asked for
either.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence

from orchestra.teamfile.model import TaskEntry
from state.envelope import Envelope
from state.plan import Plan, Subtask

PLACEHOLDER = re.compile(r"\{\{|\}\}|\{\s*([A-Za-z_0-9][^{}\s\"':,]*)\s*\}")
"""`{task}`, or what somebody may have meant to be replaced; `{{` and `}}` are braces."""

_EXPECTED = "Expected output: "
_RESULT = "Result of "


def fill(text: str, task: str) -> str:
    """Return a text with what the run is asked for in the place of `{task}`. Nothing in either is formatted."""

    def put(found: re.Match[str]) -> str:
        if found[0] in ("{{", "}}"):
            return found[0][0]
        return task if found[1] == "task" else found[0]

    return PLACEHOLDER.sub(put, text)


def unknown_placeholders(text: str) -> list[str]:
    """Return what of a text looks like a placeholder and is none."""
    return [found[0] for found in PLACEHOLDER.finditer(text) if found[1] not in (None, "task")]


def dependencies(tasks: Mapping[str, TaskEntry]) -> dict[str, tuple[str, ...]]:
    """Return the tasks that each depends on: those of its `context`, or the one before it."""
    names = list(tasks)
    before = dict(zip(names[1:], names, strict=False))
    return {
        name: task.context if task.context is not None else ((before[name],) if name in before else ())
        for name, task in tasks.items()
    }


def plan_of(tasks: Mapping[str, TaskEntry], task: str = "{task}") -> Plan:
    """Return the plan of a file's tasks.

    Args:
        tasks: By name, in the order of the file.
        task: What the run is asked for.
    """
    needed = dependencies(tasks)
    return Plan(
        subtasks=tuple(
            Subtask(
                id=name,
                task=fill(one.description, task),
                agent=one.agent,
                depends_on=needed[name],
                constraints=(_EXPECTED + fill(one.expected_output, task),) if one.expected_output else (),
            )
            for name, one in tasks.items()
        )
    )


class FixedPlan:
    """Gives the plan that the file has: what stands for a planner. Nobody asks it again when something of it failed.

    Args:
        name: Of its node.
        tasks: By name, in the order of the file.
    """

    is_fixed = True
    """Tells `plan_execute` that it has no other plan."""

    def __init__(self, name: str, tasks: Mapping[str, TaskEntry]) -> None:
        self.__name__, self.tasks = name, tasks

    async def __call__(self, envelope: Envelope) -> Plan:
        """Return the plan for what the run is asked for."""
        return plan_of(self.tasks, envelope.task)


class LastResults:
    """Gives what the last tasks made: what stands for a synthesizer. Of several, each under its name.

    Args:
        name: Of its node.
        tasks: By name, in the order of the file.
    """

    def __init__(self, name: str, tasks: Mapping[str, TaskEntry]) -> None:
        self.__name__, self.tasks = name, tasks

    async def __call__(self, envelope: Envelope) -> str:
        """Return the results of the last tasks; of all there are, where the last ones are missing."""
        results = {
            name: text
            for heading, text in envelope.context.items()
            for name in self.tasks
            if heading.startswith(f"{_RESULT}{name} (")
        }
        wanted = {name: results[name] for name in last_tasks(self.tasks) if name in results} or results
        if len(wanted) == 1:
            return next(iter(wanted.values()))
        return "\n\n".join(f"{name}: {text}" for name, text in wanted.items())


def last_tasks(tasks: Mapping[str, TaskEntry]) -> list[str]:
    """Return the tasks that no other waits for."""
    waited_for = {name for names in dependencies(tasks).values() for name in names}
    return [name for name in tasks if name not in waited_for]


def stand_ins(tasks: Mapping[str, TaskEntry], taken: Sequence[str]) -> tuple[FixedPlan, LastResults]:
    """Return what stands for the planner and the synthesizer, under names that nobody has."""
    free: Callable[[str], str] = lambda name: name if name not in {*taken, *tasks} else free(f"{name}_")  # noqa: E731
    return FixedPlan(free("tasks"), tasks), LastResults(free("result"), tasks)
