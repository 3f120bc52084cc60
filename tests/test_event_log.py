"""The log: one line of JSON for each event, with the ids of the trace, where it is asked for."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from langchain_core.runnables import RunnableConfig

from acting import says
from graphs import sequential, single
from nodes import Agent, ScriptedChatModel
from state import ConfigurationError, open_persistence
from state.event_log import JsonLines, open_event_log

LOGGER = logging.getLogger("orchestra")
ON: RunnableConfig = {"configurable": {"thread_id": "t"}}


@pytest.fixture
def fresh() -> Iterator[None]:
    """Let `ORCHESTRA_LOG` be looked at anew, and undo what it did."""
    level, before = LOGGER.level, list(LOGGER.handlers)
    open_event_log.cache_clear()
    yield
    for handler in LOGGER.handlers[:]:
        if handler not in before:
            LOGGER.removeHandler(handler)
            handler.close()
    LOGGER.setLevel(level)
    open_event_log.cache_clear()


def graph() -> Any:
    team = sequential.build([says("x", "one"), says("y", "two")]).compile(name="team")
    return sequential.build([team, says("z", "three")])


def test_every_event_is_logged_with_the_ids_of_the_trace(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "orchestra"), open_persistence(tmp_path / "runs.db") as place:
        graph().compile(name="g", checkpointer=place.checkpointer).invoke({"task": "go"}, ON)
        recorded = place.events("t")
    logged = [json.loads(record.getMessage()) for record in caplog.records if record.name == "orchestra"]
    assert logged == [{key: value for key, value in event.items() if key != "id"} for event in recorded]
    assert {event["run"] for event in logged} == {recorded[0]["run"]}
    assert {"x", "y"} == {event["agent"] for event in logged if event["parent"] == "team"}


def test_nothing_is_logged_unless_it_is_asked_for(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        LOGGER.setLevel(logging.WARNING)
        graph().compile().invoke({"task": "go"})
        LOGGER.setLevel(logging.NOTSET)
    assert [record for record in caplog.records if record.name == "orchestra"] == []


@pytest.mark.usefixtures("fresh")
def test_a_variable_names_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "events.jsonl"
    monkeypatch.setenv("ORCHESTRA_LOG", str(file))
    for _ in range(2):
        single.build(says("a", "one")).compile().invoke({"task": "go"})
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    assert [line["kind"] for line in lines] == ["agent_started", "model_called", "agent_finished"] * 2
    assert set(lines[0]) == {"at", "kind", "thread", "run", "agent", "step", "parent", "seq", "data"}
    assert len({line["run"] for line in lines}) == 2


@pytest.mark.usefixtures("fresh")
def test_a_dash_stands_for_standard_error(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("ORCHESTRA_LOG", "-")
    single.build(says("a", "one")).compile().invoke({"task": "go"})
    said = capsys.readouterr()
    assert said.out == ""
    assert [json.loads(line)["seq"] for line in said.err.splitlines()] == [1, 2, 3]


@pytest.mark.usefixtures("fresh")
def test_a_file_that_cannot_be_written_is_named_before_anything_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ORCHESTRA_LOG", str(tmp_path / "no folder" / "events.jsonl"))
    model = ScriptedChatModel(["never"])
    with pytest.raises(ConfigurationError, match="ORCHESTRA_LOG"):
        single.build(Agent("a", model=model)).compile().invoke({"task": "go"})
    assert model.requests == []


def test_secrets_are_taken_out_of_the_log_as_out_of_the_record(caplog: pytest.LogCaptureFixture) -> None:
    secret = "sk-ant-api03-Zx9Yw8Vu7Ts6Rq5Po4Nm3Lk2"
    with caplog.at_level(logging.INFO, "orchestra"):
        single.build(says("a", f"The key is {secret}.")).compile().invoke({"task": f"Use {secret}."})
    assert "[redacted]" in caplog.text
    assert secret not in caplog.text


def test_what_others_log_is_one_line_of_json_too() -> None:
    record = logging.LogRecord("orchestra.x", logging.WARNING, __file__, 1, "two\nlines of %s", ("it",), None)
    line = JsonLines().format(record)
    assert "\n" not in line
    assert json.loads(line) | {"at": 0} == {
        "at": 0,
        "level": "warning",
        "logger": "orchestra.x",
        "message": "two\nlines of it",
    }
