"""Turn values into bytes and back, believing nothing that was stored.

What a database gives back may have been damaged or forged. Only the library's list of plain types and messages is
constructed, plus what the caller allows; anything else comes back as the plain data it was made of. A checksum behind
each value finds flipped bits, which would otherwise decode into a slightly different conversation.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from typing import Any

from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer

from state.errors import StorageCorrupt

KINDS = frozenset({"null", "bytes", "bytearray", "msgpack"})
"""What is read. Not "json" and "pickle": those construct objects, and nothing here writes them."""

_MARK = b"\xc1orc"
"""Begins the eight bytes behind a value: the mark and its CRC-32. 0xc1 is the byte that msgpack never uses, and its
readers stop before it, so LangGraph's own savers read these values too."""

_REMEDY = "Restore the file from a backup, or delete this thread."


class StrictSerializer(JsonPlusSerializer):
    """Serialize with msgpack, a closed list of types and a checksum.

    Args:
        allow: Further types that may be constructed, as classes or `(module, name)`: what a graph of your own keeps
            in state.
    """

    def __init__(self, allow: Iterable[type | tuple[str, ...]] = ()) -> None:
        super().__init__(allowed_msgpack_modules=tuple(allow) or None)

    def dumps_typed(self, obj: Any) -> tuple[str, bytes]:
        """Return the kind of `obj` and its bytes."""
        kind, data = super().dumps_typed(obj)
        return (kind, data + _footer(data)) if kind == "msgpack" else (kind, data)

    def loads_typed(self, data: tuple[str, bytes]) -> Any:
        """Return the value.

        Raises:
            StorageCorrupt: For bytes that were not written by a serializer like this one, or changed since.
        """
        kind, blob = data
        if kind not in KINDS or not isinstance(blob, bytes | memoryview):
            raise StorageCorrupt(f"a stored value of unknown kind {kind!r}", remedy=_REMEDY)
        blob = bytes(blob)
        if kind == "msgpack" and blob[-8:-4] == _MARK:
            blob, footer = blob[:-8], blob[-8:]
            if footer != _footer(blob):
                raise StorageCorrupt("a stored value does not match its checksum", remedy=_REMEDY)
        try:
            return super().loads_typed((kind, blob))
        except Exception as error:
            raise StorageCorrupt(
                f"a stored value cannot be decoded ({type(error).__name__})", remedy=_REMEDY
            ) from error


def _footer(data: bytes) -> bytes:
    return _MARK + zlib.crc32(data).to_bytes(4, "big")
