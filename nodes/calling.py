"""How an agent's model and tools are called: the layers around every call, and the loop of an agent that has tools."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any
from weakref import WeakKeyDictionary

from langchain.agents import create_agent
from langchain.agents.middleware import AgentMiddleware
from langchain.agents.middleware.types import ModelRequest, ModelResponse, ToolCallRequest
from langchain.agents.structured_output import ToolStrategy
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AnyMessage, BaseMessage, SystemMessage
from langchain_core.runnables import RunnableConfig
from langgraph.graph.state import CompiledStateGraph
from langgraph.types import TracePolicy, omit_payload

from nodes.layers.alternation import alternation
from nodes.layers.approval import approval
from nodes.layers.arguments import read_arguments
from nodes.layers.authority import authority, refuse
from nodes.layers.breaker import model_breaker, tool_breaker
from nodes.layers.budget import model_budget, tool_budget
from nodes.layers.cache import model_cache, tool_cache
from nodes.layers.colleagues import after_transfer, colleagues, messages_of
from nodes.layers.compaction import compaction
from nodes.layers.effects import effects
from nodes.layers.guidance import guidance
from nodes.layers.history import valid_history
from nodes.layers.json_text import alternatives
from nodes.layers.large_results import large_results, offer_reading
from nodes.layers.layer import ModelLayer, QuickRequest, ToolCall, ToolLayer, ToolResult, wrap
from nodes.layers.loop_guard import loop_guard
from nodes.layers.output import output_check
from nodes.layers.outside import as_data_only, outside, taint, taint_in
from nodes.layers.place import model_place
from nodes.layers.rate import model_rate
from nodes.layers.record import adopt_earlier_calls, record_model, record_tool
from nodes.layers.redaction import secretless, whole_arguments
from nodes.layers.retry import retry
from nodes.layers.storage import model_storage, tool_storage
from nodes.layers.timeout import model_timeout, tool_timeout
from nodes.layers.tool_errors import tool_errors
from nodes.spec import Agent
from nodes.step import Step, current_step
from nodes.threads import threaded

MODEL_LAYERS: tuple[ModelLayer, ...] = (
    model_storage,
    after_transfer,
    loop_guard,
    offer_reading,
    as_data_only,
    guidance,
    secretless,
    valid_history,
    alternation,
    retry,  # around all that follows, so that every attempt is checked, reserved and recorded on its own
    compaction,
    output_check,
    model_cache,
    model_breaker,
    model_rate,
    model_place,
    model_budget,
    model_timeout,  # inside the waits: queueing is not run time
    record_model,
)
"""What is around every model call, the first outermost. Need to know comes before them: see `nodes.agent.what_it_knows`."""

TOOL_LAYERS: tuple[ToolLayer, ...] = (
    tool_storage,
    authority,
    read_arguments,
    approval,
    whole_arguments,  # inside approval, where a person may put in what is missing
    large_results,
    outside,
    tool_cache,
    tool_budget,
    record_tool,
    colleagues,  # they have limits of their own
    tool_errors,
    tool_breaker,
    tool_timeout,
    effects,
)
"""What is around every tool call, the first outermost."""


async def ask_model(agent: Agent, step: Step, messages: list[AnyMessage]) -> BaseMessage:
    """Return what the step's model answers to an agent that has neither tools nor a schema: one call, so no graph either."""
    system = _told(step) or (SystemMessage(agent.prompt) if agent.prompt else None)
    request = QuickRequest(model=step.model, messages=messages, system_message=system, runtime=step.runtime)
    response = await _CALL_MODEL(request)
    return response.result[0]


async def run_loop(agent: Agent, step: Step, messages: list[AnyMessage]) -> dict[str, Any]:
    """Return the state in which the agent's loop of model and tools ended: `{messages, structured_response}`."""
    assert step.model is not None
    config = step.config if agent.tools else _without_durability(step.config)
    state: dict[str, Any] = await _loop_of(agent, step.model).ainvoke({"messages": messages}, config)
    return state


def _told(step: Step) -> SystemMessage | None:
    """Return the prompt that the run's context has for an agent in place of its own; None where it has none."""
    prompt = step.context.prompts.get(step.agent)
    return SystemMessage(prompt) if prompt else None


async def _execute(request: ModelRequest[Any]) -> ModelResponse[Any]:
    """Call the model, inside of all layers."""
    step = current_step()
    messages = [request.system_message, *request.messages] if request.system_message else request.messages
    config = RunnableConfig(metadata={"lc_agent_name": step.agent})
    answer = await request.model.ainvoke(messages, config, **request.model_settings)
    answer.name = step.agent
    for asked in answer.tool_calls:
        await refuse(step, asked, f"{step.agent} has no tool {asked['name']}.")
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
        if not step.called_model:
            adopt_earlier_calls(step, request.messages)
            step.called_model = True
        system = _told(step) or request.system_message
        return wrap(MODEL_LAYERS, handler)(QuickRequest(request, model=step.model, system_message=system))

    def awrap_tool_call(self, request: ToolCallRequest, handler: ToolCall) -> Awaitable[ToolResult]:  # type: ignore[override]  # likewise
        step = current_step()
        if not step.called_model:  # before the tool runs, as it may spend what is left
            adopt_earlier_calls(step, messages_of(request))
            step.counted.add(str(request.tool_call["id"]))
            taint(step, taint_in(messages_of(request)))
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
