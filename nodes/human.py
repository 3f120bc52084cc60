"""People in a run: a person as an agent, and the request and the four decisions that every pause uses.

The shapes are those of LangChain's human-in-the-loop middleware, version 1, so that chat clients render and answer them.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Annotated, Any, Literal

from langgraph.errors import _mark_invalid_resume
from langgraph.types import interrupt
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from nodes.spec import HumanAgent
from nodes.step import Step
from state.errors import InvalidAnswer
from state.outcome import Outcome

DecisionType = Literal["approve", "edit", "reject", "respond"]
Check = Callable[["Decision"], None]


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

    @model_validator(mode="after")
    def _has_what_its_type_needs(self) -> Decision:
        if self.type == "edit" and self.edited_action is None:
            raise ValueError("edit: expected edited_action with name and args")
        if self.type == "respond" and not (self.message or "").strip():
            raise ValueError("respond: expected a message")
        return self


class Answer(BaseModel):
    """The answer to a request: one decision for each action, in order."""

    model_config = ConfigDict(extra="forbid")

    decisions: Annotated[list[Decision], Field(min_length=1)]


def request_for(name: str, args: dict[str, Any], description: str, allowed: tuple[DecisionType, ...]) -> dict[str, Any]:
    """Return the request for a decision about one action, in the form that chat clients show."""
    return {
        "action_requests": [{"name": name, "args": args, "description": description}],
        "review_configs": [{"action_name": name, "allowed_decisions": list(allowed)}],
    }


def ask(
    name: str, args: dict[str, Any], description: str, allowed: tuple[DecisionType, ...], *, check: Check | None = None
) -> Decision:
    """Pause until a person has decided, and return the decision.

    The code before this in the same node runs again after the pause, so it must have no effect.

    Args:
        name: Of the action that is to be decided about.
        args: Of the action.
        description: What the person reads.
        allowed: Decisions that may be taken.
        check: Raises a `ValueError` for a decision that cannot be carried out.

    Raises:
        InvalidAnswer: The answer does not fit; the request stays open.
    """
    schema = _answer_with(allowed) if check is None else _checked_by(check, _answer_with(allowed))
    try:
        answer = interrupt(request_for(name, args, description, allowed), response_schema=schema)
    except ValidationError as error:
        wrong = "; ".join(_said(problem) for problem in error.errors(include_url=False, include_input=False))
        form = f'{{"decisions": [{{"type": {" or ".join(map(repr, allowed))}, ...}}]}}'
        refusal = InvalidAnswer(f"request of {name}: {wrong}. Expected {form}; the request is still open")
        _mark_invalid_resume(refusal)  # so that siblings answered in the same call are not cut off
        raise refusal from None
    return answer.decisions[0]


def ask_person(person: HumanAgent, step: Step) -> Outcome:
    """Give a person the envelope and return their answer as the outcome."""
    args = {"task": step.envelope.task, **step.envelope.context}
    description = "\n\n".join(part for part in (person.prompt, step.envelope.render()) if part)
    decision = ask(person.name, args, description, ("respond",))
    return step.outcome("ok", output=decision.message or "")


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
            if len(self.decisions) != 1:
                raise ValueError(f"expected one decision, got {len(self.decisions)}")
            if self.decisions[0].type not in allowed:
                raise ValueError(f"expected one of {list(allowed)}, got {self.decisions[0].type!r}")
            return self

    return OneAnswer


def _checked_by(check: Check, schema: type[Answer]) -> type[Answer]:
    """Return the schema with a check of its own. It is part of the schema because what fails it must not be saved."""

    class CheckedAnswer(schema):  # type: ignore[misc,valid-type]  # the base is one of ours
        __doc__ = Answer.__doc__

        @model_validator(mode="after")
        def _can_be_carried_out(self) -> CheckedAnswer:
            check(self.decisions[0])
            return self

    return CheckedAnswer
