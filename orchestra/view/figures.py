"""Figures and texts in the form that people read: short, with units, and nothing that a terminal would obey."""

from __future__ import annotations

import re
from datetime import datetime

_CONTROL = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def money(usd: float | None) -> str:
    """Return US dollars; `unknown` when the price is, never 0 for want of one."""
    if usd is None:
        return "unknown"
    if usd == 0:
        return "$0"
    return f"${usd:.2f}" if usd >= 0.1 else f"${usd:.4f}" if usd >= 0.0001 else "<$0.0001"


def duration(seconds: float) -> str:
    """Return a time span: `34 ms`, `0.4 s`, `12 s`, `1 m 05 s`, `2 h 07 m`."""
    if seconds < 0.0995:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    return f"{minutes} m {rest:02d} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} m"


def counted(number: int, noun: str) -> str:
    """Return `1 agent` or `1,200 agents`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def moment(seconds: float, now: float) -> str:
    """Return a point in time, near ones as `5 min ago`, others as local date and time."""
    ago = now - seconds
    if ago < 60:
        return "just now"
    if ago < 3600:
        return f"{ago // 60:.0f} min ago"
    local, today = datetime.fromtimestamp(seconds), datetime.fromtimestamp(now)
    return local.strftime("today %H:%M" if local.date() == today.date() else "%Y-%m-%d %H:%M")


def one_line(text: str, width: int = 0) -> str:
    """Return a text as one line without control characters, cut to `width` characters if that is not 0."""
    line = " ".join(visible(text).split())
    return line if not width or len(line) <= width else line[: width - 1].rstrip() + "…"


def visible(text: str) -> str:
    """Return a text without what a terminal would obey; line breaks and tabs stay."""
    return _CONTROL.sub("", text)
