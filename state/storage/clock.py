"""Keep checkpoint ids increasing, whatever the clock does.

LangGraph orders the checkpoints of a thread by id, and an id begins with the time. With the clock of one machine an
hour behind another's, or set back, a new checkpoint would sort before the old ones and every later turn would be
invisible. The loop makes ids itself and does not look at what `put` returns, so a saver cannot rename them. But
LangGraph's generator never goes below the last id of its own process: telling it about each id that is *read* makes
it a logical clock (Lamport 1978, Time, clocks and the ordering of events) across processes, and every run reads
before it writes.
"""

from __future__ import annotations

import uuid

from langgraph.checkpoint.base import id as generator

EPOCH = 0x01B21DD213814000
"""100 ns intervals between the epoch of UUIDs (1582-10-15) and that of Unix."""

_LAST = "_last_v6_timestamp"
"""Name in the generator of the time of the last id, in 100 ns."""

_LATEST = EPOCH + 3000 * 31_556_952 * 10**7
"""3000 years after 1970. Following a forged id beyond would overflow the 60 bits of a UUID's time."""


def observe(checkpoint_id: str) -> None:
    """Make every checkpoint id of this process from now on greater than `checkpoint_id`.

    Ids that are not time-ordered UUIDs are left alone: they are somebody's own scheme.
    """
    ticks = _ticks(checkpoint_id)
    if ticks is None or ticks > _LATEST:
        return
    last: int | None = vars(generator).get(_LAST)
    if last is None or last < ticks:
        setattr(generator, _LAST, ticks)


def seconds(checkpoint_id: str) -> float | None:
    """Return when a checkpoint was made, in seconds since 1970, or None if its id does not say."""
    ticks = _ticks(checkpoint_id)
    return None if ticks is None else (ticks - EPOCH) / 10**7


def _ticks(checkpoint_id: str) -> int | None:
    try:
        parsed = generator.UUID(checkpoint_id)
    except (ValueError, AttributeError, TypeError):
        return None
    if parsed.version != 6 or parsed.variant != uuid.RFC_4122:
        return None
    return parsed.time
