"""The supervisor of the order service: it keeps workers running, and carries commands out, one after another.

It is asked by a file in `spool/` and answers by one in `done/`, both named by the command's id: the same id is carried out
once, and what became of it can be asked for later. It ends by itself when nobody has asked for anything for a while.
`control.py` starts it.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import service  # type: ignore[import-not-found,unused-ignore]  # it lies beside this file

TICK = 0.02
PATIENCE = 15.0
"""Seconds that a command may take."""
STARTS = 3
"""Times that a worker which ends by itself is started."""
CLIENTS = 8
"""Requests at a time that make the load."""


def write(path: Path, value: Any) -> None:
    """Write JSON so that a reader sees all of it or nothing."""
    draft = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}")
    draft.write_text(json.dumps(value), encoding="utf-8")
    os.replace(draft, path)


def read(path: Path) -> Any:
    """Read JSON; None where there is nothing."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


class Supervisor:
    """Keeps workers running, and carries out commands."""

    def __init__(self, folder: Path, port: int, lifetime: float) -> None:
        self.folder, self.lifetime, self.last = folder, lifetime, time.monotonic()
        self.version, self.previous, self.generation, self.wanted = "v1", "v1", 1, 1
        self.workers: dict[int, subprocess.Popen[bytes]] = {}
        self.starts: dict[int, int] = {}
        self.ended: dict[int, int] = {}
        self.load: subprocess.Popen[bytes] | None = None
        self.listener = socket.create_server(("127.0.0.1", port), backlog=64)
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        self.going, self.beat = True, 0.0

    def log(self, level: str, text: str) -> None:
        """Write a line to the service's log."""
        service.log(self.folder, level, "supervisor", text)

    # Workers

    def start(self, number: int) -> None:
        """Start a worker."""
        self.ended.pop(number, None)
        self.forget(number)
        self.starts[number] = self.starts.get(number, 0) + 1
        descriptor = self.listener.fileno()
        script = Path(__file__).resolve().with_name("service.py")
        given = [str(self.folder), str(number), str(self.generation), self.version, str(descriptor)]
        with open(self.folder / "logs" / "stderr.log", "ab") as errors:
            self.workers[number] = subprocess.Popen(
                [sys.executable, str(script), *given],
                pass_fds=[descriptor],
                stdin=subprocess.DEVNULL,
                stdout=errors,
                stderr=errors,
            )

    def stop(self, number: int) -> None:
        """End a worker, which may hang."""
        self.ended.pop(number, None)
        if worker := self.workers.pop(number, None):
            worker.kill()
            worker.wait()
        self.forget(number)

    def forget(self, number: int) -> None:
        """Remove what a worker has written down about itself."""
        for what in ("ready", "state"):
            (self.folder / "run" / f"worker-{number}.{what}").unlink(missing_ok=True)

    def restart(self) -> str:
        """Start all workers again."""
        for number in [*self.workers, *self.ended]:
            self.stop(number)
        self.starts, self.generation = {}, self.generation + 1
        for number in range(1, self.wanted + 1):
            self.start(number)
        return self.settle(f"restarted with version {self.version}")

    def settle(self, what: str) -> str:
        """Wait until each worker is ready or given up; say how it went."""
        until = time.monotonic() + PATIENCE / 2
        while time.monotonic() < until and not all(map(self.is_settled, range(1, self.wanted + 1))):
            self.reap()
            self.tell()
            time.sleep(TICK)
        return f"{what}: {len(self.workers)} of {self.wanted} workers run"

    def is_settled(self, number: int) -> bool:
        """Whether a worker serves, or is given up."""
        return number in self.ended or (self.folder / "run" / f"worker-{number}.ready").exists()

    def reap(self) -> None:
        """Start workers again that ended by themselves, a few times."""
        for number, worker in list(self.workers.items()):
            if (code := worker.poll()) is None:
                continue
            if self.starts[number] < STARTS:
                self.log(
                    "ERROR", f"worker-{number} ended with exit code {code}, start {self.starts[number]} of {STARTS}"
                )
                self.start(number)
            else:
                self.log("ERROR", f"worker-{number} ended with exit code {code} {STARTS} times and is given up")
                del self.workers[number]
                self.ended[number] = code
                self.forget(number)

    def tell(self) -> None:
        """Write down how things stand."""
        running = [
            {"worker": n, "pid": w.pid, "starts": self.starts[n], "state": "running"} for n, w in self.workers.items()
        ]
        gone = [
            {"worker": n, "exit_code": c, "starts": self.starts[n], "state": "given up"} for n, c in self.ended.items()
        ]
        write(
            self.folder / "run" / "status.json",
            {
                "url": self.url,
                "pid": os.getpid(),
                "version": self.version,
                "previous": self.previous,
                "generation": self.generation,
                "wanted": self.wanted,
                "workers": sorted([*running, *gone], key=lambda each: int(str(each["worker"]))),
                "at": time.time(),
            },
        )

    # Commands

    def obey(self, command: str, args: list[str]) -> str:
        """Carry out a command and say what came of it."""
        commands: dict[str, Callable[..., str]] = {
            "restart": self.restart,
            "rollback": self.rollback,
            "scale": self.scale,
            "rotate-logs": self.rotate_logs,
            "break": self.break_it,
            "down": self.down,
        }
        said = commands[command](*args)
        self.log("INFO", f"{' '.join([command, *args])}: {said}")
        return said

    def rollback(self, version: str) -> str:
        """Put a version in place."""
        if not (self.folder / "configs" / f"{version}.json").is_file():
            raise ValueError(f"there is no version {version}")
        self.previous, self.version = self.version, version
        return self.restart()

    def scale(self, workers: str) -> str:
        """Set the number of workers."""
        self.wanted = int(workers)
        for number in [*self.workers, *self.ended]:
            if number > self.wanted:
                self.stop(number)
        for number in range(1, self.wanted + 1):
            if number not in self.workers and number not in self.ended:
                self.start(number)
        return self.settle(f"scaled to {self.wanted}")

    def rotate_logs(self) -> str:
        """Delete debug logs."""
        files = list((self.folder / "data").glob("debug-*.log"))
        size = sum(file.stat().st_size for file in files)
        for file in files:
            file.unlink()
        return f"deleted {len(files)} debug logs, {size // 1024} KB"

    def break_it(self, fault: str, generation: str = "") -> str:
        """Put a fault in, for as long as the workers live that run now, or for good."""
        if fault == "config":
            return self.rollback("v2")
        if fault == "load":
            self.load = self.load or subprocess.Popen(
                [
                    sys.executable,
                    str(Path(__file__).resolve().with_name("control.py")),
                    "load",
                    str(self.folder),
                    self.url,
                ]
            )
            return f"{CLIENTS} clients ask without pause"
        write(self.folder / "run" / "fault.json", {"name": fault, "generation": generation or self.generation})
        return f"{fault} is on its way"

    def down(self) -> str:
        """End."""
        self.going = False
        return "stopped"

    # All day

    def run(self) -> None:
        """Work until told to end, or until nobody has asked for anything in a while."""
        self.log("INFO", f"serving at {self.url}")
        self.start(1)
        try:
            self.settle("started")
            while self.going and time.monotonic() - self.last < self.lifetime and self.folder.is_dir():
                self.reap()
                if time.monotonic() - self.beat > 0.2:
                    self.beat = time.monotonic()
                    self.tell()
                self.take_orders()
                time.sleep(TICK)
        finally:
            for number in list(self.workers):
                self.stop(number)
            if self.load is not None:
                self.load.kill()
                self.load.wait()
            with contextlib.suppress(OSError):
                (self.folder / "run" / "status.json").unlink()

    def take_orders(self) -> None:
        """Carry out what lies in the spool."""
        for path in sorted((self.folder / "spool").glob("*.json"), key=lambda path: path.stat().st_mtime_ns):
            order, done = read(path), self.folder / "done" / path.name
            if not done.exists():
                self.last = time.monotonic()
                try:
                    answer = {"ok": True, "said": self.obey(order["command"], order["args"])}
                except (ValueError, OSError) as error:
                    answer = {"ok": False, "said": str(error)}
                self.tell()
                write(done, answer)
            path.unlink()
