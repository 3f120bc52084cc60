"""The inbox: what people are asked, over all threads of a database, and what became of what nobody answered in time.

It reads what is stored and builds no graph, so it also shows the requests of threads that only a program can go on with.
"""

from __future__ import annotations

import time
from typing import NamedTuple

from orchestra.recipe import recipe_of
from orchestra.request import Request, read_request
from orchestra.runs import aresume
from orchestra.thread import config_of
from state.errors import PersistenceError
from state.loop import run_sync
from state.persistence import Persistence
from state.recording import why
from state.requests import asked_of, describe_default, open_requests
from state.storage.requests import book_of, waiting_threads


class OpenRequest(Request):
    """An open request, with where it was made and when."""

    thread: str
    graph: str = ""
    """Name of the pattern, team or graph; empty where nothing is noted."""
    asked: float
    """When it was first made: seconds since 1970, UTC."""
    expires: float | None = None
    """When no answer is taken any more; None for no limit."""

    @property
    def is_over(self) -> bool:
        """Whether its time ran out, so that its default is taken when the thread is next taken up."""
        return self.expires is not None and time.time() >= self.expires


class LeftRequest(OpenRequest):
    """An open request whose time ran out, and whose default could not be taken now."""

    reason: str
    """Why not, and what to do."""


class Swept(NamedTuple):
    """What taking up threads whose requests expired came to."""

    decided: list[OpenRequest]
    """Whose default was taken."""
    left: list[LeftRequest]
    """Of threads that are being run, that only the program that started them can go on with, or whose run broke off."""


async def arequests(persistence: Persistence, *, thread: str | None = None) -> list[OpenRequest]:
    """Return every open request of a database, or of one thread of it, the oldest first."""
    saver, only = persistence.checkpointer, thread
    noted = {facts["thread"]: facts for facts in await persistence.athreads()}
    found: list[OpenRequest] = []
    for thread in await waiting_threads(saver) if only is None else [only]:
        stored = await saver.aget_tuple(config_of(thread))
        waiting = open_requests(stored)
        if stored is None or not waiting:
            continue
        asked = await asked_of(await book_of(saver), thread, waiting, stored.checkpoint["ts"])
        graph = str(noted.get(thread, {}).get("graph", ""))
        for each in waiting:
            when = asked[each.id]
            told = {
                "expires_in": when.about.get("expires_in"),
                "default": describe_default(when.about),
            }  # as it was at first
            told |= {"thread": thread, "graph": graph, "asked": when.at, "expires": when.expires}
            found.append(OpenRequest(**{**read_request(each).model_dump(), **told}))
    return sorted(found, key=lambda request: request.asked)


def requests(persistence: Persistence, *, thread: str | None = None) -> list[OpenRequest]:
    """Return every open request of a database, or of one thread of it, the oldest first."""
    return run_sync(arequests(persistence, thread=thread))


async def aexpire(persistence: Persistence) -> Swept:
    """Take up every thread with a request whose time ran out, so that its default is taken.

    A thread that cannot be taken up is left, with the reason, and the others are taken up all the same.

    Raises:
        PersistenceError: The database cannot be read or written.
    """
    over: dict[str, list[OpenRequest]] = {}
    for request in await arequests(persistence):
        if request.is_over:
            over.setdefault(request.thread, []).append(request)
    swept = Swept([], [])
    for thread, of_thread in over.items():
        if reason := await _left(persistence, thread):
            swept.left.extend(LeftRequest(**request.model_dump(), reason=reason) for request in of_thread)
        else:
            swept.decided.extend(of_thread)
    return swept


async def _left(persistence: Persistence, thread: str) -> str:
    """Take up a thread; return why that could not be done, or nothing."""
    facts = await persistence.athread(thread) or {}
    if "recipe" not in facts:
        return "go on with it where it was started"
    try:
        await aresume(recipe_of(facts).graph(persistence), persistence, thread)
    except PersistenceError:
        raise
    except Exception as error:  # noqa: BLE001  # whatever is wrong with one thread, the others are not to wait for it
        return why(error)
    return ""


def expire(persistence: Persistence) -> Swept:
    """Take up every thread with a request whose time ran out; see `aexpire`."""
    return run_sync(aexpire(persistence))
