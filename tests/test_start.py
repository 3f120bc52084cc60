"""`python3 start.py test`: what fails fails, and a test that only fails beside others is named."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
BESIDE_OTHERS = "import os\ndef test_unsteady_{0}():\n    assert 'PYTEST_XDIST_WORKER' not in os.environ\n"
ALWAYS = "def test_broken():\n    assert False\n"
NEVER = "def test_fine():\n    pass\n"


def run_tests(folder: Path, *tests: str, arguments: tuple[str, ...] = ()) -> tuple[int, str]:
    """Run start.py over a project of these tests, whose virtual environment is the one of this process."""
    shutil.copy(ROOT / "start.py", folder)
    (folder / "pyproject.toml").write_text("[tool.pytest.ini_options]\n")
    (folder / "constraints.txt").touch()
    programs = folder / ".venv" / "bin"
    programs.mkdir(parents=True)
    (programs / "python").write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    (programs / "python").chmod(0o755)
    wanted = hashlib.sha256((folder / "pyproject.toml").read_bytes()).hexdigest()
    (folder / ".venv" / "installed.txt").write_text(f"{wanted} [dev]\n")
    for number, text in enumerate(tests):
        (folder / f"test_{number}.py").write_text(text.format(number))
    own = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    done = subprocess.run(
        [sys.executable, "start.py", "test", *arguments],
        cwd=folder,
        env=own,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("tests", "code", "unsteady"),
    [
        ([NEVER, *[BESIDE_OTHERS] * 3], 0, 3),
        ([NEVER, *[BESIDE_OTHERS] * 4], 1, 0),
        ([BESIDE_OTHERS, ALWAYS], 1, 0),
    ],
)
def test_what_passes_alone_is_named_and_what_fails_alone_fails(
    tmp_path: Path, tests: list[str], code: int, unsteady: int
) -> None:
    found, said = run_tests(tmp_path, *tests)
    named = said.partition("UNSTEADY")[2]
    assert (found, named.count("::test_unsteady")) == (code, unsteady), said


def test_chosen_tests_run_once(tmp_path: Path) -> None:
    found, said = run_tests(tmp_path, BESIDE_OTHERS, arguments=("test_0.py",))
    assert (found, "once more" in said) == (1, False), said
