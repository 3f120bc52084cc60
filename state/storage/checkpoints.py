"""Look after the checkpoints of a database: copy, fork, prune, delete a run, and notice what is missing.

LangGraph's server asks this of a saver. It is the same for every database, in plain SQL, and mindful of conversations
that are stored as writes.
"""

# ruff: noqa: S608 - table and column names are our own constants, and every value is a parameter

from __future__ import annotations

import builtins
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar, cast

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import ChannelVersions, Checkpoint, CheckpointMetadata, DeltaChannelHistory
from langgraph.checkpoint.serde.types import INTERRUPT

from state.errors import ConfigurationError, StorageCorrupt, ThreadExists
from state.storage.columns import read, read_json
from state.storage.copying import past_of
from state.storage.guards import GuardedSaver, thread_of
from state.storage.place import Execute, Place
from state.storage.pruning import Lineage, Removal, delta_channels, removable
from state.storage.recorder import recorder_of


class KeptSaver(GuardedSaver):
    """A guarded saver with maintenance.

    `place` and the class variables are set by the class that uses it.
    """

    place: Place
    tables: ClassVar[Mapping[str, str]]
    """Each table of the saver, with its columns after `thread_id`."""
    run_id: ClassVar[str]
    """The SQL that finds the run in a checkpoint's metadata."""

    def put(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        """Store a checkpoint, and before it what happened, and return the config that names it."""
        with self._recording(thread_of(config)):
            return super().put(config, checkpoint, metadata, new_versions)

    def put_writes(
        self, config: RunnableConfig, writes: Sequence[tuple[str, Any]], task_id: str, task_path: str = ""
    ) -> None:
        """Store what a task wrote, and before it what happened."""
        with self._recording(thread_of(config)):
            super().put_writes(config, writes, task_id, task_path)

    @contextmanager
    def _recording(self, thread: str) -> Iterator[None]:
        """Store the events of a thread that wait, at the latest with what is stored within."""
        if (recorder := recorder_of(self.place, thread)) is not None:
            recorder.flush()
        yield

    def get_delta_channel_history(
        self, *, config: RunnableConfig, channels: Sequence[str]
    ) -> Mapping[str, DeltaChannelHistory]:
        """Return the stored writes that rebuild each channel."""
        histories = super().get_delta_channel_history(config=config, channels=channels)
        if any("seed" not in history for history in histories.values()):
            self._refuse_broken_chain(config)
        return histories

    def copy_thread(self, source_thread_id: str, target_thread_id: str) -> None:
        """Copy all checkpoints and writes of a thread to another; what the target has already, stays."""
        with self._guard(target_thread_id), self.place.transaction(write=True) as execute:
            for table, columns in self.tables.items():
                execute(
                    f"INSERT INTO {table} (thread_id, {columns}) SELECT ?, {columns} FROM {table} "
                    "WHERE thread_id = ? ON CONFLICT DO NOTHING",
                    (target_thread_id, source_thread_id),
                )

    def fork(self, thread: str, to: str, at: str, also: Callable[[Execute], None]) -> None:
        """Copy the past of a checkpoint to a new thread.

        Args:
            thread: Thread id.
            to: Id of the new one.
            at: Id of a checkpoint of the root graph.
            also: What else makes the new thread, in the same transaction.

        Raises:
            ThreadExists: There is a thread `to`.
        """
        with self._reading(thread):
            past = past_of(self.lineages(thread), at)
        with self._guard(to), self.place.transaction(write=True) as execute:
            if execute("SELECT 1 FROM checkpoints WHERE thread_id = ? LIMIT 1", (to,)):
                raise ThreadExists(to, self.location)
            for namespace, each in past.checkpoints:
                self._copy(execute, (to, thread, namespace, each), bare=past.bare == (namespace, each))
            also(execute)

    def prune(self, thread_ids: Sequence[str], *, strategy: str = "keep_latest") -> None:
        """Delete all but the latest checkpoint of each namespace, and what it is rebuilt from; or all (`"delete"`)."""
        if strategy not in ("keep_latest", "delete"):
            raise ConfigurationError(f"prune: strategy must be 'keep_latest' or 'delete', got {strategy!r}")
        for thread in thread_ids:
            if strategy == "delete":
                self.delete_thread(thread)
            else:
                self.keep(thread, lambda rank, _: rank == 0)

    def delete_for_runs(self, run_ids: Sequence[str]) -> None:
        """Delete the checkpoints that these runs made, but for those that a later checkpoint is rebuilt from."""
        wanted = set(run_ids)
        with self._guard(None), self.place.transaction(write=False) as execute:
            found = [
                execute(f"SELECT DISTINCT thread_id FROM checkpoints WHERE {self.run_id} = ?", (run,)) for run in wanted
            ]
        for thread in {thread for rows in found for (thread,) in rows}:
            self.keep(thread, lambda _, lineage: lineage.metadata.get("run_id") not in wanted)

    def keep(self, thread: str, wanted: Callable[[int, Lineage], bool], *, dry_run: bool = False) -> int:
        """Delete the checkpoints of a thread that are not wanted nor needed by one that is.

        A run that goes on meanwhile is safe. Forking from a checkpoint that is being deleted is not.

        Args:
            thread: Thread id.
            wanted: Whether to keep a checkpoint, given its rank in its namespace (0 is the latest).
            dry_run: Only count them.

        Returns:
            How many were deleted.
        """
        with self._reading(thread):
            lineages = self.lineages(thread)
            deltas = delta_channels(lineages)
            removals = removable(lineages, wanted, lambda each: self._unstored(thread, each, deltas))
        if removals and not dry_run:
            with self._guard(thread), self.place.transaction(write=True) as execute:
                for namespace, removal in removals.items():
                    self._delete(execute, thread, namespace, removal)
        return sum(len(removal.ids) for removal in removals.values())

    def waits(self, thread: str) -> bool:
        """Whether somebody is asked something in a thread."""
        found = self.get_tuple({"configurable": {"thread_id": thread}})
        return any(channel == INTERRUPT for _, channel, _ in (found and found.pending_writes) or ())

    def _delete(self, execute: Execute, thread: str, namespace: str, removal: Removal) -> None:
        where = "WHERE thread_id = ? AND checkpoint_ns = ? AND checkpoint_id = ?"
        for table, columns in self.tables.items():
            if "checkpoint_id" in columns:
                for each in removal.ids:
                    execute(f"DELETE FROM {table} {where}", (thread, namespace, each))
        for each in removal.orphans:
            execute(f"UPDATE checkpoints SET parent_checkpoint_id = NULL {where}", (thread, namespace, each))

    def _copy(self, execute: Execute, names: tuple[str, str, str, str], *, bare: bool) -> None:
        """Copy a checkpoint and, unless `bare`, what was written after it; names: to, thread, namespace, id."""
        for table, columns in self.tables.items():
            if "checkpoint_id" in columns and not (bare and table != "checkpoints"):
                execute(
                    f"INSERT INTO {table} (thread_id, {columns}) SELECT ?, {columns} FROM {table} "
                    "WHERE thread_id = ? AND checkpoint_ns = ? AND checkpoint_id = ?",
                    names,
                )

    def lineages(self, thread: str) -> builtins.list[Lineage]:
        """Return where each checkpoint of a thread stands among the others, without its state."""
        columns = "checkpoint_ns, checkpoint_id, parent_checkpoint_id, metadata"
        with self.place.transaction(write=False) as execute:
            rows = execute(f"SELECT {columns} FROM checkpoints WHERE thread_id = ?", (thread,))
        return [_lineage(row) for row in rows]

    def _unstored(self, thread: str, lineage: Lineage, deltas: set[str]) -> set[str]:
        found = deltas and super().get_tuple(_config(thread, lineage.namespace, lineage.id))
        if not found:
            return set()
        return (deltas & set(found.checkpoint["channel_versions"])) - set(found.checkpoint["channel_values"])

    def _newest(self, thread: str, namespace: str) -> str | None:
        with self.place.transaction(write=False) as execute:
            query = "SELECT max(checkpoint_id) FROM checkpoints WHERE thread_id = ? AND checkpoint_ns = ?"
            return cast("str | None", execute(query, (thread, namespace))[0][0])

    def _refuse_broken_chain(self, config: RunnableConfig) -> None:
        """Return if all ancestors of a checkpoint are there, back to the first.

        A conversation that lost its beginning would look like a short one.
        """
        thread, namespace = thread_of(config), config["configurable"].get("checkpoint_ns", "")
        start = config["configurable"].get("checkpoint_id") or self._newest(thread, namespace)
        if start is None:
            return
        parent = (
            "SELECT coalesce(parent_checkpoint_id, '') FROM checkpoints "
            "WHERE thread_id = ? AND checkpoint_ns = ? AND checkpoint_id"
        )
        query = f"""
            WITH RECURSIVE chain(id, parent) AS (
                SELECT ?, ({parent} = ?) UNION SELECT parent, ({parent} = chain.parent) FROM chain WHERE parent <> ''
            ) SELECT id FROM chain WHERE parent IS NULL"""
        with self._guard(thread), self.place.transaction(write=False) as execute:
            missing = execute(query, (start, thread, namespace, start, thread, namespace))
            if missing and missing[0][0] != start:
                raise StorageCorrupt(
                    f"checkpoint {missing[0][0]!r} is missing", remedy="Restore the database from a backup."
                )


def _lineage(row: tuple[Any, ...]) -> Lineage:
    namespace, each, parent, metadata = row
    for name in (namespace, each, parent or ""):
        read(name, str, "the name of a checkpoint")
    known = (
        metadata if isinstance(metadata, dict) else read_json(metadata or "{}", dict, "what is known of a checkpoint")
    )
    return Lineage(namespace, each, parent, known)


def _config(thread: str, namespace: str, checkpoint_id: str) -> RunnableConfig:
    return {"configurable": {"thread_id": thread, "checkpoint_ns": namespace, "checkpoint_id": checkpoint_id}}
