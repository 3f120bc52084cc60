"""The request that every pause makes, and the four decisions that answer it.

The shapes are those of LangChain's human-in-the-loop middleware, version 1, so that chat clients render and answer them. Beside
its keys, `about` says who asks and what is decided when nobody answers in time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import Annotated, Any, Literal

from langgraph.config import get_config
from langgraph.errors import _mark_invalid_resume
from langgraph.types import interrupt
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic.json_schema import SkipJsonSchema

from nodes.deciding import tell_answer
from nodes.step import step_around
from state.context import Context
from state.errors import ConfigurationError, InvalidAnswer
from state.requests import ABOUT

DecisionType = Literal["approve", "edit", "reject", "respond"]
Check = Callable[["Decision"], None]
FOUR: tuple[DecisionType, ...] = ("approve", "edit", "reject", "respond")


class EditedAction(BaseModel):
    """The action as the person wants it carried out."""

    name: str
    args: dict[str, Any]


class Decision(BaseModel):
    """What a person decided about one requested action."""

    model_config = ConfigDict(extra="forbid")

    type: DecisionType
    edited_action: EditedAction | None = Field(default=None, description="Needed by `edit`.")
    message: str | None = Field(default=None, description="Needed by `respond`; the reason of a `reject`.")

    @model_validator(mode="before")
    @classmethod
    def _as_javascript_clients_say(cls, given: Any) -> Any:
        """Take `editedAction`, which they send beside `edited_action`."""
        if not isinstance(given, Mapping) or "editedAction" not in given:
            return given
        rest = {key: value for key, value in given.items() if key != "editedAction"}
        rest.setdefault("edited_action", given["editedAction"])
        return given if rest["edited_action"] != given["editedAction"] else rest

    @model_validator(mode="after")
    def _has_what_its_type_needs(self) -> Decision:
        if self.type == "edit" and self.edited_action is None:
            raise ValueError("edit: expected edited_action with name and args")
        if self.type == "respond" and not (self.message or "").strip():
            raise ValueError("respond: expected a message")
        return self


class Answer(BaseModel):
    """The answer to a request: one decision for each action, in order. Of a single action the decision alone will do."""

    model_config = ConfigDict(extra="forbid")

    decisions: Annotated[list[Decision], Field(json_schema_extra={"minItems": 1})]
    expired: SkipJsonSchema[bool] = False
    """Whether nobody answered in time. Only the run itself says so, and it need not have a decision then."""

    @model_validator(mode="before")
    @classmethod
    def _of_one_decision(cls, given: Any) -> Any:
        return {"decisions": [given]} if isinstance(given, Mapping) and "type" in given else given

    @model_validator(mode="after")
    def _has_decisions(self) -> Answer:
        if not self.decisions and not self.expired:
            raise ValueError("decisions: expected one, got none")
        return self


def request_for(
    name: str,
    args: dict[str, Any],
    description: str,
    allowed: tuple[DecisionType, ...],
    about: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Return the request for a decision about one action, in the form that chat clients show."""
    return {
        "action_requests": [{"name": name, "args": args, "description": description}],
        "review_configs": [{"action_name": name, "allowed_decisions": list(allowed)}],
        ABOUT: {**_asker(), **(about or {})},
    }


def ask(
    name: str,
    args: dict[str, Any],
    description: str,
    allowed: tuple[DecisionType, ...],
    *,
    check: Check | None = None,
    expires: float | None = None,
    default: Decision | DecisionType | None = None,
) -> Decision:
    """Pause until a person has decided, and return the decision.

    The code before this in the same node runs again after the pause, so it must have no effect.

    Args:
        name: Of the action that is to be decided about.
        args: Of the action.
        description: What the person reads.
        allowed: Decisions that may be taken.
        check: Raises a `ValueError` for a decision that cannot be carried out.
        expires: Seconds after which no answer is taken any more.
        default: What is decided then, by whoever takes up the thread next. Goes with `expires`.

    Raises:
        InvalidAnswer: The answer does not fit; the request stays open.
        ConfigurationError: `expires` without `default`, or the other way round, or a default that is not allowed.
    """
    about = expiring(expires, default, allowed)
    return ask_for_answer(name, args, description, allowed, check=check, about=about).decisions[0]


def ask_for_answer(
    name: str,
    args: dict[str, Any],
    description: str,
    allowed: tuple[DecisionType, ...],
    *,
    check: Check | None = None,
    about: Mapping[str, Any] | None = None,
) -> Answer:
    """Pause until a person has decided or time ran out, and return the answer; see `ask`.

    Args:
        name: Of the action that is to be decided about.
        args: Of the action.
        description: What the person reads.
        allowed: Decisions that may be taken.
        check: Raises a `ValueError` for a decision that cannot be carried out.
        about: `expires_in` seconds, and the `default` after them, if it expires.
    """
    schema = _answer_with(allowed) if check is None else _checked_by(check, _answer_with(allowed))
    try:
        answer: Answer = interrupt(request_for(name, args, description, allowed, about), response_schema=schema)
    except ValidationError as error:
        wrong = "; ".join(_said(problem) for problem in error.errors(include_url=False, include_input=False))
        form = f'{{"decisions": [{{"type": {" or ".join(map(repr, allowed))}, ...}}]}}'
        refusal = InvalidAnswer(f"request of {name}: {wrong}. Expected {form}; the request is still open")
        _mark_invalid_resume(refusal)  # so that siblings answered in the same call are not cut off
        raise refusal from None
    tell_answer(name, answer.decisions, by="time" if answer.expired else "person")
    return answer


def expiring(
    expires: float | None = None,
    default: Decision | DecisionType | None = None,
    allowed: tuple[DecisionType, ...] = FOUR,
) -> dict[str, Any] | None:
    """Return what a request says about its expiry; None where it has none.

    Raises:
        ConfigurationError: Only one of the two is given, or they could never work.
    """
    if expires is None and default is None:
        return None
    if expires is None or default is None:
        raise ConfigurationError(f"expires and default: expected both or neither, got {expires!r} and {default!r}")
    if not expires > 0:
        raise ConfigurationError(f"expires: expected seconds above 0, got {expires!r}")
    try:
        decision = Decision(type=default) if isinstance(default, str) else default
    except ValidationError:
        raise ConfigurationError(f"default: expected a whole decision, got {default!r} alone") from None
    if decision.type not in allowed:
        raise ConfigurationError(f"default: expected one of {list(allowed)}, got {decision.type!r}")
    return {"expires_in": float(expires), "default": decision.model_dump(mode="json", exclude_none=True)}


def approval_terms(context: Context) -> dict[str, Any]:
    """Return when an approval expires and what is decided then, as the run's context has it."""
    if context.approval_expires is None:
        return {}
    return {"expires": context.approval_expires, "default": context.approval_default}


def _asker() -> dict[str, Any]:
    """Return who asks: the agent and its step, or the node where no agent works."""
    if (step := step_around()) is not None:
        return {"agent": step.agent, "step": step.id}
    return {"agent": "", "step": str((get_config().get("metadata") or {}).get("langgraph_node") or "")}


def _said(problem: Any) -> str:
    place = ".".join(map(str, problem["loc"]))
    return f"{place}: {problem['msg']}" if place else str(problem["msg"])


@cache
def _answer_with(allowed: tuple[DecisionType, ...]) -> type[Answer]:
    """Return an `Answer` of exactly one decision, of the types that the request allows."""

    class OneAnswer(Answer):
        __doc__ = Answer.__doc__

        @model_validator(mode="after")
        def _is_allowed(self) -> OneAnswer:
            if len(self.decisions) > 1:
                raise ValueError(f"expected one decision, got {len(self.decisions)}")
            if self.decisions and self.decisions[0].type not in allowed:
                raise ValueError(f"expected one of {list(allowed)}, got {self.decisions[0].type!r}")
            return self

    return OneAnswer


def _checked_by(check: Check, schema: type[Answer]) -> type[Answer]:
    """Return the schema with a check of its own. It is part of the schema because what fails it must not be saved."""

    class CheckedAnswer(schema):  # type: ignore[misc,valid-type]  # the base is one of ours
        __doc__ = Answer.__doc__

        @model_validator(mode="after")
        def _can_be_carried_out(self) -> CheckedAnswer:
            if self.decisions:
                check(self.decisions[0])
            return self

    return CheckedAnswer
