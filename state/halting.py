"""Halting: a run stops at its next boundary when it is asked to, by whatever process, and keeps everything.

One thread of a process looks for all of its runs, five times a second, and ends with the last of them.
"""

from __future__ import annotations

import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from langgraph.runtime import RunControl

from state.errors import PersistenceError
from state.storage.signals import AsyncSignals, Signals

POLL = 0.2
"""Seconds between two looks."""

_guard = threading.Lock()
_watchers: dict[int, _Watcher] = {}


@asynccontextmanager
async def halted_by_signal(signals: AsyncSignals | None, thread: str, control: RunControl) -> AsyncIterator[None]:
    """Ask for a drain of the run within as soon as somebody asks its thread to halt.

    Args:
        signals: Where that is kept; without it, nobody can ask.
        thread: Held by the run: what was asked of an earlier one is forgotten.
        control: Of the run.
    """
    if signals is None:
        yield
        return
    await signals.clear(thread)
    _watch(signals, thread, control)
    try:
        yield
    finally:
        _unwatch(signals, thread)


class _Watcher(threading.Thread):
    """Looks for the runs of one database."""

    def __init__(self, signals: AsyncSignals) -> None:
        super().__init__(name="orchestra halts", daemon=True)
        self.signals = signals
        self.controls: dict[str, RunControl] = {}

    def run(self) -> None:
        """Look until no run is left."""
        while True:
            time.sleep(POLL)
            with _guard:
                if not self.controls:
                    _watchers.pop(id(self.signals.place), None)
                    return
            with suppress(PersistenceError):  # the run itself will notice, and says so
                self._look()

    def _look(self) -> None:
        signals = Signals(self.signals.place)
        asked = signals.halts()
        with _guard:  # after them, so that none is taken for a run that has ended since
            taken = [halt for halt in asked if halt.thread in self.controls]
            for halt in taken:
                self.controls[halt.thread].request_drain(halt.reason)
        if taken:
            signals.take(halt.id for halt in taken)


def _watch(signals: AsyncSignals, thread: str, control: RunControl) -> None:
    with _guard:
        watcher = _watchers.get(id(signals.place))
        if watcher is None or not watcher.is_alive():
            watcher = _watchers[id(signals.place)] = _Watcher(signals)
            watcher.start()
        watcher.controls[thread] = control


def _unwatch(signals: AsyncSignals, thread: str) -> None:
    with _guard:
        if (watcher := _watchers.get(id(signals.place))) is not None:
            watcher.controls.pop(thread, None)
