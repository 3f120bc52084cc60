"""Growth: runs leave nothing behind in memory, and a long thread takes a bounded multiple of its text on the disk."""

from __future__ import annotations

import asyncio
import gc
import importlib
from pathlib import Path
from typing import Any

import pytest

from graphs import single
from state import open_persistence
from state.storage import ledgers, locks

RUNS = 1_000
TURNS = 60


@pytest.fixture
def growth(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return the benchmark, which measures in full what is looked at in small here."""
    monkeypatch.syspath_prepend(str(Path(__file__).resolve().parent.parent))
    return importlib.import_module("benchmarks.growth")


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="the memory of a process is read from /proc")
@pytest.mark.parametrize("form", ["invoke, one graph", "invoke, a graph for each run", "start, one graph"])
def test_a_thousand_runs_in_one_process_leave_next_to_nothing_in_memory(form: str, growth: Any) -> None:
    """At the rate that 5 MB after 10,000 runs amount to. What every run leaves behind shows in every quarter of them; pages of
    the database that its cache takes, up to its limit, only in some.
    """
    assert form in growth.FORMS
    assert 4 * min(growth.grown(form, RUNS)) <= 0.5


def test_a_thread_takes_at_most_twenty_times_its_text_and_goes_when_its_time_is_over(growth: Any) -> None:
    size, pruned, expired = asyncio.run(growth.kept(TURNS))
    text = TURNS * 2 * growth.KB
    assert text < size <= 20 * text
    assert text < pruned < size
    assert size - expired >= 0.95 * size


def test_locks_and_places_of_closed_databases_are_not_kept(tmp_path: Path) -> None:
    graph = single.build(lambda task: f"did {task}")
    gc.collect()
    before = len(locks._names), len(locks._places), len(ledgers._ledgers)
    for number in range(5):
        with open_persistence(tmp_path / f"{number}.db") as persistence:
            graph.compile(persistence.checkpointer).invoke({"task": "go"}, {"configurable": {"thread_id": "t"}})
    del persistence
    gc.collect()
    after = len(locks._names), len(locks._places), len(ledgers._ledgers)
    assert all(now <= then for now, then in zip(after, before, strict=True))
