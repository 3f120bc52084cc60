"""Decide how long what is kept stays: checkpoints by number and age, whole threads by age."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field
from datetime import timedelta
from typing import NamedTuple

from state.errors import ConfigurationError
from state.storage.clock import seconds
from state.storage.pruning import Lineage


class Pruned(NamedTuple):
    """What pruning removed."""

    checkpoints: int
    bytes: int
    """How much smaller the database is; 0 where the server keeps the space for what comes next."""
    threads: int = 0
    """Deleted with all that belongs to them; their checkpoints are not counted."""
    waiting: int = 0
    """Threads that were old enough and stayed, because they wait for a person."""


@dataclass(frozen=True)
class Retention:
    """What stays.

    Args:
        keep_last: Checkpoints of each graph of a thread, at least 1; by default 1, or all where only threads are limited.
        older_than: Age from which checkpoints may go; any by default.
        threads_older_than: Age from which threads go; never by default.

    Raises:
        ConfigurationError: A number or age that would leave nothing.
    """

    keep_last: int | None = None
    older_than: timedelta | None = None
    threads_older_than: timedelta | None = None
    now: float = field(default_factory=time.time)

    def __post_init__(self) -> None:
        if self.keep_last is not None and self.keep_last < 1:
            raise ConfigurationError(f"prune: keep_last must be at least 1, got {self.keep_last!r}; see delete_thread")
        for name, age in (("older_than", self.older_than), ("threads_older_than", self.threads_older_than)):
            if age is not None and age < timedelta(0):
                raise ConfigurationError(f"prune: {name} must not be negative, got {age!r}")

    def keeps(self, rank: int, lineage: Lineage) -> bool:
        """Whether a checkpoint stays, given its rank in its namespace (0 is the latest)."""
        if self.keep_last is None and self.older_than is None and self.threads_older_than is not None:
            return True
        return rank < (self.keep_last or 1) or (seconds(lineage.id) or math.inf) > self._before(self.older_than)

    def is_over(self, used: float) -> bool:
        """Whether the time of a thread is over that was last used then, in seconds since 1970."""
        return self.threads_older_than is not None and used <= self._before(self.threads_older_than)

    def _before(self, age: timedelta | None) -> float:
        return math.inf if age is None else self.now - age.total_seconds()
