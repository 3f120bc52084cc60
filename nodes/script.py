"""A script: the answers that a `ScriptedChatModel` gives, who may take them, and what was asked."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from langchain_core.messages import AIMessage, BaseMessage, SystemMessage
from pydantic import BaseModel

from state.errors import ConfigurationError, ScriptError

FinishReason = Literal["stop", "length", "content_filter", "tool_calls"]
Match = str | Callable[[Sequence[BaseMessage]], bool]

_CLIP = 120
"""Characters of a message or step that an error repeats."""
_EVERYBODY = ""
"""Whose steps those of an ordered list are."""


@dataclass(frozen=True)
class Calls:
    """Tool calls as an answer, with an optional text beside them. Made by `call` and `calls`.

    Args:
        calls: Name of the tool and its arguments, in order.
        text: What the model says with them.
    """

    calls: tuple[tuple[str, dict[str, Any]], ...]
    text: str = ""


def call(tool: str, /, **args: Any) -> Calls:
    """Return the answer that calls one tool."""
    return Calls(((tool, args),))


def calls(*several: Calls, text: str = "") -> Calls:
    """Return the answer that calls several tools at once."""
    return Calls(tuple(pair for one in several for pair in one.calls), text)


@dataclass(frozen=True)
class Step:
    """One answer, and the circumstances of giving it.

    Args:
        answer: A text; an `AIMessage`; a dict or a Pydantic instance for a structured answer; `call(...)` or
            `calls(...)`; an exception, which is raised; or a function of the messages that returns one of these.
        delay: Seconds before the answer.
        usage: `{"input_tokens": n, "output_tokens": n}` to report; None counts approximately, `{}` reports none.
        finish_reason: Reported with the answer; None means `tool_calls` or `stop`.
        refusal: Reported with the answer, as a provider does whose model declines.
        match: A text that one of the request's messages contains, or a test of its messages. The step answers no other
            request: the first step left that fits is taken. A step without `match` fits every request.
    """

    answer: Any = ""
    delay: float = field(default=0.0, kw_only=True)
    usage: Mapping[str, int] | None = field(default=None, kw_only=True)
    finish_reason: FinishReason | None = field(default=None, kw_only=True)
    refusal: str | None = field(default=None, kw_only=True)
    match: Match | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        """Refuse what cannot be an answer."""
        answers = (str, AIMessage, Mapping, Calls, BaseException)
        structured = isinstance(self.answer, BaseModel) and not isinstance(self.answer, BaseMessage)
        function = callable(self.answer) and not isinstance(self.answer, type)
        if not (isinstance(self.answer, answers) or structured or function):
            raise ConfigurationError(
                "step of a script: expected a text, an AIMessage, a dict or Pydantic instance, call(...), an exception "
                f"or a function of the messages; got {_clip(repr(self.answer))}"
            )

    def resolved(self, messages: Sequence[BaseMessage]) -> Step:
        """Return the step with its answer at hand: a function of the messages is called."""
        step = self
        while callable(step.answer) and not isinstance(step.answer, BaseModel):
            answer = step.answer(messages)
            step = answer if isinstance(answer, Step) else replace(step, answer=answer)
        return step

    def fits(self, messages: Sequence[BaseMessage]) -> bool:
        """Say whether the step may answer a request."""
        if self.match is None:
            return True
        if isinstance(self.match, str):
            return any(self.match in message.text for message in messages)
        return self.match(messages)


@dataclass(frozen=True)
class Request:
    """One call of the model, as it arrived.

    Args:
        agent: Who called, if that could be told.
        messages: What was sent.
        tools: Bound tools in OpenAI's form.
        answer_tools: Names of those that stand for a structured answer rather than do something.
        tool_choice: What the caller bound with them.
        kwargs: All other bound or passed arguments, such as `response_format`, and `stop` when given.
    """

    agent: str | None
    messages: tuple[BaseMessage, ...]
    tools: tuple[dict[str, Any], ...] = ()
    answer_tools: tuple[str, ...] = ()
    tool_choice: Any = None
    kwargs: Mapping[str, Any] = field(default_factory=dict)

    @property
    def response_format(self) -> Any:
        """The JSON schema that was bound for the answer, or None."""
        return self.kwargs.get("response_format")

    @property
    def tool_names(self) -> list[str]:
        """Names of the bound tools."""
        return [tool.get("function", tool).get("name", "") for tool in self.tools]

    def __str__(self) -> str:
        """Show the last message, clipped."""
        if not self.messages:
            return "nothing"
        last = self.messages[-1]
        return f"{last.type} {_clip(repr(last.text))}"


class Script:
    """Steps, each given once, to whoever asks first or to the agent they are for.

    Safe to share between threads and tasks. A copy is the script itself: a model that was bound, copied or deep-copied
    goes on where the other stopped.
    """

    def __init__(self, steps: Iterable[Any], by_agent: Mapping[str, Iterable[Any]] | None) -> None:
        scripts: Mapping[str, Iterable[Any]] = {_EVERYBODY: steps} if by_agent is None else by_agent
        if any(isinstance(part, (str, Step)) for part in scripts.values()) or (by_agent is not None and tuple(steps)):
            raise ConfigurationError("script: expected a list of steps, or by_agent={name: list of steps}")
        self._left = {agent: [as_step(step) for step in part] for agent, part in scripts.items()}
        self._counts = {agent: len(part) for agent, part in self._left.items()}
        self._taken = dict.fromkeys(self._left, 0)
        self._by_agent = by_agent is not None
        self._names = {agent: _as_word(agent) for agent in self._left}
        self._refusals: list[str] = []
        self._lock = threading.RLock()
        self.requests: list[Request] = []

    def __copy__(self) -> Script:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Script:
        return self

    def __repr__(self) -> str:
        left, scripted = sum(map(len, self._left.values())), sum(self._counts.values())
        return f"<Script: {left} of {scripted} steps left>"

    def caller(self, messages: Sequence[BaseMessage], named: Sequence[str]) -> str | None:
        """Return who calls: the first name given that the script knows, else the one in the system message."""
        if not self._by_agent:
            return named[0] if named else None
        return next((name for name in named if name in self._left), None) or self._named_in(messages)

    def take(self, request: Request) -> Step:
        """Record a request and return the step that answers it, which is then gone.

        Raises:
            ScriptError: Nothing is left that answers it.
        """
        owner = (request.agent or "") if self._by_agent else _EVERYBODY
        with self._lock:
            self.requests.append(request)
            left = self._left.get(owner, [])
            found = next((index for index, step in enumerate(left) if step.fits(request.messages)), None)
            if found is None:
                self._refusals.append(self._refusal(owner, request))
                raise ScriptError(self._refusals[-1])
            self._taken[owner] += 1
            return left.pop(found)

    def assert_done(self) -> None:
        """Check that every step was taken, and that no call was refused, also where a graph survived the refusal.

        Raises:
            ScriptError: Naming what was left or refused.
        """
        with self._lock:
            problems = list(self._refusals)
            for agent, left in self._left.items():
                if left:
                    whose = f" of agent {agent!r}" if self._by_agent else ""
                    steps = ", ".join(_clip(describe_answer(step.answer)) for step in left)
                    problems.append(f"{len(left)} of {self._counts[agent]} steps{whose} left: {steps}")
        if problems:
            raise ScriptError("; ".join(problems))

    def _named_in(self, messages: Sequence[BaseMessage]) -> str | None:
        """Return the agent whose name comes first in the first line of the system message, as a word of its own."""
        system = next((message.text for message in messages if isinstance(message, SystemMessage)), "")
        line = system.strip().partition("\n")[0]
        places = ((name, word.search(line)) for name, word in self._names.items())
        found = [(place.start(), name) for name, place in places if place]
        return min(found)[1] if found else None

    def _refusal(self, owner: str, request: Request) -> str:
        if owner not in self._left:
            known = ", ".join(map(repr, self._left))
            return f"model call of agent {request.agent!r}: steps are scripted for {known}; asked: {request}"
        whose = f"agent {owner!r}: " if self._by_agent else ""
        count, left = self._counts[owner], self._left[owner]
        number = self._taken[owner] + 1
        if not left:
            return f"{whose}model call {number}, but only {count} scripted; asked: {request}"
        steps = ", ".join(_clip(describe_answer(step.answer)) for step in left)
        return f"{whose}model call {number} fits none of the steps left: {steps}; asked: {request}"


def as_step(answer: Any) -> Step:
    """Return a step as it is, and anything else as a step's answer."""
    return answer if isinstance(answer, Step) else Step(answer)


def describe_answer(answer: Any) -> str:
    """Return a step's answer as one would write it in a script."""
    if isinstance(answer, Calls):
        written = (f"{name}({', '.join(f'{k}={v!r}' for k, v in args.items())})" for name, args in answer.calls)
        return " + ".join(written)
    if isinstance(answer, AIMessage):
        return repr(answer.text) if answer.text else f"AIMessage calling {[c['name'] for c in answer.tool_calls]}"
    if callable(answer) and not isinstance(answer, BaseModel):
        return f"function {getattr(answer, '__name__', type(answer).__name__)}"
    return repr(answer)


def _as_word(name: str) -> re.Pattern[str]:
    return re.compile(rf"(?<![\w-]){re.escape(name)}(?![\w-])", re.IGNORECASE)


def _clip(text: str) -> str:
    return text if len(text) <= _CLIP else f"{text[: _CLIP - 1]}…"
