"""The one agent step: everything that calls a model, a person or a team goes through `run_agent` and becomes an `Outcome`."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import replace
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
from nodes.layers.retry import concerns_run, is_retryable
from nodes.layers.timeout import AttemptTimeout
from nodes.manifest import manifest_of
from nodes.models import aload_model, describe_model
from nodes.person import ask_person, policy_of
from nodes.rescue import rescued
from nodes.spec import Agent, AnyAgent, HumanAgent, name_of
from nodes.step import SiblingFailed, Step, entered, open_step
from state.budget import Budget
from state.envelope import Envelope
from state.errors import BudgetExceeded, EmptyOutput, LoopDetected, NoAnswer, PersistenceError
from state.excerpts import excerpt
from state.outcome import Failure, Outcome, after
from state.redaction import redact
from state.registers import Grant


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
        budget: Limits of the step and of all below it, in place of those of the agent's policy.
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
        return await _attempted(agent, step, memory, under)

    if policy.on_failure == "escalate":
        return await rescued(attempt, envelope, runtime, config)
    return await attempt(envelope, config)


async def _attempted(agent: AnyAgent, step: Step, memory: Sequence[AnyMessage], under: Authority | None) -> Outcome:
    """Run an agent, then those that stand in for it, until one succeeds."""
    envelope, policy = step.envelope, step.policy
    given = manifest_of(agent, envelope, memory, step.context.prompts)
    version = {"version": agent.version} if isinstance(agent, Agent) and agent.version else {}
    step.emit("agent_started", task=excerpt(envelope.task), sender=envelope.sender, given=given, **version)
    with entered(step):
        outcome = await _settled(agent, step, memory)
    for fallback in policy.fallbacks():
        if fallback.agent is None or outcome["status"] not in ("failed", "timed_out"):
            continue
        if outcome["error"] is None or outcome["error"]["type"] != NoAnswer.__name__:  # told where it was decided
            step.emit("decided", decision="fallback", agent=name_of(fallback.agent))
        second = await run_agent(
            fallback.agent,
            envelope,
            step.runtime,
            step.config,
            step_id=step.id,
            memory=memory,
            under=under,
            grant=step.grant,
        )
        outcome = after(outcome, second, called=outcome["agent"])
    if outcome["status"] in ("failed", "timed_out") and policy.on_failure == "skip":
        outcome = {**outcome, "status": "skipped"}
    tell_decisions(agent, outcome, step)
    kept = ("status", "attempts", "seconds", "usage", "error", "model", "taint")
    summary = {key: value for key, value in outcome.items() if key in kept}
    left = {"left": left} if (left := step.run.left()) else {}
    step.emit("agent_finished", **summary, output=excerpt(outcome["output"]), **left)
    return outcome


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
        step.emit("paused", requests=requests_in(told))
        raise told from None
    except Exception as error:  # the one edge where an agent runs
        if isinstance(error, PersistenceError):
            step.run.faults.append(error)
        if concerns_run(error):
            raise
        return step.outcome("failed", error=failure_of(error))


def _cancelled(step: Step, error: asyncio.CancelledError) -> Outcome:
    """Return what a cancelled step becomes when a sibling was the cause, or nobody: then the agent raised it by itself."""
    why, task = error.args[0] if error.args else None, asyncio.current_task()
    if isinstance(why, SiblingFailed) and why.caller is step.caller:
        return step.outcome("cancelled", error=Failure(type="Cancelled", message=str(why), retryable=True))
    if task is None or task.cancelling():
        raise error
    own = Failure(type="CancelledError", message="cancelled from within", retryable=False)
    return step.outcome("failed", error=own)


def failure_of(error: Exception) -> Failure:
    """Return an exception as plain data: kind, message, and whether trying again may help.

    The kind is the class's name; of a provider's error the name that all providers share.
    """
    shared = (kind for kind in type(error).__mro__ if kind.__module__ == ProviderError.__module__)
    kind = next(shared, type(error))
    return Failure(type=kind.__name__, message=readable_text(redact(str(error)), 500), retryable=is_retryable(error))


async def _run_model(agent: Agent, step: Step, memory: Sequence[AnyMessage]) -> Outcome:
    step.model = await aload_model(agent.model if agent.model is not None else step.context.model)
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
