"""A team to be checked, what a run of it gives, and what a check says of it."""

from __future__ import annotations

from typing import Any

from nodes import ScriptedChatModel
from orchestra.teamfile.building import build_team
from orchestra.teamfile.checking.report import CheckReport
from orchestra.teamfile.context import context_of_file
from orchestra.teamfile.model import TeamFile
from orchestra.teamfile.reading import parse_team


def team(text: str) -> TeamFile:
    return parse_team("name: t\n" + text)


def played(found: TeamFile, model: ScriptedChatModel) -> dict[str, Any]:
    """Return the result of a run in which a script answers for the model."""
    graph = build_team(found).compile(name="t")
    result: dict[str, Any] = graph.invoke({"task": "x"}, context=context_of_file(found, model=model))
    return result


def codes(report: CheckReport, *severities: str) -> list[str]:
    """Return the codes of findings, those of some severities."""
    return [one.code for one in report.findings if not severities or one.severity in severities]


def said(report: CheckReport, code: str) -> str:
    """Return the text of the one finding of a code."""
    found = [one for one in report.findings if one.code == code]
    assert len(found) == 1, report.findings
    return f"{found[0].text}; {found[0].remedy}"
