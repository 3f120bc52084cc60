"""Answers without an id: chat clients send `{"decisions": [...]}` over a server, and do not say which request they mean.

Such an answer is taken for the one request that is open, and only where it cannot have been meant for an earlier one. A server
delivers a run again after a crash, a client repeats a call that it got no reply to, and people click twice: without this the
second delivery would answer the next question.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from typing import NamedTuple

from langchain_core.runnables import RunnableConfig
from langgraph.types import StateSnapshot

from state.errors import InvalidAnswer
from state.requests import Asked, AskedBook

_RUN, _RECEIVED = "run_id", "__request_start_time_ms__"
_CLOCK = 0.001
"""Seconds that a server's time of reception may be early, as it is cut to milliseconds."""


_REQUEST = re.compile(rb'"id":\s?"([0-9a-f]{32})"')
_MOST_SHOWN = 100_000
"""Requests that are remembered as shown; of more, the latest."""


class Showing:
    """What requests a server's clients were shown, and when first. It knows only while somebody looks at what is sent."""

    def __init__(self) -> None:
        self.is_watched = False
        self._shown: dict[bytes, float] = {}

    def watch(self) -> None:
        """Begin: from now on all that is sent passes `note`."""
        self.is_watched = True

    def note(self, sent: bytes) -> None:
        """Remember the requests in a piece of what is sent to a client."""
        for name in _REQUEST.findall(sent):
            if name not in self._shown:
                self._shown[name] = time.time()
        while len(self._shown) > _MOST_SHOWN:
            del self._shown[next(iter(self._shown))]

    def was_shown(self, request: str, by: float) -> bool:
        """Whether a client was shown a request by then; True where nobody watches."""
        return not self.is_watched or self._shown.get(request.encode(), float("inf")) <= by


SHOWING = Showing()
"""Of the server in this process."""


class Delivery(NamedTuple):
    """How an answer came: what a server says of a run, and never part of what a client sends."""

    run: str
    """Id of the run; the same when the server delivers it again."""
    received: float
    """When the client's call came in: seconds since 1970, UTC."""
    checkpoint: str
    """Id of the checkpoint that the client had before it; empty where it did not say."""


def delivery_of(resume: object, config: RunnableConfig) -> Delivery | None:
    """Return how an answer without an id came; None for one by id, and for one that came from Python."""
    if not isinstance(resume, Mapping) or resume.keys() != {"decisions"}:
        return None
    configurable = config.get("configurable") or {}
    run, received = configurable.get(_RUN), configurable.get(_RECEIVED)
    if not run or not isinstance(received, int | float):
        return None
    return Delivery(str(run), received / 1000, str(configurable.get("checkpoint_id") or ""))


async def request_meant(
    delivery: Delivery, latest: StateSnapshot, asked: Mapping[str, Asked], book: AskedBook, *, thread: str
) -> str:
    """Return the id of the request that an answer without one is meant for, and write down that its run answers that one.

    Args:
        delivery: How it came.
        latest: The thread as it is now, whatever moment of it the answer names.
        asked: When its requests were made.
        book: Keeps which run answered what.
        thread: Id.

    Raises:
        InvalidAnswer: It may be meant for another one: several are open or none, the one that is open was made or shown after
            the answer was sent, the thread has gone on, or the run answered another one before.
    """
    ids = [request.id for request in latest.interrupts]
    if len(ids) != 1:
        raise _unclear(thread, f"{len(ids) or 'no'} requests are open", ids)
    (name,) = ids
    if delivery.received + _CLOCK < asked[name].at:
        raise _unclear(thread, "the request that is open was made after it was sent", ids)
    if not SHOWING.was_shown(name, delivery.received + _CLOCK):
        raise _unclear(thread, "nobody had been shown the request that is open when it was sent: look at it first", ids)
    if delivery.checkpoint not in ("", (latest.config.get("configurable") or {}).get("checkpoint_id")):
        raise _unclear(thread, "the thread has gone on from the checkpoint that it names", ids)
    if await book.answering(thread, delivery.run, name) != name:
        raise _unclear(thread, "its run answered another request before", ids)
    return name


def _unclear(thread: str, why: str, ids: list[str]) -> InvalidAnswer:
    remedy = 'look at what is open and answer by id, as {request_id: {"decisions": [...]}}'
    return InvalidAnswer(
        f"thread {thread!r}: the answer came without the id of a request, and {why}; {remedy}; open: {ids}",
        thread=thread,
    )
