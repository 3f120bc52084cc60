"""Record the events of runs while they happen: with the next checkpoint of their thread, and at the latest after a moment.

Events gather in memory for as long as it takes to write several at once. A step's are stored before what the step did is: a
process that is killed loses none of a step that is not done again.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from weakref import WeakKeyDictionary

from state.errors import PersistenceError
from state.events import Event
from state.storage.place import Place, transaction_of
from state.storage.records import add_events

DELAY = 0.05
"""Seconds that an event waits for others, or for a checkpoint, before it is written."""

_recorders: WeakKeyDictionary[Place, dict[str, Recorder]] = WeakKeyDictionary()
"""By database and thread, which has one run at a time."""
_guard = threading.Lock()


class Recorder:
    """Gathers the events of one run. Made by `recording`, on the event loop of the run.

    Args:
        place: Database of the thread.
        thread: Id.
        faults: Where an error goes that nobody waits for.
    """

    def __init__(self, place: Place, thread: str, faults: list[Exception]) -> None:
        self._place, self._thread, self._faults = place, thread, faults
        self._loop = asyncio.get_running_loop()
        self._pending: list[Event] = []
        self._lock, self._order = threading.Lock(), threading.Lock()
        self._timer: asyncio.TimerHandle | None = None
        self._writing: asyncio.Task[None] | None = None
        self._waits = False
        self._failed: PersistenceError | None = None

    def add(self, event: Event) -> None:
        """Take one event, whose data is redacted; from any thread."""
        with self._lock:
            self._pending.append(event)
            if self._waits:
                return
            self._waits = True
        with suppress(RuntimeError):  # the loop is closed: the run is over, and `close` wrote the rest
            self._loop.call_soon_threadsafe(self._wait)

    def flush(self) -> None:
        """Write what has gathered, in its order. Blocks: it belongs on the place's worker.

        Raises:
            PersistenceError: It cannot be written, and is kept for the next try.
        """
        with self.taken() as events:
            if events:
                with transaction_of(self._place, self._thread, write=True) as execute:
                    add_events(execute, events)
                events.clear()

    @contextmanager
    def taken(self) -> Iterator[list[Event]]:
        """Give what has gathered to whoever writes it within, and empties the list. What is not written is kept."""
        with self._order:
            with self._lock:
                events, self._pending = self._pending, []
            left = list(events)
            try:
                yield left
            except BaseException:
                left = events
                raise
            finally:
                if left:
                    with self._lock:
                        self._pending[:0] = left

    async def close(self) -> None:
        """Write the rest.

        Raises:
            PersistenceError: It cannot be written, or something could not be in the meantime: where the run began nothing
                more after that, nobody else tells.
        """
        if self._timer is not None:
            self._timer.cancel()
        if self._writing is not None:
            await self._writing
        if self._pending:
            await self._place.worker.run(self.flush)
        if self._failed is not None:
            raise self._failed

    def _wait(self) -> None:
        self._timer = self._loop.call_later(DELAY, self._begin)

    def _begin(self) -> None:
        if self._writing is not None and not self._writing.done():
            self._wait()
            return
        self._waits = False  # before the look: what comes after it calls again
        if self._pending:
            self._writing = self._loop.create_task(self._write())

    async def _write(self) -> None:
        try:
            await self._place.worker.run(self.flush)
        except PersistenceError as error:
            self._failed = error
            self._faults.append(error)


@asynccontextmanager
async def recording(place: Place, thread: str, faults: list[Exception]) -> AsyncIterator[Recorder]:
    """Record a run of a thread that nobody else runs.

    Raises:
        PersistenceError: Events could not be written, and nothing else went wrong.
    """
    recorder = Recorder(place, thread, faults)
    with _guard:
        _recorders.setdefault(place, {})[thread] = recorder
    try:
        yield recorder
    except BaseException:
        with suppress(PersistenceError):  # what ended the run is told
            await recorder.close()
        raise
    else:
        await recorder.close()
    finally:
        with _guard:
            _recorders[place].pop(thread, None)


def recorder_of(place: Place, thread: str) -> Recorder | None:
    """Return what gathers the events of a thread in this process, if one of its runs goes on here."""
    found = _recorders.get(place)
    return found.get(thread) if found else None
