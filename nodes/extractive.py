"""The embedded extractive engine: the chat model that answers when no language model is configured.

It is rules, not a language model: it calls tools to find passages, quotes them with citations, fills response schemas from
them, holds drafts against rules, and says so when the documents do not answer. The same request gives the same reply.
It knows only what it is sent; the rules live in `nodes.engine`.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from typing import Any

from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel, LanguageModelInput
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
from langchain_core.messages.ai import UsageMetadata
from langchain_core.messages.tool import ToolCallChunk
from langchain_core.messages.utils import count_tokens_approximately
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langchain_core.runnables import Runnable
from langchain_core.tools import BaseTool

from nodes.engine.calls import Call
from nodes.engine.reply import compose_reply
from nodes.engine.request import read_request
from nodes.engine.toolbox import describe_tool, read_toolbox
from state.labels import unlabelled

_IDENTITY = {"model_name": "extractive", "model_provider": "orchestra"}


class ExtractiveChatModel(BaseChatModel):
    """Answer in quotes from documents, by rules, without a key and without a network.

    Streams by word, reports approximate usage, and gives the same reply to the same request.
    """

    @property
    def _llm_type(self) -> str:
        return "extractive"

    @property
    def model_name(self) -> str:
        """The name that traces show."""
        return _IDENTITY["model_name"]

    def bind_tools(
        self,
        tools: Sequence[dict[str, Any] | type | Callable[..., Any] | BaseTool],
        *,
        tool_choice: str | dict[str, Any] | bool | None = None,
        **kwargs: Any,
    ) -> Runnable[LanguageModelInput, AIMessage]:
        """Bind tools and response schemas.

        Args:
            tools: Anything that LangChain turns into a tool.
            tool_choice: None or "auto" for a free choice, "any" or "required" for some call, "none" for none, or a name.
            **kwargs: `response_format` asks for the answer as JSON text; anything else is left alone.
        """
        described = [describe_tool(tool) for tool in tools]
        if tool_choice is not None:
            kwargs["tool_choice"] = tool_choice
        return self.bind(tools=described, **kwargs)

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,  # noqa: ARG002  # the tokens of one message are one event
        **kwargs: Any,
    ) -> ChatResult:
        message = _answer(messages, stop, kwargs)
        return ChatResult(generations=[ChatGeneration(message=message)], llm_output=dict(_IDENTITY))

    async def _agenerate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,  # noqa: ARG002  # as above
        **kwargs: Any,
    ) -> ChatResult:
        return self._generate(messages, stop, None, **kwargs)  # Milliseconds of computing: a thread would cost more.

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:
        for chunk in _chunks(_answer(messages, stop, kwargs)):
            if run_manager:
                run_manager.on_llm_new_token(chunk.text, chunk=chunk)
            yield chunk

    async def _astream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[ChatGenerationChunk]:
        for chunk in _chunks(_answer(messages, stop, kwargs)):
            if run_manager:
                await run_manager.on_llm_new_token(chunk.text, chunk=chunk)
            yield chunk


def _answer(messages: Sequence[BaseMessage], stop: Sequence[str] | None, bound: dict[str, Any]) -> AIMessage:
    toolbox = read_toolbox(
        bound.get("tools", ()), choice=bound.get("tool_choice"), response_format=bound.get("response_format")
    )
    reply = compose_reply(read_request([unlabelled(message) for message in messages]), toolbox)
    message = AIMessage(
        content=_stopped(reply.text, stop or ()),
        tool_calls=[_tool_call(call, i, len(messages)) for i, call in enumerate(reply.calls)],
        response_metadata={**_IDENTITY, "finish_reason": "tool_calls" if reply.calls else "stop"},
    )
    sent = count_tokens_approximately(messages, tools=list(bound.get("tools", ())) or None)
    written = count_tokens_approximately([message])
    message.usage_metadata = UsageMetadata(input_tokens=sent, output_tokens=written, total_tokens=sent + written)
    return message


def _tool_call(call: Call, index: int, turn: int) -> dict[str, Any]:
    """Give a call an id that is the same for the same request and differs within a conversation."""
    key = json.dumps([call.name, call.args, index, turn], sort_keys=True, default=str)
    return {
        "name": call.name,
        "args": call.args,
        "id": f"call_{hashlib.sha256(key.encode()).hexdigest()[:20]}",
        "type": "tool_call",
    }


def _stopped(text: str, stop: Sequence[str]) -> str:
    ends = [end for word in stop if word and (end := text.find(word)) >= 0]
    return text[: min(ends)] if ends else text


def _chunks(message: AIMessage) -> Iterator[ChatGenerationChunk]:
    """Cut a message into word chunks; the last one carries the tool calls, the usage and the model's name."""
    for word in re.findall(r"\s*\S+\s*$|\s*\S+", message.text):
        yield ChatGenerationChunk(message=AIMessageChunk(content=word))
    calls = [
        ToolCallChunk(name=call["name"], args=json.dumps(call["args"]), id=call["id"], index=i, type="tool_call_chunk")
        for i, call in enumerate(message.tool_calls)
    ]
    last = AIMessageChunk(
        content="",
        tool_call_chunks=calls,
        usage_metadata=message.usage_metadata,
        response_metadata=message.response_metadata,
        chunk_position="last",
    )
    yield ChatGenerationChunk(message=last)
