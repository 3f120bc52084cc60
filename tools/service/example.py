"""The example service: a copy of it that runs, and that a fault can be put into."""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from state.errors import ConfigurationError

PLACE = Path(".orchestra", "incident")
"""Where the copies lie, seen from the working directory."""
FAULTS = ("leak", "hang", "disk", "config", "load")
_SEEN_AS = {
    "leak": r"leak|memory",
    "hang": r"hang|hung|stuck|frozen|deadlock|no answer|timeout|timed out",
    "disk": r"disk|quota|space|read-only",
    "config": r"config|crash|deploy|release|start",
    "load": r"load|slow|traffic|queue|overload",
    "": r"down\b|broken|trouble|incident|alert|outage|fail|unhealthy|wrong|problem",
}


def example_folder() -> Path:
    """Return the folder with service, control script and configurations: of the source tree, or of the installed package.

    Raises:
        ConfigurationError: It is in neither.
    """
    here = Path(__file__).resolve().parent.parent
    for folder in (here / "examples" / "incident", here.parent / "examples" / "incident"):
        if (folder / "control.py").is_file():
            return folder
    raise ConfigurationError("the example of the incident team is not installed; give `service`")


def fault_in(text: str) -> str:
    """Return the fault that a report is about, so that the example can be broken in that way.

    Trouble without a name is a leak. A text that tells of no trouble has no fault: the result is empty.
    """
    found = (name for name, words in _SEEN_AS.items() if re.search(rf"\b(?:{words})", text, re.IGNORECASE))
    return next((fault or "leak" for fault in found), "")


def place_of(thread: str) -> Path:
    """Return where the copy of a thread lies: each has one of its own."""
    plain = re.sub(r"[^\w-]+", "-", thread)[:40].strip("-") or "run"
    return PLACE / f"{plain}-{hashlib.sha256(thread.encode()).hexdigest()[:6]}"


def start_example(
    folder: Path, *, fault: str = "", order: str = "", stays: bool = False, lifetime: float = 900
) -> None:
    """Start the example service in a folder, unless it runs there, and break it, once for each order.

    Args:
        folder: Of the copy; made where there is none.
        fault: What is broken; nothing by default.
        order: Id of the breaking.
        stays: Whether a restart does not help.
        lifetime: Seconds after which it ends by itself when nothing is asked of it.

    Raises:
        ConfigurationError: It cannot be made or started here.
    """
    try:
        copy_example(folder)
    except OSError as error:
        raise ConfigurationError(
            f"the example service cannot be made at {str(folder)!r} ({error.strerror}): go to a folder that you may write "
            "to, or give a service of your own"
        ) from None
    control(folder, "up", "--lifetime", f"{lifetime:g}")
    if fault:
        control(folder, "break", fault, *(["--stays"] if stays else []), *(["--id", order] if order else []))


def control(folder: Path, command: str, *args: str) -> str:
    """Call the control script of an example service and return what it printed.

    Raises:
        ConfigurationError: It failed.
    """
    argv = [sys.executable, "control.py", command, ".", *args]
    done = subprocess.run(argv, cwd=folder, capture_output=True, text=True, timeout=60, check=False)
    if done.returncode:
        raise ConfigurationError(
            f"the example service in {str(folder)!r}: {command} failed: {done.stderr.strip()[-500:]}"
        )
    return done.stdout.strip()


def copy_example(folder: Path) -> None:
    """Copy the example; one that is there already stays. It appears whole or not at all."""
    if folder.is_dir():
        return
    folder.parent.mkdir(parents=True, exist_ok=True)
    ignore = PLACE.parent / ".gitignore"
    if PLACE.parent in folder.parents and not ignore.exists():
        ignore.write_text("*\n", encoding="utf-8")
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".incident") as draft:
        whole = Path(draft) / "copy"
        shutil.copytree(example_folder(), whole, ignore=shutil.ignore_patterns("__pycache__"))
        try:
            whole.rename(folder)
        except OSError:
            if not folder.is_dir():  # else another process was first
                raise
