"""A live table in a notebook: drawn anew in the place where it was first shown, and saved as it was at the end."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from types import TracebackType
from typing import Any, Self

from nodes.models import ENGINE_NOTICE
from orchestra.jupyter.card import asked_markup
from orchestra.jupyter.markup import frame, safe, state_mark
from orchestra.jupyter.tree import Span, totals_text, tree_markup, tree_text
from orchestra.result import RunResult
from orchestra.view.agents import AgentTree
from orchestra.view.figures import one_line
from state.events import Event

_PAUSE = 1 / 8
"""Seconds from one drawing to the next, at least."""
_SHARE = 10
"""A drawing is followed by a pause of so many times what it took, so that long tables do not slow the run down."""
_TICK = 1.0
"""Seconds after which it is drawn even if nothing happened, because time goes on."""


class LiveTable:
    """Shows the agents of a run while it lasts. Give it every event; use it as an async context manager around the run.

    Args:
        name: Of the graph.
        thread: Id.
        tree: What has happened already, when a run is taken up again.
    """

    def __init__(self, name: str, thread: str, tree: AgentTree) -> None:
        self.name, self.thread, self.tree = name, thread, tree
        self.begun, self.result, self.broken = time.time(), None, ""
        self._handle: Any = None
        self._drawn, self._pause, self._changed = 0.0, _PAUSE, False
        self._clock: asyncio.Task[None] | None = None

    result: RunResult | None
    """Set once the run has ended."""

    def __call__(self, event: Event) -> None:
        """Take one event in, and draw if the last drawing is long enough ago."""
        self.tree.add(event)
        self._changed = True
        if time.monotonic() - self._drawn >= self._pause:
            self._draw()

    async def __aenter__(self) -> Self:
        self._clock = asyncio.create_task(self._keep_drawing())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._clock is not None:
            self._clock.cancel()
            with suppress(asyncio.CancelledError):
                await self._clock
        if error is not None and self._handle is None:
            return  # it was refused before anything ran
        if error is not None:
            asked = isinstance(error, asyncio.CancelledError | KeyboardInterrupt)
            self.broken = "interrupted" if asked else type(error).__name__
        self.tree.settle("waiting" if error is None else "unfinished")
        self._draw()

    async def _keep_drawing(self) -> None:
        while True:
            await asyncio.sleep(self._pause)
            since = time.monotonic() - self._drawn
            if self._handle is not None and ((self._changed and since >= self._pause) or since >= _TICK):
                self._draw()

    def _draw(self) -> None:
        from IPython.display import display

        begun = time.monotonic()
        self._changed = False
        bundle = self.bundle()
        if self._handle is None:
            self._handle = display(bundle, raw=True, display_id=True)  # type: ignore[no-untyped-call]  # IPython's
        else:
            self._handle.update(bundle, raw=True)
        self._drawn = time.monotonic()
        self._pause = max(_PAUSE, _SHARE * (self._drawn - begun))

    def bundle(self) -> dict[str, str]:
        """Return what is shown now, for pages and for terminals."""
        now = time.time()
        summary = totals_text(self.tree, now - self.begun)
        text = [f"{one_line(self.name)} · {self._status} · thread {one_line(self.thread)}", *self._notes()]
        text += [tree_text(self.tree, now), summary]
        return {"text/html": self._markup(now, summary), "text/plain": "\n".join(line for line in text if line)}

    def _markup(self, now: float, summary: str) -> str:
        head = (
            f'<div class="head"><b>{safe(one_line(self.name, 80))}</b> · {state_mark(self._status)} '
            f'<span class="dim">· thread {safe(one_line(self.thread, 80))}</span></div>'
        )
        notes = [f'<div class="dim">{safe(note)}</div>' for note in self._notes()]
        rows = tree_markup(self.tree, Span(self._first(), now)) if self.tree.top else ""
        asked = asked_markup(self.result) if self.result is not None else ()
        return frame(head, *notes, rows, f'<div class="foot">{safe(summary)}</div>', *asked)

    @property
    def _status(self) -> str:
        if self.result is not None:
            return self.result.status
        return "unfinished" if self.broken else "running"

    def _notes(self) -> Iterator[str]:
        if self.broken:
            yield f"broken off: {self.broken}; what was finished is kept, and watch(..., thread={self.thread!r}) goes on"
        if self.result is not None and self.result.reason:
            yield one_line(self.result.reason, 300)
        if self.result is not None and self.result.by_engine:
            yield ENGINE_NOTICE

    def _first(self) -> float:
        """Return when what is shown began: not before this table did, so that a run taken up days later is still seen."""
        return max(self.begun, min((row.started for row in self.tree.top), default=self.begun))


def in_notebook() -> bool:
    """Whether this process is the kernel of a notebook, and output can be drawn anew."""
    loaded = sys.modules.get("IPython")  # a kernel has it loaded
    return loaded is not None and hasattr(loaded.get_ipython(), "kernel")
