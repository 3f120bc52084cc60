"""Plain `langgraph dev` in a fresh clone: it starts, serves every graph and keeps its threads where the command does.

What is served is the same as by `orchestra dev`, which `test_served_graphs.py` drives graph by graph.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple, cast

import httpx
import pytest
from langgraph_sdk import get_sync_client
from langgraph_sdk.client import SyncLangGraphClient

from graphs.registry import REGISTRY
from nodes.models import ENGINE_NOTICE
from state import open_persistence

if find_spec("langgraph_api") is None:
    pytest.skip("needs the server: pip install 'orchestra-agents[studio]'", allow_module_level=True)

pytestmark = pytest.mark.loopback

ROOT = Path(__file__).resolve().parent.parent
CONFIG: dict[str, Any] = json.loads((ROOT / "langgraph.json").read_text(encoding="utf-8"))
QUESTION = "How does Python resolve a name in a nested scope?"
START_LIMIT = 120.0
"""Seconds that the server may take to start on a machine that is busy with other things."""

ASKING = """
from graphs.teams import research

graph = research.build(approve_report=True).compile(name="asking")
"""
BLOCKING = """
import time

from graphs import single


async def sleeper(task: str) -> str:
    time.sleep(0.01)
    return "slept"


graph = single.build(sleeper).compile(name="blocking")
"""


class Server(NamedTuple):
    """A running server, the folder it runs in and what it printed so far."""

    client: SyncLangGraphClient
    folder: Path
    log: Path

    def lines(self) -> list[str]:
        """Return what it printed, without colours."""
        return re.sub(r"\x1b\[[0-9;]*m", "", self.log.read_text(encoding="utf-8")).splitlines()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Start the server as in a fresh clone, without `.env`, with two graphs more that only these tests need."""
    folder = tmp_path_factory.mktemp("clone")
    for package in ("orchestra", "graphs", "nodes", "tools", "state"):
        shutil.copytree(ROOT / package, folder / package, ignore=shutil.ignore_patterns("__pycache__"))
    for team in ("support", "incident"):
        shutil.copytree(ROOT / "examples" / team, folder / "examples" / team)
    (folder / "asking.py").write_text(ASKING, encoding="utf-8")
    (folder / "blocking.py").write_text(BLOCKING, encoding="utf-8")
    graphs = {**CONFIG["graphs"], "asking": "./asking.py:graph", "blocking": "./blocking.py:graph"}
    (folder / "langgraph.json").write_text(json.dumps({**CONFIG, "graphs": graphs}), encoding="utf-8")
    log, port = folder / "server.log", _free_port()
    command = [sys.executable, "-m", "langgraph_cli", "dev", "--no-browser", "--no-reload", "--port", str(port)]
    with log.open("w", encoding="utf-8") as out:
        process = subprocess.Popen(command, cwd=folder, env=_environment(), stdout=out, stderr=subprocess.STDOUT)
    try:
        _wait_until_ready(process, port, log)
        with get_sync_client(url=f"http://127.0.0.1:{port}") as client:
            yield Server(client, folder, log)
    finally:
        process.terminate()
        try:
            process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _environment() -> dict[str, str]:
    """Return an environment in which nothing is configured and nothing calls home."""
    hidden = ("OPENAI_", "ORCHESTRA_", "LANGSMITH_", "LANGCHAIN_", "LANGGRAPH_", "LANGSERVE_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(hidden)}
    quiet = {"LANGGRAPH_NO_VERSION_CHECK": "true", "LANGGRAPH_CLI_NO_ANALYTICS": "1", "ORCHESTRA_OFFLINE": "1"}
    return {**kept, **quiet}


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_until_ready(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    transport = httpx.HTTPTransport(retries=0)
    with httpx.Client(transport=transport, base_url=f"http://127.0.0.1:{port}") as http:
        tries = 0
        while True:
            try:
                if http.get("/ok").status_code == 200:
                    return
            except httpx.TransportError:
                pass
            tries += 1
            try:
                process.wait(timeout=0.25)
            except subprocess.TimeoutExpired:
                if tries < START_LIMIT / 0.25:
                    continue
            pytest.fail(f"the server did not start:\n{log.read_text(encoding='utf-8')[-4000:]}")


def _assistant(server: Server, name: str) -> str:
    (assistant,) = server.client.assistants.search(graph_id=name)
    return assistant["assistant_id"]


def _thread(server: Server) -> str:
    return server.client.threads.create()["thread_id"]


def _say(server: Server, thread: str, name: str, text: str) -> list[dict[str, Any]]:
    """Send what chat clients send, messages alone, and return the updates of the stream, one for each node that ran."""
    given: dict[str, Any] = {"messages": [{"role": "user", "content": text}]}
    parts = server.client.runs.stream(thread, name, input=given, stream_mode=["updates"])
    found = [(part.event, cast("dict[str, Any]", part.data)) for part in parts]
    assert [data for event, data in found if event == "error"] == []
    return [data for event, data in found if event == "updates"]


def _state(server: Server, thread: str) -> tuple[dict[str, Any], list[Any]]:
    state = cast("dict[str, Any]", server.client.threads.get_state(thread))
    return state["values"], state["interrupts"]


def test_every_pattern_and_team_is_served(server: Server) -> None:
    assert list(CONFIG["graphs"]) == list(REGISTRY)
    served = {each["graph_id"] for each in server.client.assistants.search(limit=100)}
    assert served == {*REGISTRY, "asking", "blocking"}


def test_every_graph_has_a_form_and_a_picture(server: Server) -> None:
    for name in CONFIG["graphs"]:
        assistant = _assistant(server, name)
        schema = cast("dict[str, Any]", server.client.assistants.get_schemas(assistant)["context_schema"])
        assert any("langgraph_nodes" in shape for shape in schema["properties"].values()), name
        assert len(server.client.assistants.get_graph(assistant)["nodes"]) > 3


@pytest.mark.parametrize("name", ["single", "plan_execute"])
def test_messages_alone_get_an_answer_and_so_does_a_second_turn(server: Server, name: str) -> None:
    thread = _thread(server)
    updates = _say(server, thread, name, QUESTION)
    ran = [node for update in updates for node in update]
    assert (ran[0], ran[-1]) == ("begin", "finish")
    assert updates[-1]["finish"]["answer"]
    assert any(update[node].get("outcomes") for update in updates[1:] for node in update), "the stream shows no outcome"
    values, interrupts = _state(server, thread)
    assert interrupts == []
    assert values["answer"] == updates[-1]["finish"]["answer"]
    assert values["status"] in ("completed", "partial", "stopped")
    assert [message["type"] for message in values["messages"]] == ["human", "ai"]
    assert values["messages"][-1]["content"].startswith(values["answer"])

    _say(server, thread, name, "What does the nonlocal statement do?")
    values, _ = _state(server, thread)
    assert values["goal"] == "What does the nonlocal statement do?"
    assert values["answer"]
    assert [message["type"] for message in values["messages"]] == ["human", "ai"] * 2


def test_research_answers_from_the_built_in_corpus_with_citations(server: Server) -> None:
    thread = _thread(server)
    _say(server, thread, "research", QUESTION)
    values, _ = _state(server, thread)
    assert values["status"] == "completed"
    assert "[1]" in values["answer"]
    first = values["structured"]["references"][0]
    assert first["source"].startswith("python-reference/")
    assert values["sources"][0]["text"]
    assert ENGINE_NOTICE in values["messages"][-1]["content"]


def test_what_the_form_sends_as_context_reaches_the_run(server: Server) -> None:
    thread = _thread(server)
    given: dict[str, Any] = {"messages": [{"role": "user", "content": QUESTION}]}
    server.client.runs.wait(thread, "single", input=given, context={"budget": {"model_calls": 0}, "max_rounds": 2})
    values, _ = _state(server, thread)
    assert (values["status"], values["answer"]) == ("stopped", "")
    assert "BudgetExceeded" in values["reason"]


def test_an_approval_arrives_in_the_form_that_chat_clients_show_and_is_answered_as_they_do(server: Server) -> None:
    thread = _thread(server)
    updates = _say(server, thread, "asking", QUESTION)
    assert [next(iter(update)) for update in updates[-2:]] == ["propose", "__interrupt__"]

    values, (request,) = _state(server, thread)
    (action,), (review,) = request["value"]["action_requests"], request["value"]["review_configs"]
    assert set(action) == {"name", "args", "description"}
    assert review == {"action_name": action["name"], "allowed_decisions": ["approve", "edit", "reject", "respond"]}
    proposal = values["messages"][-1]
    (call,) = proposal["tool_calls"]
    assert (proposal["type"], call["name"], call["args"]) == ("ai", action["name"], action["args"])

    server.client.runs.wait(thread, "asking", command={"resume": {"decisions": [{"type": "approve"}]}})
    values, interrupts = _state(server, thread)
    assert interrupts == []
    assert values["status"] == "completed"
    assert [message["type"] for message in values["messages"]] == ["human", "ai", "tool", "ai"]
    assert values["messages"][2]["tool_call_id"] == call["id"]


def test_threads_are_kept_in_the_database_of_the_command(server: Server) -> None:
    thread = _thread(server)
    _say(server, thread, "single", QUESTION)
    with open_persistence(server.folder / ".orchestra" / "runs.db") as persistence:
        assert thread in [each["thread"] for each in persistence.threads()]


def test_the_server_starts_without_an_env_file_and_warns_of_nothing(server: Server) -> None:
    assert not (server.folder / ".env").exists()
    complaints = [line for line in server.lines() if re.search(r"\[(warning|error|critical)\s*\]|Traceback", line)]
    assert complaints == []


# What follows makes the server complain on purpose, so it comes after the test that reads its log.


def test_a_node_that_blocks_the_event_loop_is_refused_so_that_ours_are_known_not_to(server: Server) -> None:
    thread = _thread(server)
    _say(server, thread, "blocking", QUESTION)
    values, _ = _state(server, thread)
    assert values["status"] == "failed"
    assert "BlockingError" in values["reason"]
