"""Diagnosis: the shapes that responders to an incident answer with, and what of an answer can be believed."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable
from typing import Any, Literal

from pydantic import BaseModel, Field

Fault = Literal["none", "leak", "hang", "disk", "config", "load", "other"]

MOST_EVIDENCE = 10
"""Lines that one agent's evidence may have."""


class Reading(BaseModel):
    """What a monitor sees."""

    healthy: bool = Field(description="Whether the service does what it should.")
    symptoms: list[str] = Field(default_factory=list, description="What is wrong, one sentence each, with the figures.")
    evidence: list[str] = Field(default_factory=list, description="Lines of the log that show it, copied exactly.")


class Argument(BaseModel):
    """One argument of a command."""

    name: str
    value: str


class Remedy(BaseModel):
    """One command to run."""

    command: str = Field(description="Name of a command on the list.")
    arguments: list[Argument] = Field(default_factory=list, description="Its arguments; none where it takes none.")
    reason: str = Field(default="", description="What it is to achieve.")

    def line(self) -> str:
        """Return it in one line, with the arguments as JSON."""
        told = json.dumps({argument.name: argument.value for argument in self.arguments}, ensure_ascii=False)
        return f"- {self.command} {told}: {' '.join(self.reason.split())}"


class Diagnosis(BaseModel):
    """What is wrong, how one knows, and what to do."""

    fault: Fault = Field(
        description="leak: memory grows; hang: no answer though processes run; disk: no space or quota left; config: it does not "
        "start with its configuration; load: more requests than workers; none; other."
    )
    cause: str = Field(description="What is wrong, in one or two sentences.")
    evidence: list[str] = Field(default_factory=list, description="Lines of the log that show it, copied exactly.")
    remedies: list[Remedy] = Field(
        default_factory=list, description="Commands to run, in order. None when no command on the list can help."
    )


def borne_out(evidence: Iterable[str], log: str) -> list[str]:
    """Return the lines that stand in the log, each once and whole, the last few. One that does not is nobody's evidence."""
    lines = [line.strip() for line in log.splitlines() if line.strip()]
    wanted = [text.strip() for text in evidence if len(text.strip()) > 10]
    return [line for line in dict.fromkeys(lines) if any(text in line for text in wanted)][-MOST_EVIDENCE:]


def feasible(diagnosis: Diagnosis | None, commands: Collection[str]) -> list[Remedy]:
    """Return the remedies that are on the list of commands."""
    return [remedy for remedy in diagnosis.remedies if remedy.command in commands] if diagnosis is not None else []


def as_state(diagnosis: Diagnosis | None) -> dict[str, Any]:
    """Return a diagnosis as plain JSON; what stands there when nobody made one."""
    return (diagnosis or Diagnosis(fault="other", cause="Nobody could say what is wrong.")).model_dump()
