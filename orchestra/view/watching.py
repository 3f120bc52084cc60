"""Watch a run: drawn live on a terminal, told in sentences into a pipe or to a screen reader, or not at all."""

from __future__ import annotations

import threading
import time
from types import TracebackType
from typing import Protocol, Self

from rich.console import Group
from rich.live import Live

from orchestra.view.agents import AgentTree
from orchestra.view.budget import spent_of
from orchestra.view.screen import Screen
from orchestra.view.sentences import answered, at_work, ended, planned, summed_up, told
from orchestra.view.shape import Shape
from orchestra.view.table import frame
from state.budget import Budget
from state.events import Event

_REFRESHES = 8
"""Frames a second."""
_AROUND = 6
"""Lines on the terminal that the table leaves free: heading, totals, budget, questions, cursor."""
_PAUSES = (5.0, 15.0, 30.0, 60.0)
"""Seconds of silence after which it is said who is at work: the first, the second, ...; the last one again and again."""


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


def watch_on(screen: Screen, tree: AgentTree, *, shape: Shape | None = None, budget: Budget | None = None) -> Watch:
    """Return the watch that suits a screen.

    Args:
        screen: Where it is shown.
        tree: What has happened already, when a run is taken up again.
        shape: Of the graph, to show those too that have not begun.
        budget: Of the run.
    """
    if screen.is_live:
        return LiveWatch(screen, tree, shape, budget)
    kind = SilentWatch if screen.quiet else LineWatch
    return kind(screen, tree, shape, budget)


class SilentWatch:
    """Shows nothing."""

    def __init__(
        self, screen: Screen, tree: AgentTree, shape: Shape | None = None, budget: Budget | None = None
    ) -> None:
        self.screen, self.tree, self.shape, self.budget = screen, tree, shape, budget
        self.started = time.monotonic()

    def __call__(self, event: Event) -> None:
        """Take one event in."""
        self.tree.add(event)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.tree.settle("waiting" if kind is None else "unfinished")

    @property
    def seconds(self) -> float:
        """Seconds since it began."""
        return time.monotonic() - self.started


class LineWatch(SilentWatch):
    """Writes a sentence for each agent that has ended, and now and then who is at work: for logs, pipes, screen readers."""

    _seen = _silences = 0
    _plan: frozenset[str] = frozenset()
    _answer = ""
    """Of a person, which was not told yet."""

    def __enter__(self) -> Self:
        self._lock, self._spoke, self._over = threading.Lock(), threading.Event(), threading.Event()
        self._reminder = threading.Thread(target=self._remind, name="orchestra-reminder", daemon=True)
        self._reminder.start()
        return self

    def __call__(self, event: Event) -> None:
        """Take one event in."""
        with self._lock:
            self._seen += 1
            row = self.tree.add(event)
            self._hear_answer(event)
            if row is not None and event["kind"] == "agent_finished":
                self._say(ended(row))
            elif event["kind"] == "planned":
                self._tell_plan()
            self._say(told(event))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._spoke.set()
        self._reminder.join()
        super().__exit__(kind, error, trace)
        if self._seen:
            self._say(summed_up(self.tree, spent_of(self.budget, self.tree, self.seconds), self.seconds))

    def remind(self, now: float) -> None:
        """Say who is at work, at a time in seconds since 1970."""
        with self._lock:
            if text := at_work(self.tree, now):
                self.screen.say(text)

    def _hear_answer(self, event: Event) -> None:
        """Tell an answer that nobody else tells: a foreign agent says nothing of what a person decided."""
        if event["kind"] == "noted":
            self._answer = answered(event)
        elif event["kind"] == "decided" and event["data"].get("by"):
            self._answer = ""  # told with its name
        elif event["kind"] == "agent_finished":
            self._say(self._answer)
            self._answer = ""

    def _say(self, text: str) -> None:
        if text:
            self._spoke.set()
            self.screen.say(text)

    def _tell_plan(self) -> None:
        """Say what the plan is, unless it is a part of one that was told."""
        stands = [one for one in (self.tree.plan, *(row.plan for row in self.tree.rows())) if one is not None]
        for stand in stands:
            if not stand.standings.keys() <= self._plan:
                self._plan |= stand.standings.keys()
                self._say(planned(stand))

    def _remind(self) -> None:
        """Break the silence, less and less often, until something was said or all is over."""
        while not self._over.is_set():
            if self._spoke.wait(_PAUSES[min(self._silences, len(_PAUSES) - 1)]):
                self._spoke.clear()
                self._silences = 0
            else:
                self._silences += 1
                self.remind(time.time())


class LiveWatch(SilentWatch):
    """Draws the agents, again and again, and leaves their last state on the terminal."""

    def __init__(
        self, screen: Screen, tree: AgentTree, shape: Shape | None = None, budget: Budget | None = None
    ) -> None:
        super().__init__(screen, tree, shape, budget)
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
            return frame(
                self.tree,
                self.screen.glyphs,
                now=time.time(),
                seconds=self.seconds,
                spent=spent_of(self.budget, self.tree, self.seconds),
                most=room,
                shape=self.shape,
            )
