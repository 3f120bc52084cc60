"""How long the command takes to start, and what importing one pattern brings along.

Each start is a process of its own. The command and the import it is compared with alternate; the ratio is the median over
the pairs.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Sequence
from statistics import median

from benchmarks.results import ROOT, Row, table
from graphs.registry import REGISTRY

TITLE = "Start"
PROMISE = (
    "`orchestra --help` in less than 0.5 x the time of `import langchain.agents`; a pattern imports no other pattern."
)

COMMAND = ("-m", "orchestra", "--help")
BASELINE = ("-c", "import langchain.agents")


def measure(*, pairs: int = 15) -> list[Row]:
    """Return a row for the command, what it is compared with, and each pattern: milliseconds in a process of its own.

    Args:
        pairs: How often the command and the baseline start, after one pair that does not count.
    """
    seconds: dict[str, list[float]] = {"import langchain.agents": [], "orchestra --help": []}
    for index in range(pairs + 1):
        for taken, arguments in zip(seconds.values(), (BASELINE, COMMAND), strict=True):
            elapsed = _run(arguments)
            if index:  # the first pair writes bytecode and fills the file cache
                taken.append(elapsed)
    baseline = seconds["import langchain.agents"]
    rows: list[Row] = [
        {
            "start": name,
            "ms": round(median(taken) * 1000),
            "x baseline": round(median(own / other for own, other in zip(taken, baseline, strict=True)), 2),
            "other patterns imported": None,
        }
        for name, taken in seconds.items()
    ]
    return rows + [_import_row(name) for name in REGISTRY]


def _import_row(name: str) -> Row:
    module = REGISTRY[name].module
    started = time.perf_counter()
    command = [sys.executable, "-c", f"import sys, json, {module}; print(json.dumps([*sys.modules]))"]
    printed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    elapsed = time.perf_counter() - started
    imported = set(json.loads(printed))
    others = [entry.name for entry in REGISTRY.values() if entry.module in imported and entry.module != module]
    return {
        "start": f"import {module}",
        "ms": round(elapsed * 1000),
        "x baseline": None,
        "other patterns imported": ", ".join(others) or "none",
    }


def _run(arguments: Sequence[str]) -> float:
    started = time.perf_counter()
    subprocess.run([sys.executable, *arguments], cwd=ROOT, stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - started


def main() -> None:
    """Print what was measured."""
    print(table(measure()))


if __name__ == "__main__":
    main()
