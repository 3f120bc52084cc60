"""A local server that speaks OpenAI's chat completions over real sockets, and fails the way providers do.

    with openai_server(lambda request: "Hello.") as server:
        model = load_model("openai:any", base_url=server.base_url)

Faults are data: `faults=[Status(429, {"Retry-After": "1"}), None, RESET]` are used up one per request, None being none.
"""

from __future__ import annotations

import json
import socket
import socketserver
import struct
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import convert_to_messages, convert_to_openai_messages
from langchain_core.messages.ai import UsageMetadata

from openai_bodies import Reply, completion, events

_LINGER_ZERO = struct.pack("ii", 1, 0)
"""Closing a socket resets the connection."""


@dataclass(frozen=True)
class Status:
    """Answer with an error status, as providers word it."""

    code: int
    headers: Mapping[str, str] = field(default_factory=dict)
    error: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Reset:
    """Reset the connection instead of answering."""


@dataclass(frozen=True)
class Hang:
    """Answer nothing until the server is closed."""


@dataclass(frozen=True)
class Cut:
    """Stream some events, then break off; without streaming, half of the body."""

    events: int = 2


@dataclass(frozen=True)
class Stall:
    """Stream some events, then nothing until the server is closed; without streaming, half of the body."""

    events: int = 2


@dataclass(frozen=True)
class Malformed:
    """Answer 200 with a body that is not JSON."""


@dataclass(frozen=True)
class Empty:
    """Answer 200 without a choice."""


Fault = Status | Reset | Hang | Cut | Stall | Malformed | Empty


@dataclass(frozen=True)
class Received:
    """A request as it arrived. Names of headers are in lower case."""

    path: str
    headers: Mapping[str, str]
    body: dict[str, Any]


@dataclass
class OpenAIServer:
    """What a test sees of the server."""

    base_url: str
    reply: Reply
    models: Sequence[str]
    faults: list[Fault | None]
    requests: list[Received] = field(default_factory=list)
    errors: list[Exception] = field(default_factory=list)
    connections: int = 0
    """Connections accepted so far."""
    closing: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def next_fault(self) -> Fault | None:
        with self.lock:
            return self.faults.pop(0) if self.faults else None


@contextmanager
def openai_server(
    reply: Reply = lambda request: "Hello.",
    *,
    faults: Iterable[Fault | None] = (),
    models: Sequence[str] = ("local-model",),
) -> Iterator[OpenAIServer]:
    """Serve on a free port of this machine until the block ends, then close every connection and join every thread.

    An exception that `reply` raised is answered with status 500, and raised again at the end.
    """
    listener = _Listener(("127.0.0.1", 0), _Handler)
    host, port = listener.server_address[:2]
    server = listener.state = OpenAIServer(f"http://{host!s}:{port}/v1", reply, models, list(faults))
    thread = threading.Thread(target=listener.serve_forever, args=(0.01,), name="openai-server")
    thread.start()
    try:
        yield server
    finally:
        server.closing.set()
        listener.shutdown()
        thread.join()
        listener.close_connections()
        listener.server_close()
    if server.errors:
        raise server.errors[0]


def engine(model: BaseChatModel) -> Reply:
    """Return a reply that asks a chat model, with the tools, the choice of tool and the schema of the request."""

    def reply(request: dict[str, Any]) -> Mapping[str, Any]:
        bound: Any = model
        if request.get("tools"):
            bound = bound.bind_tools(request["tools"], tool_choice=request.get("tool_choice"))
        if request.get("response_format"):
            bound = bound.bind(response_format=request["response_format"])
        answer = bound.invoke(convert_to_messages(request["messages"]))
        message = convert_to_openai_messages(answer)
        assert isinstance(message, dict)
        refusal, reason = answer.additional_kwargs.get("refusal"), answer.response_metadata.get("finish_reason")
        return {**message, "refusal": refusal, "finish_reason": reason, "usage": _usage(answer.usage_metadata)}

    return reply


def _usage(counted: UsageMetadata | None) -> dict[str, int] | None:
    if counted is None:
        return None
    given, taken = counted["input_tokens"], counted["output_tokens"]
    return {"prompt_tokens": given, "completion_tokens": taken, "total_tokens": given + taken}


class _Listener(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    request_queue_size = 256
    state: OpenAIServer

    def __init__(self, address: tuple[str, int], handler: type[BaseHTTPRequestHandler]) -> None:
        super().__init__(address, handler)
        self._open: set[socket.socket] = set()

    def process_request(self, request: Any, client_address: Any) -> None:
        self._open.add(request)
        self.state.connections += 1
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self._open.discard(request)
        super().shutdown_request(request)

    def close_connections(self) -> None:
        """Wake the threads that wait for a next request on a connection that a client keeps."""
        for connection in list(self._open):
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue  # closed by the other side

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of clients that went away."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Listener

    def log_message(self, format: str, *args: Any) -> None:
        """Be silent."""

    def do_GET(self) -> None:
        state = self.server.state
        data = [{"id": name, "object": "model", "created": 0, "owned_by": "local"} for name in state.models]
        if self.path == "/v1/models":
            self._send(200, {"object": "list", "data": data})
        else:
            self._send(404, {"error": {"message": f"no such path: {self.path}", "type": "invalid_request_error"}})

    def do_POST(self) -> None:
        state = self.server.state
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        state.requests.append(Received(self.path, {k.lower(): v for k, v in self.headers.items()}, body))
        fault = state.next_fault()
        if self.path != "/v1/chat/completions":
            self._send(404, {"error": {"message": f"no such path: {self.path}", "type": "invalid_request_error"}})
        elif fault is None or isinstance(fault, Cut | Stall):
            self._answer(body, fault)
        else:
            self._fail(fault)

    def _answer(self, body: dict[str, Any], cut: Cut | Stall | None) -> None:
        try:
            answer = self.server.state.reply(body)
        except Exception as error:  # noqa: BLE001 - raised again when the server is closed
            self.server.state.errors.append(error)
            self._send(500, {"error": {"message": "the test's reply raised", "type": "server_error"}})
            return
        if body.get("stream"):
            self._stream(events(body, answer), cut)
        else:
            self._send(200, completion(body, answer), cut=cut is not None)
        if isinstance(cut, Stall):
            self.server.state.closing.wait()

    def _fail(self, fault: Fault) -> None:
        if isinstance(fault, Status):
            message = {"message": f"status {fault.code}", "type": "error", **fault.error}
            self._send(fault.code, {"error": message}, fault.headers)
        elif isinstance(fault, Reset):
            self._reset()
        elif isinstance(fault, Hang):
            self.server.state.closing.wait()
            self._reset()
        elif isinstance(fault, Malformed):
            self._send(200, b'{"id": "chatcmpl-local", "choices": [{"index"')
        else:
            self._send(200, {"id": "chatcmpl-local", "object": "chat.completion", "created": 0, "choices": []})

    def _send(
        self, code: int, body: dict[str, Any] | bytes, headers: Mapping[str, str] | None = None, *, cut: bool = False
    ) -> None:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(code)
        for name, value in {"Content-Type": "application/json", **(headers or {})}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content[: len(content) // 2] if cut else content)
        self.close_connection = self.close_connection or cut

    def _stream(self, stream: Iterable[dict[str, Any]], cut: Cut | Stall | None) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for number, event in enumerate(stream):
            if cut and number == cut.events:
                self.close_connection = True
                return
            self._chunk(f"data: {json.dumps(event)}\n\n".encode())
        self._chunk(b"data: [DONE]\n\n")
        self._chunk(b"")

    def _chunk(self, data: bytes) -> None:
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))

    def _reset(self) -> None:
        self.close_connection = True
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_ZERO)
        self.rfile.close()
        self.connection.close()
