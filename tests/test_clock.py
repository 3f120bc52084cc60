"""The clock is set forward or back by a day between processes: no turn is lost, and history stays in order."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from crashing import Crew, crew
from storage import fresh_url

DAY = 24 * 3600
STEPS = [(0, DAY, 0), (0, -DAY, 0), (DAY, -DAY, DAY), (0, -400 * DAY, 400 * DAY)]
"""How far the clocks of three processes that follow each other are off, in seconds."""
every_step = pytest.mark.parametrize("steps", STEPS, ids=lambda steps: " ".join(f"{step // DAY:+d}d" for step in steps))


class Clocks:
    """Processes that work on one database one after the other, each with a clock of its own."""

    def __init__(self, workers: Crew, url: str) -> None:
        self.workers, self.url = workers, url

    def act(self, act: str, off: float, **how: Any) -> dict[str, Any]:
        """Let a process whose clock is off by some seconds do something, and return what it says."""
        (ended,) = self.workers.do([{"module": "clock_worker", "act": act, "off": off, "url": self.url, **how}])
        return ended


@pytest.fixture(scope="module")
def workers() -> Iterator[Crew]:
    with crew(1) as workers:
        yield workers


@pytest.fixture(params=["sqlite", "postgres"])
def clocks(request: pytest.FixtureRequest, workers: Crew, tmp_path: Path) -> Iterator[Clocks]:
    with fresh_url(request.param, tmp_path) as url:
        yield Clocks(workers, url)


def expect_order(past: dict[str, Any]) -> None:
    """Check that the history of a thread goes from its last checkpoint to its first."""
    assert past["ids"] == sorted(set(past["ids"]), reverse=True)
    assert past["steps"] == sorted(past["steps"], reverse=True)
    created, updated = past["times"]
    assert created <= updated


@every_step
def test_no_turn_is_lost_when_the_clock_is_set_between_processes(clocks: Clocks, steps: tuple[int, ...]) -> None:
    for number, off in enumerate(steps):
        assert clocks.act("turn", off, task=f"task {number}")["answer"] == f"did task {number}"
    past = clocks.act("look", 0)
    assert past["messages"] == [text for number in range(3) for text in (f"task {number}", f"did task {number}")]
    assert past["tasks"] == 0
    expect_order(past)


@every_step
def test_a_question_asked_before_the_clock_was_set_is_answered_after_it(clocks: Clocks, steps: tuple[int, ...]) -> None:
    first, second, third = steps
    assert clocks.act("ask", first, task="a question")["status"] == "waiting"
    assert clocks.act("answer", second, message="an answer") == {
        "exit": 0,
        "status": "completed",
        "answer": "an answer",
    }
    assert clocks.act("turn", third, task="and now")["answer"] == "did and now"
    past = clocks.act("look", 0)
    assert past["messages"] == ["a question", "an answer", "and now", "did and now"]
    expect_order(past)


@every_step
def test_no_time_that_is_shown_is_negative(clocks: Clocks, steps: tuple[int, ...]) -> None:
    first, second, third = steps
    clocks.act("turn", first, task="a task")
    clocks.act("ask", second, task="a question")
    for off in (third, -400 * DAY):
        for screen in clocks.act("screens", off, commands=[["threads"], ["show", "t"], ["requests"]])["screens"]:
            assert not re.search(r"(?<![\w-])-\s?\d", screen), screen
