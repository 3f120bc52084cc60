"""Anything invokable as an agent: compiled graphs, runnables and functions."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Collection, Mapping, Sequence
from copy import copy
from typing import Any, cast

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AnyMessage, BaseMessage, HumanMessage, ToolMessage, convert_to_messages
from langchain_core.runnables import Runnable, RunnableLambda, RunnableParallel, RunnableSequence
from langchain_core.runnables.base import RunnableBindingBase
from langgraph.pregel.protocol import PregelProtocol
from pydantic import BaseModel

from nodes.coroutines import Unblocked, unblocked
from nodes.layers.json_text import as_plain_json
from nodes.layers.outside import taint
from nodes.layers.place import place
from nodes.layers.record import count_calls
from nodes.layers.retry import attempt
from nodes.layers.timeout import time_limit
from nodes.step import Step
from nodes.threads import in_thread, in_threads
from state.envelope import Envelope
from state.errors import EmptyOutput, WrongShape
from state.excerpts import clip
from state.graph import Pattern
from state.outcome import Failure, Outcome, OutcomeStatus, Usage, total_usage
from state.run import with_run

_TEXT_NAMES = {"task", "text", "prompt", "question", "query", "message", "content", "item", "request", "goal"}
_STATE_NAMES = {"state", "input", "inputs", "data", "payload", "values"}
_STATUS: dict[str, OutcomeStatus] = {"completed": "ok", "partial": "ok", "failed": "failed", "stopped": "stopped"}


async def invoke_as_agent(agent: Any, step: Step, memory: Sequence[AnyMessage]) -> Outcome:
    """Run something invokable on the step's envelope and return what it gave as an outcome.

    A graph is a team: it has the timeouts of its own agents and shares the run's budget and places. Anything else is one
    call, held to the policy's timeout and retried where that may help.
    """
    if isinstance(agent, PregelProtocol):
        return await _run_graph(agent, step, memory)

    async def call() -> Any:
        step.attempts += 1
        step.call_attempts += 1
        async with place(step), time_limit(step, step.policy.timeout):
            return await _call(agent, step, memory)

    result = await attempt(call, step, most=step.policy.max_attempts)
    _taint_by_tools(result, step, memory)
    return outcome_from(result, step)


async def _run_graph(graph: Any, step: Step, memory: Sequence[AnyMessage]) -> Outcome:
    text = step.envelope.render()
    given: dict[str, Any] = {"messages": [*memory, HumanMessage(text)]}
    if "task" in _channels(graph):
        given["task"] = text
    step.attempts += 1
    config = with_run(step.config, step.run.within(step.id, step.account))
    if isinstance(graph, Pattern):
        return outcome_from(await graph.ainvoke(given, config), step)
    async with time_limit(step, None):  # its agents know nothing of the run's deadline
        result = await graph.ainvoke(given, config)
    _taint_by_tools(result, step, memory)
    return outcome_from(result, step)


def _channels(graph: Any) -> Collection[str]:
    """Return the names of a graph's input channels; none where they are not known, as of a remote graph."""
    builder = getattr(graph, "builder", None)
    return builder.schemas[builder.input_schema] if builder is not None else ()


async def _call(agent: Any, step: Step, memory: Sequence[AnyMessage]) -> Any:
    if isinstance(agent, Runnable):
        given = _input_of_runnable(agent, step.envelope, memory)
        return await unblocked(_guarded(agent, step.agent).ainvoke, step.agent)(given, step.config)
    given = _input_of_function(agent, step.envelope, memory)
    if inspect.iscoroutinefunction(agent) or inspect.iscoroutinefunction(getattr(agent, "__call__", None)):  # noqa: B004
        return await Unblocked(agent(given), step.agent)
    result = await in_thread(agent, given)
    if inspect.iscoroutine(result):
        return await Unblocked(result, step.agent)
    return await result if inspect.isawaitable(result) else result


def _guarded(runnable: Runnable[Any, Any], name: str) -> Runnable[Any, Any]:
    """Return a runnable whose functions cannot block the event loop: LangChain runs each in a task of its own."""
    if isinstance(runnable, RunnableBindingBase):
        return runnable.model_copy(update={"bound": _guarded(runnable.bound, name)})
    if isinstance(runnable, RunnableSequence):
        first, *middle, last = (_guarded(step, name) for step in runnable.steps)
        return runnable.model_copy(update={"first": first, "middle": middle, "last": last})
    if isinstance(runnable, RunnableParallel):
        steps = {key: _guarded(step, name) for key, step in runnable.steps__.items()}
        return runnable.model_copy(update={"steps__": steps})
    if not isinstance(runnable, RunnableLambda):
        return runnable
    function = getattr(runnable, "afunc", None) or runnable.func
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        return runnable
    guarded = copy(runnable)
    guarded.afunc = unblocked(function, name) if hasattr(runnable, "afunc") else in_threads(function)
    return guarded


def _input_of_function(function: Callable[..., Any], envelope: Envelope, memory: Sequence[AnyMessage]) -> Any:
    """Return what a function's one parameter asks for: the text, the `Envelope`, or a mapping with task and messages."""
    try:
        parameter = next(iter(inspect.signature(function).parameters.values()))
    except (StopIteration, ValueError, TypeError):
        return envelope.render(labels=False)
    kind = parameter.annotation if isinstance(parameter.annotation, str) else _type_name(parameter.annotation)
    if kind == "Envelope" or parameter.name == "envelope":
        return envelope
    if kind == "str" or (not kind and parameter.name in _TEXT_NAMES):
        return envelope.render(labels=False)
    if parameter.name in _STATE_NAMES or kind.lower().startswith(("dict", "mapping", "task", "any")):
        return {
            "task": envelope.render(labels=False),
            "messages": [*memory, HumanMessage(envelope.render(labels=False))],
        }
    return envelope.render(labels=False)


def _type_name(annotation: Any) -> str:
    return "" if annotation is inspect.Parameter.empty else getattr(annotation, "__name__", str(annotation))


def _input_of_runnable(runnable: Runnable[Any, Any], envelope: Envelope, memory: Sequence[AnyMessage]) -> Any:
    first = getattr(runnable, "first", runnable)
    if isinstance(first, RunnableLambda):
        return _input_of_function(getattr(first, "afunc", None) or first.func, envelope, memory)
    if first is not runnable and isinstance(first, BaseChatModel):
        return [*memory, HumanMessage(envelope.render())]
    schema = runnable.get_input_jsonschema()
    properties = schema.get("properties", {})
    if not properties:
        return envelope.render()
    given = {"task": envelope.render(), "messages": [*memory, HumanMessage(envelope.render())]}
    return given if set(properties) & set(given) else {name: envelope.render() for name in properties}


def outcome_from(result: Any, step: Step) -> Outcome:
    """Return what an invokable gave as an outcome: text, a message, a structured value, or a graph's final state.

    Raises:
        EmptyOutput: It gave nothing.
        WrongShape: It gave something that is none of these.
    """
    if isinstance(result, BaseMessage):
        return step.outcome("ok", output=_not_empty(result.text))
    if isinstance(result, str):
        return step.outcome("ok", output=_not_empty(result))
    if isinstance(result, BaseModel):
        return step.outcome("ok", output=result.model_dump_json(), structured=as_plain_json(result))
    if isinstance(result, Mapping):
        return _outcome_from_mapping(result, step)
    if result is None:
        raise EmptyOutput(f"{step.agent} gave nothing")
    raise WrongShape(f"{step.agent}: expected text, a message, a mapping or a model, got {type(result).__name__}")


def _outcome_from_mapping(result: Mapping[str, Any], step: Step) -> Outcome:
    children: list[Outcome] = list(result.get("outcomes") or ())
    # What children of an earlier process spent is known from them only.
    step.usage = max(step.usage, total_usage(children), key=_calls)
    if "answer" in result:
        status = _STATUS.get(str(result.get("status", "completed")), "ok")
        structured = as_plain_json(result.get("structured"))
        said = str(result.get("status", "completed"))
        error = Failure(type=f"Team{said.title()}", message=clip(str(result.get("reason", "")), 500), retryable=False)
        if status == "ok":
            note, answer = error if said == "partial" else None, _not_empty(result["answer"])
            return step.outcome("ok", output=answer, structured=structured, error=note, children=children)
        return step.outcome(status, output=str(result["answer"] or ""), error=error, children=children)
    if result.get("messages"):
        return _outcome_from_messages(result, step)
    structured = as_plain_json(dict(result))
    return step.outcome("ok", output=json.dumps(structured, ensure_ascii=False), structured=structured)


def _outcome_from_messages(result: Mapping[str, Any], step: Step) -> Outcome:
    """Return what a graph of somebody else said last; what its models used is booked now that it is known."""
    messages = convert_to_messages(result["messages"])
    if not step.usage["model_calls"]:
        count_calls(step, cast(Sequence[AnyMessage], messages))
    structured = as_plain_json(result.get("structured_response"))
    said = "" if isinstance(messages[-1], HumanMessage) else messages[-1].text
    if not said and structured is not None:
        said = json.dumps(structured, ensure_ascii=False)
    return step.outcome("ok", output=_not_empty(said), structured=structured)


def _taint_by_tools(result: Any, step: Step, memory: Sequence[AnyMessage]) -> None:
    """Taint the step with the tools whose results are among a state's messages, besides those in the memory it was given."""
    if not isinstance(result, Mapping) or not result.get("messages"):
        return
    messages = convert_to_messages(result["messages"])
    known = {message.tool_call_id for message in memory if isinstance(message, ToolMessage)}
    new = (m for m in messages if isinstance(m, ToolMessage) and m.tool_call_id not in known)
    taint(step, (f"tool {message.name or 'without a name'}" for message in new))


def _calls(usage: Usage) -> tuple[int, int]:
    return usage["model_calls"], usage["tool_calls"]


def _not_empty(text: Any) -> str:
    if not str(text or "").strip():
        raise EmptyOutput("expected an answer, got nothing")
    return str(text)
