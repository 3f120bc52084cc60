"""Let any LangGraph checkpointer be used: sync ones get async methods, and the guards that ours have."""

from __future__ import annotations

import copy
import sqlite3
import sys
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import (
    BaseCheckpointSaver,
    ChannelVersions,
    Checkpoint,
    CheckpointMetadata,
    CheckpointTuple,
    DeltaChannelHistory,
)

from state.storage.doors import Worker
from state.storage.faults import fault_of
from state.storage.guards import GuardedSaver
from state.storage.serde import SecretlessSerializer


class _Inner(BaseCheckpointSaver[Any]):
    """The sync methods of another saver, with typed errors for its database."""

    inner: BaseCheckpointSaver[Any]
    writer: BaseCheckpointSaver[Any]
    """The same saver, with a serializer that is given no secrets."""
    location: str

    def get_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        """Return a checkpoint, the latest of the thread if the config names none."""
        with self._errors():
            return self.inner.get_tuple(config)

    def list(
        self,
        config: RunnableConfig | None,
        *,
        filter: dict[str, Any] | None = None,
        before: RunnableConfig | None = None,
        limit: int | None = None,
    ) -> Iterator[CheckpointTuple]:
        """Yield checkpoints, newest first."""
        with self._errors():
            yield from self.inner.list(config, filter=filter, before=before, limit=limit)

    def put(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        """Store a checkpoint and return the config that names it."""
        with self._errors():
            return self.writer.put(config, checkpoint, metadata, new_versions)

    def put_writes(
        self, config: RunnableConfig, writes: Sequence[tuple[str, Any]], task_id: str, task_path: str = ""
    ) -> None:
        """Store what a task wrote."""
        with self._errors():
            self.writer.put_writes(config, writes, task_id, task_path)

    def delete_thread(self, thread_id: str) -> None:
        """Delete the checkpoints and writes of a thread."""
        with self._errors():
            self.inner.delete_thread(thread_id)

    def delete_for_runs(self, run_ids: Sequence[str]) -> None:
        """Delete the checkpoints that these runs made."""
        with self._errors():
            self.inner.delete_for_runs(run_ids)

    def copy_thread(self, source_thread_id: str, target_thread_id: str) -> None:
        """Copy all checkpoints and writes of a thread to another."""
        with self._errors():
            self.inner.copy_thread(source_thread_id, target_thread_id)

    def prune(self, thread_ids: Sequence[str], *, strategy: str = "keep_latest") -> None:
        """Delete old checkpoints of threads."""
        with self._errors():
            self.inner.prune(thread_ids, strategy=strategy)

    def get_delta_channel_history(
        self, *, config: RunnableConfig, channels: Sequence[str]
    ) -> Mapping[str, DeltaChannelHistory]:
        """Return the stored writes that rebuild each channel."""
        with self._errors():
            return self.inner.get_delta_channel_history(config=config, channels=channels)

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise fault_of(error, self.location) from error
        except Exception as error:
            psycopg = sys.modules.get("psycopg")
            if psycopg is None or not isinstance(error, psycopg.Error):
                raise
            from state.storage.postgres import fault_of as postgres_fault_of

            raise postgres_fault_of(error, self.location) from None


class ThreadedSaver(GuardedSaver, _Inner):
    """A saver of somebody else's, guarded, with async methods that run its sync ones in one thread.

    Args:
        inner: A saver whose sync methods may be called from any thread.
        worker: Thread to use; a new one by default.
    """

    def __init__(self, inner: BaseCheckpointSaver[Any], worker: Worker | None = None) -> None:
        super().__init__(serde=inner.serde)
        self.inner, self.worker, self.location = inner, worker or Worker(), _location(inner)
        self.writer = copy.copy(inner)
        self.writer.serde = SecretlessSerializer(inner.serde)

    @property
    def config_specs(self) -> list[Any]:
        """Configuration fields of the saver."""
        return self.inner.config_specs

    def with_allowlist(self, extra_allowlist: Collection[tuple[str, ...]]) -> BaseCheckpointSaver[Any]:
        """Return the same saver with more types that may be constructed."""
        return ThreadedSaver(self.inner.with_allowlist(extra_allowlist), self.worker)

    def get_next_version(self, current: Any, channel: None) -> Any:
        """Return the version that follows `current`."""
        return self.inner.get_next_version(current, channel)


def as_async_saver(saver: BaseCheckpointSaver[Any]) -> BaseCheckpointSaver[Any]:
    """Return a saver whose async methods work: `saver` itself if its own do, else one around it.

    Savers in memory, ours and the stock async ones come back unchanged (the stock async ones keep to the loop they
    were made on). The stock `SqliteSaver` and `PostgresSaver`, and any other saver without async methods, are
    wrapped.
    """
    method = type(saver).aget_tuple
    # The stock SqliteSaver has async methods, which raise. Looked up, not imported: whoever passes one has imported it.
    sqlite = sys.modules.get("langgraph.checkpoint.sqlite")
    without = (BaseCheckpointSaver.aget_tuple, sqlite.SqliteSaver.aget_tuple if sqlite else None)
    return ThreadedSaver(saver) if method in without else saver


def _location(saver: BaseCheckpointSaver[Any]) -> str:
    connection = getattr(saver, "conn", None)
    if isinstance(connection, sqlite3.Connection):
        return str(connection.execute("PRAGMA database_list").fetchone()[2]) or "memory:"
    return type(saver).__name__
