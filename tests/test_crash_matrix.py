"""A process killed at every point at which something is stored or done, in every pattern: it ends as if nothing had happened.

The points are before and after each checkpoint, each task's results, each write of the ledger, and each effect of a tool. By
default some of them are tried, others in each pattern; with `ORCHESTRA_CRASH_POINTS=all` every one.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from crashing import BY_PEOPLE, MARKS, Crew, Play, crew
from rehearsal import PATTERNS
from storage import fresh_url

ALL = os.environ.get("ORCHESTRA_CRASH_POINTS") == "all"
STRIDES = {"sqlite": 1, "postgres": 1} if ALL else {"sqlite": 9, "postgres": 17}
"""Of how many points one is tried."""
every_pattern = pytest.mark.parametrize("pattern", PATTERNS)
EACH = 1 if ALL else 4
"""Of how many patterns one is killed again and again."""
every_database = pytest.mark.parametrize("kind", ["sqlite", "postgres"])


@pytest.fixture(scope="module")
def workers() -> Iterator[Crew]:
    with crew() as workers:
        yield workers


@pytest.fixture
def door() -> str:
    return "graph"


@pytest.fixture
def play(workers: Crew, pattern: str, kind: str, door: str, tmp_path: Path) -> Iterator[Play]:
    with fresh_url(kind, tmp_path) as url:
        play = Play(workers, pattern, url, tmp_path, door)
        play.unkilled()
        yield play
        tally = play.tally
        print(  # noqa: T201  # shown with -s
            f"{pattern} on {kind}: {len(play.points)} points, {tally.kills} kills, {len(tally.wrong)} wrong, "
            f"{tally.asked_again} calls in flight made again, {tally.people_asked} people asked"
        )


@every_database
@every_pattern
def test_a_run_killed_at_any_point_ends_as_if_nothing_had_happened(play: Play, kind: str) -> None:
    kill_at_points(play, STRIDES[kind])


@every_database
@pytest.mark.parametrize("door", ["command"])
@pytest.mark.parametrize("pattern", ["single", "team_in_plan"])
def test_a_run_of_the_command_killed_at_any_point_ends_as_if_nothing_had_happened(play: Play, kind: str) -> None:
    kill_at_points(play, STRIDES[kind])


def kill_at_points(play: Play, stride: int) -> None:
    """Kill a thread at every so many points, and expect of all that nothing is lost, and nothing done twice."""
    chance = zlib.crc32(play.pattern.encode())
    chosen = range(1 + chance % stride, len(play.points) + 1, stride)
    for number, mark in enumerate(MARKS):
        points = [point for point in chosen if (point // stride + chance) % len(MARKS) == number]
        play.check(play.resume(play.kill(points, mark), mark), mark)
    assert play.tally.kills == len(chosen)
    assert not play.tally.wrong, "\n".join(play.tally.wrong)


@every_database
@pytest.mark.parametrize("pattern", PATTERNS[::EACH])
def test_a_run_whose_every_process_is_killed_ends_as_if_nothing_had_happened(play: Play) -> None:
    for number, mark in enumerate(MARKS):
        name = play.thread(900_000 + number)
        report, kills = play.kill_again_and_again(name, mark)
        assert kills > 2
        play.check({name: report}, mark, kills)
    assert not play.tally.wrong, "\n".join(play.tally.wrong)


@pytest.mark.parametrize("kind", ["sqlite"])  # one worker writes all, so that the points are always in the same order
@pytest.mark.parametrize("pattern", ["single", "handoff", "plan_execute"])
def test_a_person_is_asked_of_an_effect_in_doubt_and_of_no_other(play: Play) -> None:
    """In doubt it is from the moment that its beginning is stored until its result is."""
    begun = play.points.index("after ledger begin") + 1
    settled = play.points.index("after ledger settle") + 1
    points = range(begun - 1, settled + 1)
    reports = play.resume(play.kill(points, BY_PEOPLE), BY_PEOPLE)
    play.check(reports, BY_PEOPLE)
    assert not play.tally.wrong, "\n".join(play.tally.wrong)
    asked = {point: reports[play.thread(point)]["asked"] for point in points}
    assert asked == {point: ["deposit"] if begun <= point < settled else [] for point in points}
