"""Read the URL of a place that keeps things.

Nothing is imported, looked up or resolved before the place is opened: a URL may be read on an event loop.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast
from urllib.parse import parse_qsl

from langgraph.store.base import BaseStore

from state.errors import ConfigurationError
from state.storage.checkpoints import KeptSaver
from state.storage.database import Synchronous
from state.storage.place import Place
from state.storage.serde import StrictSerializer

FORMS = "sqlite:///relative.db, sqlite:////absolute.db, a path ending in .db, memory:, postgresql://user@host/database"
"""What a place may be called."""

_ENDINGS = (".db", ".sqlite", ".sqlite3")
_SCHEMES = ("postgresql://", "postgres://")


@dataclass(frozen=True)
class Source:
    """A place that is named and not yet open.

    Args:
        url: As it was given, without password.
        location: As errors name it: file, `memory:`, or URL without password.
        open: Opens it; raises `ConfigurationError` where a package for it is not installed.
    """

    url: str
    location: str
    open: Callable[[], tuple[Place, KeptSaver, BaseStore]]


def read_url(url: str | os.PathLike[str], serde: StrictSerializer) -> Source:
    """Return what `url` names.

    Raises:
        ConfigurationError: It has another form than `FORMS`.
    """
    text = os.fspath(url)
    if text == "memory:":
        return _sqlite(text, None, {}, serde)
    if text.startswith("sqlite:///") and text not in ("sqlite:///", "sqlite:///:memory:"):
        name, _, query = text.removeprefix("sqlite:///").partition("?")
        return _sqlite(text, Path(name), _settings(query), serde)
    if text.startswith(_SCHEMES):
        return _postgres(text, serde)
    if isinstance(url, os.PathLike) or (text.endswith(_ENDINGS) and not re.match(r"\w[\w+.-]+:", text)):
        return _sqlite(text, Path(text), {}, serde)
    raise ConfigurationError(f"storage: expected {FORMS}; got {redacted(text)!r}")


def redacted(url: str) -> str:
    """Return `url` without its password, hiding rather too much than too little."""
    hidden = re.sub(r"^([\w+]+://[^:@/?]*):.*@", r"\1:***@", url, flags=re.DOTALL)
    return re.sub(r"((?:^|[?&\s])(?:ssl)?password=)[^&\s]*", r"\1***", hidden)


def _settings(query: str) -> dict[str, Any]:
    settings: dict[str, Any] = {}
    for key, value in parse_qsl(query, keep_blank_values=True):
        if key == "synchronous" and value.upper() in ("NORMAL", "FULL"):
            settings[key] = cast("Synchronous", value.upper())
        elif key == "timeout" and re.fullmatch(r"\d+(\.\d+)?", value):
            settings[key] = float(value)
        else:
            raise ConfigurationError(
                f"storage: expected ?synchronous=NORMAL or FULL, or ?timeout=seconds; got {f'{key}={value}'!r}"
            )
    return settings


def _sqlite(url: str, path: Path | None, settings: dict[str, Any], serde: StrictSerializer) -> Source:
    def open_it() -> tuple[Place, KeptSaver, BaseStore]:
        from state.storage.sqlite import open_sqlite

        return open_sqlite(path and path.expanduser().resolve(), serde, **settings)

    return Source(url, str(path) if path else "memory:", open_it)


def _postgres(url: str, serde: StrictSerializer) -> Source:
    location = redacted(url)

    def open_it() -> tuple[Place, KeptSaver, BaseStore]:
        try:
            from state.storage.postgres import open_postgres
        except ImportError as error:
            raise ConfigurationError(
                f"storage: PostgreSQL needs a package that is not installed ({error.name or error}); "
                'pip install "orchestra-agents[postgres]"'
            ) from error
        return open_postgres(url, location, serde)

    return Source(location, location, open_it)
