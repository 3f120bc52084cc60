"""Signs for the states of agents, with a set for terminals that know ASCII only."""

from __future__ import annotations

from dataclasses import astuple, dataclass
from typing import IO

STYLES = {
    "ok": "green",
    "completed": "green",
    "partial": "yellow",
    "failed": "red",
    "timed_out": "red",
    "denied": "red",
    "stopped": "yellow",
    "skipped": "yellow",
    "cancelled": "yellow",
    "waiting": "magenta",
    "unfinished": "yellow",
    "running": "cyan",
    "idle": "dim",
}
"""Colour of a state. Never the only way to tell states apart."""


@dataclass(frozen=True)
class Glyphs:
    """One sign for each state, and the lines and brackets of a tree."""

    states: dict[str, str]
    spinner: str
    fork: str
    last: str
    line: str
    loop: tuple[str, str, str, str]
    """Beside the first, a middle and the last line of what is gone round, and beside what is below them."""
    fan: tuple[str, str, str, str]
    """The same for those that work side by side."""
    critical: str
    """Beside what the end of a plan hangs on."""
    needs: str
    """Before what a subtask depends on."""
    times: str
    """Before how often somebody has worked."""
    bar: tuple[str, str]
    """What is used and what is left."""
    dot: str
    """Between parts of a line."""
    ellipsis: str

    def of(self, state: str, now: float = 0.0) -> str:
        """Return the sign of a state; that of `running` turns with the time."""
        if state == "running":
            return self.spinner[int(now * 8) % len(self.spinner)]
        return self.states.get(state, "?")


UNICODE = Glyphs(
    {"ok": "✓", "failed": "✗", "timed_out": "✗", "denied": "✗", "stopped": "■", "skipped": "–", "cancelled": "–"}
    | {"waiting": "?", "unfinished": "…", "idle": "○", "": " "},
    "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏",
    "├─ ",
    "└─ ",
    "│  ",
    ("╭▸", "│ ", "╰─", "│ "),
    ("┌", "├", "└", "│"),
    "▸",
    "←",
    "×",
    ("█", "░"),
    "·",
    "…",
)
ASCII = Glyphs(
    {"ok": "+", "failed": "x", "timed_out": "x", "denied": "x", "stopped": "#", "skipped": "-", "cancelled": "-"}
    | {"waiting": "?", "unfinished": "~", "idle": ".", "": " "},
    "*o",
    "|- ",
    "`- ",
    "|  ",
    (",>", "| ", "`-", "| "),
    ("[", "[", "[", "["),
    ">",
    "<-",
    "x",
    ("#", "."),
    "-",
    "...",
)


def glyphs_for(stream: IO[str]) -> Glyphs:
    """Return the set that a stream's encoding can write."""
    parts = astuple(UNICODE)
    signs = "".join(sign for part in parts for sign in (part.values() if isinstance(part, dict) else part))
    try:
        signs.encode(getattr(stream, "encoding", None) or "ascii")
    except (UnicodeEncodeError, LookupError):
        return ASCII
    return UNICODE
