"""Audit: one record for each thing that was done, allowed, refused or passed on.

A record holds who, what, when and the outcome; of arguments only their names and a digest, for values may be private. Each
carries the hash of the one before it, so that one which is changed, taken out, put in or moved no longer fits its neighbours.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Literal, get_args

from state.errors import ConfigurationError
from state.redaction import redact

Kind = Literal["effect", "approval", "denial", "handoff", "consultation", "delegation", "grant", "revocation", "limit"]
"""What a record is about."""
KINDS: tuple[str, ...] = get_args(Kind)

GENESIS = ""
"""What the first record has as the hash of the one before it."""
MOST_DETAIL = 300
"""Characters of a record's detail; the rest is cut."""
_LONG_KEY = 128
_NAMING = ("kind", "key", "thread", "turn", "run", "step", "arguments")
"""What a record is found by."""
Row = Sequence[Any]
"""A record as a table has it, in the order of `FIELDS`; lists are JSON texts."""


@dataclass(frozen=True, kw_only=True)
class Draft:
    """A record that has no place in the chain yet.

    Args:
        kind: What it is about.
        subject: Name of the tool or the agent that it is about.
        outcome: What became of it, in a word or two: `done`, `approved`, `rejected`, `refused`.
        key: What tells it from others of its kind in the turn. The same thread, turn, kind and key are recorded once.
        thread: Thread of the run; empty without a checkpointer.
        turn: Turn of the thread.
        run: Id of the invocation.
        agent: Who did it.
        step: Id of the agent's step.
        arguments: Digest of a call's arguments; see `digest_of`. Empty where there are none.
        names: Names of those arguments.
        taint: Where what the agent had read came from, when not from inside.
        detail: A short text, such as a reason; secrets in it are redacted. No contents: it stays when the thread is deleted.

    Raises:
        ConfigurationError: There is no such kind, or the key is empty.
    """

    kind: Kind
    subject: str
    outcome: str
    key: str
    thread: str = ""
    turn: str = ""
    run: str = ""
    agent: str = ""
    step: str = ""
    arguments: str = ""
    names: tuple[str, ...] = ()
    taint: tuple[str, ...] = ()
    detail: str = ""

    def __post_init__(self) -> None:
        """Refuse what could not be found again, and take out what no database holds."""
        if self.kind not in KINDS:
            raise ConfigurationError(f"audit: expected a kind of {', '.join(KINDS)}, got {self.kind!r}")
        if not self.key:
            raise ConfigurationError(f"audit: expected a key for the {self.kind} of {self.subject!r}, got an empty one")
        for field in fields(self):
            value = getattr(self, field.name)
            kept = field.name in _NAMING
            cleaned = (
                _clean(value, kept) if isinstance(value, str) else tuple(sorted({_clean(one, kept) for one in value}))
            )
            object.__setattr__(self, field.name, cleaned)
        detail = " ".join(self.detail.split())
        object.__setattr__(self, "detail", detail if len(detail) <= MOST_DETAIL else f"{detail[: MOST_DETAIL - 1]}…")
        if len(self.key) > _LONG_KEY:
            object.__setattr__(self, "key", _sha256(self.key))

    @property
    def name(self) -> tuple[str, str, str, str]:
        """What it is found by."""
        return self.thread, self.turn, self.kind, self.key


@dataclass(frozen=True, kw_only=True)
class Record(Draft):
    """A record in its place.

    Args:
        seq: Its number, from 1 without gaps over all threads of a database.
        at: When it was written: seconds since 1970, UTC.
        previous: Hash of the record before it; `GENESIS` for the first.
        hash: SHA-256 of all other fields as canonical JSON.
    """

    seq: int
    at: float
    previous: str
    hash: str

    def __post_init__(self) -> None:
        """Take it as it was written: what does not fit is for verifying to tell."""

    def plain(self) -> dict[str, Any]:
        """Return it as JSON has it, in the order of `FIELDS`."""
        told = vars(self)
        return {name: list(told[name]) if name in _LISTS else told[name] for name in FIELDS}


_DRAFTED = frozenset(field.name for field in fields(Draft))
FIELDS = (
    *("seq", "at", "thread", "turn", "run", "agent", "step", "kind", "subject", "outcome"),
    *("arguments", "names", "taint", "detail", "key", "previous", "hash"),
)
_LISTS = ("names", "taint")


def canonical(value: Any) -> bytes:
    """Return the one JSON text of a value: keys sorted, no spaces, ASCII. What is no JSON is taken as its text."""
    try:
        text = json.dumps(value, sort_keys=True, separators=(",", ":"), default=str)
    except (TypeError, ValueError, RecursionError):  # keys of several kinds, a circle, too deep
        text = json.dumps(repr(value))
    return text.encode("ascii")


def digest_of(arguments: Any) -> str:
    """Return the SHA-256 of what a call was given, in hexadecimal: it tells whether two were the same, and not what they were.

    Who can guess the arguments can check the guess.
    """
    return hashlib.sha256(canonical(arguments)).hexdigest()


def storable(text: str) -> str:
    """Return a text that every database can hold: without NUL and lone surrogates."""
    return text.replace("\x00", "\ufffd").encode("utf-8", "replace").decode()


def _clean(text: Any, kept: bool) -> str:
    """Return a text as it may be kept: without secrets, unless something is found by it."""
    text = storable(str(text))
    return text if kept else redact(text)


def sealed(draft: Draft, *, seq: int, at: float, previous: str) -> Record:
    """Return a draft as the record with this number, after the one with this hash."""
    told = {name: value for name, value in vars(draft).items() if name in _DRAFTED}
    record = Record(**told, seq=seq, at=at, previous=previous, hash="")
    return Record(**told, seq=seq, at=at, previous=previous, hash=hash_of(record.plain()))


def hash_of(plain: Mapping[str, Any]) -> str:
    """Return the hash that a record has to have, from its other fields."""
    return hashlib.sha256(canonical({name: value for name, value in plain.items() if name != "hash"})).hexdigest()


def row_of(record: Record) -> tuple[Any, ...]:
    """Return a record as a table has it."""
    plain = record.plain()
    return tuple(canonical(plain[name]).decode() if name in _LISTS else plain[name] for name in FIELDS)


def plain_of(row: Row) -> dict[str, Any]:
    """Return a row as JSON has it.

    Raises:
        ValueError: A list in it is none.
    """
    plain = dict(zip(FIELDS, row, strict=True))
    for name in _LISTS:
        text = plain[name]
        plain[name] = json.loads(text) if isinstance(text, str) else None
        if not isinstance(plain[name], list) or canonical(plain[name]).decode() != text:
            raise ValueError(f"{name} is not a list as it was written: {text!r}")
    return plain


def record_of(row: Row) -> Record:
    """Return the record in a row.

    Raises:
        ValueError: It is none.
    """
    plain = plain_of(row)
    return Record(**{**plain, **{name: tuple(plain[name]) for name in _LISTS}})


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()
