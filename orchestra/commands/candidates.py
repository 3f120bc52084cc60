"""Candidates: what can come next on a command line, looked up in the time between two keystrokes.

They are read from the database directly: opening a place imports what running a graph needs. What cannot be read offers
nothing, and so does a name that a shell would take for more than a word.
"""

# ruff: noqa: S608 - what is put into a query is question marks, and every value is a parameter

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.shell_completion import CompletionItem, split_arg_string

from orchestra.commands.options import DEFAULT_DB

_MOST = 50
"""Threads that are offered, the last one used first."""
_LONGEST = 60
"""Characters of what is said about a candidate."""
_PATIENCE = 0.2
"""Seconds to wait for a database that is being written to."""
_TEAM_FILES = (".yaml", ".yml", ".json")

Found = Iterable[tuple[str, str]]
"""Words with what they stand for."""


if TYPE_CHECKING:
    _Text = click.ParamType[str]
else:
    _Text = click.ParamType  # takes no argument in click 8.3


class Candidate(_Text):
    """A text whose possible values are looked up.

    Args:
        name: Of the type.
        look: Finds them: `beginning -> words`.
    """

    def __init__(self, name: str, look: Callable[[str], Found]) -> None:
        self.name = name
        self._look = look

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:  # noqa: ARG002  # click's
        """Return what begins as typed; nothing where it cannot be found out."""
        try:
            found = list(self._look(incomplete))
        except Exception:  # noqa: BLE001  # a shell waits: an error has nowhere to go
            return []
        return [
            CompletionItem(word, help=_about(about))
            for word, about in found
            if word.startswith(incomplete) and shlex.quote(word) == word
        ]


def offer(group: click.Group) -> None:
    """Let the commands of a group look up what their arguments and options can be, by the names of these."""
    for command in group.commands.values():
        if isinstance(command, click.Group):
            offer(command)
        for param in command.params:
            if param.name in _LOOKS and isinstance(param.type, click.types.StringParamType):
                param.type = Candidate(param.name, _LOOKS[param.name])


def _threads(incomplete: str) -> Found:
    query = (
        "SELECT thread_id, facts FROM orchestra_threads WHERE substr(thread_id, 1, ?) = ? ORDER BY updated DESC LIMIT ?"
    )
    for thread, text in _rows(query, len(incomplete), incomplete, _MOST):
        facts = json.loads(text)
        yield thread, f"{facts.get('status') or ''} {facts.get('task') or ''}"


def _requests(incomplete: str) -> Found:  # noqa: ARG001  # as the others
    words = _words()
    query = (
        f"SELECT id, about FROM orchestra_requests WHERE decided = '' AND thread_id IN ({_holes(words)}) ORDER BY asked"
    )
    yield from _rows(query, *words)


def _agents(incomplete: str) -> Found:  # noqa: ARG001  # as the others
    words = _words()
    query = "SELECT DISTINCT agent, '' FROM orchestra_events WHERE kind = 'agent_started'"
    yield from _rows(f"{query} AND thread_id IN ({_holes(words)}) ORDER BY agent", *words)


def _patterns(incomplete: str) -> Found:
    from graphs.registry import REGISTRY

    for entry in REGISTRY.values():
        yield entry.name, entry.use_when
    yield from _team_files(incomplete)


def _team_files(incomplete: str) -> Found:
    folder = incomplete[: incomplete.rfind("/") + 1]
    for path in sorted(Path(folder or ".").expanduser().iterdir()):
        if path.is_dir() and any(inner.suffix in _TEAM_FILES for inner in path.iterdir()):
            yield f"{folder}{path.name}/", ""
        elif path.suffix in _TEAM_FILES:
            yield f"{folder}{path.name}", "team file"


_LOOKS: dict[str | None, Callable[[str], Found]] = {
    "thread": _threads,
    "request": _requests,
    "agent": _agents,
    "name": _patterns,
    "team": _patterns,
    "file": _team_files,
}
"""By the name of the parameter."""


def _rows(query: str, *values: Any) -> Sequence[tuple[Any, ...]]:
    """Return what a query finds in the command's SQLite file; nothing in other databases."""
    import sqlite3
    from contextlib import closing

    path = Path(_db().removeprefix("sqlite:///").partition("?")[0])
    if not path.is_file():
        return []
    with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True, timeout=_PATIENCE)) as connection:
        return connection.execute(query, values).fetchall()


def _words() -> list[str]:
    """Return what is typed so far. An option that still lacks its value keeps click from reading what stands before it."""
    return split_arg_string(os.environ.get("COMP_WORDS", ""))[2:]


def _db() -> str:
    words = _words()
    after = [value for word, value in pairwise(words) if word == "--db"]
    return (after + [word.removeprefix("--db=") for word in words if word.startswith("--db=")] + [DEFAULT_DB])[0]


def _holes(words: Sequence[str]) -> str:
    return ", ".join("?" * len(words))


def _about(text: str) -> str | None:
    line = " ".join("".join(sign if sign.isprintable() else " " for sign in text).split())
    return line[:_LONGEST] or None
