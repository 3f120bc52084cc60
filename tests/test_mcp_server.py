"""Our MCP server and our client against the public conformance scenarios that apply to them.

Source: `@modelcontextprotocol/conformance` 0.1.16; the names of its scenarios are in the tests' names.
"""

from __future__ import annotations

import json
import runpy
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
from click.testing import CliRunner
from starlette.testclient import TestClient

from cases import says
from corpus_docs import write_docs
from graphs import single
from mcp_programs import ROOT, named, ours
from nodes.scripted import call
from tools import open_corpus
from tools.marks import marks_of
from tools.mcp import open_mcp
from tools.mcp.server import TOKEN, create_app, create_server, main
from tools.rights import rights_of

EXAMPLE = Path(ROOT, "examples", "mcp", "documents.py")
ACCEPT = {"Accept": "application/json, text/event-stream"}
HELLO = {
    "protocolVersion": "2025-11-25",
    "capabilities": {},
    "clientInfo": {"name": "conformance-test-client", "version": "1.0.0"},
}


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with ours(write_docs(tmp_path_factory.mktemp("ours") / "docs")) as url:
        yield url


class Raw:
    """A client that sends what it is told to."""

    def __init__(self, url: str) -> None:
        self._url, self._session, self._number = url, "", 0
        self.hello = self.ask("initialize", HELLO)
        self.post({"jsonrpc": "2.0", "method": "notifications/initialized"})

    def ask(self, method: str, params: dict[str, Any] | None = None) -> dict[str, Any]:
        self._number += 1
        response = self.post({"jsonrpc": "2.0", "id": self._number, "method": method, "params": params or {}})
        self._session = response.headers.get("mcp-session-id", self._session)
        told: dict[str, Any] = json.loads(next(x for x in response.text.splitlines() if x.startswith("data: {"))[6:])
        assert told["id"] == self._number
        return told

    def post(self, message: dict[str, Any]) -> httpx.Response:
        headers = {**ACCEPT, **({"mcp-session-id": self._session} if self._session else {})}
        response = httpx.post(self._url, json=message, headers=headers)
        assert response.status_code in (200, 202)
        return response


def test_server_initialize_ping_and_tools_list(address: str) -> None:
    raw = Raw(address)
    hello = raw.hello["result"]
    assert hello["protocolVersion"] == "2025-11-25"
    assert (hello["serverInfo"]["name"], "tools" in hello["capabilities"]) == ("orchestra-documents", True)
    assert raw.ask("ping")["result"] == {}
    tools = raw.ask("tools/list")["result"]["tools"]
    assert [tool["name"] for tool in tools] == ["search_documents", "read_passage", "list_documents"]
    assert all(tool["description"] and tool["inputSchema"]["type"] == "object" for tool in tools)
    assert all(tool["annotations"]["readOnlyHint"] for tool in tools)


def test_tools_call_simple_text_and_tools_call_error(address: str) -> None:
    raw = Raw(address)
    told = raw.ask("tools/call", {"name": "search_documents", "arguments": {"query": "eggs of a queen"}})["result"]
    assert (told.get("isError", False), told["content"][0]["type"]) == (False, "text")
    assert "2000 eggs" in told["content"][0]["text"]
    for name, args in (("search_documents", {"query": " "}), ("search_documents", {}), ("nothing", {})):
        failed = raw.ask("tools/call", {"name": name, "arguments": args})["result"]
        assert (failed["isError"], failed["content"][0]["type"]) == (True, "text")
    assert "error" in raw.ask("no/such/method")


def test_dns_rebinding_protection(address: str) -> None:
    hello = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": HELLO}
    for headers in ({"Host": "evil.example.com"}, {"Origin": "http://evil.example.com"}):
        assert 400 <= httpx.post(address, json=hello, headers={**ACCEPT, **headers}).status_code < 500
    good = {"Host": "localhost:1234", "Origin": "http://localhost:1234"}
    assert httpx.post(address, json=hello, headers={**ACCEPT, **good}).status_code == 200


def test_an_agent_searches_our_server_over_http(address: str) -> None:
    with open_mcp({"docs": {"url": address}}) as mcp:
        agent = says("reader", call("search_documents", query="eggs"), "2000", tools=mcp.tools)
        assert single.build(agent).compile(name="g").invoke({"task": "How many?"})["answer"] == "2000"
        found = named(mcp)
    assert {frozenset(rights_of(tool)) for tool in mcp.tools} == {frozenset({"read"})}
    assert [tool.name for tool in mcp.tools if marks_of(tool).effect is not None] == []
    assert found.keys() == {"search_documents", "read_passage", "list_documents"}


def test_the_example_answers_from_what_a_server_gave(capsys: pytest.CaptureFixture[str]) -> None:
    text = EXAMPLE.read_text(encoding="utf-8")
    assert len(text.splitlines()) < 40
    runpy.run_path(str(EXAMPLE), run_name="__main__")
    said = capsys.readouterr().out
    assert "30 days" in said
    assert "- reader: ok, 1 tool calls" in said


def test_with_a_token_only_those_who_show_it_are_answered(tmp_path: Path) -> None:
    hello = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": HELLO}
    with open_corpus(write_docs(tmp_path / "docs")) as corpus:
        app = create_app(create_server(corpus), "open-sesame")
        with TestClient(app, base_url="http://localhost:8700") as client:
            for shown, status in (
                ("", 401),
                ("Bearer open-sesam", 401),
                ("open-sesame", 401),
                ("Bearer open-sesame", 200),
            ):
                response = client.post("/mcp", json=hello, headers={**ACCEPT, "Authorization": shown})
                assert response.status_code == status


def test_the_command_refuses_to_be_open_to_others_and_folders_without_documents(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(TOKEN, raising=False)
    (tmp_path / "empty").mkdir()
    refused = CliRunner().invoke(main, ["--http", "8700", "--host", "0.0.0.0", str(tmp_path)])
    assert (refused.exit_code, TOKEN in refused.output) == (2, True)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        twice = CliRunner().invoke(main, ["--http", port, str(write_docs(tmp_path / "docs"))])
    assert (twice.exit_code, f"cannot listen on 127.0.0.1, port {port}" in twice.output) == (1, True)
    empty = CliRunner().invoke(main, [str(tmp_path / "empty")])
    assert (empty.exit_code, "expected documents" in empty.output) == (1, True)


class Retrying(BaseHTTPRequestHandler):
    """Closes the stream of a call before its answer, and gives that to whoever comes back for it."""

    protocol_version = "HTTP/1.1"
    seen: list[tuple[str, str]] = []  # noqa: RUF012
    waits: int | None = None

    def do_POST(self) -> None:
        message = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.seen.append((message["method"], self.headers.get("mcp-session-id", "")))
        if message["method"] == "initialize":
            info = {"name": "retrying", "version": "1"}
            result = {"protocolVersion": "2025-06-18", "capabilities": {"tools": {}}, "serverInfo": info}
            self.give(200, "application/json", json.dumps({"jsonrpc": "2.0", "id": message["id"], "result": result}))
        elif message["method"] == "tools/list":
            tools = [{"name": "test_reconnection", "inputSchema": {"type": "object"}}]
            told = {"jsonrpc": "2.0", "id": message["id"], "result": {"tools": tools}}
            self.give(200, "application/json", json.dumps(told))
        elif message["method"] == "tools/call":
            Retrying.waits = message["id"]
            self.give(200, "text/event-stream", "id: event-1\nretry: 50\ndata: \n\n")
        else:
            self.give(202, "text/plain", "")

    def do_GET(self) -> None:
        last = self.headers.get("last-event-id", "")
        if not last:
            return self.give(405, "text/plain", "")
        self.seen.append(("GET", last))
        result = {"content": [{"type": "text", "text": "came back for it"}]}
        told = json.dumps({"jsonrpc": "2.0", "id": self.waits, "result": result})
        return self.give(200, "text/event-stream", f"id: event-2\nevent: message\ndata: {told}\n\n")

    def do_DELETE(self) -> None:
        self.give(200, "text/plain", "")

    def give(self, status: int, kind: str, body: str) -> None:
        self.send_response(status)
        for name, value in (("Content-Type", kind), ("Content-Length", str(len(body))), ("mcp-session-id", "s1")):
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, format: str, *args: Any) -> None:
        pass


def test_client_initialize_tools_call_and_sse_retry() -> None:
    Retrying.seen.clear()
    with ThreadingHTTPServer(("127.0.0.1", 0), Retrying) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        with open_mcp({"x": {"url": f"http://127.0.0.1:{server.server_address[1]}/mcp"}}) as mcp:
            assert mcp.tools[0].invoke({}) == "came back for it"
        server.shutdown()
    calls = [seen for seen in Retrying.seen if seen[0] != "notifications/initialized"]
    assert calls[:4] == [("initialize", ""), ("tools/list", "s1"), ("tools/call", "s1"), ("GET", "event-1")]
