"""MCP: `open_mcp` gives an agent the tools of other programs, `python -m tools.mcp.server` gives other programs our corpus."""

from __future__ import annotations

from typing import TYPE_CHECKING

from state.lazily import exported

if TYPE_CHECKING:
    from tools.mcp.client import McpTools as McpTools
    from tools.mcp.client import open_mcp as open_mcp
    from tools.mcp.failure import ToolServerError as ToolServerError
    from tools.mcp.servers import HttpServer as HttpServer
    from tools.mcp.servers import StdioServer as StdioServer

_HOME = {
    "HttpServer": "servers",
    "McpTools": "client",
    "StdioServer": "servers",
    "ToolServerError": "failure",
    "open_mcp": "client",
}

__getattr__, __dir__ = exported(__name__, _HOME)
