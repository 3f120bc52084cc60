"""Merge writes into a conversation: the reducer behind the `messages` channel.

A conversation is stored as the writes that made it (`DeltaChannel`), not as a list in every checkpoint: 400 messages
of 1 KB are 3 MB instead of 100. The value is rebuilt by giving stored writes to the reducer again, in batches
of any size, after a trip through the serializer. So `merge_messages` is a pure left fold over single messages, and it
knows what the trip does: tuples come back as lists, lone surrogates as "?".
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Container, Iterator, Sequence
from typing import Annotated, Any, cast

from langchain_core.messages import (
    AnyMessage,
    BaseMessage,
    BaseMessageChunk,
    RemoveMessage,
    convert_to_messages,
    message_chunk_to_message,
)
from langgraph.channels import DeltaChannel
from langgraph.graph.message import REMOVE_ALL_MESSAGES

from state.errors import ConfigurationError

ROLES = frozenset({"human", "user", "ai", "assistant", "system", "developer", "tool", "function", "remove"})
"""First items that make a sequence of two a `(role, content)` pair."""

_NAMESPACE = uuid.UUID("8d9e2f0a-54f5-5c0b-9a60-3e1f7f2f6c11")


def merge_messages(state: list[AnyMessage], writes: Sequence[Any]) -> list[AnyMessage]:
    """Merge `writes` into `state`, oldest first, as a new list.

    A write is one message or a list of messages. A message is a `str` (human), a `(role, content)` pair, an
    OpenAI or LangChain dict, a `BaseMessage` or a chunk of one (kept as a plain message). `None` is an empty write.

    A message whose id is in the conversation replaces that message in place; any other is appended.
    `RemoveMessage(id)` takes one out, `RemoveMessage(REMOVE_ALL_MESSAGES)` everything before it. Removing an id that
    is not there does nothing, unlike in `add_messages`: the same removal may come twice (two branches summarise), and
    a reducer that raised on a stored write would make the thread unreadable for good.

    Laws:
        - batching: `merge(merge(s, xs), ys) == merge(s, xs + ys)`; identity: no writes.
        - every message has an id, unique in the conversation, which never changes afterwards.
        - deterministic: equal states and writes give equal ids, before and after storage. See `_derived_id`.

    Args:
        state: The conversation so far. Raw messages in it (an `Overwrite`, a thread of another channel type) are
            merged first.
        writes: What was written, oldest first. Two items, a role name and a text or a list of content blocks, are a
            pair, be it as a tuple or as a list.

    Raises:
        ConfigurationError: For a value that is not a message.
    """
    merged: list[BaseMessage | None]
    if _is_plain(state):
        merged, pending = list(state), _flat(writes)
    else:
        merged, pending = [], _flat([list(state), *writes])
    position = {message.id: at for at, message in enumerate(merged) if message is not None}
    for message in pending:
        if isinstance(message, RemoveMessage):
            _remove(message, merged, position)
        elif message.id and message.id in position:
            merged[position[message.id]] = message
        else:
            kept = message if message.id else _identified(message, merged, position)
            position[kept.id] = len(merged)
            merged.append(kept)
    return cast("list[AnyMessage]", [message for message in merged if message is not None])


SNAPSHOT_EVERY = 125
"""Updates between two whole copies of a channel. Fewer make a long thread smaller; pruning keeps all since the last one."""

Messages = Annotated[list[AnyMessage], DeltaChannel(merge_messages, snapshot_frequency=SNAPSHOT_EVERY)]
"""A conversation in a state schema: `messages: Messages`."""


def _is_plain(state: Sequence[Any]) -> bool:
    """Tell whether `state` is what this reducer returns, looking at its few distinct types and at its ids."""
    for kind in set(map(type, state)):
        if not issubclass(kind, BaseMessage) or issubclass(kind, (BaseMessageChunk, RemoveMessage)):
            return False
    ids = {message.id for message in state}
    return len(ids) == len(state) and ids.isdisjoint({None, ""})


def _flat(writes: Sequence[Any]) -> Iterator[BaseMessage]:
    for write in writes:
        if write is None:
            continue
        several = isinstance(write, list | tuple) and not _is_pair(write)
        for item in write if several else (write,):
            yield _message(item)


def _is_pair(value: Sequence[Any]) -> bool:
    # Not by tuple or list: a stored tuple comes back as a list, and live and replayed writes must read alike.
    if len(value) != 2 or not isinstance(value[0], str) or value[0] not in ROLES:
        return False
    content = value[1]
    return isinstance(content, str) or (
        isinstance(content, list | tuple) and all(isinstance(block, dict) for block in content)
    )


def _message(item: Any) -> BaseMessage:
    if isinstance(item, BaseMessageChunk):
        return message_chunk_to_message(item)
    if isinstance(item, BaseMessage):
        return item
    try:
        return convert_to_messages([item])[0]
    except (ValueError, TypeError, NotImplementedError, KeyError):
        # Only the type, and not chained: the library's error quotes the value, which may be somebody's prompt.
        raise ConfigurationError(
            "a message must be a str, a (role, content) pair, a dict with 'role' and 'content', or a message; "
            f"got {type(item).__name__}. Return such a value, or a list of them, for the messages channel."
        ) from None


def _remove(removal: RemoveMessage, merged: list[BaseMessage | None], position: dict[str | None, int]) -> None:
    if removal.id == REMOVE_ALL_MESSAGES:
        merged.clear()
        position.clear()
    elif (at := position.pop(removal.id, None)) is not None:
        merged[at] = None


def _identified(
    message: BaseMessage, merged: Sequence[BaseMessage | None], taken: Container[str | None]
) -> BaseMessage:
    previous = next((known.id for known in reversed(merged) if known is not None), None)
    return message.model_copy(update={"id": _derived_id(previous, message, taken)})


def _derived_id(previous: str | None, message: BaseMessage, taken: Container[str | None]) -> str:
    """Derive an id from what comes before the message, from its content, and a number that keeps it unique.

    A random id would be another one at each replay, and nothing could then name the message. All that this id depends
    on is the state that the message is appended to, so any batching gives the same one. Chaining on the previous id,
    rather than on the position, keeps a "yes" after a summary apart from a "yes" that the summary replaced.
    """
    number = 0
    while True:
        name = json.dumps(
            [previous, message.type, message.content, number], default=str, skipkeys=True, ensure_ascii=False
        )
        # What the serializer does to lone surrogates, so that the id is the same after storage.
        derived = str(uuid.uuid5(_NAMESPACE, name.encode("utf-8", "replace").decode()))
        if derived not in taken:
            return derived
        number += 1
