"""What a paused run asks a person, and how the answer has to look.

A request may come from anywhere below the graph: an approval, a person who stands in for an agent, a tool that needs
permission. All have the form of LangChain's human-in-the-loop middleware, batched or one for each call. An `interrupt("...")`
of another form is shown as its text and can be responded to.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal, get_args

from langgraph.types import Interrupt
from pydantic import BaseModel, ConfigDict, ValidationError

from nodes.human import Decision, DecisionType
from state.errors import InvalidAnswer
from state.requests import about_of, describe_default

DECISIONS: tuple[DecisionType, ...] = get_args(DecisionType)
AnyDecision = str | Mapping[str, Any] | Decision


class Action(BaseModel):
    """Something that will be done once a person agrees."""

    model_config = ConfigDict(frozen=True)

    name: str
    args: dict[str, Any]
    description: str = ""
    """What people read about it."""
    allowed: tuple[DecisionType, ...] = DECISIONS
    """Decisions about this action, which may be more than those about all at once."""


class Request(BaseModel):
    """One open question of a paused thread."""

    model_config = ConfigDict(frozen=True)

    id: str
    """Names the request when it is answered; unique over all threads."""
    description: str
    """What is asked, for people."""
    allowed: tuple[DecisionType, ...]
    """Decisions that it takes; of several actions those that all take."""
    actions: tuple[Action, ...] = ()
    """What is to be decided about, mostly one; none for a question of another form."""
    form: Literal["batched", "per_call", "text"] = "batched"
    """How it is answered: with a list of decisions, with one decision, or with plain text."""
    agent: str = ""
    """Who asks; empty where a step of the graph asks, or where it does not say."""
    step: str = ""
    """Id of the step that asks."""
    expires_in: float | None = None
    """Seconds from when it was first made to when no answer is taken any more; None for no limit."""
    default: str = ""
    """What is decided then, in words."""


def read_request(interrupt: Interrupt[Any]) -> Request:
    """Return the request that an interrupt makes."""
    value = interrupt.value
    if isinstance(value, Mapping) and value.get("type") == "tool_approval" and "name" in value:
        return _request(interrupt, [_action(value, _allowed_by(interrupt.response_schema))], "per_call")
    if not isinstance(value, Mapping) or not value.get("action_requests"):
        return Request(id=interrupt.id, description=str(value), allowed=("respond",), form="text")
    configs = {str(config.get("action_name")): config for config in value.get("review_configs", ())}
    actions = [
        _action(asked, configs.get(str(asked["name"]), {}).get("allowed_decisions", DECISIONS))
        for asked in value["action_requests"]
    ]
    return _request(interrupt, actions, "batched")


def _request(interrupt: Interrupt[Any], actions: Sequence[Action], form: Literal["batched", "per_call"]) -> Request:
    about, allowed = about_of(interrupt.value), set(DECISIONS).intersection(*(action.allowed for action in actions))
    return Request(
        id=interrupt.id,
        description="\n\n".join(filter(None, (action.description.strip() for action in actions))),
        allowed=tuple(decision for decision in DECISIONS if decision in allowed),
        actions=tuple(actions),
        form=form,
        agent=str(about.get("agent") or ""),
        step=str(about.get("step") or ""),
        expires_in=about.get("expires_in"),
        default=describe_default(about),
    )


def _action(asked: Mapping[str, Any], allowed: Sequence[Any]) -> Action:
    return Action(
        name=str(asked["name"]),
        args=dict(asked.get("args") or {}),
        description=str(asked.get("description") or ""),
        allowed=tuple(decision for decision in DECISIONS if decision in allowed),
    )


def _allowed_by(schema: Any) -> list[str]:
    """Return the decisions that the JSON schema of an answer takes; all where it names none."""
    return [kind for kind in _types_in(schema) if kind in DECISIONS] or list(DECISIONS)


def _types_in(schema: Any) -> Iterator[str]:
    if isinstance(schema, Mapping):
        kind = (schema.get("properties") or {}).get("type") or {}
        yield from [*([kind["const"]] if "const" in kind else []), *kind.get("enum", ())]
        for part in schema.values():
            yield from _types_in(part)
    elif isinstance(schema, list):
        for part in schema:
            yield from _types_in(part)


def read_decision(
    request: Request,
    decision: AnyDecision | Sequence[AnyDecision],
    *,
    message: str | None = None,
    args: Mapping[str, Any] | None = None,
) -> Any:
    """Return the value that resumes a request.

    Args:
        request: What is answered.
        decision: `approve`, `edit`, `reject` or `respond`, or a whole decision of the human-in-the-loop schema; a list of
            them has one for each action.
        message: The reason of a `reject`, the text of a `respond`.
        args: What an `edit` changes; arguments that are not named stay as they are.

    Raises:
        InvalidAnswer: The request does not take it; the message says what it takes.
    """
    if isinstance(decision, Sequence) and not isinstance(decision, str):
        return _answer(request, _each(request, decision))
    given: dict[str, Any] = {"type": decision, "message": message} if isinstance(decision, str) else dict(decision)
    if given.get("type") not in request.allowed:
        raise _invalid(request, f"expected {_or(request.allowed)}, got {given.get('type')!r}{_hint(request)}")
    if len(request.actions) > 1 and given["type"] not in ("approve", "reject"):
        raise _invalid(request, f"it is about {len(request.actions)} actions at once{_hint(request)}")
    if given["type"] == "edit" and "edited_action" not in given:
        given["edited_action"] = _edited(request, args or {})
    checked = _checked(request, given)
    return _answer(request, [checked for _ in request.actions] or [checked])


def edited_action(action: Action, args: Mapping[str, Any]) -> dict[str, Any]:
    """Return an action with some of its arguments changed."""
    return {"name": action.name, "args": {**action.args, **args}}


def _each(request: Request, decisions: Sequence[AnyDecision]) -> list[Decision]:
    actions = request.actions or (Action(name="", args={}, allowed=request.allowed),)
    if len(decisions) != len(actions):
        raise _invalid(request, f"expected {len(actions)} decisions, one for each action, got {len(decisions)}")
    checked = []
    for action, decision in zip(actions, decisions, strict=True):
        given = _checked(request, {"type": decision} if isinstance(decision, str) else dict(decision))
        if given.type not in action.allowed:
            raise _invalid(request, f"{action.name}: expected {_or(action.allowed)}, got {given.type!r}")
        checked.append(given)
    return checked


def _answer(request: Request, decisions: Sequence[Decision]) -> Any:
    if request.form == "text":
        return decisions[0].message
    plain = [decision.model_dump(mode="json", exclude_none=True) for decision in decisions]
    return plain[0] if request.form == "per_call" else {"decisions": plain}


def _checked(request: Request, given: Mapping[str, Any]) -> Decision:
    try:
        return Decision.model_validate(given)
    except ValidationError as error:
        raise _invalid(request, str(error.errors()[0]["msg"]).removeprefix("Value error, ")) from None


def _edited(request: Request, args: Mapping[str, Any]) -> dict[str, Any]:
    action = request.actions[0]
    if unknown := [name for name in args if name not in action.args]:
        raise _invalid(request, f"{action.name} has no argument {unknown[0]!r}; it has {', '.join(action.args)}")
    if not args:
        raise _invalid(request, f"edit: expected what to change; {action.name} has {', '.join(action.args)}")
    return edited_action(action, args)


def _or(allowed: Sequence[str]) -> str:
    return " or ".join(allowed) or "a decision for each action"


def _hint(request: Request) -> str:
    return ": approve or reject them, or give one decision for each" if len(request.actions) > 1 else ""


def _invalid(request: Request, why: str) -> InvalidAnswer:
    return InvalidAnswer(f"request {request.id[:8]}: {why}. It is still open")
