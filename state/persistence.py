"""Open one place that keeps everything, from a URL: checkpoints, long-term memory, and the records of runs."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable, Iterable
from datetime import timedelta
from typing import Any, NamedTuple, ParamSpec, Self, TypeVar

from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.store.base import BaseStore

from state.audit import Draft, Record
from state.errors import StorageUnavailable, ThreadBusy, ThreadExists
from state.events import Event
from state.loop import run_sync
from state.storage.audit import Trail
from state.storage.checkpoints import KeptSaver
from state.storage.copying import fork_begun
from state.storage.grants import GrantTable
from state.storage.guards import thread_of
from state.storage.items import copy_results, forget_results
from state.storage.ledger import Ledger
from state.storage.locks import thread_held
from state.storage.place import Place
from state.storage.pruning import Lineage
from state.storage.records import RecordedEvent, Records
from state.storage.retention import Pruned as Pruned
from state.storage.retention import Retention
from state.storage.schema import forget
from state.storage.serde import StrictSerializer
from state.storage.url import Source, read_url

P = ParamSpec("P")
T = TypeVar("T")


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

    def keeps(self, checkpointer: object) -> bool:
        """Whether a checkpointer is of this place: then the runs of a `Pattern` with it are recorded here by themselves."""
        return getattr(checkpointer, "place", None) is self._parts.place

    @property
    def records(self) -> Records:
        """What happened in all threads: the latest events, and those of some kinds in the order of recording."""
        return self._parts.records

    @property
    def trail(self) -> Trail:
        """Audit trail of all threads: one record for each effect, approval, denial, handoff and consultation."""
        return Trail(self._parts.place)

    async def aaudit(self, draft: Draft) -> Record:
        """Write an audit record and return it; one that is there already is returned as it is."""
        return await self._run(lambda: self.trail.append(draft))

    @property
    def grants(self) -> GrantTable:
        """Grants that agents gave each other: which were used, and the way to revoke one."""
        return GrantTable(self._parts.place)

    def events(self, thread_id: str, *, after: int = 0) -> list[RecordedEvent]:
        """Return the events of a thread in the order of their recording, those with an `id` above `after`."""
        return self._parts.records.events(_valid(thread_id), after=after)

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
        return self._parts.records.thread(_valid(thread_id))

    async def athread(self, thread_id: str) -> dict[str, Any] | None:
        """Return one thread as `threads` does, or None if there is no such thread."""
        return await self._run(self.thread, thread_id)

    def lineage(self, thread_id: str) -> list[Lineage]:
        """Return the checkpoints of a thread's root graph without their state, the first one first."""
        found = self._parts.checkpointer.lineages(_valid(thread_id))
        return sorted((each for each in found if not each.namespace), key=lambda each: each.id)

    async def alineage(self, thread_id: str) -> list[Lineage]:
        """Return the checkpoints of a thread's root graph; see `lineage`."""
        return await self._run(self.lineage, thread_id)

    def fork_thread(self, thread_id: str, to: str, *, at: str, **facts: Any) -> None:
        """Copy the past of a checkpoint to a new thread: state, nested graphs, large results, guidance, which effects happened.

        Args:
            thread_id: Thread, which nobody may run meanwhile.
            to: Id of the new one.
            at: Id of a checkpoint of its root graph.
            facts: About the new thread; see `note_thread`.

        Raises:
            ThreadExists: There is a thread `to`.
        """
        parts = self._parts
        if parts.records.thread(_valid(to)) is not None:
            raise ThreadExists(to, self.location)
        copy_results(parts.store, _valid(thread_id), to)
        # First: what a fork does not know of, it would do again. Without their thread these rows mean nothing.
        Ledger(parts.place).copy(_valid(thread_id), to)
        also = fork_begun(self.lineage(thread_id), at, thread_id, to, facts)
        parts.checkpointer.fork(_valid(thread_id), to, at, also)

    async def afork_thread(self, thread_id: str, to: str, *, at: str, **facts: Any) -> None:
        """Copy the past of a checkpoint to a new thread; see `fork_thread`."""
        await self._run(self.fork_thread, thread_id, to, at=at, **facts)

    def delete_thread(self, *thread_ids: str) -> None:
        """Delete threads with all that is kept of them, and give the space back.

        What their agents put into long-term memory stays, and what the audit trail says of them, which holds no contents.

        Raises:
            ThreadBusy: One of them is being run; those named before it are gone, it and the others are not.
        """
        run_sync(self.adelete_thread(*thread_ids))

    async def adelete_thread(self, *thread_ids: str) -> None:
        """Delete threads; see `delete_thread`."""
        await self._run(self._open)
        for thread in map(_valid, thread_ids):
            async with thread_held(self.checkpointer, thread):
                await self._run(self._delete, thread)
        await self._run(self._parts.place.shrink, thorough=False)

    def prune(
        self,
        *,
        keep_last: int | None = None,
        older_than: timedelta | None = None,
        threads_older_than: timedelta | None = None,
        dry_run: bool = False,
    ) -> Pruned:
        """Delete old checkpoints of all threads, and old threads where that is asked for, and give the space back.

        Threads can be read and resumed as before, and forked at what is left. Besides the checkpoints kept, those stay
        that a conversation is rebuilt from, back to its last whole copy. Rewrites the file: for a quiet moment.

        Args:
            keep_last: How many checkpoints of each graph of a thread stay, at least 1; 1 by default, and all of them where
                only `threads_older_than` is given.
            older_than: Delete only checkpoints that are older than this.
            threads_older_than: Delete threads that were last used longer ago, with all that belongs to them, but none that
                waits for a person or is being run.
            dry_run: Delete nothing, and return what would be deleted.

        Raises:
            ConfigurationError: `keep_last` is below 1, or an age is negative.
        """
        return run_sync(
            self.aprune(
                keep_last=keep_last, older_than=older_than, threads_older_than=threads_older_than, dry_run=dry_run
            )
        )

    async def aprune(
        self,
        *,
        keep_last: int | None = None,
        older_than: timedelta | None = None,
        threads_older_than: timedelta | None = None,
        dry_run: bool = False,
    ) -> Pruned:
        """Delete old checkpoints and threads; see `prune`."""
        await self._run(self._open)
        retention = Retention(keep_last, older_than, threads_older_than)
        before, threads, waiting, checkpoints = await self._run(self._parts.place.size), 0, 0, 0
        for each in await self.athreads():
            thread = each["thread"]
            if retention.is_over(each["updated"]):
                if await self._run(self._parts.checkpointer.waits, thread):
                    waiting += 1
                elif await self._delete_unless_held(thread, dry_run=dry_run):
                    threads += 1
                    continue
            checkpoints += await self._run(self._parts.checkpointer.keep, thread, retention.keeps, dry_run=dry_run)
        if not dry_run:
            await self._run(self._parts.place.shrink, thorough=True)
        freed = before - await self._run(self._parts.place.size)
        return Pruned(checkpoints, max(freed, 0), threads, waiting)

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

    def __exit__(self, *raised: object) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        await asyncio.to_thread(self._open)
        return self

    async def __aexit__(self, *raised: object) -> None:
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

    def _delete(self, thread: str) -> None:
        forget_results(self._parts.store, thread)
        self._parts.checkpointer.delete_thread(thread)
        with self._parts.place.transaction(write=True) as execute:
            forget(execute, thread)

    async def _delete_unless_held(self, thread: str, *, dry_run: bool) -> bool:
        try:
            async with thread_held(self.checkpointer, thread):
                if not dry_run:
                    await self._run(self._delete, thread)
        except ThreadBusy:
            return False
        return True

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
