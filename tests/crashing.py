"""Kill processes at given points, take up what they left, and compare it with a run that nobody killed."""

from __future__ import annotations

import json
import os
import queue
import random
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
MARKS = ("transactional", "reconcile", "by people")
"""How a tool is marked: it commits with its key; it can find out what it did; or only a person can say."""
BY_PEOPLE = MARKS[2]
WIDTH = 2
"""Agents that work at the same time at most, in all that is played here."""


class Crew:
    """Fork servers, each of which does one job at a time."""

    def __init__(self, servers: Sequence[subprocess.Popen[str]]) -> None:
        self._free: queue.Queue[subprocess.Popen[str]] = queue.Queue()
        self._pool = ThreadPoolExecutor(len(servers))
        for server in servers:
            self._free.put(server)

    def do(self, jobs: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
        """Do jobs, several at a time, and return how each ended, in their order."""
        return list(self._pool.map(self._do, jobs))

    def _do(self, job: dict[str, Any]) -> dict[str, Any]:
        server = self._free.get()
        try:
            assert server.stdin is not None
            assert server.stdout is not None
            print(json.dumps(job), file=server.stdin, flush=True)
            ended: dict[str, Any] = json.loads(server.stdout.readline())
        finally:
            self._free.put(server)
        assert "error" not in ended, ended["error"]
        return ended

    def close(self) -> None:
        self._pool.shutdown()


@contextmanager
def crew(count: int = 2) -> Iterator[Crew]:
    """Start fork servers, and end them."""
    with ExitStack() as stack:
        servers = [stack.enter_context(_server()) for _ in range(count)]
        workers = Crew(servers)
        stack.callback(workers.close)
        yield workers


@contextmanager
def _server() -> Iterator[subprocess.Popen[str]]:
    path = os.pathsep.join([str(HERE.parent), str(HERE), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "PYTHONPATH": path, "ORCHESTRA_OFFLINE": "1"}
    command = [sys.executable, str(HERE / "crash_worker.py")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment) as server:
        assert server.stdin is not None
        try:
            yield server
        finally:
            server.stdin.close()


@dataclass
class Tally:
    """What a test killed, and what came of it."""

    points: int = 0
    kills: int = 0
    asked_again: int = 0
    """Model calls that were in flight when a process died, and were made again."""
    people_asked: int = 0
    wrong: list[str] = field(default_factory=list)
    """What is not as in the unkilled run."""


@dataclass
class Play:
    """A pattern in a database, beside a world that its agents change.

    Args:
        crew: Does the work.
        pattern: Name of a pattern, or of a nested team of the worker's.
        url: Of the database.
        folder: For the world and the journal.
        door: `graph` or `command`: how it is called.
    """

    crew: Crew
    pattern: str
    url: str
    folder: Path
    door: str = "graph"
    tally: Tally = field(default_factory=Tally)
    expected: dict[str, Any] = field(default_factory=dict)
    points: list[str] = field(default_factory=list)
    """Names of the points that the unkilled run passed, in order."""
    seconds: float = 0.0
    """How long the unkilled run took."""

    def job(self, threads: dict[str, str], mark: str, kill_at: int = 0) -> dict[str, Any]:
        """Return the job of a process that goes on with threads: `start`, `resume`, or `again` with the same input."""
        how = {"pattern": self.pattern, "door": self.door, "mark": mark, "threads": threads, "kill_at": kill_at}
        files = {"bank": str(self.folder / "bank.db"), "journal": str(self.folder / "journal")}
        return {**files, **how, "url": self.url}

    def thread(self, number: int) -> str:
        """Return the name of a thread: as long as any other, so that all agents are told as much."""
        return f"{self.pattern} {number:06d}"

    def unkilled(self, mark: str = "transactional") -> None:
        """Run it to its end, to know what is expected of the others."""
        name, started = self.thread(0), time.monotonic()
        (ended,) = self.crew.do([self.job({name: "start"}, mark)])
        self.seconds = time.monotonic() - started
        self.points = ended["points"]
        self.expected = ended["reports"][name]["final"]
        assert self.expected["status"] == "completed"
        assert self.deposits(name)

    def kill(self, at: Sequence[int], mark: str) -> list[str]:
        """Start a thread for each point and kill its process there; return the threads."""
        names = [self.thread(point) for point in at]
        ended = self.crew.do(self.job({name: "start"}, mark, point) for name, point in zip(names, at, strict=True))
        assert [each["exit"] for each in ended] == [-9] * len(at)
        self.tally.kills += len(at)
        return names

    def resume(self, names: Sequence[str], mark: str) -> dict[str, Any]:
        """Take threads up in new processes, and return what each came to: every second one by starting it again."""
        how = {name: "again" if number % 2 else "resume" for number, name in enumerate(names)}
        halves = [dict(list(how.items())[half::2]) for half in range(2)]
        ended = self.crew.do(self.job(half, mark) for half in halves if half)
        return {name: report for each in ended for name, report in each["reports"].items()}

    def kill_again_and_again(self, name: str, mark: str) -> tuple[dict[str, Any], int]:
        """Take a thread up in process after process, each killed a little later than the one before, until one lives.

        Returns:
            What it came to, and how many were killed.
        """
        for kills in range(len(self.points)):
            (ended,) = self.crew.do([self.job({name: "resume"}, mark, 5 + 3 * kills)])
            if ended["exit"] == 0:
                return ended["reports"][name], kills
            assert ended["exit"] == -9
            self.tally.kills += 1
        raise AssertionError(f"{name} does not end, though every process is killed later than the one before")

    def kill_at_random(self, name: str, mark: str, times: int, chance: random.Random) -> tuple[dict[str, Any], int]:
        """Take a thread up in process after process, each killed after some time, at last in one that lives.

        Returns:
            What it came to, and how many were killed before they were done.
        """
        kills = 0
        for _ in range(times):
            job = {**self.job({name: "resume"}, mark), "kill_after": chance.uniform(0, self.seconds)}
            (ended,) = self.crew.do([job])
            if ended["exit"] == 0:
                return ended["reports"][name], kills
            kills += 1
        (ended,) = self.crew.do([self.job({name: "resume"}, mark)])
        assert ended["exit"] == 0
        return ended["reports"][name], kills

    def check(self, reports: dict[str, Any], mark: str, kills: int = 1) -> None:
        """Compare what threads came to with the unkilled run.

        Args:
            reports: Of what threads came to, by thread.
            mark: How the tool is marked. People are asked of effects in doubt where no one else can tell, and of nothing else.
            kills: How many processes of each were killed.
        """
        events = self.events()
        world, calls = self.deposits(self.thread(0)), _asked(events[self.thread(0)])
        for name, report in reports.items():
            asked = _asked(events[name])
            again = sum((asked - calls).values())
            self.tally.asked_again += again
            self.tally.people_asked += len(report["asked"])
            self._expect(name, "result", report["final"], self.expected)
            self._expect(name, "effects", self.deposits(name), world)
            self._expect(name, "steps left", report["left"], [])
            self._expect(name, "listed as", report["listed"], "completed")
            if mark != BY_PEOPLE or kills == 1:  # else some were asked by processes that died
                self._expect(name, "people asked", len(report["asked"]), report["in_doubt"] if mark == BY_PEOPLE else 0)
            self._expect(name, "agents that worked", sorted(asked), sorted(calls))
            self._expect(name, "finished and stored work that was done again", _done_again(events[name]), [])
            if again > kills * WIDTH:
                self.tally.wrong.append(f"{name}: {again} model calls were made again")

    def _expect(self, name: str, what: str, got: Any, expected: Any) -> None:
        if differs := differences(got, expected, what):
            number = int(name.split()[-1])
            where = f" (killed {self.points[number - 1]})" if 0 < number <= len(self.points) else ""
            self.tally.wrong.append(f"{name}{where}: {'; '.join(differs)}")

    def deposits(self, account: str) -> list[str]:
        """Return what was put in an account."""
        with closing(sqlite3.connect(self.folder / "bank.db", timeout=30)) as database:
            rows = database.execute("SELECT what FROM deposits WHERE account = ?", (account,)).fetchall()
        return sorted(what for (what,) in rows)

    def events(self) -> dict[str, list[tuple[str, str, str]]]:
        """Return what the journal holds, by thread."""
        events: dict[str, list[tuple[str, str, str]]] = {}
        for line in (self.folder / "journal").read_text().splitlines():
            event, thread, step, part = json.loads(line)
            events.setdefault(thread, []).append((event, step, part))
        return events


def differences(got: Any, expected: Any, where: str = "") -> list[str]:
    """Return where two plain values differ, and how."""
    if isinstance(got, dict) and isinstance(expected, dict) and got.keys() == expected.keys():
        return [one for key in got for one in differences(got[key], expected[key], f"{where}.{key}")]
    if isinstance(got, list) and isinstance(expected, list) and len(got) == len(expected):
        return [
            one
            for key, pair in enumerate(zip(got, expected, strict=True))
            for one in differences(*pair, f"{where}.{key}")
        ]
    return [] if got == expected else [f"{where}: expected {expected}, got {got}"]


def _asked(events: Sequence[tuple[str, str, str]]) -> Counter[tuple[str, str]]:
    """Return how often each model call was made."""
    return Counter((step, part) for event, step, part in events if event == "asked")


def _done_again(events: Sequence[tuple[str, str, str]]) -> list[tuple[str, str]]:
    """Return the model calls that were made although their results had been stored."""
    stored, again = set[tuple[str, str]](), []
    for event, *call in events:
        step, part = call
        if event == "stored":
            stored.add((step, part))
        elif (step, part) in stored:
            again.append((step, part))
    return again
