"""Make a sync checkpoint saver safe to depend on, whatever database is under it.

Errors name the database, the thread and the remedy; threads without an id are refused; a damaged checkpoint is never
handed out; and ids only increase.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import (
    ChannelVersions,
    Checkpoint,
    CheckpointMetadata,
    CheckpointTuple,
    DeltaChannelHistory,
)
from langgraph.checkpoint.serde.types import ERROR, RESUME

from state.errors import InvalidThreadId, OrchestraError, PersistenceError, StorageCorrupt
from state.redaction import kinds_here, redacted, redacting
from state.run import run_of
from state.storage.clock import observe
from state.storage.doors import AsyncDoor

_NAMES = ("thread_id", "checkpoint_id", "checkpoint_ns")
"""What a checkpoint is found by."""
_ERRORS = "__error"
"""What the names of the channels begin with in which a task's failure stands."""
_DAMAGE = (AttributeError, TypeError, LookupError, RecursionError, ValueError)
"""What the library's reading code raises when a stored value has another shape than it expects."""


class GuardedSaver(AsyncDoor):
    """Guards around the sync saver that follows it among the base classes.

    `location` and `worker` are set by the class that uses it.
    """

    location: str
    """Database, as errors name it: file, or URL without password."""

    def get_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        """Return a checkpoint, the latest of the thread if the config names none."""
        thread = thread_of(config)
        with self._reading(thread):
            found = super().get_tuple(config)
            if found is None:
                return None
            if config["configurable"].get("checkpoint_id"):
                # Going on from an old checkpoint: the new one must still come after all others.
                observe(self._newest(thread, config["configurable"].get("checkpoint_ns", "")) or "")
            observe(found.config["configurable"]["checkpoint_id"])
            return _checked(found)

    def list(
        self,
        config: RunnableConfig | None,
        *,
        filter: dict[str, Any] | None = None,
        before: RunnableConfig | None = None,
        limit: int | None = None,
    ) -> Iterator[CheckpointTuple]:
        """Return checkpoints, newest first. They are read at once: a reader who stops midway holds no lock."""
        thread = None if config is None else thread_of(config)
        with self._reading(thread):
            # All of them before the first is checked: a generator left in the middle by an error would keep the lock.
            found = [*super().list(config, filter=filter, before=before, limit=limit)]
            return iter([_checked(each) for each in found])

    def get_delta_channel_history(
        self, *, config: RunnableConfig, channels: Sequence[str]
    ) -> Mapping[str, DeltaChannelHistory]:
        """Return the stored writes that rebuild each channel."""
        with self._reading(thread_of(config)):
            return super().get_delta_channel_history(config=config, channels=channels)

    def put(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        """Store a checkpoint and return the config that names it.

        Raises:
            PersistenceError: The checkpoint would sort before its parent, where no later turn would see it.
        """
        thread = thread_of(config)
        parent = config["configurable"].get("checkpoint_id")
        with self._guard(thread), redacting(_kinds_of(config)):
            if parent and checkpoint["id"] <= parent:
                raise PersistenceError(
                    f"checkpoint {checkpoint['id']} would be older than {parent}, which it follows",
                    remedy="Read the thread through this saver before writing to it, and check the clock.",
                )
            return super().put(_without_secrets(config), _plain(checkpoint), redacted(metadata), new_versions)

    def put_writes(
        self, config: RunnableConfig, writes: Sequence[tuple[str, Any]], task_id: str, task_path: str = ""
    ) -> None:
        """Store what a task wrote; of one that was broken off or failed only that, and what people have answered it.

        A node that is cancelled between its update and its edges has written half. LangGraph stores the half beside the
        error, and takes the node for done when the thread is taken up again, which then ends without a word.
        """
        if any(channel == ERROR and isinstance(value, BaseException) for channel, value in writes):
            writes = [(channel, value) for channel, value in writes if channel.startswith(_ERRORS) or channel == RESUME]
        with self._guard(thread_of(config)), redacting(_kinds_of(config)):
            super().put_writes(config, writes, task_id, task_path)

    def delete_thread(self, thread_id: str) -> None:
        """Delete the checkpoints and writes of a thread."""
        with self._guard(thread_id):
            super().delete_thread(thread_id)

    def _newest(self, thread: str, namespace: str) -> str | None:
        """Return the id of the latest checkpoint."""
        latest = super().get_tuple({"configurable": {"thread_id": thread, "checkpoint_ns": namespace}})
        return latest.config["configurable"]["checkpoint_id"] if latest else None

    @contextmanager
    def _guard(self, thread: str | None) -> Iterator[None]:
        """Complete every storage error with the database and the thread."""
        try:
            yield
        except PersistenceError as fault:
            if fault.location and fault.thread:
                raise
            raise type(fault)(
                fault.message, location=self.location, thread=thread, remedy=fault.remedy
            ) from fault.__cause__

    @contextmanager
    def _reading(self, thread: str | None) -> Iterator[None]:
        """Complete storage errors, and take what surprises the library's reading code for damage."""
        with self._guard(thread):
            try:
                yield
            except OrchestraError:
                raise
            except _DAMAGE as error:
                raise StorageCorrupt(
                    f"a stored checkpoint has another shape than expected ({type(error).__name__})",
                    remedy="Restore the database from a backup, or delete this thread.",
                ) from error


def thread_of(config: RunnableConfig) -> str:
    """Return the thread that a config names.

    Raises:
        InvalidThreadId: For anything but a text with something in it: all who forget it would share one thread.
    """
    thread = (config.get("configurable") or {}).get("thread_id")
    if not isinstance(thread, str) or not thread.strip() or not _is_storable(thread):
        raise InvalidThreadId(
            f"thread id: expected a non-empty string that UTF-8 can encode, without NUL, got {thread!r}; "
            'pass config={"configurable": {"thread_id": "..."}}',
            thread=thread,
        )
    return thread


def _is_storable(thread: str) -> bool:
    """Whether every database tells an id from all others: none can be stored with half a character, and not all with NUL."""
    return "\x00" not in thread and not any("\ud800" <= sign <= "\udfff" for sign in thread)


def _kinds_of(config: RunnableConfig) -> Sequence[str]:
    """Return the kinds of personal data that the run which stores something wants taken out."""
    run = run_of(config)
    return run.context.redact if run is not None else kinds_here()


def _without_secrets(config: RunnableConfig) -> RunnableConfig:
    """Return a config whose values, which LangGraph copies into a checkpoint's metadata, hold no secrets; names stay."""
    changed: dict[str, Any] = {}
    for part in ("configurable", "metadata"):
        values: Mapping[str, Any] = config.get(part) or {}  # type: ignore[assignment]  # one of two keys
        texts = {key: value for key, value in values.items() if isinstance(value, str) and key not in _NAMES}
        if (new := redacted(texts)) is not texts:
            changed[part] = {key: value for key, value in values.items() if key not in texts} | new
    return RunnableConfig(**{**config, **changed}) if changed else config  # type: ignore[typeddict-item]  # the same keys


def _plain(checkpoint: Checkpoint) -> Checkpoint:
    """Return a checkpoint whose texts, which some savers store beside the serialized values, hold no secrets."""
    values = checkpoint["channel_values"]
    texts = {key: value for key, value in values.items() if isinstance(value, str)}
    new = redacted(texts, stored=True)
    return checkpoint if new is texts else {**checkpoint, "channel_values": {**values, **new}}


def _checked(found: CheckpointTuple) -> CheckpointTuple:
    """Return `found` if the loop can work with it."""
    checkpoint: Any = found.checkpoint
    metadata: Any = found.metadata
    sound = (
        isinstance(checkpoint, dict)
        and isinstance(metadata, dict)
        and isinstance(metadata.get("step"), int)
        and checkpoint.get("id") == found.config["configurable"]["checkpoint_id"]
        and all(
            isinstance(checkpoint.get(key), dict) for key in ("channel_values", "channel_versions", "versions_seen")
        )
    )
    if not sound:
        raise StorageCorrupt("a stored checkpoint is incomplete", remedy="Restore the database, or delete this thread.")
    return found
