"""Two processes do the same to one thread at the same moment: one of them does it, and the other is told at once."""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from state.persistence import Persistence, open_persistence
from storage import fresh_url

HERE = Path(__file__).parent
BATCH = 20
"""Races that are run at once."""
ROUNDS = {"sqlite": 200, "postgres": 20}
FEWER = {"sqlite": 40, "postgres": 10}
AT_ONCE = 1.0
"""Seconds within which a loser is told: what the thread's lock waits for a run that is just ending, and as much again."""


class Race:
    """Two processes at the start, on one database.

    Args:
        processes: Racers.
        persistence: Their database.
        folder: Where they note their work, and see that they may end it.
        rounds: How many threads there are.
    """

    def __init__(
        self, processes: Sequence[subprocess.Popen[str]], persistence: Persistence, folder: Path, rounds: int
    ) -> None:
        self.processes, self.persistence, self.folder = processes, persistence, folder
        self.threads = [f"race {number:03d}" for number in range(rounds)]
        self._said: queue.Queue[dict[str, Any]] = queue.Queue()
        self._listeners = [threading.Thread(target=self._listen, args=[process]) for process in processes]
        for listener in self._listeners:
            listener.start()

    def run(
        self, act: str, what: Sequence[str] = (), *, other: str = "", held: bool = False
    ) -> dict[str, list[dict[str, Any]]]:
        """Let both do something to all threads, some at a time, and return what each says, by thread.

        Args:
            act: What a racer can do.
            what: Threads, with the request to answer; all by default.
            other: What the second racer does; the same by default.
            held: Who gets to work does so until the other has been told.
        """
        reports: dict[str, list[dict[str, Any]]] = {}
        threads = what or self.threads
        for number in range(0, len(threads), BATCH):
            batch, let_go = threads[number : number + BATCH], f"{act} {number}" if held else ""
            for process, what_it_does in zip(self.processes, (act, other or act), strict=True):
                self._tell(process, {"act": what_it_does, "threads": batch, "let_go": let_go})
            said = self._hear(len(batch))
            if held:
                (self.folder / let_go).touch()
            for report in said + self._hear(len(batch)):
                reports.setdefault(report["thread"].split("|")[0], []).append(report)
        return reports

    def alone(self, act: str, what: Sequence[str] | None = None, **how: Any) -> dict[str, dict[str, Any]]:
        """Let one of them do something to threads, to all by default, and return what it says of each."""
        threads = self.threads if what is None else what
        self._tell(self.processes[0], {"act": act, "threads": threads, **how})
        return {report["thread"]: report for report in self._hear(len(threads))}

    def worked(self) -> Counter[str]:
        """Return how often the second agent of each thread worked."""
        lines = (self.folder / "journal").read_text().splitlines()
        return Counter(line[line.index("race") :] for line in lines)

    def close(self) -> None:
        """Let the processes end."""
        for process in self.processes:
            assert process.stdin is not None
            process.stdin.close()
        for listener in self._listeners:
            listener.join()

    def _tell(self, process: subprocess.Popen[str], job: dict[str, Any]) -> None:
        print(json.dumps(job), file=process.stdin, flush=True)

    def _listen(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        for line in process.stdout:
            self._said.put(json.loads(line))
        self._said.put({})  # it has ended

    def _hear(self, count: int) -> list[dict[str, Any]]:
        said = [self._said.get(timeout=60) for _ in range(count)]
        assert all(said), "a racer has died; its error is on stderr"
        return said


@contextmanager
def race_on(url: str, folder: Path, rounds: int) -> Iterator[Race]:
    """Start two processes on a database, and end them."""
    path = os.pathsep.join([str(HERE.parent), str(HERE)])
    command = [sys.executable, str(HERE / "race_worker.py"), url, str(folder)]
    environment = {**os.environ, "PYTHONPATH": path, "ORCHESTRA_OFFLINE": "1"}
    with open_persistence(url) as persistence, ExitStack() as stack:
        processes = [
            stack.enter_context(
                subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)
            )
            for _ in range(2)
        ]
        race = Race(processes, persistence, folder, rounds)
        try:
            yield race
        finally:
            race.close()


@pytest.fixture(params=["sqlite", "postgres"])
def race(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Race]:
    with fresh_url(request.param, tmp_path) as url, race_on(url, tmp_path, ROUNDS[request.param]) as race:
        yield race


@pytest.fixture(params=["sqlite", "postgres"])
def short_race(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Race]:
    with fresh_url(request.param, tmp_path) as url, race_on(url, tmp_path, FEWER[request.param]) as race:
        yield race


def expect_one_winner(race: Race, reports: dict[str, list[dict[str, Any]]], *told: str) -> dict[str, Any]:
    """Check that each race had one winner, that the loser was told so by a typed error, and that work was done once.

    Returns:
        What the winner of each thread got.
    """
    assert sorted(reports) == race.threads
    waited, winners = [], {}
    for thread, both in reports.items():
        won, lost = [each for each in both if "won" in each], [each for each in both if "lost" in each]
        assert (len(won), len(lost)) == (1, 1), both
        assert lost[0]["lost"] in told
        assert "ThreadError" in lost[0]["tree"]
        waited.append(lost[0]["seconds"])
        winners[thread] = won[0]["won"]
    assert min(waited) < AT_ONCE  # of many at once on a busy machine the others wait for their turn, too
    assert race.worked() == Counter(race.threads)
    return winners


def test_of_two_that_start_a_thread_one_does_and_the_other_is_told_that_it_is_busy(race: Race) -> None:
    expect_one_winner(race, race.run("start", held=True), "ThreadBusy")


def test_the_loser_of_a_start_leaves_nothing_behind(short_race: Race) -> None:
    winners = expect_one_winner(short_race, short_race.run("start_by_command", held=True), "ThreadBusy")
    facts = {each["thread"]: each for each in short_race.persistence.threads()}
    assert {thread: facts[thread]["task"] for thread in winners} == winners
    assert {each["status"] for each in facts.values()} == {"completed"}


def test_of_two_that_resume_a_thread_one_does_and_the_other_is_told_that_it_is_busy(race: Race) -> None:
    failed = race.alone("start", fails=True)
    assert {report["lost"] for report in failed.values()} == {"StorageUnavailable"}
    expect_one_winner(race, race.run("resume", held=True), "ThreadBusy")


def test_two_that_resume_a_thread_one_after_the_other_work_once(short_race: Race) -> None:
    short_race.alone("start", fails=True)
    reports = [report for both in short_race.run("resume").values() for report in both]
    assert {report["lost"] for report in reports if "lost" in report} <= {"ThreadBusy"}
    assert {report["won"] for report in reports if "won" in report} == set(short_race.threads)
    assert short_race.worked() == Counter(short_race.threads)


def test_of_two_that_answer_one_request_one_does_and_the_other_is_refused(race: Race) -> None:
    asked = race.alone("ask")
    reports = race.run("answer", [f"{thread}|{asked[thread]['won']}" for thread in race.threads])
    expect_one_winner(race, reports, "UnknownRequest", "ThreadBusy")


def test_of_two_that_answer_by_command_one_does_and_the_other_is_refused(short_race: Race) -> None:
    asked = short_race.alone("ask")
    reports = short_race.run("answer_by_command", [f"{name}|{asked[name]['won']}" for name in short_race.threads])
    winners = expect_one_winner(short_race, reports, "UnknownRequest", "ThreadBusy")
    events = [event for thread in winners for event in short_race.persistence.events(thread)]
    assert sum(event["data"].get("note") == "answered" for event in events) == len(winners)


def test_an_answer_and_a_halt_at_once_lose_nothing_whichever_is_first(race: Race) -> None:
    """The halt finds no run, stops it at a boundary or comes too late: the answer counts once, or is said not to count."""
    asked = race.alone("ask")
    questions = [f"{thread}|{asked[thread]['won']}" for thread in race.threads]
    reports = race.run("answer_by_command", questions, other="halt", held=True)
    untaken = {thread for thread, both in reports.items() if any(each.get("lost") == "Halted" for each in both)}
    again = race.alone("answer_by_command", [q for q in questions if q.split("|")[0] in untaken])
    assert all("won" in report for report in again.values())
    for thread, both in reports.items():
        if thread in untaken:
            continue
        assert all("won" in each for each in both)
        halted, came_to = sorted((each["won"] for each in both), key=lambda won: not isinstance(won, bool))
        assert came_to != "waiting"
        assert halted or came_to != "unfinished"
    answers = {thread: report["won"].split(" ", 1)[1] for thread, report in race.alone("resume_by_command").items()}
    assert answers == {thread: thread for thread in race.threads}
    assert race.worked() == Counter(race.threads)
