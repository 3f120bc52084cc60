"""The way to a server: the input and output of a program that is started for it, or requests over HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
from mcp import StdioServerParameters
from mcp.client.stdio import stdio_client
from mcp.client.streamable_http import streamable_http_client

from tools.mcp.last_words import LastWords
from tools.mcp.servers import HttpServer, Server

_READ_TIMEOUT = 3_600.0
"""Seconds a response may take to go on; calls have limits of their own."""


@asynccontextmanager
async def transport_to(server: Server, words: LastWords | None) -> AsyncIterator[tuple[Any, Any]]:
    """Give the streams to read from and write to; a program is ended afterwards.

    Args:
        server: Where to.
        words: What takes down the error output of a program.
    """
    if isinstance(server, HttpServer):
        timeout = httpx.Timeout(30.0, read=_READ_TIMEOUT)
        async with (
            httpx.AsyncClient(headers=dict(server.headers), timeout=timeout) as client,
            streamable_http_client(server.url, http_client=client) as (read, write, _),
        ):
            yield read, write
        return
    started = StdioServerParameters(
        command=server.command,
        args=list(server.args),
        env=dict(server.env),
        cwd=server.cwd,
        encoding_error_handler="replace",
    )
    assert words is not None
    with words.file:
        async with stdio_client(started, words.file) as streams:
            words.file.close()  # the program has it, and we see when that ends
            yield streams
