"""A kept session with one server: connected once, connected again when the server has died, and wary of changed tools."""

from __future__ import annotations

import asyncio
from typing import Any

from anyio import BrokenResourceError, ClosedResourceError
from mcp import McpError
from mcp.types import CallToolResult, Tool

from state.errors import ConfigurationError
from tools.mcp.definition import pin_of
from tools.mcp.failure import NothingSent, ToolServerError
from tools.mcp.link import Gone, Link, Lost
from tools.mcp.servers import Server


class Session:
    """Calls the tools of a server, from its own event loop only.

    Args:
        name: Of the server.
        server: Where it is.
        patience: Seconds to connect in, and to list the tools.
        limit: Seconds for one call; whoever calls may give up earlier.
    """

    def __init__(self, name: str, server: Server, *, patience: float, limit: float) -> None:
        self.name, self._server, self._patience, self._limit = name, server, patience, limit
        self._link: Link | None = None
        self._approved: dict[str, str] = {}
        self._now: dict[str, str] = {}
        self._connecting = asyncio.Lock()

    async def open(self) -> list[Tool]:
        """Connect, and return the tools. What they are now is what they must stay.

        Raises:
            ConfigurationError: There is no such program.
            ToolServerError: The server is not there, does not answer in time, or speaks something else.
        """
        tools = await self._connect()
        self._approved = dict(self._now)
        return tools

    async def call(self, tool: str, arguments: dict[str, Any], *, repeatable: bool) -> CallToolResult:
        """Call a tool; on a new connection if the old one has ended.

        Args:
            tool: Its name on the server.
            arguments: What it is called with.
            repeatable: Whether it is called once more when the connection ended during the call.

        Raises:
            NothingSent: It was not called: the server is gone, refused, or has changed what the tool is.
            ToolServerError: It is not known whether the call was carried out.
        """
        try:
            async with asyncio.timeout(self._limit) as timer:
                return await self._call(tool, arguments, repeatable)
        except TimeoutError:
            if not timer.expired():
                raise
            raise ToolServerError(f"MCP server {self.name}: {tool} gave no result within {self._limit:g} s") from None

    async def close(self) -> None:
        """End the connection."""
        if self._link is not None:
            await self._link.close()

    async def _call(self, tool: str, arguments: dict[str, Any], repeatable: bool) -> CallToolResult:
        link = await self._alive()
        self._check(tool)
        try:
            return await link.call(tool, arguments)
        except (Gone, Lost) as ended:
            await self._leave(link)
            if isinstance(ended, Lost) and not repeatable:
                raise
        link = await self._alive()
        self._check(tool)
        try:
            return await link.call(tool, arguments)
        except (Gone, Lost):
            await self._leave(link)
            raise

    async def _alive(self) -> Link:
        """Return a connection that has not ended, as far as is known."""
        async with self._connecting:
            if self._link is None or self._link.ended:
                try:
                    await self._connect()
                except (ToolServerError, ConfigurationError) as error:
                    raise NothingSent(str(error)) from None
            elif self._link.changed:
                await self._look_again(self._link)
            assert self._link is not None
            return self._link

    async def _look_again(self, link: Link) -> None:
        link.changed = False
        try:
            async with asyncio.timeout(self._patience):
                self._note(await link.list_tools())
        except (TimeoutError, McpError, ToolServerError, ClosedResourceError, BrokenResourceError):
            link.changed = True
            said = f"MCP server {self.name} said that its tools have changed, and does not list them; it was not called"
            raise NothingSent(said) from None

    async def _connect(self) -> list[Tool]:
        link = Link(self.name, self._server)
        tools = await link.open(self._patience)
        self._link = link
        self._note(tools)
        return tools

    async def _leave(self, link: Link) -> None:
        if self._link is link:
            self._link = None
        await link.close()

    def _note(self, tools: list[Tool]) -> None:
        self._now = {tool.name: pin_of(tool) for tool in tools}

    def _check(self, tool: str) -> None:
        if self._now.get(tool) != self._approved.get(tool):
            how = "changed what it says of" if tool in self._now else "no longer has"
            raise NothingSent(
                f"Not called: MCP server {self.name} {how} {tool} since it was opened. "
                "A person has to look at it and open the server again."
            )
