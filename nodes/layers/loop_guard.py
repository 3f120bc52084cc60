"""Loop guard: an agent that does the same again and again is stopped with the best it has.

It looks at nothing but the messages, so a step that is taken up after a pause is judged by all it did.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import takewhile
from typing import Any

from langchain.agents.middleware.types import ModelRequest, ModelResponse
from langchain_core.messages import AIMessage, AnyMessage, HumanMessage, ToolMessage

from nodes.layers.layer import ModelCall
from nodes.step import current_step
from nodes.wording import circle, says_the_same
from state.errors import LoopDetected

LONG = 200
"""Characters; longer arguments are the same only when they are equal."""


async def loop_guard(request: ModelRequest[Any], call: ModelCall) -> ModelResponse[Any]:
    """Make the call unless the last tool calls went in a circle `Context.max_repeats` times.

    The same call three times over is a circle, and so are two or more calls in turn, also with arguments in other words. It
    counts even where results differ: an agent that polls needs a tool that waits.

    Raises:
        LoopDetected: Names the tools.
    """
    if isinstance(request.messages[-1], ToolMessage):
        step = current_step()
        since = list(takewhile(lambda message: not isinstance(message, HumanMessage), reversed(request.messages)))[::-1]
        moves = [(one["name"], one["args"]) for m in since if isinstance(m, AIMessage) for one in m.tool_calls]
        if length := circle(moves, step.context.max_repeats, same=same_arguments):
            step.last_text = step.last_text or _last_result(since)
            names = ", ".join(dict.fromkeys(name for name, _ in moves[-length:]))
            raise LoopDetected(f"loop: {names} called with the same arguments {step.context.max_repeats} times")
    return await call(request)


def same_arguments(first: dict[str, Any], second: dict[str, Any]) -> bool:
    """Whether two calls ask for the same: the same arguments, each equal or in other words."""
    return first.keys() == second.keys() and all(_same(first[key], second[key]) for key in first)


def _same(first: Any, second: Any) -> bool:
    if isinstance(first, str) and isinstance(second, str) and max(len(first), len(second)) <= LONG:
        return says_the_same(first, second)
    return bool(first == second)


def _last_result(messages: Sequence[AnyMessage]) -> str:
    """Return the last thing a tool found, the best there is of an agent that said nothing yet."""
    good = [m.text for m in messages if isinstance(m, ToolMessage) and m.status != "error"]
    return good[-1] if good else ""
