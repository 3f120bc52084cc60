"""`orchestra dev`: who gets in, what they are served, and what the server answers to requests that make no sense."""

from __future__ import annotations

import asyncio
import json
import signal
from collections import Counter
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from typing import Any, cast

import httpx
import pytest
from click.testing import CliRunner

from graphs.registry import REGISTRY
from orchestra.__main__ import command
from state import open_persistence

if find_spec("langgraph_api") is None:
    pytest.skip("needs the server: pip install 'orchestra-agents[studio]'", allow_module_level=True)


from dev_server import START_LIMIT, Server, free_port, started, stopped
from generated_requests import Request, RequestMaker

QUESTION = "How does Python resolve a name in a nested scope?"
CHOSEN = "a-token-that-somebody-chose"
STUDIO = "https://smith.langchain.com"
CHAT = "https://chat.example.com"
REQUESTS = 5000
AT_ONCE = 12
WAIT_LIMIT = 2.0
"""Seconds after which a request that waits for a run is left alone: some runs were told to start later."""
ASKING = """
from graphs.teams import research

graph = research.build(approve_report=True).compile(name="asking")
"""
SLOW = """
import asyncio

from graphs import single


async def sleeper(task: str) -> str:
    await asyncio.sleep(600)
    return task


graph = single.build(sleeper).compile(name="slow")
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Serve the installed package from a folder that has nothing in it, as after `pip install`."""
    folder = tmp_path_factory.mktemp("nowhere")
    options = ("--db", "sqlite:///kept/here.db", "--port", str(free_port()))
    # Half of the requests below are refused, and a line for each takes longer than to refuse it.
    server = started(folder, *options, LOG_LEVEL="CRITICAL")
    try:
        yield server
    finally:
        stopped(server)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Serve a `langgraph.json` of somebody's own, with a token of theirs and a page that may come in."""
    folder = tmp_path_factory.mktemp("project")
    (folder / "asking.py").write_text(ASKING, encoding="utf-8")
    (folder / "slow.py").write_text(SLOW, encoding="utf-8")
    graphs = {"asking": "./asking.py:graph", "slow": {"path": "./slow.py:graph", "description": "It takes its time."}}
    config = {
        "dependencies": ["."],
        "graphs": graphs,
        "checkpointer": {"path": "./orchestra/serving/server.py:checkpointer"},
    }
    (folder / "langgraph.json").write_text(json.dumps(config), encoding="utf-8")
    options = ("--port", str(free_port()), "--origin", CHAT)
    server = started(folder, *options, ORCHESTRA_TOKEN=CHOSEN)
    try:
        yield server
    finally:
        stopped(server)


def _said(thread: str, server: Server, graph: str) -> list[tuple[str, Any]]:
    given: dict[str, Any] = {"messages": [{"role": "user", "content": QUESTION}]}
    parts = server.client.runs.stream(thread, graph, input=given, stream_mode=["updates"])
    return [(part.event, part.data) for part in parts]


# What is served.


def test_every_pattern_and_team_of_the_installed_package_is_served_with_its_schemas(installed: Server) -> None:
    found = {each["graph_id"]: each["assistant_id"] for each in installed.client.assistants.search(limit=100)}
    assert set(found) == set(REGISTRY)
    schemas = installed.client.assistants.get_schemas(found["single"])
    assert set(cast("dict[str, Any]", schemas["input_schema"])["properties"]) == {"messages", "task"}


def test_a_run_streams_its_steps_and_leaves_a_history_to_walk_back_in(installed: Server) -> None:
    thread = installed.client.threads.create()["thread_id"]
    events = _said(thread, installed, "single")
    ran = [node for event, data in events if event == "updates" for node in data]
    assert (ran[0], ran[-1]) == ("begin", "finish")
    history = installed.client.threads.get_history(thread, limit=100)
    assert len(history) > 2
    assert history[0]["values"]["status"] == "completed"  # type: ignore[call-overload]  # values of ours are a dict
    before = installed.client.threads.get_history(thread, limit=100, before=history[0]["checkpoint"])
    assert [each["checkpoint"] for each in before] == [each["checkpoint"] for each in history[1:]]


def test_threads_are_kept_in_the_database_that_was_named_and_the_command_lists_them(installed: Server) -> None:
    thread = installed.client.threads.create()["thread_id"]
    _said(thread, installed, "single")
    db = f"sqlite:///{installed.folder / 'kept' / 'here.db'}"
    with open_persistence(db) as persistence:
        assert thread in [each["thread"] for each in persistence.threads()]
    listed = CliRunner().invoke(command, ["threads", "--db", db, "--json"])
    assert thread in [each["thread"] for each in json.loads(listed.output)]
    assert not (installed.folder / ".orchestra").exists()


def test_an_approval_waits_and_is_answered_by_its_id(project: Server) -> None:
    thread = project.client.threads.create()["thread_id"]
    events = _said(thread, project, "asking")
    assert "__interrupt__" in [node for event, data in events if event == "updates" for node in data]
    (request,) = cast("dict[str, Any]", project.client.threads.get_state(thread))["interrupts"]
    answer = {"resume": {request["id"]: {"decisions": [{"type": "approve"}]}}}
    project.client.runs.wait(thread, "asking", command=cast("Any", answer))
    state = cast("dict[str, Any]", project.client.threads.get_state(thread))
    assert (state["interrupts"], state["values"]["status"]) == ([], "completed")
    with open_persistence(project.folder / ".orchestra" / "runs.db") as persistence:
        assert thread in [each["thread"] for each in persistence.threads()]


def test_the_description_of_the_server_still_says_what_requests_look_like(installed: Server) -> None:
    spec = installed.ask("GET", "/openapi.json", headers=installed.known()).json()
    assert "requestBody" in spec["paths"]["/threads/{thread_id}/runs"]["post"]


# Who gets in.


def test_the_token_is_asked_for_and_taken_in_both_headers(installed: Server) -> None:
    right = (
        {"authorization": f"Bearer {installed.token}"},
        {"authorization": f"bearer {installed.token}"},
        installed.known(),
    )
    wrong: tuple[dict[str, str], ...] = (
        {},
        {"x-api-key": ""},
        {"x-api-key": installed.token[:-1]},
        {"x-api-key": installed.token + "x"},
        {"authorization": installed.token},
        {"authorization": f"Basic {installed.token}"},
        {"authorization": "Bearer \u00e9"},
        {"cookie": f"x-api-key={installed.token}"},
    )
    for headers in right:
        assert installed.ask("GET", "/info", headers=headers).status_code == 200
    for path in (
        "/info",
        "/threads/search",
        "/openapi.json",
        "/metrics",
        "/nowhere",
        f"/info?x-api-key={installed.token[:8]}",
    ):
        for headers in wrong:
            refused = installed.ask("GET", path, headers={name: value.encode() for name, value in headers.items()})
            assert (path, refused.status_code) == (path, 401)
            assert "Authorization: Bearer" in refused.json()["detail"]


def test_that_it_is_up_and_what_it_can_do_is_said_to_everyone(installed: Server) -> None:
    assert installed.ask("GET", "/ok").status_code == 200
    assert installed.ask("GET", "/docs").status_code == 200
    assert installed.ask("POST", "/ok").status_code == 401
    assert installed.ask("GET", "/docs", headers={"host": "evil.example"}).status_code == 403


def test_a_host_that_does_not_name_this_server_is_refused_even_with_the_token(installed: Server) -> None:
    port = installed.url.rpartition(":")[2]
    for host in (f"127.0.0.1:{port}", f"localhost:{port}", f"LOCALHOST:{port}", f"[::1]:{port}"):
        assert installed.ask("GET", "/info", headers=installed.known(host=host)).status_code == 200
    for host in (
        "127.0.0.1",
        f"127.0.0.1:{int(port) - 1}",
        f"evil.example:{port}",
        f"127.0.0.1.evil.example:{port}",
        "",
        "[::1",
    ):
        refused = installed.ask("GET", "/info", headers=installed.known(host=host))
        assert (host, refused.status_code) == (host, 403)
        assert installed.url in refused.json()["detail"]


def test_a_page_that_is_not_known_is_refused_even_with_the_token(installed: Server) -> None:
    for origin in (STUDIO, "http://localhost:3000", "http://localhost", installed.url):
        answer = installed.ask("GET", "/info", headers=installed.known(origin=origin))
        assert (origin, answer.status_code) == (origin, 200)
    assert (
        installed.ask("GET", "/info", headers=installed.known(origin=STUDIO)).headers["access-control-allow-origin"]
        == STUDIO
    )
    strange = ("null", CHAT, f"{STUDIO}.evil.example", "http://localhost.evil.example", "https://localhost:3000", "")
    for origin in strange:
        refused = installed.ask("GET", "/info", headers=installed.known(origin=origin))
        assert (origin, refused.status_code) == (origin, 403)
        assert "--origin" in refused.json()["detail"]
        assert "access-control-allow-origin" not in refused.headers


def test_a_browser_is_told_before_it_sends_what_it_may_send(project: Server) -> None:
    asked = {"access-control-request-method": "POST", "access-control-request-headers": "x-api-key,content-type"}
    near = {"access-control-request-private-network": "true"}
    for origin in (STUDIO, CHAT):
        told = project.ask("OPTIONS", "/threads/search", headers={**asked, **near, "origin": origin})
        assert told.status_code == 200
        assert told.headers["access-control-allow-origin"] == origin
        assert "x-api-key" in told.headers["access-control-allow-headers"]
        assert told.headers["access-control-allow-private-network"] == "true"
    refused = project.ask("OPTIONS", "/threads/search", headers={**asked, "origin": "https://evil.example"})
    assert refused.status_code == 403
    # Without its own CORS headers a refusal could not be read by the page that has to show it.
    unknown = project.ask("POST", "/threads/search", headers={"origin": CHAT}, json={})
    assert (unknown.status_code, unknown.headers["access-control-allow-origin"]) == (401, CHAT)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 401),
        ({"x-api-key": CHOSEN, "origin": "https://evil.example"}, 403),
        ({"x-api-key": CHOSEN, "host": "evil.example"}, 403),
    ],
)
def test_a_websocket_comes_in_by_the_same_door(project: Server, headers: dict[str, str], status: int) -> None:
    upgrade = {"connection": "Upgrade", "upgrade": "websocket", "sec-websocket-version": "13"}
    key = {"sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ=="}
    refused = project.ask("GET", "/threads/x/stream/events", headers={**upgrade, **key, **headers})
    assert refused.status_code == status


def test_what_only_the_makers_of_the_server_need_is_shut(installed: Server) -> None:
    for method, path in (("POST", "/internal/truncate"), ("POST", "/deploy"), ("GET", "/deploy/x/stream")):
        assert installed.ask(method, path, headers=installed.known()).status_code == 404


def test_the_token_is_kept_nowhere_and_printed_only_where_it_was_made(installed: Server, project: Server) -> None:
    for server, times in ((installed, 1), (project, 0)):
        thread = server.client.threads.create()["thread_id"]
        graph = "asking" if server is project else "single"
        bearer = {"authorization": f"Bearer {server.token}", "x-api-key": server.token}
        server.ask(
            "POST", f"/threads/{thread}/runs/wait", headers=bearer, json={"assistant_id": graph, "input": {"task": "?"}}
        )
        server.ask("GET", "/nowhere", headers=bearer)
        assert server.text().count(server.token) == times
        for file in server.folder.rglob("*"):
            if file.is_file() and file != server.log:
                assert server.token.encode() not in file.read_bytes(), file


def test_the_folder_of_the_server_is_for_its_user_alone(installed: Server) -> None:
    assert (installed.folder / ".langgraph_api").stat().st_mode & 0o077 == 0


# Requests that make no sense, and the end.


async def _send(request: Request, host: str, token: str) -> int:
    """Send a request over a connection of its own; return the status, or 0 where it waited for a run for too long."""
    reader, writer = await asyncio.open_connection(*host.split(":"), limit=2**22)
    waits = request.label.endswith(("/wait", "/join"))
    try:
        writer.write(request.wire(host, token))
        async with asyncio.timeout(WAIT_LIMIT if waits else START_LIMIT):
            head = b"HTTP/1.1 100"
            while head.startswith(b"HTTP/1.1 100"):
                head = await reader.readuntil(b"\r\n\r\n")
            if b"text/event-stream" not in head:
                await reader.read()
            return int(head.split(b" ", 2)[1])
    except TimeoutError:
        assert waits, f"{request.label} did not answer: {request}"
        return 0
    finally:
        writer.close()


async def _send_all(maker: RequestMaker, host: str, token: str) -> list[tuple[Request, int]]:
    requests, answers = iter([maker.make() for _ in range(REQUESTS)]), list[tuple[Request, int]]()

    async def sending() -> None:
        for request in requests:
            answers.append((request, await _send(request, host, token)))

    await asyncio.gather(*(sending() for _ in range(AT_ONCE)))
    return answers


def _names(server: Server) -> dict[str, Sequence[Any]]:
    """Return ids of things that are there, so that requests get past the question whether they are."""
    client = server.client
    threads = [client.threads.create()["thread_id"] for _ in range(5)]
    run = client.runs.create(threads[0], "single", input={"task": QUESTION})["run_id"]
    client.runs.join(threads[0], run)
    return {
        "thread_id": threads,
        "run_id": [run],
        "checkpoint_id": [
            each["checkpoint"]["checkpoint_id"] for each in client.threads.get_history(threads[0], limit=9)
        ],
        "assistant_id": ["single", *(client.assistants.create("single")["assistant_id"] for _ in range(3))],
        "graph_id": ["single"],
        "webhook": ["/nowhere"],  # a call would leave the machine
    }


def test_five_thousand_generated_requests_are_answered_without_an_error_of_the_server(installed: Server) -> None:
    spec = installed.ask("GET", "/openapi.json", headers=installed.known()).json()
    maker = RequestMaker(spec, _names(installed), seed=7)
    answers = asyncio.run(_send_all(maker, installed.url.removeprefix("http://"), installed.token))
    statuses = Counter(status for _, status in answers)
    assert sum(statuses.values()) == REQUESTS
    assert [(status, request) for request, status in answers if status >= 500] == []
    assert statuses[0] < REQUESTS / 100
    # It is no test of the door alone: a good part was understood, and every operation was reached.
    assert statuses[200] > REQUESTS / 10
    assert statuses[401] == statuses[403] == 0
    reached = {request.label for request, _ in answers}
    assert {f"{method.upper()} {path}" for path, methods in spec["paths"].items() for method in methods} <= reached
    assert installed.ask("GET", "/info", headers=installed.known()).status_code == 200


def test_a_server_that_is_told_to_stop_ends_its_streams_and_keeps_its_threads(project: Server) -> None:
    thread = project.client.threads.create()["thread_id"]
    body = {"assistant_id": "slow", "input": {"task": "wait"}, "stream_mode": ["updates"]}
    with httpx.stream(
        "POST", f"{project.url}/threads/{thread}/runs/stream", headers=project.known(), json=body
    ) as stream:
        parts = stream.iter_lines()
        assert any("begin" in line for line in parts)
        assert stopped(project, signal.SIGINT) == 0
    assert "Stopped. Threads are kept" in project.text()
    with open_persistence(project.folder / ".orchestra" / "runs.db") as persistence:
        assert thread in [each["thread"] for each in persistence.threads()]
