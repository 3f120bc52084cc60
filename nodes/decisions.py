"""Decisions: the shapes that deciding agents answer with, and how an answer is read as one of them."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import replace
from types import UnionType
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, BeforeValidator, Field, model_validator

from nodes.layers.json_text import alternatives, fits, read_answers
from nodes.spec import Agent, AnyAgent
from state.outcome import Outcome

ShapeT = TypeVar("ShapeT", bound=BaseModel)


class Split(BaseModel):
    """A task taken apart into items that can be worked on at the same time."""

    items: list[str] = Field(
        min_length=1, description="Each a task complete in itself, without reference to the others."
    )


class Review(BaseModel):
    """A critic's verdict on a draft."""

    verdict: Literal["accept", "revise"] = Field(description="accept when nothing has to change.")
    issues: list[str] = Field(default_factory=list, description="What has to change, one issue each, quoting the text.")
    score: float = Field(ge=0, le=1, description="Quality of the draft from 0 to 1.")


class Adjudication(BaseModel):
    """A judge's choice between answers that differ."""

    answer: str = Field(description="The answer to give.")
    chosen: str = Field(default="", description="Name of the agent whose answer it follows.")
    reason: str = Field(default="", description="Why.")


class Route(BaseModel):
    """A router's choice of who works on a task."""

    agents: list[str] = Field(description="Names of those who should work on it: one, or several for several parts.")
    confidence: float = Field(default=1.0, description="How sure the choice is, from 0 to 1.")
    reason: str = Field(default="", description="Why.")


class Delegation(BaseModel):
    """A task for one worker. Several at once are worked on at the same time."""

    agent: str = Field(description="Name of the worker.")
    task: str = Field(description="What to do, complete in itself: the worker is told nothing else.")
    reason: str = Field(default="", description="Why this worker, and why now.")


class Finish(BaseModel):
    """The end of the work: the answer to the user's task."""

    answer: str = Field(description="The answer, complete in itself.")


class Verdict(BaseModel):
    """A manager's verdict on what a worker gave."""

    verdict: Literal["accept", "retry", "reassign", "escalate"] = Field(
        description="accept: it will do. retry: the same worker, with feedback. reassign: another worker. escalate: "
        "it cannot be done here."
    )
    feedback: str = Field(default="", description="What has to change, or why it is escalated.")
    agent: str = Field(default="", description="Name of the other worker, where it is reassigned.")


class Speaker(BaseModel):
    """A moderator's choice of who speaks next."""

    speaker: str = Field(default="", description="Name of the next speaker; empty when the talk is done.")
    reason: str = Field(default="", description="Why.")
    done: bool = Field(default=False, description="Whether nothing is left to say.")


class Judgement(BaseModel):
    """A judge's decision of a debate."""

    winner: str = Field(description="Name of the debater who was right, or the option that won.")
    reason: str = Field(default="", description="Why, by the arguments that were made.")
    scores: dict[str, float] = Field(default_factory=dict, description="Points of each debater or option, 0 to 1.")


def _with_known_keys(value: Any, known: Collection[str]) -> Any:
    """Return an object with its keys as the shape writes them: `isInLoop` and `Is in loop` are `is_in_loop`.

    Raises:
        ValueError: It has keys and none of them is known, so it is something else.
    """
    if not isinstance(value, dict) or not value:
        return value
    spelled = {_bare(name): name for name in known}
    renamed = {spelled.get(_bare(str(key)), key): part for key, part in value.items()}
    if not any(name in renamed for name in known):
        raise ValueError(f"expected {', '.join(known)}, got {', '.join(map(str, value))[:200]}")
    return renamed


def _bare(name: str) -> str:
    return re.sub(r"[\W_]+", "", name).casefold()


def _first_word(value: Any) -> Any:
    """Return the word that a yes-or-no answer in words begins with."""
    found = re.match(r"\W*(\w+)", value) if isinstance(value, str) else None
    return found[1] if found else value


def _text(value: Any) -> Any:
    return "" if value is None else value


def _as_lines(value: Any) -> Any:
    """Return a list of texts from a list of anything, or from one text with a line for each."""
    if isinstance(value, str):
        value = [re.sub(r"^\s*(?:[-*+]|\d+[.)])\s+", "", line) for line in value.splitlines()]
    if not isinstance(value, list):
        return value
    texts = (", ".join(map(str, part.values())) if isinstance(part, dict) else str(part) for part in value)
    return [text.strip() for text in texts if text.strip()]


Lines = Annotated[list[str], BeforeValidator(_as_lines)]


class TaskLedger(BaseModel):
    """What is known about a task, and how it is gone about."""

    facts: Lines = Field(default_factory=list, description="What is given, was looked up or found out.")
    guesses: Lines = Field(default_factory=list, description="What is likely, and not known.")
    plan: Lines = Field(default_factory=list, description="Steps, in order, each naming who does it.")

    @model_validator(mode="before")
    @classmethod
    def _tidy(cls, value: Any) -> Any:
        return _with_known_keys(value, cls.model_fields)


class Finding(BaseModel):
    """An answer to a yes-or-no question about the progress, with its reason."""

    reason: str = ""
    answer: Annotated[bool, BeforeValidator(_first_word)]

    @model_validator(mode="before")
    @classmethod
    def _tidy(cls, value: Any) -> Any:
        return _with_known_keys({"answer": value} if isinstance(value, bool | str) else value, cls.model_fields)


class Choice(BaseModel):
    """An answer in words, with its reason."""

    reason: str = ""
    answer: Annotated[str, BeforeValidator(_text)]

    @model_validator(mode="before")
    @classmethod
    def _tidy(cls, value: Any) -> Any:
        return _with_known_keys(
            {"answer": value} if value is None or isinstance(value, str) else value, cls.model_fields
        )


class ProgressLedger(BaseModel):
    """Where the work stands. Source: Magentic-One (Fourney et al., 2411.04468), section 4."""

    is_request_satisfied: Finding = Field(description="Whether the task is done, whole and well.")
    is_in_loop: Finding = Field(description="Whether the same is asked or answered again and again.")
    is_progress_being_made: Finding = Field(description="Whether the latest steps brought something new.")
    next_speaker: Choice = Field(description="Name of the worker who goes on.")
    instruction_or_question: Choice = Field(description="What that worker is told, complete in itself.")

    @model_validator(mode="before")
    @classmethod
    def _tidy(cls, value: Any) -> Any:
        return _with_known_keys(value, cls.model_fields)


def with_shape(agent: AnyAgent, shape: type[BaseModel] | UnionType) -> AnyAgent:
    """Return an agent that answers in a shape, unless it has one of its own or is none of our agents."""
    if isinstance(agent, Agent) and agent.response_format is None:
        return replace(agent, response_format=shape)
    return agent


def in_role(agent: AnyAgent, shape: type[BaseModel] | UnionType | None) -> AnyAgent:
    """Return an agent that plays several roles as it answers in one of them, whatever shape it has of its own."""
    return replace(agent, response_format=shape) if isinstance(agent, Agent) else agent


def read_decision(outcome: Outcome, shape: type[ShapeT]) -> ShapeT | None:
    """Return an outcome as a decision, from its structure or from JSON in its text; None when it holds none."""
    return next(iter(read_decisions(outcome, shape)), None)


def read_decisions(outcome: Outcome, shape: Any) -> list[Any]:
    """Return all decisions that an outcome holds, in order, each in the first of the shapes that it fits.

    Args:
        outcome: What an agent gave. One that did not succeed holds none.
        shape: A Pydantic model, or a union of several.
    """
    if outcome["status"] != "ok":
        return []
    structured, shapes = outcome["structured"], alternatives(shape)
    if structured is None:
        return read_answers(outcome["output"], {one.__name__: one for one in shapes}, several=True)
    several = structured.get("answers")
    parts = several if isinstance(several, list) and set(structured) == {"answers"} else [structured]
    return [decision for part in parts if (decision := _as_one_of(part, shapes)) is not None]


def _as_one_of(value: Any, shapes: tuple[type[BaseModel], ...]) -> BaseModel | None:
    for shape in shapes:
        try:
            found: BaseModel = fits(value, shape)
        except ValueError:
            continue
        return found
    return None
