"""JSON in a column of text: written without secrets, and read without believing that it is what was written."""

from __future__ import annotations

import json
from typing import Any, TypeVar

from state.errors import StorageCorrupt
from state.redaction import redact, redacted

T = TypeVar("T")

_REMEDY = "Restore the database from a backup, or delete this thread."


def write_json(value: Any) -> str:
    """Return plain data as JSON, without secrets; what JSON does not know becomes text."""
    return json.dumps(redacted(value, stored=True), ensure_ascii=False, default=lambda other: redact(str(other)))


def read_json(text: Any, kind: type[T], what: str) -> T:
    """Return what a column holds.

    Args:
        text: The column.
        kind: What it has to be; `object` for anything.
        what: What it is, for the error: `"an event"`.

    Raises:
        StorageCorrupt: It is no JSON, or of another kind.
    """
    try:
        value = json.loads(text)
    except (ValueError, TypeError, RecursionError) as error:
        raise StorageCorrupt(f"{what} in the database cannot be decoded", remedy=_REMEDY) from error
    return read(value, kind, what)


def read(value: Any, kind: type[T] | tuple[type, ...], what: str) -> T:
    """Return the value of a column of a kind.

    Raises:
        StorageCorrupt: It is of another kind.
    """
    if not isinstance(value, kind):
        raise StorageCorrupt(f"{what} in the database is a {type(value).__name__}", remedy=_REMEDY)
    return value  # type: ignore[return-value]  # of one of the kinds
