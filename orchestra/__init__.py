"""Front door: what people type and look at, and the functions behind it for programs.

from orchestra import answer, resume, show, start
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from orchestra.drawing.picture import Picture as Picture
    from orchestra.drawing.picture import show as show
    from orchestra.request import Request as Request
    from orchestra.result import RunResult as RunResult
    from orchestra.runs import aanswer as aanswer
    from orchestra.runs import answer as answer
    from orchestra.runs import aresume as aresume
    from orchestra.runs import astart as astart
    from orchestra.runs import resume as resume
    from orchestra.runs import start as start
    from orchestra.thread import Moment as Moment
    from orchestra.thread import ThreadInfo as ThreadInfo
    from orchestra.thread import ahistory as ahistory
    from orchestra.thread import athreads as athreads
    from orchestra.thread import history as history
    from orchestra.thread import threads as threads

_HOME = {
    "Moment": "thread",
    "Picture": "drawing.picture",
    "Request": "request",
    "RunResult": "result",
    "ThreadInfo": "thread",
    "aanswer": "runs",
    "ahistory": "thread",
    "answer": "runs",
    "aresume": "runs",
    "astart": "runs",
    "athreads": "thread",
    "history": "thread",
    "resume": "runs",
    "show": "drawing.picture",
    "start": "runs",
    "threads": "thread",
}


def __getattr__(name: str) -> Any:
    """Import a public name on first use, so that `orchestra --help` does not wait for LangGraph."""
    from importlib import import_module

    if name not in _HOME:
        raise AttributeError(f"module 'orchestra' has no attribute {name!r}")
    return getattr(import_module(f"orchestra.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted(_HOME)
