"""`orchestra dev team.yaml`: a team of a file is a graph of the server, with what the file says of its runs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from importlib.util import find_spec
from typing import Any, cast

import pytest
from click.testing import CliRunner

from orchestra.__main__ import command

if find_spec("langgraph_api") is None:
    pytest.skip("needs the server: pip install 'orchestra-agents[studio]'", allow_module_level=True)

from dev_server import Server, free_port, started, stopped

COURIER = """
name: courier
description: Sends parcels.
model: extractive
agents:
  clerk:
    prompt: You send what you are asked to send.
    tools: ["courier_tools:book_courier"]
approvals: ["courier_tools:book_courier"]
budget: {model_calls: 7}
"""
DUO = """
name: duo
pattern: sequential
model: extractive
agents: {first: {prompt: Say it.}, second: {prompt: Say it again.}}
budget: {model_calls: 1}
"""
TOOLS = '''
from tools import effect

@effect
def book_courier(order: int) -> str:
    """Book a courier for an order by its number."""
    with open("booked.txt", "a") as file:
        file.write(f"{order}\\n")
    return f"booked for order {order}"
'''


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("teams")
    for name, text in (("courier.yaml", COURIER), ("duo.yaml", DUO), ("courier_tools.py", TOOLS)):
        (folder / name).write_text(text, encoding="utf-8")
    server = started(folder, "courier.yaml", "duo.yaml", "--port", str(free_port()))
    try:
        yield server
    finally:
        stopped(server)


def wait(server: Server, thread: str, graph: str, **given: Any) -> Any:
    return server.client.runs.wait(thread, graph, **given, raise_error=False)


def test_only_the_teams_named_are_served_with_what_their_files_say(served: Server) -> None:
    found = {each["graph_id"]: each for each in served.client.assistants.search(limit=100)}
    assert sorted(found) == ["courier", "duo"]
    assert found["courier"]["description"] == "Sends parcels."
    schema = cast(Any, served.client.assistants.get_schemas(found["courier"]["assistant_id"])["context_schema"])
    assert schema["properties"]["budget"]["default"] == {"model_calls": 7}
    assert schema["properties"]["model"]["default"] == "extractive"


def test_the_budget_of_the_file_holds_unless_the_request_has_another(served: Server) -> None:
    ended = []
    for context in (None, {"max_turns": 5}, {"budget": {"model_calls": 5}}):
        thread = served.client.threads.create()["thread_id"]
        result = wait(served, thread, "duo", input={"task": "What is a closure?"}, context=context)
        ended.append((result["status"], sum(outcome["usage"]["model_calls"] for outcome in result["outcomes"])))
    assert ended == [("stopped", 1), ("stopped", 1), ("completed", 2)]


def test_an_approval_of_a_team_is_answered_by_the_command(served: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(served.folder)
    thread = served.client.threads.create()["thread_id"]
    wait(served, thread, "courier", input={"task": "Book a courier for order 1042."})
    assert served.client.threads.get_state(thread)["interrupts"]
    assert not (served.folder / "booked.txt").exists()
    done = CliRunner().invoke(command, ["approve", thread, "--json"])
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["status"] == "completed"
    assert (served.folder / "booked.txt").read_text() == "1042\n"
    assert cast(Any, served.client.threads.get_state(thread)["values"])["status"] == "completed"


@pytest.mark.parametrize(
    ("files", "said"),
    [
        (["twin.yaml", "other.yaml"], "there is another graph 'duo'"),
        (["broken.yaml"], "broken.yaml:2:1"),
        (["toolless.yaml"], "courier_tool"),
        (["nowhere.yaml"], "does not exist"),
    ],
)
def test_what_cannot_be_served_is_said_before_the_server_starts(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch, files: list[str], said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    texts = {"twin.yaml": DUO, "other.yaml": DUO, "broken.yaml": "name: x\nagent: {}\n"}
    texts["toolless.yaml"] = COURIER.replace("courier_tools", "courier_tool_s")
    for name, text in texts.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    refused = CliRunner().invoke(command, ["dev", *files])
    assert (refused.exit_code, said in refused.output) == (2, True), refused.output
