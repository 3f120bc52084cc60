"""A local server that takes traces the way LangSmith does, and keeps them.

with langsmith_server() as traces:
    ...  # with LANGSMITH_ENDPOINT=traces.url and LANGSMITH_TRACING=true
    traces.runs
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

_LIMITS = {
    "use_multipart_endpoint": False,
    "size_limit": 100,
    "size_limit_bytes": 20_000_000,
    "scale_up_qsize_trigger": 1000,
    "scale_up_nthreads_limit": 16,
    "scale_down_nempty_trigger": 4,
}
_INFO = {"batch_ingest_config": _LIMITS}
"""What a client asks first: here, to be sent plain JSON."""


@dataclass
class Traces:
    """What was sent.

    Args:
        url: To send to.
    """

    url: str
    runs: dict[str, dict[str, Any]] = field(default_factory=dict)
    """By id, with what was sent later put into what was sent first."""
    raw: list[bytes] = field(default_factory=list)

    def named(self, name: str) -> dict[str, Any]:
        """Return the only run of a name."""
        (found,) = (run for run in self.runs.values() if run["name"] == name)
        return found

    def above(self, run: dict[str, Any]) -> list[str]:
        """Return the names of the runs that a run is within, the nearest first."""
        names = []
        while run.get("parent_run_id"):
            run = self.runs[run["parent_run_id"]]
            names.append(run["name"])
        return names

    def metadata(self, run: dict[str, Any]) -> dict[str, Any]:
        """Return what is known of a run besides its input and output."""
        return (run.get("extra") or {}).get("metadata") or {}


@contextmanager
def langsmith_server() -> Iterator[Traces]:
    """Serve on a free port of this machine."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer(200, json.dumps(_INFO).encode())

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            traces.raw.append(body)
            told = json.loads(body)
            for run in [*told.get("post", ()), *told.get("patch", ())]:
                kept = traces.runs.setdefault(run["id"], {})
                kept.update({key: value for key, value in run.items() if value is not None})
            self._answer(202, b"{}")

        def _answer(self, status: int, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    traces = Traces(f"http://127.0.0.1:{server.server_address[1]}")
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield traces
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
