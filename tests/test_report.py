"""Reports: read from a database, written by the command, the same wherever they are made."""

from __future__ import annotations

import json
import os
import re
import shutil
import struct
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

import report_example
from cases import HAPPY, says, script
from graphs import parallel, sequential, single
from graphs.registry import REGISTRY
from nodes import Agent, HumanAgent, ScriptedChatModel
from nodes.scripted import call
from orchestra import Report, answer, history, report, start
from orchestra.__main__ import command
from orchestra.commands.report import file_name
from orchestra.reporting.gathering import MOST_MOMENTS
from report_material import RUN, Read, made_of
from state import ConfigurationError, Context, UnknownThread, open_persistence
from state.excerpts import KEPT, excerpt
from state.persistence import Persistence
from storage import KINDS, fresh_url

PAGES = Path(__file__).resolve().parent.parent / "docs" / "pictures"
PAGE, PICTURE = PAGES / "report.html", PAGES / "report.png"
WIDTH, HEIGHT = 1280, 1130
WRITES = bool(os.environ.get("ORCHESTRA_WRITE_PAGES"))


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Persistence]:
    with open_persistence(tmp_path / "runs.db") as opened:
        yield opened


# From a database


@pytest.mark.parametrize("name", sorted(HAPPY))
def test_every_pattern_gives_a_report(name: str) -> None:
    with open_persistence("memory:") as kept:
        graph = REGISTRY[name].load().build().compile(name=name)
        result = start(graph, kept, "Do it.", thread="t", context=Context(model=script(name)))
        made = report(kept, "t", graph)
    read = Read(made.html)
    assert made.material.status == result.status == "completed"
    assert {row["agent"] for row in made.agents} >= set(HAPPY[name]) - {"splitter"}
    assert "✓ completed" in read.text
    assert made.material.answer == result.answer
    assert made.material.gaps == []


def test_the_latest_turn_is_told_with_whole_answers_and_earlier_ones_with_their_beginnings(place: Persistence) -> None:
    earlier, latest, inner = (f"{word}: " + " ".join(map(str, range(300))) for word in ("earlier", "latest", "inner"))
    pair = parallel.build([says("a", inner, inner), says("b", "short", "short")]).compile(name="pair")
    graph = sequential.build([pair, says("clerk", earlier, latest)]).compile(name="desk")
    for task in ("One.", "Two."):
        start(graph, place, task, thread="t")
    first, second = report(place, "t", graph).material.trace.turns
    outputs = [{span.agent: span.output for span in turn.below()} for turn in (first, second)]
    assert outputs[1]["clerk"] == latest
    assert outputs[1]["a"] == inner
    assert outputs[0]["clerk"] == excerpt(earlier, KEPT)
    assert excerpt(earlier, KEPT).startswith("earlier: 0 1 2")
    assert excerpt(earlier, KEPT).endswith(" [...]")


def test_a_pause_and_its_answer_are_in_the_report(place: Persistence) -> None:
    graph = sequential.build([says("clerk", "draft"), HumanAgent("editor")]).compile(name="desk")
    start(graph, place, "Write.", thread="t")
    waits = report(place, "t", graph)
    assert waits.material.status == "waiting"
    assert "orchestra.answer(graph, persistence, 't', 'respond'" in Read(waits.html).text
    answer(graph, place, "t", "respond", message="Fine.")
    done = report(place, "t", graph)
    assert [row["agent"] for row in done.agents] == ["clerk", "editor"]
    assert done.material.answer == "Fine."
    assert any(moment.waiting for moment in done.material.moments)
    assert "a person: respond" in Read(done.html).text


@pytest.mark.parametrize("kind", KINDS)
def test_checkpoints_are_told_as_history_tells_them(kind: str, tmp_path: Path) -> None:
    graph = parallel.build([says("ann", "one"), HumanAgent("bob")]).compile(name="desk")
    with fresh_url(kind, tmp_path) as url, open_persistence(url) as place:
        start(graph, place, "Write.", thread="t")
        answer(graph, place, "t", "respond", message="two")
        told = report(place, "t", graph).material
        expected = history(graph, place, "t")
    assert [moment.checkpoint for moment in told.moments] == [moment.checkpoint for moment in expected]
    assert [set(moment.next) for moment in told.moments] == [set(moment.next) for moment in expected]
    assert [moment.waiting for moment in told.moments] == [set(moment.next) == {"ann", "bob"} for moment in expected]
    assert told.checkpoints == len(expected) <= MOST_MOMENTS


def test_without_its_graph_a_thread_is_told_from_its_record(place: Persistence) -> None:
    start(single.build(says("clerk", "done")).compile(name="desk"), place, "Write.", thread="t")
    made = report(place, "t")
    assert made.material.messages is None
    assert "answer and conversation: only the program" in made.material.gaps[0]
    assert made.material.moments


def test_a_tool_is_told_with_the_names_of_its_arguments_only(place: Persistence) -> None:
    def lookup(city: str) -> str:
        """Look a city up."""
        return f"{city} is a city."

    model = ScriptedChatModel([call("lookup", city="Bern"), "It is."], stands_for="openai:gpt-5-mini")
    graph = single.build(Agent("clerk", tools=[lookup], model=model)).compile(name="desk")
    start(graph, place, "Where?", thread="t")
    made = report(place, "t", graph)
    (row,) = made.agents
    assert (row["model_calls"], row["tool_calls"], row["models"]) == (2, 1, ["openai:gpt-5-mini"])
    assert row["usd"] is not None
    assert row["usd"] > 0
    assert "arguments city" in Read(made.html).text


def test_an_unknown_thread_is_refused(place: Persistence) -> None:
    with pytest.raises(UnknownThread, match="no thread 'nope'"):
        report(place, "nope")


def test_a_report_shows_itself(place: Persistence) -> None:
    start(single.build(says("clerk", "done")).compile(name="desk"), place, "Write.", thread="t")
    made = report(place, "t")
    lines = repr(made).splitlines()
    assert lines[0] == "Report of t: completed"
    assert lines[1].split() == ["agent", "steps", "calls", "tokens", "cost", "time", "errors"]
    assert lines[2].split()[:3] == ["clerk", "1", "1"]
    (frame,) = Read(made._repr_html_()).elements
    assert frame[0] == "iframe"
    assert frame[1]["sandbox"] == "allow-scripts"
    assert frame[1]["srcdoc"] == made.html


def test_a_report_is_saved_with_the_folders_it_is_in_and_never_over_one(tmp_path: Path) -> None:
    made = Report(made_of(RUN))
    assert made.save("a/b/c.html").read_text(encoding="utf-8") == made.html
    with pytest.raises(ConfigurationError, match="is a folder"):
        made.save("a/b")
    with pytest.raises(ConfigurationError, match="cannot be written"):
        made.save("a/b/c.html/d.html")


# The command


def orchestra(*arguments: str) -> Result:
    return CliRunner().invoke(command, arguments)


@pytest.fixture
def thread() -> str:
    Path("docs").mkdir()
    Path("docs/bees.md").write_text("# Bees\n\nThe queen of a honey bee colony lays up to 2000 eggs a day in summer.\n")
    done = orchestra(
        "run", "research", "How many eggs does the queen lay?", "--corpus", "docs", "--approve", "--thread", "bees"
    )
    assert done.exit_code == 3, done.stderr
    return "bees"


def test_the_command_writes_the_page_and_says_where(thread: str) -> None:
    done = orchestra("report", thread)
    assert (done.exit_code, done.stderr) == (0, "Written to reports/bees.html\n")
    read = Read(Path("reports/bees.html").read_text(encoding="utf-8"))
    assert "orchestra approve bees" in read.text
    assert "extractive engine (not a language model)" in read.text
    assert orchestra("report", thread, "--out", "x/y.html").exit_code == 0
    assert Path("x/y.html").exists()


def test_the_command_prints_the_figures_as_one_json_value(thread: str) -> None:
    done = orchestra("report", thread, "--json")
    told = json.loads(done.stdout)
    assert (told["thread"], told["status"], len(told["requests"])) == ("bees", "waiting", 1)
    assert {"agent", "steps", "model_calls", "input_tokens", "usd", "seconds", "attempts", "errors"} <= told["agents"][
        0
    ].keys()
    assert not Path("reports").exists()
    assert json.loads(orchestra("report", thread, "--json", "--out", "r.html").stdout)["thread"] == "bees"
    assert Path("r.html").exists()


def test_the_command_refuses_a_folder_and_a_thread_that_is_not_there(thread: str) -> None:
    folder = orchestra("report", thread, "--out", "docs")
    assert (folder.exit_code, "is a folder" in folder.stderr) == (2, True)
    unknown = orchestra("report", "nope")
    assert (unknown.exit_code, "no thread 'nope'" in unknown.stderr) == (1, True)
    elsewhere = orchestra("report", "nope", "--db", "sqlite:///elsewhere.db")
    assert "there is no database" in elsewhere.stderr


@pytest.mark.parametrize(
    "name", ["../../etc/passwd", "a/b", "a b", "..", "ü", "x" * 300, "-rf", "\x00", "a:b", ".hidden"]
)
def test_any_thread_has_a_file_name_that_stays_in_its_folder(name: str) -> None:
    made = file_name(name)
    assert re.fullmatch(r"[A-Za-z0-9_][\w.-]{0,110}", made, re.ASCII)
    assert made != name
    assert file_name("research-4f2a91") == "research-4f2a91"


# The picture


def test_the_page_in_the_documentation_is_the_example() -> None:
    made = report_example.example_page()
    if WRITES:
        PAGES.mkdir(parents=True, exist_ok=True)
        PAGE.write_text(made, encoding="utf-8")
    assert PAGE.read_text(encoding="utf-8") == made, "ORCHESTRA_WRITE_PAGES=1 writes it anew"


def size_of(picture: Path) -> tuple[int, int]:
    """Return width and height of a PNG."""
    head = picture.read_bytes()[:24]
    assert head[:8] == b"\x89PNG\r\n\x1a\n"
    width, height = struct.unpack(">II", head[16:24])
    return width, height


def drawn(source: Path, to: Path, folder: Path) -> None:
    """Draw a page as a picture of its beginning."""
    browser = next(
        (found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), None
    )
    if browser is None:
        pytest.skip("needs a browser to draw the page: chromium is not installed")
    words = [
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-sync",
    ]
    words += ["--disable-component-update", "--disable-quic", "--hide-scrollbars", f"--user-data-dir={folder}"]
    words += [f"--screenshot={to}", f"--window-size={WIDTH},{HEIGHT}", source.as_uri()]
    subprocess.run([browser, *words], check=True, capture_output=True, timeout=60)


def test_the_picture_in_the_documentation_is_of_that_page(tmp_path: Path) -> None:
    picture = PICTURE if WRITES else tmp_path / "report.png"
    if WRITES or shutil.which("chromium"):
        drawn(PAGE, picture, tmp_path / "profile")
        assert size_of(picture) == (WIDTH, HEIGHT)
    assert size_of(PICTURE) == (WIDTH, HEIGHT)
