"""Errands: work on hostile input, done in a process of its own that is killed when it takes too long or too much memory.

Some work cannot be stopped from within: a pattern that is being compiled, a query that is being planned, damaged markup that is
being parsed. What is done here is a function of this package that takes and gives JSON and imports little, as it starts anew
each time (about 40 ms).
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from langchain_core.tools import ToolException

MEMORY = 1 << 30
"""Bytes of address space that an errand may use."""
_TEMPORARY = 256 << 20  # bytes of a file that it may write, such as what a query sorts on disk
_GRACE = 0.25  # seconds to start and to say that the time is over, before it is killed
_HERE = str(Path(__file__).resolve().parents[1])
_CHILD = """
import json, resource, sys
memory, file, path = json.loads(sys.argv[1])
resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
resource.setrlimit(resource.RLIMIT_FSIZE, (file, file))
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
sys.path[:] = path
from importlib import import_module
given = json.loads(sys.stdin.buffer.read())
try:
    work = getattr(import_module(given["module"]), given["function"])
    said = {"result": work(**given["arguments"])}
except ValueError as error:
    said = {"refused": str(error)}
except TimeoutError:
    said = {"late": True}
except (MemoryError, RecursionError):
    said = {"large": True}
sys.stdout.buffer.write(json.dumps(said).encode())
"""


def run_errand(work: str, arguments: Mapping[str, Any], *, seconds: float) -> Any:
    """Return what a function gives, from a process of its own without environment, within a time.

    Args:
        work: Module and function, such as `tools.matching:find_matches`. The function takes and returns JSON, and raises
            ValueError for what it refuses.
        arguments: Of the function, by name.
        seconds: In which it has to end; it is killed a moment later.

    Raises:
        ToolException: It refused, and says why; it took too long, needed too much memory, or crashed.
    """
    module, _, function = work.partition(":")
    given = json.dumps({"module": module, "function": function, "arguments": dict(arguments)}).encode()
    limits = json.dumps([MEMORY, _TEMPORARY, [_HERE, *sys.path]])
    try:
        done = subprocess.run(
            [sys.executable, "-I", "-S", "-c", _CHILD, limits],
            input=given,
            capture_output=True,
            timeout=seconds + _GRACE,
            cwd="/",
            env={"LANG": "C.UTF-8"},
            start_new_session=True,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise _late(seconds) from None
    said = json.loads(done.stdout) if done.returncode == 0 and done.stdout else {}
    if "result" in said:
        return said["result"]
    if "refused" in said:
        raise ToolException(said["refused"])
    if "late" in said:
        raise _late(seconds)
    why = "too much memory" if "large" in said else f"a crash ({_ending(done.returncode)})"
    raise ToolException(f"It was stopped because of {why}. Ask for less, or in a simpler way.")


def _late(seconds: float) -> ToolException:
    return ToolException(f"No result within {seconds:g} s. Ask for less, or in a simpler way.")


def _ending(code: int) -> str:
    """Say how a process ended."""
    try:
        return signal.Signals(-code).name if code < 0 else f"{os.path.basename(sys.executable)} exit code {code}"
    except ValueError:
        return f"signal {-code}"
