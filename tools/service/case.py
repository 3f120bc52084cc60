"""A case: the incident that an agent works on, for its tools. Who it is about is not for a model to say."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tools.service.service import Service


@dataclass(frozen=True)
class Case:
    """What the tools of an incident team work on.

    Args:
        service: That is in trouble.
        thread: Of the run, and its turn.
        turn: Of the thread.
        round: Of diagnosis and remedy, from 1. The same command of another round is another effect.
        agent: Who works now.
        ask: Names of commands that a person has to agree to.
    """

    service: Service
    thread: str
    turn: str
    round: int
    agent: str
    ask: tuple[str, ...] = ()
    asked: list[dict[str, Any]] = field(default_factory=list)
    """Commands that a person was asked about, not written down yet: that is not for the moment of asking, which may not wait."""

    def note(self, what: str, **facts: Any) -> None:
        """Add a line to the service's audit file. Several processes may write to it."""
        entry = {"at": time.time(), "what": what, "thread": self.thread, "turn": self.turn, "round": self.round}
        line = json.dumps({**entry, "agent": self.agent, **facts}, ensure_ascii=False) + "\n"
        descriptor = os.open(self.service.audit, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            os.write(descriptor, line.encode("utf-8", "replace"))
        finally:
            os.close(descriptor)

    def note_asked(self) -> None:
        """Write down what a person was asked about, once for each round, also when it is asked again after a pause."""
        noted = [note for note in self.notes() if note["what"] == "asked" and note["round"] == self.round]
        known = [{"command": note["command"], "arguments": note["arguments"]} for note in noted]
        while self.asked:
            if (asked := self.asked.pop(0)) not in known:
                known.append(asked)
                self.note("asked", **asked)

    def notes(self) -> list[dict[str, Any]]:
        """Return the lines that were added in this turn, oldest first."""
        if not self.service.audit.is_file():
            return []
        found = []
        for line in self.service.audit.read_text(encoding="utf-8").splitlines():
            with suppress(ValueError):  # a process was killed while it wrote
                found.append(json.loads(line))
        return [entry for entry in found if (entry["thread"], entry["turn"]) == (self.thread, self.turn)]


_case: ContextVar[Case] = ContextVar("orchestra_case")


@contextmanager
def attending(case: Case) -> Iterator[None]:
    """Make a case the one that tools work on within."""
    token = _case.set(case)
    try:
        yield
    finally:
        _case.reset(token)


def case_here() -> Case:
    """Return the case that is worked on here."""
    return _case.get()
