"""Output check: an answer that cannot be used is a failure with a type, asked for once more with the reason."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from importlib import import_module
from typing import Any

from langchain.agents.middleware.types import ModelRequest, ModelResponse
from langchain.agents.structured_output import StructuredOutputError
from langchain_core.messages import AIMessage, AnyMessage, BaseMessage, HumanMessage, ToolCall, ToolMessage

from nodes.layers.history import compile_history
from nodes.layers.json_text import MAX_PROBLEMS, alternatives, fits, read_answers, schemas_of
from nodes.layers.layer import ModelCall
from nodes.step import current_step
from nodes.threads import in_thread
from state.errors import (
    CutOutput,
    EmptyOutput,
    FilteredOutput,
    OutputError,
    RefusedOutput,
    UnparsableOutput,
    WrongShape,
)

_CUT = {"length", "max_tokens", "MAX_TOKENS"}
_FILTERED = {"content_filter", "SAFETY", "safety", "RECITATION", "PROHIBITED_CONTENT"}
_LINES = 1 + MAX_PROBLEMS
"""Of why an answer has not its shape; the first says how much is wrong."""


async def output_check(request: ModelRequest[Any], call: ModelCall) -> ModelResponse[Any]:
    """Return a usable answer, after asking again once where the first was not.

    Raises:
        OutputError: One of its kinds, when the second answer cannot be used either, or attempts are used up.
    """
    step = current_step()
    response, problem = await _checked(request, call)
    if problem is None:
        return response
    if step.call_attempts >= step.call_limit:
        raise problem
    step.emit("decided", decision="repair", reason=type(problem).__name__)
    told = compile_history([*request.messages, *_with_reason(response.result, problem)])
    again = request.override(messages=told)
    response, problem = await _checked(again, call)
    if problem is not None:
        raise problem
    return response


async def _checked(request: ModelRequest[Any], call: ModelCall) -> tuple[ModelResponse[Any], OutputError | None]:
    try:
        response = await call(request)
    except StructuredOutputError as error:
        if (message := getattr(error, "ai_message", None)) is None:
            return ModelResponse(result=[]), WrongShape(_first_line(error))
        response = ModelResponse(result=[message])
    except (ValueError, IndexError) as error:
        if not _is_malformed_response(error):
            raise
        problem = UnparsableOutput(f"the provider's response is malformed ({type(error).__name__})")
        return ModelResponse(result=[]), problem
    answer = next((m for m in response.result if isinstance(m, AIMessage)), None)
    if answer is None:
        return response, EmptyOutput("the model gave no message")
    if request.response_format is not None:
        await _load_checks(request)
    if response.structured_response is not None:
        return _given(request, response, answer)
    if request.response_format is not None:
        answer = _with_repaired_calls(answer, schemas_of(request.response_format))
    found = find_problem(answer)
    if found is None and request.response_format is not None:
        return _structured(request, response, answer)
    return response, found


def _is_malformed_response(error: Exception) -> bool:
    """Whether a client raised this over a response of status 200: no JSON, no choice in it, or an empty stream."""
    return isinstance(error, json.JSONDecodeError | IndexError) or "No generation chunks" in str(error)


def find_problem(answer: AIMessage) -> OutputError | None:
    """Return what makes an answer unusable, or None."""
    reason = finish_reason(answer)
    refusal = answer.additional_kwargs.get("refusal")
    if refusal or reason == "refusal":
        return RefusedOutput(f"the model declined: {str(refusal or answer.text)[:200]}")
    if reason in _FILTERED:
        return FilteredOutput("the provider's content filter withheld the answer")
    if is_cut(answer):
        return CutOutput("the answer ended at the token limit")
    if answer.invalid_tool_calls:
        return UnparsableOutput(f"arguments of {answer.invalid_tool_calls[0].get('name')!r} are not valid JSON")
    if not answer.tool_calls and not answer.text.strip():
        return EmptyOutput("the answer has no text and no tool call")
    return None


def is_cut(answer: AIMessage) -> bool:
    """Whether the answer ended at a token limit."""
    return finish_reason(answer) in _CUT


def finish_reason(answer: AIMessage) -> str:
    """Return why the provider says the answer ended, or nothing."""
    metadata = answer.response_metadata
    return str(metadata.get("finish_reason") or metadata.get("stop_reason") or "")


async def _load_checks(request: ModelRequest[Any]) -> None:
    """Import what JSON schemas are checked with where there is one: that reads files, so not on the event loop."""
    schemas = schemas_of(request.response_format).values()
    if "jsonschema" not in sys.modules and any(isinstance(schema, dict) for schema in schemas):
        await in_thread(import_module, "jsonschema")


def _given(
    request: ModelRequest[Any], response: ModelResponse[Any], answer: AIMessage
) -> tuple[ModelResponse[Any], OutputError | None]:
    """Check a structured answer that LangChain has read: of a JSON schema it takes anything."""
    schemas, problem = schemas_of(request.response_format), None
    named = [schemas[call["name"]] for call in answer.tool_calls if call["name"] in schemas]
    for schema in named or schemas.values():
        if not isinstance(schema, dict):
            return response, None
        try:
            return replace(response, structured_response=fits(response.structured_response, schema)), None
        except ValueError as error:
            problem = problem or WrongShape(_first_line(error, lines=_LINES))
    return response, problem


def _structured(
    request: ModelRequest[Any], response: ModelResponse[Any], answer: AIMessage
) -> tuple[ModelResponse[Any], OutputError | None]:
    """Check an answer that should have been structured: text with the JSON in it is taken, another shape is not.

    Where the shapes are alternatives an answer may hold several values, by as many calls or in one text.
    """
    schemas = schemas_of(request.response_format)
    if any(call["name"] not in schemas for call in answer.tool_calls):
        return response, None  # it asks for a tool first
    several = len(alternatives(getattr(request.response_format, "schema", None))) > 1
    if answer.tool_calls and (several or len(answer.tool_calls) == 1):
        try:
            values = [fits(call["args"], schemas[call["name"]]) for call in answer.tool_calls]
        except ValueError as error:
            return response, WrongShape(_first_line(error, lines=_LINES))
    elif answer.tool_calls:
        return response, WrongShape(f"expected one answer, got {len(answer.tool_calls)}")
    else:
        values = read_answers(answer.text, schemas, several=several)
    if not values:
        return response, WrongShape(_why_none(answer.text, schemas))
    value = values[0] if len(values) == 1 else values
    return ModelResponse(result=_closed(answer), structured_response=value), None


def _why_none(text: str, schemas: dict[str, Any]) -> str:
    """Return why a text holds no answer: what its first object has that the one JSON schema does not allow."""
    only = next(iter(schemas.values())) if len(schemas) == 1 else None
    for found in read_answers(text, {"": dict}) if isinstance(only, dict) else ():
        try:
            fits(found, only)
        except ValueError as error:
            return _first_line(error, lines=_LINES)
    return f"expected an answer in the shape of {' or '.join(schemas)}, got plain text"


def _closed(answer: AIMessage) -> list[BaseMessage]:
    """Return the answer with its calls answered, as a history has to hold it."""
    taken = [ToolMessage("Taken.", tool_call_id=call["id"] or "", name=call["name"]) for call in answer.tool_calls]
    return [answer, *taken]


def _with_repaired_calls(answer: AIMessage, schemas: dict[str, Any]) -> AIMessage:
    """Return the answer with those of its unreadable calls repaired that stand for a structured answer."""
    if not answer.invalid_tool_calls:
        return answer
    repaired, unreadable = list(answer.tool_calls), []
    for broken in answer.invalid_tool_calls:
        schema = schemas.get(broken.get("name") or "")
        values = read_answers(broken.get("args") or "", {"": schema}) if schema is not None else []
        if values:
            args = values[0].model_dump() if hasattr(values[0], "model_dump") else dict(values[0])
            repaired.append(ToolCall(name=broken["name"] or "", args=args, id=broken.get("id"), type="tool_call"))
        else:
            unreadable.append(broken)
    return answer.model_copy(update={"tool_calls": repaired, "invalid_tool_calls": unreadable})


def _with_reason(result: list[Any], problem: OutputError) -> list[AnyMessage]:
    """Return what is added to the request: the answer, its calls answered, and why it cannot be used."""
    answers = [m for m in result if isinstance(m, AIMessage) and (m.text.strip() or m.tool_calls)]
    replies = [m for m in result if isinstance(m, ToolMessage)]
    return [*answers, *replies, HumanMessage(f"That answer cannot be used: {problem}. Please answer again.")]


def _first_line(error: Exception, *, lines: int = 1) -> str:
    return " ".join(str(error).split("\n")[:lines])[:500]
