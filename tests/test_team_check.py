"""`orchestra team check`: what is unwise about a team is found without a model call, and said with its place and a remedy."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from checked_team import codes, played, said, team
from nodes import ScriptedChatModel
from orchestra.__main__ import command
from orchestra.teamfile.building import build_team
from orchestra.teamfile.checking.report import check_team
from orchestra.teamfile.model import TeamFile
from orchestra.teamfile.reading import parse_team, read_team
from state.errors import TeamFileError

ROOT = Path(__file__).resolve().parent.parent
EXAMPLES = sorted((ROOT / "examples" / "teams").glob("*.yaml"))


# Roles


def test_agents_that_describe_the_same_role_overlap_and_others_do_not() -> None:
    text = (
        "pattern: supervisor\nbudget: {usd: 1}\nagents:\n"
        "  one: {role: Research specialist, goal: Find facts in the documents, backstory: You quote your sources.}\n"
        "  two: {role: Research specialist, goal: Find facts in documents, backstory: You quote sources.}\n"
        "  three: {role: Editor, goal: Shorten what others wrote, backstory: You hate adjectives.}\n"
    )
    report = check_team(team(text))
    overlap = said(report, "overlap")
    assert overlap.startswith("one and two describe the same role (")
    assert "have the same tools" in overlap


def test_names_that_differ_in_case_alone_overlap() -> None:
    report = check_team(team("agents: {Writer: {prompt: You write poems.}, writer: {prompt: You check sums.}}\n"))
    assert "differ in nothing but case" in said(report, "overlap")


def test_several_views_of_one_task_may_be_alike() -> None:
    text = "pattern: parallel\nagents: {a: {prompt: Answer the question.}, b: {prompt: Answer the question.}}\n"
    assert codes(check_team(team(text))) == ["overlap"]
    assert codes(check_team(team(text)), "note") == ["overlap"]


def test_whoever_is_chosen_by_a_description_needs_one() -> None:
    text = "pattern: router\nagents: {a: {prompt: You write.}, b: {prompt: Sums., description: Adds numbers.}}\n"
    assert said(check_team(team(text)), "no-description").startswith("a says nothing of what it is for")


# Rights


def test_a_tool_that_cannot_be_opened_is_an_error() -> None:
    text = "pattern: single\ntools: {shop: {use: sql, database: none.db}}\nagents: {a: {prompt: A., tools: [shop]}}\n"
    assert "shop cannot be had" in said(check_team(team(text)), "tools")


def test_a_tool_whose_rights_are_not_granted_is_found_by_what_the_tool_needs() -> None:
    text = "pattern: single\nagents: {a: {prompt: A., tools: [corpus.search, web], policy: {grants: [read]}}}\n"
    assert "every call of it is refused: fetch_page needs network" in said(check_team(team(text)), "rights")
    none = check_team(team(text.replace("[read]", "[]").replace("corpus.search, ", "")))
    assert codes(none, "error") == ["rights"]
    assert "it may use none of its tools" in said(none, "rights")


def test_a_worker_can_use_no_more_than_its_leader() -> None:
    text = (
        "pattern: supervisor\nbudget: {usd: 1}\noptions: {supervisor: lead}\nagents:\n"
        "  lead: {prompt: L., description: Leads., policy: {grants: [read], on_failure: escalate}}\n"
        "  w: {prompt: W., description: Works., tools: [web]}\n  v: {prompt: Sums., description: Adds.}\n"
    )
    refused = said(check_team(team(text)), "rights")
    assert refused.startswith("w has fetch_page, and every call of it is refused: fetch_page needs network")


def test_rights_that_a_handoff_takes_away_are_found() -> None:
    text = (
        "pattern: handoff\nagents:\n  front: {prompt: F., policy: {grants: [read], on_failure: escalate}}\n"
        "  back: {prompt: Other., tools: [web]}\n"
    )
    assert "when front hands over to back, back may not use fetch_page" in said(check_team(team(text)), "rights")


def test_effects_after_content_from_outside_need_a_person_or_a_rule() -> None:
    text = (
        "pattern: single\nbudget: {usd: 1}\ntools: {files: {use: files, folder: ., write: true}}\n"
        "agents: {a: {prompt: A., tools: [web, files.write], policy: {on_failure: escalate%s}}}\n%s"
    )
    assert "may then call write_file unasked" in said(check_team(team(text % ("", ""))), "tainted")
    assert not codes(check_team(team(text % (", tainted: approve", ""))), "warning")
    assert not codes(check_team(team(text % ("", "approvals: [files.write]\n"))), "warning")


def test_nothing_is_imported_unless_asked(tmp_path: Path) -> None:
    (tmp_path / "own_tools_of_check.py").write_text(
        "import pathlib\npathlib.Path(__file__).with_name('ran').touch()\n"
        "def look(word: str) -> str:\n    'Look a word up.'\n    return word\n"
    )
    text = "name: t\npattern: single\nagents:\n  a: {prompt: A., tools: ['own_tools_of_check:look'], policy: {grants: [read]}}\n"
    found = parse_team(text, path=tmp_path / "team.yaml")
    assert "look with --import" in said(check_team(found), "rights")
    assert not (tmp_path / "ran").exists()
    assert "look needs code, effect, network, write" in said(check_team(found, imports=True), "rights")
    assert (tmp_path / "ran").exists()


OWN = """
from langchain_core.tools import tool

def reserve(item: str) -> str:
    "Reserve an item."
    return item

@tool("stock_of")
def stock(item: str) -> str:
    "Say how many there are."
    return item
"""


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], TeamFile]:
    """Return what reads a team beside a module of tools."""
    (tmp_path / "shop_tools.py").write_text(OWN)
    monkeypatch.delitem(sys.modules, "shop_tools", raising=False)

    def read(more: str, policy: str = "") -> TeamFile:
        agents = f"agents:\n  a: {{prompt: A., tools: ['shop_tools:reserve', 'shop_tools:stock']{policy}}}\n"
        return parse_team(f"name: t\npattern: single\n{agents}{more}", path=tmp_path / "team.yaml")

    return read


LISTED = [
    ("approvals: [stock_of, resrve]\n", "", (5, 23), "approvals: no agent has the tool 'resrve'"),
    ("policy: {deny: [resrve]}\n", "", (5, 17), "deny: no agent has the tool 'resrve'"),
    ("", ", policy: {approve: [resrve]}", (4, 89), "approve: the agent has no tool 'resrve'"),
    ("", ", policy: {allow: [reserve, resrve]}", (4, 96), "allow: the agent has no tool 'resrve'"),
]


@pytest.mark.parametrize(("more", "policy", "place", "what"), LISTED)
def test_a_listed_tool_that_nobody_has_is_a_warning_an_error_with_import_and_refused_by_a_run(
    shop: Any, more: str, policy: str, place: tuple[int, int], what: str
) -> None:
    found = shop(more, policy)

    def about(*, imports: bool) -> list[tuple[str, int, int]]:
        listed = [one for one in check_team(found, imports=imports).findings if "'resrve'" in one.text]
        assert all(one.text.startswith(what) and "did you mean 'reserve'?" in one.remedy for one in listed)
        return [(one.severity, one.place.line, one.place.column) for one in listed]

    assert about(imports=False) == [("warning", *place)]
    assert about(imports=True) == [("error", *place)]
    with pytest.raises(TeamFileError) as refused:
        build_team(found)
    assert refused.value.problems == ((*place, f"{what}; did you mean 'reserve'?"),)


def test_a_tool_that_its_module_calls_otherwise_is_known_by_that_name_once_it_is_imported(shop: Any) -> None:
    found = shop("approvals: [stock_of]\n")
    assert "look with --import what shop_tools:reserve, shop_tools:stock has" in said(check_team(found), "rights")
    assert "rights" not in codes(check_team(found, imports=True))
    assert "rights" not in codes(check_team(shop("approvals: [reserve, 'shop_tools:stock']\n")))
    build_team(found)


def test_a_name_in_deny_that_is_not_known_does_not_count_as_the_tool_that_is(shop: Any) -> None:
    report = check_team(shop("policy: {deny: [sell]}\n"))
    assert not codes(report, "error")
    assert "deny: no agent has the tool 'sell' as far as is known" in said(report, "rights")


def test_an_approval_may_be_of_a_tool_that_somebody_has_after_a_team_in_the_team(tmp_path: Path) -> None:
    text = (
        "agents:\n  d: {agents: {a: {prompt: A.}}}\n  b: {prompt: B., tools: [corpus.list]}\napprovals: [corpus.list]\n"
    )
    build_team(team(text))


# Answers


@pytest.mark.parametrize(
    ("text", "severity", "what"),
    [
        ("pattern: review\nagents: {w: {prompt: W.}, c: {prompt: C.%s}}\n", "error", "answers without verdict"),
        (
            "pattern: map_reduce\noptions: {splitter: c}\nagents: {w: {prompt: W.}, c: {prompt: C.%s}}\n",
            "error",
            "no items",
        ),
        (
            "pattern: router\noptions: {router: c}\nagents: {w: {prompt: W.}, c: {prompt: C.%s}}\n",
            "error",
            "answers without agents",
        ),
        (
            "pattern: debate\noptions: {judge: c}\nagents: {v: {prompt: V.}, w: {prompt: W.}, c: {prompt: C.%s}}\n",
            "error",
            "answers without winner",
        ),
        (
            "pattern: parallel\noptions: {resolve: weighted}\nagents: {w: {prompt: W.%s}, c: {prompt: C.%s}}\n",
            "warning",
            "goes by confidence",
        ),
    ],
)
def test_answers_that_the_pattern_cannot_read_are_found(text: str, severity: str, what: str) -> None:
    shape = ", response_format: {type: object, properties: {mood: {type: string}}}"
    report = check_team(team(text.replace("%s", shape)))
    found = [one for one in report.findings if one.code == "types"]
    assert found
    assert all(one.severity == severity and what in one.text for one in found)
    assert not [one for one in check_team(team(text.replace("%s", ""))).findings if one.code == "types"] or (
        severity == "warning"
    )


def test_a_review_whose_critic_gives_no_verdict_is_never_accepted() -> None:
    shape = "{type: object, properties: {mood: {type: string}}}"
    found = team(f"pattern: review\nagents: {{w: {{prompt: W.}}, c: {{prompt: C., response_format: {shape}}}}}\n")
    model = ScriptedChatModel(by_agent={"w": ["1", "2", "3"], "c": [{"mood": "ACCEPT"}] * 3})
    assert played(found, model)["status"] == "stopped"
    assert "types" in codes(check_team(found), "error")


# The command


def test_examples_have_no_errors() -> None:
    for path in EXAMPLES:
        assert check_team(read_team(path)).count("error") == 0, path


def test_the_command_says_where_what_and_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("t.yaml").write_text("name: t\npattern: single\nagents:\n  a: {prompt: A.}\nbudget: {model_calls: 0}\n")
    found = CliRunner().invoke(command, ["team", "check", "t.yaml"])
    assert found.exit_code == 1
    first, second, *_ = found.stdout.splitlines()
    assert first == (
        "t.yaml:4:3: warning: when a fails, there is no answer; give its policy a `fallback`, or `on_failure: escalate` "
        "[no-failure-path]"
    )
    assert "A run makes 1 to 3 model calls." in found.stdout.splitlines()
    assert second.startswith("t.yaml:5:10: error: even the cheapest run takes 1 model call")
    assert found.stdout.splitlines()[-1] == "1 error, 1 warning"


def test_warnings_fail_with_strict_alone(tmp_path: Path) -> None:
    path = tmp_path / "t.yaml"
    path.write_text("name: t\npattern: single\nagents:\n  a: {prompt: A.}\n")
    assert CliRunner().invoke(command, ["team", "check", str(path)]).exit_code == 0
    assert CliRunner().invoke(command, ["team", "check", str(path), "--strict"]).exit_code == 1


def test_a_file_that_cannot_be_read_ends_with_2_and_its_problems(tmp_path: Path) -> None:
    path = tmp_path / "t.yaml"
    path.write_text("name: t\nagents:\n  a: {promt: A.}\n")
    found = CliRunner().invoke(command, ["team", "check", str(path)])
    assert found.exit_code == 2
    assert f"{path}:3:7: " in found.stderr
    listed = json.loads(CliRunner().invoke(command, ["team", "check", str(path), "--json"]).stdout)
    assert (listed["findings"][0]["line"], listed["findings"][0]["column"]) == (3, 7)
    assert CliRunner().invoke(command, ["team", "check", str(tmp_path / "none.yaml")]).exit_code == 2


def test_the_report_as_json_is_plain_and_names_what_has_no_limit(tmp_path: Path) -> None:
    path = tmp_path / "t.yaml"
    path.write_text(
        "name: t\npattern: single\nagents:\n  a: {prompt: A., tools: [corpus.search], policy: {budget: {}}}\n"
    )
    told = json.loads(CliRunner().invoke(command, ["team", "check", str(path), "--json"]).stdout)
    assert told["cost"]["cheapest"]["model_calls"] == 1
    assert told["cost"]["dearest"] == {"model_calls": None, "tokens": None, "usd": None}
    assert {one["code"] for one in told["findings"]} == {"unbounded", "no-failure-path"}


def test_what_a_file_says_reaches_the_terminal_without_control_characters(tmp_path: Path) -> None:
    path = tmp_path / "t.yaml"
    path.write_text('name: t\npattern: single\nagents:\n  "a\\e[31m\\nb": {prompt: A.}\n')
    found = CliRunner().invoke(command, ["team", "check", str(path)])
    assert "\x1b" not in found.output
