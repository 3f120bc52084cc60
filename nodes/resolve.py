"""Resolve: one answer out of several, with the disagreement kept on record."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any, Literal

from state.outcome import Outcome, node_of

Resolution = Literal["compose", "vote", "weighted", "rank", "adjudicate"]
Resolver = Callable[[Sequence[Outcome]], tuple[str, dict[str, Any]]]


def compose(outcomes: Sequence[Outcome]) -> tuple[str, dict[str, Any]]:
    """Join all answers, each under its agent's name, in the order of the agents."""
    parts = {node_of(outcome): outcome["output"] for outcome in outcomes}
    answer = "\n\n".join(f"## {name}\n\n{text}" for name, text in parts.items())
    return answer if len(parts) > 1 else outcomes[0]["output"], {"parts": parts}


def vote(outcomes: Sequence[Outcome]) -> tuple[str, dict[str, Any]]:
    """Take the answer most agents gave; a tie goes to the one given first."""
    return _most(outcomes, [1.0] * len(outcomes), "vote")


def weighted(outcomes: Sequence[Outcome]) -> tuple[str, dict[str, Any]]:
    """Take the answer with the most confidence behind it: the sum of `structured.confidence` (1 where there is none)."""
    return _most(outcomes, [_number(outcome, "confidence", 1.0) for outcome in outcomes], "weighted")


def rank(outcomes: Sequence[Outcome]) -> tuple[str, dict[str, Any]]:
    """Take the single answer with the highest `structured.score`, or else `confidence`; a tie goes to the first."""
    scores = [_number(outcome, "score", _number(outcome, "confidence", 0.0)) for outcome in outcomes]
    best = max(range(len(outcomes)), key=lambda index: scores[index])
    return answer_of(outcomes[best]), record("rank", outcomes, answer_of(outcomes[best]), scores)


def unanimous(outcomes: Sequence[Outcome]) -> tuple[str, dict[str, Any]]:
    """Take the answer that all agents gave, in the words of the first."""
    answer = answer_of(outcomes[0])
    return answer, record("unanimous", outcomes, answer)


RESOLVERS: dict[str, Resolver] = {"compose": compose, "vote": vote, "weighted": weighted, "rank": rank}
"""The rules that need no model. `adjudicate` asks the aggregator instead."""


def conflict(outcomes: Sequence[Outcome]) -> bool:
    """Whether the answers differ in more than case, spaces and final punctuation."""
    return len({_key(answer_of(outcome)) for outcome in outcomes}) > 1


def answer_of(outcome: Outcome) -> str:
    """Return what an agent holds to be the answer: `structured.answer`, `.choice` or `.vote`, else its text."""
    structured = outcome["structured"] or {}
    for field in ("answer", "choice", "vote"):
        if structured.get(field) not in (None, ""):
            return str(structured[field])
    return outcome["output"]


def record(
    rule: str, outcomes: Sequence[Outcome], answer: str, weights: Sequence[float] | None = None
) -> dict[str, Any]:
    """Return `{"conflict": {resolved_by, answer, said, dissent}}`: who said what, how it was settled, and who disagrees."""
    said = [
        {"agent": node_of(outcome), "answer": answer_of(outcome), "weight": weight}
        for outcome, weight in zip(outcomes, weights or [1.0] * len(outcomes), strict=True)
    ]
    dissent = [entry for entry in said if _key(str(entry["answer"])) != _key(answer)]
    return {"conflict": {"resolved_by": rule, "answer": answer, "said": said, "dissent": dissent}}


def _most(outcomes: Sequence[Outcome], weights: Sequence[float], rule: str) -> tuple[str, dict[str, Any]]:
    totals: dict[str, float] = defaultdict(float)
    for outcome, weight in zip(outcomes, weights, strict=True):
        totals[_key(answer_of(outcome))] += weight
    winner = max(totals, key=lambda key: totals[key])
    answer = next(answer_of(outcome) for outcome in outcomes if _key(answer_of(outcome)) == winner)
    return answer, record(rule, outcomes, answer, weights)


def _number(outcome: Outcome, field: str, default: float) -> float:
    value = (outcome["structured"] or {}).get(field)
    if not isinstance(value, int | float) or isinstance(value, bool) or not math.isfinite(value):
        return default
    return float(value)


def _key(answer: str) -> str:
    return " ".join(answer.casefold().split()).rstrip(".!")
