"""Run something to its end, or until Ctrl-C or a signal stops it in good order."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any, TypeVar

T = TypeVar("T")

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Stopped(Exception):  # not an error: it was asked for
    """A signal stopped the run. What was finished is kept."""

    def __init__(self, number: int) -> None:
        self.number = number
        super().__init__(f"stopped by {signal.Signals(number).name}")


def drive(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine and return its result.

    The first Ctrl-C or SIGTERM cancels it and waits until it has put its things in order; the second one ends the process.

    Raises:
        Stopped: A signal came first.
    """
    received: list[int] = []

    async def watched() -> T:
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        assert task is not None

        def stop(number: int) -> None:
            received.append(number)
            task.cancel()
            for each in _SIGNALS:
                loop.remove_signal_handler(each)

        with suppress(NotImplementedError, RuntimeError, ValueError):  # another system, or not the main thread
            for number in _SIGNALS:
                loop.add_signal_handler(number, stop, number)
        return await work

    try:
        return asyncio.run(watched())
    except (asyncio.CancelledError, KeyboardInterrupt):
        raise Stopped(received[0] if received else signal.SIGINT) from None
