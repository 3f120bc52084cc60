"""What a run of a team is told, as far as its file says."""

from __future__ import annotations

from typing import Any

from orchestra.teamfile.model import TeamFile
from orchestra.teamfile.options import is_knob
from state.context import Context


def context_of_file(team: TeamFile, **given: Any) -> Context:
    """Return the context of a run.

    Args:
        team: The file.
        given: Fields in place of what the file says.
    """
    return Context(**{**knobs_of(team), **given})


def knobs_of(team: TeamFile) -> dict[str, Any]:
    """Return the fields of the context that a file sets."""
    knobs: dict[str, Any] = {name: value for name, value in team.options.items() if is_knob(name, team.pattern)}
    if knobs.get("corpus"):
        knobs["corpus"] = str((team.source.folder / knobs["corpus"]).resolve())
    if "redact" in knobs:
        knobs["redact"] = tuple(knobs["redact"])
    if team.model is not None:
        knobs["model"] = team.model
    if team.budget is not None:
        knobs["budget"] = team.budget
    return knobs
