"""The layers of a server's door, in front of everything else that it does.

From the outside in: where a request says it comes from (`Host`, `Origin`), CORS, the token, size, form; then what the server
has to know of the thread that is asked for, and what a chat client is shown of it. They are plain ASGI and hold nothing back:
what a graph streams goes out as it comes.
"""

from __future__ import annotations

import errno
import logging
import sys

from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from orchestra.serving.door import Door
from orchestra.serving.proposals import is_chat, with_proposals
from orchestra.serving.threads import enlist_asked
from state.delivery import SHOWING

OPEN_PATHS = frozenset({"/ok", "/docs"})
"""What needs no token. They say that the server is up, and what any such server can do: nothing about anyone's work."""
CLOSED_PATHS = ("/deploy", "/internal")
"""What the server brings for its makers: it uploads the project with whatever key is at hand, and drops every thread."""
BODY_LIMIT = 20 * 1024 * 1024
"""Bytes of a request's body; a longer one is answered with 413."""
UNREADABLE = (ValueError, TypeError, LookupError, AttributeError, OverflowError, RecursionError, OSError)
SERVER_MODULES = ("langgraph_api.", "langgraph_runtime_inmem.", "langgraph.store.memory", "croniter.")

logger = logging.getLogger(__name__)

Headers = list[tuple[bytes, bytes]]


def _values(headers: Headers, name: bytes) -> list[str]:
    return [value.decode("latin-1") for key, value in headers if key == name]


def _is_from_inside(scope: Scope) -> bool:
    """Whether the server calls itself. `root_path` is set by its own transport, never by a request."""
    root = scope.get("root_path") or ""
    return root == "/noauth" or root.startswith("/noauth/")


async def _refuse(
    scope: Scope, receive: Receive, send: Send, status: int, detail: str, headers: dict[str, str] | None = None
) -> None:
    if scope["type"] == "websocket" and "websocket.http.response" not in scope.get("extensions", {}):
        await send({"type": "websocket.close", "code": 1008, "reason": detail[:120]})
        return
    await JSONResponse({"detail": detail}, status, headers)(scope, receive, send)


class CheckedSource:
    """Lets in what names this server as its host and comes from no page or from a known one; answers 403 to the rest."""

    def __init__(self, app: ASGIApp, door: Door) -> None:
        self.app, self.door = app, door

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, self._announcing(send))
            return
        detail = None if _is_from_inside(scope) else self._refusal(scope["headers"])
        if detail is not None:
            await _refuse(scope, receive, send, 403, detail)
        elif any(f"{scope['path']}/".startswith(f"{closed}/") for closed in CLOSED_PATHS):
            await _refuse(scope, receive, send, 404, "`orchestra dev` serves graphs, and not this")
        else:
            await self.app(scope, receive, send)

    def _refusal(self, headers: Headers) -> str | None:
        hosts, origins = _values(headers, b"host"), _values(headers, b"origin")
        if len(hosts) != 1 or not self.door.knows_host(hosts[0]):
            return f"the Host header has to name this server: send requests to {self.door.url}"
        if len(origins) > 1 or (origins and not self.door.knows_origin(origins[0], hosts[0])):
            return (
                "the page that sent this is not known here: start the server with "
                "`orchestra dev --origin <scheme://host:port>` of the page if it may come in"
            )
        return None

    def _announcing(self, send: Send) -> Send:
        async def sending(message: Message) -> None:
            await send(message)
            if message["type"] == "lifespan.startup.complete" and self.door.on_open is not None:
                self.door.on_open()

        return sending


class CheckedToken:
    """Lets in what brings the token; answers 401 to the rest. Nothing behind it sees the token."""

    def __init__(self, app: ASGIApp, door: Door) -> None:
        self.app, self.door = app, door

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on without the token, or refuse it."""
        if self.door.token is None or scope["type"] == "lifespan" or _is_from_inside(scope):
            await self.app(scope, receive, send)
            return
        kept = [header for header in scope["headers"] if not self._brings_token(*header)]
        if len(kept) < len(scope["headers"]):
            await self.app({**scope, "headers": kept}, receive, send)
        elif scope["type"] == "http" and scope["method"] in ("GET", "HEAD") and scope["path"] in OPEN_PATHS:
            await self.app(scope, receive, send)
        else:
            detail = (
                "this server asks for its token, which `orchestra dev` says when it starts: "
                "send it as `Authorization: Bearer <token>` or as `x-api-key: <token>`"
            )
            await _refuse(scope, receive, send, 401, detail, {"www-authenticate": "Bearer"})

    def _brings_token(self, name: bytes, value: bytes) -> bool:
        if name == b"x-api-key":
            return self.door.knows_token(value.strip())
        scheme, _, given = value.partition(b" ")
        return name == b"authorization" and scheme.lower() == b"bearer" and self.door.knows_token(given.strip())


class LimitedBody:
    """Answers 413 to a body over the limit: at once where its length is announced, else when the limit is passed."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        if scope["type"] != "http" or _is_from_inside(scope):
            await self.app(scope, receive, send)
            return
        detail, received = f"a request's body may have {BODY_LIMIT} bytes: send less, or in parts", 0
        announced = [int(each) for each in _values(scope["headers"], b"content-length") if each.isdecimal()]
        if max(announced, default=0) > BODY_LIMIT:
            await _refuse(scope, receive, send, 413, detail)
            return

        async def receiving() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > BODY_LIMIT:
                raise HTTPException(413, detail)
            return message

        await self.app(scope, receiving, send)


class ReadableRequest:
    """Answers 400 to headers and queries that are no text, 422 to values that the server trips over.

    The server checks most of what it is sent, and the rest makes its handlers fail: a missing key, a number where a
    text has to be. Only such errors, and only when the server's own code raised them, are the request's fault. What
    graphs, storage or anything else raises stays an error of the server. The log has the traceback in both cases.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on; answer for the server where it could not read it."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        if not _is_text(scope):
            detail = "headers and query have to be UTF-8, and the path percent-encoded UTF-8"
            await _refuse(scope, receive, send, 400, detail)
            return
        started = False

        async def sending(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                if message["status"] == 501:  # said of routes that the server of a deployment has, and this one has not
                    message = {**message, "status": 404}
            await send(message)

        try:
            await self.app(scope, receive, sending)
        except UNREADABLE as error:
            if started or not _is_of_the_request(error):
                raise
            logger.warning("%s %s could not be read", scope["method"], scope.get("route", "a path"), exc_info=error)
            detail = (
                f"the server cannot use a value of this request ({type(error).__name__}: {str(error)[:200]}); see /docs"
            )
            await _refuse(scope, receive, send, 422, detail)


class ListedThreads:
    """Tells the server of threads that the command began, before it is asked for them, and remembers what clients are shown."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""
        if scope["type"] == "http" and not _is_from_inside(scope):
            await enlist_asked(scope["path"])
            send = _noting(send)
        await self.app(scope, receive, send)


def _noting(send: Send) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.body":
            SHOWING.note(message.get("body", b""))
        await send(message)

    return sending


class ShownRequests:
    """Shows a chat client what a thread asks for as the last message of its conversation; see `with_proposals`."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, and its answer back."""
        if scope["type"] != "http" or not is_chat(scope["path"], _values(scope["headers"], b"origin")):
            await self.app(scope, receive, send)
            return
        start: Message = {}
        body = b""

        async def sending(message: Message) -> None:
            nonlocal start, body
            if message["type"] == "http.response.start":
                start = message
                return
            body += message.get("body", b"")
            if not message.get("more_body"):
                whole = with_proposals(body) if start["status"] == 200 else body
                kept = [(name, value) for name, value in start["headers"] if name.lower() != b"content-length"]
                length = (b"content-length", str(len(whole)).encode())
                await send({**start, "headers": [*kept, length]})
                await send({"type": "http.response.body", "body": whole})

        await self.app(scope, receive, sending)


def _is_text(scope: Scope) -> bool:
    try:
        for part in (scope["query_string"], *(value for _, value in scope["headers"])):
            part.decode()
        scope["path"].encode()
    except UnicodeError:
        return False
    return True


def _is_of_the_request(error: Exception) -> bool:
    """Whether the server's own code, or the standard library below it, tripped over a value."""
    if isinstance(error, OSError):  # a value that was taken for the name of a file, such as a time zone
        return error.errno in (errno.ENAMETOOLONG, errno.EISDIR)
    frame, inner = error.__traceback__, ""
    while frame is not None:
        module = str(frame.tb_frame.f_globals.get("__name__", ""))
        inner = inner if module.partition(".")[0] in sys.stdlib_module_names else module
        frame = frame.tb_next
    return inner.startswith(SERVER_MODULES)


def through(door: Door) -> list[Middleware]:
    """Return the layers of a door, the outermost first."""
    return [
        Middleware(CheckedSource, door=door),
        Middleware(CORSMiddleware, **door.cors(), allow_private_network=True),
        Middleware(CheckedToken, door=door),
        Middleware(LimitedBody),
        Middleware(ReadableRequest),
        Middleware(ListedThreads),
        Middleware(ShownRequests),
    ]
