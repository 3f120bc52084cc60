"""The example shop: a copy that can be worked on, and the policies that belong to it."""

from __future__ import annotations

import os
import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path

from state.errors import ConfigurationError

PLACE = Path(".orchestra", "support", "shop.db")
"""Where the copy lies, seen from the working directory."""


def example_folder() -> Path:
    """Return the folder with schema, seed and policies: of the source tree, or of the installed package.

    Raises:
        ConfigurationError: It is in neither.
    """
    here = Path(__file__).resolve().parent.parent
    for folder in (here / "examples" / "support", here.parent / "examples" / "support"):
        if (folder / "schema.sql").is_file():
            return folder
    raise ConfigurationError("the example of the support team is not installed; give `shop` and `policies`")


def example_policies() -> Path:
    """Return the folder of the example's policies."""
    return example_folder() / "policies"


def example_shop(place: Path = PLACE) -> Path:
    """Return the working copy of the example shop, made on first use. What was done to it stays.

    Raises:
        ConfigurationError: It cannot be made here.
    """
    if place.is_file():
        return place
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        ignore = place.parent.parent / ".gitignore"
        if not ignore.exists():
            ignore.write_text("*\n", encoding="utf-8")
        create_shop(place)
    except OSError as error:
        raise ConfigurationError(
            f"the example shop cannot be made at {str(place)!r} ({error.strerror}): go to a folder that you may write to, or "
            "give a shop of your own"
        ) from None
    return place


def create_shop(place: Path, *, seeded: bool = True) -> None:
    """Make a shop with the example's schema and, unless told otherwise, its data; one that is there already stays.

    It appears whole or not at all: several processes may begin at the same time.
    """
    folder = example_folder()
    handle, draft = tempfile.mkstemp(dir=place.parent, prefix=".shop")
    os.close(handle)  # made for the owner alone: it will hold names and addresses
    try:
        with closing(sqlite3.connect(draft)) as database:
            for name in ("schema.sql", "seed.sql") if seeded else ("schema.sql",):
                database.executescript((folder / name).read_text(encoding="utf-8"))
        try:
            os.link(draft, place)
        except FileExistsError:
            return  # another process was first
    finally:
        os.unlink(draft)
