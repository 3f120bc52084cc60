"""Team files: what they say, and that everything wrong with one is told at once, where it is and what to do."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from graphs.registry import REGISTRY
from nodes import Agent, HumanAgent
from orchestra.teamfile.building import build_team
from orchestra.teamfile.context import context_of_file
from orchestra.teamfile.model import AgentEntry, PatternName, TeamFile
from orchestra.teamfile.reading import parse_team, read_team
from orchestra.teamfile.schema import schema_text
from orchestra.teamfile.tasks import fill, plan_of
from orchestra.teamfile.toolsets import PARTS
from state import Budget, ConfigurationError, TeamFileError
from state.graph import Pattern

ROOT = Path(__file__).resolve().parent.parent
EXAMPLES = sorted((ROOT / "examples" / "teams").glob("*.yaml"))
AGENT = "  a: {prompt: You answer.}\n"


def problems(text: str | bytes, path: str = "team.yaml") -> list[tuple[int, int, str]]:
    """Return what is wrong with a team."""
    with pytest.raises(TeamFileError) as caught:
        parse_team(text, path=path)
    return list(caught.value.problems)


def problem(text: str | bytes, path: str = "team.yaml") -> tuple[int, int, str]:
    """Return the one thing that is wrong with a team."""
    found = problems(text, path)
    assert len(found) == 1, found
    return found[0]


def agents_of(team: TeamFile) -> dict[str, Any]:
    """Return the agents that the graph of a team was built of, by name."""
    made = build_team(team).made
    assert made is not None
    found: dict[str, Any] = {}
    for value in made.arguments.values():
        for agent in value if isinstance(value, list) else [value]:
            if isinstance(agent, Agent | HumanAgent):
                found[agent.name] = agent
            elif isinstance(agent, Pattern):
                found[agent.get_name()] = agent
    return found


# What a file says


def test_every_pattern_can_be_written_in_a_file() -> None:
    assert set(get_args(PatternName)) == {name for name, entry in REGISTRY.items() if not entry.is_team}


def test_agents_are_described_as_crewai_users_write_them_or_by_a_prompt() -> None:
    team = parse_team(
        "name: duo\nagents:\n  finder: {role: Finder, goal: Find facts, backstory: You like facts.}\n"
        "  writer: {prompt: You write plainly., description: Writes.}\n"
    )
    agents = agents_of(team)
    assert agents["finder"].prompt == "You are Finder.\nYou like facts.\nYour goal: Find facts"
    assert agents["finder"].description == "Find facts"
    assert (agents["writer"].prompt, agents["writer"].description) == ("You write plainly.", "Writes.")


def test_models_policies_and_budgets_reach_the_agents_and_the_run() -> None:
    team = parse_team(
        """
name: duo
model: openai:gpt-5-mini
agents:
  a: {prompt: x, model: "openai:gpt-5", policy: {timeout: 5, fallback: [b, extractive], budget: {usd: 1}}}
  b: {prompt: y}
policy: {timeout: 9, max_attempts: 2}
options: {max_rounds: 7, agents: [a, b]}
budget: {model_calls: 20, usd: 0.5}
"""
    )
    agents, context = agents_of(team), context_of_file(team)
    assert (agents["a"].model, agents["b"].model) == ("openai:gpt-5", None)
    assert (agents["a"].policy.timeout, agents["a"].policy.max_attempts, agents["b"].policy.timeout) == (5, 2, 9)
    first, second = agents["a"].policy.fallbacks()
    assert first.agent is agents["b"]
    assert second.model == "extractive"
    assert agents["a"].policy.budget == Budget(usd=1)
    assert (context.model, context.max_rounds) == ("openai:gpt-5-mini", 7)
    assert context.budget == Budget(model_calls=20, usd=0.5)


def test_who_only_stands_in_for_others_is_no_member_unless_an_option_says_so() -> None:
    text = "name: x\nagents:\n  a: {prompt: x, policy: {fallback: [b]}}\n  b: {prompt: y}\n"
    assert list(agents_of(parse_team(text))) == ["a"]
    assert list(agents_of(parse_team(text + "options: {agents: [b, a]}\n"))) == ["b", "a"]


def test_a_person_has_hours_and_somebody_who_stands_in() -> None:
    team = parse_team(
        "name: x\npattern: single\nagents:\n"
        "  boss: {human: yes, available: mon-fri 09:00-17:00 Europe/Zurich, due: 60, backup: a}\n" + AGENT
    )
    boss = agents_of(team)["boss"]
    assert isinstance(boss, HumanAgent)
    assert (str(boss.available), boss.due) == ("mon-fri 09:00-17:00 Europe/Zurich", 60)
    assert isinstance(boss.backup, Agent)


@pytest.mark.parametrize(
    ("pattern", "options", "played"),
    [
        ("review", "", {"generator": "a", "critics": ["b", "judge"]}),
        ("debate", "", {"debaters": ["a", "b"], "judge": "judge"}),
        ("debate", "options: {judge: a, debaters: [judge, b]}", {"debaters": ["judge", "b"], "judge": "a"}),
        ("router", "options: {default: b}", {"specialists": ["a", "b", "judge"], "default": "b"}),
        ("hierarchical", "options: {manager: b}", {"workers": ["a", "judge"], "manager": "b"}),
        ("group_chat", "options: {moderator: judge}", {"speakers": ["a", "b"], "moderator": "judge"}),
        (
            "group_chat",
            "options: {moderator: round_robin}",
            {"speakers": ["a", "b", "judge"], "moderator": "round_robin"},
        ),
        ("handoff", "options: {entry: b}", {"agents": ["a", "b", "judge"], "entry": "b"}),
    ],
)
def test_agents_play_the_parts_that_the_options_or_their_names_say(
    pattern: str, options: str, played: dict[str, Any]
) -> None:
    agents = AGENT + "  b: {prompt: x}\n  judge: {prompt: x}\n"
    made = build_team(parse_team(f"name: x\npattern: {pattern}\nagents:\n{agents}{options}\n")).made
    assert made is not None

    def named(value: Any) -> Any:
        return (
            value.name
            if isinstance(value, Agent)
            else [one.name for one in value]
            if isinstance(value, list)
            else value
        )

    assert {name: named(value) for name, value in made.arguments.items()} == played


def test_texts_that_older_yaml_takes_for_something_else_are_texts() -> None:
    team = parse_team("name: no\ndescription: 12:30\nagents:\n  on: {prompt: 2024-01-01, version: 1.5}\n")
    entry = team.agents["on"]
    assert (team.name, team.description) == ("no", "12:30")
    assert isinstance(entry, AgentEntry)
    assert (entry.prompt, entry.version) == ("2024-01-01", "1.5")


def test_json_is_read_like_yaml() -> None:
    text = '{"name": "duo",\n\t"agents": {"a": {"prompt": "\\/ \\ud83d\\ude00"}}}'
    entry = parse_team(text, path="team.json").agents["a"]
    assert isinstance(entry, AgentEntry)
    assert entry.prompt == "/ \U0001f600"


def test_how_a_file_is_written_makes_no_difference_to_its_digest_and_what_it_says_does() -> None:
    text = "name: duo\nagents:\n" + AGENT
    assert parse_team(text).source.digest == parse_team(f"# A comment\n{text}\n").source.digest
    assert parse_team(text).source.digest != parse_team(text.replace("answer", "ask")).source.digest


# Tasks


TASKS = """
name: duo
agents:
  finder: {prompt: You find.}
  writer: {prompt: You write.}
tasks:
  find: {description: "Find out about {task}", expected_output: "Facts on {task}", agent: finder}
  look: {description: "Look too", agent: finder, context: []}
  write: {description: "Write {{it}}", agent: writer, context: [find, look]}
  check: {description: "Check", agent: finder}
"""


def test_tasks_are_a_plan_in_the_order_of_their_context() -> None:
    plan = plan_of(parse_team(TASKS).tasks, "tides")
    assert {one.id: (one.task, one.agent, one.depends_on, one.constraints) for one in plan.subtasks} == {
        "find": ("Find out about tides", "finder", (), ("Expected output: Facts on tides",)),
        "look": ("Look too", "finder", (), ()),
        "write": ("Write {it}", "writer", ("find", "look"), ()),
        "check": ("Check", "finder", ("write",), ()),
    }


@settings(max_examples=30, deadline=None)
@given(st.text(), st.text())
def test_nothing_but_the_task_is_put_into_a_text(before: str, task: str) -> None:
    assert fill(before.replace("{", "").replace("}", "") + "{task}", task).endswith(task)
    assert fill("{0.__class__} {task.__init__}", task) == "{0.__class__} {task.__init__}"


# What is wrong with a file


def test_all_that_is_wrong_is_told_at_once_in_the_order_of_the_file() -> None:
    found = problems(
        """name: duo/x
descripton: Finds.
pattern: sequental
agents:
  finder: {role: Finder, tools: corpus.search}
  writer: {prompt: You write., llm: gpt, policy: {timeout: -20, max_attempts: two}}
  writer: {prompt: x}
tasks:
  find: {description: "Find {task}"}
"""
    )
    assert [(line, column) for line, column, _ in found] == [
        (1, 7),
        (2, 1),
        (3, 10),
        (5, 33),
        (6, 32),
        (6, 60),
        (6, 79),
        (7, 3),
        (9, 9),
    ]
    told = [text for _, _, text in found]
    assert told[1] == "a team has no key 'descripton'; did you mean 'description'?"
    assert told[2].endswith("got 'sequental'; did you mean 'sequential'?")
    assert told[3] == "agents.finder.tools: expected a list, such as [a, b], got 'corpus.search'"
    assert told[4] == "agents.writer has no key 'llm'; write `model`"
    assert told[5] == "agents.writer.policy.timeout: expected greater than 0, got -20"
    assert told[7] == "expected every key once, got 'writer' again; the first is in line 6"
    assert told[8] == "tasks.find.agent: expected it, got nothing; add `agent:`"


def test_an_error_has_file_line_and_column_in_front() -> None:
    with pytest.raises(TeamFileError, match=r"^crew\.yaml:2:1: a team has no key 'foo'") as caught:
        parse_team("name: x\nfoo: 1\nagents:\n" + AGENT, path="crew.yaml")
    assert isinstance(caught.value, ConfigurationError)
    assert caught.value.path == "crew.yaml"


@pytest.mark.parametrize(
    ("content", "place", "said"),
    [
        (b"", (1, 1), "got an empty file"),
        (b"# nothing\n", (1, 1), "got an empty file"),
        (b"- a\n- b\n", (1, 1), "expected a team: .* got a list"),
        (b"hello", (1, 1), "got the text 'hello'"),
        (b"name: x\nagents:\n\ta: {}\n", (3, 1), "expected spaces, got a tab"),
        (b"name: d\xffuo\n", (1, 8), "expected UTF-8, got the byte 0xff"),
        (b"name: x\nb: \x07\n", (2, 4), "control character '\\\\x07'"),
        (b"name: x\n---\nname: y\n", (2, 1), "expected one team in a file"),
        (b"name: a: b\n", (1, 8), "put a text that contains ': ' in quotes"),
        (b"name: 'x\n", (2, 1), "close the quotes"),
        (b"name: *x\n", (1, 7), "define it before"),
        (b"a: " + b"[" * 5000, (1, 1), "nested at most 40 deep"),
        (b"name: " + b"x" * 300_000, (1, 1), "expected at most 256 KB"),
    ],
)
def test_what_is_no_yaml_of_a_team_is_told_with_a_remedy(content: bytes, place: tuple[int, int], said: str) -> None:
    line, column, text = problem(content)
    assert (line, column) == place
    assert re.search(said, text), text


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "empty file"),
        ('{"name": }', "cannot be read as JSON"),
        ('{"name": NaN}', "got NaN"),
        ("name: x", "cannot be read as JSON"),
        ('{"name": "x", "name": "y", "agents": {"a": {"prompt": "x"}}}', "got 'name' again"),
    ],
)
def test_what_is_no_json_of_a_team_is_told(content: str, said: str) -> None:
    assert said in problem(content, "team.json")[2]


def test_aliases_that_grow_without_end_are_refused() -> None:
    lines = ["a: &a [x, x, x, x, x, x, x, x, x]"]
    lines += [f"{chr(98 + n)}: &{chr(98 + n)} [{', '.join([f'*{chr(97 + n)}'] * 9)}]" for n in range(8)]
    assert any("20000 values" in text for _, _, text in problems("\n".join(lines)))
    assert any("alias inside of what it stands for" in text for _, _, text in problems("&a {name: *a}"))


def test_tags_make_no_objects() -> None:
    found = problems('name: !!python/object/apply:os.system ["true"]\nagents:\n' + AGENT)
    assert any("python/object" in text for _, _, text in found)


@pytest.mark.parametrize(
    ("text", "place", "said"),
    [
        (
            "agents: {a: {prompt: x, tools: [corpus.serch]}}",
            (2, 33),
            "corpus has no tool 'serch'; did you mean 'search'?",
        ),
        ("agents: {a: {prompt: x, tools: [docs]}}", (2, 33), "no tool 'docs'"),
        ("agents: {a: {prompt: x, tools: [files.read]}}", (2, 33), "needs settings; add it under `tools:`"),
        ("agents: {a: {prompt: x, tools: ['os system:x']}}", (2, 33), "expected an import path"),
        ("agents: {a: {role: '{topic} Expert'}}", (2, 20), "got the placeholder '{topic}'"),
        ("agents: {a: {prompt: x, role: y}}", (2, 13), "got prompt and role"),
        ("agents: {a: {description: x}}", (2, 13), "got none of them"),
        ("agents: {a: {prompt: x, policy: {fallback: [c]}}, b: {prompt: x}}", (2, 45), "expected another agent"),
        ("agents: {a: {human: true, due: 5, backup: a}}", (2, 43), "expected another agent"),
        ("agents: {a: {human: true, backup: b}, b: {prompt: x}}", (2, 10), "backup never gets a turn"),
        ("agents: {a: {human: true, available: nine to five}}", (2, 38), "expected hours like"),
        ("agents: {a: {human: true, available: mon-fri 09:00-17:00 Europe/Zurrich}}", (2, 38), "Zurrich"),
        ("agents: {a: {prompt: x}}\nmodel: gpt-5", (3, 8), "expected 'provider:model'"),
        ("agents: {a: {prompt: x}}\nmodel: openai:${MODEL}", (3, 8), "come from the environment"),
        (
            "agents: {a: {prompt: x, tools: [corpus]}}\napprovals: [serch_documents]",
            (3, 13),
            "no agent has the tool 'serch_documents'; did you mean 'search_documents'?",
        ),
        (
            "agents: {a: {prompt: x, tools: [web]}}\npolicy: {deny: [fetch_pages]}",
            (3, 17),
            "deny: no agent has the tool 'fetch_pages'; did you mean 'fetch_page'?",
        ),
        ("agents: {a: {prompt: x}}\napprovals: [crm.send]", (3, 13), "no agent has the tool 'crm.send'"),
        ("agents: {a: {prompt: x}}\noptions: {max_round: 3}", (3, 11), "did you mean 'max_rounds'?"),
        ("agents: {a: {prompt: x}}\noptions: {max_rounds: many}", (3, 23), "expected a valid integer"),
        ("agents: {a: {prompt: x}}\noptions: {budget: 3}", (3, 11), "write it at the top"),
        ("agents: {a: {prompt: x}, b: {prompt: y}}\npattern: single", (2, 26), "'b' has no part"),
        ("agents: {a: {prompt: x}}\npattern: parallel", (3, 1), "expected at least 2, got 1"),
        ("agents: {a: {prompt: x}}\npattern: review\noptions: {accept: most}", (4, 19), "accept: expected"),
        ("agents: {a: {prompt: x}}\npattern: review\noptions: {critics: a}", (4, 20), "expected a list of agents"),
        ("agents: {a: {prompt: x}}\npattern: review\noptions: {critics: [c]}", (4, 21), "got 'c'"),
        ("agents: {a: {prompt: x, response_format: {type: array}}}", (2, 42), "expected `type: object`"),
        ("agents: {a: {prompt: x, tools: [w]}}\ntools: {w: {use: web, host: x}}", (3, 23), "no key 'host'"),
        ("agents: {a: {prompt: x, tools: [w]}}\ntools: {w: {use: wbe}}", (3, 12), "did you mean 'web'?"),
        ("agents: {a: {prompt: x, tools: [m]}}\ntools: {m: {use: mcp}}", (3, 12), "exactly one of command and url"),
        (
            "agents: {a: {prompt: x}}\ntools: {m: {use: mcp, url: 'https://x', headers: {Authorization: Bearer x}}}",
            (3, 66),
            "as '${NAME}'",
        ),
        (
            "agents: {a: {prompt: x, tools: [f.write]}}\ntools: {f: {use: files, folder: .}}",
            (2, 33),
            "is off; add `write: true`",
        ),
        ("agents: {t: {team: other.yaml}}", (2, 20), "other.yaml' cannot be read: No such file or directory"),
        ("agents: {t: {team: other.yaml, agents: {a: {prompt: x}}}}", (2, 13), "got team and agents"),
        ("agents: {t: {pattern: single}}", (2, 13), "expected the agents of the team"),
        ("agents: {t: {agents: {a: {prompt: x}}, options: {max_rounds: 3}}}", (2, 50), "knob of the whole run"),
    ],
)
def test_impossible_references_are_told_where_they_are(text: str, place: tuple[int, int], said: str) -> None:
    line, column, told = problem(f"name: x\n{text}\n")
    assert said in told
    assert (line, column) == place


@pytest.mark.parametrize(
    ("change", "place", "said"),
    [
        (("agent: writer", "agent: writr"), (9, 47), "did you mean 'writer'?"),
        (("[find, look]", "[find, loook]"), (9, 71), "did you mean 'look'?"),
        (("[find, look]", "[find, write]"), (9, 71), "expected another task"),
        (("context: []", "context: [check]"), (9, 3), "tasks wait for each other: "),
        (('"Look too"', '"Look {topic}"'), (8, 23), "got '{topic}'; write it as '{{topic}}' if braces are meant"),
        (('"Look too"', '"Look {0.__class__}"'), (8, 23), "expected '{task}' only"),
        (('"Find out about {task}"', "Find"), (6, 1), "would reach nobody"),
        (("name: duo", "name: duo\npattern: review"), (7, 1), "take sequential or plan_execute"),
        (
            ("name: duo", "name: duo\npattern: plan_execute\noptions: {planner: finder}"),
            (4, 11),
            "the tasks are the plan",
        ),
    ],
)
def test_what_is_wrong_with_tasks_is_told(change: tuple[str, str], place: tuple[int, int], said: str) -> None:
    line, column, text = problem(TASKS.replace(*change).lstrip("\n").replace("name: duo\n", "name: duo\n", 1))
    assert said in text
    assert (line + 1, column) == place


def test_a_secret_in_a_file_is_refused_and_not_repeated() -> None:
    secret = "sk-proj-" + "a1B2" * 8
    line, column, text = problem(f"name: x\nagents:\n  a: {{prompt: 'Use {secret}'}}\n")
    assert (line, column) == (3, 15)
    assert "keys belong into the environment" in text
    assert secret not in text


def test_files_that_name_each_other_in_a_circle_are_refused_with_the_way(tmp_path: Path) -> None:
    for name, other in (("a", "b"), ("b", "c"), ("c", "a")):
        (tmp_path / f"{name}.yaml").write_text(f"name: {name}\nagents:\n  t: {{team: {other}.yaml}}\n")
    with pytest.raises(TeamFileError, match=r"no team inside of itself, got a\.yaml -> b\.yaml -> c\.yaml -> a\.yaml"):
        read_team(tmp_path / "a.yaml")


def test_what_is_wrong_in_a_nested_file_is_told_with_its_own_lines(tmp_path: Path) -> None:
    (tmp_path / "in.yaml").write_text("name: x\nagents:\n  a: {promt: x}\n")
    (tmp_path / "out.yaml").write_text("name: x\nagents:\n  t: {team: in.yaml}\n")
    with pytest.raises(
        TeamFileError, match=r"out\.yaml:3:13: team 'in\.yaml' cannot be used:\n    .*in\.yaml:3:7: .*promt"
    ):
        read_team(tmp_path / "out.yaml")


@pytest.mark.parametrize("name", ["team.txt", "missing.yaml", "folder.yaml"])
def test_a_path_that_is_no_team_file_is_refused_plainly(name: str) -> None:
    Path("folder.yaml").mkdir()
    with pytest.raises(ConfigurationError, match=re.escape(name)):
        read_team(name)


def test_control_characters_of_a_file_do_not_reach_a_terminal() -> None:
    with pytest.raises(TeamFileError) as caught:
        parse_team('name: x\nagents:\n  "a\\e[31mred": {prompt: x, "\\e]0;t\\a": 1}\n')
    assert "\x1b" not in str(caught.value)
    assert "\x07" not in str(caught.value)


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=200) | st.text(max_size=200).map(lambda text: text.encode("utf-8", "surrogatepass")))
def test_any_bytes_are_a_team_or_a_refusal(content: bytes) -> None:
    for name in ("x.yaml", "x.json"):
        with pytest.raises(TeamFileError):
            parse_team(b"pattern: single\n" + content, path=name)


# The schema


def test_the_published_schema_is_that_of_the_model() -> None:
    published = (ROOT / "docs" / "team.schema.json").read_text(encoding="utf-8")
    assert published == schema_text(), "orchestra team schema --out docs/team.schema.json"
    Draft202012Validator.check_schema(json.loads(published))


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_examples_fit_the_schema_that_their_first_line_names(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    named = re.fullmatch(r"# yaml-language-server: \$schema=(\S+)", text.splitlines()[0])
    assert named is not None
    schema = json.loads((path.parent / named[1]).read_text(encoding="utf-8"))
    Draft202012Validator(schema).validate(yaml.safe_load(text))


@pytest.mark.parametrize(
    "text",
    [
        "name: x\nfoo: 1\nagents: {a: {prompt: x}}",
        "name: x\nagents: {a: {promt: x}}",
        "name: x\nagents: {a: {description: x}}",
        "name: x\nagents: {a: {prompt: x}}\npattern: review\noptions: {quorum: 2}",
        "name: x\nagents: {a: {prompt: x}}\noptions: {max_rounds: 0}",
        "name: x\nagents: {a: {prompt: x}}\ntools: {d: {use: files}}",
    ],
)
def test_an_editor_marks_by_the_schema_what_reading_refuses(text: str) -> None:
    with pytest.raises(TeamFileError):
        parse_team(text)
    assert not Draft202012Validator(json.loads(schema_text())).is_valid(yaml.safe_load(text))


def _descriptions(schema: Any) -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    for definition in [schema, *schema["$defs"].values()]:
        found += list(definition.get("properties", {}).items())
    return found


def test_every_key_of_the_schema_is_described() -> None:
    schema = json.loads(schema_text())
    bare = [
        name
        for name, one in _descriptions(schema)
        if not one.get("description") and "$ref" not in one and "const" not in one
    ]
    assert bare == []


def test_the_table_of_ready_tools_has_the_names_that_the_tools_have(tmp_path: Path) -> None:
    import sqlite3

    (tmp_path / "notes").mkdir()
    with sqlite3.connect(tmp_path / "shop.db") as connection:
        connection.execute("create table orders (id integer)")
    (tmp_path / "team.yaml").write_text(
        """
name: x
pattern: single
agents:
  a: {prompt: x, tools: [corpus, web, pattern, notes, shop, lab]}
tools:
  notes: {use: files, folder: notes, write: true}
  shop: {use: sql, database: shop.db, changes: [orders]}
  lab: {use: code, folder: notes}
"""
    )
    tools = {tool.name for tool in agents_of(read_team(tmp_path / "team.yaml"))["a"].tools}
    assert tools == {name for parts in PARTS.values() for name in parts.values()}
