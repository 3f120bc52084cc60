"""Code that a model wrote: it runs in a sandbox, within limits, or not at all."""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from langchain_core.tools import BaseTool, ToolException

from hostile import PYTHON, SHELL, within_the_limit
from state.errors import ConfigurationError
from tools import sandbox
from tools.code import create_code_tools
from tools.rights import rights_of
from tools.running import run_sealed
from tools.sandbox import Limits, NoSandbox, Sealed, sealed

SECRET = "the secret outside"
NARROW = Limits(seconds=0.8, memory=300 << 20, processes=20, output=2000, file=10_000_000)


def _why_none() -> str:
    bwrap = shutil.which("bwrap")
    if bwrap is None:
        return "bubblewrap (bwrap) is not installed here"
    if os.geteuid() == 0:
        return "root cannot be held to a number of processes"
    return sandbox.why_useless(bwrap)


WHY_NONE = _why_none()
walled = pytest.mark.skipif(bool(WHY_NONE), reason=f"no sandbox to test: {WHY_NONE}")


class Canary(BaseHTTPRequestHandler):
    hits = 0

    def do_GET(self) -> None:
        Canary.hits += 1
        self.send_response(200)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Canary)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server.server_address[1]
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(scope="module")
def bystander() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(["sleep", "600"]) as process:
        yield process
        process.kill()


def tools(folder: Path, limits: Limits = NARROW, image: str | None = None) -> dict[str, BaseTool]:
    return {tool.name: tool for tool in create_code_tools(folder, limits=limits, image=image)}


def run(folder: Path, name: str, code: str, limits: Limits = NARROW) -> str:
    argument = {"run_python": "code", "run_shell": "script"}[name]
    return str(tools(folder, limits)[name].invoke({argument: code}))


HOSTILE = [("run_python", code) for code in PYTHON] + [("run_shell", script) for script in SHELL]


@walled
@pytest.mark.parametrize(("name", "code"), HOSTILE, ids=[f"{name[4:]}{n}" for n, (name, _) in enumerate(HOSTILE)])
def test_no_code_gets_out_of_the_sandbox(
    tmp_path: Path,
    name: str,
    code: str,
    port: int,
    bystander: subprocess.Popen[bytes],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("CANARY", "hunter2")
    work, outside = tmp_path / "work", tmp_path / "outside.txt"
    work.mkdir()
    outside.write_text(SECRET)
    filled = {"{outside}": outside, "{folder}": tmp_path, "{port}": port, "{pid}": bystander.pid}
    for hole, value in filled.items():
        code = code.replace(hole, str(value))
    said, hits = "", Canary.hits
    with within_the_limit(), suppress(ToolException):
        said = run(work, name, code.replace("{{", "{").replace("}}", "}") if name == "run_shell" else code)
    assert SECRET not in said
    assert "hunter2" not in said
    assert "root:x:" not in said
    assert outside.read_text() == SECRET
    assert sorted(path.name for path in tmp_path.iterdir()) == ["outside.txt", "work"]
    assert Canary.hits == hits
    assert bystander.poll() is None
    assert not Path("/usr/escaped").exists()
    assert not Path("/escaped").exists()
    wait_until(lambda: not left_in(work))


def wait_until(is_so: Callable[[], bool]) -> None:
    """Fail unless something becomes so: what was killed takes a moment to go."""
    until = time.monotonic() + 5
    while not is_so():
        assert time.monotonic() < until
        time.sleep(0.005)


def left_in(folder: Path) -> list[str]:
    """Return the processes that have a folder open as theirs; in a sandbox it has another name, and the same inode."""
    found, wanted = [], folder.stat()
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            here = (process / "cwd").stat()
            if (here.st_ino, here.st_dev) == (wanted.st_ino, wanted.st_dev):
                found.append(process.name)
    return found


@walled
def test_code_works_in_its_folder_which_stays_between_calls(tmp_path: Path) -> None:
    assert run(tmp_path, "run_python", "open('a.txt', 'w').write('kept')") == "exit code 0, no output"
    assert run(tmp_path, "run_shell", "pwd; cat a.txt") == "exit code 0\n/work\nkept"
    assert (tmp_path / "a.txt").read_text() == "kept"
    assert run(tmp_path, "run_python", "import sys; print('no', file=sys.stderr); sys.exit(3)") == "exit code 3\nno"
    (tmp_path / "mine.py").write_text("x = 42")
    assert run(tmp_path, "run_python", "import mine; print(mine.x)").endswith("42")


@walled
def test_each_limit_stops_what_goes_over_it_and_is_named(tmp_path: Path) -> None:
    assert run(tmp_path, "run_shell", "echo so far; sleep 9") == "stopped: no end after 0.8 s\nso far"
    one = "stopped: more than 300 MB of memory"
    together = "import os, time\nfor i in range(3): os.fork()\nx = b'a' * (100 << 20)\ntime.sleep(9)"
    assert run(tmp_path, "run_python", together) == f"{one}, no output"
    assert "MemoryError" in run(tmp_path, "run_python", "x = bytearray(1 << 30)")
    assert "File too large" in run(tmp_path, "run_python", "open('big', 'wb').write(b'a' * 20_000_000)")
    long = run(tmp_path, "run_python", "print('first' + 'a' * 10**6 + 'last')")
    assert long.startswith("exit code 0\nfirst")
    assert long.endswith("last")
    assert "bytes left out" in long
    forked = run(
        tmp_path, "run_python", "import os, time\nfor i in range(40):\n if os.fork() == 0: time.sleep(9)\ntime.sleep(9)"
    )
    assert "more than 20 processes" in forked or "BlockingIOError" in forked


@pytest.fixture
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Leave a PATH on which there is nothing yet."""
    programs = tmp_path / "programs"
    programs.mkdir()
    monkeypatch.setenv("PATH", str(programs))
    return programs


def program(folder: Path, name: str, script: str) -> None:
    (folder / name).write_text(f"#!/bin/sh\n{script}\n")
    (folder / name).chmod(0o755)


def test_without_a_sandbox_nothing_is_run_and_the_reason_says_how_to_get_one(bare: Path, tmp_path: Path) -> None:
    for name in ("run_python", "run_shell"):
        with pytest.raises(ToolException, match=r"was not run: .*bubblewrap .* is not installed .*apt-get.*image"):
            run(tmp_path, name, "touch made")
    assert not (tmp_path / "made").exists()


def test_root_is_refused_bubblewrap_as_no_number_of_processes_would_hold_it(
    bare: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    program(bare, "bwrap", "exit 0")
    with pytest.raises(ToolException, match="holds root to no number of processes"):
        run(tmp_path, "run_shell", "true")


def test_a_sandbox_that_does_not_work_is_none_and_says_why(
    bare: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    program(bare, "bwrap", "echo 'No permissions to create new namespace' >&2; exit 1")
    with pytest.raises(ToolException, match="No permissions to create new namespace"):
        run(tmp_path, "run_shell", "touch made")
    assert not (tmp_path / "made").exists()


def test_a_container_is_used_only_where_its_service_answers(bare: Path, tmp_path: Path) -> None:
    shell = tools(tmp_path, image="python:3.12")["run_shell"]
    with pytest.raises(ToolException, match="neither docker nor podman is installed"):
        shell.invoke({"script": "true"})
    program(bare, "docker", "echo 'Cannot connect to the Docker daemon' >&2; exit 1")
    with pytest.raises(ToolException, match=r"docker is installed and its service does not answer .Cannot connect"):
        shell.invoke({"script": "true"})


def test_a_container_has_no_network_no_rights_and_one_folder(
    bare: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CANARY", "hunter2")
    program(bare, "docker", 'if [ "$1" = version ]; then echo 27.0; else printf "%s\\n" "$@"; echo "[$CANARY]"; fi')
    said = tools(tmp_path, Limits(output=10_000), image="python:3.12")["run_python"].invoke({"code": "print(1)"})
    words = said.splitlines()
    assert words[0] == "exit code 0"
    for pair in (
        ("--network", "none"),
        ("--cap-drop", "ALL"),
        ("--pull", "never"),
        ("--security-opt", "no-new-privileges"),
        ("--pids-limit", "64"),
        ("--memory", str(1 << 30)),
        ("--mount", f"type=bind,source={tmp_path},target=/work"),
        ("--entrypoint", "python"),
    ):
        assert words[words.index(pair[0]) + 1] == pair[1]
    assert words[-5:] == ["python:3.12", "-B", "-c", "print(1)", "[]"]
    assert "--read-only" in words


def test_a_container_that_does_not_end_is_removed_by_its_name(bare: Path, tmp_path: Path) -> None:
    program(
        bare,
        "docker",
        f'case $1 in version) echo 27.0;; run) exec /bin/sleep 60;; *) echo "$@" >> {tmp_path}/asked;; esac',
    )
    said = tools(tmp_path, NARROW, image="python:3.12")["run_python"].invoke({"code": "while True: pass"})
    assert said == "stopped: no end after 0.8 s, no output"
    assert (tmp_path / "asked").read_text().startswith("rm --force orchestra-")


def test_a_folder_that_an_engine_would_misread_is_refused(bare: Path, tmp_path: Path) -> None:
    program(bare, "docker", "echo 27.0")
    folder = tmp_path / "a,source=,b"
    folder.mkdir()
    with pytest.raises(NoSandbox, match="comma"):
        sealed(["sh"], folder, limits=NARROW, image="x")


def test_what_a_command_leaves_running_is_ended_with_it(tmp_path: Path) -> None:
    leaving = "import subprocess; p = subprocess.Popen(['sleep', '60']); print(p.pid, flush=True); p.wait()"
    command = Sealed(["python3", "-c", leaving], {"PATH": os.environ["PATH"]})
    ran = run_sealed(command, Limits(seconds=0.5))
    assert (ran.code, ran.stopped) == (None, "no end after 0.5 s")
    wait_until(lambda: not is_running(ran.output))


def is_running(pid: str) -> bool:
    try:
        return Path("/proc", pid, "stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.parametrize(
    ("code", "why"),
    [("", "some of it"), ("a\0b", "NUL"), ("\ud800", "surrogate"), ("#" * 100_001, "at most 100000 bytes")],
)
def test_what_is_no_code_is_not_run(tmp_path: Path, code: str, why: str) -> None:
    with pytest.raises(ToolException, match=why):
        run(tmp_path, "run_python", code)


def test_it_needs_the_right_to_run_code_and_is_refused_wrong_arguments(tmp_path: Path) -> None:
    assert {rights_of(tool) for tool in create_code_tools(tmp_path)} == {frozenset(("code", "read", "write"))}
    with pytest.raises(ConfigurationError, match="expected a folder"):
        create_code_tools(tmp_path / "missing")
    with pytest.raises(ConfigurationError, match="limits above 0"):
        create_code_tools(tmp_path, limits=Limits(seconds=0))
