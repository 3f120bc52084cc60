"""Tools of MCP servers for an agent.

    with open_mcp({"docs": {"command": "python", "args": ["-m", "tools.mcp.server", "handbook"]}}) as mcp:
        agent = Agent("reader", tools=mcp.tools)
        single.build(agent).compile().invoke({"task": "How are sessions closed?"})

In async programs it is `async with`. Each server has one session, kept in an event loop of its own, so the tools work from
`invoke`, `ainvoke` and any event loop, until the `with` ends. They carry rights and marks like any other tool; what they give
was written by somebody outside.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence
from importlib.util import find_spec
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from langchain_core.tools import BaseTool

from state.errors import ConfigurationError
from tools.marks import Right
from tools.mcp.loop import LoopThread
from tools.mcp.servers import Server, check_servers

if TYPE_CHECKING:
    from tools.mcp.marking import Marking
    from tools.mcp.session import Session


def open_mcp(
    servers: Mapping[str, Server | Mapping[str, Any]],
    *,
    prefix: bool = False,
    only: Collection[str] | None = None,
    rights: Mapping[str, Sequence[Right]] | None = None,
    effects: Mapping[str, bool | Sequence[str]] | None = None,
    approve: Collection[str] = (),
    pins: Mapping[str, str] | None = None,
    patience: float = 10.0,
    limit: float = 300.0,
) -> McpTools:
    """Return a context manager, for `with` and for `async with`, that gives the tools of one or several MCP servers.

    All names of tools are those that a model sees: with their prefix, if there is one.

    Args:
        servers: By name: `StdioServer`, `HttpServer`, or a dict as in the JSON files of other MCP clients.
        prefix: Call tools `server_tool`, so that those of several servers do not meet.
        only: The tools to take; all by default.
        rights: What tools need, in place of what their server hints.
        effects: Whether tools change the world, in place of what their server hints: True, False, or the names of the
            arguments that tell two effects apart.
        approve: Tools that a person has to agree to, call by call.
        pins: What each tool was when it was looked at: `pins` of an earlier opening. A tool that is another now, or that has
            none, is refused.
        patience: Seconds for each server to be there and list its tools.
        limit: Seconds for one call. An agent's policy ends a call earlier.

    Raises:
        ConfigurationError: MCP is not installed, or the arguments contradict each other. On entering: a program does not exist,
            two tools have one name, or a tool is not what its pin says.
        ToolServerError: On entering: a server is not there, does not answer in time, or speaks something else.
    """
    if find_spec("mcp") is None or find_spec("langchain_mcp_adapters") is None:
        raise ConfigurationError("open_mcp: MCP is not installed; pip install 'orchestra-agents[mcp]'")
    from tools.mcp.marking import Marking

    if isinstance(only, str):
        raise ConfigurationError(f"only: expected a list of names of tools, got {only!r}")
    for name, seconds in (("patience", patience), ("limit", limit)):
        if not seconds > 0:
            raise ConfigurationError(f"{name}: expected seconds above 0, got {seconds!r}")
    marking = Marking(dict(rights or {}), dict(effects or {}), approve)
    return McpTools(
        check_servers(servers), marking, prefix=prefix, only=only, pins=pins, patience=patience, limit=limit
    )


class McpTools:
    """The tools of MCP servers, while it is open. Made by `open_mcp`."""

    def __init__(
        self,
        servers: Mapping[str, Server],
        marking: Marking,
        *,
        prefix: bool,
        only: Collection[str] | None,
        pins: Mapping[str, str] | None,
        patience: float,
        limit: float,
    ) -> None:
        self.tools: tuple[BaseTool, ...] = ()
        """What an `Agent` takes."""
        self.pins: dict[str, str] = {}
        """SHA-256 of each tool's definition, by name: look at the tools, keep these, and give them to `open_mcp` next time."""
        self._servers, self._marking, self._prefix = servers, marking, prefix
        self._only, self._pins, self._patience, self._limit = only, pins, patience, limit
        self._loop: LoopThread | None = None
        self._sessions: list[Session] = []

    def __enter__(self) -> Self:
        """Connect to all servers; this blocks, so async programs use `async with`."""
        work = self._begin().submit(self._open())
        try:
            work.result()
        except BaseException:
            work.cancel()
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        """Disconnect, and end the programs that were started."""
        self.close()

    async def __aenter__(self) -> Self:
        """Connect to all servers."""
        try:
            await self._begin().run(self._open())
        except BaseException:
            await asyncio.to_thread(self.close)
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Disconnect, and end the programs that were started."""
        await asyncio.to_thread(self.close)

    def close(self) -> None:
        """Disconnect, and end the programs that were started. A second time it does nothing."""
        loop, self._loop = self._loop, None
        if loop is not None:
            try:
                loop.submit(self._close()).result()
            finally:
                loop.close()

    def _begin(self) -> LoopThread:
        if self._loop is not None:
            raise ConfigurationError("open_mcp: these tools are open already; call open_mcp again for more of them")
        self._loop = LoopThread()
        return self._loop

    async def _open(self) -> None:
        from tools.mcp.session import Session

        self._sessions = [
            Session(name, server, patience=self._patience, limit=self._limit) for name, server in self._servers.items()
        ]
        listed = await asyncio.gather(*(session.open() for session in self._sessions), return_exceptions=True)
        for found in listed:
            if isinstance(found, BaseException):
                raise found
        pairs = zip(self._sessions, listed, strict=True)
        offered = [
            (session, tool) for session, found in pairs if not isinstance(found, BaseException) for tool in found
        ]
        self._give(offered)

    def _give(self, offered: list[tuple[Session, Any]]) -> None:
        """Make tools of what the servers offer."""
        from tools.mcp.definition import definition_of, shown_name
        from tools.mcp.tool import tool_of

        assert self._loop is not None
        owners: dict[str, tuple[Session, Any]] = {}
        for session, told in offered:
            name = shown_name(told, session.name, prefix=self._prefix)
            if name in owners:
                both = sorted({owners[name][0].name, session.name})
                advice = "prefix=True tells those of several servers apart" if len(both) > 1 else "its server is broken"
                raise ConfigurationError(f"tool {name}: there are two of that name, of {both}; {advice}")
            owners[name] = (session, told)
        self._check_names(set(owners))
        chosen = [
            (session, definition_of(told, session.name, prefix=self._prefix))
            for name, (session, told) in owners.items()
            if self._only is None or name in self._only
        ]
        pins = {definition.name: definition.pin for _, definition in chosen}
        self._check_pins(pins)
        self.tools = tuple(tool_of(definition, session, self._loop, self._marking) for session, definition in chosen)
        self.pins = pins

    def _check_names(self, known: set[str]) -> None:
        named = {
            "only": set(self._only or ()),
            "pins": set(self._pins or ()),
            "rights, effects, approve": self._marking.names,
        }
        for where, names in named.items():
            if unknown := sorted(names - known):
                raise ConfigurationError(f"{where}: expected names out of {sorted(known)}, got {unknown}")

    def _check_pins(self, pins: Mapping[str, str]) -> None:
        if self._pins is None:
            return
        for name, pin in pins.items():
            if name not in self._pins:
                raise ConfigurationError(f"pins: expected one of {name}, got none; look at the tool, then add {pin!r}")
            if self._pins[name] != pin:
                raise ConfigurationError(
                    f"tool {name}: expected the definition {self._pins[name]!r}, got {pin!r}; its server has changed it: "
                    "look at the tool, then pin it anew"
                )

    async def _close(self) -> None:
        await asyncio.gather(*(session.close() for session in self._sessions), return_exceptions=True)
