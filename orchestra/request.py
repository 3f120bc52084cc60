"""What a paused run asks a person, and how the answer has to look.

A request may come from anywhere below the graph: an approval, a person who stands in for an agent, a tool that needs
permission. All have the form of LangChain's human-in-the-loop middleware. An `interrupt("...")` of another form is
shown as its text and can be responded to.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, get_args

from langgraph.types import Interrupt
from pydantic import BaseModel, ConfigDict, ValidationError

from nodes.human import Decision, DecisionType, EditedAction
from state.errors import InvalidAnswer

DECISIONS: tuple[DecisionType, ...] = get_args(DecisionType)


class Action(BaseModel):
    """Something that will be done once a person agrees."""

    model_config = ConfigDict(frozen=True)

    name: str
    args: dict[str, Any]


class Request(BaseModel):
    """One open question of a paused thread."""

    model_config = ConfigDict(frozen=True)

    id: str
    """Names the request when it is answered; unique over all threads."""
    description: str
    """What is asked, for people."""
    allowed: tuple[DecisionType, ...]
    """Decisions that it takes."""
    actions: tuple[Action, ...] = ()
    """What is to be decided about, mostly one; none for a question of another form."""


def read_request(interrupt: Interrupt[Any]) -> Request:
    """Return the request that an interrupt makes."""
    value = interrupt.value
    if not isinstance(value, Mapping) or not value.get("action_requests"):
        return Request(id=interrupt.id, description=str(value), allowed=("respond",))
    asked = list(value["action_requests"])
    configured = [set(config.get("allowed_decisions", DECISIONS)) for config in value.get("review_configs", ())]
    allowed = set(DECISIONS).intersection(*configured)
    return Request(
        id=interrupt.id,
        description="\n\n".join(str(action.get("description", "")) for action in asked).strip(),
        allowed=tuple(decision for decision in DECISIONS if decision in allowed),
        actions=tuple(Action(name=str(a["name"]), args=dict(a.get("args") or {})) for a in asked),
    )


def read_decision(
    request: Request,
    decision: str | Mapping[str, Any] | Decision,
    *,
    message: str | None = None,
    args: Mapping[str, Any] | None = None,
) -> Any:
    """Return the value that resumes a request.

    Args:
        request: What is answered.
        decision: `approve`, `edit`, `reject` or `respond`, or a whole decision of the human-in-the-loop schema.
        message: The reason of a `reject`, the text of a `respond`.
        args: What an `edit` changes; arguments that are not named stay as they are.

    Raises:
        InvalidAnswer: The request does not take it; the message says what it takes.
    """
    given: dict[str, Any] = {"type": decision, "message": message} if isinstance(decision, str) else dict(decision)
    kind = given.get("type")
    if kind not in request.allowed:
        raise _invalid(request, f"expected {' or '.join(request.allowed)}, got {kind!r}")
    if len(request.actions) > 1 and kind not in ("approve", "reject"):
        raise _invalid(request, f"it is about {len(request.actions)} actions at once: approve or reject them")
    if kind == "edit" and "edited_action" not in given:
        given["edited_action"] = _edited(request, args or {})
    try:
        checked = Decision.model_validate(given)
    except ValidationError as error:
        raise _invalid(request, str(error.errors()[0]["msg"]).removeprefix("Value error, ")) from None
    if not request.actions:
        return checked.message
    plain = checked.model_dump(exclude_none=True)
    return {"decisions": [plain for _ in request.actions]}


def _edited(request: Request, args: Mapping[str, Any]) -> EditedAction:
    action = request.actions[0]
    if unknown := [name for name in args if name not in action.args]:
        raise _invalid(request, f"{action.name} has no argument {unknown[0]!r}; it has {', '.join(action.args)}")
    if not args:
        raise _invalid(request, f"edit: expected what to change; {action.name} has {', '.join(action.args)}")
    return EditedAction(name=action.name, args={**action.args, **args})


def _invalid(request: Request, why: str) -> InvalidAnswer:
    return InvalidAnswer(f"request {request.id[:8]}: {why}. It is still open")
