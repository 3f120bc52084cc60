"""Transcript: what was said in a conversation, and how much of it one of those who talk is told.

The latest contributions are told in full, the older ones as a digest of a fixed size: what an agent reads does not grow with
the conversation. No model is asked, so the same contributions always give the same.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from typing_extensions import TypedDict

from nodes.wording import digest
from state.outcome import Outcome, node_of

DIGEST = 800
"""Characters of a digest."""
LEAST = 60
"""Characters of one line of it, its speaker's name included; shorter ones would say nothing."""

_LEFT_OUT = "[...]"


class Contribution(TypedDict):
    """What one speaker said in one turn."""

    speaker: str
    text: str


def turns_of(outcomes: Iterable[Outcome], speakers: Collection[str]) -> list[Outcome]:
    """Return the turns that speakers had, also those in which nothing was said."""
    return [outcome for outcome in outcomes if node_of(outcome) in speakers]


def contributions_of(turns: Iterable[Outcome]) -> list[Contribution]:
    """Return what was said. A turn that failed is left out."""
    return [Contribution(speaker=node_of(turn), text=turn["output"]) for turn in turns if turn["status"] == "ok"]


def view_of(said: Sequence[Contribution], window: int, reader: str) -> dict[str, str]:
    """Return what one who talks is told of the conversation, as heading to text; what it said itself is marked as its own.

    Args:
        said: All contributions, in order.
        window: How many of the latest are told in full; 1 or more.
        reader: Who is told.
    """
    older, latest = said[:-window], said[-window:]
    in_full = "\n\n".join(f"{_who(one, reader)}: {one['text']}" for one in latest)
    own = [one for one in older if one["speaker"] == reader][-1:]
    if any(one["speaker"] == reader for one in latest) or not own:
        return {"Previous contributions": digest_of(older, DIGEST, reader), "Latest contributions": in_full}
    mine, others = digest_of(own, DIGEST // 4), [one for one in older if one is not own[0]]
    return {
        "Previous contributions": digest_of(others, DIGEST - len(mine), reader),
        "Your contribution before": mine,
        "Latest contributions": in_full,
    }


def digest_of(said: Sequence[Contribution], most: int, reader: str = "") -> str:
    """Return at most `most` characters of what was said, a line for each: the later the longer, of the earliest nothing."""
    lines, room = list[str](), most - len(_LEFT_OUT) - 1
    for one in reversed(said):
        who = f"- {_who(one, reader)}: "
        line = who + " ".join(digest(one["text"], max(LEAST, room // 3) - len(who)).split())
        if len(line) > room:
            lines.append(_LEFT_OUT)
            break
        lines.append(line)
        room -= len(line) + 1
    return "\n".join(reversed(lines))


def _who(one: Contribution, reader: str) -> str:
    return f"{one['speaker']} (you)" if one["speaker"] == reader else one["speaker"]
