"""Acceptance: a person takes a result as it is, changes it, sends it back with what is wrong, or says something about it.

What it is judged by stands in the person's prompt. Works wherever a critic does: the result may come from an agent or a team.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

from nodes.human import FOUR, Decision, DecisionType
from nodes.spec import AnyAgent, HumanAgent
from state.envelope import Envelope

DRAFT = "Draft"
"""Heading under which a critic is given the draft."""


@dataclass(frozen=True, eq=False)
class Acceptor(HumanAgent):
    """A person who is asked whether a draft is good enough."""


def as_acceptor(agent: AnyAgent) -> AnyAgent:
    """Return a person as one who is asked for acceptance, and any other agent as it is."""
    if not isinstance(agent, HumanAgent) or isinstance(agent, Acceptor):
        return agent
    backup = as_acceptor(agent.backup) if agent.backup is not None else None
    given = {each.name: getattr(agent, each.name) for each in fields(agent)}
    return Acceptor(**{**given, "backup": backup})


def draft_of(envelope: Envelope) -> str:
    """Return the text that is to be accepted."""
    return envelope.context.get(DRAFT, "")


def offer(person: HumanAgent, envelope: Envelope) -> tuple[str, dict[str, Any], str, tuple[DecisionType, ...]]:
    """Return name, arguments, text and allowed decisions of the request; what can be edited is the draft."""
    others = {key: value for key, value in envelope.context.items() if key != DRAFT}
    asked = envelope.model_copy(update={"context": others}).render()
    choices = (
        "Approve: it is good as it is. Edit: it is good as you leave it. "
        "Reject or respond: what is wrong with it, for another try."
    )
    parts = (person.prompt, asked, f"{DRAFT}:\n{draft_of(envelope)}", choices)
    return person.name, {"text": draft_of(envelope)}, "\n\n".join(part for part in parts if part), FOUR


def check_acceptance(decision: Decision) -> None:
    """Refuse an edit that leaves no text.

    Raises:
        ValueError: Says what is expected.
    """
    args = decision.edited_action.args if decision.edited_action is not None else {"text": "-"}
    if set(args) != {"text"} or not isinstance(args["text"], str) or not args["text"].strip():
        raise ValueError(f"edit: expected the whole text as 'text', got {sorted(args)}")


def accepted_as(decision: Decision, draft: str) -> tuple[str, dict[str, Any] | None]:
    """Return a decision as a critic's answer: its text, and a `Review` where it is more than words.

    Words alone are read like those of any critic: they accept, or they are what is wrong.
    """
    if decision.type == "respond":
        return decision.message or "", None
    if decision.type == "reject":
        issues = [decision.message or "Rejected, without a reason."]
        return issues[0], {"verdict": "revise", "issues": issues, "score": 0.0}
    review = {"verdict": "accept", "issues": [], "score": 1.0}
    if decision.edited_action is None:
        return "ACCEPT", review
    text = str(decision.edited_action.args["text"])
    return text, {**review, "edited": text.split() != draft.split()}
