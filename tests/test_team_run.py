"""Team files at work: run by the command and from Python, gone on with from the thread's name, drawn, shown, refused."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any, TypedDict

import pytest
from click.testing import CliRunner, Result
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, StateGraph
from langgraph.types import Command

from nodes import ScriptedChatModel
from nodes.scripted import call
from orchestra import answer, load_team, show, start
from orchestra.__main__ import command
from orchestra.recipe import Recipe, recipe_named, recipe_of
from orchestra.teamfile.model import TeamFile
from orchestra.teamfile.outline import outline
from state import ConfigurationError, Context, TeamFileError
from state.persistence import open_persistence

ROOT = Path(__file__).resolve().parent.parent
EXAMPLES = {path.stem: path for path in sorted((ROOT / "examples" / "teams").glob("*.yaml"))}
DB = "sqlite:///runs.db"
DESK = """
name: desk
pattern: single
agents:
  clerk: {prompt: You look numbers up., tools: ["own_tools:look_up"]}
approvals: ["own_tools:look_up"]
"""
OWN = '''
def look_up(number: int) -> str:
    """Say whether a number is prime."""
    return f"Number {number} is prime."
'''


def orchestra(*arguments: str) -> Result:
    """Run the command in this process."""
    return CliRunner().invoke(command, arguments)


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Return the file of a team whose one tool is in a module beside it."""
    (tmp_path / "team").mkdir()
    (tmp_path / "team" / "own_tools.py").write_text(OWN)
    (tmp_path / "team" / "desk.yaml").write_text(DESK)
    monkeypatch.delitem(sys.modules, "own_tools", raising=False)
    return "team/desk.yaml"


@pytest.fixture
def waiting(desk: str) -> str:
    """Return a thread of the team that waits for approval."""
    result = orchestra("run", desk, "Is number 7 prime?", "--thread", "seven", "--db", DB)
    assert result.exit_code == 3, result.stderr
    return "seven"


# The command


@pytest.mark.parametrize(
    ("name", "task", "waits"),
    [
        ("duo", "What is a closure?", False),
        ("review", "Write about the Lumo lamp: 40 hours on one charge, 300 grams.", False),
        ("plan", "lambda expressions", False),
        ("newsroom", "What is a closure?", True),
        ("parcels", "Where is parcel 4711?", True),
    ],
)
def test_every_example_runs_without_a_key(name: str, task: str, waits: bool) -> None:
    result = orchestra("run", str(EXAMPLES[name]), task, "--thread", "t", "--db", DB, "--quiet")
    assert result.exit_code == (3 if waits else 0), result.stderr
    if waits:
        result = orchestra("approve", "t", "--db", DB, "--quiet")
        assert result.exit_code == 0, result.stderr
    assert result.stdout.strip()


def test_there_is_a_test_of_every_example() -> None:
    assert set(EXAMPLES) == {"duo", "review", "plan", "newsroom", "parcels"}


def test_a_thread_goes_on_with_its_file_from_another_folder(
    waiting: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    result = orchestra("approve", waiting, "--db", "sqlite:///../runs.db")
    assert result.exit_code == 0, result.stderr
    assert "Number 7 is prime." in result.stdout


@pytest.mark.parametrize(
    ("decision", "said"),
    [(("reject", "-m", "Not now."), "A person rejected"), (("approve",), "A person approved")],
)
def test_what_a_person_decided_is_told(waiting: str, decision: tuple[str, ...], said: str) -> None:
    verb, *words = decision
    told = orchestra(verb, waiting, *words, "--db", DB, "--plain").stderr
    assert re.search(rf"^{said} \w+", told, re.MULTILINE)
    assert ("Not now." in told) == (verb == "reject")
    assert said.lower() in orchestra("show", waiting, "--db", DB).stdout
    assert said.removeprefix("A ") in orchestra("trace", waiting, "--db", DB).stdout


def test_a_file_can_be_talked_to_and_its_thread_goes_on(desk: str) -> None:
    words = ["chat", desk, "--thread", "talk", "--db", DB]
    first = CliRunner().invoke(command, words, input="Is number 7 prime?\n")
    assert (first.exit_code, "Decide here" in first.stderr) == (3, True)
    assert f"orchestra chat {Path(desk).resolve()} --thread talk" in first.stderr
    again = CliRunner().invoke(command, words, input="approve\n")
    assert (again.exit_code, "Number 7 is prime." in again.stdout) == (0, True), again.stderr
    assert orchestra("chat", desk, "--set", "a=b", "--db", DB).exit_code == 2
    assert orchestra("chat", str(EXAMPLES["duo"]), "--thread", "talk", "--db", DB).exit_code == 2


def test_documents_are_for_files_whose_agents_may_search_them(tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "bees.md").write_text("# Bees\n\nThe queen lays up to 2000 eggs a day.\n")
    entry = "name: t\nagents:\n  a: {prompt: Answer., tools: [%s]}\n"
    for tools, code in (("", 2), ("web.fetch", 2), ("corpus.search", 0)):
        (tmp_path / "t.yaml").write_text(entry % tools)
        ran = orchestra("run", "t.yaml", "How many eggs?", "--corpus", "docs", "--db", "sqlite:///runs.db")
        assert ran.exit_code == code, ran.stderr
    assert "2000 eggs" in ran.stdout


def test_the_same_file_and_thread_is_another_turn(waiting: str, desk: str) -> None:
    assert orchestra("approve", waiting, "--db", DB).exit_code == 0
    result = orchestra("run", desk, "Is number 11 prime?", "--thread", waiting, "--db", DB)
    assert result.exit_code == 3, result.stderr
    assert "Number 11 is prime." in orchestra("approve", waiting, "--db", DB).stdout


@pytest.mark.parametrize("verb", ["resume", "approve"])
def test_a_thread_that_waits_goes_on_with_what_its_file_said_and_with_nothing_else(
    waiting: str, desk: str, verb: str
) -> None:
    Path(desk).write_text(DESK.replace("You look", "You guess"))
    result = orchestra(verb, waiting, "--db", DB)
    assert result.exit_code == 1
    assert "is not what thread 'seven' was started with; put back what it said and try again" in result.stderr
    Path(desk).write_text(f"# How it is written makes no difference\n{DESK}")
    assert orchestra("approve", waiting, "--db", DB).exit_code == 0


def test_a_thread_goes_on_with_what_the_files_said_that_its_file_names(desk: str) -> None:
    Path("outer.yaml").write_text("name: outer\nagents:\n  desk: {team: team/desk.yaml}\n")
    assert orchestra("run", "outer.yaml", "Is number 7 prime?", "--thread", "t", "--db", DB).exit_code == 3
    Path(desk).write_text(DESK.replace("You look", "You guess"))
    assert "is not what thread 't' was started with" in orchestra("approve", "t", "--db", DB).stderr
    Path(desk).write_text(DESK)
    assert orchestra("approve", "t", "--db", DB).exit_code == 0


def test_a_file_that_is_gone_or_broken_is_told_with_a_remedy(waiting: str, desk: str) -> None:
    Path(desk).rename("kept.yaml")
    assert "is gone; put it back" in orchestra("approve", waiting, "--db", DB).stderr
    Path(desk).write_text("name: desk\n")
    assert "cannot be used any more; put it back" in orchestra("approve", waiting, "--db", DB).stderr
    Path("kept.yaml").rename(desk)
    assert orchestra("approve", waiting, "--db", DB).exit_code == 0


def test_a_thread_that_has_ended_may_go_on_with_a_file_that_was_changed(waiting: str, desk: str) -> None:
    assert orchestra("approve", waiting, "--db", DB).exit_code == 0
    Path(desk).write_text(DESK.replace("approvals", "# approvals"))
    assert orchestra("show", waiting, "--db", DB).exit_code == 0
    result = orchestra("run", desk, "Is number 11 prime?", "--thread", waiting, "--db", DB)
    assert result.exit_code == 0, result.stderr
    with open_persistence(DB) as persistence:
        facts = persistence.thread(waiting)
    assert facts is not None
    assert facts["recipe"]["digest"] == load_team(desk).file.source.digest


def test_a_thread_of_another_file_is_left_alone(waiting: str) -> None:
    Path("other.yaml").write_text("name: desk\nagents:\n  a: {prompt: x}\n")
    result = orchestra("run", "other.yaml", "Hello", "--thread", waiting, "--db", DB)
    assert result.exit_code == 2
    assert "'seven' belongs to " in result.stderr


def test_every_problem_of_a_file_is_a_line_of_its_own() -> None:
    Path("bad.yaml").write_text("name: x\nfoo: 1\nagents:\n  a: {promt: x}\n")
    result = orchestra("run", "bad.yaml", "Hello", "--db", DB)
    assert result.exit_code == 2
    lines = result.stderr.splitlines()
    assert lines[0] == "Error: the team file has 2 problems"
    assert [line.split(" ")[0] for line in lines[1:]] == ["bad.yaml:2:1:", "bad.yaml:4:7:"]
    assert not Path("runs.db").exists()


@pytest.mark.parametrize("name", ["missing.yaml", "./review", "folder/"])
def test_what_looks_like_a_path_is_one(name: str) -> None:
    result = orchestra("run", name, "Hello")
    assert result.exit_code == 2
    assert "team file" in result.stderr


def test_options_of_the_command_take_the_place_of_what_the_file_says() -> None:
    Path("team.yaml").write_text(
        "name: x\nmodel: openai:gpt-5\noptions: {max_rounds: 5, max_turns: 9}\n"
        "budget: {usd: 1, model_calls: 9}\nagents:\n  a: {prompt: x}\n"
    )
    words = ("--model", "extractive", "--max-rounds", "2", "--budget-usd", "0.5", "--thread", "t", "--db", DB)
    assert orchestra("run", "team.yaml", "Say: tides.", *words).exit_code in (0, 1)
    with open_persistence(DB) as persistence:
        facts = persistence.thread("t")
    assert facts is not None
    context = facts["context"]
    assert (context["model"], context["max_rounds"], context["max_turns"]) == ("extractive", 2, 9)
    assert (context["budget"]["usd"], context["budget"]["model_calls"]) == (0.5, 9)


def test_another_turn_keeps_what_options_said_until_the_file_says_something_else() -> None:
    said = "name: x\noptions: {max_rounds: 5, max_turns: 9}\nagents:\n  a: {prompt: x}\n"
    words = ("run", "team.yaml", "Say: tides.", "--thread", "t", "--db", DB)
    found = []
    for text, more in ((said, ("--max-rounds", "2")), (said, ()), (said.replace("9", "8"), ("--max-rounds", "4"))):
        Path("team.yaml").write_text(text)
        assert orchestra(*words, *more).exit_code in (0, 1)
        with open_persistence(DB) as persistence:
            context = (persistence.thread("t") or {})["context"]
        found.append((context["max_rounds"], context["max_turns"]))
    assert found == [(2, 9), (2, 9), (4, 8)]


def test_what_a_person_approves_is_said_by_the_file_alone() -> None:
    result = orchestra("run", str(EXAMPLES["duo"]), "Hello", "--approve", "--db", DB)
    assert result.exit_code == 2
    assert "a file says itself what a person approves" in result.stderr


def test_a_file_is_drawn_and_shown_without_running_what_it_names(desk: str) -> None:
    Path("team/own_tools.py").write_text("raise SystemExit('imported')\n")
    drawn = orchestra("draw", desk)
    assert drawn.exit_code == 0, drawn.stderr
    assert "clerk" in drawn.stdout
    assert "clerk" in show(Path(desk)).svg
    shown = orchestra("team", "show", desk)
    assert shown.exit_code == 0, shown.stderr
    assert "own_tools:look_up" in shown.stdout
    assert json.loads(orchestra("team", "show", desk, "--json").stdout)["approvals"] == ["own_tools:look_up"]


def test_a_file_is_shown_with_what_it_imports_when_that_is_asked_for(desk: str) -> None:
    shown = json.loads(orchestra("team", "show", desk, "--import", "--json").stdout)
    assert shown["imported"] == {"own_tools:look_up": ["look_up"]}


def test_the_outline_of_a_team_has_everybody_with_their_part() -> None:
    told = outline(load_team(EXAMPLES["newsroom"]).file)
    assert [(row.name, row.depth, row.part) for row in told.agents] == [
        ("desk", 0, "generator"),
        ("finder", 1, ""),
        ("writer", 1, ""),
        ("chief", 0, "critics"),
    ]
    told = outline(load_team(EXAMPLES["plan"]).file)
    assert ("briefing", "editor", "definition, limits") in told.tasks
    for name, path in EXAMPLES.items():
        shown = orchestra("team", "show", str(path))
        assert shown.exit_code == 0, shown.stderr
        assert load_team(path).name in shown.stderr, name


def test_the_schema_is_printed_or_written() -> None:
    printed = orchestra("team", "schema").stdout
    assert orchestra("team", "schema", "--out", "schemas/team.json").exit_code == 0
    assert Path("schemas/team.json").read_text() == printed


# Tools of one's own


@pytest.mark.parametrize(
    ("reference", "said"),
    [
        ("no_such_module:look_up", "no module 'no_such_module'; it is neither installed nor in"),
        ("own_tools:lookup", "has no 'lookup'; did you mean 'look_up'?"),
        ("own_tools:NUMBER", "expected a tool, a function or a list of them, got 7"),
        ("own_tools:Kind", "expected a tool, a function or a list of them"),
        ("tools:look_up", "has no 'look_up'"),
        ("broken:look_up", "its module cannot be imported: ZeroDivisionError"),
        ("needy:look_up", "its module needs 'no_such_package'; install it"),
        ("leaving:look_up", "its module cannot be imported: SystemExit: 3"),
    ],
)
def test_a_tool_that_cannot_be_had_is_told_before_anything_runs(
    desk: str, reference: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("team/own_tools.py").write_text(f"{OWN}\nNUMBER = 7\nclass Kind: pass\n")
    Path("team/broken.py").write_text("1 / 0\n")
    Path("team/leaving.py").write_text("import sys\nsys.exit(3)\n")
    Path("team/needy.py").write_text("import no_such_package\n")
    Path(desk).write_text(DESK.replace("own_tools:look_up", reference))
    with pytest.raises(ConfigurationError, match=f"tool '{reference}'") as caught:
        load_team(desk).build()
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("tool", "place", "said"),
    [
        ("{use: files, folder: nowhere}", ":6:3: ", "nowhere"),
        ("{use: corpus, folder: nowhere}", ":6:3: ", "nowhere"),
        ("{use: sql, database: nowhere.db}", ":6:3: ", "expected an SQLite file, found none"),
        ("{use: mcp, command: no-such-program}", ":6:3: ", "no-such-program"),
    ],
)
def test_a_tool_whose_settings_cannot_be_used_is_told_by_its_line(tool: str, place: str, said: str) -> None:
    Path("team.yaml").write_text(
        f"name: x\npattern: single\nagents:\n  a: {{prompt: x, tools: [it]}}\ntools:\n  it: {tool}\n"
    )
    with pytest.raises(TeamFileError) as caught:
        load_team("team.yaml").build()
    assert place in str(caught.value)
    assert said in str(caught.value)


def test_reading_a_file_imports_nothing_and_leaves_the_path_as_it_was(desk: str) -> None:
    before = list(sys.path)
    team = load_team(desk)
    assert "own_tools" not in sys.modules
    team.build()
    assert "own_tools" in sys.modules
    assert sys.path == before


def test_a_module_beside_the_file_never_takes_the_place_of_an_installed_one(desk: str) -> None:
    Path("team/string.py").write_text("def capwords(text: str) -> str:\n    return 'taken over'\n")
    Path(desk).write_text(DESK.replace("own_tools:look_up", "string:capwords"))
    made = load_team(desk).build().made
    assert made is not None
    assert made.arguments["agent"].tools[0]("a b") == "A B"


# From Python


def told(team_text: str, model: ScriptedChatModel, task: str = "tides", **knobs: Any) -> Any:
    """Return what came of a team's run."""
    Path("team.yaml").write_text(team_text)
    team = load_team("team.yaml")
    with model:
        return team.graph.invoke({"task": task}, context=team.context(model=model, **knobs))


PLAN = """
name: duo
agents:
  finder: {prompt: You are finder.}
  writer: {prompt: You are writer.}
tasks:
  find: {description: "Find out about {task}", expected_output: Three facts, agent: finder}
  look: {description: "Look elsewhere", agent: finder, context: []}
  write: {description: "Write it", agent: writer, context: [find, look]}
"""


def test_tasks_are_done_in_the_order_of_their_context_and_no_model_is_asked_for_a_plan() -> None:
    model = ScriptedChatModel(by_agent={"finder": ["The moon.", "The sun."], "writer": ["Both."]})
    out = told(PLAN, model, max_concurrency=1)
    assert (out["answer"], out["status"]) == ("Both.", "completed")
    first, second, last = (request.messages[-1].text for request in model.requests)
    assert "Find out about tides" in first
    assert "Expected output: Three facts" in first
    assert "Look elsewhere" in second
    assert "The moon." not in second
    assert "The moon." in last
    assert "The sun." in last
    assert [one["agent"] for one in out["outcomes"] if one["usage"]["model_calls"]] == ["finder", "finder", "writer"]


def test_of_several_last_tasks_each_result_has_its_name() -> None:
    model = ScriptedChatModel(by_agent={"finder": ["The moon.", "The sun."]})
    text = PLAN[: PLAN.index("  write: {desc")]
    assert told(text, model, max_concurrency=1)["answer"] == "find: The moon.\n\nlook: The sun."


def test_a_task_that_fails_is_not_planned_again_and_the_rest_is_kept() -> None:
    model = ScriptedChatModel(by_agent={"finder": ["The moon.", RuntimeError("broken")]})
    out = told(PLAN, model, max_concurrency=1)
    assert out["status"] in ("partial", "failed")
    assert "The moon." in out["answer"]
    assert [one["status"] for one in out["outcomes"] if one["agent"] == "writer"] == ["skipped"]


@pytest.mark.parametrize(
    "inner", ["team: tasks.yaml", "agents: {a: {prompt: x}}, tasks: {one: {description: 'Do {task}', agent: a}}"]
)
def test_tasks_of_a_team_within_a_team_are_not_planned_again_either(inner: str) -> None:
    Path("tasks.yaml").write_text(
        "name: i\nagents: {a: {prompt: x}}\ntasks: {one: {description: 'Do {task}', agent: a}}\n"
    )
    text = f"name: x\nagents:\n  sub: {{{inner}}}\npolicy: {{max_attempts: 1}}\n"
    model = ScriptedChatModel([ValueError("broken")])
    out = told(text, model, max_replans=2)
    assert [child["id"] for child in out["outcomes"][0]["children"]] == ["tasks", "one"]
    assert len(model.requests) == 1


def test_a_tool_that_is_to_be_approved_waits_in_a_team_within_a_team(desk: str) -> None:
    Path(desk).write_text(DESK.replace("approvals", "# approvals"))
    Path("outer.yaml").write_text(
        'name: outer\nagents:\n  desk: {team: team/desk.yaml}\napprovals: ["own_tools:look_up"]\n'
    )
    team, config = load_team("outer.yaml"), {"configurable": {"thread_id": "1"}}
    model = ScriptedChatModel([call("look_up", number=7), "It is prime."])
    graph, context = team.build().compile(InMemorySaver(), name="outer"), team.context(model=model)
    graph.invoke({"task": "Is 7 prime?"}, config, context=context)  # type: ignore[arg-type]  # a plain dict will do
    (request,) = graph.get_state(config).interrupts  # type: ignore[arg-type]  # as above
    assert request.value["action_requests"][0]["name"] == "look_up"
    answer: Command[Any] = Command(resume={request.id: {"decisions": [{"type": "approve"}]}})
    out = graph.invoke(answer, config, context=context)  # type: ignore[arg-type]  # as above
    assert out["answer"] == "It is prime."


def test_the_model_of_a_nested_file_is_that_of_its_agents() -> None:
    Path("inner.yaml").write_text("name: inner\nmodel: openai:gpt-5\nagents:\n  a: {prompt: x}\n")
    Path("outer.yaml").write_text("name: outer\npattern: single\nagents:\n  t: {team: inner.yaml}\n")
    made = load_team("outer.yaml").build().made
    assert made is not None
    inner = made.arguments["agent"].builder.made
    assert inner.arguments["agents"][0].model == "openai:gpt-5"


def test_a_model_that_a_run_is_given_takes_the_place_of_that_of_a_nested_file(tmp_path: Path) -> None:
    agents = "{a: {prompt: x}, b: {prompt: x, model: openai:gpt-5-nano}}"
    Path("inner.yaml").write_text(f"name: inner\nmodel: openai:gpt-5\nagents: {agents}\n")
    Path("outer.yaml").write_text("name: outer\npattern: single\nagents:\n  t: {team: inner.yaml}\n")
    plain, _ = recipe_named("outer.yaml")
    given = plain.with_model("extractive")
    assert plain.with_model(None) == plain

    def models(recipe: Recipe) -> list[str]:
        with open_persistence(tmp_path / "runs.db") as persistence:
            made = recipe.graph(persistence).builder.made
        assert made is not None
        return [agent.model for agent in made.arguments["agent"].builder.made.arguments["agents"]]

    again = recipe_of({"thread": "t", "created": 0, "updated": 0, **given.facts()})
    assert (models(plain), models(given)) == (["openai:gpt-5", "openai:gpt-5-nano"], [None, "openai:gpt-5-nano"])
    assert models(again) == models(given)


def test_who_chooses_among_teams_reads_what_each_is_for() -> None:
    model = ScriptedChatModel(
        by_agent={"router": ['{"agents": ["books"], "confidence": 1, "reason": "asked"}'], "a": ["Yes."]}
    )
    out = told(
        """
name: x
pattern: router
agents:
  books: {description: Knows all about books., agents: {a: {prompt: You are a.}}, pattern: single}
  films: {description: Knows all about films., agents: {b: {prompt: You are b.}}, pattern: single}
""",
        model,
    )
    assert out["answer"] == "Yes."
    assert "Knows all about films." in model.requests[0].messages[-1].text


def test_the_knobs_of_a_file_reach_the_context() -> None:
    Path("docs").mkdir()
    Path("team.yaml").write_text("name: x\nagents:\n  a: {prompt: x}\noptions: {corpus: docs, redact: [email]}\n")
    context = load_team("team.yaml").context(max_turns=4)
    assert (context.corpus, context.redact, context.max_turns) == (str(Path("docs").resolve()), ("email",), 4)


def test_what_a_file_says_of_its_runs_holds_whoever_invokes_the_graph(tmp_path: Path) -> None:
    text = "name: x\npattern: sequential\nmodel: extractive\nbudget: {model_calls: 1}\n"
    Path("team.yaml").write_text(text + "agents: {a: {prompt: Say it.}, b: {prompt: Say it again.}}\n")
    graph, task = load_team("team.yaml").graph, {"task": "What is a closure?"}
    with open_persistence(tmp_path / "runs.db") as persistence:
        ended = [
            graph.invoke(task)["status"],
            graph.invoke(task, context={"max_turns": 4})["status"],
            start(graph, persistence, "What is a closure?").status,
            graph.invoke(task, context={"budget": {"model_calls": 2}})["status"],
            graph.invoke(task, context=Context())["status"],
            start(graph, persistence, "What is a closure?", context={"budget": {"model_calls": 2}}).status,
        ]
    assert ended == ["stopped", "stopped", "stopped", "completed", "completed", "completed"]


def test_what_a_file_says_of_its_runs_holds_when_a_run_that_was_invoked_is_answered(tmp_path: Path) -> None:
    agents = 'agents:\n  clerk: {prompt: Look it up., tools: ["own_tools:look_up"]}\n  last: {prompt: Say it.}\n'
    text = DESK.partition("agents")[0].replace("single", "sequential") + "model: extractive\nbudget: {model_calls: 1}\n"
    Path("team.yaml").write_text(text + agents + 'approvals: ["own_tools:look_up"]\n')
    team, task = load_team("team.yaml"), "Is number 7 prime?"
    with open_persistence(tmp_path / "runs.db") as persistence:
        graph = team.build().compile(persistence.checkpointer, name=team.name)
        graph.invoke({"task": task}, {"configurable": {"thread_id": "t"}})
        assert answer(graph, persistence, "t", "approve").status == "stopped"
        with pytest.raises(ConfigurationError, match="unknown field max_rond"):
            start(graph, persistence, task, context={"max_rond": 2})
        with pytest.raises(ConfigurationError, match=r"a team of a file has it as \.graph"):
            start(team, persistence, task)


def test_a_model_given_to_the_command_takes_the_place_of_that_of_a_team_within(tmp_path: Path) -> None:
    Path("inner.yaml").write_text("name: inner\nmodel: openai:gpt-5-mini\nagents: {a: {prompt: Say it.}}\n")
    Path("outer.yaml").write_text("name: outer\nagents: {sub: {team: inner.yaml}}\n")
    ran = orchestra("run", "outer.yaml", "Say it.", "--thread", "t", "--model", "extractive", "--json")
    assert (ran.exit_code, json.loads(ran.stdout)["status"]) == (0, "completed"), ran.output


def test_a_graph_of_somebody_else_takes_a_task_whatever_its_state_is_made_of(tmp_path: Path) -> None:
    class State(TypedDict, total=False):
        task: str
        answer: str

    builder = StateGraph(State)
    builder.add_node("n", lambda state: {"answer": state["task"]})
    builder.add_edge(START, "n")
    with open_persistence(tmp_path / "runs.db") as persistence:
        assert start(builder.compile(name="f"), persistence, "hi").status == "completed"


def test_a_file_that_was_not_read_is_validated_as_well() -> None:
    assert TeamFile.model_validate({"name": "x", "agents": {"a": {"prompt": "y"}}}).source.path is None
