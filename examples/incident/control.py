"""Look after the order service: start it, stop it, restart, roll back, scale, clean up, and break it to practise.

    python control.py up FOLDER [--fault leak|hang|disk|config|load] [--stays]
    python control.py restart FOLDER [--id ID]
    python control.py rollback FOLDER VERSION [--id ID]
    python control.py scale FOLDER WORKERS [--id ID]
    python control.py rotate-logs FOLDER [--id ID]
    python control.py break FOLDER FAULT [--stays] [--id ID]
    python control.py result FOLDER ID
    python control.py status FOLDER
    python control.py down FOLDER

A supervisor of its own process carries commands out; see `supervisor.py`. This starts it, asks it, and
waits for its answer.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import subprocess
import sys
import threading
import time
import urllib.request
import uuid
from pathlib import Path

from supervisor import (  # type: ignore[import-not-found,unused-ignore]  # it lies beside this file
    CLIENTS,
    PATIENCE,
    TICK,
    Supervisor,
    read,
    write,
)

FAULTS = ("leak", "hang", "disk", "config", "load")
UNKNOWN = 3
"""Exit code of `result` for an id that was never asked for."""


def send(folder: Path, command: str, args: list[str], order: str) -> int:
    """Have a command carried out, once for each id, and print what came of it."""
    done, spool = folder / "done" / f"{order}.json", folder / "spool" / f"{order}.json"
    if not done.exists():
        if not is_up(folder):
            print("the supervisor does not run", file=sys.stderr)
            return 1
        write(spool, {"command": command, "args": args})
    return show(done, PATIENCE)


def show(done: Path, patience: float) -> int:
    """Print what came of a command."""
    until = time.monotonic() + patience
    while (answer := read(done)) is None:
        if time.monotonic() > until:
            print("no answer yet", file=sys.stderr)
            return 1
        time.sleep(TICK)
    print(answer["said"])
    return 0 if answer["ok"] else 1


def result(folder: Path, order: str) -> int:
    """Print what came of an earlier command; wait for one that is in progress."""
    if not (folder / "done" / f"{order}.json").exists() and not (folder / "spool" / f"{order}.json").exists():
        return UNKNOWN
    return show(folder / "done" / f"{order}.json", PATIENCE)


def is_up(folder: Path) -> bool:
    """Whether a supervisor gave a sign of life lately."""
    status = read(folder / "run" / "status.json")
    return status is not None and time.time() - status["at"] < PATIENCE


def is_alive(pid: int) -> bool:
    """Whether there is such a process."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def up(folder: Path, *, port: int, lifetime: float) -> int:
    """Start a supervisor, unless one runs, and wait until it does."""
    for part in ("run", "logs", "data", "spool", "done"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    if not (is_up(folder) and is_alive(read(folder / "run" / "status.json")["pid"])):
        (folder / "run" / "status.json").unlink(missing_ok=True)
        (folder / "run" / "fault.json").unlink(missing_ok=True)
        given = [sys.executable, str(Path(__file__).resolve()), "supervise", str(folder)]
        with open(folder / "logs" / "stderr.log", "ab") as errors:
            subprocess.Popen(
                [*given, "--port", str(port), "--lifetime", str(lifetime)],
                stdin=subprocess.DEVNULL,
                stdout=errors,
                stderr=errors,
                start_new_session=True,
            )
    until = time.monotonic() + PATIENCE
    while (status := read(folder / "run" / "status.json")) is None:
        if time.monotonic() > until:
            print(f"the supervisor did not start; see {folder / 'logs' / 'stderr.log'}", file=sys.stderr)
            return 1
        time.sleep(TICK)
    print(status["url"])
    return 0


def press(url: str) -> None:
    """Ask without pause, as many clients at once."""

    parent = os.getppid()

    def client() -> None:
        while os.getppid() == parent:
            with contextlib.suppress(OSError):
                sent = {"X-Request-Start": f"{time.time():.4f}"}
                asking = urllib.request.Request(f"{url}/work", headers=sent)  # noqa: S310  # its own address
                with urllib.request.urlopen(asking, timeout=5) as answer:  # noqa: S310
                    answer.read()

    clients = [threading.Thread(target=client) for _ in range(CLIENTS)]
    for each in clients:
        each.start()


def parser() -> argparse.ArgumentParser:
    """Return what reads the command line."""
    found = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    found.add_argument("command")
    found.add_argument("folder", type=Path)
    found.add_argument("args", nargs="*")
    found.add_argument("--id", default="")
    found.add_argument("--fault", choices=FAULTS)
    found.add_argument("--stays", action="store_true", help="A restart does not help.")
    found.add_argument("--port", type=int, default=0)
    found.add_argument("--lifetime", type=float, default=900.0, help="Seconds without a command until it ends.")
    return found


def main() -> int:
    """Do what the command line says."""
    given = parser().parse_args()
    folder, order = given.folder.resolve(), given.id or uuid.uuid4().hex
    if not re.fullmatch(r"[\w-]{1,64}", order):
        print(f"--id: expected letters, digits, - and _, got {order!r}", file=sys.stderr)
        return 2
    stays = ["*"] if given.stays else []
    if given.command == "supervise":
        Supervisor(folder, given.port, given.lifetime).run()
    elif given.command == "load":
        press(*given.args)
    elif given.command == "up":
        failed = up(folder, port=given.port, lifetime=given.lifetime)
        return failed or (send(folder, "break", [given.fault, *stays], order) if given.fault else 0)
    elif given.command == "status":
        print(json.dumps(read(folder / "run" / "status.json"), indent=2))
    elif given.command == "result":
        return result(folder, *given.args)
    elif given.command in ("restart", "rollback", "scale", "rotate-logs", "break", "down"):
        return send(folder, given.command, [*given.args, *stays], order)
    else:
        parser().error(f"no command {given.command!r}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
