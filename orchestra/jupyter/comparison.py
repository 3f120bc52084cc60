"""Runs side by side: what each took and how it ended, as a table with a picture, to print and to show."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from rich.table import Table

from orchestra.jupyter.markup import colour_of, frame, row, safe, state_mark, table
from orchestra.jupyter.text import as_text
from orchestra.result import RunResult
from orchestra.view.figures import counted, duration, money, one_line
from state.errors import ConfigurationError, OrchestraError

_NAME = 60
"""Characters of a name that are shown."""
_HEADS = (
    ("run", ""),
    ("status", ""),
    ("agents", "n"),
    ("model calls", "n"),
    ("tokens", "n"),
    ("cost", "n"),
    ("time", "n"),
)
_BAR, _GAP, _LABELS, _BARS = 14, 6, 170, 420
"""Sizes of the picture, in pixels."""


@dataclass(frozen=True)
class _Line:
    name: str
    status: str
    agents: int
    calls: int
    tokens: int
    usd: float | None
    seconds: float | None

    def cells(self) -> tuple[str, ...]:
        time = "" if self.seconds is None else duration(self.seconds)
        return f"{self.agents:,}", f"{self.calls:,}", f"{self.tokens:,}", money(self.usd), time


class Comparison:
    """Results by name, in the order they were given. Made by `compare`."""

    def __init__(self, runs: Mapping[str, RunResult]) -> None:
        self._lines = [_line(one_line(name, _NAME), result) for name, result in runs.items()]

    def __repr__(self) -> str:
        drawn = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
        for name, kind in _HEADS:
            drawn.add_column(name, justify="right" if kind else "left")
        for line in self._lines:
            drawn.add_row(line.name, line.status, *line.cells())
        return as_text(drawn)

    def _repr_html_(self) -> str:
        kinds = [kind for _, kind in _HEADS]
        rows = [
            row(zip((safe(line.name), state_mark(line.status), *map(safe, line.cells())), kinds, strict=True))
            for line in self._lines
        ]
        return frame(table(_HEADS, rows), self.svg)

    @property
    def svg(self) -> str:
        """The tokens of each run as bars, an SVG picture without scripts."""
        most = max((line.tokens for line in self._lines), default=0) or 1
        height = len(self._lines) * (_BAR + _GAP) + 22
        width = _LABELS + _BARS + 190
        bars = "\n".join(self._bars(most))
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
            'role="img" aria-label="tokens of each run" style="max-width:100%" font-family="system-ui,sans-serif" '
            f'font-size="12" fill="currentColor">\n<text x="{_LABELS}" y="12" opacity="0.65">tokens</text>\n{bars}\n</svg>'
        )

    def _bars(self, most: int) -> Iterator[str]:
        for index, line in enumerate(self._lines):
            y, width = 20 + index * (_BAR + _GAP), max(1.0, line.tokens / most * _BARS)
            says = f"{line.tokens:,} in {counted(line.calls, 'call')}"
            yield (
                f'<text x="{_LABELS - 8}" y="{y + 11}" text-anchor="end">{safe(line.name)}</text>'
                f'<rect class="{colour_of(line.status)}" x="{_LABELS}" y="{y}" width="{width:.1f}" height="{_BAR}" rx="2" '
                f'fill="currentColor" opacity="0.75"/>'
                f'<text x="{_LABELS + width + 6:.1f}" y="{y + 11}" opacity="0.75">{says}</text>'
            )


def compare(runs: Mapping[str, RunResult]) -> Comparison:
    """Return runs side by side: the last line of a notebook's cell shows a table and a picture of it.

    Args:
        runs: Results by the name that each shall have.

    Raises:
        ConfigurationError: It is something else.
    """
    given: Any = runs
    if not isinstance(given, Mapping) or not all(isinstance(result, RunResult) for result in given.values()):
        raise ConfigurationError("compare: expected results by name, such as {'single': run, 'review': other}")
    return Comparison(runs)


def _line(name: str, result: RunResult) -> _Line:
    used = result.usage
    tokens = used["input_tokens"] + used["output_tokens"]
    try:
        seconds = result.seconds()
    except OrchestraError:  # its database was closed meanwhile; the other figures are in the result itself
        seconds = None
    return _Line(name, result.status, len(result.agents), used["model_calls"], tokens, used["usd"], seconds)
