"""A person at work: they are asked, and what they answer, or that they did not, is the outcome.

Whether the person was there is found out once and kept, in a `@task`: a thread that is taken up on another day must come by the
same way. Who gets the task instead is one of the fallbacks in `run_agent`.
"""

from __future__ import annotations

import inspect
import time
from collections.abc import Mapping
from typing import Any, cast

from langgraph.func import task

from nodes.acceptance import Acceptor, accepted_as, check_acceptance, draft_of, offer
from nodes.asking import answer_within
from nodes.availability import Hours
from nodes.human import Answer, Check, DecisionType, ask_for_answer
from nodes.layers.timeout import time_limit
from nodes.policy import Fallback, Policy
from nodes.spec import Agent, AnyAgent, HumanAgent, name_of
from nodes.step import Step
from nodes.threads import in_thread
from state.budget import Budget
from state.errors import NoAnswer
from state.outcome import Failure, Outcome


async def ask_person(person: HumanAgent, step: Step) -> Outcome:
    """Give a person the envelope and return their answer as the outcome, or that there was none in time."""
    if person.due is None and person.available is None:
        return _taken(person, ask_for_answer(*_request(person, step), check=_check_of(person)), step)
    opens: float | None = await cast(Any, _arrival)(person, step)
    if opens != 0 and person.backup is not None:
        return _unanswered(person, _absence(person), step)
    about = _terms(person, opens or 0.0)
    answer = await answer_within(*_request(person, step), check=_check_of(person), about=about)
    if not answer.decisions:
        await cast(Any, _note_silence)(person, step)
    return _taken(person, answer, step)


def policy_of(agent: AnyAgent) -> Policy:
    """Return an agent's policy; of a person, who stands in for them. A team's agents have their own."""
    if isinstance(agent, HumanAgent) and agent.backup is not None:
        return Policy(budget=Budget(), fallback=(Fallback(agent=agent.backup),))
    return agent.policy if isinstance(agent, Agent) else Policy(budget=Budget())


def _request(person: HumanAgent, step: Step) -> tuple[str, dict[str, Any], str, tuple[DecisionType, ...]]:
    """Return name, arguments, text and allowed decisions of what a person is asked."""
    if isinstance(person, Acceptor):
        return offer(person, step.envelope)
    args = {"task": step.envelope.task, **step.envelope.context}
    description = "\n\n".join(part for part in (person.prompt, step.envelope.render()) if part)
    return person.name, args, description, ("respond",)


def _check_of(person: HumanAgent) -> Check | None:
    return check_acceptance if isinstance(person, Acceptor) else None


def _taken(person: HumanAgent, answer: Answer, step: Step) -> Outcome:
    """Return what an answer amounts to; one that the run gave when time ran out has no decision."""
    if not answer.decisions:
        within = f" within {person.due:g} s" if person.due is not None else " in time"
        return _unanswered(person, f"did not answer{within}", step)
    decision = answer.decisions[0]
    step.taint[f"person {person.name}"] = None
    if isinstance(person, Acceptor):
        output, structured = accepted_as(decision, draft_of(step.envelope))
        return step.outcome("ok", output=output, structured=structured)
    return step.outcome("ok", output=decision.message or "")


def _terms(person: HumanAgent, opens: float) -> Mapping[str, Any] | None:
    """Return when the request expires, and who decides then."""
    if person.due is None:
        return None
    then = {"type": "timed_out"} if person.backup is None else {"type": "reassign", "to": name_of(person.backup)}
    return {"expires_in": opens + person.due, "default": then}


def _unanswered(person: HumanAgent, why: str, step: Step) -> Outcome:
    passed = f"; it was given to {name_of(person.backup)}" if person.backup is not None else ""
    failure = Failure(type=NoAnswer.__name__, message=f"{person.name} {why}{passed}", retryable=True)
    return step.outcome("timed_out", error=failure)


def _note_reassignment(person: HumanAgent, why: str, step: Step) -> None:
    if person.backup is not None:
        step.emit("decided", decision="reassign", agent=name_of(person.backup), reason=f"{person.name} {why}")


def _absence(person: HumanAgent) -> str:
    return f"is not there ({person.available})" if isinstance(person.available, Hours) else "is not there"


@task
async def _arrival(person: HumanAgent, step: Step) -> float | None:
    """Return in how many seconds the person is there, 0 when they are; None when they are not and nobody can tell."""
    available = person.available
    if available is None or isinstance(available, Hours):
        opens: float | None = available.opens_in(time.time()) if available is not None else 0.0
    else:
        async with time_limit(step, step.policy.timeout):
            found = await (available() if inspect.iscoroutinefunction(available) else in_thread(available))
        opens = 0.0 if found else None
    if opens != 0:
        _note_reassignment(person, _absence(person), step)
    return opens


@task
async def _note_silence(person: HumanAgent, step: Step) -> None:
    _note_reassignment(person, "did not answer in time", step)
