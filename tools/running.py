"""Running: a sealed command to its end or its limits, with all it started."""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tools.sandbox import Limits, Sealed

_LOOK = 0.05  # seconds between two looks at what runs
_PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True)
class Ran:
    """What became of a command.

    Args:
        code: Its exit code; None when it was stopped.
        output: What it wrote, both streams together; of much, the beginning and the end.
        stopped: Which limit it reached; empty when it ended by itself.
    """

    code: int | None
    output: str
    stopped: str = ""


def run_sealed(command: Sealed, limits: Limits) -> Ran:
    """Run a command in its sandbox. When this returns, all of it has ended or been killed.

    Raises:
        OSError: It could not be started.
    """
    kept = _Output(limits.output)
    process = subprocess.Popen(
        command.argv,
        env=command.environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    stopped = ""
    try:
        stopped = _watched(process, kept, limits, inside=not command.ending)
    finally:
        _end(process, command)
    return Ran(None if stopped else process.returncode, kept.text(), stopped)


def _watched(process: subprocess.Popen[bytes], kept: _Output, limits: Limits, *, inside: bool) -> str:
    """Read what it writes until it ends; returns the limit that it reached, if it did."""
    assert process.stdout is not None
    until = time.monotonic() + limits.seconds
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        looked = 0.0
        while True:
            now = time.monotonic()
            if now >= until:
                return f"no end after {limits.seconds:g} s"
            if inside and now - looked >= _LOOK:  # A container's engine does this itself.
                looked = now
                if reached := _too_much(process.pid, limits):
                    return reached
            if selector.select(min(_LOOK, until - now)):
                data = os.read(process.stdout.fileno(), 1 << 16)
                if not data:
                    break
                kept.add(data)
            elif process.poll() is not None:
                return ""  # What it left running holds the pipe, and is ended.
    try:
        process.wait(max(0.0, until - time.monotonic()))
    except subprocess.TimeoutExpired:
        return f"no end after {limits.seconds:g} s"
    return ""


def _end(process: subprocess.Popen[bytes], command: Sealed) -> None:
    """Kill what is left: with the first process of the sandbox the kernel ends all that are in it."""
    if process.poll() is None:
        for pid in reversed(_below(process.pid)):
            _kill(pid)
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        if command.ending:
            subprocess.run(command.ending, env=command.environment, capture_output=True, timeout=10, check=False)
    if process.stdout is not None:
        process.stdout.close()


def _kill(pid: int) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.kill(pid, signal.SIGKILL)


def _below(pid: int, most: int = 10_000) -> list[int]:
    """Return a process and those it started, and so on; those in a sandbox cannot leave it."""
    found, index = [pid], 0
    while index < len(found) < most:
        try:
            for task in Path("/proc", str(found[index]), "task").iterdir():
                found.extend(map(int, (task / "children").read_text().split()))
        except OSError:  # ended meanwhile, or a system without
            pass
        index += 1
    return found


def _too_much(pid: int, limits: Limits) -> str:
    """Return the limit that all processes together are over; the kernel limits each one."""
    pids = _below(pid)
    if len(pids) > limits.processes + 3:  # the sandbox's own
        return f"more than {limits.processes} processes"
    memory = 0
    for each in pids:
        try:
            memory += int(Path("/proc", str(each), "statm").read_text().split()[1]) * _PAGE
        except (OSError, IndexError, ValueError):
            continue
    return f"more than {limits.memory >> 20} MB of memory" if memory > limits.memory else ""


class _Output:
    """Keeps the beginning and the end of what is written."""

    def __init__(self, most: int) -> None:
        self._half = max(1, most // 2)
        self._first, self._last, self._size = bytearray(), bytearray(), 0

    def add(self, data: bytes) -> None:
        self._size += len(data)
        room = self._half - len(self._first)
        self._first += data[:room]
        self._last += data[room:] if room > 0 else data
        del self._last[: -self._half]

    def text(self) -> str:
        first, last = bytes(self._first), bytes(self._last)
        left_out = self._size - len(first) - len(last)
        if not left_out:
            return (first + last).decode("utf-8", "replace").strip()
        middle = f"\n[... {left_out} bytes left out ...]\n"
        return f"{first.decode('utf-8', 'replace')}{middle}{last.decode('utf-8', 'replace')}".strip()
