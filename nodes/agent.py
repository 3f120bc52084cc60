"""The one agent step: everything that calls a model, a person or a team goes through `run_agent` and becomes an `Outcome`."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from langchain_core.exceptions import ModelError as ProviderError
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AnyMessage, HumanMessage, ToolMessage
from langchain_core.runnables import RunnableConfig
from langgraph.errors import GraphInterrupt
from langgraph.runtime import Runtime

from nodes.asking import requests_in, told_once
from nodes.authority import Authority
from nodes.calling import ask_model, run_loop
from nodes.deciding import tell_decisions
from nodes.invokable import invoke_as_agent
from nodes.layers.colleagues import find_transfer, last_said
from nodes.layers.history import readable_text
from nodes.layers.json_text import as_plain_json
from nodes.layers.outside import taint, taint_in
from nodes.layers.record import adopt_earlier_calls
from nodes.layers.retry import concerns_run, is_retryable, load_first
from nodes.layers.timeout import AttemptTimeout
from nodes.manifest import manifest_of
from nodes.models import describe_model
from nodes.person import ask_person, policy_of
from nodes.rescue import Try, can_pause, has_failed, kept, rescued
from nodes.spec import Agent, AnyAgent, HumanAgent, name_of
from nodes.step import SiblingFailed, Step, entered, open_step
from state.budget import Account, Budget
from state.envelope import Envelope
from state.errors import BudgetExceeded, EmptyOutput, LoopDetected, NoAnswer, PersistenceError
from state.excerpts import excerpt
from state.outcome import Failure, Outcome, after, no_usage
from state.redaction import redact
from state.registers import Grant
from state.run import with_run


async def run_agent(
    agent: AnyAgent,
    envelope: Envelope,
    runtime: Runtime[Any],
    config: RunnableConfig,
    *,
    step_id: str = "",
    memory: Sequence[AnyMessage] = (),
    budget: Budget | None = None,
    under: Authority | None = None,
    grant: Grant | None = None,
) -> Outcome:
    """Run one agent on one envelope and return what became of it.

    Args:
        agent: Who works.
        envelope: What it is sent.
        runtime: Of the node it runs in.
        config: Of the node it runs in.
        step_id: Id of the outcome; the agent's name by default.
        memory: What it remembers of earlier turns.
        budget: Limits of the step, of those that stand in for the agent, and of all below, in place of those of its policy.
        under: What those may do that it works for, besides the step it is called from.
        grant: By which it works, when another agent gave it the task.

    Failures of the agent, its model and its tools are in the outcome. Interrupts pass through, and so do errors of the
    storage under the run, which stop it.
    """
    if isinstance(agent, BaseChatModel):
        agent = Agent(name_of(agent), model=agent)
    policy = policy_of(agent) if budget is None else replace(policy_of(agent), budget=budget)

    async def attempt(envelope: Envelope, config: RunnableConfig) -> Outcome:
        step = open_step(
            step_id or name_of(agent), name_of(agent), envelope, policy, runtime, config, under=under, grant=grant
        )
        return await _attempted(agent, step, memory, under, step.account if budget is not None else step.run.account)

    if policy.on_failure == "escalate":
        return await rescued(attempt, envelope, runtime, config)
    return await attempt(envelope, config)


async def _attempted(
    agent: AnyAgent, step: Step, memory: Sequence[AnyMessage], under: Authority | None, account: Account
) -> Outcome:
    """Run an agent, then those that stand in for it on an account, and tell what came of it."""
    policy, envelope = step.policy, step.envelope
    given = manifest_of(agent, envelope, memory, step.context.prompts)
    version = {"version": agent.version} if isinstance(agent, Agent) and agent.version else {}
    step.emit("agent_started", task=excerpt(envelope.task), sender=envelope.sender, given=given, **version)
    stand_ins = [fallback.agent for fallback in policy.fallbacks() if fallback.agent is not None]
    if stand_ins:
        outcome = await _relieved([agent, *stand_ins], step, memory, under, account)
    else:
        with entered(step):
            outcome = await _settled(agent, step, memory)
    if has_failed(outcome) and policy.on_failure == "skip":
        outcome = {**outcome, "status": "skipped"}
    tell_decisions(agent, outcome, step)
    told = ("status", "attempts", "seconds", "usage", "error", "model", "taint")
    summary = {key: value for key, value in outcome.items() if key in told}
    left = {"left": left} if (left := step.run.left()) else {}
    step.emit("agent_finished", **summary, output=excerpt(outcome["output"]), **left)
    return outcome


async def _relieved(
    team: Sequence[AnyAgent],
    step: Step,
    memory: Sequence[AnyMessage],
    under: Authority | None,
    account: Account,
) -> Outcome:
    """Run the first of a team, whose step it is, then those that stand in for it on an account, until one succeeds.

    All this runs again after a pause. So each try that may have another behind it is kept, where it can be; what a person did is
    kept already, question by question.
    """
    last, keeps = len(team) - 1, can_pause(step.config)
    own, around = step.config, with_run(step.config, replace(step.run, account=account))

    async def attempt(at: int, envelope: Envelope, config: RunnableConfig) -> Outcome:
        if at == 0:
            step.config = config
            with entered(step):
                outcome = await _settled(team[0], step, memory)
        else:
            given: dict[str, Any] = {"step_id": step.id, "memory": memory, "under": under, "grant": step.grant}
            outcome = await run_agent(team[at], envelope, step.runtime, config, **given)
        unanswered = outcome["error"] is not None and outcome["error"]["type"] == NoAnswer.__name__
        if at < last and has_failed(outcome) and not unanswered:  # that was told where it was decided
            step.emit("decided", decision="fallback", agent=name_of(team[at + 1]))
        return outcome

    async def made(at: int) -> Outcome:
        config, payer = (around, account) if at else (own, step.account)
        if not keeps or at == last or (at == 0 and isinstance(team[0], HumanAgent)):
            return await attempt(at, step.envelope, config)
        used = step if at == 0 else replace(step, attempts=0, usage=no_usage())
        return await _kept(partial(attempt, at), used, config, payer)

    outcome = await made(0)
    for at in range(1, len(team)):
        if has_failed(outcome):
            outcome = after(outcome, await made(at), called=outcome["agent"])
    return outcome


async def _kept(attempt: Try, step: Step, config: RunnableConfig, account: Account) -> Outcome:
    """Make a try of a step that is kept. One that a failed sibling ends was told neither why nor by whom, and is `cancelled`."""
    over = asyncio.Event()

    async def noted(envelope: Envelope, config: RunnableConfig) -> Outcome:
        try:
            return await attempt(envelope, config)
        finally:
            over.set()

    try:
        return await kept(noted, step.envelope, config, account=account)
    except asyncio.CancelledError as error:
        if not _is_by_sibling(step, error):
            raise
        await over.wait()  # for what it has used; who cancels waits for `nodes.failure.GRACE` seconds at most
        return _cancelled(step, error)


async def _settled(agent: AnyAgent, step: Step, memory: Sequence[AnyMessage]) -> Outcome:
    try:
        if isinstance(agent, Agent):
            return await _run_model(agent, step, memory)
        if isinstance(agent, HumanAgent):
            return await ask_person(agent, step)
        return await invoke_as_agent(agent, step, memory)
    except asyncio.CancelledError as error:
        return _cancelled(step, error)
    except (BudgetExceeded, LoopDetected) as error:
        return step.outcome("stopped", output=step.last_text, error=failure_of(error))
    except AttemptTimeout as error:
        return step.outcome("timed_out", error=failure_of(error))
    except GraphInterrupt as pause:
        told = told_once(pause)
        step.emit("paused", requests=requests_in(told), seconds=step.worked())
        raise told from None
    except Exception as error:  # the one edge where an agent runs
        if isinstance(error, PersistenceError):
            step.run.faults.append(error)
        if concerns_run(error):
            raise
        return step.outcome("failed", error=failure_of(error))


def _cancelled(step: Step, error: asyncio.CancelledError) -> Outcome:
    """Return what a cancelled step becomes when a sibling was the cause, or nobody: then the agent raised it by itself."""
    if _is_by_sibling(step, error):
        return step.outcome("cancelled", error=Failure(type="Cancelled", message=str(error.args[0]), retryable=True))
    task = asyncio.current_task()
    if task is None or task.cancelling():
        raise error
    own = Failure(type="CancelledError", message="cancelled from within", retryable=False)
    return step.outcome("failed", error=own)


def _is_by_sibling(step: Step, error: asyncio.CancelledError) -> bool:
    why = error.args[0] if error.args else None
    return isinstance(why, SiblingFailed) and why.caller is step.caller


def failure_of(error: Exception) -> Failure:
    """Return an exception as plain data: kind, message, and whether trying again may help.

    The kind is the class's name; of a provider's error the name that all providers share.
    """
    shared = (kind for kind in type(error).__mro__ if kind.__module__ == ProviderError.__module__)
    kind = next(shared, type(error))
    return Failure(type=kind.__name__, message=readable_text(redact(str(error)), 500), retryable=is_retryable(error))


async def _run_model(agent: Agent, step: Step, memory: Sequence[AnyMessage]) -> Outcome:
    step.model = await load_first(agent.model if agent.model is not None else step.context.model, step)
    messages = what_it_knows(step.envelope, memory)
    if agent.tools or agent.response_format is not None:
        state = await run_loop(agent, step, messages)
        if not step.called_model:  # its last call was made before the run was broken off
            adopt_earlier_calls(step, state["messages"])
        taint(step, taint_in(state["messages"]))
        if (transfer := find_transfer(state["messages"])) is not None:
            handed = step.outcome("ok", output=last_said(state["messages"]))
            return {**handed, "transfer": transfer, "model": step.answered_by or describe_model(step.model)}
        structured = as_plain_json(state.get("structured_response"))
        outcome = step.outcome("ok", output=_last_words(state["messages"], structured), structured=structured)
    else:
        outcome = step.outcome("ok", output=(await ask_model(agent, step, messages)).text)
    outcome["model"] = step.answered_by or describe_model(step.model)
    return outcome


def what_it_knows(envelope: Envelope, memory: Sequence[AnyMessage]) -> list[AnyMessage]:
    """Return all that an agent is told besides its prompt: its memory and its envelope, never everybody's transcript."""
    return [*memory, HumanMessage(envelope.render())]


def _last_words(messages: Sequence[AnyMessage], structured: dict[str, Any] | None) -> str:
    """Return what a loop ended with: the model's text, its structured answer, or what a tool returned to the caller."""
    answer = next(m for m in reversed(messages) if isinstance(m, AIMessage))
    if answer.text or structured is not None:
        return answer.text or json.dumps(structured, ensure_ascii=False)
    if not isinstance(messages[-1], ToolMessage) or not messages[-1].text.strip():
        raise EmptyOutput("the agent ended without a text")
    return messages[-1].text
