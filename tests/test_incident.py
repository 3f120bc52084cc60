"""The incident drill: a real service breaks, and what counts is how it is afterwards and which commands were run on it."""

from __future__ import annotations

import asyncio
import json
import os
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from langchain_core.runnables import RunnableConfig
from langgraph.types import Command as Resume

from broken_service import THREAD, agreed, broken, decide, end, order, ran, requests, restarts, team
from broken_service import folder as folder
from broken_service import supervised as supervised
from graphs.teams import incident
from nodes.incident.runbook_model import RUNBOOK_NOTICE
from state import ConfigurationError, Context
from tools.service.example import FAULTS, example_folder, fault_in, place_of, start_example

TIMES = int(os.environ.get("ORCHESTRA_DRILL", "1"))
"""How often each fault is drilled; `ORCHESTRA_DRILL=10` for all of it."""
REMEDIES: dict[str, list[tuple[str, dict[str, str]]]] = {
    "leak": [("restart", {})],
    "hang": [("restart", {})],
    "disk": [("rotate_logs", {}), ("restart", {})],
    "config": [("rollback", {"version": "v1"})],
}


@pytest.fixture
def examples() -> Iterator[None]:
    """End what a team started by itself in the working directory."""
    yield
    for place in Path(".orchestra", "incident").glob("*"):
        if place.is_dir():
            end(place)


# The drill


@pytest.mark.parametrize("time_of", range(TIMES))
@pytest.mark.parametrize("fault", REMEDIES)
def test_a_service_that_breaks_is_healthy_again_by_the_remedy_of_its_fault(
    fault: str, time_of: int, folder: Path
) -> None:
    service = broken(folder, fault, patience=0.5)
    result, asked = agreed(team(folder))
    found = result["structured"]
    assert service.health().healthy
    assert (result["status"], result["reason"], found["healthy"], found["fault"]) == ("completed", "", True, fault)
    assert asked == ran(result) == REMEDIES[fault]
    assert (found["refused"], found["rounds"]) == ([], 1)
    assert found["seconds"] > 0
    log = (folder / "logs" / "service.log").read_text().splitlines()
    assert found["evidence"]
    assert fault != "config" or "expected a whole number, got '1 MB'" in found["cause"]
    assert set(found["evidence"]) <= set(log)
    assert all(line in result["answer"] for line in found["evidence"])
    assert "approved by a person (asked" in result["answer"]
    assert RUNBOOK_NOTICE in result["answer"]
    times = [moment["at"] for moment in found["timeline"]]
    assert times == sorted(times)
    (ticket,) = found["tickets"]
    assert "healthy again" in Path(ticket).read_text()


@pytest.mark.parametrize("time_of", range(TIMES))
def test_a_service_that_is_asked_for_too_much_gets_more_workers_and_nobody_has_to_agree(
    time_of: int, tmp_path: Path
) -> None:
    place = tmp_path / "service"  # one of its own: the load goes on
    start_example(place, lifetime=120)
    try:
        service = broken(place, "load")
        result, asked = agreed(team(place))
        workers = service.status()["workers"]
    finally:
        end(place)
    assert (result["status"], asked, result["structured"]["fault"]) == ("completed", [], "load")
    ((command, arguments),) = ran(result)
    assert command == "scale"
    assert len(workers) == int(arguments["workers"]) > 1


def test_a_service_that_is_well_is_left_alone(folder: Path) -> None:
    result, asked = agreed(team(folder))
    assert (result["status"], asked, result["structured"]["commands"]) == ("completed", [], [])
    assert [outcome["agent"] for outcome in result["outcomes"]] == ["monitor"]
    assert not (folder / "audit.jsonl").exists()


def test_without_a_service_an_example_is_made_and_broken_as_the_task_says(examples: None) -> None:
    result, asked = agreed(team(None), "Customers say that the disk is full.")
    assert (result["status"], result["structured"]["fault"]) == ("completed", "disk")
    assert [command for command, _ in asked] == ["rotate_logs", "restart"]
    assert place_of("t").is_dir()


def test_an_example_of_which_no_trouble_is_told_is_not_broken(examples: None) -> None:
    result, asked = agreed(team(None), "What is a closure?")
    assert (result["status"], asked, result["structured"]["healthy"]) == ("completed", [], True)
    assert "so it was not broken" in result["answer"]


async def test_two_incidents_at_once_are_kept_apart(examples: None) -> None:
    graph = team(None)
    tasks = {"one": "Memory leak.", "two": "It crashed after a deployment."}
    configs: dict[str, RunnableConfig] = {name: {"configurable": {"thread_id": name}} for name in tasks}

    async def whole(name: str) -> dict[str, Any]:
        result: dict[str, Any] = await graph.ainvoke({"task": tasks[name]}, configs[name])
        while found := (await graph.aget_state(configs[name])).interrupts:
            answer = {found[0].id: {"decisions": [{"type": "approve"}]}}
            result = await graph.ainvoke(Resume(resume=answer), configs[name])
        return result

    one, two = await asyncio.gather(whole("one"), whole("two"))
    assert (one["status"], ran(one)) == ("completed", [("restart", {})])
    assert (two["status"], ran(two)) == ("completed", [("rollback", {"version": "v1"})])
    assert one["structured"]["service"] != two["structured"]["service"]


# What a person decides


def test_a_person_who_says_no_gets_the_incident_with_the_facts(folder: Path) -> None:
    service, graph = broken(folder, "leak"), team(folder)
    graph.invoke({"task": "Memory grows."}, THREAD)
    decide(graph, "reject", message="Not during the sale.")
    (request,) = requests(graph)
    told = request.value["action_requests"][0]["description"]
    for fact in (
        "Memory grows.",
        "the remedy was not agreed to",
        "limit 64 MB",
        "restart: not run",
        "WARN worker-1",
    ):
        assert fact in told
    result = decide(graph, "respond", message="I wait until tonight.")
    assert (result["status"], result["structured"]["healthy"], ran(result)) == ("partial", False, [])
    assert "not healthy" in result["reason"]
    assert "I wait until tonight." in result["answer"]
    assert restarts(folder) == 0
    assert not service.health().healthy


def test_a_person_who_did_it_themselves_ends_the_incident(folder: Path) -> None:
    broken(folder, "leak")
    graph = team(folder)
    graph.invoke({"task": "Memory grows."}, THREAD)
    order(folder, "restart")
    result = decide(graph, "respond", message="I have restarted it.")
    assert (result["status"], ran(result), restarts(folder)) == ("completed", [], 1)
    assert [c["became"] for c in result["structured"]["commands"]] == ["not run"]


def test_a_person_may_change_the_command_and_the_post_mortem_says_so(folder: Path) -> None:
    broken(folder, "leak")
    graph = team(folder)
    graph.invoke({"task": "Memory grows."}, THREAD)
    changed = {"command": "rollback", "arguments": {"version": "v1"}}
    result = decide(graph, "edit", edited_action={"name": "run_command", "args": changed})
    assert (result["status"], ran(result)) == ("completed", [("rollback", {"version": "v1"})])
    assert "who changed it from restart" in result["answer"]


def test_not_even_a_person_can_run_what_is_not_on_the_list(folder: Path) -> None:
    broken(folder, "leak")
    graph = team(folder, settle=0)
    graph.invoke({"task": "Memory grows."}, THREAD, context=Context(max_rounds=1))
    changed = {"command": "reboot", "arguments": {}}
    result = decide(graph, "edit", edited_action={"name": "run_command", "args": changed})
    assert requests(graph)
    result = decide(graph, "respond", message="So be it.")
    assert (ran(result), [c["command"] for c in result["structured"]["refused"]]) == ([], ["reboot"])
    assert restarts(folder) == 0


def test_without_a_checkpointer_nothing_destructive_is_done_and_the_facts_are_given(folder: Path) -> None:
    broken(folder, "leak")
    result = incident.build(service=folder, settle=0).compile(name="incident").invoke({"task": "Memory grows."})
    assert (result["status"], result["structured"]["healthy"], restarts(folder)) == ("partial", False, 0)
    assert "limit 64 MB" in result["reason"]


def test_of_a_url_alone_a_service_is_watched_and_handed_to_a_person(folder: Path) -> None:
    service = broken(folder, "leak")
    graph = team(service.url)
    graph.invoke({"task": "Memory grows."}, THREAD)
    result = decide(graph, "respond", message="I look.")
    assert (result["status"], result["structured"]["commands"]) == ("partial", [])
    assert "limit 64 MB" in result["answer"]


# Arguments, and the example


@pytest.mark.parametrize(
    "options",
    [
        {"fault": "fire"},
        {"fault": "leak", "service": "x"},
        {"settle": -1.0},
        {"patience": 0.0},
        {"monitor": "me"},
    ],
)
def test_wrong_arguments_are_named(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        incident.build(**options)


def test_a_folder_without_a_description_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"service.json"):
        team(tmp_path).invoke({"task": "t"}, THREAD)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("Memory grows", "leak"),
        ("it hangs", "hang"),
        ("disk full", "disk"),
        ("crashed", "config"),
        ("slow", "load"),
        ("It is down.", "leak"),
        ("?", ""),
    ],
)
def test_the_task_says_how_the_example_breaks(text: str, fault: str) -> None:
    assert fault_in(text) == fault


def test_the_example_has_all_it_names() -> None:
    told = json.loads((example_folder() / "service.json").read_text())
    words = {word for command in told["commands"].values() for word in command["argv"]}
    assert "control.py" in words
    assert set(FAULTS) == {*REMEDIES, "load"}
    graph = incident.graph.get_graph().draw_mermaid()
    for node in ("intake", "monitor", "diagnosis", "remediation", "verify", "notification", "person", "finish"):
        assert node in graph


def test_the_docstring_says_wiring_use_costs_and_why_it_ends() -> None:
    for part in ("START -> begin", "-> END", "Use it when:", "Costs:", "Ends:", "Source:"):
        assert part in textwrap.dedent(incident.__doc__ or "")
