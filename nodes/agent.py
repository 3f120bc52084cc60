"""The one agent step: everything that calls a model, a person or a team goes through `run_agent` and becomes an `Outcome`."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Any
from weakref import WeakKeyDictionary

from langchain.agents import create_agent
from langchain.agents.middleware import AgentMiddleware
from langchain.agents.middleware.types import ModelRequest, ModelResponse, ToolCallRequest
from langchain.agents.structured_output import ToolStrategy
from langchain_core.exceptions import ModelError as ProviderError
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AnyMessage, HumanMessage, SystemMessage, ToolMessage
from langchain_core.runnables import RunnableConfig
from langgraph.graph.state import CompiledStateGraph
from langgraph.runtime import Runtime
from langgraph.types import TracePolicy, omit_payload

from nodes.human import ask_person
from nodes.invokable import invoke_as_agent
from nodes.layers.authority import authority
from nodes.layers.budget import model_budget, tool_budget
from nodes.layers.colleagues import after_transfer, colleagues, find_transfer, text_beside_transfer
from nodes.layers.history import clip, readable_text, valid_history
from nodes.layers.json_text import alternatives, as_plain_json
from nodes.layers.layer import ModelLayer, ToolCall, ToolLayer, ToolResult, wrap
from nodes.layers.loop_guard import loop_guard
from nodes.layers.output import output_check
from nodes.layers.place import model_place
from nodes.layers.record import adopt_earlier_calls, record_model, record_tool
from nodes.layers.retry import concerns_run, is_retryable, retry
from nodes.layers.timeout import AttemptTimeout, model_timeout
from nodes.layers.tool_errors import tool_errors
from nodes.models import aload_model, describe_model
from nodes.policy import Policy
from nodes.spec import Agent, AnyAgent, HumanAgent, name_of
from nodes.step import SiblingFailed, Step, current_step, entered, open_step
from nodes.threads import threaded
from state.budget import Budget
from state.envelope import Envelope
from state.errors import BudgetExceeded, EmptyOutput, LoopDetected
from state.outcome import Failure, Outcome, add_usage, node_of
from state.task import TaskState

MODEL_LAYERS: tuple[ModelLayer, ...] = (
    after_transfer,
    loop_guard,
    valid_history,
    retry,  # around all that follows, so that every attempt is checked, reserved and recorded on its own
    output_check,
    model_place,
    model_budget,
    model_timeout,  # inside the two waits: queueing is not run time
    record_model,
)
"""What is around every model call, the first outermost. Need to know comes before them: see `what_it_knows`."""

TOOL_LAYERS: tuple[ToolLayer, ...] = (authority, tool_budget, record_tool, colleagues, tool_errors)
"""What is around every tool call, the first outermost."""

Brief = Callable[[Any, Runtime[Any]], Envelope]
"""Chooses what crosses to an agent: `(state, runtime) -> Envelope`."""
Memory = Callable[[Any, Runtime[Any]], Sequence[AnyMessage]]
"""Chooses what an agent remembers of earlier turns: `(state, runtime) -> messages`."""
Node = Callable[[Any, Runtime[Any], RunnableConfig], Awaitable[dict[str, Any]]]


def agent_node(
    agent: AnyAgent,
    brief: Brief,
    *,
    memory: Memory | None = None,
    keep: Callable[[Outcome, Any], dict[str, Any]] | None = None,
) -> Node:
    """Return a node that sends the agent an envelope and adds its outcome to the state.

    Args:
        agent: Who works.
        brief: What it is sent.
        memory: What it remembers; nothing by default.
        keep: What else the pattern's state takes from the outcome: `(outcome, state) -> update`.
    """

    async def node(state: Any, runtime: Runtime[Any], config: RunnableConfig) -> dict[str, Any]:
        envelope = brief(state, runtime)
        remembered = memory(state, runtime) if memory else ()
        step_id = state.get("branch") or next_id(name_of(agent), state)
        outcome = await run_agent(agent, envelope, runtime, config, step_id=step_id, memory=remembered)
        return {"outcomes": [outcome], **(keep(outcome, state) if keep else {})}

    return node


def next_id(name: str, state: TaskState) -> str:
    """Return the id of an agent's next outcome in this turn: its name, then `name#2`, `name#3`."""
    return nth_id(name, 1 + sum(1 for outcome in state.get("outcomes", ()) if node_of(outcome) == name))


def nth_id(name: str, number: int) -> str:
    """Return the id of an agent's outcome by its number in the turn, from 1."""
    return name if number == 1 else f"{name}#{number}"


async def run_agent(
    agent: AnyAgent,
    envelope: Envelope,
    runtime: Runtime[Any],
    config: RunnableConfig,
    *,
    step_id: str = "",
    memory: Sequence[AnyMessage] = (),
    budget: Budget | None = None,
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

    Failures of the agent, its model and its tools are in the outcome. Interrupts pass through, and so do errors of the
    storage under the run, which stop it.
    """
    if isinstance(agent, BaseChatModel):
        agent = Agent(name_of(agent), model=agent)
    policy = agent.policy if isinstance(agent, Agent) else Policy(budget=Budget())  # a team's agents have their own
    policy = policy if budget is None else replace(policy, budget=budget)
    step = open_step(step_id or name_of(agent), name_of(agent), envelope, policy, runtime, config)
    step.emit("agent_started", task=clip(envelope.task, 500), sender=envelope.sender, parts=list(envelope.context))
    with entered(step):
        outcome = await _settled(agent, step, memory)
    for fallback in policy.fallbacks():
        if fallback.agent is None or outcome["status"] not in ("failed", "timed_out"):
            continue
        step.emit("decided", decision="fallback", agent=name_of(fallback.agent))
        second = await run_agent(fallback.agent, envelope, runtime, config, step_id=step.id, memory=memory)
        outcome = _joined(outcome, second)
    if outcome["status"] in ("failed", "timed_out") and policy.on_failure == "skip":
        outcome = {**outcome, "status": "skipped"}
    summary = {key: outcome[key] for key in ("status", "attempts", "seconds", "usage", "error")}
    step.emit("agent_finished", **summary, output=clip(outcome["output"], 500))
    return outcome


async def _settled(agent: AnyAgent, step: Step, memory: Sequence[AnyMessage]) -> Outcome:
    try:
        if isinstance(agent, Agent):
            return await _run_model(agent, step, memory)
        if isinstance(agent, HumanAgent):
            return ask_person(agent, step)
        return await invoke_as_agent(agent, step, memory)
    except asyncio.CancelledError as error:
        return _cancelled(step, error)
    except (BudgetExceeded, LoopDetected) as error:
        return step.outcome("stopped", output=step.last_text, error=failure_of(error))
    except AttemptTimeout as error:
        return step.outcome("timed_out", error=failure_of(error))
    except Exception as error:  # the one edge where an agent runs
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
    return step.outcome(
        "failed", error=Failure(type="CancelledError", message="cancelled from within", retryable=False)
    )


def failure_of(error: Exception) -> Failure:
    """Return an exception as plain data: kind, message, and whether trying again may help.

    The kind is the class's name; of a provider's error the name that all providers share.
    """
    shared = (kind for kind in type(error).__mro__ if kind.__module__ == ProviderError.__module__)
    kind = next(shared, type(error))
    return Failure(type=kind.__name__, message=readable_text(str(error), 500), retryable=is_retryable(error))


async def _run_model(agent: Agent, step: Step, memory: Sequence[AnyMessage]) -> Outcome:
    step.model = await aload_model(agent.model if agent.model is not None else step.context.model)
    messages = what_it_knows(step.envelope, memory)
    if agent.tools or agent.response_format is not None:
        config = step.config if agent.tools else _without_durability(step.config)
        state = await _loop_of(agent, step.model).ainvoke({"messages": messages}, config)
        if (transfer := find_transfer(state["messages"])) is not None:
            handed = step.outcome("ok", output=text_beside_transfer(state["messages"]))
            return {**handed, "transfer": transfer, "model": describe_model(step.model)}
        structured = as_plain_json(state.get("structured_response"))
        outcome = step.outcome("ok", output=_last_words(state["messages"], structured), structured=structured)
    else:
        system = SystemMessage(agent.prompt) if agent.prompt else None
        request = ModelRequest(model=step.model, messages=messages, system_message=system, runtime=step.runtime)
        response = await _CALL_MODEL(request)
        outcome = step.outcome("ok", output=response.result[0].text)
    outcome["model"] = describe_model(step.model)
    return outcome


def what_it_knows(envelope: Envelope, memory: Sequence[AnyMessage]) -> list[AnyMessage]:
    """Return all that an agent is told besides its prompt: its memory and its envelope, never everybody's transcript."""
    return [*memory, HumanMessage(envelope.render())]


async def _execute(request: ModelRequest[Any]) -> ModelResponse[Any]:
    """Call the model of an agent that has no tools and no schema: there is nothing to loop over, so no graph either."""
    step = current_step()
    messages = [request.system_message, *request.messages] if request.system_message else request.messages
    config = RunnableConfig(metadata={"lc_agent_name": step.agent})
    answer = await request.model.ainvoke(messages, config, **request.model_settings)
    answer.name = step.agent
    return ModelResponse(result=[answer])


_CALL_MODEL = wrap(MODEL_LAYERS, _execute)


class _Layers(AgentMiddleware[Any, Any]):
    """Our layers around the calls of a `create_agent` loop. One middleware, because each costs a traced call.

    Its hooks are plain functions that return the layers' coroutine: around an async one LangChain starts a task and two
    threads at every call, whether anything is traced or not, which takes longer than all the layers together.
    """

    # All that a trace could show as output is the coroutine; the calls inside have traces of their own.
    trace_policy = TracePolicy(process_outputs=omit_payload)

    def awrap_model_call(  # type: ignore[override]  # it is awaited at once, so any awaitable will do
        self, request: ModelRequest[Any], handler: Callable[[ModelRequest[Any]], Awaitable[ModelResponse[Any]]]
    ) -> Awaitable[ModelResponse[Any]]:
        step = current_step()
        assert step.model is not None
        adopt_earlier_calls(step, request.messages)
        return wrap(MODEL_LAYERS, handler)(request.override(model=step.model))

    def awrap_tool_call(self, request: ToolCallRequest, handler: ToolCall) -> Awaitable[ToolResult]:  # type: ignore[override]  # likewise
        return wrap(TOOL_LAYERS, handler)(request)


_loops: WeakKeyDictionary[Agent, CompiledStateGraph[Any, Any, Any, Any]] = WeakKeyDictionary()


def _loop_of(agent: Agent, model: BaseChatModel) -> CompiledStateGraph[Any, Any, Any, Any]:
    """Return the agent's loop of model and tools, built on first use. The model given then is replaced at each call."""
    if agent not in _loops:
        _loops[agent] = create_agent(
            model,
            [threaded(tool) for tool in agent.tools],
            system_prompt=agent.prompt or None,
            response_format=_strategy(agent.response_format),
            middleware=[_Layers()],
            name=agent.name,
            # A tool may pause for a person, so its loop is kept with the thread; without tools the step is the unit.
            checkpointer=None if agent.tools else False,
        )
    return _loops[agent]


def _strategy(response_format: Any) -> Any:
    """Return how a structured answer is asked for; of alternatives each is a tool, as providers take one schema only."""
    return ToolStrategy(response_format) if len(alternatives(response_format)) > 1 else response_format


def _without_durability(config: RunnableConfig) -> RunnableConfig:
    """Return the configuration for a loop that keeps nothing: under "sync" LangGraph waits for a write it never started."""
    configurable = config.get("configurable") or {}
    return RunnableConfig(**{**config, "configurable": {**configurable, "__pregel_durability": "async"}})


def _joined(first: Outcome, second: Outcome) -> Outcome:
    """Return the fallback's outcome with the first agent's effort added to it."""
    joined: Outcome = {
        **second,
        "attempts": first["attempts"] + second["attempts"],
        "seconds": round(first["seconds"] + second["seconds"], 6),
        "usage": add_usage(first["usage"], second["usage"]),
    }
    joined["children"] = [*second.get("children", []), {**first, "id": f"{first['id']}/{first['agent']}"}]
    return joined


def _last_words(messages: Sequence[AnyMessage], structured: dict[str, Any] | None) -> str:
    """Return what a loop ended with: the model's text, its structured answer, or what a tool returned to the caller."""
    answer = next(m for m in reversed(messages) if isinstance(m, AIMessage))
    if answer.text or structured is not None:
        return answer.text or json.dumps(structured, ensure_ascii=False)
    if not isinstance(messages[-1], ToolMessage) or not messages[-1].text.strip():
        raise EmptyOutput("the agent ended without a text")
    return messages[-1].text
