"""The place that a command's `--db` names."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchestra.commands.options import DEFAULT_DB
from state.errors import ConfigurationError, UnknownThread

if TYPE_CHECKING:
    from state.persistence import Persistence

FOLDER = Path(".orchestra")
"""What the command keeps lies here, below the current folder, and stays out of version control."""


def open_place(db: str) -> Persistence:
    """Return the place for a run. The default one is made if it is missing."""
    from state.persistence import open_persistence

    if db == DEFAULT_DB:
        prepare_folder()
    return open_persistence(db)


def find_place(db: str) -> Persistence | None:
    """Return the place if there is one: looking at threads makes no database."""
    from state.persistence import open_persistence

    place = open_persistence(db)
    if place.url.startswith(("postgresql:", "postgres:")) or Path(place.location).exists():
        return place
    return None


def no_database(db: str) -> str:
    """Say that there is no such database."""
    return f"there is no database {db} seen from here; give --db"


def prepare_folder() -> None:
    """Make the folder of the default database.

    Raises:
        ConfigurationError: It cannot be made here.
    """
    ignore = FOLDER / ".gitignore"
    try:
        FOLDER.mkdir(exist_ok=True)
        if not ignore.exists():
            ignore.write_text("*\n")
    except OSError as error:
        raise ConfigurationError(
            f"the folder {str(FOLDER.absolute())!r} cannot be made ({error.strerror}): "
            "go to a folder that you may write to, or give --db"
        ) from None


def db_words(db: str) -> list[str]:
    """Return what a printed command needs to find the same place again."""
    return [] if db == DEFAULT_DB else ["--db", db]


@contextmanager
def known_thread(thread: str, db: str) -> Iterator[tuple[Persistence, dict[str, Any]]]:
    """Open the place and return it with what is noted about a thread.

    Raises:
        UnknownThread: There is no such thread, or no database at all.
    """
    from orchestra.thread import unknown_thread

    place = find_place(db)
    if place is None:
        raise UnknownThread(f"no thread {thread!r}: {no_database(db)}", thread=thread)
    with place:
        facts = place.thread(thread)
        if facts is None:
            raise unknown_thread(thread, place)
        yield place, facts
