"""The chain that audit records form, and the walk along it that finds what was changed, taken out, put in or moved.

Whoever can write to the database can also write the whole chain anew: only a head that is kept elsewhere tells.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from typing import Any, Literal, NamedTuple, Protocol

from state.audit import GENESIS, Draft, Record, Row, hash_of, plain_of, row_of, sealed

MOST_FINDINGS = 20
"""Findings after which verifying stops: by then the chain is known to be broken, and where it begins to be."""


class Finding(NamedTuple):
    """Something in a chain that cannot have been written that way."""

    seq: int
    """Number of the record where it shows; of the last one for a missing tail."""
    kind: Literal["changed", "deleted", "inserted", "reordered", "truncated"]
    text: str
    """What is wrong there, as a sentence."""


class Verified(NamedTuple):
    """What verifying a chain gave."""

    records: int
    head: str
    """Hash of the last record; keep it elsewhere, and give it the next time."""
    findings: list[Finding]


class Audit(Protocol):
    """Where records are written down."""

    def append(self, draft: Draft) -> Record:
        """Write a record down, and return it; one that is there already is returned as it is."""
        ...

    def records(
        self, *, thread: str | None = None, kind: str | None = None, after: int = 0, last: int | None = None
    ) -> list[Record]:
        """Return records, the first one first.

        Args:
            thread: Of that thread; of all by default.
            kind: Of that kind; of all by default.
            after: With a number above that.
            last: The latest so many of them; all by default.
        """
        ...

    def verify(self, head: str = "") -> Verified:
        """Walk the whole chain and return what does not fit.

        Args:
            head: What an earlier verifying gave: a record with that hash has to be there still.
        """
        ...


class Walk:
    """A walk along a chain, record by record, that finds what does not fit.

    Args:
        seq_of: Returns the number of the record that has a hash, or None. Asked only where something does not fit.
        head: Hash that has to be met on the way; none by default.
    """

    def __init__(self, seq_of: Callable[[str], int | None], head: str = "") -> None:
        self.findings: list[Finding] = []
        self.records, self.head = 0, GENESIS
        self._seq_of, self._sought, self._met = seq_of, head, not head
        self._last, self._shift, self._tangled = 0, 0, 0

    @property
    def is_over(self) -> bool:
        """Whether enough was found."""
        return len(self.findings) >= MOST_FINDINGS

    def see(self, row: Row) -> None:
        """Take the next row, in the order of the numbers."""
        seq, previous, stored = row[0], row[-2], row[-1]
        if not isinstance(seq, int):
            self._find(self._last, "inserted", f"after record {self._last} is one with the number {seq!r}")
            return
        fits = previous == self.head
        if not fits:
            self._find_break(seq, row)
        elif seq != self._last + 1:
            self._find(seq, "changed", f"record {seq} follows record {self._last}, and its number does not")
        elif not self._holds(row, self._shift):
            self._find(seq, "changed", f"record {seq} does not have the hash of what it says: a field was changed")
        self.records += 1
        self._last, self.head = seq, stored
        self._met = self._met or stored == self._sought

    def end(self) -> Verified:
        """Return what was found on the way."""
        if not self._met and not self.is_over:
            text = f"no record has the hash {self._sought}: the chain once went further than record {self._last}"
            self._find(self._last, "truncated", text)
        return Verified(self.records, self.head, self.findings)

    def _find_break(self, seq: int, row: Row) -> None:
        """Say why a record is not the one that was written after its neighbour."""
        after, here = row[-2], self._last
        place = 0 if after == GENESIS else self._seq_of(after)
        if place is not None and place >= seq:
            self._tangled = max(self._tangled, place + 1)
            self._find(seq, "reordered", f"record {seq} was written after what is now record {place}")
        elif seq <= self._tangled:
            self._find(seq, "reordered", f"record {seq} was not written after record {here}")
        elif place is not None and place < here:
            first = place + 1
            which = f"record {first} was" if first == here else f"records {first} to {here} were"
            self._shift = seq - first if self._holds(row, seq - first) else 0
            self._find(first, "inserted", f"{which} not there when what is now record {seq} was written")
        elif seq > here + 1:
            which = f"record {seq - 1} is" if seq == here + 2 else f"records {here + 1} to {seq - 1} are"
            self._find(here + 1, "deleted", f"{which} missing")
        elif (shift := self._shift_of(row)) is not None:
            self._shift = shift
            self._find(
                seq, "deleted", f"records are missing between {here} and {seq}; those that follow were renumbered"
            )
        elif not self._holds(row, self._shift):
            self._find(seq, "changed", f"record {seq} does not have the hash of what it says: a field was changed")
        else:
            self._find(here, "changed", f"record {here} is not the one that record {seq} was written after")

    def _holds(self, row: Row, shift: int) -> bool:
        """Whether a row has the hash of what it says, if it was written so many places before."""
        try:
            plain = plain_of(row)
        except ValueError:
            return False
        expected: object = plain["hash"]
        return hash_of({**plain, "seq": plain["seq"] - shift}) == expected

    def _shift_of(self, row: Row) -> int | None:
        """Return how far a row was moved to the front, as a negative number, when the ones before it are gone."""
        return next((-shift for shift in range(1, 1000) if self._holds(row, -shift)), None)

    def _find(self, seq: int, kind: Any, text: str) -> None:
        if not self.is_over:
            self.findings.append(Finding(seq, kind, text))


def walked(rows: Iterable[Row], seq_of: Callable[[str], int | None], head: str = "") -> Verified:
    """Walk along a chain to its end, or until enough was found."""
    walk = Walk(seq_of, head)
    for row in rows:
        walk.see(row)
        if walk.is_over:
            break
    return walk.end()


class MemoryTrail:
    """A chain that ends with the process: for runs without a checkpointer, and for checkpointers in memory."""

    def __init__(self) -> None:
        self._records: list[Record] = []
        self._known: dict[tuple[str, str, str, str], Record] = {}
        self._lock = threading.Lock()

    def append(self, draft: Draft) -> Record:
        """Write a record down, and return it; one that is there already is returned as it is."""
        with self._lock:
            if (known := self._known.get(draft.name)) is not None:
                return known
            previous = self._records[-1].hash if self._records else GENESIS
            record = sealed(draft, seq=len(self._records) + 1, at=time.time(), previous=previous)
            self._records.append(record)
            self._known[draft.name] = record
            return record

    def records(
        self, *, thread: str | None = None, kind: str | None = None, after: int = 0, last: int | None = None
    ) -> list[Record]:
        """Return records, the first one first; see `Audit.records`."""
        found = [
            one
            for one in self._records[max(after, 0) :]
            if (thread is None or one.thread == thread) and (kind is None or one.kind == kind)
        ]
        return found if last is None else found[max(len(found) - last, 0) :]

    def verify(self, head: str = "") -> Verified:
        """Walk the whole chain and return what does not fit."""
        rows = [row_of(record) for record in self._records]
        return walked(rows, lambda sought: next((row[0] for row in rows if row[-1] == sought), None), head)
