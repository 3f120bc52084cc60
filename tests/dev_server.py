"""`orchestra dev` as a process of its own, for the tests that drive it."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest
from langgraph_sdk import get_sync_client
from langgraph_sdk.client import SyncLangGraphClient

ROOT = Path(__file__).resolve().parent.parent
START_LIMIT = 120.0
"""Seconds that a server may take to start on a machine that is busy with other things."""
STOP_LIMIT = 30.0


class Server(NamedTuple):
    """A running server: its process, the folder it runs in, what it printed, and what it asks for."""

    process: subprocess.Popen[bytes]
    folder: Path
    log: Path
    url: str
    token: str
    client: SyncLangGraphClient
    http: httpx.Client

    def text(self) -> str:
        return self.log.read_text(encoding="utf-8", errors="replace")

    def ask(self, method: str, path: str, **more: Any) -> httpx.Response:
        """Send a request without a token, unless its headers have one."""
        return self.http.request(method, path, **more)

    def known(self, **headers: str) -> dict[str, str]:
        return {"x-api-key": self.token, **headers}


def environment(**more: str) -> dict[str, str]:
    """Return an environment in which nothing is configured and nothing calls home."""
    hidden = ("OPENAI_", "ORCHESTRA_", "LANGSMITH_", "LANGCHAIN_", "LANGGRAPH_", "LANGSERVE_", "LOG_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(hidden)}
    return {**kept, "ORCHESTRA_OFFLINE": "1", "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1", **more}


def started(folder: Path, *options: str, **more: str) -> Server:
    """Start `orchestra dev` in a folder and wait until it says where it is; `more` goes to its environment."""
    log = folder / "server.log"
    line = [sys.executable, "-m", "orchestra", "dev", *options]
    with log.open("w", encoding="utf-8") as out:
        process = subprocess.Popen(line, cwd=folder, env=environment(**more), stdout=out, stderr=subprocess.STDOUT)
    tries = 0
    while "Ctrl-C stops." not in log.read_text(encoding="utf-8"):
        tries += 1
        try:
            process.wait(timeout=0.1)
        except subprocess.TimeoutExpired:
            if tries < START_LIMIT / 0.1:
                continue
            process.kill()
        pytest.fail(f"the server did not start:\n{log.read_text(encoding='utf-8')[-4000:]}")
    said = dict(re.findall(r"^  (Server|Token) +(.*?)(?:   .*)?$", log.read_text(encoding="utf-8"), re.MULTILINE))
    token = more.get("ORCHESTRA_TOKEN") or str(said["Token"])
    http = httpx.Client(base_url=said["Server"], transport=httpx.HTTPTransport(retries=5, verify=False), timeout=30)
    http.get("/ok")
    client = get_sync_client(url=said["Server"], api_key=token)
    return Server(process, folder, log, said["Server"], token, client, http)


def stopped(server: Server, number: signal.Signals = signal.SIGTERM) -> int:
    """Stop a server, by force if it does not end, and return its exit code."""
    server.client.http.client.close()
    server.http.close()
    if server.process.poll() is None:
        server.process.send_signal(number)
    try:
        return server.process.wait(timeout=STOP_LIMIT)
    finally:
        if server.process.poll() is None:
            server.process.kill()
            server.process.wait()


def free_port() -> int:
    """Return a port of this machine that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
