"""Open one place that keeps everything, from a URL: checkpoints, long-term memory, and the records of runs."""

from __future__ import annotations

import asyncio
import math
import os
import threading
import time
from collections.abc import Callable, Iterable
from datetime import timedelta
from types import TracebackType
from typing import Any, NamedTuple, ParamSpec, Self, TypeVar

from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.store.base import BaseStore

from state.errors import ConfigurationError, StorageUnavailable
from state.events import Event
from state.storage.checkpoints import KeptSaver
from state.storage.clock import seconds
from state.storage.guards import thread_of
from state.storage.place import Place
from state.storage.pruning import Lineage
from state.storage.records import RecordedEvent, Records
from state.storage.serde import StrictSerializer
from state.storage.url import Source, read_url

P = ParamSpec("P")
T = TypeVar("T")


class Pruned(NamedTuple):
    """What pruning removed."""

    checkpoints: int
    bytes: int
    """How much smaller the database is; 0 where the server keeps the space for what comes next."""


class _Parts(NamedTuple):
    place: Place
    checkpointer: KeptSaver
    store: BaseStore
    records: Records


class Persistence:
    """A place that keeps everything. Made by `open_persistence`.

    It opens when it is entered or first used, once, and closes at the end of the block or with `close`. Every method
    may be called from any thread and, in its `a` form, from any event loop.

    Raises:
        PersistenceError: From everything that reads or writes, with file, thread and remedy.
    """

    def __init__(self, source: Source) -> None:
        self._source, self._lock, self._closed = source, threading.Lock(), False
        self._opened: _Parts | None = None

    @property
    def location(self) -> str:
        """File, `memory:`, or URL without password, as errors name it."""
        return self._opened.place.location if self._opened else self._source.location

    @property
    def url(self) -> str:
        """URL of the place, without password."""
        return self._source.url

    @property
    def checkpointer(self) -> BaseCheckpointSaver[Any]:
        """Checkpointer for `compile(checkpointer=...)`."""
        return self._parts.checkpointer

    @property
    def store(self) -> BaseStore:
        """Long-term memory for `compile(store=...)`."""
        return self._parts.store

    def record(self, events: Iterable[Event]) -> None:
        """Add events to the record, all or none."""
        self._parts.records.record(events)

    async def arecord(self, events: Iterable[Event]) -> None:
        """Add events to the record, all or none."""
        await self._run(self.record, list(events))

    def events(self, thread_id: str, *, after: int = 0) -> list[RecordedEvent]:
        """Return the events of a thread in the order of their recording, those with an `id` above `after`."""
        return self._parts.records.events(thread_id, after=after)

    async def aevents(self, thread_id: str, *, after: int = 0) -> list[RecordedEvent]:
        """Return the events of a thread in the order of their recording, those with an `id` above `after`."""
        return await self._run(self.events, thread_id, after=after)

    def note_thread(self, thread_id: str, **facts: Any) -> None:
        """Set facts about a thread (`name`, `graph`, `status`, anything JSON); others stay, None takes one away."""
        self._parts.records.note_thread(_valid(thread_id), facts)

    async def anote_thread(self, thread_id: str, **facts: Any) -> None:
        """Set facts about a thread; see `note_thread`."""
        await self._run(self.note_thread, thread_id, **facts)

    def threads(self) -> list[dict[str, Any]]:
        """Return every thread, the last one used first: `{thread, created, updated}` and the facts that were noted."""
        return self._parts.records.threads()

    async def athreads(self) -> list[dict[str, Any]]:
        """Return every thread; see `threads`."""
        return await self._run(self.threads)

    def thread(self, thread_id: str) -> dict[str, Any] | None:
        """Return one thread as `threads` does, or None if there is no such thread."""
        return self._parts.records.thread(thread_id)

    async def athread(self, thread_id: str) -> dict[str, Any] | None:
        """Return one thread as `threads` does, or None if there is no such thread."""
        return await self._run(self.thread, thread_id)

    def delete_thread(self, *thread_ids: str) -> None:
        """Delete threads with all that is kept of them but the store's items, and give the space back."""
        parts = self._parts
        for thread in map(_valid, thread_ids):
            parts.checkpointer.delete_thread(thread)
            with parts.place.transaction(write=True) as execute:
                parts.records.forget(execute, thread)
        parts.place.shrink(thorough=False)

    async def adelete_thread(self, *thread_ids: str) -> None:
        """Delete threads; see `delete_thread`."""
        await self._run(self.delete_thread, *thread_ids)

    def prune(self, *, keep_last: int = 1, older_than: timedelta | None = None) -> Pruned:
        """Delete old checkpoints of all threads, and give the space back. No thread is lost, nor any event.

        Threads can be read and resumed as before, and forked at what is left. Besides the checkpoints kept, those stay
        that a conversation is rebuilt from: up to 100 more a thread. Rewrites the file: for a quiet moment.

        Args:
            keep_last: How many checkpoints of each graph of a thread stay, at least 1.
            older_than: Delete only what is older than this.

        Raises:
            ConfigurationError: `keep_last` is below 1.
        """
        if keep_last < 1:
            raise ConfigurationError(f"prune: keep_last must be at least 1, got {keep_last!r}; see delete_thread")
        oldest = time.time() - older_than.total_seconds() if older_than is not None else math.inf
        parts = self._parts
        before = parts.place.size()

        def wanted(rank: int, lineage: Lineage) -> bool:
            made = seconds(lineage.id)
            return rank < keep_last or (older_than is not None and (made is None or made > oldest))

        removed = sum(parts.checkpointer.keep(each["thread"], wanted) for each in parts.records.threads())
        parts.place.shrink(thorough=True)
        return Pruned(removed, max(before - parts.place.size(), 0))

    async def aprune(self, *, keep_last: int = 1, older_than: timedelta | None = None) -> Pruned:
        """Delete old checkpoints; see `prune`."""
        return await self._run(self.prune, keep_last=keep_last, older_than=older_than)

    def check(self) -> None:
        """Look for damage that reading a thread would not show. Reads the whole file; a server is only asked to answer.

        Raises:
            StorageCorrupt: There is some.
        """
        self._parts.place.check()

    async def acheck(self) -> None:
        """Look for damage; see `check`."""
        await self._run(self.check)

    def close(self) -> None:
        """Finish what was started and close. Using it afterwards raises `StorageUnavailable`."""
        with self._lock:
            self._closed = True
            if self._opened:
                self._opened.place.close()
                self._opened = None

    async def aclose(self) -> None:
        """Finish what was started and close; see `close`."""
        await asyncio.to_thread(self.close)

    def __enter__(self) -> Self:
        self._open()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        await asyncio.to_thread(self._open)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    def __repr__(self) -> str:
        return f"open_persistence({self.url!r})"

    @property
    def _parts(self) -> _Parts:
        return self._opened or self._open()

    def _open(self) -> _Parts:
        with self._lock:
            if self._closed:
                raise StorageUnavailable("the storage is closed", location=self.location, remedy="Open it again.")
            if self._opened is None:
                place, checkpointer, store = self._source.open()
                self._opened = _Parts(place, checkpointer, store, Records(place))
            return self._opened

    async def _run(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        if self._opened is None:
            await asyncio.to_thread(self._open)  # not on the event loop: it may have a file to make
        return await self._parts.place.worker.run(function, *args, **kwargs)


def open_persistence(url: str | os.PathLike[str], *, allow: Iterable[type | tuple[str, str]] = ()) -> Persistence:
    """Return the place that `url` names, as a context manager for `with` and for `async with`.

    - `sqlite:///relative.db`, `sqlite:////absolute.db`, or a path ending in `.db`: one file, made with its folders if
      it is missing, readable by this user only. Settings: `?synchronous=FULL` (a commit survives a crash of the
      machine, not only of the process; slower) and `?timeout=30` (seconds to wait for another process that writes).
    - `memory:` ends with the process.
    - `postgresql://user@host/database`: a server; `pip install "orchestra-agents[postgres]"`. The tables go to the
      first schema of the connection's search path.

    Args:
        url: One of these, or a path of any name as a `Path`.
        allow: Classes, or `(module, name)`, that a graph of your own keeps in its state. Messages and plain data need
            no mention. What is not mentioned comes back as plain data.

    Raises:
        ConfigurationError: The URL has another form; or, when it is opened, the package for it is not installed.
    """
    return Persistence(read_url(url, StrictSerializer(allow)))


def _valid(thread: str) -> str:
    return thread_of({"configurable": {"thread_id": thread}})
