"""The text of a team file: plain data as YAML that people like to read, or as JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import yaml

from orchestra.teamfile.document import Loader
from orchestra.teamfile.model import TeamFile

_ORDER = (
    "name",
    "description",
    "pattern",
    "model",
    "agents",
    "tasks",
    "tools",
    "options",
    "policy",
    "budget",
    "approvals",
)
_WIDTH = 110


def write_team(team: TeamFile, *, as_json: bool = False) -> str:
    """Return the text of a team: what it was given, and nothing that is as usual."""
    return team_text(team.model_dump(mode="json", exclude_unset=True), as_json=as_json)


def team_text(data: Mapping[str, Any], *, as_json: bool = False) -> str:
    """Return the text of a team that is given as plain data, its keys in the order of the documentation."""
    ordered = {key: data[key] for key in (*_ORDER, *data) if key in data and data[key] not in ({}, [], None)}
    if as_json:
        return json.dumps(ordered, ensure_ascii=False, indent=2) + "\n"
    return yaml.dump(ordered, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=_WIDTH)


class _Dumper(yaml.SafeDumper):
    """Writes long texts as blocks, short lists in a line, and in quotes whatever any reader could take for no text."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002  # yaml's signature
        """Write everything out: nobody edits an alias gladly."""
        return True

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> Any:  # noqa: ARG002  # yaml's signature
        """Indent lists below their key."""
        return super().increase_indent(flow, False)


_Dumper.yaml_implicit_resolvers = {
    first: [*yaml.SafeDumper.yaml_implicit_resolvers.get(first, ()), *Loader.yaml_implicit_resolvers.get(first, ())]
    for first in {*yaml.SafeDumper.yaml_implicit_resolvers, *Loader.yaml_implicit_resolvers}
}


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    lines = text.split("\n")
    if not all(line.isprintable() for line in lines):
        style = '"'  # other signs for the end of a line, which readers take for one
    else:
        style = "|" if "\n" in text.strip("\n") and all(line == line.rstrip() for line in lines) else ""
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style or None)


def _list(dumper: yaml.SafeDumper, items: list[Any]) -> yaml.SequenceNode:
    short = (
        all(isinstance(one, str | int | float | bool) for one in items) and sum(len(str(one)) + 2 for one in items) < 70
    )
    return dumper.represent_sequence("tag:yaml.org,2002:seq", items, flow_style=short)


_Dumper.add_representer(str, _text)
_Dumper.add_representer(list, _list)
