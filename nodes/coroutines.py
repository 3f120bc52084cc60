"""Coroutines of people we do not know: one that blocks stops itself, and not everybody who shares its event loop.

A coroutine runs in steps, from one `await` to the next. Each step is taken in a thread of its own while the event loop stands
still and waits for it, so nothing runs at the same time as it and everything in it works as on the loop: its futures, its tasks,
its time limits. A step that does not come back is left behind: the loop goes on without it, its caller gets an error that names
the line, and what it still does is ended as soon as Python can.
"""

from __future__ import annotations

import asyncio
import contextvars
import ctypes
import inspect
import os
import sys
import threading
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Generator
from contextlib import suppress
from functools import partial, wraps
from queue import Empty, SimpleQueue
from types import FrameType
from typing import Any, ClassVar, Generic, TypeVar

from state.errors import LoopBlocked
from state.redaction import logger

T = TypeVar("T")

PATIENCE = 0.5
"""Seconds that one step may keep the event loop waiting."""
_SLICES = 10
"""Parts that they are waited in: a process that is stopped as a whole, for however long, loses one of them."""

_log = logger(__name__)


class Exited(RuntimeError):
    """Code of an agent or a tool called `sys.exit`: that ends its own work, and not the program it is part of."""


class Unblocked(Generic[T]):
    """Awaits a coroutine so that it cannot block the event loop for longer than `PATIENCE`.

    Raises:
        LoopBlocked: One of its steps took longer. What it does after that is not seen by anybody.
    """

    def __init__(self, coroutine: Coroutine[Any, Any, T], name: str) -> None:
        self.coroutine, self.name = coroutine, name

    def __await__(self) -> Generator[Any, None, T]:
        """Take step after step, handing what the coroutine waits for to the event loop."""
        loop = asyncio.get_running_loop()
        if loop.get_debug():  # asyncio's debug mode forbids any other thread
            try:
                return (yield from self.coroutine.__await__())
            except SystemExit as error:
                raise exited(error) from None
        context, thread = contextvars.copy_context(), _StepThread.free()
        try:
            step: Callable[[], Any] = partial(self.coroutine.send, None)
            while True:
                waits_for, end = thread.take(partial(context.run, step), loop, self.name)
                if end is not None:
                    return end.value  # type: ignore[no-any-return]  # of our coroutine
                try:
                    value = yield waits_for
                except BaseException as error:  # noqa: BLE001  # thrown into the coroutine, as `await` would
                    step = partial(self.coroutine.throw, error)
                else:
                    step = partial(self.coroutine.send, value)
        finally:
            thread.give_back()


class _StepThread:
    """A thread that takes steps for one coroutine after another."""

    _idle: ClassVar[deque[_StepThread]] = deque(maxlen=32)

    def __init__(self) -> None:
        self._steps: SimpleQueue[tuple[Callable[[], Any], asyncio.AbstractEventLoop, Any] | None] = SimpleQueue()
        self._results: SimpleQueue[tuple[Any, StopIteration | None, BaseException | None]] = SimpleQueue()
        self._name, self._left_behind = "", False
        self._thread = threading.Thread(target=self._work, name="orchestra steps", daemon=True)
        self._thread.start()

    @classmethod
    def free(cls) -> _StepThread:
        """Return a thread that nobody uses."""
        try:
            return cls._idle.pop()
        except IndexError:
            return cls()

    def give_back(self) -> None:
        """Let another coroutine have the thread; one too many ends, and so does one that was left behind."""
        if self._left_behind or len(self._idle) == self._idle.maxlen:
            self._steps.put(None)
        else:
            self._idle.append(self)

    def take(
        self, step: Callable[[], Any], loop: asyncio.AbstractEventLoop, name: str
    ) -> tuple[Any, StopIteration | None]:
        """Take one step and return what the coroutine waits for, or what it ended with.

        Raises:
            LoopBlocked: It did not come back in time.
        """
        self._name = name
        # The hooks are a thread's own: without the loop's, generators begun here are not closed when it ends.
        self._steps.put((step, loop, sys.get_asyncgen_hooks()))
        result = self._wait()
        if result is None:
            self._left_behind = True
            where = self._where()
            end_thread(self._thread)
            raise LoopBlocked(
                f"{name} blocked the event loop for {PATIENCE:g} s at {where}; await what takes long, "
                "or give a plain function, which runs in a thread"
            )
        waits_for, end, error = result
        if error is not None:
            raise error
        return waits_for, end

    def _wait(self) -> tuple[Any, StopIteration | None, BaseException | None] | None:
        """Return what the step gave; None when it does not come back."""
        for _ in range(_SLICES):
            with suppress(Empty):
                return self._results.get(timeout=PATIENCE / _SLICES)
        return None

    def _work(self) -> None:
        while (wanted := self._steps.get()) is not None:
            step, loop, hooks = wanted
            asyncio._set_running_loop(loop)
            sys.set_asyncgen_hooks(*hooks)
            try:
                result: Any = step(), None, None
            except StopIteration as end:
                result = None, end, None
            except SystemExit as error:
                result = None, None, exited(error)
            except BaseException as error:  # noqa: BLE001  # raised where it is awaited
                result = None, None, error
            asyncio._set_running_loop(None)
            sys.set_asyncgen_hooks(None, None)
            if self._left_behind:
                _log.warning("%s came back late; what it gave is not used", self._name)
                return
            self._results.put(result)
            del wanted, step, loop, hooks, result  # an idle thread keeps nothing alive

    def _where(self) -> str:
        """Return the file and line that the coroutine is at: its own, or else the innermost."""
        frame: FrameType | None = sys._current_frames().get(self._thread.ident or 0)
        innermost = frame
        while frame is not None and not _is_own_code(frame):
            frame = frame.f_back
        at = frame or innermost
        if at is None:
            return "an unknown place"
        return f"{os.path.basename(at.f_code.co_filename)}:{at.f_lineno} in {at.f_code.co_name}"


def unblocked(function: Callable[..., Awaitable[T]], name: str) -> Callable[..., Coroutine[Any, Any, T]]:
    """Return an async function that cannot block the event loop; see `Unblocked`."""

    @wraps(function)
    async def call(*args: Any, **kwargs: Any) -> T:
        made = function(*args, **kwargs)
        return await (Unblocked(made, name) if inspect.iscoroutine(made) else made)

    return call


def exited(error: SystemExit) -> Exited:
    """Return what `sys.exit` becomes. Its text may hold a secret, so only the status is told."""
    status = error.code if isinstance(error.code, int) else int(error.code is not None)
    return Exited(f"exited with status {status}").with_traceback(error.__traceback__)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_StepThread._idle.clear)  # threads are not there in a forked process


def end_thread(thread: threading.Thread) -> None:
    """Raise an exception in a thread as soon as it runs Python code again: nothing can stop it before."""
    if thread.ident is not None and thread.is_alive():
        ctypes.pythonapi.PyThreadState_SetAsyncExc(
            ctypes.c_ulong(thread.ident), ctypes.py_object(asyncio.CancelledError)
        )


_LIBRARIES = (os.path.dirname(os.__file__) + os.sep, os.path.dirname(os.path.abspath(__file__)) + os.sep)


def _is_own_code(frame: FrameType) -> bool:
    """Whether a frame is of code that is neither Python's, nor a package's, nor ours."""
    file = frame.f_code.co_filename
    return not file.startswith((*_LIBRARIES, "<")) and "site-packages" not in file
