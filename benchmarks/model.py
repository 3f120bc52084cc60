"""A model that answers at once, so that only the orchestration around it takes time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel, LanguageModelInput
from langchain_core.messages import AIMessage, BaseMessage, ToolMessage
from langchain_core.messages.ai import UsageMetadata
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_core.runnables import Runnable

_COUNTED = UsageMetadata(input_tokens=100, output_tokens=10, total_tokens=110)


def lookup(key: str) -> str:
    """Look a key up."""
    return f"the value of {key}"


class InstantModel(BaseChatModel):
    """Answers with text at once; where tools are bound, calls the first one before.

    Args:
        size: Characters of the answer.
    """

    size: int = 2

    @property
    def _llm_type(self) -> str:
        return "instant"

    def bind_tools(self, tools: Sequence[Any], **_: Any) -> Runnable[LanguageModelInput, AIMessage]:
        """Bind the names of the tools."""
        return self.bind(tool_names=[getattr(tool, "name", "") for tool in tools])

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,  # noqa: ARG002  # the signature of the base
        run_manager: CallbackManagerForLLMRun | None = None,  # noqa: ARG002
        **kwargs: Any,
    ) -> ChatResult:
        return ChatResult(generations=[ChatGeneration(message=self._answer(messages, kwargs))])

    async def _agenerate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,  # noqa: ARG002
        run_manager: AsyncCallbackManagerForLLMRun | None = None,  # noqa: ARG002
        **kwargs: Any,
    ) -> ChatResult:
        return ChatResult(generations=[ChatGeneration(message=self._answer(messages, kwargs))])

    def _answer(self, messages: list[BaseMessage], options: dict[str, Any]) -> AIMessage:
        tools = options.get("tool_names")
        if tools and not isinstance(messages[-1], ToolMessage):
            call = {"name": tools[0], "args": {"key": "x"}, "id": f"call-{len(messages)}"}
            return AIMessage("", tool_calls=[call], usage_metadata=_COUNTED)
        return AIMessage(f"{len(messages)} ".ljust(self.size, "x"), usage_metadata=_COUNTED)
