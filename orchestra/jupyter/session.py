"""What keeps the runs of a notebook that were given no persistence: one in memory, for as long as the process lasts."""

from __future__ import annotations

import threading

from state.persistence import Persistence, open_persistence

_opening = threading.Lock()
_session: Persistence | None = None


def session_persistence() -> Persistence:
    """Return the one of this process; it is opened when it is first asked for."""
    global _session
    with _opening:
        if _session is None:
            _session = open_persistence("memory:")
        return _session


def is_of_session(persistence: Persistence | None) -> bool:
    """Whether it is the one of this process, which need not be named to find a thread again."""
    return persistence is not None and persistence is _session
