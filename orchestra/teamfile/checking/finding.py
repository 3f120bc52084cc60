"""Findings: what is unwise about a team, where it is written, and what to do about it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

from orchestra.teamfile.model import TeamFile
from orchestra.teamfile.places import Place

Severity = Literal["error", "warning", "note"]
SEVERITIES: tuple[Severity, ...] = ("error", "warning", "note")


@dataclass(frozen=True)
class Finding:
    """Something about a team that somebody should know.

    Args:
        code: Short and stable, for filters: `no-failure-path`.
        severity: An error cannot work; a warning can go wrong; a note is worth knowing.
        path: The file.
        place: Where in it.
        text: What it is.
        remedy: What to do.
        others: Where else in the file the same is so.
    """

    code: str
    severity: Severity
    path: str
    place: Place
    text: str
    remedy: str = ""
    others: tuple[Place, ...] = ()

    def __str__(self) -> str:
        where = f"{self.path}:{self.place.line}:{self.place.column}"
        said = f"{self.text}; {self.remedy}" if self.remedy else self.text
        return f"{where}: {self.severity}: {said} [{self.code}]"

    def to_json(self) -> dict[str, Any]:
        """Return it as plain JSON."""
        return {
            "code": self.code,
            "severity": self.severity,
            "path": self.path,
            "line": self.place.line,
            "column": self.place.column,
            "text": self.text,
            "remedy": self.remedy,
            "others": [{"line": one.line, "column": one.column} for one in self.others],
        }


def finding(
    code: str, severity: Severity, file: TeamFile, keys: Iterable[str | int], text: str, remedy: str = ""
) -> Finding:
    """Return a finding about what is written at some keys of a file."""
    return Finding(code, severity, str(file.source.path or "team"), file.source.key(*keys), text, remedy)


def in_order(findings: Iterable[Finding]) -> list[Finding]:
    """Return findings without doubles: those of a file together, from its top to its end, the worse ones first."""
    return sorted(
        dict.fromkeys(findings), key=lambda one: (one.path, one.place, SEVERITIES.index(one.severity), one.code)
    )
