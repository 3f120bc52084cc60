"""What each agent of a run used, all its steps together: a small table to print, to show and to read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import overload

from rich.table import Table

from orchestra.jupyter.markup import frame, row, safe, table
from orchestra.jupyter.text import as_text
from orchestra.view.figures import duration, money, one_line
from state.outcome import Outcome


@dataclass(frozen=True)
class AgentUse:
    """What one agent did and used. Of a team it is the team's own effort: that of its members is in their rows."""

    agent: str
    steps: int = 0
    model_calls: int = 0
    tool_calls: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    usd: float | None = 0.0
    """US dollars; None when a price is unknown."""
    seconds: float = 0.0
    """Wall time of its steps, one after the other; of a team with the time of its members."""
    attempts: int = 0
    errors: tuple[str, ...] = ()
    """Types of the errors that its steps ended with, in order."""

    @property
    def tokens(self) -> int:
        """Tokens in and out together."""
        return self.input_tokens + self.output_tokens


class AgentTable(Sequence[AgentUse]):
    """The agents of a run in the order in which they began to count; `table["writer"]` is the row of one."""

    def __init__(self, outcomes: Iterable[Outcome]) -> None:
        found: dict[str, AgentUse] = {}
        for outcome, above in _all(outcomes):
            agent = outcome["agent"]
            found[agent] = _with(found.get(agent, AgentUse(agent)), outcome, is_step=agent != above)
        self._rows = tuple(found.values())

    @overload
    def __getitem__(self, key: int | str) -> AgentUse: ...

    @overload
    def __getitem__(self, key: slice) -> Sequence[AgentUse]: ...

    def __getitem__(self, key: int | str | slice) -> AgentUse | Sequence[AgentUse]:
        if not isinstance(key, str):
            return self._rows[key]
        for each in self._rows:
            if each.agent == key:
                return each
        there = ", ".join(repr(each.agent) for each in self._rows) or "nobody"
        raise KeyError(f"no agent {key!r} in this run; there is {there}")

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[AgentUse]:
        return iter(self._rows)

    def __repr__(self) -> str:
        drawn = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
        for name, kind in _HEADS:
            drawn.add_column(name, justify="right" if kind else "left")
        for cells in self._cells():
            drawn.add_row(*(one_line(cell) for cell in cells))
        return as_text(drawn)

    def _repr_html_(self) -> str:
        return frame(self.markup)

    @property
    def markup(self) -> str:
        """The table as a part of a page."""
        kinds = [kind for _, kind in _HEADS]
        rows = [row(zip(map(safe, cells), kinds, strict=True)) for cells in self._cells()]
        return table(_HEADS, rows)

    def _cells(self) -> list[tuple[str, ...]]:
        cells = [_cells(each) for each in self._rows]
        return [*cells, _cells(_total(self._rows))] if len(cells) > 1 else cells


_HEADS = (
    ("agent", ""),
    ("steps", "n"),
    ("model calls", "n"),
    ("tool calls", "n"),
    ("tokens in", "n"),
    ("tokens out", "n"),
    ("cost", "n"),
    ("time", "n"),
    ("errors", ""),
)


def _cells(use: AgentUse) -> tuple[str, ...]:
    numbers = (use.steps, use.model_calls, use.tool_calls, use.input_tokens, use.output_tokens)
    time = duration(use.seconds) if use.agent != _ALL else ""
    return (
        use.agent,
        *(f"{number:,}" for number in numbers),
        money(use.usd),
        time,
        ", ".join(use.errors),
    )


_ALL = "all together"


def _total(rows: Iterable[AgentUse]) -> AgentUse:
    total = AgentUse(_ALL)
    for each in rows:
        total = AgentUse(
            _ALL,
            steps=total.steps + each.steps,
            model_calls=total.model_calls + each.model_calls,
            tool_calls=total.tool_calls + each.tool_calls,
            input_tokens=total.input_tokens + each.input_tokens,
            output_tokens=total.output_tokens + each.output_tokens,
            usd=None if total.usd is None or each.usd is None else total.usd + each.usd,
            attempts=total.attempts + each.attempts,
        )
    return total


def _with(use: AgentUse, outcome: Outcome, *, is_step: bool) -> AgentUse:
    """Return a row with one more outcome, without what is counted for the outcomes below it."""
    below, spent = outcome.get("children", []), outcome["usage"]
    tries = [child for child in below if _is_try(child)]
    prices = [spent["usd"], *(child["usage"]["usd"] for child in below)]
    own = None if None in prices else max(0.0, (prices[0] or 0.0) - sum(price or 0.0 for price in prices[1:]))
    error = outcome["error"]
    return replace(
        use,
        steps=use.steps + is_step,
        model_calls=use.model_calls + _rest(spent["model_calls"], [child["usage"]["model_calls"] for child in below]),
        tool_calls=use.tool_calls + _rest(spent["tool_calls"], [child["usage"]["tool_calls"] for child in below]),
        input_tokens=use.input_tokens + _rest(spent["input_tokens"], [c["usage"]["input_tokens"] for c in below]),
        output_tokens=use.output_tokens + _rest(spent["output_tokens"], [c["usage"]["output_tokens"] for c in below]),
        usd=None if use.usd is None or own is None else use.usd + own,
        seconds=use.seconds + max(0.0, outcome["seconds"] - sum(child["seconds"] for child in tries)),
        attempts=use.attempts + _rest(outcome["attempts"], [child["attempts"] for child in tries]),
        errors=(*use.errors, error["type"]) if error else use.errors,
    )


def _rest(whole: int, parts: Iterable[int]) -> int:
    return max(0, whole - sum(parts))


def _is_try(outcome: Outcome) -> bool:
    """Whether it is an earlier try of the step above it; see `state.outcome.after`."""
    return "/" in outcome["id"]


def _all(outcomes: Iterable[Outcome], above: str = "") -> Iterator[tuple[Outcome, str]]:
    """Yield each outcome, with the agent that an earlier try of it counts for."""
    for outcome in outcomes:
        yield outcome, above if _is_try(outcome) else ""
        yield from _all(outcome.get("children", ()), outcome["agent"])
