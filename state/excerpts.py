"""Parts of long texts, for those who do not need all of them."""

from __future__ import annotations

from state.redaction import redact

EXCERPT = 400
"""Characters of a task and of an answer that an event shows while it happens."""
KEPT = 100
"""Characters of them that are recorded with it; all of them are in the state of the thread."""
REASON = 300
"""Characters of a reason that an event shows, and that are recorded."""


def clip(text: str, most: int) -> str:
    """Return the text with its middle cut out where it is longer than `most` characters; says how much is missing."""
    if len(text) <= most:
        return text
    half = max(0, most - 60) // 2
    return f"{text[:half]}\n[... {len(text) - 2 * half} characters left out ...]\n{text[len(text) - half :]}"


def excerpt(text: str, most: int = EXCERPT) -> str:
    """Return the beginning of a text, for an event.

    Secrets are taken out before it is cut: half of one would not be known any more.
    """
    if len(text) <= most:
        return text
    text = redact(text)
    return f"{text[:most]} [...]" if len(text) > most else text
