"""Front door: what people type and look at, and the functions behind it for programs.

from orchestra import answer, resume, show, start
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from state.lazily import exported

if TYPE_CHECKING:
    from orchestra.control import ahalt as ahalt
    from orchestra.control import ainject as ainject
    from orchestra.control import halt as halt
    from orchestra.control import inject as inject
    from orchestra.drawing.picture import Picture as Picture
    from orchestra.drawing.picture import show as show
    from orchestra.forks import afork as afork
    from orchestra.forks import fork as fork
    from orchestra.inbox import OpenRequest as OpenRequest
    from orchestra.inbox import aexpire as aexpire
    from orchestra.inbox import arequests as arequests
    from orchestra.inbox import expire as expire
    from orchestra.inbox import requests as requests
    from orchestra.jupyter.comparison import Comparison as Comparison
    from orchestra.jupyter.comparison import compare as compare
    from orchestra.jupyter.watching import awatch as awatch
    from orchestra.jupyter.watching import watch as watch
    from orchestra.reporting.report import Report as Report
    from orchestra.reporting.report import areport as areport
    from orchestra.reporting.report import report as report
    from orchestra.request import Request as Request
    from orchestra.result import RunResult as RunResult
    from orchestra.runs import aanswer as aanswer
    from orchestra.runs import answer as answer
    from orchestra.runs import aresume as aresume
    from orchestra.runs import astart as astart
    from orchestra.runs import resume as resume
    from orchestra.runs import start as start
    from orchestra.teamfile.team import Team as Team
    from orchestra.teamfile.team import load_team as load_team
    from orchestra.teamfile.writing import save_team as save_team
    from orchestra.thread import Moment as Moment
    from orchestra.thread import ThreadInfo as ThreadInfo
    from orchestra.thread import ahistory as ahistory
    from orchestra.thread import athreads as athreads
    from orchestra.thread import history as history
    from orchestra.thread import threads as threads
    from orchestra.tracing import Span as Span
    from orchestra.tracing import Stats as Stats
    from orchestra.tracing import Trace as Trace
    from orchestra.tracing import astats as astats
    from orchestra.tracing import atrace as atrace
    from orchestra.tracing import stats as stats
    from orchestra.tracing import trace as trace

_HOME = {
    "inject": "control",
    "halt": "control",
    "ainject": "control",
    "ahalt": "control",
    "Moment": "thread",
    "OpenRequest": "inbox",
    "Picture": "drawing.picture",
    "Report": "reporting.report",
    "Request": "request",
    "RunResult": "result",
    "Span": "tracing",
    "Stats": "tracing",
    "Team": "teamfile.team",
    "ThreadInfo": "thread",
    "Trace": "tracing",
    "aanswer": "runs",
    "aexpire": "inbox",
    "afork": "forks",
    "ahistory": "thread",
    "answer": "runs",
    "areport": "reporting.report",
    "arequests": "inbox",
    "aresume": "runs",
    "astart": "runs",
    "awatch": "jupyter.watching",
    "Comparison": "jupyter.comparison",
    "compare": "jupyter.comparison",
    "astats": "tracing",
    "athreads": "thread",
    "atrace": "tracing",
    "expire": "inbox",
    "fork": "forks",
    "history": "thread",
    "load_team": "teamfile.team",
    "report": "reporting.report",
    "requests": "inbox",
    "resume": "runs",
    "save_team": "teamfile.writing",
    "show": "drawing.picture",
    "start": "runs",
    "stats": "tracing",
    "threads": "thread",
    "watch": "jupyter.watching",
    "trace": "tracing",
}

__getattr__, __dir__ = exported(__name__, _HOME)
