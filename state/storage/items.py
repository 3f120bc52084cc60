"""Items of the store: those of long-term memory, without secrets, and those that belong to a thread."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator

from langgraph.store.base import BaseStore, Item, Op, PutOp

from state.redaction import redacted

_AT_ONCE = 10
"""Items that are read at once; one may have megabytes."""


def without_secrets(ops: Iterable[Op]) -> list[Op]:
    """Return the operations of a store, with nothing secret in what they put there."""
    return [
        op._replace(value=redacted(op.value)) if isinstance(op, PutOp) and op.value is not None else op for op in ops
    ]


def results_of(thread: str) -> tuple[str, ...]:
    """Return the namespace of a thread's large results: nobody reads those of another one."""
    return ("orchestra", "results", hashlib.sha256(thread.encode("utf-8", "replace")).hexdigest()[:32])


def copy_results(store: BaseStore, thread: str, to: str) -> None:
    """Keep the large results of a thread for another one too."""
    for item in _items(store, results_of(thread)):
        store.put(results_of(to), item.key, item.value, index=False)


def forget_results(store: BaseStore, thread: str) -> None:
    """Delete the large results of a thread."""
    for item in list(_items(store, results_of(thread))):
        store.delete(item.namespace, item.key)


def _items(store: BaseStore, namespace: tuple[str, ...]) -> Iterator[Item]:
    start = 0
    while found := store.search(namespace, limit=_AT_ONCE, offset=start):
        yield from found
        start += len(found)
