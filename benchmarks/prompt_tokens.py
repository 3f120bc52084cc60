"""Prompt tokens of whole runs, as agents' answers grow: what a supervisor, a chat, a review and a handoff make models read.

Counted as four characters a token, over all calls of a run, with models that answer at once.
"""

from __future__ import annotations

import random
from typing import Any

from benchmarks.results import Row, table
from graphs import group_chat, handoff, review, supervisor
from nodes import until
from nodes.decisions import Delegation, Finish, Review, Speaker
from nodes.scripted import ScriptedChatModel, call
from nodes.spec import Agent
from state.context import Context
from state.outcome import total_usage

TITLE = "Prompt tokens of whole runs"
PROMISE = (
    "At most 3,600 for a supervisor with three workers and replies of 2,000 characters, 2,200 with digests; linear in "
    "turns and at most 41,000 for a group chat of 30 turns of 1,000 characters."
)


def measure(*, turns: tuple[int, ...] = (10, 20, 30)) -> list[Row]:
    """Return a row for each workload.

    Args:
        turns: Lengths of the group chats.
    """
    rows = [
        _row("supervisor, three workers, replies of 2,000 characters", _supervisor(0), 3_600),
        _row("the same, with digests of 400 characters", _supervisor(400), 2_200),
    ]
    for number in turns:
        most = 41_000 if number == 30 else None
        rows.append(_row(f"group chat of {number} turns of 1,000 characters, round robin", _chat(number), most))
        rows.append(_row("the same, with a moderator", _chat(number, moderated=True), most))
    rows.append(_row("review, three rounds of 2,000 characters, two critics", _review(), None))
    rows.append(_row("handoff, three agents, notes of 1,000 characters", _handoff(), None))
    return rows


def _row(workload: str, tokens: int, most: int | None) -> Row:
    return {"workload": workload, "prompt tokens": tokens, "at most": most}


def _tokens(graph: Any, context: Context) -> int:
    result = graph.invoke({"task": "Say what is known about tides."}, context=context)
    assert result["status"] == "completed", result["reason"]
    return total_usage(result["outcomes"])["input_tokens"]


def _agent(name: str, *answers: Any, **options: Any) -> Agent:
    return Agent(name, f"Knows about {name}.", f"You know about {name}.", model=ScriptedChatModel(answers), **options)


def _text(subject: str, size: int) -> str:
    """Return sentences of made-up words on a subject, `size` characters long, the same for the same subject."""
    chance = random.Random(subject)
    words = ["".join(chance.choices("bdfgklmnprstv", k=1) + chance.choices("aeiou", k=1)) * 2 for _ in range(size // 4)]
    sentences = (f"On the {subject} {' '.join(words[at : at + 8])}. " for at in range(0, len(words), 8))
    return "".join(sentences)[:size]


def _supervisor(digest_above: int) -> int:
    names = ("moon", "sun", "coast")
    steps: list[Any] = [Delegation(agent=name, task=f"Say what you know about the {name}.") for name in names]
    leader = _agent("supervisor", *steps, Finish(answer="Tides are known."))
    workers = [_agent(name, _text(name, 2000)) for name in names]
    graph = supervisor.build(workers, supervisor=leader).compile(name="supervisor")
    return _tokens(graph, Context(digest_above=digest_above))


def _chat(turns: int, *, moderated: bool = False) -> int:
    names = ("moon", "sun", "coast")
    order = [names[number % 3] for number in range(turns)]
    speakers = [
        _agent(name, *(_text(f"{name} in turn {at}", 1000) for at, who in enumerate(order) if who == name))
        for name in names
    ]
    moderator = _agent("moderator", *(Speaker(speaker=name) for name in order)) if moderated else None
    graph = group_chat.build(speakers, moderator=moderator, until=until.turns(turns)).compile(name="group_chat")
    return _tokens(graph, Context(max_turns=turns + 1))


def _review() -> int:
    drafts = [_text(f"draft {number}", 2000) for number in range(3)]
    better = Review(verdict="revise", issues=["Say more about the moon."], score=0.5)
    critics = [_agent(name, better, better, Review(verdict="accept", score=1.0)) for name in ("style", "facts")]
    return _tokens(review.build(_agent("writer", *drafts), critics).compile(name="review"), Context())


def _handoff() -> int:
    first = _agent("front", call("transfer_to_moon", reason="It is about the moon.", notes=_text("front", 1000)))
    second = _agent("moon", call("transfer_to_coast", reason="It is about coasts.", notes=_text("moon", 1000)))
    graph = handoff.build([first, second, _agent("coast", "Tides are known.")], entry="front").compile(name="handoff")
    return _tokens(graph, Context())


def main() -> None:
    """Print what was measured."""
    print(table(measure()))


if __name__ == "__main__":
    main()
