"""A report: everything that happened in a thread, as one HTML file.

    report(persistence, "t1").save("t1.html")

In a notebook, the last line of a cell shows it.
"""

from __future__ import annotations

import io
import os
from collections.abc import Sequence
from functools import cached_property
from html import escape
from pathlib import Path
from typing import Any

from orchestra.reporting.figures import agent_figures
from orchestra.reporting.gathering import gather
from orchestra.reporting.material import Material
from orchestra.reporting.page import page
from orchestra.view.figures import duration, money, one_line
from state.errors import ConfigurationError
from state.loop import run_sync
from state.persistence import Persistence

_HEIGHT = 640
"""Pixels of a report in a notebook, which scrolls in itself."""


class Report:
    """A report of one thread, as it stood when it was made.

    Args:
        material: What it is made of; see `report`.
    """

    def __init__(self, material: Material) -> None:
        self.material = material
        self._agents = agent_figures(material.trace.spans())

    @property
    def agents(self) -> list[dict[str, Any]]:
        """A row for each agent: steps, calls, tokens, cost, seconds, attempts, errors; unknown prices are None."""
        return [agent.plain() for agent in self._agents]

    @cached_property
    def html(self) -> str:
        """The whole page: it loads nothing, and reads without JavaScript."""
        return page(self.material, self._agents)

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the page to a file, with the folders it is in, and return where it is.

        Raises:
            ConfigurationError: The path is a folder, or cannot be written.
        """
        file = Path(path).expanduser().absolute()
        if file.is_dir():
            raise ConfigurationError(f"report: {str(file)!r} is a folder; name a file in it")
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(self.html, encoding="utf-8")
        except OSError as error:
            raise ConfigurationError(f"report: {str(file)!r} cannot be written ({error.strerror})") from None
        return file

    def to_json(self) -> dict[str, Any]:
        """Return the figures as plain JSON: no contents but the task."""
        material, trace = self.material, self.material.trace
        told = {name: getattr(trace, name) for name in ("thread", "graph", "task", "created", "updated")}
        return {
            **told,
            "status": material.status,
            "reason": material.reason,
            "as_of": material.as_of,
            "turns": len(trace.turns),
            "steps": sum(1 for _ in trace.spans()),
            "usage": dict(trace.usage),
            "budget": material.budget.model_dump(exclude_none=True) if material.budget else None,
            "budget_left": trace.budget_left,
            "agents": self.agents,
            "errors": sum(agent.errors for agent in self._agents),
            "requests": [request.id for request in material.requests],
            "checkpoints": material.checkpoints,
            "audit": _audited(material),
            "missing": list(material.gaps),
        }

    def _repr_html_(self) -> str:
        """Return the page in a frame of its own, so that neither its style nor anything in it reaches the notebook."""
        title = escape(one_line(self.material.trace.thread, 80))
        style = f"width:100%;height:{_HEIGHT}px;border:1px solid #8884;border-radius:6px;resize:vertical"
        return (
            f'<iframe sandbox="allow-scripts" title="Report of {title}" style="{style}" '
            f'srcdoc="{escape(self.html)}"></iframe>'
        )

    def __repr__(self) -> str:
        from rich.console import Console
        from rich.text import Text

        from orchestra.view.columns import column_table

        material = self.material
        table = column_table("agent", "steps", "calls", "tokens", "cost", "time", "errors")
        for one in self._agents:
            calls, tokens = one.model_calls + one.tool_calls, one.input_tokens + one.output_tokens
            cost = money(one.usd) if one.model_calls else "-"
            figures = [f"{one.steps:,}", f"{calls:,}", f"{tokens:,}", cost, duration(one.seconds), f"{one.errors:,}"]
            table.add_row(*map(Text, (one_line(one.agent, 40), *figures)))
        written = Console(file=io.StringIO(), width=100, color_system=None, highlight=False, force_jupyter=False)
        with written.capture() as captured:
            written.print(table)
        head = f"Report of {one_line(material.trace.thread, 60)}: {material.status or 'unknown'}"
        lines = [line.rstrip() for line in captured.get().splitlines()] if self._agents else ["no agent has begun"]
        return "\n".join([head, *lines])


async def areport(
    persistence: Persistence, thread: str, graph: Any = None, *, options: Sequence[str] | None = None
) -> Report:
    """Return a report of a thread, whether it has ended, waits for a person or is running.

    Args:
        persistence: Where the thread is kept.
        thread: Id.
        graph: That it was started with: it tells answer, conversation and checkpoints. Not needed for patterns and teams that
            the command started.
        options: What the commands on the page need besides thread and request; by default `--db` where it is needed.

    Raises:
        UnknownThread: There is no such thread.
    """
    return Report(await gather(persistence, thread, graph, options))


def report(persistence: Persistence, thread: str, graph: Any = None, *, options: Sequence[str] | None = None) -> Report:
    """Return a report of a thread; see `areport`."""
    return run_sync(areport(persistence, thread, graph, options=options))


def _audited(material: Material) -> dict[str, Any]:
    verified = material.verified
    findings = [finding._asdict() for finding in verified.findings] if verified is not None else None
    return {
        "records": len(material.trace.audit),
        "verified": None if findings is None else not findings,
        "findings": findings,
    }
