"""Lines: what the user types in a conversation, and what decision a line is."""

from __future__ import annotations

import json
import select
import shlex
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from state.errors import InvalidAnswer

if TYPE_CHECKING:
    from orchestra.view.screen import Screen

_DECISIONS = ("approve", "edit", "reject", "respond")
_PROMPT = "you> "
_LOOK_SECONDS = 1.0
"""How often a conversation that waits looks whether somebody decided elsewhere."""


class Decided(NamedTuple):
    """A decision as it was typed."""

    kind: str
    request: str | None
    message: str | None
    changes: dict[str, str]


class Lines:
    """What the user types: at a prompt on a terminal, else line by line from a pipe or a file."""

    def __init__(self, screen: Screen) -> None:
        self._screen = screen
        self._terminal = sys.stdin.isatty()

    def next_line(self, *, until: Callable[[], bool] | None = None) -> str | None:
        """Return the next line without its end; None when there are no more.

        Args:
            until: On a terminal, looked at while nothing is typed; an empty line is returned once it says so.
        """
        if not self._terminal:
            line = sys.stdin.readline()
            if line:
                self._screen.say(f"{_PROMPT}{line.rstrip()}", style="dim")
            return line.rstrip("\r\n") if line else None
        if until is None or not self._is_selectable:
            try:
                return input(_PROMPT)
            except EOFError:
                self._screen.say()
                return None
        return self._wait(until)

    @property
    def _is_selectable(self) -> bool:
        return sys.platform != "win32"

    def _wait(self, until: Callable[[], bool]) -> str | None:
        sys.stderr.write("decide> ")
        sys.stderr.flush()
        while not select.select([sys.stdin], [], [], _LOOK_SECONDS)[0]:
            if until():
                self._screen.say()
                return ""
        line = sys.stdin.readline()
        return line.rstrip("\r\n") if line else None


def is_decision(line: str) -> bool:
    """Whether a line begins like a decision."""
    return line.strip().removeprefix("/").partition(" ")[0].lower() in _DECISIONS


def read_decided(line: str, requests: list[str]) -> Decided:
    """Return the decision that a line is.

    Args:
        line: As typed, such as `approve`, `/edit amount=40`, `reject 1a2b3c4d too much`.
        requests: Ids of the open requests: one of them, or its beginning, may stand behind the verb.

    Raises:
        InvalidAnswer: It is none; nothing was answered.
    """
    verb, _, rest = line.strip().removeprefix("/").partition(" ")
    kind, rest, request = verb.lower(), rest.strip(), None
    if not is_decision(line):
        raise InvalidAnswer(
            f"the conversation waits for a decision: expected {', '.join(_DECISIONS)}, got {line.strip()!r}"
        )
    first = rest.split(" ", 1)[0]
    if len(first) >= 4 and any(each.startswith(first) for each in requests):
        request, rest = first, rest[len(first) :].strip()
    if kind != "edit":
        return Decided(kind, request, rest or None, {})
    try:
        pairs = [word.partition("=") for word in shlex.split(rest)]
    except ValueError as error:
        raise InvalidAnswer(
            f"edit: {error}; expected NAME=VALUE, with quotes around a value of several words"
        ) from None
    if not pairs or not all(name and equals for name, equals, _ in pairs):
        raise InvalidAnswer(f"edit: expected NAME=VALUE ..., got {rest!r}")
    return Decided(kind, request, None, {name: value for name, _, value in pairs})


def typed(changes: dict[str, str], now: dict[str, Any]) -> dict[str, Any]:
    """Return changed arguments with values of the kind that they have now: text stays text, anything else is read as JSON.

    Raises:
        InvalidAnswer: A value cannot be read.
    """
    found: dict[str, Any] = {}
    for name, value in changes.items():
        try:
            found[name] = value if isinstance(now.get(name, ""), str) else json.loads(value)
        except ValueError:
            raise InvalidAnswer(f"edit {name}: expected a value like {json.dumps(now[name])}, got {value!r}") from None
    return found
