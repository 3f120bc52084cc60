"""Run something to its end, or until Ctrl-C or a signal stops it in good order."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any, TypeVar

T = TypeVar("T")

GRACE = 5.0
"""Seconds that the current step has to end in, before it is broken off."""
_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Stopped(Exception):  # not an error: it was asked for
    """A signal stopped the run. What was finished is kept."""

    def __init__(self, number: int) -> None:
        self.number = number
        super().__init__(f"stopped by {signal.Signals(number).name}")


def drive(work: Coroutine[Any, Any, T], notice: Callable[[str], None] | None = None) -> T:
    """Run a coroutine and return its result.

    The first Ctrl-C or SIGTERM drains the run that is in it: the current step ends and is kept, and nothing else begins. The
    second one, or `GRACE` seconds, break the step off; the third ends the process.

    Args:
        work: With at most one run of a graph in it.
        notice: Is told what the first signal did.

    Raises:
        Stopped: A signal came first.
    """
    from langgraph.runtime import RunControl

    from orchestra.recorded_run import drained_by
    from orchestra.telemetry.environment import instrument_as_told

    instrument_as_told()
    received: list[int] = []
    control = RunControl()

    async def watched() -> T:
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        assert task is not None

        def stop(number: int) -> None:
            received.append(number)
            if len(received) == 1:
                control.request_drain(signal.Signals(number).name)
                loop.call_later(GRACE, task.cancel)
                if notice is not None:
                    notice("Stopping after the current step; once more to stop at once.")
                return
            task.cancel()
            for each in _SIGNALS:
                loop.remove_signal_handler(each)

        with suppress(NotImplementedError, RuntimeError, ValueError):  # another system, or not the main thread
            for number in _SIGNALS:
                loop.add_signal_handler(number, stop, number)
        with drained_by(control):
            return await work

    try:
        result = asyncio.run(watched())
    except (asyncio.CancelledError, KeyboardInterrupt):
        raise Stopped(received[0] if received else signal.SIGINT) from None
    if received and getattr(result, "status", "") == "unfinished":
        raise Stopped(received[0])
    return result
