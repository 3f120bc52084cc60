"""Faults as data: what a worker's model or code does, and what has to become of it in every pattern.

Each builds the worker that misbehaves, which is called `stuck`. What holds for a fault holds in all patterns, but that those
which have other workers give what these made: see `expected`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from langchain_core.exceptions import (
    ContextOverflowError,
    ModelAPIError,
    ModelAuthenticationError,
    ModelConnectionError,
    ModelInvalidRequestError,
    ModelNotFoundError,
    ModelPermissionDeniedError,
    ModelRateLimitError,
    ModelTimeoutError,
)
from langchain_core.messages import AIMessage
from pydantic import BaseModel

from cases import PARTIAL
from nodes import Agent, Policy, ScriptedChatModel
from nodes.scripted import Step, call, calls

Kind = Literal["passes", "falls back", "lasts", "harmless"]
MANY = 12
"""More calls than any pattern makes of one worker here."""
QUICK = Policy(backoff=0.0)
"""Time is no limit where time is not the fault: a busy machine pauses for longer than a short limit."""
SHORT = 1.0
"""Seconds until a hanging model is given up, in which a model that answers has to answer."""


@dataclass(frozen=True)
class Fault:
    """What goes wrong.

    Args:
        name: In words.
        kind: What has to become of it.
        build: Returns the worker.
        error: Type of the error that the outcome has to have, when it lasts.
        attempts: Most model calls of one step.
    """

    name: str
    kind: Kind
    build: Callable[[], Any]
    error: str = ""
    attempts: int = 3


class Shape(BaseModel):
    """What a worker is asked for."""

    text: str


def scripted(*steps: Any, **options: Any) -> Agent:
    """Return the worker with a scripted model."""
    options.setdefault("policy", QUICK)
    return Agent("stuck", "Does a part.", model=ScriptedChatModel(list(steps)), **options)


def once(step: Any, **options: Any) -> Callable[[], Agent]:
    return lambda: scripted(step, *["fine"] * MANY, **options)


def always(step: Any, **options: Any) -> Callable[[], Agent]:
    return lambda: scripted(*[step] * MANY * 3, **options)


def with_fallback(step: Any, timeout: float = QUICK.timeout) -> Callable[[], Agent]:
    def build() -> Agent:
        spare = ScriptedChatModel(["from the fallback"] * MANY)
        policy = Policy(timeout=timeout, backoff=0.0, fallback=(spare,), breaker_failures=1000)
        return scripted(*[step] * MANY * 3, policy=policy)

    return build


def function(work: Callable[[], Any]) -> Callable[[], Any]:
    """Return the builder of a worker that is a function."""

    async def stuck(task: str) -> str:
        return str(work())

    return lambda: stuck


def refusal() -> AIMessage:
    return AIMessage("", additional_kwargs={"refusal": "I would rather not."})


def ended(reason: str, text: str = "half of a sen") -> AIMessage:
    return AIMessage(text, response_metadata={"finish_reason": reason})


def broken_call() -> AIMessage:
    lost = {"name": "look", "args": '{"what": ', "id": "1", "error": None, "type": "invalid_tool_call"}
    return AIMessage("", invalid_tool_calls=[lost])


def look(what: str) -> str:
    """Look at something."""
    return f"{what} seen"


def boom(what: str) -> str:
    """Look at something that is not there."""
    raise RuntimeError(what)


def block() -> str:
    threading.Event().wait(5)
    return "too late"


def fails() -> str:
    raise KeyError("gone")


def nothing() -> str:
    return ""


FLOOD = calls(*[call("look", what=str(number)) for number in range(300)])

PASSING = {
    "429": ModelRateLimitError("slow down"),
    "5xx": ModelAPIError("busy"),
    "connection reset": ModelConnectionError("reset"),
    "socket closed": ConnectionResetError("reset by peer"),
    "provider's timeout": ModelTimeoutError("took too long"),
    "empty answer": "",
    "refusal": refusal(),
    "answer cut off": ended("length"),
    "answer filtered": ended("content_filter", ""),
    "unreadable tool call": broken_call(),
}
FINAL = {
    "400": ModelInvalidRequestError("bad request"),
    "401": ModelAuthenticationError("no such key"),
    "403": ModelPermissionDeniedError("not allowed"),
    "404": ModelNotFoundError("no such model"),
}
UNUSABLE = {
    "empty answer": "EmptyOutput",
    "refusal": "RefusedOutput",
    "answer cut off": "CutOutput",
    "answer filtered": "FilteredOutput",
    "unreadable tool call": "UnparsableOutput",
}

FAULTS = [
    *[Fault(f"{name}, once", "passes", once(step, tools=[look])) for name, step in PASSING.items()],
    Fault("context overflow, once", "passes", once(ContextOverflowError("too long"))),
    Fault(
        "wrong shape, once", "passes", lambda: scripted("words", *[Shape(text="fine")] * MANY, response_format=Shape)
    ),
    *[Fault(f"{name}, always, with a fallback", "falls back", with_fallback(step)) for name, step in PASSING.items()],
    *[Fault(f"{name}, with a fallback", "falls back", with_fallback(step)) for name, step in FINAL.items()],
    Fault("hangs, with a fallback", "falls back", with_fallback(Step("late", delay=60), SHORT)),
    *[
        Fault(f"{name}, always", "lasts", always(step), error=UNUSABLE.get(name, type(step).__name__))
        for name, step in PASSING.items()
    ],
    *[Fault(name, "lasts", always(step), error=type(step).__name__, attempts=1) for name, step in FINAL.items()],
    Fault(
        "context overflow, always",
        "lasts",
        always(ContextOverflowError("too long")),
        error="ContextOverflowError",
        attempts=2,
    ),
    Fault("wrong shape, always", "lasts", always("words", response_format=Shape), error="WrongShape", attempts=2),
    Fault("error of the client's own", "lasts", always(ValueError("who knows")), error="ValueError", attempts=1),
    Fault(
        "model hangs",
        "lasts",
        always(Step("late", delay=60), policy=Policy(timeout=0.15)),
        error="AttemptTimeout",
        attempts=1,
    ),
    Fault("function raises", "lasts", function(fails), error="KeyError", attempts=3),
    Fault("function gives nothing", "lasts", function(nothing), error="EmptyOutput", attempts=3),
    Fault("function blocks the event loop", "lasts", function(block), error="LoopBlocked", attempts=3),
    Fault("tool raises", "harmless", lambda: scripted(*[call("boom", what="x"), "fine"] * MANY, tools=[boom])),
    Fault("unknown tool", "harmless", lambda: scripted(*[call("nonsense"), "fine"] * MANY, tools=[look])),
    Fault(
        "flood of 300 tool calls", "harmless", lambda: scripted(*[FLOOD, "fine"] * MANY, tools=[look], policy=Policy())
    ),
    Fault("answer of 10 MB", "harmless", always("x" * 10_000_000)),
    Fault("answer with lone surrogates", "harmless", always("fine \ud800 so far")),
]


def expected(fault: Fault, pattern: str) -> str:
    """Return what a fault has to come to in a pattern, in the letters of the table."""
    letters = {"passes": "R", "falls back": "B", "harmless": "="}
    return letters.get(fault.kind) or ("P" if pattern in PARTIAL else "F")
