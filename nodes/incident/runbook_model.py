"""The runbook as a chat model: it calls the tools of a responder and answers in its shape, by the rules of `runbook.py`.

So a responder is the same agent with a language model and without: the same rights, approvals, ledger and limits. It reads
nothing but what it is sent.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Sequence
from typing import Any, Literal

from langchain_core.callbacks import CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel, LanguageModelInput
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, ToolMessage
from langchain_core.messages.ai import UsageMetadata
from langchain_core.messages.utils import count_tokens_approximately
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_core.runnables import Runnable
from langchain_core.tools import BaseTool

from nodes.incident.runbook import diagnose, read_symptoms
from state.labels import unlabelled

Role = Literal["monitor", "diagnosis", "remediation", "notification"]
RUNBOOK_LABEL = "runbook rules (not a language model)"
RUNBOOK_NOTICE = "Decided by the rules of the runbook, not by a language model."
LOOK: dict[str, tuple[str, ...]] = {
    "monitor": ("check_health", "read_metrics", "read_log"),
    "diagnosis": ("read_log", "read_config", "inspect_process"),
}
"""Tools that are called first, all at once."""
_HEADING = re.compile(r"^([A-Z][\w ]*):\n", re.MULTILINE)
_REMEDY = re.compile(r"^- (\w+) (\{.*?\}):(?: (.*))?$", re.MULTILINE)


class RunbookModel(BaseChatModel):
    """Play the part of a responder by rules.

    Args:
        role: Which of the four.
    """

    role: Role

    @property
    def _llm_type(self) -> str:
        return "runbook"

    @property
    def model_name(self) -> str:
        """The name that traces show."""
        return RUNBOOK_LABEL

    def bind_tools(
        self,
        tools: Sequence[dict[str, Any] | type | Callable[..., Any] | BaseTool],  # noqa: ARG002  # it knows those of its role
        *,
        tool_choice: str | dict[str, Any] | bool | None = None,  # noqa: ARG002
        **kwargs: Any,  # noqa: ARG002
    ) -> Runnable[LanguageModelInput, AIMessage]:
        """Bind nothing: which tools and which shape there are goes with the role."""
        return self

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,  # noqa: ARG002
        run_manager: CallbackManagerForLLMRun | None = None,  # noqa: ARG002
        **kwargs: Any,  # noqa: ARG002
    ) -> ChatResult:
        message = self._answer([unlabelled(each) for each in messages])
        sent, written = count_tokens_approximately(messages), count_tokens_approximately([message])
        message.usage_metadata = UsageMetadata(input_tokens=sent, output_tokens=written, total_tokens=sent + written)
        message.response_metadata = {"finish_reason": "tool_calls" if message.tool_calls else "stop"}
        return ChatResult(generations=[ChatGeneration(message=message)])

    def _answer(self, messages: Sequence[BaseMessage]) -> AIMessage:
        asked = max(at for at, message in enumerate(messages) if isinstance(message, HumanMessage))
        told = sections_of(messages[asked].text)
        results = [message for message in messages[asked:] if isinstance(message, ToolMessage)]
        if self.role == "remediation":
            return _remedy(told, results)
        if self.role == "notification":
            return _notify(told, results)
        if not results:
            return _calls([(name, {}) for name in LOOK[self.role]])
        seen = {message.name: message.text for message in results}
        if self.role == "monitor":
            reading = read_symptoms(
                seen.get("check_health", ""), seen.get("read_metrics", ""), seen.get("read_log", "")
            )
            return _calls([("Reading", reading.model_dump())])
        found = diagnose(
            told.get("Health", ""),
            told.get("Figures", ""),
            seen.get("read_log", ""),
            seen.get("inspect_process", ""),
            told.get("Tried", ""),
        )
        return _calls([("Diagnosis", found.model_dump())])


def _remedy(told: dict[str, str], results: Sequence[ToolMessage]) -> AIMessage:
    """Run one remedy after another while they succeed."""
    remedies = _REMEDY.findall(told.get("Remedies", ""))
    if results and (results[-1].status == "error" or " succeeded: " not in results[-1].text):
        return AIMessage(f"Stopped after {len(results)} of {len(remedies)}: {results[-1].text}")
    if len(results) >= len(remedies):
        return AIMessage("\n".join(result.text for result in results) or "There was nothing to do.")
    command, arguments, reason = remedies[len(results)]
    why = " ".join(f"{told.get('Cause', '')} {reason}".split())
    call = {"command": command, "arguments": json.loads(arguments), "reason": why}
    return _calls([("run_command", call)], number=len(results))


def _notify(told: dict[str, str], results: Sequence[ToolMessage]) -> AIMessage:
    if results:
        return AIMessage(results[-1].text)
    return _calls(
        [("write_ticket", {"title": told.get("Title", "Incident"), "text": told.get("Facts", "Nothing is known.")})]
    )


def sections_of(text: str) -> dict[str, str]:
    """Return what stands under each heading of an envelope."""
    parts = _HEADING.split(text)
    return {heading: body.strip() for heading, body in zip(parts[1::2], parts[2::2], strict=True)}


def _calls(wanted: Sequence[tuple[str, dict[str, Any]]], number: int = 0) -> AIMessage:
    """Return tool calls with ids that are the same for the same request."""
    calls = []
    for at, (name, args) in enumerate(wanted):
        key = json.dumps([name, args, number, at], sort_keys=True, default=str)
        calls.append(
            {
                "name": name,
                "args": args,
                "id": f"call_{hashlib.sha256(key.encode()).hexdigest()[:20]}",
                "type": "tool_call",
            }
        )
    return AIMessage("", tool_calls=calls)
