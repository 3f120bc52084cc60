"""Who may use which tools in a team file: what approvals mean, and servers of tools that only those who name them reach."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from orchestra import load_team
from state import ConfigurationError

# Approvals


RIGHTS = """
name: x
agents:
  a: {prompt: x, tools: [notes, corpus.search, "team_tools:BOTH"]}
  b: {prompt: x, tools: [notes.read]}
tools: {notes: {use: files, folder: ., write: true}}
"""


def approved(more: str) -> list[tuple[str, ...]]:
    """Return which tools of each agent a person has to agree to."""
    Path("team.yaml").write_text(RIGHTS + more)
    made = load_team("team.yaml").build().made
    assert made is not None
    return [agent.policy.approve for agent in made.arguments["agents"]]


@pytest.mark.parametrize(
    ("names", "meant"),
    [
        ("[notes.write]", [("write_file",), ()]),
        ("[notes.read]", [("read_file",), ("read_file",)]),
        ("[read_file]", [("read_file",), ("read_file",)]),
        ("[notes]", [("list_files", "read_file", "find_text", "write_file"), ("read_file",)]),
        ("[corpus]", [("search_documents",), ()]),
        ("[refund]", [("refund",), ()]),
        ('["team_tools:BOTH"]', [("look_up", "refund"), ()]),
    ],
)
def test_an_approval_means_the_tools_that_it_names_and_no_others(names: str, meant: list[tuple[str, ...]]) -> None:
    assert approved(f"approvals: {names}\n") == meant


def test_approvals_are_added_to_those_of_an_agents_policy() -> None:
    assert approved("policy: {approve: [notes.list]}\napprovals: [notes.write]\n")[0] == ("list_files", "write_file")


def test_an_approval_of_what_nobody_has_is_refused_when_the_tools_are_known() -> None:
    with pytest.raises(
        ConfigurationError, match=r"team.yaml:7:13: approvals: no agent has the tool 'refnd'; did you mean 'refund'\?"
    ):
        approved("approvals: [refnd]\n")


# Servers of tools


def test_a_server_of_tools_is_started_for_those_who_name_it_and_its_values_come_from_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from orchestra.teamfile.servers import close_servers

    server = Path(__file__).with_name("mcp_server.py")
    text = json.dumps(
        {
            "name": "x",
            "pattern": "single",
            "agents": {"a": {"prompt": "x", "tools": ["rude.echo"]}},
            "tools": {
                "rude": {
                    "use": "mcp",
                    "command": sys.executable,
                    "args": [str(server), str(tmp_path)],
                    "env": {"GIVEN": "${NOT_IN_THE_FILE}"},
                }
            },
        }
    )
    Path("team.json").write_text(text)
    with pytest.raises(ConfigurationError, match="expected NOT_IN_THE_FILE in the environment for 'GIVEN'"):
        load_team("team.json").build()
    monkeypatch.setenv("NOT_IN_THE_FILE", "given")
    try:
        made = [load_team("team.json").build().made for _ in range(2)]
        (first,), (second,) = (one.arguments["agent"].tools for one in made if one is not None)
        assert (first.name, first) == ("echo", second)
        assert "hello" in str(first.invoke({"text": "hello"}))
    finally:
        close_servers()
