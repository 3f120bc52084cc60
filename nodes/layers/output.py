"""Output check: an answer that cannot be used is a failure with a type, asked for once more with the reason."""

from __future__ import annotations

import json
from types import UnionType
from typing import Any, Union, get_args, get_origin

from langchain.agents.middleware.types import ModelRequest, ModelResponse
from langchain.agents.structured_output import StructuredOutputError
from langchain_core.messages import AIMessage, AnyMessage, HumanMessage, ToolMessage
from pydantic import BaseModel, TypeAdapter

from nodes.layers.history import compile_history
from nodes.layers.layer import ModelCall
from nodes.step import current_step
from state.errors import (
    CutOutput,
    EmptyOutput,
    FilteredOutput,
    OutputError,
    RefusedOutput,
    UnparsableOutput,
    WrongShape,
)

MAX_STARTS = 200
"""Places of a text that are tried for the beginning of a JSON object."""

_CUT = {"length", "max_tokens", "MAX_TOKENS"}
_FILTERED = {"content_filter", "SAFETY", "safety", "RECITATION", "PROHIBITED_CONTENT"}


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
        message = getattr(error, "ai_message", None) or AIMessage("")
        return ModelResponse(result=[message]), find_problem(message) or WrongShape(_first_line(error))
    except (ValueError, IndexError) as error:
        if not _is_malformed_response(error):
            raise
        problem = UnparsableOutput(f"the provider's response is malformed ({type(error).__name__})")
        return ModelResponse(result=[]), problem
    answer = next((m for m in response.result if isinstance(m, AIMessage)), None)
    if answer is None:
        return response, EmptyOutput("the model gave no message")
    if response.structured_response is not None:
        return response, None
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


def _structured(
    request: ModelRequest[Any], response: ModelResponse[Any], answer: AIMessage
) -> tuple[ModelResponse[Any], OutputError | None]:
    """Check an answer that should have been structured: text with the JSON in it is taken, another shape is not."""
    schemas = schemas_of(request.response_format)
    if any(call["name"] not in schemas for call in answer.tool_calls):
        return response, None  # it asks for a tool first
    rejected = next((m for m in response.result if isinstance(m, ToolMessage)), None)
    if rejected is not None:
        return response, WrongShape(rejected.text[:500])
    for schema in schemas.values():
        value = parse_json_answer(answer.text, schema)
        if value is not None:
            return ModelResponse(result=response.result, structured_response=value), None
    expected = " or ".join(schemas)
    return response, WrongShape(f"expected an answer in the shape of {expected}, got plain text")


def parse_json_answer(text: str, schema: Any) -> Any:
    """Return the first JSON object in a text that fits the schema, or None. Text around it is passed over.

    Bound: `MAX_STARTS` places where an object may begin are tried.
    """
    decoder, start = json.JSONDecoder(), text.find("{")
    for _ in range(MAX_STARTS):
        if start == -1:
            break
        try:
            return _fitting(decoder.raw_decode(text, start)[0], schema)
        except (ValueError, RecursionError):  # no JSON, another shape, or nested beyond reason
            start = text.find("{", start + 1)
    return None


def _fitting(value: Any, schema: Any) -> Any:
    if not isinstance(schema, dict):
        return TypeAdapter(schema).validate_python(value)
    if missing := set(schema.get("required", ())) - set(value):
        raise ValueError(f"without {sorted(missing)}")
    return value


def as_plain_json(value: Any) -> dict[str, Any] | None:
    """Return a structured answer as plain JSON, which is what outcomes and checkpoints hold."""
    if value is None:
        return None
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    plain = TypeAdapter(Any).dump_python(value, mode="json")
    return plain if isinstance(plain, dict) else {"value": plain}


def schemas_of(response_format: Any) -> dict[str, Any]:
    """Return the schemas that an answer may have, by the name that the model knows them by."""
    specs = getattr(response_format, "schema_specs", None)
    if specs:
        return {spec.name: spec.schema for spec in specs}
    schema = getattr(response_format, "schema", response_format)
    if isinstance(schema, dict):
        return {schema.get("title", "response"): schema}
    several = get_args(schema) if get_origin(schema) in (Union, UnionType) else (schema,)
    return {getattr(one, "__name__", "response"): one for one in several}


def _with_reason(result: list[Any], problem: OutputError) -> list[AnyMessage]:
    """Return what is added to the request: the answer, its calls answered, and why it cannot be used."""
    answers = [m for m in result if isinstance(m, AIMessage) and (m.text.strip() or m.tool_calls)]
    replies = [m for m in result if isinstance(m, ToolMessage)]
    return [*answers, *replies, HumanMessage(f"That answer cannot be used: {problem}. Please answer again.")]


def _first_line(error: Exception) -> str:
    return str(error).split("\n")[0][:500]
