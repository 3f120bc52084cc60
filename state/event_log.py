"""The log: every event of every run as one line of JSON, with the ids that the trace has.

    ORCHESTRA_LOG=events.jsonl orchestra run research "..."      into a file, added at its end
    ORCHESTRA_LOG=- orchestra run research "..."                 to standard error
    logging.getLogger("orchestra").setLevel(logging.INFO)        to the handlers of a program

Off unless one of them is done.
"""

from __future__ import annotations

import json
import logging
import os
from functools import cache
from typing import Any

from state.errors import ConfigurationError
from state.events import Event

VARIABLE = "ORCHESTRA_LOG"
_KEYS = ("at", "kind", "thread", "run", "agent", "step", "parent", "seq", "data")

_log = logging.getLogger("orchestra")


class _Line:
    """An event, written out only where somebody wants it."""

    def __init__(self, event: Event) -> None:
        self.event = event

    def __str__(self) -> str:
        return json.dumps({key: self.event.get(key) for key in _KEYS}, ensure_ascii=False, default=str)


class JsonLines(logging.Formatter):
    """Writes each record as one line of JSON: an event with its ids, anything else with level, logger and message."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        if isinstance(record.msg, _Line):
            return str(record.msg)
        told: dict[str, Any] = {"at": record.created, "level": record.levelname.lower(), "logger": record.name}
        return json.dumps({**told, "message": super().format(record)}, ensure_ascii=False)


def log_event(event: Event) -> None:
    """Log an event, whose data is redacted, where that is asked for."""
    if _log.isEnabledFor(logging.INFO):
        _log.info(_Line(event))


@cache
def open_event_log() -> None:
    """Log where `ORCHESTRA_LOG` says; once for a process.

    Raises:
        ConfigurationError: The file cannot be written.
    """
    place = os.environ.get(VARIABLE, "").strip()
    if not place:
        return
    handler: logging.Handler = logging.StreamHandler() if place == "-" else _file(place)
    handler.setFormatter(JsonLines())
    _log.addHandler(handler)
    _log.setLevel(min(_log.level or logging.INFO, logging.INFO))


def _file(path: str) -> logging.Handler:
    try:
        return logging.FileHandler(path, encoding="utf-8", errors="backslashreplace")
    except OSError as error:
        raise ConfigurationError(
            f"{VARIABLE}: {path!r} cannot be written ({error.strerror}); expected a file, or - for standard error"
        ) from None
