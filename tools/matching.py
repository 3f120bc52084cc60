"""Matching: where a regular expression occurs in a text. Runs in a process of its own; see `tools.errand`."""

from __future__ import annotations

from typing import Any

import regex  # type: ignore[import-untyped]  # has no types of its own

MOST_MATCHES = 100
_MOST_SHOWN = 300  # characters of a match or a group


def find_matches(pattern: str, text: str, seconds: float) -> dict[str, Any]:
    """Return `{matches: [{line, column, text, groups}], more}` of a pattern in a text, in order.

    Raises:
        ValueError: The pattern does not compile.
        TimeoutError: It took longer.
    """
    try:
        compiled = regex.compile(pattern)
    except (regex.error, ValueError, OverflowError, KeyError, IndexError) as error:
        raise ValueError(
            f"Expected a regular expression in the syntax of Python, got {pattern[:80]!r}: {error}"
        ) from None
    found: list[dict[str, Any]] = []
    line, start = 1, 0
    for match in compiled.finditer(text, timeout=seconds):
        if len(found) == MOST_MATCHES:
            return {"matches": found, "more": True}
        line += text.count("\n", start, match.start())
        start = match.start()
        column = start - text.rfind("\n", 0, start)
        groups = {str(name): _shown(match[name]) for name in _names(compiled) if match[name] is not None}
        found.append({"line": line, "column": column, "text": _shown(match[0]), "groups": groups})
    return {"matches": found, "more": False}


def _names(compiled: Any) -> list[int | str]:
    """Return the groups of a pattern, at most 20, by name where they have one."""
    named = {number: name for name, number in compiled.groupindex.items()}
    return [named.get(number, number) for number in range(1, min(compiled.groups, 20) + 1)]


def _shown(text: str) -> str:
    return text if len(text) <= _MOST_SHOWN else f"{text[:_MOST_SHOWN]}..."
