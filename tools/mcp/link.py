"""One connection with a server, from start to end. It lives in one task, as its protocol demands, and never starts again."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import httpx
from anyio import BrokenResourceError, ClosedResourceError
from mcp import ClientSession, McpError
from mcp.types import (
    CONNECTION_CLOSED,
    INVALID_PARAMS,
    INVALID_REQUEST,
    METHOD_NOT_FOUND,
    CallToolResult,
    CancelledNotification,
    CancelledNotificationParams,
    ClientNotification,
    Implementation,
    PaginatedRequestParams,
    ServerNotification,
    Tool,
    ToolListChangedNotification,
)
from pydantic import ValidationError

from state.errors import ConfigurationError
from tools.mcp.definition import clean
from tools.mcp.failure import NothingSent, ToolServerError
from tools.mcp.last_words import LastWords
from tools.mcp.servers import Server, StdioServer
from tools.mcp.transport import transport_to

_REFUSED = frozenset({INVALID_PARAMS, INVALID_REQUEST, METHOD_NOT_FOUND})
_SESSION_GONE = 32600
"""What the SDK makes of HTTP 404: the server does not know the session any more."""
_MOST_PAGES, _MOST_TOOLS = 100, 1_000
_FAREWELL = 2.0
"""Seconds for telling a server that a call is cancelled."""


class Gone(NothingSent):
    """The connection had ended before the call: on another one it can be made."""


class Lost(ToolServerError):
    """The connection ended during the call."""


class Link:
    """A connection with a server.

    Args:
        name: Of the server.
        server: Where it is.
    """

    def __init__(self, name: str, server: Server) -> None:
        self.name, self.server = name, server
        self.changed = False
        """Whether the server has said that its tools are others now."""
        self._session: ClientSession | None = None
        self._task: asyncio.Task[None] | None = None
        self._leave = asyncio.Event()
        self._strange, self._calls = "", 0
        self._words = LastWords() if isinstance(server, StdioServer) else None
        self._farewells: set[asyncio.Task[None]] = set()

    @property
    def ended(self) -> bool:
        """Whether nothing can be asked any more."""
        return self._task is None or self._task.done() or self._leave.is_set()

    async def open(self, patience: float) -> list[Tool]:
        """Connect within so many seconds, and return the server's tools.

        Raises:
            ConfigurationError: There is no such program.
            ToolServerError: It is not there, does not answer in time, or speaks something else.
        """
        opened: asyncio.Future[list[Tool]] = asyncio.get_running_loop().create_future()
        self._task = asyncio.create_task(self._keep(opened), name=f"mcp {self.name}")
        self._task.add_done_callback(self._after)
        both: tuple[asyncio.Future[Any], ...] = (opened, self._task)
        try:
            done, _ = await asyncio.wait(both, timeout=patience, return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            self._task.cancel()
            raise
        if opened.done():
            return opened.result()
        self._task.cancel()
        await asyncio.wait({self._task}, timeout=_FAREWELL)  # a program that does not go by itself is killed after it
        raise await self._why(f"did not answer within {patience:g} s" if not done else "ended at once")

    async def list_tools(self) -> list[Tool]:
        """Ask the server for its tools."""
        assert self._session is not None
        return await _all_tools(self._session, self.name)

    async def call(self, tool: str, arguments: dict[str, Any]) -> CallToolResult:
        """Call a tool. When the wait is cancelled, the server is told so, and the connection stays of use.

        Raises:
            Gone: The connection had ended; nothing was sent.
            NothingSent: The server refused the call.
            Lost: The connection ended before there was a result.
            ToolServerError: What came was no result.
        """
        assert self._task is not None
        asking = asyncio.create_task(self._ask(tool, arguments))
        asking.add_done_callback(_retrieved)
        self._calls += 1
        try:
            await asyncio.wait({asking, self._task}, return_when=asyncio.FIRST_COMPLETED)
            if not asking.done():
                if self._calls == 1 and self._was_refused():
                    raise Gone(await self._said())
                raise await self._lost(tool)
            return asking.result()
        except McpError as error:
            raise await self._of(error, tool) from None
        except (ClosedResourceError, BrokenResourceError):
            raise Gone(await self._said()) from None
        except (ValidationError, RuntimeError) as error:
            about = clean(str(error).splitlines()[0], 200)
            raise ToolServerError(f"{self._who}: what {tool} gave is no result that it promised: {about}") from None
        finally:
            self._calls -= 1
            asking.cancel()

    async def close(self) -> None:
        """End the connection, and the program if we started it."""
        self._leave.set()
        if self._task is not None:
            await asyncio.wait({self._task}, timeout=_FAREWELL * 3)

    @property
    def _who(self) -> str:
        return f"MCP server {self.name}, {self.server.place}"

    async def _keep(self, opened: asyncio.Future[list[Tool]]) -> None:
        us = Implementation(name="orchestra-agents", version=_version())
        async with (
            transport_to(self.server, self._words) as (read, write),
            ClientSession(read, write, message_handler=self._hear, client_info=us) as session,
        ):
            await session.initialize()
            self._session = session
            tools = await _all_tools(session, self.name)
            if not opened.done():
                opened.set_result(tools)
            await self._leave.wait()

    async def _ask(self, tool: str, arguments: dict[str, Any]) -> CallToolResult:
        assert self._session is not None
        number = self._session._request_id  # nothing public tells a request's number, and nothing runs in between
        try:
            return await self._session.call_tool(tool, arguments)
        except asyncio.CancelledError:
            if not self.ended:
                farewell = asyncio.create_task(self._cancel(number))
                self._farewells.add(farewell)
                farewell.add_done_callback(self._farewells.discard)
            raise

    async def _cancel(self, number: int) -> None:
        assert self._session is not None
        params = CancelledNotificationParams(requestId=number, reason="not waited for any more")
        with suppress(TimeoutError, ClosedResourceError, BrokenResourceError):
            async with asyncio.timeout(_FAREWELL):
                await self._session.send_notification(ClientNotification(CancelledNotification(params=params)))

    async def _hear(self, message: Any) -> None:
        if isinstance(message, ServerNotification) and isinstance(message.root, ToolListChangedNotification):
            self.changed = True
        elif isinstance(message, ValidationError):  # the SDK's word for a line that is no message
            self._strange = str(message.errors()[0].get("input", ""))

    async def _of(self, error: McpError, tool: str) -> ToolServerError:
        code, said = error.error.code, clean(error.error.message, 500)
        if code == CONNECTION_CLOSED:
            return await self._lost(tool)
        if code == _SESSION_GONE:
            return Gone(f"{self._who}: the session has ended")
        if code in _REFUSED:
            return NothingSent(f"{self._who} refused the call of {tool}: {said}")
        return ToolServerError(f"{self._who} answered the call of {tool} with an error: {said}")

    async def _lost(self, tool: str) -> Lost:
        return Lost(f"{await self._said()}; it is not known whether {tool} was carried out")

    async def _said(self) -> str:
        return str(await self._why("ended the connection"))

    async def _why(self, what: str) -> Exception:
        """Return what to raise when the connection could not be made, or has ended."""
        for error in _leaves(self._end()):
            if isinstance(error, OSError) and isinstance(self.server, StdioServer):
                reason = "there is no such program" if isinstance(error, FileNotFoundError) else "it cannot be started"
                return ConfigurationError(f"{self._who}: {reason}; install it, or give its full path as command")
            if isinstance(error, httpx.HTTPStatusError):
                return ToolServerError(f"{self._who} answered HTTP {error.response.status_code}{_advice(error)}")
            if isinstance(error, httpx.TransportError | httpx.InvalidURL):
                return ToolServerError(f"{self._who} cannot be reached ({type(error).__name__}); is it running?")
            if isinstance(error, McpError) and error.error.code != CONNECTION_CLOSED:
                said = "no such endpoint" if error.error.code == _SESSION_GONE else clean(error.error.message, 300)
                return ToolServerError(f"{self._who}: {said}")
            if isinstance(error, ToolServerError | ConfigurationError):
                return error
            if isinstance(error, RuntimeError | ValidationError):
                return ToolServerError(f"{self._who} speaks something else than MCP: {clean(str(error), 300)}")
        strange = f"; it wrote what is no MCP message: {clean(self._strange, 200)!r}" if self._strange else ""
        return ToolServerError(f"{self._who} {what}{strange}{await self._last_words()}")

    def _after(self, task: asyncio.Task[None]) -> None:
        if self._words is not None:
            self._words.file.close()
        _retrieved(task)

    def _end(self) -> BaseException | None:
        task = self._task
        return task.exception() if task is not None and task.done() and not task.cancelled() else None

    def _was_refused(self) -> bool:
        """Whether the connection ended because it could not even be made, or was turned away."""
        return any(
            isinstance(error, httpx.ConnectError | httpx.ConnectTimeout)
            or (isinstance(error, httpx.HTTPStatusError) and error.response.status_code < 500)
            for error in _leaves(self._end())
        )

    async def _last_words(self) -> str:
        if self._words is None:
            return ""
        words = clean(await asyncio.to_thread(self._words.text, 0.3), 300)
        return f"; its last words: {words!r}" if words else ""


async def _all_tools(session: ClientSession, name: str) -> list[Tool]:
    found: list[Tool] = []
    capabilities = session.get_server_capabilities()
    if capabilities is not None and capabilities.tools is None:
        return found
    cursor: str | None = None
    for _ in range(_MOST_PAGES):
        page = await session.list_tools(params=PaginatedRequestParams(cursor=cursor) if cursor else None)
        found += page.tools
        cursor = page.nextCursor
        if len(found) > _MOST_TOOLS:
            break
        if not cursor:
            return found
    raise ToolServerError(f"MCP server {name} lists more than {_MOST_TOOLS} tools or {_MOST_PAGES} pages; it was left")


def _advice(error: httpx.HTTPStatusError) -> str:
    return "; it wants an authorization in headers" if error.response.status_code in (401, 403) else ""


def _leaves(error: BaseException | None) -> list[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        return [leaf for one in error.exceptions for leaf in _leaves(one)]
    return [error] if error is not None else []


def _retrieved(task: asyncio.Task[Any]) -> None:
    """Look at a task's error, so that nobody is warned that no one did."""
    if not task.cancelled():
        task.exception()


def _version() -> str:
    try:
        return version("orchestra-agents")
    except PackageNotFoundError:
        return "0"
