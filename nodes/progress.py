"""Progress of a plan: what is done, what runs, what waits for what, and what all of it hangs on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from langgraph.runtime import Runtime
from typing_extensions import TypedDict

from nodes.step import send_event
from state.plan import Plan
from state.run import Run

Standing = Literal["waiting", "ready", "running", "paused", "done"]
"""Of a subtask: it waits for others, for a place, is worked on, waits for a person, or has an outcome."""

A_PLACE = "a free place"
A_PERSON = "a person"


class Progress(TypedDict):
    """Where a plan stands. Subtasks are named by their ids."""

    done: list[str]
    running: list[str]
    waiting: dict[str, list[str]]
    """What each of the others waits for: ids of subtasks, `a free place` or `a person`. Never empty."""
    critical_path: list[str]
    """The longest way to the end through what is not done yet."""
    seconds_left: float
    """How long that way is expected to take, counting what runs as not begun."""
    bottleneck: str
    """The subtask on that way that has to end first; empty when all is done."""


def progress_of(plan: Plan, standings: Mapping[str, Standing], seconds: Mapping[str, float]) -> Progress:
    """Return where a plan stands.

    Args:
        plan: A valid plan.
        standings: Of each subtask, by id.
        seconds: How long each takes, by id.
    """
    path = _not_done(plan, standings).critical_path(seconds)
    waiting = {}
    for subtask in plan.subtasks:
        if standings[subtask.id] == "waiting":
            waiting[subtask.id] = [name for name in subtask.depends_on if standings[name] != "done"] or [A_PLACE]
        elif standings[subtask.id] in ("ready", "paused"):
            waiting[subtask.id] = [A_PLACE if standings[subtask.id] == "ready" else A_PERSON]
    return Progress(
        done=[name for name, standing in standings.items() if standing == "done"],
        running=[name for name, standing in standings.items() if standing == "running"],
        waiting=waiting,
        critical_path=path,
        seconds_left=round(sum(seconds[name] for name in path), 6),
        bottleneck=path[0] if path else "",
    )


def _not_done(plan: Plan, standings: Mapping[str, Standing]) -> Plan:
    """Return the part of a plan that is not done yet, without what it need not wait for any more."""
    left = [subtask for subtask in plan.subtasks if standings[subtask.id] != "done"]
    needs = {one.id: tuple(name for name in one.depends_on if standings[name] != "done") for one in left}
    return Plan(subtasks=tuple(one.model_copy(update={"depends_on": needs[one.id]}) for one in left))


class Board:
    """The standing of every subtask while a plan is worked on, told to whoever watches the run.

    Args:
        plan: A valid plan.
        seconds: How long each subtask is expected to take, by id.
        runtime: Of the node that works on it.
        run: The run it belongs to.
    """

    def __init__(self, plan: Plan, seconds: Mapping[str, float], runtime: Runtime[Any], run: Run) -> None:
        self.plan, self.seconds, self.runtime, self.run = plan, seconds, runtime, run
        self.standings: dict[str, Standing] = dict.fromkeys((subtask.id for subtask in plan.subtasks), "waiting")
        self._send("planned", plan=plan.model_dump(mode="json"), seconds=dict(seconds))

    def move(self, name: str, standing: Standing) -> None:
        """Note where a subtask stands now, and say so if that is new."""
        if self.standings[name] != standing:
            self.standings[name] = standing
            self._send("progressed", subtask=name, standing=standing)

    def send(self) -> None:
        """Tell where the plan stands as a whole."""
        progress = progress_of(self.plan, self.standings, self.seconds)
        self._send("progressed", progress=progress)

    def _send(self, kind: Literal["planned", "progressed"], **data: Any) -> None:
        send_event(self.run, self.runtime, kind, data, agent="plan")
