"""The tree of agents at work, rebuilt from the events of a run."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from state.events import Event


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
    team: list[AgentRow] = field(default_factory=list)

    @property
    def name(self) -> str:
        """What tells it from other steps: the agent, and its step where that says more."""
        if self.step.startswith(self.agent):
            return self.agent + self.step.removeprefix(self.agent).replace("#", " #")
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


class AgentTree:
    """All agents of a turn. Give it the events in their order, from any prefix of the run; `top` is the result.

    A step that starts again, because its process was killed, takes the place of its first try.
    """

    def __init__(self, events: Iterable[Event] = ()) -> None:
        self.top: list[AgentRow] = []
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
        row = self._rows.get(key)
        if row is not None:
            _take(row, event["kind"], event["data"])
        return row

    def rows(self) -> list[AgentRow]:
        """Return all rows, parents first."""
        return [row for top in self.top for row in top.below()]

    def settle(self, state: str) -> None:
        """Say what became of the steps that did not end: `waiting` or `unfinished`."""
        for row in self.rows():
            if row.state == "running":
                row.state = state
                row.pending.clear()

    def _start(self, key: tuple[str, str, str], event: Event) -> AgentRow:
        row = AgentRow(event["agent"], event["step"], str(event["data"].get("task", "")), event["at"])
        before = self._rows.get(key)
        parent = self._latest.get(event["parent"])
        siblings = parent.team if parent is not None else self.top
        if before is None:
            siblings.append(row)
        else:
            row.team = before.team
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
