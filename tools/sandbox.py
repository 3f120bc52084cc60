"""Sandbox: where a command can do no harm, without a network and with one folder that it can change.

`confined` is for commands that somebody chose: they see the files of the machine. `sealed` is for what a model wrote: it sees the
programs of the system, Python and its folder, and nothing else. Both are made by bubblewrap (`bwrap`) where that is installed and
the kernel lets it work; `contained` makes the second of a container. Where neither is possible, what needs a sandbox is refused
with the reason.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal
from uuid import uuid4

Need = Literal["required", "when_present", "none"]
"""Whether commands run in a sandbox: always, or not at all; where there is one; never."""
WORK = "/work"
"""Where the folder is in a sealed sandbox."""

_WALLS = (
    "--die-with-parent",
    "--new-session",
    "--unshare-all",
    "--ro-bind",
    "/",
    "/",
    "--dev",
    "/dev",
    "--proc",
    "/proc",
)
_SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/etc/alternatives", "/etc/ld.so.cache")
_ENVIRONMENT = {
    "PATH": "/usr/local/bin:/usr/bin:/bin",
    "HOME": "/tmp",  # noqa: S108  # inside of the sandbox
    "LANG": "C.UTF-8",
    "PYTHONDONTWRITEBYTECODE": "1",
}
_ENGINES = ("docker", "podman")
_ENGINE_SECONDS = 5.0


class NoSandbox(Exception):
    """A sandbox is required, and there is none."""


@dataclass(frozen=True)
class Limits:
    """What code may use.

    Args:
        seconds: From its start to its end.
        memory: Bytes, of all its processes.
        processes: At a time.
        output: Bytes that are kept, of the beginning and of the end.
        file: Bytes of a file that it writes.
    """

    seconds: float = 20.0
    memory: int = 1 << 30
    processes: int = 64
    output: int = 10_000
    file: int = 100_000_000


@dataclass(frozen=True)
class Sealed:
    """A command line that runs a command in a sealed sandbox, and how to end it from outside.

    Args:
        argv: Of the command that makes the sandbox.
        environment: Of that command; the one in the sandbox has its own.
        ending: The command that ends what is inside, where killing the first does not.
    """

    argv: list[str]
    environment: dict[str, str]
    ending: tuple[str, ...] = ()


def confined(argv: Sequence[str], folder: Path, need: Need) -> list[str]:
    """Return the command line that runs a command in a sandbox where it can write to one folder only.

    Raises:
        NoSandbox: One is required and there is none; says why.
    """
    if need == "none":
        return list(argv)
    bwrap = shutil.which("bwrap")
    why = why_useless(bwrap) if bwrap is not None else "bubblewrap (`bwrap`) is not installed"
    if bwrap is None or why:
        if need == "required":
            raise NoSandbox(f"a sandbox is required, and {why}")
        return list(argv)
    return [bwrap, *_WALLS, "--bind", str(folder), str(folder), "--chdir", str(folder), "--", *argv]


def sealed(argv: Sequence[str], folder: Path, *, limits: Limits, image: str | None = None) -> Sealed:
    """Return what runs a command that nobody has read: by bubblewrap, or else in a container.

    Args:
        argv: The command. A first word `python` is the Python that runs this, or the one of the image.
        folder: That it can change; it is its working directory, `/work`.
        limits: That are set on it.
        image: Of a container with `python` and `sh`, already on this machine; used where there is no bubblewrap.

    Raises:
        NoSandbox: There is neither; says what is missing and how to get it.
    """
    bwrap, why = _bubblewrap()
    if bwrap is not None:
        more, why = _tried(bwrap, limits)
        if not why:
            return _walled(bwrap, more, argv, folder, limits)
    if image is None:
        raise NoSandbox(f"code runs in a sandbox only, and {why}; a container needs an image, and none was given")
    engine, missing = _engine()
    if engine is None:
        raise NoSandbox(f"code runs in a sandbox only, and {why}; {missing}")
    return contained(engine, argv, folder, limits=limits, image=image)


def _bubblewrap() -> tuple[str | None, str]:
    """Return the program, or None and why it is of no use for code that nobody has read."""
    bwrap = shutil.which("bwrap")
    if bwrap is None:
        return None, "bubblewrap (`bwrap`) is not installed (on Debian: apt-get install bubblewrap)"
    if os.geteuid() == 0:
        # A fork bomb is faster than anything that counts processes from outside.
        return (
            None,
            "the kernel holds root to no number of processes, so bubblewrap cannot be used as root: use another user",
        )
    return bwrap, ""


def _tried(bwrap: str, limits: Limits) -> tuple[tuple[str, ...], str]:
    """Return options that this bubblewrap has, and why it makes no sandbox here."""
    walls = _walls(("--tmpfs", WORK), limits)  # Without the folder, so that it is tried once for all of them.
    more = ("--disable-userns",)  # Since bubblewrap 0.8: no sandboxes within the sandbox.
    if not why_useless(bwrap, (*walls, *more)):
        return more, ""
    return (), why_useless(bwrap, walls)


def _walled(bwrap: str, more: Sequence[str], argv: Sequence[str], folder: Path, limits: Limits) -> Sealed:
    """Return what runs a command by bubblewrap, its limits set from inside, where nobody else's processes are counted."""
    walls = (*_walls(("--bind", str(folder), WORK), limits), *more)
    limiting = (sys.executable, "-I", "-S", "-c", _LIMITING, *map(str, (limits.memory, limits.file, limits.processes)))
    words = [sys.executable if argv[0] == "python" else argv[0], *argv[1:]]
    return Sealed([bwrap, *walls, "--", *limiting, *words], dict(_ENVIRONMENT))


def contained(engine: str, argv: Sequence[str], folder: Path, *, limits: Limits, image: str) -> Sealed:
    """Return what runs a command in a container, which is never fetched from anywhere.

    Raises:
        NoSandbox: The folder's name cannot be given to the engine.
    """
    if set(str(folder)) & set(',"'):
        raise NoSandbox(f"a container cannot mount a folder with a comma or a quote in its name: {str(folder)!r}")
    name = f"orchestra-{uuid4().hex}"
    walls = [
        *("--rm", "--name", name, "--pull", "never", "--network", "none", "--read-only", "--cap-drop", "ALL"),
        *("--security-opt", "no-new-privileges", "--pids-limit", str(limits.processes), "--init"),
        *("--memory", str(limits.memory), "--memory-swap", str(limits.memory), "--cpus", "1"),
        *("--ulimit", f"fsize={limits.file}", "--ulimit", "core=0", "--user", f"{os.getuid()}:{os.getgid()}"),
        *("--tmpfs", f"/tmp:size={limits.file}", "--workdir", WORK),  # noqa: S108  # inside of the container
        *("--mount", f"type=bind,source={folder},target={WORK}"),
        *("--env", "HOME=/tmp", "--env", "LANG=C.UTF-8", "--env", "PYTHONDONTWRITEBYTECODE=1"),
        *("--entrypoint", argv[0], image),
    ]
    return Sealed([engine, "run", *walls, *argv[1:]], _of_engine(), (engine, "rm", "--force", name))


@cache
def why_useless(bwrap: str, walls: tuple[str, ...] = _WALLS) -> str:
    """Return why bubblewrap makes no sandbox here, as in many containers; empty when it does. Tried once."""
    try:
        tried = subprocess.run([bwrap, *walls, "--", "true"], capture_output=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"bubblewrap does not work here ({error})"
    said = tried.stderr.decode("utf-8", "replace").strip().splitlines()
    return f"bubblewrap does not work here ({said[-1] if said else tried.returncode})" if tried.returncode else ""


_LIMITING = """
import os, resource, sys
memory, file, processes = map(int, sys.argv[1:4])
for kind, limit in ((resource.RLIMIT_AS, memory), (resource.RLIMIT_FSIZE, file), (resource.RLIMIT_NPROC, processes),
                    (resource.RLIMIT_CORE, 0), (resource.RLIMIT_NOFILE, 256)):
    resource.setrlimit(kind, (limit, limit))
os.execvp(sys.argv[4], sys.argv[4:])
"""


def _walls(work: tuple[str, ...], limits: Limits) -> tuple[str, ...]:
    """Return the walls of a sealed sandbox: an empty root in which only what is needed is bound, read-only."""
    words = ["--die-with-parent", "--new-session", "--unshare-all", "--unshare-user", "--uid", "1000", "--gid", "1000"]
    words += ["--cap-drop", "ALL", "--hostname", "sandbox", "--clearenv"]
    for name, value in _ENVIRONMENT.items():
        words += ["--setenv", name, value]
    for path in _SYSTEM:
        if os.path.islink(path):
            words += ["--symlink", os.readlink(path), path]
        elif os.path.exists(path):
            words += ["--ro-bind", path, path]
    words += ["--dev", "/dev"]
    for path in dict.fromkeys((sys.base_prefix, sys.prefix)):
        if not path.startswith("/usr/") and path not in ("/", "/usr"):
            words += ["--ro-bind", path, path]
    for path in ("/tmp", "/dev/shm"):  # noqa: S108  # inside of the sandbox
        words += ["--size", str(limits.file), "--tmpfs", path]
    # The folder is bound below the root, which cannot be changed after that: it is kept in memory.
    words += ["--proc", "/proc", *work, "--remount-ro", "/dev", "--remount-ro", "/", "--chdir", WORK]
    return tuple(words)


def _engine() -> tuple[str | None, str]:
    """Return the program that runs containers here, or None and why there is none."""
    missing = "neither docker nor podman is installed"
    for name in _ENGINES:
        program = shutil.which(name)
        if program is None:
            continue
        try:
            told = subprocess.run(
                [program, "version", "--format", "{{.Server.Version}}" if name == "docker" else "{{.Client.Version}}"],
                capture_output=True,
                timeout=_ENGINE_SECONDS,
                check=False,
                env=_of_engine(),
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            missing = f"{name} does not answer ({type(error).__name__})"
            continue
        if told.returncode == 0 and told.stdout.strip():
            return program, ""
        said = told.stderr.decode("utf-8", "replace").strip().splitlines()
        missing = f"{name} is installed and its service does not answer ({said[-1][:200] if said else told.returncode})"
    return None, missing


def _of_engine() -> dict[str, str]:
    """Return what the command line of an engine needs to find its service; no other secret of the environment."""
    kept = ("PATH", "HOME", "XDG_RUNTIME_DIR", "DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_CONFIG", "CONTAINER_HOST")
    return {name: os.environ[name] for name in kept if name in os.environ}
