"""The GenAI conventions: what the events of a run are called in OpenTelemetry. The only module that knows these names.

Names and units are those of the semantic conventions 1.41.0, whose GenAI part has the status "development". What they have
no name for is below `orchestra.`. Texts (tasks, answers, reasons) are content: they are given only where that is asked for.

Tokens are attributes of model calls alone. A backend that adds up a trace would otherwise count them once more for each agent
and team above.

Source: OpenTelemetry semantic conventions 1.41.0, GenAI spans, agent spans and metrics
(https://github.com/open-telemetry/semantic-conventions/tree/v1.41.0/docs/gen-ai).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from nodes.models import ENGINE_LABEL
from state.events import Event

VERSION = "1.41.0"
SCHEMA_URL = f"https://opentelemetry.io/schemas/{VERSION}"

Value = str | bool | int | float | list[str]
Attributes = dict[str, Value]

OPERATION, CONVERSATION = "gen_ai.operation.name", "gen_ai.conversation.id"
AGENT, AGENT_VERSION, WORKFLOW = "gen_ai.agent.name", "gen_ai.agent.version", "gen_ai.workflow.name"
PROVIDER, MODEL = "gen_ai.provider.name", "gen_ai.request.model"
INPUT_TOKENS, OUTPUT_TOKENS = "gen_ai.usage.input_tokens", "gen_ai.usage.output_tokens"
TOOL, TOOL_TYPE, TOKEN_TYPE = "gen_ai.tool.name", "gen_ai.tool.type", "gen_ai.token.type"
INPUT, OUTPUT = "gen_ai.input.messages", "gen_ai.output.messages"
ERROR = "error.type"
SPAN_KIND, SPAN_INPUT, SPAN_OUTPUT = "openinference.span.kind", "input.value", "output.value"
"""Of OpenInference, as Phoenix translates the conventions by itself, but has no word for a run of several agents."""

USAGE = "gen_ai.client.token.usage"
USAGE_BUCKETS = [4**power for power in range(14)]
DURATION = "gen_ai.client.operation.duration"
DURATION_BUCKETS = [0.01 * 2**power for power in range(14)]
"""In seconds."""

RUN, STEP, TURN, STATUS = "orchestra.run", "orchestra.step", "orchestra.turn", "orchestra.status"
_OWN = "orchestra."

FAILED = frozenset({"failed", "timed_out", "denied", "stopped"})
"""Statuses of an outcome or a run that are errors. What was skipped or cancelled failed somewhere else."""
OTHER_ERROR = "_OTHER"

_LONGEST_NAME = 64

_PROVIDERS = {
    "azure_ai": "azure.ai.inference",
    "azure_openai": "azure.ai.openai",
    "bedrock": "aws.bedrock",
    "bedrock_converse": "aws.bedrock",
    "google_genai": "gcp.gemini",
    "google_vertexai": "gcp.vertex_ai",
    "ibm": "ibm.watsonx.ai",
    "mistralai": "mistral_ai",
    "xai": "x_ai",
}
"""LangChain's names of providers that the conventions spell otherwise."""

_TOLD = {
    "decision": "decision",
    "agent": "agent",
    "to": "agent",
    "colleague": "agent",
    "subject": "subject",
    "by": "by",
    "status": "status",
    "seconds": "seconds",
}
"""What is told of a decision, by its key in the event: names and figures, no text that a model or a person wrote."""


def workflow_attributes(event: Event, *, content: bool) -> Attributes:
    """Return what is known of a run when it begins."""
    found = _common(event, "invoke_workflow") | {WORKFLOW: event["agent"], SPAN_KIND: "CHAIN"}
    if turn := event["data"].get("turn"):
        found[TURN] = str(turn)
    return found | _said("user", event["data"].get("task"), content)


def agent_attributes(event: Event, *, content: bool) -> Attributes:
    """Return what is known of an agent step when it begins."""
    data = event["data"]
    found = _common(event, "invoke_agent") | {AGENT: event["agent"], STEP: event["step"]}
    if data.get("version"):
        found[AGENT_VERSION] = str(data["version"])
    if data.get("model"):
        found |= model_attributes(str(data["model"]))
    if data.get("sender"):
        found[_OWN + "sender"] = str(data["sender"])
    return found | _said("user", data.get("task"), content)


def call_attributes(event: Event) -> Attributes:
    """Return what is known of a model call when it has ended."""
    data = event["data"]
    found = _common(event, "chat") | model_attributes(str(data.get("model", ""))) | {AGENT: event["agent"]}
    for name, key in ((INPUT_TOKENS, "input_tokens"), (OUTPUT_TOKENS, "output_tokens")):
        if key in data:
            found[name] = int(data[key])
    if data.get("usd") is not None:
        found[_OWN + "usd"] = float(data["usd"])
    if data.get("tools"):
        found[_OWN + "tools_asked_for"] = [str(tool) for tool in data["tools"]]
    return found | _outcome_of(data)


def tool_attributes(event: Event) -> Attributes:
    """Return what is known of a tool call when it has ended: names of arguments and sizes, never values."""
    data = event["data"]
    found = _common(event, "execute_tool") | {TOOL: str(data.get("tool", "")), TOOL_TYPE: "function"}
    found[AGENT] = event["agent"]
    found[_OWN + "arguments"] = [str(name) for name in data.get("arguments", ())]
    if "characters" in data:
        found[_OWN + "characters"] = int(data["characters"])
    failed = data.get("status") == "error"
    return found | _outcome_of({**data, "error": data.get("error") or (failed and "ToolError")})


def ending_attributes(data: Mapping[str, Any], *, content: bool, text: str = "output") -> Attributes:
    """Return what is known of an agent step or a run once it has ended."""
    found: Attributes = {STATUS: str(data.get("status") or "completed")}
    if "attempts" in data:
        found[_OWN + "attempts"] = int(data["attempts"])
    for name, value in (data.get("usage") or {}).items():
        if value is not None:
            found[f"{_OWN}usage.{name}"] = value
    if kind := error_of(data):
        found[ERROR] = kind
    return found | _said("assistant", data.get(text), content)


def decision_attributes(event: Event, *, content: bool) -> Attributes:
    """Return what is told of a decision, a handoff, or a question to a colleague."""
    data = event["data"]
    found: Attributes = {_OWN + name: _name(data[key]) for key, name in _TOLD.items() if data.get(key) is not None}
    if event["agent"]:
        found[AGENT] = event["agent"]
    if data.get("tool"):
        found[TOOL] = str(data["tool"])
    if isinstance(plan := data.get("plan"), Mapping):
        found[_OWN + "subtasks"] = len(plan.get("subtasks", ()))
    if content:
        for name in ("reason", "texts"):
            if data.get(name):
                found[_OWN + name] = _plain(data[name])
    return found


def model_attributes(model: str) -> Attributes:
    """Return provider and model of what `describe_model` calls `provider:model`."""
    provider, told, name = model.partition(":")
    if not told:
        return {PROVIDER: "orchestra" if model == ENGINE_LABEL else "unknown", MODEL: model}
    return {PROVIDER: _PROVIDERS.get(provider, provider), MODEL: name}


def error_of(data: Mapping[str, Any]) -> str:
    """Return the type of the error that a call, a step or a run ended with; nothing where it ended well."""
    error = data.get("error")
    kind = error.get("type") if isinstance(error, Mapping) else error
    if data.get("status") in ("skipped", "cancelled"):
        return ""
    return str(kind or (OTHER_ERROR if data.get("status") in FAILED else ""))


def _common(event: Event, operation: str) -> Attributes:
    found: Attributes = {OPERATION: operation, RUN: event["run"]}
    if event["thread"]:
        found[CONVERSATION] = event["thread"]
    return found


def _outcome_of(data: Mapping[str, Any]) -> Attributes:
    found: Attributes = {_OWN + "cached": True} if data.get("cached") else {}
    return found | ({ERROR: str(data["error"])} if data.get("error") else {})


def _said(role: str, text: Any, content: bool) -> Attributes:
    """Return a text as a message, in the JSON that the conventions ask for, if content is wanted and there is some."""
    if not content or not text:
        return {}
    message: dict[str, Any] = {"role": role, "parts": [{"type": "text", "content": str(text)}]}
    if role == "user":
        return {INPUT: json.dumps([message], ensure_ascii=False), SPAN_INPUT: str(text)}
    message["finish_reason"] = "stop"
    return {OUTPUT: json.dumps([message], ensure_ascii=False), SPAN_OUTPUT: str(text)}


def _plain(value: Any) -> Value:
    if isinstance(value, bool | int | float):
        return value
    return [str(each) for each in value] if isinstance(value, list | tuple) else str(value)


def _name(value: Any) -> Value:
    """Return a figure, or the name of something, which may be what a model took for one."""
    return value[:_LONGEST_NAME] if isinstance(value, str) else _plain(value)
