"""Rows as a Markdown table, and the file that keeps the latest figures."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

Row = dict[str, Any]
"""One line of a table: the columns in order, with figures rounded as they are to be shown."""

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "RESULTS.md"


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return rows as a Markdown table; figures stand on the right."""
    columns = list(rows[0])
    cells = [columns, *([_shown(row[column]) for column in columns] for row in rows)]
    widths = [max(len(line[index]) for line in cells) for index in range(len(columns))]
    right = [all(isinstance(row[column], int | float | None) for row in rows) for column in columns]
    lines = [
        " | ".join(
            cell.rjust(width) if on_right else cell.ljust(width)
            for cell, width, on_right in zip(line, widths, right, strict=True)
        )
        for line in cells
    ]
    rule = " | ".join("-" * (width - on_right) + ":" * on_right for width, on_right in zip(widths, right, strict=True))
    return "\n".join(f"| {line} |" for line in (lines[0], rule, *lines[1:]))


def _shown(value: Any) -> str:
    return "" if value is None else f"{value:,}" if isinstance(value, int) else str(value)


def machine() -> str:
    """Return what the figures depend on, in one line: day, commit, processors, Python; nothing that names the machine."""
    system = f"{platform.system()} {platform.machine()}, {os.cpu_count()} processors"
    return f"{datetime.now(UTC):%Y-%m-%d}, commit {_commit()}, {system}, Python {platform.python_version()}"


def _commit() -> str:
    command = ["git", "describe", "--always", "--dirty", "--abbrev=10"]
    found = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    return found.stdout.strip() or "unknown"


def write(sections: Mapping[str, str]) -> Path:
    """Write `RESULTS.md` anew, one section for each title, and return its path."""
    parts = ["# What was measured", f"By `python -m benchmarks --write` on {machine()}."]
    parts += [f"## {title}\n\n{text}" for title, text in sections.items()]
    RESULTS.write_text("\n\n".join(parts) + "\n", encoding="utf-8")
    return RESULTS
