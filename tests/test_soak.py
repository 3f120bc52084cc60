"""Random patterns in processes that are killed at random times, and resumed until they are done: nothing lost, nothing twice.

`ORCHESTRA_SOAK` says how many threads; `make soak COUNT=1000` is a long one.
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest

from crashing import MARKS, Play, crew
from rehearsal import PATTERNS
from storage import fresh_url

COUNT = int(os.environ.get("ORCHESTRA_SOAK", "16"))
MOST = 4
"""Processes of one thread that are killed, at most."""


@pytest.fixture
def plays(tmp_path: Path) -> Iterator[list[Play]]:
    with ExitStack() as stack:
        workers, plays = stack.enter_context(crew()), []
        for kind in ("sqlite", "postgres"):
            folder = tmp_path / kind
            folder.mkdir()
            url = stack.enter_context(fresh_url(kind, folder))
            plays += [Play(workers, pattern, url, folder) for pattern in PATTERNS]
        yield plays


def test_runs_that_are_killed_at_random_end_as_if_nothing_had_happened(plays: list[Play]) -> None:
    chance = random.Random()  # another one each time: what it finds, the matrix of points repeats
    chosen = chance.sample(plays, k=min(len(plays), max(4, COUNT // 8)))
    for play in chosen:
        play.unkilled()

    def soak(number: int) -> None:
        play, mark = chance.choice(chosen), chance.choice(MARKS)
        name = play.thread(500_000 + number)
        report, kills = play.kill_at_random(name, mark, chance.randint(1, MOST), chance)
        play.tally.kills += kills
        play.check({name: report}, mark, kills)

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(soak, range(COUNT)))
    wrong = [one for play in chosen for one in play.tally.wrong]
    kills, again = (sum(getattr(play.tally, name) for play in chosen) for name in ("kills", "asked_again"))
    patterns = {play.pattern for play in chosen}
    print(  # noqa: T201  # shown with -s
        f"{COUNT} threads of {len(patterns)} patterns, {kills} kills, {len(wrong)} wrong (lost or repeated), "
        f"{again} model calls that were in flight made again"
    )
    assert kills > COUNT / 4
    assert not wrong, "\n".join(wrong)
