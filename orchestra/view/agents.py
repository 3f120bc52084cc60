"""The tree of agents at work, rebuilt from the events of a run."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from orchestra.tracing.telling import PEOPLE_SAID
from orchestra.view.plan import PlanStand, read_plan
from state.events import Event

_CHOICE = re.compile(r'^\{"(agent|speaker|winner|verdict)": ?"([^"\\]{1,60})"')
_CHOICES = re.compile(r'^\{"agents": ?\[([^\]]{1,120})\]')


@dataclass
class AgentRow:
    """One agent step: who, how it stands, what it has used. A team has the steps of its agents below it."""

    agent: str
    step: str
    task: str
    started: float
    """Seconds since 1970, UTC."""
    state: str = "running"
    """`running`, the status of its outcome, or `waiting` and `unfinished` once the run has stopped before its end."""
    seconds: float | None = None
    """How long it took; None before it has ended."""
    ended: float | None = None
    """Seconds since 1970, UTC."""
    model_calls: int = 0
    tool_calls: int = 0
    tokens: int = 0
    usd: float | None = 0.0
    pending: list[str] = field(default_factory=list)
    """Tools that the model asked for and that have not answered yet."""
    trouble: str = ""
    """Type of the last error."""
    why: str = ""
    """Message of the error it ended with."""
    chose: str = ""
    """What it decided, in a few words: whom it gave the turn, or its verdict."""
    decided: str = ""
    """What a person decided about what it wanted to do, in a few words."""
    team: list[AgentRow] = field(default_factory=list)
    plan: PlanStand | None = None
    """The latest plan of a team."""

    @property
    def node(self) -> str:
        """What its step is called without the number of the round: the agent, a branch, or a subtask."""
        return self.step.partition("#")[0]

    @property
    def name(self) -> str:
        """What tells it from other steps: the agent, and its step where that says more."""
        own = self.step.rpartition("/")[2]  # a colleague's begins with the step that asked it
        if own.startswith(self.agent):
            return self.agent + own.removeprefix(self.agent).replace("#", " #")
        return f"{self.agent} {self.step}"

    def below(self) -> Iterator[AgentRow]:
        """Yield this row and all below it, parents first."""
        yield self
        for member in self.team:
            yield from member.below()

    def used(self) -> tuple[int, float | None]:
        """Return tokens and US dollars of this step and all below it; None when a price is unknown."""
        rows = list(self.below())
        prices = [row.usd for row in rows]
        return sum(row.tokens for row in rows), None if None in prices else sum(price or 0.0 for price in prices)

    def time(self, now: float) -> float | None:
        """Return how long it took, or has taken until now if it is running; None if nobody knows."""
        return self.seconds if self.state != "running" or self.seconds is not None else max(0.0, now - self.started)


class AgentTree:
    """All agents of a turn. Give it the events in their order, from any prefix of the run; `top` is the result.

    A step that starts again, because its process was killed, takes the place of its first try.
    """

    def __init__(self, events: Iterable[Event] = ()) -> None:
        self.top: list[AgentRow] = []
        self.plan: PlanStand | None = None
        """The latest at the top; a team's is in its row."""
        self._rows: dict[tuple[str, str, str], AgentRow] = {}
        self._latest: dict[str, AgentRow] = {}
        for event in events:
            self.add(event)

    def add(self, event: Event) -> AgentRow | None:
        """Take one event in and return the row it is about, if it is about one."""
        key = (event["parent"], event["step"], event["agent"])
        if event["kind"] == "noted":
            if event["data"].get("note") == "started":
                self.__init__()  # type: ignore[misc]  # a turn begins with nobody at work
            return None
        if event["kind"] == "agent_started":
            return self._start(key, event)
        if event["kind"] in ("planned", "progressed"):
            self._plan(event["parent"], event["kind"], event["data"])
            return None
        row = self._rows.get(key)
        if row is not None:
            _take(row, event["kind"], event["data"])
            row.ended = event["at"] if event["kind"] == "agent_finished" else row.ended
        return row

    def rows(self) -> list[AgentRow]:
        """Return all rows, parents first."""
        return [row for top in self.top for row in top.below()]

    def used(self) -> tuple[int, float | None]:
        """Return tokens and US dollars of all agents together; None when a price is unknown."""
        used = [row.used() for row in self.top]
        prices = [usd for _, usd in used]
        return sum(tokens for tokens, _ in used), None if None in prices else sum(price or 0.0 for price in prices)

    def settle(self, state: str) -> None:
        """Say what became of the steps that did not end: `waiting` or `unfinished`."""
        for row in self.rows():
            if row.state == "running":
                row.state = state
                row.pending.clear()

    def _plan(self, team: str, kind: str, data: dict[str, Any]) -> None:
        place = self._latest.get(team, self)
        if kind == "planned":
            place.plan = read_plan(data) or place.plan
        elif place.plan is not None and "standing" in data:
            place.plan.move(str(data.get("subtask")), data["standing"])

    def _start(self, key: tuple[str, str, str], event: Event) -> AgentRow:
        row = AgentRow(event["agent"], event["step"], str(event["data"].get("task", "")), event["at"])
        before = self._rows.get(key)
        parent = self._latest.get(event["parent"])
        siblings = parent.team if parent is not None else self.top
        if before is None:
            siblings.append(row)
        else:
            row.team, row.plan = before.team, before.plan
            # What was spent before a pause is spent, and is not asked for again.
            row.model_calls, row.tool_calls, row.tokens, row.usd = (
                before.model_calls,
                before.tool_calls,
                before.tokens,
                before.usd,
            )
            siblings[siblings.index(before)] = row
        self._rows[key] = self._latest[event["step"]] = row
        return row


def _take(row: AgentRow, kind: str, data: dict[str, Any]) -> None:
    if kind == "model_called":
        row.model_calls += 1
        row.tokens += data.get("input_tokens", 0) + data.get("output_tokens", 0)
        price = data.get("usd")
        row.usd = None if price is None or row.usd is None else row.usd + price
        row.pending, row.trouble = list(data.get("tools", ())), data.get("error", "")
    elif kind == "tool_called":
        row.tool_calls += 1
        if data.get("tool") in row.pending:
            row.pending.remove(data["tool"])
    elif kind == "agent_finished":
        error = data.get("error") or {}
        row.state, row.seconds, row.pending = data["status"], data["seconds"], []
        row.trouble, row.why = error.get("type", ""), error.get("message", "")
        row.chose = row.chose or _choice_in(str(data.get("output", "")))
    elif kind == "paused":
        row.state, row.pending = "waiting", []
    elif kind == "decided" and data.get("by") == "person":
        row.decided = f"a person {PEOPLE_SAID.get(data['decision'], data['decision'])} {data.get('tool', '')}".rstrip()
    elif kind == "decided" and "is_in_loop" in data:  # a ledger, which names who is next at its end
        row.chose = f"asks {data['subject']}" if data.get("subject") else ""
    elif kind == "handed_off":
        row.chose = f"hands over to {data.get('to', '')}"


def _choice_in(output: str) -> str:
    """Return what a deciding agent chose: its answer begins with that, also where the record cut it."""
    if found := _CHOICE.match(output):
        what, whom = found.groups()
        return {"agent": f"asks {whom}", "speaker": f"asks {whom}", "winner": f"winner {whom}"}.get(what, whom)
    if found := _CHOICES.match(output):
        return "asks " + found[1].replace('"', "")
    return ""
