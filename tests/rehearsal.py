"""Every pattern as a play that can be cut off anywhere: agents who change the world, and points at which a process may die."""

from __future__ import annotations

import functools
import json
import os
import re
import signal
import sqlite3
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from typing import Any

from langchain_core.messages import AIMessage, HumanMessage, ToolMessage

from cases import HAPPY, part, plan_of
from graphs import parallel, plan_execute, sequential, single
from graphs.registry import REGISTRY
from nodes import Agent, ScriptedChatModel, roles
from nodes.script import Request, Script, Step, call
from nodes.step import current_step
from state.graph import PatternBuilder
from state.storage.ledger import Ledger
from state.storage.postgres import PostgresCheckpoints
from state.storage.records import Records
from state.storage.sqlite import SqliteCheckpoints
from tools import effect
from tools.effects import once


class Points:
    """Counts the moments at which a crash may find the run, and dies at one of them."""

    def __init__(self, kill_at: int) -> None:
        self.kill_at, self.passed, self.lock = kill_at, list[str](), threading.Lock()

    def reach(self, name: str) -> None:
        """Note that a point is reached; die, as a killed process does, when it is the one."""
        with self.lock:
            self.passed.append(name)
            if len(self.passed) == self.kill_at:
                os.kill(os.getpid(), signal.SIGKILL)


Write = Callable[[str, str, str, str], None]
"""Notes what happened: `(event, thread, step, part)`."""


def journal_in(path: str) -> Write:
    """Return what writes to a file that outlives the process: a line for each event, there as soon as it is written."""
    file = os.open(path, os.O_APPEND | os.O_CREAT | os.O_WRONLY, 0o600)

    def write(*event: str) -> None:
        os.write(file, (json.dumps(event) + "\n").encode())

    return write


class Rehearsal(Script):
    """Answers by the step that asks, so that it goes on in a new process where it stopped in the old one.

    An agent with the tool uses it first, and answers once it sees the result.
    """

    def __init__(self, steps: Mapping[str, Sequence[Any]], write: Write) -> None:
        super().__init__((), steps)
        self.steps, self.write = steps, write

    def take(self, request: Request) -> Step:
        step = current_step()
        since = list(request.messages)
        while any(isinstance(message, HumanMessage) for message in since[1:]):
            since.pop(0)
        acted = any(isinstance(message, ToolMessage) and message.name == "deposit" for message in since)
        acts = "deposit" in request.tool_names and not acted
        said = "acts" if acts else "answers"
        self.write("asked", step.run.thread, step.id, said)
        return Step(
            call("deposit", account=step.run.thread, what=step.id) if acts else self._answer(step.agent, step.id)
        )

    def _answer(self, agent: str, step: str) -> Any:
        """Return what an agent says in a step: steps are numbered, and those of magentic's manager named, too."""
        number = re.search(r"(?:#|item-)(\d+)$", step)
        place = int(number[1]) - 1 if number else 0
        if agent == "manager" and step.startswith(("plan", "progress", "answer")):
            place = {"plan": 0, "answer": -1}.get(step, place + 1)
        return self.steps[agent][place]


class Bank:
    """A world to change: an SQLite file of its own, in which every deposit is a row, also a second of the same."""

    def __init__(self, path: str, points: Points) -> None:
        self.path, self.points = path, points
        with self.connect() as database:
            database.execute("CREATE TABLE IF NOT EXISTS deposits (account TEXT, what TEXT)")

    def connect(self) -> Any:
        return closing(sqlite3.connect(self.path, timeout=30, isolation_level=None))

    def tool(self, mark: str) -> Any:
        """Return the tool that makes a deposit, marked in one of the ways of `crashing.MARKS`."""

        def deposit(account: str, what: str) -> str:
            """Put a coin in an account."""

            def work() -> str:
                database.execute("INSERT INTO deposits VALUES (?, ?)", (account, what))
                return f"deposited {what}"

            with self.connect() as database:
                self.points.reach("before effect")
                text: str = once(database, work) if mark == "transactional" else work()
                self.points.reach("after effect")
                return text

        def was_done(account: str, what: str) -> str | None:
            return f"deposited {what}" if self.has(account, what) else None

        reconcile = was_done if mark == "reconcile" else None
        return effect(deposit, transactional=mark == "transactional", reconcile=reconcile)

    def has(self, account: str, what: str) -> bool:
        with self.connect() as database:
            query = "SELECT 1 FROM deposits WHERE account = ? AND what = ?"
            return database.execute(query, (account, what)).fetchone() is not None


Cast = tuple[PatternBuilder, Mapping[str, Sequence[Any]]]
"""A pattern, and what each of its agents says."""


def graph_of(name: str, tool: Any) -> Cast:
    """Return the builder of a pattern whose workers have the tool, and what its agents say."""

    def worker(role: str) -> Agent:
        found: Agent = getattr(roles, role)()
        return replace(found, tools=[tool])

    if name in NESTED:
        return NESTED[name](worker)
    module = REGISTRY[name].load()
    two = [worker("assistant"), worker("writer")]
    workers: dict[str, Callable[[], Any]] = {
        "single": lambda: module.build(two[0]),
        "parallel": lambda: module.build([two[0], worker("skeptic")]),
        "map_reduce": lambda: module.build(two[0]),
        "review": lambda: module.build(two[1], [roles.critic()]),
        "group_chat": lambda: module.build([two[0], worker("skeptic")]),
        "debate": lambda: module.build([worker("proponent"), worker("opponent")]),
        "router": lambda: module.build(two),
        "handoff": lambda: module.build(two, entry="assistant"),
    }
    return workers.get(name, lambda: module.build(two))(), HAPPY[name]


def _team_in_team(worker: Callable[[str], Agent]) -> Cast:
    inner = parallel.build([worker("assistant"), worker("skeptic")]).compile(name="inner")
    middle = sequential.build([inner, worker("writer")]).compile(name="middle")
    return single.build(middle), {"assistant": ["one"], "skeptic": ["two"], "writer": ["done"]}


def _team_in_plan(worker: Callable[[str], Agent]) -> Cast:
    team = sequential.build([worker("assistant"), worker("writer")]).compile(name="team")
    plan = plan_of(part("a", "team"), part("b", "skeptic"), part("c", "skeptic", "a", "b"))
    said: dict[str, list[Any]] = {
        "planner": [plan],
        "assistant": ["first"],
        "writer": ["of a"],
        "skeptic": ["of it"],
        "synthesizer": ["done"],
    }
    return plan_execute.build([team, worker("skeptic")]), said


NESTED: dict[str, Callable[[Callable[[str], Agent]], Cast]] = {
    "team_in_team": _team_in_team,
    "team_in_plan": _team_in_plan,
}


def watch(points: Points, write: Write, put: Callable[[Any, str, Any], None] = setattr) -> None:
    """Make every write of checkpoints, of tasks' results and of the ledger two points: before and after."""

    def watched(owner: type, name: str, kind: str) -> None:
        method = getattr(owner, name)

        @functools.wraps(method)
        def both(self: Any, *args: Any, **kwargs: Any) -> Any:
            points.reach(f"before {kind}")
            result = method(self, *args, **kwargs)
            if kind == "writes":
                thread = args[0]["configurable"]["thread_id"]
                for step, said in sorted({*_finished_in(args[1])}):
                    write("stored", thread, step, said)
            points.reach(f"after {kind}")
            return result

        put(owner, name, both)

    for saver in (SqliteCheckpoints, PostgresCheckpoints):
        watched(saver, "put", "checkpoint")
        watched(saver, "put_writes", "writes")
    for name in ("begin", "settle", "allow", "drop"):
        watched(Ledger, name, f"ledger {name}")
    # Not `record`: how many events go together depends on how agents that work side by side are interleaved.
    watched(Records, "note_thread", "note_thread")


def _finished_in(value: Any) -> list[tuple[str, str]]:
    """Return the model calls whose results are in a value: all of a step with its outcome, and the call of the tool."""
    if isinstance(value, AIMessage):
        return [(each["args"]["what"], "acts") for each in value.tool_calls if each["name"] == "deposit"]
    if isinstance(value, Mapping):
        is_outcome = {"id", "agent", "attempts"} <= value.keys()
        own = [(str(value["id"]), "acts"), (str(value["id"]), "answers")] if is_outcome else []
        return own + [one for each in value.values() for one in _finished_in(each)]
    if isinstance(value, list | tuple):
        return [one for each in value for one in _finished_in(each)]
    return []


def rehearsed(pattern: str, tool: Any, write: Write) -> tuple[Any, ScriptedChatModel]:
    """Return the builder of a pattern whose workers have the tool, and the model that plays all of its agents."""
    builder, steps = graph_of(pattern, tool)
    model = ScriptedChatModel(by_agent={agent: [] for agent in steps})
    model._script = Rehearsal(steps, write)
    return builder, model


PATTERNS = [name for name, entry in REGISTRY.items() if not entry.is_team] + list(NESTED)
"""Names of all that can be played."""
