"""Turn values into bytes and back, storing no secret and believing nothing that was stored.

What a database gives back may have been damaged or forged. Only the library's list of plain types and messages is
constructed, plus what the caller allows; anything else comes back as the plain data it was made of. A checksum behind
each value finds flipped bits, which would otherwise decode into a slightly different conversation.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

import ormsgpack
from langgraph.checkpoint.serde.base import SerializerProtocol
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer

from state.errors import ConfigurationError, StorageCorrupt
from state.redaction import redact_blob

KINDS = frozenset({"null", "bytes", "bytearray", "msgpack"})
"""What is read. Not "json" and "pickle": those construct objects, and nothing here writes them."""

_MARK = b"\xc1orc"
"""Begins the eight bytes behind a value: the mark and its CRC-32. 0xc1 is the byte that msgpack never uses, and its
readers stop before it, so LangGraph's own savers read these values too."""

DEEPEST = 64
"""Objects within objects. Each level is copied once more: a thousand of them would make a gigabyte of a megabyte."""
LONGEST_PATTERN = 1_000
"""Characters of the regular expressions in one value: some take minutes to compile."""

_EXTENSIONS = tuple(bytes([code]) for code in (0xC7, 0xC8, 0xC9, 0xD4, 0xD5, 0xD6, 0xD7, 0xD8))
"""Bytes with which an object begins."""
_PATTERN = b"\xa2re\xa7compile"
"""How a regular expression is written."""

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
        """Return the kind of `obj` and its bytes, without secrets."""
        kind, data = super().dumps_typed(obj)
        if _PATTERN in data and _bomb_in(data):
            raise ConfigurationError(
                f"state: expected regular expressions of at most {LONGEST_PATTERN} characters together, got more; keep "
                "their texts, and compile them where they are used"
            )
        data = redact_blob(kind, data)
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
        if kind == "msgpack" and (bomb := _bomb_in(blob)):
            raise StorageCorrupt(f"a stored value {bomb}", remedy=_REMEDY)
        try:
            return super().loads_typed((kind, blob))
        except Exception as error:
            raise StorageCorrupt(
                f"a stored value cannot be decoded ({type(error).__name__})", remedy=_REMEDY
            ) from error


class SecretlessSerializer(SerializerProtocol):
    """Somebody else's serializer, which is given no secrets to store.

    Args:
        inner: What writes and reads.
    """

    def __init__(self, inner: Any) -> None:
        self._inner = inner

    def dumps_typed(self, obj: Any) -> tuple[str, bytes]:
        """Return the kind of `obj` and its bytes, without secrets."""
        kind, data = self._inner.dumps_typed(obj)
        return kind, redact_blob(kind, bytes(data))

    def loads_typed(self, data: tuple[str, bytes]) -> Any:
        """Return the value."""
        return self._inner.loads_typed(data)


class _Look:
    """Looks at the objects in a value without making them."""

    def __init__(self) -> None:
        self.depth, self.patterns, self.found = 0, 0, ""

    def __call__(self, code: int, data: bytes) -> None:  # noqa: ARG002  # the signature of a hook
        """Look into one object."""
        if self.depth >= DEEPEST:
            self.found = f"is nested more than {DEEPEST} objects deep"  # the decoder swallows what is raised here
        if self.found:
            return
        self.depth += 1
        try:
            value = ormsgpack.unpackb(data, ext_hook=self, option=ormsgpack.OPT_NON_STR_KEYS)
        except (ValueError, TypeError):  # found again where it is decoded
            value = None
        self.depth -= 1
        if isinstance(value, list) and len(value) > 2 and value[1] == "compile":
            self.patterns += len(str(value[2]))
        if self.patterns > LONGEST_PATTERN:
            self.found = "holds regular expressions that are too long"


def _bomb_in(blob: bytes) -> str:
    """Return why a value would take more time or memory than there is to be decoded; empty if it would not."""
    if b"compile" not in blob and sum(map(blob.count, _EXTENSIONS)) <= DEEPEST:
        return ""
    look = _Look()
    with suppress(ValueError, TypeError):  # found again where it is decoded
        ormsgpack.unpackb(blob, ext_hook=look, option=ormsgpack.OPT_NON_STR_KEYS)
    return look.found


def _footer(data: bytes) -> bytes:
    return _MARK + zlib.crc32(data).to_bytes(4, "big")
