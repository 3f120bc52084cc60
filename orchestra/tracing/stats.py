"""Stats: how the runs of a database went, altogether, by pattern and by agent.

A run here is a turn: a task and all that was done for it, however often it was interrupted. Read in one pass over the events.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from orchestra.thread import read_facts
from state.loop import run_sync
from state.persistence import Persistence
from state.storage.records import RecordedEvent

_OPEN = frozenset({"running", "waiting"})
"""Statuses of runs that have not ended."""
READ = ("noted", "model_called", "tool_called", "paused", "agent_finished", "run_ended")
"""Kinds of events that are counted."""


@dataclass
class Figures:
    """What runs, or an agent's steps, came to.

    Args:
        count: How many there are.
        by_status: How many of each status.
        seconds: How long each that ended took: a run without the time that nobody worked on it.
        model_calls: In sum.
        tool_calls: In sum.
        input_tokens: In sum.
        output_tokens: In sum.
        known_usd: Price of the calls whose price is known, in US dollars.
        unpriced: Calls whose price is unknown.
        errors: How often each type of error ended a step.
    """

    count: int = 0
    by_status: Counter[str] = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list)
    model_calls: int = 0
    tool_calls: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    known_usd: float = 0.0
    unpriced: int = 0
    errors: Counter[str] = field(default_factory=Counter)

    @property
    def usd(self) -> float | None:
        """Price of all calls; None when one is unknown."""
        return None if self.unpriced else self.known_usd

    @property
    def ended(self) -> int:
        """How many have ended, in whatever way."""
        return sum(many for status, many in self.by_status.items() if status not in _OPEN)

    @property
    def completion(self) -> float | None:
        """Share of those that ended which completed, 0 to 1; None while none has."""
        good = self.by_status["completed"] + self.by_status["ok"]
        return good / self.ended if self.ended else None

    def quantile(self, share: float) -> float | None:
        """Return the seconds that this share of those that ended took at most; None without any."""
        if not self.seconds:
            return None
        ordered = sorted(self.seconds)
        return ordered[min(len(ordered) - 1, max(0, math.ceil(share * len(ordered)) - 1))]

    def call(self, data: Mapping[str, Any]) -> None:
        """Count a model call."""
        calls = data.get("model_calls", 0 if data.get("cached") else 1)
        self.model_calls += calls
        self.input_tokens += data.get("input_tokens", 0)
        self.output_tokens += data.get("output_tokens", 0)
        usd = data.get("usd", 0.0)
        self.unpriced += usd is None
        self.known_usd += usd or 0.0

    def to_json(self) -> dict[str, Any]:
        """Return it as plain JSON, with the keys of its fields; of the seconds median and 95th percentile."""
        plain = {key: value for key, value in vars(self).items() if key not in ("seconds", "known_usd", "unpriced")}
        seconds = {"median": self.quantile(0.5), "p95": self.quantile(0.95)}
        costs = {"usd": self.usd, "known_usd": round(self.known_usd, 6), "unpriced_calls": self.unpriced}
        counters = {"by_status": dict(self.by_status), "errors": dict(self.errors.most_common())}
        return {**plain, **counters, "completion": self.completion, "seconds": seconds, **costs}


@dataclass
class Stats:
    """How the runs of a database went.

    Args:
        runs: All of them.
        by_graph: Those of each pattern, team or graph, by name.
        by_agent: Steps of each agent, by name.
        since: From when on, in seconds since 1970; None for all.
    """

    runs: Figures = field(default_factory=Figures)
    by_graph: dict[str, Figures] = field(default_factory=dict)
    by_agent: dict[str, Figures] = field(default_factory=dict)
    since: float | None = None

    def to_json(self) -> dict[str, Any]:
        """Return it as plain JSON, with the keys of its fields."""
        graphs = {name: each.to_json() for name, each in self.by_graph.items()}
        agents = {name: each.to_json() for name, each in self.by_agent.items()}
        return {"since": self.since, "runs": self.runs.to_json(), "by_graph": graphs, "by_agent": agents}


@dataclass
class _Turn:
    """A run while it is read."""

    figures: Figures
    status: str = ""
    times: dict[str, list[float]] = field(default_factory=dict)
    """First and last moment of each invocation."""
    paused: defaultdict[tuple[str, str, str], float] = field(default_factory=lambda: defaultdict(float))
    """Seconds that steps had worked when they began to wait for a person, by parent, step and agent."""


async def astats(persistence: Persistence, *, since: float | None = None) -> Stats:
    """Return how the runs of a database went.

    Args:
        persistence: The database.
        since: Only what happened from then on: seconds since 1970.
    """
    threads = {facts["thread"]: facts for facts in await persistence.athreads()}
    return read_stats(persistence.records.outline(READ, since=since or 0.0), threads, since=since)


def stats(persistence: Persistence, *, since: float | None = None) -> Stats:
    """Return how the runs of a database went; see `astats`."""
    return run_sync(astats(persistence, since=since))


def read_stats(
    events: Iterable[RecordedEvent], threads: Mapping[str, Mapping[str, Any]], *, since: float | None = None
) -> Stats:
    """Return what events amount to.

    Args:
        events: Of all threads, in the order of their recording.
        threads: What is noted about each thread, by id.
        since: From when on they are.
    """
    turns: dict[str, list[_Turn]] = {}
    agents: defaultdict[str, Figures] = defaultdict(Figures)
    for event in events:
        own = turns.setdefault(event["thread"], [])
        if _begins(event) or not own:
            own.append(_Turn(Figures()))
        _count(event, own[-1], agents)
    found = Stats(by_agent=dict(sorted(agents.items())), since=since)
    for thread, own in turns.items():
        facts = threads.get(thread, {})
        graph = str(facts.get("graph") or "")
        if facts:
            own[-1].status = read_facts(facts).status or own[-1].status
        for turn in own:
            for whole in (found.runs, found.by_graph.setdefault(graph, Figures())):
                _add(whole, turn)
    found.by_graph = dict(sorted(found.by_graph.items()))
    return found


def _begins(event: RecordedEvent) -> bool:
    return event["kind"] == "noted" and event["data"].get("note") == "started"


def _count(event: RecordedEvent, turn: _Turn, agents: defaultdict[str, Figures]) -> None:
    kind, data, at = event["kind"], event["data"], event["at"]
    if event["run"]:
        turn.times.setdefault(event["run"], [at, at])[1] = at
    if kind == "model_called":
        turn.figures.call(data)
        agents[event["agent"]].call(data)
    elif kind == "tool_called":
        turn.figures.tool_calls += 1
        agents[event["agent"]].tool_calls += 1
    elif kind == "paused":
        turn.paused[_step_of(event)] += data.get("seconds", 0.0)
    elif kind == "agent_finished":
        _finish(data, turn.figures, agents[event["agent"]], before=turn.paused.pop(_step_of(event), 0.0))
    elif kind == "run_ended":
        turn.status = str(data.get("status", ""))


def _step_of(event: RecordedEvent) -> tuple[str, str, str]:
    return event["parent"], event["step"], event["agent"]


def _finish(data: Mapping[str, Any], turn: Figures, agent: Figures, *, before: float) -> None:
    agent.count += 1
    agent.by_status[str(data.get("status", ""))] += 1
    agent.seconds.append(before + float(data.get("seconds") or 0.0))
    if error := data.get("error"):
        turn.errors[str(error.get("type", ""))] += 1
        agent.errors[str(error.get("type", ""))] += 1


def _add(whole: Figures, turn: _Turn) -> None:
    """Add a run to the figures of several."""
    own, status = turn.figures, turn.status or "unfinished"
    whole.count += 1
    whole.by_status[status] += 1
    if status not in _OPEN:
        whole.seconds.append(sum(last - first for first, last in turn.times.values()))
    for name in ("model_calls", "tool_calls", "input_tokens", "output_tokens", "known_usd", "unpriced"):
        setattr(whole, name, getattr(whole, name) + getattr(own, name))
    whole.errors.update(own.errors)
