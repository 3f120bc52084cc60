"""Watch a run: drawn live on a terminal, line by line into a pipe, or not at all."""

from __future__ import annotations

import threading
import time
from types import TracebackType
from typing import Protocol, Self

from rich.console import Group
from rich.live import Live
from rich.text import Text

from orchestra.view.agents import AgentRow, AgentTree
from orchestra.view.figures import counted, duration, money, one_line
from orchestra.view.screen import Screen
from orchestra.view.table import activity, agent_table, totals
from state.events import Event

_REFRESHES = 8
"""Frames a second."""
_AROUND = 4
"""Lines on the terminal that the table leaves free: heading, totals, cursor."""


class Watch(Protocol):
    """Sees the events of a run, as `on_event`, within a `with` block that lasts as long as the run."""

    tree: AgentTree

    def __call__(self, event: Event) -> None:
        """Take one event in."""

    def __enter__(self) -> Self:
        """Begin to show."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Show where the agents stand at the end."""


def watch_on(screen: Screen, tree: AgentTree) -> Watch:
    """Return the watch that suits a screen.

    Args:
        screen: Where it is shown.
        tree: What has happened already, when a run is taken up again.
    """
    if screen.is_live:
        return LiveWatch(screen, tree)
    return SilentWatch(screen, tree) if screen.quiet else LineWatch(screen, tree)


class SilentWatch:
    """Shows nothing."""

    def __init__(self, screen: Screen, tree: AgentTree) -> None:
        self.screen, self.tree, self.started = screen, tree, time.monotonic()

    def __call__(self, event: Event) -> None:
        """Take one event in."""
        self.tree.add(event)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.tree.settle("waiting" if kind is None else "unfinished")


class LineWatch(SilentWatch):
    """Writes a line for each agent that has ended: for logs and pipes."""

    _seen = 0

    def __call__(self, event: Event) -> None:
        """Take one event in."""
        self._seen += 1
        row = self.tree.add(event)
        if row is not None and event["kind"] == "agent_finished":
            self.screen.say(_line(row))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        super().__exit__(kind, error, trace)
        if self._seen:
            self.screen.say(totals(self.tree, self.screen.glyphs, time.monotonic() - self.started))


class LiveWatch(SilentWatch):
    """Draws the tree of agents, again and again, and leaves its last state on the terminal."""

    def __init__(self, screen: Screen, tree: AgentTree) -> None:
        super().__init__(screen, tree)
        self._lock = threading.Lock()  # the drawing happens in a thread of its own
        self._ended = False
        self._live = Live(console=screen.err, get_renderable=self._draw, refresh_per_second=_REFRESHES)

    def __call__(self, event: Event) -> None:
        """Take one event in; the first one starts the drawing."""
        with self._lock:
            self.tree.add(event)
        if not self._live.is_started:
            self._live.start(refresh=True)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._lock:
            super().__exit__(kind, error, trace)
            self._ended = True
        self._live.stop()

    def _draw(self) -> Group:
        room = 0 if self._ended else max(self.screen.err.height - _AROUND, 5)
        with self._lock:
            table = agent_table(self.tree, self.screen.glyphs, now=time.time(), most=room)
            summary = totals(self.tree, self.screen.glyphs, time.monotonic() - self.started)
        return Group(table, Text(summary, "dim"))


def _line(row: AgentRow) -> str:
    tokens, usd = row.used()
    parts = [row.state.replace("_", " "), one_line(row.name)]
    if any(each.model_calls for each in row.below()):
        parts += [counted(tokens, "token"), f"cost {money(usd)}"]
    parts.append(duration(row.seconds or 0.0))
    if row.state != "ok" and activity(row):
        parts.append(one_line(f"{row.trouble}: {row.why}", 200))
    return f"{parts[0]:<9} " + ", ".join(parts[1:])
