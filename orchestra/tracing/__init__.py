"""The trace of a thread: who did what, when, for whom, at what cost and why, over all agents, processes and resumes.

from orchestra.tracing import read_trace, trace
"""

from __future__ import annotations

from orchestra.tracing.reading import atrace as atrace
from orchestra.tracing.reading import read_trace as read_trace
from orchestra.tracing.reading import trace as trace
from orchestra.tracing.span import Call as Call
from orchestra.tracing.span import Decision as Decision
from orchestra.tracing.span import Span as Span
from orchestra.tracing.stats import Stats as Stats
from orchestra.tracing.stats import astats as astats
from orchestra.tracing.stats import stats as stats
from orchestra.tracing.trace import Trace as Trace
from orchestra.tracing.trace import Turn as Turn
