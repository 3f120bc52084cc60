"""Patterns: a plain string that matches a regular expression, for fields whose value nothing tells."""

from __future__ import annotations

import re

_TOKEN = re.compile(
    r"\\d|\\w|\\s|\\S|\\D|\\W|\\.|\\[^a-zA-Z0-9]|\[\^?(?:\\.|[^\]\\])+\]|\(\?:|\(\?P<\w+>|\((?!\?)|\)|\||\.|[^\\\[\]().|*+?{}^$]"
)
_QUANTIFIER = re.compile(r"\{(\d+)(?:,(\d*))?\}|[*+?]")
_CLASSES = {"\\d": "0", "\\w": "a", "\\s": " ", "\\S": "a", "\\D": "a", "\\W": "-", ".": "a"}
_SHAPES = ("", "unknown", "a", "A", "0", "Unknown", "aa", "AA", "00", "0000", "1970-01-01", "0.0.0", "a@b.cd", "en")


def example(pattern: str, text: str = "") -> str:
    """Give a string that a pattern accepts: the part of the text that it accepts, else one made for it.

    Understands literals, classes, groups, alternatives and counts; for anything else a few plain shapes are tried, and
    the text comes back if none fits.
    """
    inside = _search(pattern.removeprefix("^").removesuffix("$"), text)
    made, _ = _alternatives(pattern.removeprefix("^").removesuffix("$"), 0)
    for candidate in (inside, made, *_SHAPES):
        if candidate is not None and accepts(pattern, candidate):
            return candidate
    return text


def accepts(pattern: str, text: str) -> bool:
    """Say whether a pattern is found in a text; a pattern that does not compile accepts everything."""
    try:
        return re.search(pattern, text) is not None
    except re.error:
        return True


def _search(pattern: str, text: str) -> str | None:
    try:
        found = re.search(pattern, text)
    except re.error:
        return None
    return found[0] if found else None


def _alternatives(pattern: str, at: int) -> tuple[str, int]:
    """Make a string for the first alternative of a group that begins at a position; give it with the group's end."""
    first, at = _sequence(pattern, at)
    while at < len(pattern) and pattern[at] == "|":
        _, at = _sequence(pattern, at + 1)
    return first, at


def _sequence(pattern: str, at: int) -> tuple[str, int]:
    made = ""
    while at < len(pattern) and pattern[at] not in "|)":
        token = _TOKEN.match(pattern, at)
        if token is None:
            at += 1
            continue
        at = token.end()
        if token[0].startswith("("):
            piece, at = _alternatives(pattern, at)
            at += 1
        else:
            piece = _piece(token[0])
        count, at = _count(pattern, at)
        made += piece * count
    return made, at


def _piece(token: str) -> str:
    if token in _CLASSES:
        return _CLASSES[token]
    if token.startswith("["):
        choices = (char for char in "a0A-_ .zZ9@/" + token if accepts(f"^{token}$", char))
        return next(choices, "")
    return token.removeprefix("\\")


def _count(pattern: str, at: int) -> tuple[int, int]:
    quantifier = _QUANTIFIER.match(pattern, at)
    if quantifier is None:
        return 1, at
    end = quantifier.end()
    end += end < len(pattern) and pattern[end] in "?+"
    if quantifier[1]:
        return int(quantifier[1]), end
    return (1 if quantifier[0] == "+" else 0), end
