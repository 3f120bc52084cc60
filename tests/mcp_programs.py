"""Servers for the tests of MCP: the rude one, through its input and output or over HTTP, and ours."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from langchain_core.tools import BaseTool

from tools.mcp import HttpServer, McpTools, StdioServer

RUDE = str(Path(__file__).with_name("mcp_server.py"))
ROOT = str(Path(__file__).resolve().parent.parent)
LET_ME_IN = {"Authorization": "Bearer let-me-in"}


def rude(folder: Path, *ways: str, **env: str) -> dict[str, Any]:
    """Return the rude server, to be started."""
    return {"rude": StdioServer(sys.executable, [RUDE, str(folder), *ways], env)}


@contextmanager
def running(folder: Path, port: int = 0) -> Iterator[HttpServer]:
    """Run the rude server over HTTP."""
    command = [sys.executable, RUDE, str(folder), "--http", str(port)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield HttpServer(f"http://127.0.0.1:{int(process.stdout.readline())}/mcp", LET_ME_IN)
        finally:
            process.kill()


@contextmanager
def ours(folder: Path, **env: str) -> Iterator[str]:
    """Run our own server over HTTP; gives its address."""
    command = [sys.executable, "-m", "tools.mcp.server", "--http", "0", str(folder)]
    environment = {**os.environ, "PYTHONPATH": ROOT, **env}
    with subprocess.Popen(command, cwd=folder.parent, env=environment, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr is not None
            address = process.stderr.readline().strip()
            assert address.startswith("http://127.0.0.1:"), address + process.stderr.read()
            yield address
        finally:
            process.terminate()


def named(mcp: McpTools) -> dict[str, BaseTool]:
    return {tool.name: tool for tool in mcp.tools}


def lines(folder: Path, name: str) -> list[str]:
    file = folder / name
    return file.read_text().splitlines() if file.exists() else []
