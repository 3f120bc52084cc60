"""What every kind of storage offers to the code that is the same for all of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Protocol

from state.errors import PersistenceError
from state.storage.doors import Worker

Execute = Callable[[str, Sequence[Any]], list[tuple[Any, ...]]]
"""Run one statement, with `?` for each parameter, and return its rows."""


class Place(Protocol):
    """A database: one file, or one server."""

    @property
    def location(self) -> str:
        """File, or URL without password, as errors name it."""
        ...

    @property
    def worker(self) -> Worker:
        """Where blocking calls of async methods run."""
        ...

    def transaction(self, *, write: bool) -> AbstractContextManager[Execute]:
        """Run statements that see one state of the database, and all of which happen or none.

        Raises:
            PersistenceError: For every error of the database.
        """
        ...

    def check(self) -> None:
        """Look for damage. Reads everything.

        Raises:
            StorageCorrupt: There is some.
        """
        ...

    def shrink(self, *, thorough: bool) -> None:
        """Give freed space back: what is free already, or all that rewriting the file can free."""
        ...

    def size(self) -> int:
        """Return the space taken, in bytes."""
        ...

    def close(self) -> None:
        """Close it. Nothing can be done with it afterwards."""
        ...


@contextmanager
def on_behalf_of(thread: str, location: str = "") -> Iterator[None]:
    """Do something on behalf of a thread, which errors of the storage name with the place, where they name none.

    Raises:
        PersistenceError: As it was raised within.
    """
    try:
        yield
    except PersistenceError as fault:
        if fault.thread and (fault.location or not location):
            raise
        place, whose = fault.location or location, fault.thread or thread
        raise type(fault)(fault.message, location=place, thread=whose, remedy=fault.remedy) from fault.__cause__


@contextmanager
def transaction_of(place: Place, thread: str, *, write: bool) -> Iterator[Execute]:
    """Open a transaction on behalf of a thread.

    Raises:
        PersistenceError: For every error of the database.
    """
    with on_behalf_of(thread, place.location), place.transaction(write=write) as execute:
        yield execute
