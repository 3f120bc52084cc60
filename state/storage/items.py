"""Items of long-term memory, without secrets."""

from __future__ import annotations

from collections.abc import Iterable

from langgraph.store.base import Op, PutOp

from state.redaction import redacted


def without_secrets(ops: Iterable[Op]) -> list[Op]:
    """Return the operations of a store, with nothing secret in what they put there."""
    return [
        op._replace(value=redacted(op.value)) if isinstance(op, PutOp) and op.value is not None else op for op in ops
    ]
