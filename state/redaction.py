"""Take secrets, and the personal data that a run names, out of texts, plain data and stored bytes.

Secrets always; personal data where `Context.redact` asks for it. What is taken out is replaced by `[redacted]`, or by its kind.
In what is stored the note says that it is not stored: a tool call that comes back from there lacks what it needs.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache
from typing import Any, Protocol, TypeVar

import orjson
from langchain_core.runnables.config import var_child_runnable_config

from state import pii
from state.run import run_of
from state.secrets import SHAPES, SHORTEST, Shape, Values, known, may_be_shaped, may_hold_shaped

T = TypeVar("T")

MARK = "[redacted]"
_NOT_STORED = ": not stored"
_NOTE = re.compile(r"\[redacted(?: [a-z ]+)?(?P<stored>: not stored)?\]")
_SHORT = 40
"""Characters of an argument that is little else than a note about what was taken out."""

_NAME = 64
"""Characters of a text that is remembered once it was looked through."""

_kinds: ContextVar[Sequence[str] | None] = ContextVar("orchestra_redacted_kinds", default=None)


def kinds_here() -> Sequence[str]:
    """Return the kinds of personal data that the run in progress here wants taken out."""
    told = _kinds.get()
    if told is not None:
        return told
    run = run_of(var_child_runnable_config.get())
    return run.context.redact if run is not None else ()


@contextmanager
def redacting(kinds: Sequence[str]) -> Iterator[None]:
    """Take these kinds of personal data out of all that is redacted within."""
    token = _kinds.set(kinds)
    try:
        yield
    finally:
        _kinds.reset(token)


def redact(text: str, *, stored: bool = False) -> str:
    """Return a text without secrets; the same object if there were none.

    Args:
        text: Of any length; the time is linear in it.
        stored: Whether it is for storage, where the note says so.
    """
    tail, new = _NOT_STORED if stored else "", text
    if len(text) >= SHORTEST:
        take_out = _without_secrets if len(text) > _NAME else _known_name
        new = take_out(text, known(), f"[redacted{tail}]")
    if kinds := kinds_here():
        new = _without_personal_data(new, kinds, tail)
    return new if new != text else text


def redacted(value: T, *, stored: bool = False) -> T:
    """Return plain data without secrets in any of its texts and keys; the same object if there were none."""
    if kinds_here():
        result: T = _walked(value, _for_storage if stored else redact)
        return result
    values, mark = known(), f"[redacted{_NOT_STORED if stored else ''}]"  # once for all the texts
    if _surely_without(value, values):
        return value

    def change(text: str) -> str:
        if len(text) < SHORTEST:
            return text
        new = (_without_secrets if len(text) > _NAME else _known_name)(text, values, mark)
        return new if new != text else text

    found: T = _walked(value, change)
    return found


def shown(value: T) -> T:
    """Return plain data as a model or a person may see it: with one note for what was taken out, wherever that was done."""
    result: T = _walked(value, _shown)
    return result


def lacks(arguments: Any) -> bool:
    """Whether arguments of a tool lack what was taken out: on their way through storage, or before a model saw it.

    A longer text that only speaks of it lacks nothing.
    """
    if isinstance(arguments, str):
        note = _NOTE.search(arguments) if "[redacted" in arguments else None
        return note is not None and (len(arguments) <= _SHORT or any(n["stored"] for n in _NOTE.finditer(arguments)))
    if isinstance(arguments, Mapping):
        return any(map(lacks, arguments)) or any(map(lacks, arguments.values()))
    return isinstance(arguments, list | tuple) and any(map(lacks, arguments))


def redact_blob(kind: str, blob: bytes) -> bytes:
    """Return a serialized value without secrets: the same bytes if there were none, else those of the value without them.

    Args:
        kind: As LangGraph's serializer calls it: `msgpack`, or anything else for bytes of which nothing is known, whose length
            stays.
        blob: The value.
    """
    values, kinds = known(), kinds_here()
    if not kinds and not _may_hold_secret(blob, values):
        return blob
    if kind != "msgpack":
        return _of_same_length(blob, values)
    return _repacked(blob)


class SecretFilter(logging.Filter):
    """Takes secrets out of what a logger is told, and out of the exceptions with it."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Let every record through, without secrets."""
        try:
            record.msg, record.args = redact(record.getMessage()), ()
        except Exception:  # noqa: BLE001  # arguments that do not fit: logging says so itself
            return True
        if record.exc_info:
            record.exc_text = redact(logging.Formatter().formatException(record.exc_info))
            # Handlers of tests and services look at the exception itself, and would print it anew.
            record.exc_info = None
        return True


def logger(name: str) -> logging.Logger:
    """Return the logger of one of our modules."""
    found = logging.getLogger(name)
    if not any(isinstance(each, SecretFilter) for each in found.filters):
        found.addFilter(SecretFilter())
    return found


@lru_cache(4096)
def _known_name(text: str, values: Values, mark: str) -> str:
    """Return a short text without secrets. Most are names, of which there are few and which come again and again."""
    return _without_secrets(text, values, mark)


def _without_secrets(text: str, values: Values, mark: str) -> str:
    for value in values.texts:
        if value in text:
            text = text.replace(value, mark)
    if may_be_shaped(text):
        for shape in SHAPES:
            for hint in shape.hints:
                if hint in text:
                    text = shape.pattern.sub(_replacing(mark), text)
                    break
    return text


class _Replacing(Protocol):
    def __call__(self, match: re.Match[str], /) -> str: ...


def _replacing(mark: str) -> _Replacing:
    def replace(match: re.Match[str]) -> str:
        if "s" not in match.re.groupindex:
            return mark
        if _NOTE.fullmatch(match["s"]):
            return match[0]
        start, end = match.start("s") - match.start(), match.end("s") - match.start()
        return match[0][:start] + mark + match[0][end:]

    return replace


def _without_personal_data(text: str, kinds: Sequence[str], tail: str) -> str:
    parts, begin = list[str](), 0
    for start, end, kind in pii.find(text, kinds):
        parts += [text[begin:start], f"[redacted {kind.replace('_', ' ')}{tail}]"]
        begin = end
    return "".join([*parts, text[begin:]]) if parts else text


def _walked(value: Any, change: Callable[[str], str]) -> Any:
    """Return plain data with every text in it changed; the same object if none was."""
    if isinstance(value, str):
        return change(value)
    if value is None or isinstance(value, int | float):
        return value
    if isinstance(value, dict) or isinstance(value, Mapping):  # noqa: SIM101  # the first is told ten times faster
        items = [(_walked(key, change), _walked(part, change)) for key, part in value.items()]
        same = all(key is old and new is part for (key, new), (old, part) in zip(items, value.items(), strict=True))
        return value if same else dict(items)
    if isinstance(value, list | tuple):
        parts = [_walked(part, change) for part in value]
        if all(new is part for new, part in zip(parts, value, strict=True)):
            return value
        return type(value)(*parts) if hasattr(value, "_fields") else type(value)(parts)
    return value


def _shown(text: str) -> str:
    text = redact(text)
    return _NOTE.sub(lambda note: note[0].replace(_NOT_STORED, ""), text) if _NOT_STORED in text else text


def _for_storage(text: str) -> str:
    return redact(text, stored=True)


def _surely_without(value: Any, values: Values) -> bool:
    """Whether plain data holds no secret for sure. As one text it is looked through many times faster than text by text."""
    try:
        blob = orjson.dumps(value)
    except TypeError:  # there is more in it than JSON can hold
        return False
    return not any(each in blob for each in values.blobs) and not may_hold_shaped(blob)


def _may_hold_secret(blob: bytes, values: Values) -> bool:
    for value in values.blobs:
        if value in blob:
            return True
    if not may_hold_shaped(blob):
        return False
    return any(hint in blob and shape.probe.search(blob) is not None for shape in SHAPES for hint in shape.bytes_hints)


def _of_same_length(blob: bytes, values: Values) -> bytes:
    """Return bytes of which nothing is known with secrets overwritten."""
    for value in values.blobs:
        if value in blob:
            blob = blob.replace(value, _filler(len(value)))
    for shape in SHAPES:
        if any(hint in blob for hint in shape.bytes_hints):
            blob = _overwritten(blob, shape)
    return blob


def _overwritten(blob: bytes, shape: Shape) -> bytes:
    text = blob.decode("latin-1")  # a character for each byte
    text = shape.pattern.sub(lambda match: _filler(len(match[0])).decode(), text)
    return text.encode("latin-1")


def _filler(length: int) -> bytes:
    return (MARK.encode() + b"*" * length)[:length]


def _repacked(blob: bytes) -> bytes:
    """Return msgpack with the texts in it redacted, to any depth of what stands for objects."""
    import ormsgpack

    option = ormsgpack.OPT_NON_STR_KEYS

    def unpacked(data: bytes) -> Any:
        def inner(code: int, data: bytes) -> Any:
            try:
                return ormsgpack.Ext(code, _packed(unpacked(data)))
            except ValueError:  # not msgpack: an extension of somebody else's
                return ormsgpack.Ext(code, _of_same_length(data, known()))

        return ormsgpack.unpackb(data, ext_hook=inner, option=option)

    def _packed(value: Any) -> bytes:
        return ormsgpack.packb(_with_bytes(_walked(value, _for_storage)), option=option)

    return _packed(unpacked(blob))


def _with_bytes(value: Any) -> Any:
    """Return unpacked msgpack with the bytes in it redacted."""
    if isinstance(value, bytes):
        return _of_same_length(value, known())
    if isinstance(value, dict):
        return {key: _with_bytes(part) for key, part in value.items()}
    return [_with_bytes(part) for part in value] if isinstance(value, list) else value
