"""Loop guard: an agent that does the same again and again is stopped with the best it has.

It looks at nothing but the messages, so a step that is taken up after a pause is judged by all it did.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import takewhile
from typing import Any

from langchain.agents.middleware.types import ModelRequest, ModelResponse
from langchain_core.messages import AIMessage, AnyMessage, HumanMessage, ToolMessage

from nodes.layers.layer import ModelCall
from nodes.step import current_step
from nodes.wording import circle, says_the_same
from state.errors import LoopDetected
from tools.retrieval.stemming import stem
from tools.retrieval.words import STOP_WORDS, words

LONG = 200
"""Characters; longer arguments are the same only when they are equal."""
PROSE = 4
"""Words from which a text may be punctuated and told in another order; a shorter one may be a name, a pair or a sum."""

_BETWEEN = """
above after against before below but by from if into minus nach over per than through to under until versus via von vor
vs zu
"""
_DIRECTED = frozenset(_BETWEEN.split())
"""Little words by which it matters what stands before them and what after."""
_TELLING = _DIRECTED | {"and", "between", "down", "nor", "off", "on", "or", "out", "plus", "up", "with"}
"""Little words that turn a text into another one where they are other ones."""
_NUMBER = re.compile(r"[-.]*\d+(?:[.,]\d+)*")


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
    if not isinstance(first, str) or not isinstance(second, str) or max(len(first), len(second)) > LONG:
        return bool(first == second)
    return _folded(first) == _folded(second) or _is_paraphrase(first, second)


def _folded(text: str) -> str:
    return " ".join(text.casefold().split())


def _is_paraphrase(first: str, second: str) -> bool:
    """Whether two texts are prose that says the same, with the same numbers and telling words in the same order."""
    if not (_is_prose(first) and _is_prose(second)) or _NUMBER.findall(first) != _NUMBER.findall(second):
        return False
    one, other = words(first), words(second)
    telling = [word for word in one if word in _TELLING]
    if telling != [word for word in other if word in _TELLING] or not says_the_same(first, second):
        return False
    bare = max(len(one), len(other)) < PROSE and STOP_WORDS.isdisjoint([*one, *other])  # "EUR USD" is not "USD EUR"
    return (_DIRECTED.isdisjoint(telling) and not bare) or _order(one) == _order(other)


def _is_prose(text: str) -> bool:
    """Whether a text is letters, digits and spaces, and with enough words ordinary punctuation too."""
    allowed = ".,?!'\u2019\"-" if len(text.split()) >= PROSE else ""
    return all(c.isalpha() or c.isdecimal() or c.isspace() or c in allowed for c in text)


def _order(found: list[str]) -> list[str]:
    """Return the stems of the words that carry meaning, in their order."""
    return [stem(word) for word in found if word not in STOP_WORDS]


def _last_result(messages: Sequence[AnyMessage]) -> str:
    """Return the last thing a tool found, the best there is of an agent that said nothing yet."""
    good = [m.text for m in messages if isinstance(m, ToolMessage) and m.status != "error"]
    return good[-1] if good else ""
