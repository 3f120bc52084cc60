"""Outside: what tools, peers and people return is data, labelled with where it is from, and it taints whoever reads it.

The taint goes wherever the text may go: into the outcome, other agents' envelopes and the conversation. It forbids nothing by
itself; effects and approvals show it, and a policy may ask for approval then.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from langchain.agents.middleware.types import ModelRequest, ModelResponse, ToolCallRequest
from langchain_core.messages import AIMessage, AnyMessage, BaseMessage, SystemMessage, ToolMessage

from nodes.layers.artifact import fact_of, tool_messages, with_facts, with_tool_messages
from nodes.layers.layer import ModelCall, ToolCall, ToolResult
from nodes.step import Step, current_step
from state.labels import RULE, as_data, data_lines, unlabelled
from state.outcome import Outcome
from tools.colleagues import ColleagueTool, HandoffTool
from tools.marks import TRUSTED, marks_of

TAINT = "orchestra_taint"
"""Key in the metadata of a message of the conversation that was written with content from outside."""


async def outside(request: ToolCallRequest, call: ToolCall) -> ToolResult:
    """Make the call and note with its result where that comes from."""
    result = await call(request)
    if isinstance(request.tool, HandoffTool | type(None)):
        return result
    if isinstance(request.tool, ColleagueTool):  # what it read itself is noted where it was reached
        assert isinstance(result, ToolMessage)
        args, was_reached = request.tool_call["args"], fact_of(result, "usage") is not None
        return with_facts(result, source=f"agent {args.get('peer') or args.get('agent')}") if was_reached else result
    messages = tool_messages(result)
    sources = [_source_of(request, message) for message in messages]
    # A command may tell the agent something without a message.
    taint(current_step(), [source for source in sources or [_source_of(request)] if source != TRUSTED])
    pairs = zip(messages, sources, strict=True)
    return with_tool_messages(result, iter([_sourced(message, source) for message, source in pairs]))


async def as_data_only(request: ModelRequest[Any], call: ModelCall) -> ModelResponse[Any]:
    """Make the call with every result between lines that say where it is from, and the rule that it is data."""
    step = current_step()
    taint(step, taint_in(request.messages))
    messages = [_labelled(message) for message in request.messages]
    changed = any(new is not old for new, old in zip(messages, request.messages, strict=True))
    if not changed and not step.envelope.taint:
        return await call(request)
    before = f"{request.system_message.text}\n\n" if request.system_message is not None else ""
    response = await call(request.override(messages=messages, system_message=SystemMessage(before + RULE)))
    said = [_unlabelled(message) for message in response.result]
    return replace(response, result=said) if said != response.result else response


def taint(step: Step, sources: Iterable[str]) -> None:
    """Note that a step has read what comes from these sources."""
    step.taint.update(dict.fromkeys(sources))


def taint_in(messages: Sequence[AnyMessage]) -> list[str]:
    """Return the sources from outside that messages were written by or with, each once."""
    found: dict[str, None] = {}
    for message in messages:
        told = fact_of(message, "taint") if isinstance(message, ToolMessage) else None
        if isinstance(message, AIMessage):
            told = message.response_metadata.get(TAINT)
        found.update(dict.fromkeys(told or ()))
    return list(found)


def taint_of(outcomes: Iterable[Outcome]) -> list[str]:
    """Return the sources from outside that outcomes were made with, each once."""
    return list(dict.fromkeys(source for outcome in outcomes for source in outcome.get("taint", ())))


def _sourced(message: ToolMessage, source: str) -> ToolMessage:
    return message if source == TRUSTED else with_facts(message, source=source, taint=[source])


def _source_of(request: ToolCallRequest, message: ToolMessage | None = None) -> str:
    """Return where a result is from: as the tool says of this one, as it was marked, or else the tool itself."""
    artifact = message.artifact if message is not None else None
    told = artifact.get("source") if isinstance(artifact, dict) else None
    name = f"tool {request.tool_call['name']}"
    if isinstance(told, str) and told:
        return f"{name}: {told}"
    return marks_of(request.tool).source or name


def _unlabelled(message: BaseMessage) -> BaseMessage:
    """Return a model's message without lines that it copied: they are for its eyes."""
    return unlabelled(message) if isinstance(message, AIMessage) else message


def _labelled(message: AnyMessage) -> AnyMessage:
    source = fact_of(message, "source")
    if not isinstance(source, str) or not message.content:
        return message
    if isinstance(message.content, str):
        return message.model_copy(update={"content": as_data(message.content, source)})
    opening, closing = data_lines(message.text, source)
    blocks = [{"type": "text", "text": opening}, *message.content, {"type": "text", "text": closing}]
    return message.model_copy(update={"content": blocks})
