"""Front door: what people type and look at, and the functions behind it for programs.

from orchestra import answer, resume, show, start
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from state.lazily import exported

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

__getattr__, __dir__ = exported(__name__, _HOME)
