"""An event loop in a thread of its own, where sessions live: a script's `graph.invoke` has a new loop each time, they do not."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from concurrent.futures import Future
from typing import Any, TypeVar

from tools.mcp.failure import NothingSent

T = TypeVar("T")

_PATIENCE = 10.0
"""Seconds that closing waits for what still runs."""


class LoopThread:
    """Runs coroutines for callers in any thread and any event loop. It does not keep the program alive."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._work, name="orchestra mcp", daemon=True)
        self._closed = False
        self._thread.start()

    def submit(self, work: Coroutine[Any, Any, T]) -> Future[T]:
        """Begin a coroutine; cancelling what is returned cancels it.

        Raises:
            NothingSent: The thread was ended.
        """
        if self._closed:
            work.close()
            raise NothingSent("The tools of this server are closed. Open them again with open_mcp.")
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    async def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine there and wait for it here; when the wait is cancelled, so is what is waited for."""
        return await asyncio.wrap_future(self.submit(work))

    def close(self) -> None:
        """End the thread; what still runs is cancelled."""
        if self._closed:
            return
        self._closed = True
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_PATIENCE)

    def _work(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_forever()
            left = asyncio.all_tasks(self._loop)
            for task in left:
                task.cancel()
            if left:
                self._loop.run_until_complete(asyncio.wait(left, timeout=_PATIENCE))
            self._loop.run_until_complete(self._loop.shutdown_asyncgens())
            self._loop.run_until_complete(self._loop.shutdown_default_executor())
        finally:
            self._loop.close()
