"""MCP servers that team files name: opened when a graph is built, once for all that name the same, closed with the program."""

from __future__ import annotations

import atexit
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from threading import Lock
from typing import Any

from langchain_core.tools import BaseTool

from orchestra.teamfile.toolsets import McpTools
from state.errors import ConfigurationError

_open: dict[str, Any] = {}
_guard = Lock()


def open_server(name: str, settings: McpTools, folder: Path) -> Sequence[BaseTool]:
    """Return the tools of a server, which is started or connected to unless it is open already.

    Args:
        name: What the file calls it.
        settings: Where it is.
        folder: That its path begins in.

    Raises:
        ConfigurationError: MCP is not installed, a variable is not set, or the program does not exist.
        ToolServerError: The server is not there, or does not answer in time.
    """
    from tools.mcp.client import open_mcp
    from tools.mcp.servers import HttpServer, StdioServer

    server: StdioServer | HttpServer
    if settings.command is not None:
        cwd = folder / settings.cwd if settings.cwd is not None else folder
        command = settings.command if "/" not in settings.command else str(folder / settings.command)
        server = StdioServer(command, settings.args, env=_values(name, settings.env), cwd=cwd)
    else:
        server = HttpServer(settings.url or "", headers=_values(name, settings.headers))
    key = f"{name} {folder} {settings.model_dump_json()}"
    with _guard:
        if key not in _open:
            if not _open:
                atexit.register(close_servers)
            _open[key] = open_mcp({name: server}).__enter__()
        tools: Sequence[BaseTool] = _open[key].tools
        return tools


def close_servers() -> None:
    """Close every server of this process that a team file had opened."""
    with _guard:
        while _open:
            _open.popitem()[1].close()


def _values(name: str, given: Mapping[str, str]) -> dict[str, str]:
    """Return what environment variables hold, in the place of their names."""
    values: dict[str, str] = {}
    for key, reference in given.items():
        variable = reference[2:-1]
        if variable not in os.environ:
            raise ConfigurationError(f"tools.{name}: expected {variable} in the environment for {key!r}; set it")
        values[key] = os.environ[variable]
    return values
