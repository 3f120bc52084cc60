"""Until: conditions that end a conversation. They compose with `|` (either will do) and `&` (both at the same time).

    group_chat.build(speakers, until=text("DONE") | rounds(5) & agreement(2))

All are tested after every turn. Those that count never cease to hold once they do, nor does `text`; `nothing_new` and
`agreement` look at the latest contributions only.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from nodes.transcript import Contribution
from nodes.wording import says_the_same
from state.errors import ConfigurationError
from state.outcome import Usage


@dataclass(frozen=True, kw_only=True)
class Talk:
    """A conversation as conditions see it.

    Args:
        speakers: Names of those who take part.
        turns: Names of those who had a turn, in order, also where nothing was said.
        said: The contributions, in order.
        seconds: Time since the conversation began, pauses included.
        usage: What it has spent, its moderator's part too.
    """

    speakers: Sequence[str]
    turns: Sequence[str]
    said: Sequence[Contribution]
    seconds: float
    usage: Usage


@dataclass(frozen=True)
class StopCondition:
    """When a conversation ends.

    Args:
        words: What it is about.
        why: Returns in words why it holds; nothing while it does not.
    """

    words: str
    why: Callable[[Talk], str] = field(repr=False, compare=False)

    def __or__(self, other: StopCondition) -> StopCondition:
        """Return the condition that holds when one of the two does; it says which."""
        return StopCondition(
            f"({self.words} or {other.words})",
            lambda talk: " and ".join(why for one in (self, other) if (why := one.why(talk))),
        )

    def __and__(self, other: StopCondition) -> StopCondition:
        """Return the condition that holds when both do."""

        def both(talk: Talk) -> str:
            reasons = [self.why(talk), other.why(talk)]
            return " and ".join(reasons) if all(reasons) else ""

        return StopCondition(f"({self.words} and {other.words})", both)


def rounds(n: int) -> StopCondition:
    """Return the condition that every speaker had `n` turns."""
    _check_count("rounds", n)
    return _when(f"round {n} is over", lambda talk: min(map(list(talk.turns).count, talk.speakers)) >= n)


def turns(n: int) -> StopCondition:
    """Return the condition that `n` turns were taken, whoever had them."""
    _check_count("turns", n)
    return _when(f"turn {n} is over", lambda talk: len(talk.turns) >= n)


def text(wanted: str) -> StopCondition:
    """Return the condition that a contribution contains a text, in the same case."""
    _check_text("text", wanted)
    return _when(f"{wanted!r} was said", lambda talk: any(wanted in one["text"] for one in talk.said))


def seconds(s: float) -> StopCondition:
    """Return the condition that so much time has passed since the turn began. It ends no turn that is being taken."""
    _check_seconds("seconds", s)
    return _when(f"{s:g} seconds have passed", lambda talk: talk.seconds >= s)


def tokens(n: int) -> StopCondition:
    """Return the condition that so many tokens were spent, read and written ones together."""
    _check_count("tokens", n)
    return _when(f"{n} tokens were spent", lambda talk: talk.usage["input_tokens"] + talk.usage["output_tokens"] >= n)


def model_calls(n: int) -> StopCondition:
    """Return the condition that so many model calls were made."""
    _check_count("model_calls", n)
    return _when(f"{n} model calls were made", lambda talk: talk.usage["model_calls"] >= n)


def nothing_new(n: int = 2) -> StopCondition:
    """Return the condition that each of the last `n` contributions says the same as one before it."""
    _check_count("nothing_new", n)

    def holds(talk: Talk) -> bool:
        texts = [one["text"] for one in talk.said]
        latest = range(max(0, len(texts) - n), len(texts))
        repeated = (any(says_the_same(texts[at], before) for before in texts[:at]) for at in latest)
        return len(texts) > n and all(repeated)

    return _when(f"the last {n} contributions brought nothing new", holds)


def agreement(n: int = 2) -> StopCondition:
    """Return the condition that the last `n` different speakers say the same."""
    _check_count("agreement", n, least=2)

    def holds(talk: Talk) -> bool:
        latest = {one["speaker"]: one["text"] for one in talk.said}
        recent = list(dict.fromkeys(one["speaker"] for one in reversed(talk.said)))[:n]
        return len(recent) == n and all(says_the_same(latest[recent[0]], latest[name]) for name in recent[1:])

    return _when(f"the last {n} speakers say the same", holds)


def _when(words: str, holds: Callable[[Talk], bool]) -> StopCondition:
    return StopCondition(words, lambda talk: words if holds(talk) else "")


def _check_text(name: str, wanted: Any) -> None:
    if not isinstance(wanted, str) or not wanted.strip():
        raise ConfigurationError(f"{name}: expected the text that ends the conversation, got {wanted!r}")


def _check_seconds(name: str, s: Any) -> None:
    if not isinstance(s, int | float) or isinstance(s, bool) or not 0 < s < math.inf:
        raise ConfigurationError(f"{name}: expected a number above 0, got {s!r}")


def _check_count(name: str, n: Any, *, least: int = 1) -> None:
    if not isinstance(n, int) or isinstance(n, bool) or n < least:
        raise ConfigurationError(f"{name}: expected a whole number, {least} or more, got {n!r}")
