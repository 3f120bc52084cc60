"""The incident team's runbook and the models in its place: what they read, what they try, and when a person is needed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from langgraph.types import Command as Resume

from broken_service import THREAD, agreed, broken, decide, ran, requests, restarts, team
from broken_service import folder as folder
from broken_service import supervised as supervised
from nodes import Agent, ScriptedChatModel
from nodes.incident.diagnosis import Argument, Diagnosis, Remedy, borne_out
from nodes.incident.postmortem import actions_from
from nodes.incident.responders import diagnosis_agent, monitor_agent, notification_agent, remediation_agent
from nodes.incident.runbook import diagnose, workers_needed
from nodes.incident.runbook_model import RUNBOOK_NOTICE
from nodes.scripted import call
from openai_bodies import structured
from openai_server import openai_server
from state import Context
from tools.service.case import Case, attending
from tools.service.example import copy_example
from tools.service.service import Service, open_service


def case_of(service: Service, *, ask: tuple[str, ...] = ()) -> Case:
    return Case(service, "t", "1", 1, "remediation", ask)


# Models instead of rules


def test_language_models_play_all_four_parts(folder: Path) -> None:
    broken(folder, "leak")
    log = open_service(folder).log()
    line = next(line for line in log.splitlines() if "WARN" in line)
    model = ScriptedChatModel(
        by_agent={
            "monitor": [
                call("check_health"),
                {"healthy": False, "symptoms": ["Memory."], "evidence": [line, "made up by a model"]},
            ],
            "diagnosis": [
                call("read_log", lines=20),
                {
                    "fault": "leak",
                    "cause": "It leaks.",
                    "evidence": ["also made up"],
                    "remedies": [{"command": "restart"}],
                },
            ],
            "remediation": [call("run_command", command="restart", arguments={}), "Restarted."],
            "notification": [call("write_ticket", title="Leak", text="Fixed."), "Told."],
        }
    )
    with model:
        graph = team(folder)
        graph.invoke({"task": "Memory grows."}, THREAD, context=Context(model=model))
        (request,) = requests(graph)
        answer: Resume[Any] = Resume(resume={request.id: {"decisions": [{"type": "approve"}]}})
        result = graph.invoke(answer, THREAD, context=Context(model=model))
    assert (result["status"], ran(result)) == ("completed", [("restart", {})])
    assert result["structured"]["evidence"] == [line]
    assert RUNBOOK_NOTICE not in result["answer"]


def test_the_runbook_takes_over_from_a_model_that_fails(folder: Path) -> None:
    broken(folder, "leak")
    names = ("monitor", "diagnosis", "remediation", "notification")
    model = ScriptedChatModel(by_agent={name: [ValueError("the model is down")] * 9 for name in names})
    graph = team(folder)
    graph.invoke({"task": "Memory grows."}, THREAD, context=Context(model=model))
    (request,) = requests(graph)
    answer: Resume[Any] = Resume(resume={request.id: {"decisions": [{"type": "approve"}]}})
    result = graph.invoke(answer, THREAD, context=Context(model=model))
    assert (result["status"], ran(result)) == ("completed", [("restart", {})])
    assert RUNBOOK_NOTICE in result["answer"]


@pytest.mark.loopback
def test_a_model_behind_a_server_plays_the_parts_too(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken(folder, "leak")
    reading = {"healthy": False, "symptoms": ["Memory."], "evidence": []}
    restart = {"command": "restart", "arguments": [], "reason": ""}
    found = {"fault": "leak", "cause": "It leaks.", "evidence": [], "remedies": [restart]}
    parts: dict[str, list[Callable[[Any], Any]]] = {
        "You watch": [lambda body: [("check_health", {})], lambda body: structured(body, reading)],
        "You find out": [lambda body: [("inspect_process", {})], lambda body: structured(body, found)],
        "You put": [lambda body: [("run_command", {"command": "restart"})], lambda body: "Restarted."],
        "You tell": [lambda body: [("write_ticket", {"title": "Leak", "text": "Fixed."})], lambda body: "Told."],
    }

    def reply(body: Any) -> Any:
        prompt = body["messages"][0]["content"]
        return next(steps for begins, steps in parts.items() if prompt.startswith(begins)).pop(0)(body)

    monkeypatch.delenv("ORCHESTRA_OFFLINE", raising=False)
    with openai_server(reply) as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.base_url)
        graph, context = team(folder), Context(model="openai:local-model")
        graph.invoke({"task": "Memory grows."}, THREAD, context=context)
        (request,) = requests(graph)
        answer: Resume[Any] = Resume(resume={request.id: {"decisions": [{"type": "approve"}]}})
        result = graph.invoke(answer, THREAD, context=context)
    assert (result["status"], ran(result), [*parts.values()]) == ("completed", [("restart", {})], [[]] * 4)
    assert {outcome["model"] for outcome in result["outcomes"]} == {"openai:local-model"}


@pytest.mark.parametrize(
    ("agent", "allowed"),
    [
        (monitor_agent, {"check_health", "read_metrics", "read_log"}),
        (diagnosis_agent, {"read_log", "read_config", "inspect_process"}),
        (remediation_agent, {"run_command"}),
        (notification_agent, {"write_ticket"}),
    ],
)
def test_an_agent_has_the_rights_of_its_work_and_no_others(agent: Callable[[], Agent], allowed: set[str]) -> None:
    made = agent()
    assert {tool.name for tool in made.tools} == allowed == set(made.policy.allow or ())  # type: ignore[union-attr]


# When a person is needed


def test_what_does_not_help_is_tried_twice_and_then_handed_to_a_person_with_the_facts(folder: Path) -> None:
    broken(folder, "hang", stays=True, patience=0.2)
    graph = team(folder, patience=0.2, settle=0.3)
    _, asked = agreed(graph, "It does not answer.")
    assert asked == [("restart", {})] * 2
    assert restarts(folder) == 2
    (request,) = requests(graph)
    told = request.value["action_requests"][0]["description"]
    for fact in ("no answer within 0.2 s", "restart: ran; restart: ran", "nobody knew a remedy", "has waited 0.3 s"):
        assert fact in told
    result = decide(graph, "respond", message="The vendor is looking at it.")
    assert (result["status"], result["structured"]["rounds"]) == ("partial", 3)
    assert "a person is needed" in Path(result["structured"]["tickets"][0]).read_text()


def test_rounds_are_bounded_whatever_the_models_say(folder: Path) -> None:
    broken(folder, "disk")
    again = Diagnosis(
        fault="load",
        cause="Too much.",
        remedies=[Remedy(command="scale", arguments=[Argument(name="workers", value="2")])],
    )
    stubborn = replace(diagnosis_agent(), model=ScriptedChatModel([again] * 2))
    graph = team(folder, settle=0.2, diagnosis=stubborn)
    graph.invoke({"task": "Help."}, THREAD, context=Context(max_rounds=2))
    result = decide(graph, "respond", message="I take it.")
    assert result["structured"]["rounds"] == 2
    assert "max_rounds_reached: 2" in result["reason"]
    assert ran(result) == [("scale", {"workers": "2"})] * 2


def test_a_diagnosis_without_a_remedy_on_the_list_goes_to_a_person(folder: Path) -> None:
    broken(folder, "leak")
    found = Diagnosis(fault="other", cause="Who knows.", remedies=[Remedy(command="reinstall")])
    graph = team(folder, diagnosis=replace(diagnosis_agent(), model=ScriptedChatModel([found])))
    graph.invoke({"task": "Memory grows."}, THREAD)
    (request,) = requests(graph)
    assert request.value["action_requests"][0]["name"] == "person"
    assert "nobody knew a remedy" in decide(graph, "respond", message="I look.")["reason"]


# Rules, notes, signs


def test_evidence_counts_only_where_it_stands_in_the_log() -> None:
    log = "2026-01-01T00:00:00Z WARN a: memory is high\n2026-01-01T00:00:01Z INFO all is well\n"
    assert borne_out(["WARN a: memory is high", "WARN b: made up entirely", "WARN"], log) == [log.splitlines()[0]]


def test_the_runbook_gives_no_remedy_that_was_tried_twice_nor_a_rollback_to_nowhere() -> None:
    health = 'NOT healthy after 2 ms: {"reasons": ["memory: 85 MB in use, limit 64 MB"]}'
    process = "version v1 in use, v1 before it\nworker 1, state running"
    assert [r.command for r in diagnose(health, "", "", process).remedies] == ["restart"]
    tried = "- round 1: restart : ran, done\n- round 2: restart : ran, done"
    assert diagnose(health, "", "", process, tried).remedies == []
    gone = "version v1 in use, v1 before it\nworker 1, exit_code 78, state given up"
    assert diagnose("NOT healthy after 9 ms: no answer within 1 s", "", "", gone).remedies == []
    busy = "2026-01-01T00:00:00Z WARN worker-1 queue: requests wait 900 ms for a free thread, limit 200 ms"
    silent = "NOT healthy after 500 ms: no answer within 0.5 s"
    assert diagnose(silent, "", busy, process).fault == "load"
    assert diagnose(silent, "", f"{busy}\n2026-01-01T00:00:01Z INFO worker-1 started", process).fault == "hang"
    assert diagnose("NOT healthy after 1 ms: strange", "", "", process).fault == "other"


def test_workers_are_counted_from_how_long_requests_wait() -> None:
    assert workers_needed("work_ms 40.0\nqueue_wait_ms 120.0\n", "worker 1, state running") == 4
    assert workers_needed("work_ms 40.0\nqueue_wait_ms 9999.0\n", "worker 1, state running") == 8
    assert workers_needed("", "worker 1, state running\nworker 2, state running") == 4


def test_notes_of_another_turn_and_lines_that_were_cut_are_left_out(tmp_path: Path) -> None:
    copy_example(tmp_path / "service")
    case = case_of(open_service(tmp_path / "service"))
    case.note("ran", command="restart", arguments={}, exit_code=1, output="no", began=1.0, seconds=1.0)
    with case.service.audit.open("a") as file:
        file.write('{"cut": \n')
    replace(case, turn="2").note("ran", command="other", arguments={})
    (action,) = actions_from(case.notes(), ())
    assert (action["command"], action["said"], action["approved"]) == ("restart", "exit code 1: no", "")


def test_a_read_only_tool_says_what_is_not_there_instead_of_failing(tmp_path: Path) -> None:
    from tools.service.service import create_diagnosis_tools, create_monitor_tools

    copy_example(tmp_path / "service")
    with attending(case_of(open_service(tmp_path / "service"))):
        said = {tool.name: tool.invoke({}) for tool in [*create_monitor_tools(), *create_diagnosis_tools()]}
    assert said["check_health"].startswith("NOT healthy after")
    assert "it does not run" in said["check_health"]
    assert said["read_log"] == "there is no log"
    assert said["inspect_process"] == "nothing is known of its processes"
    assert "v1.json" in said["read_config"]
