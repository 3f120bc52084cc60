"""Follow a thread that may be run by any process: its events as they are recorded."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

from orchestra.thread import read_facts
from state.persistence import Persistence
from state.storage.records import RecordedEvent

POLL = 0.2
"""Seconds between two looks."""


def follow(
    persistence: Persistence, thread: str, *, pause: Callable[[float], None] = time.sleep
) -> Iterator[RecordedEvent | str]:
    """Yield the events of the latest turn, those that are there and then those that come; at last how the thread stands.

    Ends when nobody runs the thread: it has ended, waits for a person, or its process is gone.

    Args:
        persistence: Where it is kept.
        thread: Id; there is such a thread.
        pause: Waits so many seconds.
    """
    found = persistence.events(thread)
    begun = [
        at for at, event in enumerate(found) if event["data"].get("note") == "started" and event["kind"] == "noted"
    ]
    yield from (found := found[begun[-1] if begun else 0 :])
    after = found[-1]["id"] if found else 0
    while True:
        status = _status_of(persistence, thread)
        # After the look at how it stands, so that nothing which was recorded before its end is left out.
        new = persistence.events(thread, after=after)
        yield from new
        after = new[-1]["id"] if new else after
        if status != "running":
            yield status
            return
        pause(POLL)


def _status_of(persistence: Persistence, thread: str) -> str:
    facts = persistence.thread(thread)
    return read_facts(facts).status if facts is not None else ""
