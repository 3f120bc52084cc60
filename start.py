"""Set everything up in `.venv` and run it. Needs Python 3.11 to 3.13 and nothing else.

python3 start.py              answer a question from real documents with a team of agents
python3 start.py test         run the tests; what follows goes to pytest
python3 start.py setup        only set up, with all that development needs
python3 start.py run ...      any other word is a command of orchestra: see `python3 start.py --help`
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import venv
from pathlib import Path

HOME = Path(__file__).resolve().parent
VENV = HOME / ".venv"
BIN = VENV / ("Scripts" if sys.platform == "win32" else "bin")
QUESTION = "How does Python resolve a name in a nested scope?"
FEW = 3
"""Tests that run again at most, when they failed beside others."""


def main(arguments: list[str]) -> int:
    """Set up what the arguments need, run it, and return its exit code."""
    if not (3, 11) <= sys.version_info[:2] <= (3, 13):
        version = ".".join(map(str, sys.version_info[:3]))
        return _refuse(f"Orchestra needs Python 3.11, 3.12 or 3.13, this is {version}. Try: python3.12 start.py")
    command, rest = (arguments[0], arguments[1:]) if arguments else ("demo", [])
    try:
        install(extra="[dev]" if command in ("test", "setup") else "")
    except (OSError, subprocess.CalledProcessError) as error:
        return _refuse(
            f"Setting up {VENV} failed: {error}\nWhat pip says is above; on Debian, apt install python3-venv."
        )
    if command == "setup":
        return 0
    if command == "test":
        return test(rest)
    if command == "demo":
        return _run(BIN / "orchestra", "run", "research", QUESTION, *rest)
    return _run(BIN / "orchestra", command, *rest)


def install(*, extra: str) -> None:
    """Make the virtual environment and install into it, unless that was done for these very requirements."""
    wanted = hashlib.sha256(
        (HOME / "pyproject.toml").read_bytes() + (HOME / "constraints.txt").read_bytes()
    ).hexdigest()
    done = VENV / "installed.txt"
    installed = done.read_text().split() if done.exists() else []
    if wanted in installed and (not extra or extra in installed):
        return
    extra = "[dev]" if extra or "[dev]" in installed else ""
    print(f"Setting up {VENV.name}, which takes a minute ...", file=sys.stderr, flush=True)
    if not (BIN / "python").exists() and not (BIN / "python.exe").exists():
        venv.create(VENV, with_pip=True)
    pip = [str(BIN / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "--constraint", str(HOME / "constraints.txt"), "--editable", f"{HOME}{extra}"], check=True)
    done.write_text(f"{wanted} {extra}\n")


def test(arguments: list[str]) -> int:
    """Run the tests side by side. A few that fail run again alone, and are named if they pass then."""
    pytest = (BIN / "python", "-m", "pytest")
    code = _run(*pytest, "--numprocesses=auto", "--dist=loadfile", *arguments)
    failed = _failed() if code == 1 and not arguments else []
    if not 0 < len(failed) <= FEW:
        return code
    print(f"\n{len(failed)} failed; once more, alone:", file=sys.stderr, flush=True)
    code = _run(*pytest, "--last-failed")
    if code == 0:
        print("UNSTEADY, failed beside others and passed alone:", *failed, sep="\n  ", file=sys.stderr)
    return code


def _failed() -> list[str]:
    try:
        return sorted(json.loads((HOME / ".pytest_cache/v/cache/lastfailed").read_text()))
    except (OSError, ValueError):
        return []


def _run(program: Path, *arguments: str) -> int:
    try:
        return subprocess.run([str(program), *arguments], check=False).returncode
    except KeyboardInterrupt:
        return 130  # the program saw it too, and has said how to go on


def _refuse(message: str) -> int:
    print(message, file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
