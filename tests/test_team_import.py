"""`orchestra team import`: crews of CrewAI become team files that can be checked and run; what is lost is listed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.types import Command

from nodes import HumanAgent, ScriptedChatModel
from orchestra.__main__ import command
from orchestra.teamfile.building import build_team
from orchestra.teamfile.checking.report import check_team
from orchestra.teamfile.checking.troupe import troupe_of
from orchestra.teamfile.context import context_of_file
from orchestra.teamfile.crew.crewai import Imported, import_crew
from orchestra.teamfile.crew.files import find_crew
from orchestra.teamfile.crew.keys import model_of_llm
from orchestra.teamfile.crew.texts import INPUT, Inputs
from orchestra.teamfile.model import AgentEntry, TeamFile
from orchestra.teamfile.reading import parse_team
from orchestra.teamfile.tasks import fill
from state import ConfigurationError, TeamFileError

ROOT = Path(__file__).resolve().parent.parent
EXAMPLE = ROOT / "examples" / "teams" / "crewai"

AGENTS = "a:\n  role: A\n  goal: To answer\n  backstory: Old\n"
TASKS = "t:\n  description: Do {task}\n  expected_output: A word\n  agent: a\n"

RESEARCH = (
    """\
scout:
  role: >
    {topic} scout
  goal: >
    Find what is new
    about {topic}
  backstory: >
    You walk ahead of the others and
    come back with notes.
  llm: anthropic/claude-sonnet-4-5
  max_iter: 7
  max_execution_time: 90
editor:
  role: >
    Editor
  goal: >
    Make the notes readable
  backstory: >
    You cut.
  max_retry_limit: 1
""",
    """\
scouting:
  description: >
    Look around for {topic}
    in the year {year}.
  expected_output: >
    Notes
  agent: scout
editing:
  description: >
    Edit the notes on {topic}.
  expected_output: >
    A page
  agent: editor
  markdown: true
""",
)

SIDE_BY_SIDE = (
    "x: {role: X, goal: Do x, backstory: Fast}\ny: {role: Y, goal: Do y, backstory: Slow}\n",
    "first: {description: 'Begin {what}', expected_output: o, agent: x}\n"
    "left: {description: Go left, expected_output: o, agent: x, async_execution: true}\n"
    "right: {description: Go right, expected_output: o, agent: y, async_execution: true}\n"
    "last: {description: Join, expected_output: o, agent: y}\n"
    "only: {description: Only this, expected_output: o, agent: y, context: [left]}\n",
)

ASKING = (
    "clerk: {role: Clerk, goal: Write letters, backstory: Neat}\n",
    "letter: {description: 'Write to {who}', expected_output: A letter, agent: clerk, human_input: true}\n"
    "post: {description: Put it into an envelope, expected_output: Done, agent: clerk}\n",
)

UNICODE = (
    "köchin:\n  role: Köchin für Süßes 🍰\n  goal: Backen\n  backstory: |\n    Eins: mit Doppelpunkt.\n    # kein Kommentar\n"
    "  weird_key: {deep: [1, 2]}\n  2: two\n",
    "torte:\n  description: 'Rezept: {\"zutaten\": {menge}} und {{fest}} für {anlass}'\n  expected_output: Ein Rezept\n"
    "  agent: köchin\n  output_file: torte.md\n  output_pydantic: Rezept\n",
)

CREWS = {"research": RESEARCH, "side by side": SIDE_BY_SIDE, "asking": ASKING, "unicode": UNICODE}


def imported(folder: Path, crew: tuple[str, str], **options: Any) -> Imported:
    """Return a crew, written as its project would have it and imported."""
    config = folder / "config"
    config.mkdir(parents=True, exist_ok=True)
    (config / "agents.yaml").write_text(crew[0], encoding="utf-8")
    (config / "tasks.yaml").write_text(crew[1], encoding="utf-8")
    return import_crew(*find_crew(folder), **options)


def team_of(folder: Path, crew: tuple[str, str], **options: Any) -> TeamFile:
    return parse_team(imported(folder, crew, **options).text)


def agent_of(team: TeamFile, name: str) -> AgentEntry:
    entry = team.agents[name]
    assert isinstance(entry, AgentEntry)
    return entry


def problems(folder: Path, agents: str, tasks: str, **options: Any) -> list[tuple[int, int, str]]:
    with pytest.raises(TeamFileError) as caught:
        imported(folder, (agents, tasks), **options)
    return list(caught.value.problems)


@pytest.mark.parametrize("crew", CREWS)
@pytest.mark.parametrize("process", ["sequential", "hierarchical"])
def test_every_crew_can_be_imported_checked_and_built(crew: str, process: Any, tmp_path: Path) -> None:
    team = team_of(tmp_path, CREWS[crew], process=process)
    assert check_team(team).count("error") == 0
    assert build_team(team).compile(name="t").get_name() == "t"


def test_what_an_imported_crew_is_asked_for_reaches_its_tasks_in_order(tmp_path: Path) -> None:
    team = team_of(tmp_path, RESEARCH, given={"year": "1999"})
    model = ScriptedChatModel(["notes of tides", "a page"])
    team = team.model_copy(update={"agents": {n: e.model_copy(update={"model": None}) for n, e in team.agents.items()}})
    with model:
        result = (
            build_team(team).compile(name="t").invoke({"task": "tides"}, context=context_of_file(team, model=model))
        )
    assert (result["status"], result["answer"]) == ("completed", "a page")
    first, second = (request.messages[-1].text for request in model.requests)
    assert "Look around for tides in the year 1999." in first
    assert "notes of tides" in second
    assert "Written in Markdown." in second


def test_tasks_that_run_beside_each_other_are_joined(tmp_path: Path) -> None:
    team = team_of(tmp_path, SIDE_BY_SIDE)
    model = ScriptedChatModel(by_agent={"x": ["begun", "to the left"], "y": ["to the right", "joined", "only left"]})
    result = build_team(team).compile(name="t").invoke({"task": "a walk"}, context=context_of_file(team, model=model))
    assert result["status"] == "completed"
    told = {request.messages[-1].text.splitlines()[0]: request.messages[-1].text for request in model.requests}
    assert "Begin a walk" in told
    assert all(text in told["Join"] for text in ("begun", "to the left", "to the right"))
    assert "to the right" not in told["Only this"]


def test_a_person_is_asked_about_a_draft_and_the_agent_writes_it_again(tmp_path: Path) -> None:
    team = team_of(tmp_path, ASKING)
    model = ScriptedChatModel(["a draft", "a letter", "sent"])
    graph, config = build_team(team).compile(InMemorySaver(), name="t"), RunnableConfig(configurable={"thread_id": "1"})
    knobs = context_of_file(team, model=model)
    with model:
        waiting = graph.invoke({"task": "the king"}, config, context=knobs)
        (request,) = waiting["__interrupt__"]
        answer = {request.id: {"decisions": [{"type": "respond", "message": "Be more polite."}]}}
        result = graph.invoke(Command(resume=answer), config, context=knobs)
    assert (result["status"], result["answer"]) == ("completed", "sent")
    assert "Be more polite." in model.requests[1].messages[-1].text
    assert "a letter" in model.requests[2].messages[-1].text


def test_folded_texts_limits_and_models_are_carried_over(tmp_path: Path) -> None:
    team = team_of(tmp_path, RESEARCH)
    scout, editor = agent_of(team, "scout"), agent_of(team, "editor")
    assert scout.backstory == "You walk ahead of the others and come back with notes."
    assert scout.model == "anthropic:claude-sonnet-4-5"
    assert scout.policy is not None
    assert scout.policy.budget is not None
    assert (scout.policy.budget.model_calls, scout.policy.budget.seconds, scout.policy.timeout) == (7, 90, 30)
    assert scout.policy.budget.tool_calls == 50
    assert editor.policy is not None
    assert editor.policy.max_attempts == 2


def test_one_placeholder_becomes_the_task_and_several_are_marked(tmp_path: Path) -> None:
    one = imported(tmp_path, RESEARCH, given={"year": "1999"})
    team = parse_team(one.text)
    assert team.tasks["editing"].description == "Edit the notes on {task}."
    assert agent_of(team, "scout").role == "<topic> scout"
    assert [note.what for note in one.left_out] == ["{topic}"]
    several = imported(tmp_path, RESEARCH)
    team = parse_team(several.text)
    assert team.tasks["scouting"].description == (
        "Look around for <topic> in the year <year>.\n\nWhat is asked for: {task}"
    )
    assert [note.what for note in several.left_out] == ["{topic}", "{year}", "{task}"]
    assert (several.left_out[0].place.line, several.left_out[1].place.line) == (2, 2)


def test_tasks_are_given_what_a_crew_would_give_them(tmp_path: Path) -> None:
    tasks = team_of(tmp_path, SIDE_BY_SIDE).tasks
    assert {name: task.context for name, task in tasks.items()} == {
        "first": (),
        "left": ("first",),
        "right": ("first",),
        "last": ("first", "left", "right"),
        "only": ("left",),
    }


def test_human_input_becomes_a_person_whose_words_the_agent_takes_up(tmp_path: Path) -> None:
    team = team_of(tmp_path, ASKING)
    assert list(team.tasks) == ["letter_draft", "letter_feedback", "letter", "post"]
    assert team.tasks["letter"].context == ("letter_draft", "letter_feedback")
    assert team.tasks["post"].context == ("letter",)
    people = [player.name for _, player in troupe_of(team).players() if isinstance(player.agent, HumanAgent)]
    assert people == ["person"]


def test_a_led_crew_has_a_manager_who_knows_the_tasks(tmp_path: Path) -> None:
    tasks = RESEARCH[1].replace("  agent: editor\n", "")
    team = team_of(tmp_path, (RESEARCH[0], tasks), process="hierarchical")
    assert (team.pattern, team.options) == ("hierarchical", {"manager": "manager"})
    prompt = agent_of(team, "manager").prompt or ""
    assert "- scouting: Look around for <topic> in the year <year>. Expected output: Notes scout suits it." in prompt
    assert not team.tasks


def test_a_crew_whose_code_says_who_does_what_can_be_told(tmp_path: Path) -> None:
    tasks = "---\none:\n  description: >\n    Judge {{post}}\n  expected_output: STOP\ntwo:\n  description: Sum up\n"
    found = problems(tmp_path, AGENTS, tasks)
    assert [(line, column) for line, column, _ in found] == [(2, 1), (6, 1)]
    assert "--agent one=NAME" in found[0][2]
    team = team_of(tmp_path, (AGENTS, tasks), agents_of_tasks={"one": "a", "two": "a"})
    assert fill(team.tasks["one"].description, "a post") == "Judge {a post}"
    assert "no task 'three'" in problems(tmp_path, AGENTS, TASKS, agents_of_tasks={"three": "a"})[0][2]


def test_braces_that_mean_nothing_to_crewai_stay(tmp_path: Path) -> None:
    team = team_of(tmp_path, UNICODE, given={"menge": "2 {Eier}", "fest": "Fest"})
    told = fill(team.tasks["torte"].description, "Ostern")
    assert told == 'Rezept: {"zutaten": 2 {Eier}} und {Fest} für Ostern'


@given(st.text(alphabet="{}ab \"'x-:", max_size=40))
def test_a_task_reads_in_a_run_as_crewai_would_have_filled_it(text: str) -> None:
    told = fill(Inputs({"a": "{1}"}, "b").in_task(text), "asked")
    assert told == INPUT.sub(lambda found: {"a": "{1}", "b": "asked"}.get(found[1], f"<{found[1]}>"), text)


def test_tools_are_taken_from_what_the_caller_names_and_the_others_listed(tmp_path: Path) -> None:
    agents = AGENTS + "  tools: [SerperDevTool, MyTool]\n"
    tasks = TASKS + "  tools: [Reader]\n"
    found = imported(tmp_path, (agents, tasks), tools={"SerperDevTool": "web", "Reader": "corpus.read"})
    assert agent_of(parse_team(found.text), "a").tools == ("web", "corpus.read")
    whats = [note.what for note in found.left_out]
    assert whats == ["a.tools: MyTool", "t.tools"]
    assert "--tool MyTool=NAME" in found.left_out[0].remedy


def test_everything_without_a_place_is_listed_with_its_line_also_in_the_file(tmp_path: Path) -> None:
    agents = (
        AGENTS + "  memory: true\n  verbose: true\n  cache: false\n  allow_delegation: true\n  llm: my_llm\n  mood: x\n"
    )
    tasks = TASKS + "  output_file: o.md\n  callback: c\n  async_execution: false\n"
    found = imported(tmp_path, (agents, tasks))
    listed = {note.what: (note.path, note.place.line) for note in found.left_out}
    assert listed == {
        "a.memory": ("agents.yaml", 5),
        "a.verbose": ("agents.yaml", 6),
        "a.allow_delegation": ("agents.yaml", 8),
        "a.llm (my_llm)": ("agents.yaml", 9),
        "a.mood": ("agents.yaml", 10),
        "t.output_file": ("tasks.yaml", 5),
        "t.callback": ("tasks.yaml", 6),
    }
    comments = [line for line in found.text.splitlines() if line.startswith("#   ")]
    assert comments == [f"#   {note}" for note in found.left_out]


def test_what_a_crew_says_cannot_leave_the_comments(tmp_path: Path) -> None:
    agents = AGENTS + '  tools: ["x\\ntasks: {}"]\n  "odd\\nkey: 1": 2\n'
    found = imported(tmp_path, (agents, TASKS))
    assert list(parse_team(found.text).tasks) == ["t"]


@pytest.mark.parametrize(
    ("agents", "tasks", "expected"),
    [
        (AGENTS, TASKS.replace("agent: a", "agent: b"), (4, 3, "agent: expected one of the crew's agents, got 'b'")),
        (AGENTS, TASKS.replace("  agent: a\n", ""), (1, 1, "t: expected `agent:`, one of a, got none")),
        (AGENTS, TASKS + "  context: [u]\n", (5, 13, "context: expected another task, got 'u'")),
        (AGENTS, "t:\n  agent: a\n", (1, 1, "t: expected a description, got none")),
        (AGENTS, "- t\n", (1, 1, "expected a mapping of names to what they are, got list")),
        (AGENTS, "", (1, 1, "")),
        ("a: {llm: gpt-4o}\n", TASKS, (1, 1, "a: expected role, goal and backstory, got none of them")),
        ("a: text\n", TASKS, (1, 1, "a: expected a mapping of its keys, got str")),
        (AGENTS + "  max_iter: many\n", TASKS, (5, 3, "max_iter: expected a number, 1 or more, got 'many'")),
        (AGENTS + "  role: [x]\n", TASKS, (5, 3, "")),
        ("a: {role: [x], goal: g}\n", TASKS, (1, 5, "role: expected a text, got list")),
        ("a: [\n", TASKS, (2, 1, "")),
    ],
)
def test_what_is_wrong_is_told_with_line_and_column(
    agents: str, tasks: str, expected: tuple[int, int, str], tmp_path: Path
) -> None:
    line, column, text = expected
    found = problems(tmp_path, agents, tasks)
    assert [(line, column)] == [(one[0], one[1]) for one in found]
    assert found[0][2].startswith(text)


@pytest.mark.parametrize(
    ("llm", "model"),
    [
        ("gpt-4o-mini", "openai:gpt-4o-mini"),
        ("o3", "openai:o3"),
        ("openai/gpt-5", "openai:gpt-5"),
        ("claude-sonnet-4-5", "anthropic:claude-sonnet-4-5"),
        ("gemini/gemini-2.5-pro", "google_genai:gemini-2.5-pro"),
        ("ollama/llama3.2:3b", "ollama:llama3.2:3b"),
        ("openrouter/x/y", None),
        ("my_llm", None),
    ],
)
def test_models_are_named_by_their_provider(llm: str, model: str | None) -> None:
    assert model_of_llm(llm) == model


def test_the_command_writes_a_file_that_checks_and_lists_what_is_lost(tmp_path: Path) -> None:
    out = tmp_path / "crew.yaml"
    words = ["team", "import", str(EXAMPLE), "--set", "current_year=2026", "--tool", "DocsTool=corpus.search"]
    found = CliRunner().invoke(command, [*words, "--out", str(out)], catch_exceptions=False)
    assert (found.exit_code, found.stdout) == (0, "")
    assert "reporting_task.output_file" in found.stderr
    assert CliRunner().invoke(command, ["team", "check", str(out)]).exit_code == 0
    run = [
        "run",
        str(out),
        "lambda expressions",
        "--model",
        "extractive",
        "--db",
        f"sqlite:///{tmp_path}/runs.db",
        "-q",
    ]
    assert "anonymous function" in CliRunner().invoke(command, run).stdout
    again = CliRunner().invoke(command, [*words, "--out", str(out)])
    assert again.exit_code == 2
    assert "is there already" in again.stderr
    printed = CliRunner().invoke(command, words, catch_exceptions=False)
    assert printed.stdout == out.read_text(encoding="utf-8")


def test_a_folder_without_a_crew_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"no agents\.yaml in"):
        find_crew(tmp_path)
    (tmp_path / "crew.jsonc").write_text("{}")
    with pytest.raises(ConfigurationError, match=r"crew\.jsonc is not read"):
        find_crew(tmp_path)
    (tmp_path / "agents.yaml").write_text(AGENTS)
    with pytest.raises(ConfigurationError, match=r"expected agents\.yaml and tasks\.yaml"):
        find_crew(tmp_path / "agents.yaml")
    with pytest.raises(ConfigurationError, match="cannot be read"):
        import_crew(*find_crew(tmp_path))
