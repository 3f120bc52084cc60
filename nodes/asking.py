"""Ask a person in the middle of a step: each question is known by an id of its own, and its answer is kept at once.

A plain `interrupt` takes its id from the node, so a second question of the same node would have the id of the first, and an
answer that is delivered twice would answer both. A `@task` has an id of its own, and what it gives is stored at once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

from langgraph.errors import GraphInterrupt
from langgraph.func import task

from nodes.human import Answer, Check, Decision, DecisionType, ask_for_answer, expiring


async def ask_within(
    name: str,
    args: dict[str, Any],
    description: str,
    allowed: tuple[DecisionType, ...],
    *,
    check: Check | None = None,
    expires: float | None = None,
    default: Decision | DecisionType | None = None,
) -> Decision:
    """Pause until a person has decided, and return the decision; see `ask`. Must be called in the same order at every try.

    Raises:
        InvalidAnswer: The answer does not fit; the request stays open.
    """
    about = expiring(expires, default, allowed)
    return (await answer_within(name, args, description, allowed, check=check, about=about)).decisions[0]


async def answer_within(
    name: str,
    args: dict[str, Any],
    description: str,
    allowed: tuple[DecisionType, ...],
    *,
    check: Check | None = None,
    about: Mapping[str, Any] | None = None,
) -> Answer:
    """Pause until a person has decided or time ran out, and return the answer; see `ask_for_answer` and `ask_within`."""
    return Answer.model_validate(await cast(Any, _question)(name, args, description, allowed, check, about))


def told_once(pause: GraphInterrupt) -> GraphInterrupt:
    """Return a pause in which each request is once: a nested graph tells of one that a `@task` makes for the node too."""
    requests = {request.id: request for request in (pause.args or ((),))[0]}
    return GraphInterrupt(tuple(requests.values()))


def requests_in(pause: GraphInterrupt) -> list[dict[str, str]]:
    """Return `{id, name}` of each request that a pause is for; of somebody else's the id only."""
    return [{"id": each.id, "name": _name_of(each.value)} for each in (pause.args or ((),))[0]]


def _name_of(value: Any) -> str:
    actions = value.get("action_requests") if isinstance(value, Mapping) else None
    names = [each.get("name") for each in actions or () if isinstance(each, Mapping)]
    return ", ".join(map(str, names))


@task
async def _question(
    name: str,
    args: dict[str, Any],
    description: str,
    allowed: tuple[DecisionType, ...],
    check: Check | None,
    about: Mapping[str, Any] | None,
) -> dict[str, Any]:
    answer = ask_for_answer(name, args, description, allowed, check=check, about=about)
    return answer.model_dump(mode="json", exclude_none=True)


def merged(errors: Sequence[BaseException]) -> BaseException:
    """Return one error for all: the first that is no pause, else one pause that holds every request."""
    other = next((error for error in errors if not isinstance(error, GraphInterrupt)), None)
    requests = [
        request for error in errors if isinstance(error, GraphInterrupt) for request in (error.args or ((),))[0]
    ]
    return other or GraphInterrupt(tuple(requests))
