"""The command: what it prints where, how it ends, and that a thread can be gone on with from its name alone."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from graphs import single
from graphs.registry import REGISTRY
from nodes import Agent, Policy, ScriptedChatModel
from nodes.models import ENGINE_NOTICE
from openai_server import Hang, OpenAIServer, Status, openai_server
from orchestra import start
from orchestra.__main__ import command
from state import open_persistence

DB = Path(".orchestra/runs.db")
QUESTION = "How many eggs does the queen lay?"


def orchestra(*arguments: str, given: str | None = None) -> Result:
    """Run the command in this process."""
    return CliRunner().invoke(command, arguments, input=given)


def spawn(*arguments: str, **environment: str) -> subprocess.Popen[str]:
    """Run the command in a process of its own."""
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), **environment}
    words = [sys.executable, "-m", "orchestra", *arguments]
    return subprocess.Popen(words, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.fixture
def docs() -> str:
    folder = Path("docs")
    folder.mkdir()
    (folder / "bees.md").write_text("# Bees\n\nThe queen of a honey bee colony lays up to 2000 eggs a day in summer.\n")
    (folder / "scan.pdf").write_bytes(b"%PDF-1.4 nothing in it")
    return "docs"


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[OpenAIServer]:
    with openai_server(lambda request: f"Answer {len(opened.requests)}.") as opened:
        monkeypatch.setenv("OPENAI_BASE_URL", opened.base_url)
        yield opened


@pytest.fixture
def waiting(docs: str) -> str:
    """Return a thread of the research team that waits for approval."""
    result = orchestra("run", "research", QUESTION, "--corpus", docs, "--approve", "--thread", "bees")
    assert result.exit_code == 3, result.stderr
    return "bees"


# Looking around


def test_help_imports_neither_langgraph_nor_rich() -> None:
    program = (
        "import sys, orchestra.__main__; print(sorted({'langgraph', 'langchain', 'rich', 'pydantic'} & {*sys.modules}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "[]\n"


def test_every_command_explains_itself_without_options() -> None:
    text = orchestra("--help").stdout
    assert list(command.commands) == re.findall(r"^  (\w+)  ", text.partition("Commands:")[2], re.MULTILINE)
    for name in command.commands:
        shown = orchestra(name, "--help")
        assert shown.exit_code == 0
        assert "Usage: " in shown.stdout


def test_list_names_every_pattern_and_team() -> None:
    text = orchestra("list").stdout
    for entry in REGISTRY.values():
        assert re.search(rf"^  {entry.name}  ", text, re.MULTILINE)
    rows = json.loads(orchestra("list", "--json").stdout)
    assert {row["name"]: row["team"] for row in rows} == {e.name: e.is_team for e in REGISTRY.values()}


@pytest.mark.parametrize(
    ("arguments", "begins"),
    [
        (["--format", "mermaid"], "---\nconfig:"),
        (["--format", "svg"], "<svg "),
        ([], "       start"),
    ],
)
def test_draw_prints_each_format(arguments: list[str], begins: str) -> None:
    result = orchestra("draw", "review", *arguments)
    assert (result.exit_code, result.stdout[: len(begins)]) == (0, begins)


def test_draw_takes_the_format_from_the_file_and_shows_the_pause() -> None:
    assert orchestra("draw", "research", "--approve", "--out", "pictures/team.svg").exit_code == 0
    assert ">approve</text>" in Path("pictures/team.svg").read_text()
    refused = orchestra("draw", "single", "--approve")
    assert refused.exit_code == 2
    assert "has nothing to approve" in refused.stderr


# A run


def test_a_run_answers_on_standard_output_and_says_everything_else_on_standard_error() -> None:
    result = orchestra("run", "single", "hello", "--thread", "t")
    assert result.exit_code == 0
    assert result.stdout.startswith("No language model is configured")
    lines = result.stderr.splitlines()
    assert lines[0] == "single · t · extractive engine (not a language model)"
    assert lines[1].startswith("assistant finished: ")
    assert lines[-1] == ENGINE_NOTICE
    assert Path(".orchestra/.gitignore").read_text() == "*\n"


def test_quiet_prints_nothing_but_the_answer_and_that_no_model_gave_it() -> None:
    result = orchestra("run", "single", "hello", "--quiet")
    assert result.stdout.startswith("No language model is configured")
    assert result.stderr == f"{ENGINE_NOTICE}\n"


def test_json_is_one_value_with_the_whole_result() -> None:
    result = orchestra("run", "parallel", "hello", "--json")
    value = json.loads(result.stdout)
    assert (value["status"], value["reason"], value["interrupts"]) == ("completed", "", [])
    assert [outcome["agent"] for outcome in value["outcomes"]] == ["assistant", "skeptic"]
    assert value["usage"]["model_calls"] == 2
    assert value["notice"] == ENGINE_NOTICE
    assert "2 steps" in result.stderr


def test_the_task_may_come_from_standard_input() -> None:
    orchestra("run", "single", "-", "--thread", "t", given="what is it?\n")
    assert "what is it?" in orchestra("show", "t").stdout


def test_an_answer_is_written_where_it_is_asked_for() -> None:
    result = orchestra("run", "single", "hello", "--out", "deep/answer.md")
    assert "Written to deep/answer.md" in result.stderr
    written = Path("deep/answer.md").read_text()
    assert written.startswith(result.stdout.strip())
    assert ENGINE_NOTICE in written


def test_an_answer_that_cannot_be_written_is_not_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*arguments: Any, **options: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    Path(".orchestra").mkdir()
    Path(".orchestra/.gitignore").touch()
    result = orchestra("run", "single", "hello", "--thread", "t", "--out", "answer.md")
    assert result.exit_code == 1
    assert result.stdout.startswith("No language model is configured")
    assert "No space left on device" in result.stderr
    assert "orchestra show t" in result.stderr


def test_research_writes_its_report_and_names_what_was_skipped(docs: str) -> None:
    result = orchestra("run", "research", QUESTION, "--corpus", docs, "--thread", "bees")
    assert result.exit_code == 0, result.stderr
    assert "1 document, 1 passage, 1 read anew, 1 skipped" in result.stderr
    assert "Written to reports/bees.md" in result.stderr
    report = Path("reports/bees.md").read_text()
    assert "2000 eggs" in result.stdout
    assert "`bees.md`" in report
    assert ENGINE_NOTICE in report


def test_a_pipe_gets_no_colours_and_a_process_its_exit_code() -> None:
    process = spawn("run", "single", "hello", FORCE_COLOR="")
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0
    assert "\x1b" not in out + err
    assert out.startswith("No language model is configured")


@pytest.mark.loopback
def test_a_limit_stops_the_run_with_its_own_exit_code(server: OpenAIServer) -> None:
    result = orchestra("run", "single", "hello", "--model", "openai:local-model", "--budget-tokens", "1")
    assert result.exit_code == 4
    assert "stopped: " in result.stderr
    assert server.requests == []


@pytest.mark.loopback
def test_a_failed_run_says_why_and_what_to_check(server: OpenAIServer) -> None:
    server.faults.append(Status(401))
    result = orchestra("run", "single", "hello", "--model", "openai:local-model")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "ModelAuthenticationError" in result.stderr
    assert "orchestra doctor" in result.stderr


@pytest.mark.loopback
def test_a_part_that_is_missing_is_noted_and_is_no_failure(server: OpenAIServer) -> None:
    server.faults.append(Status(400))
    result = orchestra("run", "parallel", "hello", "--model", "openai:local-model")
    assert result.exit_code == 0
    assert result.stdout == "Answer 2.\n"
    assert "partial: " in result.stderr


@pytest.mark.loopback
def test_a_server_that_is_not_there_is_said_to_be_unreachable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:9/v1")
    result = orchestra("run", "single", "hello", "--model", "openai:x")
    assert result.exit_code == 1
    assert "ModelConnectionError" in result.stderr
    assert "Check address, key and name of the model: orchestra doctor" in result.stderr


# What is wrong is said in one line


def folder_of_nothing() -> str:
    Path("empty").mkdir()
    return "empty"


def folder_of_bytes() -> str:
    Path("bytes").mkdir()
    Path("bytes/data.txt").write_bytes(bytes(range(256)) * 20)
    return "bytes"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["run", "reserch", "hi"], "did you mean 'research'?"),
        (["run", "research", "  "], "the task is empty"),
        (["run", "single", "hi", "--model", "gpt"], "'provider:model'"),
        (["run", "single", "hi", "--model", "openai:gpt-5-mini"], "forbidden here"),
        (["run", "single", "hi", "--approve"], "has nothing to approve"),
        (["run", "single", "hi", "--db", "mysql://x"], "expected sqlite:///"),
        (["run", "single", "hi", "--out", "."], "is a folder"),
        (["run", "single", "hi", "--out", "docs/bees.md/y"], "cannot be written"),
        (["run", "research", "hi", "--corpus", "nowhere"], "does not exist"),
        (["draw", "revew"], "did you mean 'review'?"),
        (["edit", "t", "--arg", "nothing"], "expected KEY=VALUE"),
    ],
)
def test_wrong_arguments_are_one_line_and_exit_code_2(arguments: list[str], says: str, waiting: str) -> None:
    result = orchestra(*[waiting if word == "t" else word for word in arguments])
    assert (result.exit_code, result.stdout) == (2, "")
    assert says in result.stderr.splitlines()[-1]
    assert result.stderr.count("Error: ") == 1


@pytest.mark.parametrize("make", [folder_of_nothing, folder_of_bytes])
def test_a_folder_without_documents_is_refused_before_anything_runs(make: Callable[[], str]) -> None:
    result = orchestra("run", "research", "hi", "--corpus", make())
    assert result.exit_code == 2
    assert result.stderr.splitlines()[-1].startswith("Error: expected documents in the folder")
    assert not Path("reports").exists()


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may read everything")
def test_an_unreadable_file_is_skipped_and_named_by_the_doctor(docs: str) -> None:
    Path(docs, "secret.md").write_text("# Secret\n")
    Path(docs, "secret.md").chmod(0)
    assert "2 skipped" in orchestra("run", "research", QUESTION, "--corpus", docs).stderr
    assert "secret.md: cannot be read" in orchestra("doctor", "--corpus", docs).stdout


def test_a_database_of_something_else_is_refused_and_left_as_it_is() -> None:
    with sqlite3.connect("other.db") as connection:
        connection.execute("CREATE TABLE customers (name)")
    connection.close()
    before = Path("other.db").read_bytes()
    for arguments in (["run", "single", "hi"], ["threads"], ["show", "t"], ["approve", "t"]):
        result = orchestra(*arguments, "--db", "other.db")
        assert result.exit_code == 1
        assert re.fullmatch(r"Error: this is a database of another program .*\n", result.stderr)
    assert Path("other.db").read_bytes() == before


@pytest.mark.parametrize(
    "arguments", [["show"], ["resume"], ["approve"], ["edit"], ["reject"], ["respond", "--message", "x"]]
)
def test_an_unknown_thread_is_one_line_and_makes_no_database(arguments: list[str]) -> None:
    result = orchestra(*arguments, "nowhere")
    assert result.exit_code == 1
    assert re.fullmatch(r"Error: no thread 'nowhere'.*\n", result.stderr)
    assert not DB.exists()
    orchestra("run", "single", "hi")
    assert "`orchestra threads` lists them" in orchestra(*arguments, "nowhere").stderr


def test_another_turn_asks_and_writes_as_the_first_one_did(docs: str) -> None:
    words = ("run", "research", QUESTION, "--thread", "t")
    first = orchestra(*words, "--corpus", docs, "--approve", "--approve-within", "2h", "--out", "answer.md")
    assert first.exit_code == 3, first.stderr
    assert orchestra("approve", "t").exit_code == 0
    Path("answer.md").unlink()
    assert orchestra(*words).exit_code == 3
    with open_persistence("sqlite:///.orchestra/runs.db") as place:
        facts = place.thread("t")
    assert facts is not None
    assert facts["context"]["approval_expires"] == 7200
    assert orchestra("approve", "t").exit_code == 0
    assert Path("answer.md").exists()
    assert orchestra(*words, "--out", "other.md").exit_code == 3
    assert orchestra("approve", "t").exit_code == 0
    assert Path("other.md").exists()


def test_a_thread_of_another_pattern_is_not_taken_over() -> None:
    orchestra("run", "single", "hi", "--thread", "t")
    result = orchestra("run", "parallel", "hi", "--thread", "t")
    assert result.exit_code == 2
    assert "belongs to 'single'" in result.stderr


def test_a_traceback_is_for_those_who_ask_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ORCHESTRA_DEBUG", "1")
    assert type(orchestra("run", "reserch", "hi").exception).__name__ == "ConfigurationError"

    def broken(*arguments: Any, **options: Any) -> None:
        raise ZeroDivisionError("division by zero")

    monkeypatch.setattr("orchestra.view.screen.open_screen", broken)
    assert isinstance(orchestra("list").exception, ZeroDivisionError)
    monkeypatch.setenv("ORCHESTRA_DEBUG", "0")
    result = orchestra("list")
    assert (result.exit_code, result.stderr.count("\n")) == (1, 1)
    assert "ZeroDivisionError: division by zero (unexpected; ORCHESTRA_DEBUG=1" in result.stderr


# A pause


def test_a_pause_prints_what_is_asked_and_commands_that_work(docs: str) -> None:
    result = orchestra("run", "research", QUESTION, "--corpus", docs, "--approve", "--db", "my runs.db")
    assert (result.exit_code, result.stdout) == (3, "")
    assert f"Write this report on: {QUESTION}" in result.stderr
    assert "2000 eggs" in result.stderr
    assert not Path("reports").exists()
    typed = [line.strip().partition("  #")[0] for line in result.stderr.splitlines() if line.startswith("  orchestra ")]
    assert [line.split()[1] for line in typed] == ["approve", "edit", "reject", "respond"]
    approved = orchestra(*shlex.split(typed[0])[1:])
    assert approved.exit_code == 0, approved.stderr
    assert "2000 eggs" in approved.stdout


def test_approve_finishes_the_report_and_a_second_answer_is_refused(waiting: str) -> None:
    approved = orchestra("approve", waiting)
    assert approved.exit_code == 0
    assert "2000 eggs" in Path("reports/bees.md").read_text()
    for late in (["approve"], ["reject"], ["respond", "--message", "more"], ["edit", "--arg", "report=x"]):
        result = orchestra(*late, waiting)
        assert result.exit_code == 1
        assert result.stderr.splitlines()[-1] == "Error: thread 'bees' asks nothing (it is completed)"


def test_reject_stops_the_run_and_writes_nothing(waiting: str) -> None:
    result = orchestra("reject", waiting, "--message", "too short")
    assert result.exit_code == 4
    assert "stopped: rejected: too short" in result.stderr
    assert not Path("reports/bees.md").exists()


def test_respond_sends_the_report_back_and_asks_again(waiting: str) -> None:
    result = orchestra("respond", waiting, "--message", "Say it in one sentence.")
    assert result.exit_code == 3
    assert "orchestra approve bees" in result.stderr
    assert orchestra("approve", waiting).exit_code == 0


def test_edit_changes_an_argument_from_the_command_line_a_file_or_an_editor(
    docs: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for thread in ("a", "b", "c"):
        orchestra("run", "research", QUESTION, "--corpus", docs, "--approve", "--thread", thread)
    assert orchestra("edit", "a", "--arg", "report=Written by hand.").exit_code == 0
    Path("mine.md").write_text("Written in a file.\n")
    assert orchestra("edit", "b", "--file", "mine.md").exit_code == 0
    monkeypatch.setenv("VISUAL", "true")
    unchanged = orchestra("edit", "c")
    assert unchanged.exit_code == 2
    assert "the request is still open" in unchanged.stderr
    monkeypatch.setenv("VISUAL", "sed -i s/eggs/jewels/")
    assert orchestra("edit", "c").exit_code == 0
    texts = [Path(f"reports/{thread}.md").read_text() for thread in ("a", "b", "c")]
    assert ["Written by hand." in texts[0], "Written in a file." in texts[1], "2000 jewels" in texts[2]] == [True] * 3


def test_a_wrong_argument_is_refused_and_the_request_stays_open(waiting: str) -> None:
    result = orchestra("edit", waiting, "--arg", "reprt=x")
    assert result.exit_code == 1
    assert "has no argument 'reprt'; it has report" in result.stderr
    assert orchestra("approve", waiting, "--id", "zz").exit_code == 1
    assert orchestra("approve", waiting).exit_code == 0


def test_a_waiting_thread_is_shown_with_what_it_asks(waiting: str) -> None:
    shown = orchestra("show", waiting)
    assert QUESTION in shown.stdout
    assert "researcher" in shown.stdout
    assert "orchestra approve bees" in shown.stderr
    value = json.loads(orchestra("show", waiting, "--json").stdout)
    assert (value["graph"], value["status"]) == ("research", "waiting")
    assert value["interrupts"][0]["actions"][0]["name"] == "write_report"
    assert [info["status"] for info in json.loads(orchestra("threads", "--json").stdout)] == ["waiting"]
    assert re.search(r"^bees +waiting +just now +How many eggs", orchestra("threads").stdout, re.MULTILINE)
    resumed = orchestra("resume", waiting)
    assert resumed.exit_code == 3
    assert "orchestra approve bees" in resumed.stderr


def test_no_threads_is_no_error_and_makes_no_database() -> None:
    result = orchestra("threads")
    assert (result.exit_code, result.stdout) == (0, "")
    assert "No threads" in result.stderr
    assert json.loads(orchestra("threads", "--json").stdout) == []
    assert not DB.exists()


# What was interrupted


def test_resuming_a_thread_that_has_ended_shows_the_result_again() -> None:
    first = orchestra("run", "sequential", "hello", "--thread", "t")
    again = orchestra("resume", "t")
    assert (again.exit_code, again.stdout) == (first.exit_code, first.stdout)
    assert "steps" not in again.stderr


def until(condition: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    """Wait for a condition; a process that ends first is the failure."""
    while not condition():
        assert process.poll() is None, process.communicate()
        time.sleep(0.01)


@pytest.mark.loopback
@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGKILL, -signal.SIGKILL), (signal.SIGINT, 130), (signal.SIGTERM, 143)]
)
def test_what_was_stopped_is_resumed_and_nobody_works_twice(
    server: OpenAIServer, number: signal.Signals, code: int
) -> None:
    server.faults += [None, Hang()]
    process = spawn("run", "sequential", "a task", "--thread", "t", "--model", "openai:local-model")
    until(lambda: len(server.requests) == 2, process)
    process.send_signal(number)
    _, err = process.communicate(timeout=30)
    assert process.returncode == code, err
    assert "Traceback" not in err
    assert ("Stopped. Continue with: orchestra resume t" in err) == (number != signal.SIGKILL)
    assert json.loads(orchestra("show", "t", "--json").stdout)["status"] == "unfinished"
    resumed = orchestra("resume", "t")
    assert (resumed.exit_code, resumed.stdout) == (0, "Answer 3.\n"), resumed.stderr
    assert "writer" in resumed.stderr
    assert "assistant" not in resumed.stderr
    assert len(server.requests) == 3
    systems = [request.body["messages"][0]["content"] for request in server.requests]
    assert systems[0] != systems[1] == systems[2]


# Doctor


def test_the_doctor_finds_this_machine_healthy() -> None:
    result = orchestra("doctor", "--json")
    assert result.exit_code == 0, result.stdout
    found = {finding["name"]: finding for finding in json.loads(result.stdout)}
    assert list(found) == ["python", "packages", "model", "database", "health", "search", "corpus"]
    assert "because ORCHESTRA_OFFLINE is set" in found["model"]["found"]
    assert "FTS5" in found["search"]["found"]
    assert not DB.exists()
    assert orchestra("doctor").stdout.startswith("OK  python    ")


def test_the_doctor_tells_which_models_and_tools_failed_lately() -> None:
    with open_persistence("runs.db") as persistence:
        agents = [
            Agent(name, model=ScriptedChatModel(steps, stands_for=f"test:{name}"), policy=Policy(max_attempts=1))
            for name, steps in (("well", ["fine"]), ("ill", [ConnectionError("reset")] * 5))
        ]
        for number in range(5):
            start(single.build(agents[1]).compile(name="g"), persistence, "t", thread=f"t{number}")
        start(single.build(agents[0]).compile(name="g"), persistence, "t", thread="u")
    result = orchestra("doctor", "--db", "runs.db", "--json")
    health = next(each for each in json.loads(result.stdout) if each["name"] == "health")
    assert (health["ok"], health["details"]) == (False, ["test:ill: 5 of 5 failed (ConnectionError)"])
    assert "test:ill" in health["remedy"]


def test_the_doctor_names_what_is_wrong_and_what_to_do(docs: str) -> None:
    with sqlite3.connect("other.db") as connection:
        connection.execute("CREATE TABLE customers (name)")
    connection.close()
    result = orchestra("doctor", "--db", "other.db", "--corpus", docs, "--model", "gpt")
    assert result.exit_code == 1
    assert [line[:14].split() for line in result.stdout.splitlines() if line.startswith("NO")] == [
        ["NO", "model"],
        ["NO", "database"],
    ]
    assert "scan.pdf: " in result.stdout
    assert "It was left as it is" in result.stdout


@pytest.mark.loopback
def test_the_doctor_asks_the_model_s_server(server: OpenAIServer, monkeypatch: pytest.MonkeyPatch) -> None:
    def model(name: str = "local-model") -> dict[str, Any]:
        found = json.loads(orchestra("doctor", "--json", "--model", f"openai:{name}").stdout)
        return next(finding for finding in found if finding["name"] == "model")

    assert model()["ok"]
    assert model("other")["remedy"].endswith("has no model 'other'; it has local-model")
    monkeypatch.setenv("OPENAI_BASE_URL", server.base_url.removesuffix("/v1"))
    assert "the address mostly ends in /v1" in model()["remedy"]
    monkeypatch.setenv("OPENAI_BASE_URL", "http://user:password@127.0.0.1:9/v1")
    assert model()["remedy"].startswith("127.0.0.1:9/v1 cannot be reached")
    assert server.requests == []


def test_a_thread_of_a_program_is_shown_and_left_to_it() -> None:
    with open_persistence(DB) as place:
        place.note_thread("mine", graph="my_graph", task="something", status="waiting", reason="waiting for a decision")
    shown = orchestra("show", "mine")
    assert shown.exit_code == 0
    assert "my_graph" in shown.stdout
    assert "A program runs this thread" in shown.stderr
    refused = orchestra("approve", "mine")
    assert refused.exit_code == 1
    assert 'orchestra.answer(graph, persistence, "mine", "approve")' in refused.stderr
    with open_persistence(DB) as place:
        place.note_thread("mine", status="unfinished")
    assert "orchestra.resume(graph, persistence, thread)" in orchestra("resume", "mine").stderr


@pytest.mark.parametrize("name", ["single", "incident"])
def test_documents_for_a_pattern_that_searches_none_are_refused(name: str, docs: str) -> None:
    for words in (["run", name, "hi"], ["chat", name]):
        refused = orchestra(*words, "--corpus", docs)
        assert refused.exit_code == 2
        assert "searches no documents; research, competitive, support" in refused.stderr


def test_a_turn_that_its_budget_ended_says_how_to_go_on_with_a_larger_one() -> None:
    stopped = orchestra("run", "single", "hi", "--thread", "t", "--budget-tokens", "10", "--db", "a b.db")
    assert stopped.exit_code == 4
    assert """orchestra run single "..." --thread t --db 'a b.db' --budget-tokens N""" in stopped.stderr
    assert orchestra("run", "single", "hi", "--thread", "t", "--db", "a b.db", "--budget-tokens", "9999").exit_code == 0


@pytest.mark.parametrize("name", ["requests", "stats", "audit", "grants", "threads"])
def test_a_database_that_is_not_there_is_said_to_be_missing(name: str) -> None:
    assert "there is no database nodir/x.db seen from here" in orchestra(name, "--db", "nodir/x.db").stderr
    assert not Path("nodir").exists()
