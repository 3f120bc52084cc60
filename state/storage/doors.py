"""Async methods for a checkpoint saver that only has sync ones, usable from any event loop.

The stock `SqliteSaver` and `PostgresSaver` have no async methods, and the stock async ones belong to the loop they were
made on. Running the sync methods in threads of our own suits a call from a script, from a running loop and from several
loops alike, and costs one thread hop per call.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, ParamSpec, TypeVar

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import (
    BaseCheckpointSaver,
    ChannelVersions,
    Checkpoint,
    CheckpointMetadata,
    CheckpointTuple,
    DeltaChannelHistory,
)

from state.errors import StorageUnavailable
from state.run import run_of

P = ParamSpec("P")
T = TypeVar("T")


class Worker:
    """Threads of our own for blocking calls: at most `count` at a time, in the order they were made."""

    def __init__(self, count: int = 1) -> None:
        self._pool = ThreadPoolExecutor(count, thread_name_prefix="orchestra-storage")

    async def run(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Return what `function` returns. Cancelling the wait does not stop a call that has begun."""
        try:
            future = self._pool.submit(function, *args, **kwargs)
        except RuntimeError as error:
            raise StorageUnavailable("the storage is closed", remedy="Open it again.") from error
        return await asyncio.wrap_future(future)

    def close(self) -> None:
        """Wait for the calls that were made, and end the threads."""
        self._pool.shutdown()


class AsyncDoor(BaseCheckpointSaver[Any]):
    """Async methods over the sync ones. Comes before the sync saver among the base classes.

    `worker` is set by the class that uses it.
    """

    worker: Worker

    async def aget_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        """Return a checkpoint, the latest of the thread if the config names none."""
        return await self.worker.run(self.get_tuple, config)

    async def alist(
        self,
        config: RunnableConfig | None,
        *,
        filter: dict[str, Any] | None = None,
        before: RunnableConfig | None = None,
        limit: int | None = None,
    ) -> AsyncIterator[CheckpointTuple]:
        """Yield checkpoints, newest first; read before the first is yielded."""

        def read() -> list[CheckpointTuple]:
            return list(self.list(config, filter=filter, before=before, limit=limit))

        for found in await self.worker.run(read):
            yield found

    async def aput(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        """Store a checkpoint and return the config that names it."""
        return await self.worker.run(self.put, config, checkpoint, metadata, new_versions)

    async def aput_writes(
        self, config: RunnableConfig, writes: Sequence[tuple[str, Any]], task_id: str, task_path: str = ""
    ) -> None:
        """Store what a task wrote. A run whose results cannot be stored is told at once."""
        try:
            await self.worker.run(self.put_writes, config, writes, task_id, task_path)
        except Exception as error:
            if (run := run_of(config)) is not None:
                run.faults.append(error)
            raise

    async def adelete_thread(self, thread_id: str) -> None:
        """Delete the checkpoints and writes of a thread."""
        await self.worker.run(self.delete_thread, thread_id)

    async def adelete_for_runs(self, run_ids: Sequence[str]) -> None:
        """Delete the checkpoints that these runs made."""
        await self.worker.run(self.delete_for_runs, run_ids)

    async def acopy_thread(self, source_thread_id: str, target_thread_id: str) -> None:
        """Copy all checkpoints and writes of a thread to another."""
        await self.worker.run(self.copy_thread, source_thread_id, target_thread_id)

    async def aprune(self, thread_ids: Sequence[str], *, strategy: str = "keep_latest") -> None:
        """Delete old checkpoints of threads."""
        await self.worker.run(self.prune, thread_ids, strategy=strategy)

    async def aget_delta_channel_history(
        self, *, config: RunnableConfig, channels: Sequence[str]
    ) -> Mapping[str, DeltaChannelHistory]:
        """Return the stored writes that rebuild each channel."""
        return await self.worker.run(self.get_delta_channel_history, config=config, channels=channels)
