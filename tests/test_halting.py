"""A run halted during any of its calls, in every pattern: it ends what is in flight, and goes on as if nothing had happened.

And who halts it: another process, a signal, at the moment when it begins or has just ended.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from langchain_core.runnables import RunnableConfig
from langgraph.errors import GraphDrained
from langgraph.runtime import RunControl

import halted_worker
from cases import says
from graphs import parallel, sequential, single
from nodes import HumanAgent
from orchestra import ahalt, answer, halt, resume, start
from rehearsal import PATTERNS, Bank, Points, rehearsed
from state import Context, open_persistence
from state.halting import halted_by_signal
from state.persistence import Persistence
from state.storage.locks import thread_held
from state.storage.signals import AsyncSignals, signals_of
from storage import fresh_url

every_pattern = pytest.mark.parametrize("pattern", PATTERNS)
every_kind = pytest.mark.parametrize("kind", ["sqlite", "postgres"])


class Play:
    """A pattern that is played on one thread after another, and halted at given calls.

    Args:
        pattern: Which.
        place: Where its threads are kept.
        folder: For the world that its tools change.
    """

    def __init__(self, pattern: str, place: Persistence, folder: Path) -> None:
        self.pattern, self.place = pattern, place
        self.bank = Bank(str(folder / "bank.db"), Points(0))
        self.calls = Counter[tuple[str, str]]()
        self.halt_at, self.control = set[int](), RunControl()

    def play(self, thread: str, halt_at: set[int]) -> tuple[dict[str, Any], int]:
        """Play it to its end, halted at the calls of these numbers; return what it ended with, and how often it was halted."""
        self.calls.clear()
        self.halt_at, halts = halt_at, 0
        builder, model = rehearsed(self.pattern, self.bank.tool("transactional"), self._note)
        graph = builder.compile(self.place.checkpointer, store=self.place.store, name=self.pattern)
        config, context = RunnableConfig(configurable={"thread_id": thread}), Context(model=model)
        given: Any = {"task": "the task"}
        while True:
            self.control = RunControl()
            try:
                result = graph.invoke(given, config, context=context, control=self.control)
            except GraphDrained:
                halts, given = halts + 1, None
            else:
                assert graph.get_state(config).tasks == ()
                return _lasting(result, thread), halts

    def deposits(self, thread: str) -> Counter[str]:
        with self.bank.connect() as database:
            rows = database.execute("SELECT what FROM deposits WHERE account = ?", (thread,))
            return Counter(what for (what,) in rows)

    def _note(self, event: str, thread: str, step: str, said: str) -> None:
        self.calls[step, said] += 1
        if self.calls.total() in self.halt_at:
            self.control.request_drain("lunch")


def _lasting(result: dict[str, Any], thread: str) -> dict[str, Any]:
    """Return what of a result does not depend on time, order of parallel steps and thread."""
    outcomes = sorted((o["id"], o["status"], o["output"], o["usage"]["model_calls"]) for o in result["outcomes"])
    return {key: result[key] for key in ("answer", "structured", "status", "reason")} | {"outcomes": outcomes}


@pytest.fixture
def play(pattern: str, kind: str, tmp_path: Path) -> Iterator[Play]:
    with fresh_url(kind, tmp_path) as url, open_persistence(url) as place:
        yield Play(pattern, place, tmp_path)


@pytest.mark.parametrize("kind", ["memory"])
@every_pattern
def test_a_run_halted_during_any_call_of_a_model_repeats_nothing_and_ends_the_same(play: Play) -> None:
    expected, _ = play.play("unhalted", set())
    calls, deposits = Counter(play.calls), play.deposits("unhalted")
    halted = 0
    for number in range(1, calls.total() + 1):
        result, halts = play.play(f"at {number}", {number})
        halted += halts
        assert (number, result) == (number, expected)
        assert (number, play.calls) == (number, calls)
        assert (number, play.deposits(f"at {number}")) == (number, deposits)
    assert halted >= calls.total() - 1  # the last call may be in the last step


@every_kind
@every_pattern
def test_a_run_halted_during_every_call_of_a_model_repeats_nothing_and_ends_the_same(play: Play) -> None:
    expected, _ = play.play("unhalted", set())
    calls = Counter(play.calls)
    result, halts = play.play("halted", set(range(1, calls.total() + 1)))
    assert result == expected
    assert play.calls == calls
    assert play.deposits("halted") == play.deposits("unhalted")
    assert halts > 0


def test_a_halt_beside_a_person_who_is_asked_loses_neither_the_question_nor_the_work(tmp_path: Path) -> None:
    control, calls = RunControl(), Counter[str]()

    async def first(task: str) -> str:
        calls["first"] += 1
        control.request_drain("lunch")
        return "one"

    team = sequential.build([first, says("second", "two")]).compile(name="team")
    builder = parallel.build([HumanAgent("ann"), team])
    with open_persistence(tmp_path / "runs.db") as place:
        with pytest.raises(GraphDrained):
            builder.compile(place.checkpointer, name="g").invoke(
                {"task": "t"}, {"configurable": {"thread_id": "t"}}, control=control
            )
        graph = builder.compile(name="g")
        result = answer(graph, place, "t", "respond", message="mine")
        assert {each["id"]: each["output"] for each in result.outcomes} == {"ann": "mine", "team": "two"}
    assert calls == {"first": 1}


# Halts that meet the beginning or the end of a run


async def asked(signals: AsyncSignals, halting: asyncio.Task[bool]) -> None:
    """Wait until a halt is kept."""
    while not await asyncio.to_thread(signals_of_place(signals).halts):
        assert not halting.done(), halting.result()
        await asyncio.sleep(0.01)


def signals_of_place(signals: AsyncSignals) -> Any:
    from state.storage.signals import Signals

    return Signals(signals.place)


@every_kind
async def test_a_halt_of_a_run_that_is_just_beginning_is_not_lost(kind: str, tmp_path: Path) -> None:
    with fresh_url(kind, tmp_path) as url:
        async with open_persistence(url) as place:
            await place.anote_thread("t", status="running")
            signals, control = signals_of(place.checkpointer), RunControl()
            assert signals is not None
            async with thread_held(place.checkpointer, "t"):
                halting = asyncio.create_task(ahalt(None, place, "t", reason="at once"))
                await asked(signals, halting)
                async with halted_by_signal(signals, "t", control):  # forgets what came before it
                    assert await halting
                    assert control.drain_reason == "at once"


@every_kind
async def test_a_halt_of_a_run_that_ends_before_it_looks_says_so_and_is_gone(kind: str, tmp_path: Path) -> None:
    with fresh_url(kind, tmp_path) as url:
        async with open_persistence(url) as place:
            await place.anote_thread("t", status="running")
            signals = signals_of(place.checkpointer)
            assert signals is not None
            async with thread_held(place.checkpointer, "t"):
                halting = asyncio.create_task(ahalt(None, place, "t"))
                await asked(signals, halting)
            assert not await halting
            assert signals_of_place(signals).halts() == []


def test_deleting_a_thread_takes_its_signals_along(tmp_path: Path) -> None:
    with open_persistence(tmp_path / "runs.db") as place:
        graph = single.build(HumanAgent("boss")).compile(name="g")
        start(graph, place, "the task", thread="t")
        signals = signals_of_place(signals_of(place.checkpointer))  # type: ignore[arg-type]  # ours has some
        signals.inject("t", "Be brief.", "")
        place.delete_thread("t")
        assert signals.guidance("t", "") == []


# From another process, and by a signal


@pytest.mark.parametrize(
    ("pattern", "how"),
    [*((pattern, how) for pattern in halted_worker.PATTERNS for how in ("halt", "SIGTERM")), ("tools", "SIGINT")],
)
def test_a_process_is_stopped_within_a_step_and_another_ends_the_work(pattern: str, how: str, tmp_path: Path) -> None:
    paths = os.pathsep.join([str(Path(halted_worker.__file__).parent), *sys.path])
    program = [sys.executable, halted_worker.__file__, pattern]
    with subprocess.Popen(
        program, stdout=subprocess.PIPE, text=True, cwd=tmp_path, env={**os.environ, "PYTHONPATH": paths}
    ) as process:
        assert process.stdout is not None
        for _ in range(halted_worker.IN_FLIGHT[pattern]):
            assert process.stdout.readline().startswith("began ")
        with open_persistence(tmp_path / "runs.db") as place:
            if how == "halt":
                assert halt(None, place, "t", reason="halt")
            else:
                process.send_signal(getattr(signal, how))
                assert process.stdout.readline() == "Stopping after the current step; once more to stop at once.\n"
            (tmp_path / "go on").touch()
            said = process.communicate(timeout=60)[0].splitlines()
            assert said[-1] == f"unfinished halted: {how}"
            began = halted_worker.journal(tmp_path)
            assert len(began) == halted_worker.IN_FLIGHT[pattern]
            result = resume(halted_worker.graph_of(pattern, tmp_path), place, "t")
            assert (result.status, result.outcomes[-1]["status"]) == ("completed", "ok")
    done = halted_worker.journal(tmp_path)
    assert done == dict.fromkeys(halted_worker.ALL[pattern], 1)
