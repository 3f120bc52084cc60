"""Requests that wait: when each was made, when it expires, and what is decided then.

Every request of ours says so under `about`: `{agent, step, expires_in, default}`. What expires is decided by whoever takes up
the thread next; until then nothing runs, and an answer is refused.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from datetime import datetime
from typing import Any, NamedTuple, Protocol

from langgraph.checkpoint.base import BaseCheckpointSaver, CheckpointTuple
from langgraph.checkpoint.serde.types import ERROR, INTERRUPT, RESUME
from langgraph.types import Interrupt, StateSnapshot

ABOUT = "about"
"""Key in a request's value, beside those of LangChain's schema."""
EXPIRED = "expired"
"""Key in the answer that is given for a request whose time ran out. Nobody else may give it."""

_CONTROL = frozenset({INTERRUPT, RESUME, ERROR, "__error_source_node__"})
_NULL_TASK = "00000000-0000-0000-0000-000000000000"
_DECISIONS = frozenset({"approve", "edit", "reject", "respond"})


class Asked(NamedTuple):
    """When a request was made first, and what it said about itself then."""

    at: float
    """Seconds since 1970, UTC."""
    about: dict[str, Any]
    decided: str = ""
    """What was decided when its time ran out; empty until then."""

    @property
    def expires(self) -> float | None:
        """When it expires, in seconds since 1970; None where it does not."""
        after = self.about.get("expires_in")
        return self.at + after if isinstance(after, int | float) else None

    @property
    def is_over(self) -> bool:
        """Whether its time ran out."""
        return self.expires is not None and time.time() >= self.expires


class AskedBook(Protocol):
    """Where it is kept when requests were made."""

    async def asked(self, thread: str) -> dict[str, Asked]:
        """Return what is known of a thread's requests, by id; also of those that expired."""
        ...

    async def note(self, thread: str, waiting: Mapping[str, Mapping[str, Any]]) -> None:
        """Write down the requests that a thread waits for; forget those that were answered."""
        ...

    async def decide(self, thread: str, decided: Mapping[str, tuple[Asked, str]]) -> None:
        """Write down what was decided for requests whose time ran out."""
        ...

    async def answering(self, thread: str, run: str, request: str) -> str:
        """Write down that a run answers a request, unless it answers one already; return the one that it answers."""
        ...


BookOf = Callable[[BaseCheckpointSaver[Any]], Awaitable[AskedBook]]


def about_of(value: Any) -> dict[str, Any]:
    """Return what a request says about itself; nothing for one of somebody else's."""
    about = value.get(ABOUT) if isinstance(value, Mapping) else None
    return dict(about) if isinstance(about, Mapping) else {}


def open_requests(found: CheckpointTuple | None) -> list[Interrupt[Any]]:
    """Return what a thread waits for, as its latest checkpoint says; each once, whoever told of it.

    A task has ended if and only if it wrote something besides what LangGraph notes about tasks.
    """
    writes = [write for write in (found and found.pending_writes) or () if write[0] != _NULL_TASK]
    ended = {task for task, channel, _ in writes if channel not in _CONTROL}
    asked: dict[str, Interrupt[Any]] = {}
    for task, channel, value in writes:
        if channel == INTERRUPT and task not in ended:
            asked.update({each.id: each for each in (value if isinstance(value, list | tuple) else [value])})
    return list(asked.values())


async def note_requests(book_of: BookOf, saver: BaseCheckpointSaver[Any], thread: str, *, answered: bool) -> None:
    """Write down what a thread waits for at the end of a run.

    Args:
        book_of: Returns the book of a saver.
        saver: Checkpointer of the thread.
        thread: Id.
        answered: Whether the run answered something.
    """
    waiting = open_requests(await saver.aget_tuple({"configurable": {"thread_id": thread}}))
    if waiting or answered:
        book = await book_of(saver)
        await book.note(thread, {each.id: about_of(each.value) for each in waiting})


async def asked_of(book: AskedBook, thread: str, waiting: Iterable[Interrupt[Any]], at: str | None) -> dict[str, Asked]:
    """Return when each request of a thread was made: as noted, else when its checkpoint was written (`at`, ISO 8601)."""
    noted = await book.asked(thread)
    then = datetime.fromisoformat(at).timestamp() if at else time.time()
    return noted | {each.id: Asked(then, about_of(each.value)) for each in waiting if each.id not in noted}


async def expired_of(book: AskedBook, thread: str, snapshot: StateSnapshot) -> dict[str, str]:
    """Return the requests that a thread waits for whose time ran out, by id, with what is decided then."""
    if not snapshot.interrupts:
        return {}
    asked = await asked_of(book, thread, snapshot.interrupts, snapshot.created_at)
    return {each.id: describe_default(asked[each.id].about) for each in snapshot.interrupts if asked[each.id].is_over}


def answer_of(asked: Asked) -> dict[str, Any]:
    """Return the answer that is given for a request whose time ran out: its default, where that is a decision."""
    default = asked.about.get("default") or {}
    return {"decisions": [default] if default.get("type") in _DECISIONS else [], EXPIRED: True}


def describe_default(about: Mapping[str, Any]) -> str:
    """Return what is decided when nobody answers in time, in a few words."""
    default = about.get("default") or {}
    kind = str(default.get("type", ""))
    to = f" to {default['to']}" if default.get("to") else ""
    return f"{kind.replace('_', ' ')}{to}"
