"""One worker of a small order service: real requests, a real log, and faults that can be put into it.

Started by `supervisor.py`, which owns the listening socket. Faults come from `run/fault.json`: `leak` takes memory and keeps it,
`hang` takes a lock and keeps it, `disk` writes debug logs until the quota of the data folder is full.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import socket
import statistics
import sys
import threading
import time
from collections import deque
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

TICK = 0.02
"""Seconds between two looks at the fault, the memory and the supervisor."""
WINDOW = 1.0
"""Seconds of waits for a free thread that count."""
FEWEST = 5
"""Requests in that time below which nothing can be said of their waits."""
WRONG_CONFIGURATION = 78
"""Exit code; EX_CONFIG of sysexits.h."""
NUMBERS = ("threads", "work_ms", "queue_wait_limit_ms", "memory_limit_mb", "data_quota_kb")


def log(folder: Path, level: str, who: str, text: str) -> None:
    """Append a line to the log; several processes do."""
    now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    with open(folder / "logs" / "service.log", "a", encoding="utf-8") as file:
        file.write(f"{now} {level} {who} {text}\n")


def read_config(path: Path) -> dict[str, Any]:
    """Read a configuration.

    Raises:
        ValueError: A value is not what it has to be.
    """
    config: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    for name in NUMBERS:
        if not isinstance(config.get(name), int):
            raise ValueError(f"configs/{path.name}: {name}: expected a whole number, got {config.get(name)!r}")
    return config


def memory_mb() -> float:
    """Return the memory that the process has in use now."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 2**20
    except OSError:  # no Linux: the most it ever had
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


class Worker:
    """The service in one process."""

    def __init__(self, folder: Path, number: int, generation: int, version: str) -> None:
        self.folder, self.name, self.generation = folder, f"worker-{number}", generation
        self.config = read_config(folder / "configs" / f"{version}.json")
        self.parent, self.started = os.getppid(), time.time()
        self.orders = threading.Lock()
        self.hoard: list[bytes] = []
        self.waits: deque[tuple[float, float]] = deque(maxlen=200)
        self.requests = self.errors = self.debug_files = 0
        self.read_only = ""
        self.said: dict[str, float] = {}
        self.shared: list[str] = []

    def log(self, level: str, text: str, *, every: float = 1.0) -> None:
        """Write a line; the same kind of line at most once in a while."""
        kind = text.split(":")[0].rstrip("0123456789. ")[:20]
        if time.monotonic() - self.said.get(kind, -every) >= every:
            self.said[kind] = time.monotonic()
            log(self.folder, level, self.name, text)

    # What it does

    def work(self) -> str:
        """Take an order: some work, and a line in the data folder."""
        time.sleep(self.config["work_ms"] / 1000)
        with self.orders:
            self.store("orders.log", b"order taken\n")
        return "taken"

    def store(self, name: str, data: bytes) -> None:
        """Append to a file of the data folder, which has a quota."""
        if self.read_only:
            raise OSError(errno.EROFS, self.read_only)
        if self.data_kb() * 1024 + len(data) > self.config["data_quota_kb"] * 1024:
            full = OSError(errno.EDQUOT, os.strerror(errno.EDQUOT), f"data/{name}")
            self.read_only = f"data is read-only until a restart: {full}"
            self.log("ERROR", self.read_only)
            raise full
        with open(self.folder / "data" / name, "ab") as file:
            file.write(data)

    def data_kb(self) -> float:
        """Return how much is in the data folder."""
        return sum(entry.stat().st_size for entry in os.scandir(self.folder / "data")) / 1024

    # How it is

    def queue_wait_ms(self) -> float:
        """Return how long requests have waited for a free thread lately, the median."""
        since = time.monotonic() - WINDOW
        recent = [wait for at, wait in list(self.waits) if at >= since]
        return statistics.median(recent) if len(recent) >= FEWEST else 0.0

    def reasons(self) -> list[str]:
        """Return what is wrong."""
        found, limit = [], self.config["memory_limit_mb"]
        if (used := memory_mb()) > limit:
            found.append(f"memory: {used:.0f} MB in use, limit {limit} MB")
        if self.read_only:
            found.append(self.read_only)
        if (wait := self.queue_wait_ms()) > (most := self.config["queue_wait_limit_ms"]):
            found.append(f"queue: requests wait {wait:.0f} ms for a free thread, limit {most} ms")
        return found

    def share(self) -> None:
        """Let the other workers know how this one is."""
        now = self.reasons()
        if now != self.shared:
            draft = self.folder / "run" / f".{self.name}.state"
            draft.write_text(json.dumps(now), encoding="utf-8")
            os.replace(draft, draft.with_name(f"{self.name}.state"))
            self.shared = now

    def others(self) -> list[str]:
        """Return what is wrong with the other workers: whoever asks gets any of them, and means all."""
        found = []
        for path in sorted((self.folder / "run").glob("worker-*.state")):
            if path.stem != self.name:
                with contextlib.suppress(OSError, ValueError):
                    found += [f"{reason} ({path.stem})" for reason in json.loads(path.read_text(encoding="utf-8"))]
        return found

    def health(self) -> tuple[int, str]:
        """Return status code and body."""
        while not self.orders.acquire(timeout=0.3):
            self.log("ERROR", "lock: a request has waited 0.3 s for the lock of the orders, and goes on waiting")
        self.orders.release()
        reasons = [*self.reasons(), *self.others()]
        told = {"status": "degraded" if reasons else "ok", "reasons": reasons, "worker": self.name, "pid": os.getpid()}
        return (503 if reasons else 200), json.dumps({**told, "version": self.config["version"]})

    def metrics(self) -> str:
        """Return figures, one a line."""
        figures = {
            "memory_mb": memory_mb(),
            "memory_limit_mb": self.config["memory_limit_mb"],
            "data_kb": self.data_kb(),
            "data_quota_kb": self.config["data_quota_kb"],
            "queue_wait_ms": self.queue_wait_ms(),
            "queue_wait_limit_ms": self.config["queue_wait_limit_ms"],
            "work_ms": self.config["work_ms"],
            "threads": self.config["threads"],
            "requests_total": self.requests,
            "errors_total": self.errors,
            "uptime_seconds": time.time() - self.started,
        }
        return "".join(f"{name} {value:.1f}\n" for name, value in figures.items())

    # What goes wrong with it

    def tick(self) -> None:
        """Do what the fault says, and say what is wrong; end when the supervisor is gone."""
        if os.getppid() != self.parent:
            os._exit(0)
        for reason in self.reasons():
            self.log("WARN", reason)
        self.share()
        try:
            fault = json.loads((self.folder / "run" / "fault.json").read_text())
        except (OSError, ValueError):
            return
        if fault["generation"] not in (self.generation, "*"):
            return
        if fault["name"] == "leak" and memory_mb() < self.config["memory_limit_mb"] + 16:
            self.hoard.append(b"x" * 8 * 2**20)
        elif fault["name"] == "hang" and not self.orders.locked():
            self.orders.acquire()
        elif fault["name"] == "disk" and not self.read_only:
            self.debug_files += 1
            try:
                self.store(f"debug-{self.debug_files}.log", b"DEBUG order taken\n" * 2048)
            except OSError:
                self.errors += 1

    def ticking(self) -> None:
        """Tick until the process ends."""
        while True:
            self.tick()
            time.sleep(TICK)

    def serve(self, listener: socket.socket) -> None:
        """Take one request after another; what no thread is free for waits in the listener's queue."""
        while True:
            connection, address = listener.accept()
            connection.settimeout(5)
            try:
                handler = type("Handler", (Handler,), {"worker": self})
                handler(connection, address, None)
            except OSError:
                pass  # whoever asked is gone
            finally:
                connection.close()


class Handler(BaseHTTPRequestHandler):
    """One request."""

    worker: Worker

    def do_GET(self) -> None:
        """Answer."""
        worker, path = self.worker, self.path.partition("?")[0]
        worker.requests += 1
        if sent := self.headers.get("X-Request-Start"):
            worker.waits.append((time.monotonic(), max(0.0, time.time() - float(sent)) * 1000))
        status = 200
        try:
            if path == "/health":
                status, body = worker.health()
            elif path == "/metrics":
                body = worker.metrics()
            elif path == "/work":
                body = worker.work()
            else:
                status, body = 404, "no such page"
        except OSError as error:
            worker.errors += 1
            status, body = 507, str(error)
        self.send_response(status)
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, format: str, *args: Any) -> None:
        """Write no line for each request."""


def main(folder: Path, number: int, generation: int, version: str, descriptor: int) -> None:
    """Serve until killed."""
    try:
        worker = Worker(folder, number, generation, version)
    except ValueError as error:
        log(folder, "FATAL", f"worker-{number}", f"configuration: {error}")
        sys.exit(WRONG_CONFIGURATION)
    if worker.data_kb() + 4 > worker.config["data_quota_kb"]:
        worker.read_only = (
            f"data is read-only until a restart: {worker.data_kb():.0f} KB of {worker.config['data_quota_kb']} KB"
        )
        worker.log("ERROR", worker.read_only)
    listener = socket.socket(fileno=descriptor)
    for _ in range(worker.config["threads"]):
        threading.Thread(target=worker.serve, args=(listener,), daemon=True).start()
    log(folder, "INFO", worker.name, f"started: version {version}, pid {os.getpid()}")
    (folder / "run" / f"{worker.name}.ready").write_text(str(os.getpid()))
    worker.ticking()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), sys.argv[4], int(sys.argv[5]))
