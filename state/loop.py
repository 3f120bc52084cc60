"""The sync door: one long-lived event loop in a thread of its own, on which every sync call runs its async form.

A loop per call would leave the connections of HTTP clients behind on closed loops; and a loop in the caller's thread is
impossible where one already runs, as in Jupyter.
"""

from __future__ import annotations

import asyncio
import contextvars
import queue
import threading
from collections.abc import AsyncIterator, Coroutine, Iterator
from concurrent.futures import Future
from typing import Any, TypeVar

T = TypeVar("T")

_lock = threading.Lock()
_loop: asyncio.AbstractEventLoop | None = None
_thread: threading.Thread | None = None


def run_sync(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine to its end from sync code and return its result.

    Works in a script, in a thread, and inside a running event loop (which then waits). Ctrl-C cancels the work and waits
    for it to end, so that what it had finished is kept.
    """
    if threading.current_thread() is _thread:
        return _run_apart(work)
    future = _submit(work)
    try:
        return future.result()
    except KeyboardInterrupt:
        future.cancel()
        raise


def iterate_sync(source: AsyncIterator[T]) -> Iterator[T]:
    """Yield what an async iterator yields, from sync code. Closing the iterator early closes its source."""
    items: queue.SimpleQueue[tuple[bool, Any]] = queue.SimpleQueue()

    async def pump() -> None:
        try:
            async for item in source:
                items.put((True, item))
            items.put((False, None))
        except BaseException as error:
            items.put((False, error))
            raise

    future = _submit(pump())
    try:
        while True:
            more, item = items.get()
            if more:
                yield item
            elif item is None:
                return
            else:
                raise item
    finally:
        future.cancel()


def _submit(work: Coroutine[Any, Any, T]) -> Future[T]:
    """Start work on the loop, within a copy of the caller's context variables (a nested run finds its run there)."""
    loop, context, result = _running_loop(), contextvars.copy_context(), Future[T]()

    def start() -> None:
        task = loop.create_task(work, context=context)
        result.add_done_callback(lambda _: result.cancelled() and loop.call_soon_threadsafe(task.cancel))
        task.add_done_callback(lambda done: _hand_over(done, result))

    loop.call_soon_threadsafe(start)
    return result


def _hand_over(task: asyncio.Task[T], result: Future[T]) -> None:
    if not result.set_running_or_notify_cancel():
        if not task.cancelled():
            task.exception()  # marks it as retrieved: the caller is gone
    elif task.cancelled():
        result.set_exception(asyncio.CancelledError())
    elif error := task.exception():
        result.set_exception(error)
    else:
        result.set_result(task.result())


def _running_loop() -> asyncio.AbstractEventLoop:
    global _loop, _thread
    with _lock:
        if _loop is None or _thread is None or not _thread.is_alive():
            _loop = asyncio.new_event_loop()
            _thread = threading.Thread(target=_loop.run_forever, name="orchestra-sync-door", daemon=True)
            _thread.start()
        return _loop


def _run_apart(work: Coroutine[Any, Any, T]) -> T:
    """Run work that sync code asks for on the door's own thread, where waiting for the door would never end."""
    results: queue.SimpleQueue[Future[T]] = queue.SimpleQueue()
    context = contextvars.copy_context()

    def run() -> None:
        future = Future[T]()
        try:
            future.set_result(context.run(asyncio.run, work))
        except BaseException as error:  # noqa: BLE001  # handed to the caller, whatever it is
            future.set_exception(error)
        results.put(future)

    threading.Thread(target=run, name="orchestra-nested-sync").start()
    return results.get().result()
