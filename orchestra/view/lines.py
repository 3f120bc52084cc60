"""The lines of a live view: the shape of the graph and what has happened in it, merged, a line for each that works.

An agent that works again, in another round or turn, keeps its line. Branches and subtasks have a line each.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from nodes.progress import A_PERSON
from orchestra.view.agents import AgentRow, AgentTree
from orchestra.view.plan import PlanStand
from orchestra.view.shape import Shape, Spot
from state.plan import Subtask


@dataclass(frozen=True)
class Line:
    """Somebody who works, or will."""

    name: str
    state: str = "idle"
    """Of its latest step; `idle` before the first, empty for a heading."""
    rows: tuple[AgentRow, ...] = ()
    """Its steps, one for each round."""
    role: str = ""
    """Who works on a subtask."""
    needs: tuple[str, ...] = ()
    """Ids of the subtasks that a subtask depends on."""
    waits: str = ""
    """What it waits for before it begins."""
    note: str = ""
    """What it is for, or about."""
    loop: int | None = None
    """Number of the loop that it is in."""
    round: int = 0
    """Of the loop, where this is its first line; 0 otherwise."""
    fan: int | None = None
    """Number of the group that stands side by side with it."""
    plan: PlanStand | None = None
    """Whose heading it is."""
    is_critical: bool = False
    """Whether it lies on the longest way to the end of the plan."""
    below: tuple[Line, ...] = ()
    hidden: int = 0
    """How many lines this one stands for, if it stands for others."""

    @property
    def latest(self) -> AgentRow | None:
        """The step that it is in, or was in last."""
        return _latest(self.rows) if self.rows else None


_Group = tuple[str, str, int]
"""Agent, node, and which of those that were at work at the same time."""


def lines_of(tree: AgentTree, shape: Shape | None = None) -> list[Line]:
    """Return the lines of a run, teams with those of their agents below them.

    Args:
        tree: What has happened.
        shape: Of its graph. Without one, there are lines only for those that have begun.
    """
    return _level(tree.top, tree.plan, shape or Shape())


def _level(rows: Sequence[AgentRow], plan: PlanStand | None, shape: Shape) -> list[Line]:
    planned = plan.standings if plan is not None else {}
    parts = {row.node: tuple(one for one in rows if one.node == row.node) for row in rows if row.node in planned}
    groups = _groups(row for row in rows if row.node not in planned)
    turns, lines = _turns(groups) | {row.agent: 1 for own in parts.values() for row in own}, list[Line]()
    for spot in shape.spots:
        if spot.is_planned and planned:
            lines += _plan_lines(plan, parts) if plan is not None else []
            plan = None  # told once, where the first of its agents stands
        else:
            own = [groups.pop(key) for key in [*groups] if key[0] == spot.name]
            lines += _lines_at(spot, shape, own, turns)
    lines = _with_rounds(_with_others(lines, groups.values()))
    if plan is not None:  # no shape says where: it stands where the first of its steps began
        begun = min((steps[0].started for steps in parts.values()), default=math.inf)
        at = sum(1 for line in lines if line.rows and line.rows[0].started < begun)
        lines[at:at] = _plan_lines(plan, parts)
    return lines


def _groups(rows: Iterable[AgentRow]) -> dict[_Group, tuple[AgentRow, ...]]:
    """Return the steps of each agent and branch, in the order in which they began first.

    Steps of one agent that follow each other are its rounds; those at the same time are apart.
    """
    lanes: dict[tuple[str, str], list[list[AgentRow]]] = {}
    for row in rows:
        own = lanes.setdefault((row.agent, row.node), [])
        free = next((lane for lane in own if lane[-1].ended is not None and lane[-1].ended <= row.started), None)
        if free is None:
            own.append([row])
        else:
            free.append(row)
    return {(*key, number): tuple(lane) for key, own in lanes.items() for number, lane in enumerate(own)}


def _turns(groups: Mapping[_Group, Sequence[AgentRow]]) -> dict[str, int]:
    """Return how often each agent has worked, at most in a branch."""
    turns: dict[str, int] = {}
    for (agent, *_), rows in groups.items():
        turns[agent] = max(turns.get(agent, 0), len(rows))
    return turns


def _lines_at(
    spot: Spot, shape: Shape, own: Sequence[tuple[AgentRow, ...]], turns: Mapping[str, int]
) -> Iterator[Line]:
    """Yield the lines of a spot: of each of its branches, or of one that has not begun."""
    around = shape.loop_of(spot)
    again = any(turns.get(one.name, 0) > 1 for one in around)
    is_loop = not any(one.is_planned for one in around) and (again or len({one.stage for one in around}) > 1)
    others = {one.name for one in shape.spots if one.stage == spot.stage and one != spot}
    passed = spot.is_chosen and not is_loop and bool(others & turns.keys())
    are_branches = len(own) > spot.nodes
    lines = [replace(_line(group, spot.team), note=group[0].task if are_branches else "") for group in own]
    if not lines:
        below = _level([], None, spot.team) if spot.team and not passed else []
        lines = [Line(spot.name, waits="not chosen" if passed else "", note=spot.note, below=tuple(below))]
    fan = spot.stage if len(shape.beside(spot)) > 1 or are_branches else None
    for line in lines:
        yield replace(line, loop=spot.loop if is_loop else None, fan=fan)


def _with_rounds(lines: list[Line]) -> list[Line]:
    """Return lines of which the first of each loop tells its round: how often who is there has worked."""
    seen = set[int | None]()
    for index, line in enumerate(lines):
        if line.loop is not None and line.loop not in seen:
            lines[index] = replace(line, round=max(1, len(line.rows)))
        seen.add(line.loop)
    return lines


def _with_others(lines: Iterable[Line], groups: Iterable[tuple[AgentRow, ...]]) -> list[Line]:
    """Return lines with those of steps that the shape does not know: a fallback's below the one it stands in for."""
    together = [[line] for line in lines]
    at = {row.step: index for index, (line,) in enumerate(together) for row in line.rows}
    for rows in groups:
        line, index = _line(rows), at.setdefault(rows[0].step, len(together))
        if index == len(together):
            together.append([line])
        else:
            beside = together[index][0]
            together[index].append(replace(line, loop=beside.loop, fan=beside.fan))
    return [line for some in together for line in some]


def _line(rows: tuple[AgentRow, ...], team: Shape | None = None) -> Line:
    row = _latest(rows)
    below = tuple(_level(row.team, row.plan, team or Shape()))
    first = rows[0]  # its rounds go by its name
    return Line(first.name, row.state, rows, note="" if first.name == row.agent else row.task, below=below)


def _latest(rows: Sequence[AgentRow]) -> AgentRow:
    return next((row for row in reversed(rows) if row.state == "running"), rows[-1])


def _plan_lines(plan: PlanStand, parts: Mapping[str, tuple[AgentRow, ...]]) -> list[Line]:
    """Return a heading, and a line for each subtask in topological order."""
    progress = plan.progress()
    critical = set(progress["critical_path"])
    lines = [Line("plan", "", plan=plan)]
    for subtask in plan.plan.order():
        rows, wanted = parts.get(subtask.id, ()), progress["waiting"].get(subtask.id, [])
        lines.append(replace(_subtask(subtask, plan, rows, wanted), is_critical=subtask.id in critical))
    return lines


def _subtask(subtask: Subtask, plan: PlanStand, rows: tuple[AgentRow, ...], wanted: Sequence[str]) -> Line:
    standing = plan.standings[subtask.id]
    line = _line(rows) if rows else Line(subtask.id, "skipped" if standing == "done" else "idle")
    line = replace(line, name=subtask.id, role=subtask.agent, needs=subtask.depends_on, note=subtask.task)
    if standing == "paused":
        return replace(line, state="waiting", waits=f"waits for {A_PERSON}")
    waits = "waits for " + ", ".join(wanted) if standing == "ready" else ""
    return replace(line, state="idle" if standing in ("waiting", "ready") else line.state, waits=waits)
