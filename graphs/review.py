"""Review: a generator drafts, critics judge, and the draft is revised until it is accepted.

START -> begin -> generator -> ({critic, ...} | finish) -> decide -> (generator | finish) -> finish -> END

Use it when: what is wrong with a draft is easier to say than to avoid.
Costs: r * (1 + c) model calls for r rounds and c critics. Ends: at most `Context.max_rounds` rounds, sooner when a round
changes nothing.
Source: Self-Refine (Madaan et al., 2303.17651), section 3.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from typing import Any, Literal

from langgraph.graph import END, START
from langgraph.runtime import Runtime

from nodes.acceptance import DRAFT, as_acceptor
from nodes.node import Brief, agent_node
from nodes.roles import critic, writer
from nodes.spec import AnyAgent, check_agents, name_of
from nodes.turn import begin_node, conclude, recent_conversation, settle
from state.context import context_of
from state.envelope import Envelope
from state.errors import ConfigurationError
from state.graph import PatternBuilder
from state.made import remembered
from state.outcome import Outcome, describe_failure, node_of
from state.task import TaskState

Accept = Literal["all", "any"] | float

_ACCEPTED = re.compile(
    r"\W*(verdict\W+)?(accept(ed)?|approved?|ok(ay)?|lgtm)\b(?!.*\b(but|however|except|unless|once|if|after)\b)", re.I
)


class ReviewState(TaskState, total=False):
    """Adds the rounds. Drafts are named by the ids of their outcomes, so that no checkpoint holds a text twice."""

    round: int
    """Drafts made so far."""
    draft: str
    """Id of the latest; empty before the first."""
    best: str
    """Id of the one that scored highest, the later of two equals; empty until critics have spoken."""
    best_score: float
    issues: list[str]
    """What the critics want changed."""
    accepted: bool
    settled: bool
    """Whether the latest draft is the same as the one before."""


def take_draft(outcome: Outcome, state: ReviewState) -> dict[str, Any]:
    """Keep a draft that succeeded; one that failed leaves the one before in place."""
    if outcome["status"] != "ok":
        return {}
    before = find_draft(state, state.get("draft", ""))
    same = before is not None and before["output"].split() == outcome["output"].split()
    return {"draft": outcome["id"], "round": state.get("round", 0) + 1, "settled": same}


def find_draft(state: ReviewState, draft: str) -> Outcome | None:
    """Return a draft by its id; None when there is none yet."""
    return next((outcome for outcome in reversed(state["outcomes"]) if outcome["id"] == draft), None)


def latest_text(state: ReviewState) -> str:
    """Return the latest draft's text."""
    draft = find_draft(state, state["draft"])
    return draft["output"] if draft else ""


def brief_generator(recipient: str) -> Brief:
    """Return the generator's brief: the task, and from the second round its draft and the feedback on it."""

    def brief(state: ReviewState, runtime: Runtime[Any]) -> Envelope:  # noqa: ARG001  # briefs share one signature
        if not state.get("round"):
            return Envelope(sender="user", recipient=recipient, task=state["goal"])
        context = {DRAFT: latest_text(state), "Feedback": "\n".join(f"- {line}" for line in state["issues"])}
        return Envelope(sender="decide", recipient=recipient, task=state["goal"], context=context)

    return brief


def brief_critic(recipient: str) -> Brief:
    """Return a critic's brief: the task and the draft, nothing of the other critics."""

    def brief(state: ReviewState, runtime: Runtime[Any]) -> Envelope:  # noqa: ARG001  # briefs share one signature
        context = {DRAFT: latest_text(state)}
        return Envelope(sender="generator", recipient=recipient, task=state["goal"], context=context)

    return brief


def reviews_of_round(state: ReviewState, critics: Sequence[str]) -> list[Outcome]:
    """Return the critics' outcomes on the latest draft, those that failed too."""
    latest = {node_of(outcome): outcome for outcome in state["outcomes"] if node_of(outcome) in critics}
    return list(latest.values())


def is_edited(review: Outcome) -> bool:
    """Whether a person changed the draft; then what they gave is the draft."""
    return bool((review["structured"] or {}).get("edited"))


def shape_of(draft: Outcome) -> dict[str, Any] | None:
    """Return what is structured of a draft; a person's edit is text, and comes with a review."""
    return None if is_edited(draft) else draft["structured"]


def judge_draft(reviews: Sequence[Outcome], accept: Accept) -> tuple[bool, float, list[str]]:
    """Return whether the draft is accepted, its mean score, and the issues. A critic that failed does not count."""
    good = [outcome for outcome in reviews if outcome["status"] == "ok"]
    verdicts = [read_review(outcome) for outcome in good]
    if not verdicts:
        return False, 0.0, []
    score = sum(value for _, value, _ in verdicts) / len(verdicts)
    votes = [accepted for accepted, _, _ in verdicts]
    accepted = score >= accept if isinstance(accept, float) else all(votes) if accept == "all" else any(votes)
    if accepted:
        return True, score, []
    issues = [issue for _, _, found in verdicts for issue in found]
    return False, score, issues or [f"Not accepted, without an issue named (score {score:.2f})."]


def read_review(outcome: Outcome) -> tuple[bool, float, list[str]]:
    """Return verdict, score and issues of a critic that answered with a `Review`, or in words that begin with ACCEPT."""
    structured = outcome["structured"]
    if not structured or "verdict" not in structured:
        accepted = _ACCEPTED.match(outcome["output"]) is not None
        return accepted, float(accepted), [] if accepted else [outcome["output"]]
    accepted = str(structured["verdict"]).strip().casefold() == "accept"
    score, issues = structured.get("score"), structured.get("issues") or []
    if not isinstance(score, int | float) or not math.isfinite(score):
        score = accepted
    listed = issues if isinstance(issues, list) else [issues]
    return accepted, min(1.0, max(0.0, float(score))), [str(issue) for issue in listed]


def route_draft(critics: Sequence[str]) -> Callable[[ReviewState], list[str] | str]:
    """Return the router behind the generator: to all critics, or to the end when it failed or changed nothing."""

    def route(state: ReviewState) -> list[str] | str:
        failed = state["outcomes"][-1]["status"] != "ok"
        return "finish" if failed or state.get("settled") else list(critics)

    return route


def route_verdict(generator: str) -> Callable[[ReviewState, Runtime[Any]], str]:
    """Return the router behind the verdict: back to the generator while rounds are left and something is to change."""

    def route(state: ReviewState, runtime: Runtime[Any]) -> str:
        if state["round"] >= context_of(runtime).max_rounds:
            return "finish"
        return "finish" if state["accepted"] or not state["issues"] else generator

    return route


async def finish(state: ReviewState, runtime: Runtime[Any]) -> dict[str, Any]:
    """Give the accepted draft, or the best so far with the reason why none was accepted."""
    last, latest = state["outcomes"][-1], find_draft(state, state["draft"])
    if latest is None:
        status, reason = settle([last])
        return conclude(state, last["output"], status=status, reason=reason)
    if state["accepted"]:
        return conclude(state, latest["output"], status="completed", structured=shape_of(latest))
    best, reason = find_draft(state, state["best"]) or latest, why_not_accepted(state, context_of(runtime).max_rounds)
    return conclude(state, best["output"], status="stopped", reason=reason, structured=shape_of(best))


def why_not_accepted(state: ReviewState, most: int) -> str:
    """Return what ended the rounds: a generator that failed, no change, no round left, or critics that said nothing."""
    outcomes, rounds, issues = state["outcomes"], state["round"], "; ".join(state.get("issues", []))
    drafted = max(at for at, outcome in enumerate(outcomes) if node_of(outcome) == node_of(outcomes[0]))
    if outcomes[drafted]["status"] != "ok":
        return describe_failure(outcomes[drafted])
    if state.get("settled"):
        return f"no_change: round {rounds} changed nothing; open: {issues}"
    failed = [describe_failure(outcome) for outcome in outcomes[drafted + 1 :] if outcome["status"] != "ok"]
    if rounds >= most and issues:
        return "; ".join([f"max_rounds_reached: not accepted in {rounds} rounds; open: {issues}", *failed])
    return "; ".join(["not_reviewed: no critic gave a verdict that can be acted on", *failed])


@remembered
def build(
    generator: AnyAgent | None = None, critics: Sequence[AnyAgent] | None = None, *, accept: Accept = "all"
) -> PatternBuilder:
    """Return the uncompiled graph.

    Args:
        generator: Drafts and revises; remembers the conversation.
        critics: Answer with `Review {verdict, issues, score}`, or in words that begin with ACCEPT or name what is wrong.
            A person is asked for acceptance, by the criteria in their prompt, and may edit the draft.
        accept: `all` or `any` of the critics, or the least mean score, above 0 and at most 1.

    Raises:
        ConfigurationError: An argument is wrong; it is named, with what it may be.
    """
    judges = [as_acceptor(one) for one in check_agents((critic(),) if critics is None else critics, role="critics")]
    everyone = check_agents([writer() if generator is None else generator, *judges], role="generator and critics")
    scored = isinstance(accept, int | float) and not isinstance(accept, bool) and 0 < accept <= 1
    if not scored and accept not in ("all", "any"):
        raise ConfigurationError(f"accept: expected 'all', 'any' or a score above 0 and at most 1, got {accept!r}")
    threshold: Accept = float(accept) if scored else accept
    first, *others = everyone
    writing, judging = name_of(first), [name_of(agent) for agent in others]

    async def decide(state: ReviewState) -> dict[str, Any]:
        """Put the critics' verdicts together and keep the best draft so far."""
        reviews = reviews_of_round(state, judging)
        accepted, score, issues = judge_draft(reviews, threshold)
        draft = next((review["id"] for review in reviews if is_edited(review)), state["draft"])
        update: dict[str, Any] = {"accepted": accepted, "issues": issues, "draft": draft}
        if score >= state["best_score"]:
            update |= {"best": draft, "best_score": score}
        return update

    builder = PatternBuilder(ReviewState)
    nothing = {"round": 0, "draft": "", "best": "", "best_score": 0.0}
    builder.add_node("begin", begin_node(**nothing, issues=[], accepted=False, settled=False))
    draft = agent_node(first, brief_generator(writing), memory=recent_conversation, keep=take_draft)
    builder.add_node(writing, draft)
    for agent, name in zip(others, judging, strict=True):
        builder.add_node(name, agent_node(agent, brief_critic(name)))
    builder.add_node("decide", decide)
    builder.add_node("finish", finish)
    builder.add_edge(START, "begin")
    builder.add_edge("begin", writing)
    builder.add_conditional_edges(writing, route_draft(judging), [*judging, "finish"])
    builder.add_edge(judging, "decide")
    builder.add_conditional_edges("decide", route_verdict(writing), [writing, "finish"])
    builder.add_edge("finish", END)
    return builder


graph = build().compile(name="review")
