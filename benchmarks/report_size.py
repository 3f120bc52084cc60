"""How long a report takes to make, how large it is, and how long a browser takes to open it.

The thread is made up: teams of nine agents, each with two model calls and a tool call, as a run of the same shape records them.
A page is opened by headless Chromium, up to a picture of it, in turn with an empty page; the time is the median of the
differences: reading, layout, script and painting, without the start of the browser.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.results import Row, table
from orchestra import report
from state.events import Event, EventKind
from state.persistence import open_persistence

TITLE = "Reports"
PROMISE = "A thread of 500 steps: made in about a second, opened in less than 2."

TEAM = 10
"""Steps of a team, itself among them."""
TEXT = "What the agent said, of which the record keeps the beginning. " * 8
EMPTY = "<!doctype html><title>nothing</title>"
MB = 1024 * 1024


def measure(*, steps: Sequence[int] = (50, 500, 2000), opens: int = 5) -> list[Row]:
    """Return a row for each number of steps.

    Args:
        steps: Of the thread.
        opens: How often a browser opens the page; 0 for not at all.
    """
    with tempfile.TemporaryDirectory() as folder:
        return [_row(count, opens, Path(folder)) for count in steps]


def _row(steps: int, opens: int, folder: Path) -> Row:
    page = folder / f"{steps}.html"
    with open_persistence(folder / f"{steps}.db") as persistence:
        persistence.record(_events(steps))
        persistence.note_thread("t", graph="made up", task="Do it.", status="completed")
        started = time.perf_counter()
        report(persistence, "t").save(page)
        taken = time.perf_counter() - started
    opened = _opened(page, opens, folder)
    size = round(page.stat().st_size / MB, 2)
    return {"steps": steps, "made in s": round(taken, 2), "MB": size, "opened in s": opened}


def _events(steps: int) -> Iterator[Event]:
    yield _event("noted", 0, note="started", task="Do it.")
    for number in range(steps):
        team, at = f"team#{number // TEAM + 1}", float(number)
        first, last = number % TEAM == 0, number % TEAM == TEAM - 1 or number == steps - 1
        step, parent = (team, "") if first else (f"agent{number % 7}#{number}", team)
        yield _event("agent_started", at, step, parent, task=TEXT, sender="user", given={"prompt": 400, "task": 200})
        if not first:
            called = {
                "model": "openai:gpt-5-mini",
                "seconds": 0.3,
                "input_tokens": 900,
                "output_tokens": 80,
                "usd": 0.0004,
            }
            yield _event("model_called", at + 0.3, step, parent, **called, tools=["search"])
            yield _event(
                "tool_called", at + 0.5, step, parent, tool="search", status="success", seconds=0.2, arguments=["query"]
            )
            yield _event("model_called", at + 0.8, step, parent, **called, tools=[])
            yield _ended(at + 0.9, step, parent)
        if last:
            yield _ended(at + 0.95, team, "")


def _ended(at: float, step: str, parent: str) -> Event:
    told = {"status": "ok", "attempts": 2, "seconds": 0.9, "error": None, "output": TEXT}
    return _event("agent_finished", at, step, parent, **told)


def _event(kind: EventKind, at: float, step: str = "", parent: str = "", /, **data: Any) -> Event:
    agent = step.partition("#")[0]
    return Event(kind=kind, run="r", thread="t", agent=agent, step=step, parent=parent, seq=0, at=1e9 + at, data=data)


def _opened(page: Path, opens: int, folder: Path) -> float | None:
    """Return the seconds that a browser needs for a page more than for an empty one; None without a browser."""
    browser = shutil.which("chromium")
    if browser is None or not opens:
        return None
    empty = folder / "empty.html"
    empty.write_text(EMPTY)
    taken = [_seconds(browser, page, folder) - _seconds(browser, empty, folder) for _ in range(opens + 1)]
    return round(median(taken[1:]), 2)  # the first pair makes the profile


def _seconds(browser: str, page: Path, folder: Path) -> float:
    words = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]
    words += [f"--user-data-dir={folder / 'profile'}", f"--screenshot={folder / 'page.png'}", "--window-size=1280,900"]
    started = time.perf_counter()
    subprocess.run([browser, *words, page.as_uri()], check=True, capture_output=True, timeout=120)
    return time.perf_counter() - started


def main() -> None:
    """Print what was measured."""
    print(table(measure()))


if __name__ == "__main__":
    main()
