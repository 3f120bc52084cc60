"""Signs and words for states and decisions: colour is never the only way to tell them apart."""

from __future__ import annotations

from orchestra.reporting.markup import Markup, tag

_SIGNS = {
    "ok": "✓",
    "completed": "✓",
    "partial": "◐",
    "failed": "✗",
    "timed_out": "✗",
    "denied": "✗",
    "stopped": "■",
    "skipped": "–",
    "cancelled": "–",
    "waiting": "?",
    "unfinished": "…",
    "running": "▶",
}
_TONES = {
    "ok": "good",
    "completed": "good",
    "failed": "bad",
    "timed_out": "bad",
    "denied": "bad",
    "waiting": "wait",
    "running": "live",
}
"""What a colour is called in the style of the page; what is not here has that of a warning."""


def tone(status: str) -> str:
    """Return the class of a status."""
    return _TONES.get(status, "warn" if status in _SIGNS else "dull")


def sign(status: str) -> Markup:
    """Return the sign of a status, with its name for those who do not see it."""
    mark = tag("span", _SIGNS.get(status, "·"), aria_hidden="true", cls=f"sign {tone(status)}")
    return Markup(mark + tag("span", f"{words(status)}: ", cls="unseen"))


def badge(status: str) -> Markup:
    """Return a status as sign and word."""
    return tag("span", _SIGNS.get(status, "·"), " ", words(status), cls=f"badge {tone(status)}")


def words(status: str) -> str:
    """Return a status as people write it."""
    return status.replace("_", " ") or "unknown"
