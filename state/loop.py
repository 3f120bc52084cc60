"""The sync door: one long-lived event loop in a thread of its own, on which every sync call runs its async form.

A loop per call would leave the connections of HTTP clients behind on closed loops; and a loop in the caller's thread is
impossible where one already runs, as in Jupyter.
"""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import AsyncGenerator, Coroutine, Generator, Iterator
from concurrent.futures import Future, wait
from contextlib import contextmanager
from typing import Any, Generic, TypeVar

T = TypeVar("T")

_lock = threading.Lock()
_door: asyncio.AbstractEventLoop | None = None
_thread: threading.Thread | None = None
_blocked: set[asyncio.AbstractEventLoop] = set()
"""Loops whose thread waits for sync code. What would be started there would wait for them in turn, forever."""
_END: Any = object()


def run_sync(work: Coroutine[Any, Any, T], *, beside: asyncio.AbstractEventLoop | None = None) -> T:
    """Run a coroutine to its end from sync code and return its result.

    Works in a script, in a thread, and inside a running event loop (which then waits). Ctrl-C cancels the work and waits
    for it to end, so that what it had finished is kept.

    Args:
        work: What to run.
        beside: Loop to run it on if that is free, such as the one of the run that the caller is part of; else the door's.
    """
    with _free_loop(beside) as loop:
        return _wait_for(work, loop, contextvars.copy_context())


def iterate_sync(
    source: AsyncGenerator[T, None], *, beside: asyncio.AbstractEventLoop | None = None
) -> Generator[T, None, None]:
    """Yield what an async generator yields, from sync code, asking for each item when it is wanted.

    Closing the iterator early closes the generator, and waits until it has ended.
    """
    context = contextvars.copy_context()
    with _free_loop(beside) as loop:
        try:
            while (item := _wait_for(_next(source), loop, context)) is not _END:
                yield item
        finally:
            if _loop_here() is loop:  # collected as garbage in the loop's own thread, which must not wait for itself
                _Call(source.aclose(), loop, context)
            else:
                _wait_for(source.aclose(), loop, context)


class _Call(Generic[T]):
    """Work on its way on the loop of another thread, within given context variables (a nested run finds its run there)."""

    def __init__(
        self, work: Coroutine[Any, Any, T], loop: asyncio.AbstractEventLoop, context: contextvars.Context
    ) -> None:
        self._loop = loop
        self._task: asyncio.Task[T] | None = None
        self._result: Future[T] = Future()
        loop.call_soon_threadsafe(self._start, work, context)

    def result(self) -> T:
        """Wait for the work and return what it returns. When the wait is broken off the work is, too."""
        try:
            return self._result.result()
        except BaseException:
            if not self._result.done():
                self._loop.call_soon_threadsafe(self._cancel)
                wait([self._result])
            raise

    def _start(self, work: Coroutine[Any, Any, T], context: contextvars.Context) -> None:
        self._task = self._loop.create_task(work, context=context)
        self._task.add_done_callback(self._hand_over)

    def _cancel(self) -> None:
        if self._task is not None:
            self._task.cancel()

    def _hand_over(self, task: asyncio.Task[T]) -> None:
        if task.cancelled():
            self._result.set_exception(asyncio.CancelledError())
        elif error := task.exception():
            self._result.set_exception(error)
        else:
            self._result.set_result(task.result())


def _wait_for(work: Coroutine[Any, Any, T], loop: asyncio.AbstractEventLoop, context: contextvars.Context) -> T:
    here = _loop_here()
    if here is None:
        return _Call(work, loop, context).result()
    _blocked.add(here)  # before the work begins: it must not be sent back here
    try:
        return _Call(work, loop, context).result()
    finally:
        _blocked.discard(here)


async def _next(source: AsyncGenerator[T, None]) -> T:
    return await anext(source, _END)


@contextmanager
def _free_loop(beside: asyncio.AbstractEventLoop | None) -> Iterator[asyncio.AbstractEventLoop]:
    """Give a loop that can run something while the caller's thread waits: `beside`, the door's, or one made for it."""
    here = _loop_here()
    for loop in (beside, _the_door()):
        if loop is not None and loop is not here and loop not in _blocked and loop.is_running():
            yield loop
            return
    loop = _serve(name="orchestra-nested-sync")[0]
    try:
        yield loop
    finally:
        loop.call_soon_threadsafe(loop.stop)


def _the_door() -> asyncio.AbstractEventLoop:
    global _door, _thread
    with _lock:
        if _door is None or _thread is None or not _thread.is_alive():  # it is not in a forked process
            _door, _thread = _serve(name="orchestra-sync-door")
        return _door


def _serve(*, name: str) -> tuple[asyncio.AbstractEventLoop, threading.Thread]:
    """Start a thread with a loop that runs until it is stopped, and return both once it runs."""
    loop, running = asyncio.new_event_loop(), threading.Event()
    thread = threading.Thread(target=_run, args=(loop,), name=name, daemon=True)
    loop.call_soon(running.set)
    thread.start()
    running.wait()
    return loop, thread


def _run(loop: asyncio.AbstractEventLoop) -> None:
    stopped = False
    while not stopped:
        try:
            loop.run_forever()
            stopped = True
        except (KeyboardInterrupt, SystemExit):
            continue  # raised by a task: its caller gets it, and the loop is for the others
    loop.run_until_complete(loop.shutdown_asyncgens())
    loop.close()


def _loop_here() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None
