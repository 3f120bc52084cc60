"""When a person is there: hours of the week in their time zone, or a function that says so."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta, tzinfo
from typing import Any
from zoneinfo import ZoneInfo

from state.errors import ConfigurationError

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


@dataclass(frozen=True)
class Hours:
    """Hours of the week: `Hours("mon-fri", "09:00", "17:00", zone="Europe/Zurich")`.

    Args:
        days: Days and spans of days, as in `mon-thu,sat`.
        start: Hour and minute, `HH:MM`.
        end: The same; when it is not after `start` it is on the next day.
        zone: Time zone by its IANA name. Summer time is minded.
    """

    days: str = "mon-fri"
    start: str = "09:00"
    end: str = "17:00"
    zone: str = "UTC"

    def __post_init__(self) -> None:
        """Refuse what is no time of any week."""
        _days(self.days)
        _time("start", self.start)
        _time("end", self.end)
        _zone(self.zone)

    def opens_in(self, at: float) -> float:
        """Return the seconds from `at` (since 1970, UTC) to the next of these hours; 0 in them."""
        zone, days = _zone(self.zone), _days(self.days)
        start, end = _time("start", self.start), _time("end", self.end)
        today = datetime.fromtimestamp(at, zone).date()
        for date in (today + timedelta(days=offset) for offset in range(-1, 8)):
            if date.weekday() not in days:
                continue
            until = date if end > start else date + timedelta(days=1)
            opens, closes = datetime.combine(date, start, zone), datetime.combine(until, end, zone)
            if at < closes.timestamp():
                return max(0.0, opens.timestamp() - at)
        raise AssertionError("a day of the week comes back within a week")

    def __str__(self) -> str:
        """Return it for people."""
        return f"{self.days} {self.start}-{self.end} {self.zone}"


Available = Hours | Callable[[], Any]
"""Hours, or a function, async or not, that says whether the person is there now."""


def _days(text: str) -> frozenset[int]:
    found: set[int] = set()
    for part in text.lower().split(","):
        first, _, last = (word.strip() for word in part.partition("-"))
        if first not in DAYS or (last or first) not in DAYS:
            raise ConfigurationError(f"Hours.days: expected days like 'mon-fri' or 'mon,thu', got {text!r}")
        begin, end = DAYS.index(first), DAYS.index(last or first)
        found.update((begin + offset) % 7 for offset in range((end - begin) % 7 + 1))
    return frozenset(found)


def _time(name: str, text: str) -> time:
    try:
        return time.fromisoformat(text)
    except ValueError:
        raise ConfigurationError(f"Hours.{name}: expected a time like '09:00', got {text!r}") from None


def _zone(name: str) -> tzinfo:
    if name == "UTC":
        return UTC
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):  # ZoneInfoNotFoundError is a KeyError
        raise ConfigurationError(
            f"Hours.zone: expected a time zone like 'Europe/Zurich', got {name!r}; if it is one, install tzdata"
        ) from None
