"""`orchestra dev` without its server: the layers of its door, and what the command refuses before anything is started."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import httpx
import pytest
from click.testing import CliRunner

from graphs.registry import REGISTRY
from orchestra.__main__ import command
from orchestra.serving.door import Door, read_origin
from state.delivery import Showing
from state.errors import ConfigurationError

if find_spec("langgraph_api") is None:
    pytest.skip("needs the server: pip install 'orchestra-agents[studio]'", allow_module_level=True)

from starlette.applications import Starlette
from starlette.requests import Request as HttpRequest
from starlette.responses import PlainTextResponse, StreamingResponse
from starlette.routing import Route

from orchestra.commands.dev import PORT, choose_port
from orchestra.serving import application, guards
from orchestra.serving.server import installed_project, read_project

CHOSEN = "a-token-that-somebody-chose"
CHAT = "https://chat.example.com"


# The layers, on an application that does what is hard to make the server do.


async def _slowly() -> AsyncIterator[bytes]:
    yield b"first"
    await asyncio.Event().wait()


async def _break(request: HttpRequest) -> PlainTextResponse:
    raise KeyError("of our own code")


async def _echo(request: HttpRequest) -> PlainTextResponse:
    return PlainTextResponse(f"{len(await request.body())} {dict(request.headers)}")


async def _stream(request: HttpRequest) -> StreamingResponse:
    return StreamingResponse(_slowly())


async def _missing(request: HttpRequest) -> PlainTextResponse:
    return PlainTextResponse("not here", 501)


def _app(door: Door) -> Starlette:
    routes = [
        Route(f"/{each.__name__[1:]}", each, methods=["GET", "POST"]) for each in (_break, _echo, _stream, _missing)
    ]
    return Starlette(routes=routes, middleware=guards.through(door))


def _local(door: Door) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(_app(door)), base_url=door.url)


async def test_a_body_over_the_limit_is_refused_whether_or_not_its_length_is_announced(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(guards, "BODY_LIMIT", 1000)

    async def chunks(count: int) -> AsyncIterator[bytes]:
        for _ in range(count):
            yield b"x" * 100

    async with _local(Door("127.0.0.1", 2024, None)) as http:
        for content, status in ((b"x" * 1000, 200), (b"x" * 1001, 413), (chunks(10), 200), (chunks(11), 413)):
            answer = await http.post("/echo", content=content)
            assert answer.status_code == status


async def test_nothing_behind_the_door_sees_the_token_and_other_keys_go_through() -> None:
    async with _local(Door("127.0.0.1", 2024, CHOSEN)) as http:
        answer = await http.get("/echo", headers={"authorization": f"Bearer {CHOSEN}", "x-api-key": "another-key"})
    assert CHOSEN not in answer.text
    assert "another-key" in answer.text


async def test_an_error_of_our_own_code_is_not_put_down_to_the_request() -> None:
    async with _local(Door("127.0.0.1", 2024, None)) as http:
        with pytest.raises(KeyError, match="of our own code"):
            await http.get("/break")
        assert (await http.get("/missing")).status_code == 404


async def test_what_streams_goes_out_before_its_end() -> None:
    sent: list[Any] = []
    first = asyncio.Event()

    async def send(message: Any) -> None:
        sent.append(message)
        if message.get("body") == b"first":
            first.set()

    async def receive() -> Any:
        await asyncio.Event().wait()

    headers = [(b"host", b"127.0.0.1:2024")]
    scope = {
        "type": "http",
        "method": "GET",
        "path": "/stream",
        "query_string": b"",
        "headers": headers,
        "root_path": "",
    }
    task = asyncio.ensure_future(_app(Door("127.0.0.1", 2024, None))(scope, receive, send))
    await asyncio.wait_for(first.wait(), 10)
    task.cancel()
    assert sent[0]["status"] == 200


def test_a_server_bound_to_every_address_answers_to_each_and_to_no_other_name() -> None:
    door = Door("0.0.0.0", 80, CHOSEN)
    for host in ("192.168.1.5", "192.168.1.5:80", "localhost", "[fe80::1]:80"):
        assert door.knows_host(host), host
    for host in ("evil.example", "192.168.1.5:81", "192.168.1.5.evil.example", "", ":80"):
        assert not door.knows_host(host), host
    assert not Door("127.0.0.1", 2024, None).knows_host("192.168.1.5:2024")
    assert CHOSEN not in repr(door)


def test_an_origin_is_read_as_browsers_send_it_and_anything_else_is_refused() -> None:
    assert read_origin("HTTPS://Chat.Example.com:443/") == CHAT
    assert read_origin("http://[::1]:3000") == "http://[::1]:3000"
    for text in (
        "*",
        "https://*",
        "chat.example.com",
        "https://",
        "ftp://a",
        "https://a/b",
        "https://a:x",
        "https://u:p@a",
    ):
        with pytest.raises(ConfigurationError, match="expected an origin"):
            read_origin(text)


# What the command refuses before anything is started.


@pytest.mark.parametrize(
    ("options", "token", "said"),
    [
        (["--host", "0.0.0.0"], None, "set ORCHESTRA_TOKEN"),
        (["--host", "0.0.0.0", "--no-token"], None, "--no-token is for this machine alone"),
        (["--host", "example.com", "--no-token"], CHOSEN, "--no-token is for this machine alone"),
        (["--no-token"], CHOSEN, "contradict each other"),
        ([], "short", "at least 16"),
        ([], "sixteen characters\u00e9", "at least 16"),
        ([], "", "at least 16"),
        (["--origin", "*"], None, "expected an origin"),
        (["--host", "::1"], CHOSEN, "expected an IPv4 address"),
        (["--host", "203.0.113.7"], CHOSEN, "choose another --host"),
        (["--config", "array.json"], None, "is no langgraph.json that can be served"),
        (["--config", "prefix.json"], None, "remove it"),
        (["--config", "order.json"], None, "remove it"),
        (["--config", "own.json", "--db", "sqlite:///x.db"], None, "has a checkpointer of its own"),
        (["--config", "missing.json"], None, "does not exist"),
        (["--config", "lost.json"], None, "expected a file and a name in it"),
    ],
)
def test_an_unsafe_or_impossible_start_is_refused_in_one_line(
    options: list[str], token: str | None, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    if token is None:
        monkeypatch.delenv("ORCHESTRA_TOKEN", raising=False)
    else:
        monkeypatch.setenv("ORCHESTRA_TOKEN", token)
    (tmp_path / "a.py").touch()
    graphs = {"dependencies": ["."], "graphs": {"a": "./a.py:graph"}}
    configs: dict[str, Any] = {
        "array": [],
        "prefix": {**graphs, "http": {"mount_prefix": "/x"}},
        "order": {**graphs, "http": {"app": "./a.py:app", "middleware_order": "auth_first"}},
        "lost": {"dependencies": ["."], "graphs": {"a": "./b.py:graph"}},
        "own": {**graphs, "checkpointer": {"path": "./a.py:saver"}},
    }
    for name, config in configs.items():
        (tmp_path / f"{name}.json").write_text(json.dumps(config), encoding="utf-8")
    result = CliRunner().invoke(command, ["dev", *options])
    assert result.exit_code == 2, result.output
    assert said in " ".join(result.output.split())
    if token and len(token) > 5:
        assert token not in result.output


def test_a_prefix_that_would_put_routes_in_front_of_the_door_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("ORCHESTRA_TOKEN", raising=False)
    monkeypatch.setenv("MOUNT_PREFIX", "/x")
    result = CliRunner().invoke(command, ["dev"])
    assert (result.exit_code, "MOUNT_PREFIX puts routes in front of the door" in result.output) == (2, True)


def test_without_the_server_the_command_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("orchestra.serving.server.find_spec", lambda name: None)
    result = CliRunner().invoke(command, ["dev"])
    assert result.exit_code == 2
    assert "pip install 'orchestra-agents[studio]'" in result.output


def test_a_port_that_was_asked_for_is_taken_or_refused_and_the_usual_one_makes_way() -> None:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        held.listen()
        taken = held.getsockname()[1]
        with pytest.raises(ConfigurationError, match=f"port {taken} is taken"):
            choose_port("127.0.0.1", taken)
    with socket.socket() as usual:
        try:
            usual.bind(("127.0.0.1", PORT))
            usual.listen()
        except OSError:
            pass  # something else has it, which is the same to the command
        assert choose_port("127.0.0.1", None) > PORT


def test_paths_in_a_configuration_are_those_of_its_folder(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("GREETING=hello\n", encoding="utf-8")
    (tmp_path / "sub").mkdir()
    (tmp_path / "a.py").touch()
    (tmp_path / "sub" / "b.py").touch()
    graphs = {"a": "./a.py:graph", "b": {"path": "sub/b.py:graph"}, "c": "graphs.single:graph"}
    config = {"dependencies": ["."], "graphs": graphs, "env": ".env", "http": {"app": "./web.py:app"}}
    file = tmp_path / "langgraph.json"
    file.write_text(json.dumps(config), encoding="utf-8")
    project = read_project(file)
    assert project.graphs == {
        "a": f"{tmp_path}/a.py:graph",
        "b": {"path": f"{tmp_path}/sub/b.py:graph"},
        "c": "graphs.single:graph",
    }
    assert (project.env, project.more["http"]["app"]) == ({"GREETING": "hello"}, f"{tmp_path}/web.py:app")
    assert project.folders == (str(tmp_path),)
    assert list(installed_project().graphs) == list(REGISTRY)


def test_a_projects_own_application_stands_behind_the_door(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(application, "SHOWING", Showing())  # no other test is watched
    (tmp_path / "web.py").write_text(
        "from starlette.applications import Starlette\napp = Starlette()\n", encoding="utf-8"
    )
    application.DOOR.set(Door("127.0.0.1", 2024, CHOSEN))
    application.INNER_APP.set(f"{tmp_path}/web.py:app")
    app = application.open_app()
    assert [layer.cls for layer in app.user_middleware] == [
        layer.cls for layer in guards.through(application.DOOR.get())
    ]
    application.INNER_APP.set(f"{tmp_path}/web.py:nothing")
    with pytest.raises(ConfigurationError, match="expected a Starlette or FastAPI application"):
        application.open_app()
    application.INNER_APP.set(None)
