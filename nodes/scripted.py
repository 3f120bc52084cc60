"""A chat model that answers from a script, for people who test their own graphs: no network, no surprises.

    model = ScriptedChatModel([call("search", query="tides"), "The moon does it."])
    with model:
        graph.invoke({"task": "Why are there tides?"}, context=Context(model=model))
    assert model.requests[1].messages[-1].text == "..."

With several agents at work, steps are given to each by name:
`ScriptedChatModel(by_agent={"writer": [...], "critic": [...]})`.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from types import TracebackType
from typing import Any, Self
from uuid import uuid4

from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel, LanguageModelInput
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage, ToolCall
from langchain_core.messages.ai import UsageMetadata
from langchain_core.messages.utils import count_tokens_approximately
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult, LLMResult
from langchain_core.runnables import Runnable, RunnableConfig, ensure_config
from langchain_core.tools import BaseTool, StructuredTool
from langchain_core.utils.function_calling import convert_to_openai_tool
from pydantic import PrivateAttr
from pydantic_core import to_jsonable_python

from nodes.chunks import chunks_of
from nodes.script import Calls, Request, Script, Step, call, calls

__all__ = ["Request", "ScriptedChatModel", "Step", "call", "calls"]

Tools = Sequence[dict[str, Any] | type | Callable[..., Any] | BaseTool]

_CALLER_KEYS = ("lc_agent_name", "agent")


class ScriptedChatModel(BaseChatModel):
    """Answers from a script, strictly: a call too many raises, and so does `assert_done()` when steps are left.

    Steps are what `Step` takes as an answer, or a `Step`. Those of a list are given in order to whoever calls. Those of
    `by_agent` are given to the agent that calls: the one that the metadata of the call names as `lc_agent_name` (which
    `create_agent(name=...)` sets) or `agent`, else the one whose name comes first in the first line of the system
    message. A step is used up when it is asked for, also when it is an error or the caller does not wait for it.

    A dict or a Pydantic instance is answered the way the caller asked for structure: as a call of the bound answer tool
    when a tool is required (the one of its name, else of its shape, else the last), otherwise as JSON text.

    Use it as a context manager to have `assert_done()` called at the end. Copies, bound and configured forms share one
    script and one list of `requests`; threads and tasks may call at the same time.

    Args:
        steps: Answers, in order.
        by_agent: Answers by agent instead.
        stands_for: Name of a model, such as `openai:gpt-5-mini`, that `describe_model` and `price` shall take it for.
    """

    stands_for: str = ""
    _script: Script = PrivateAttr()

    def __init__(
        self, steps: Iterable[Any] = (), *, by_agent: Mapping[str, Iterable[Any]] | None = None, **fields: Any
    ) -> None:
        super().__init__(**fields)
        self._script = Script(steps, by_agent)

    @property
    def requests(self) -> list[Request]:
        """Every request so far, in the order of arrival, refused ones too."""
        return self._script.requests

    def assert_done(self) -> None:
        """Raise a `ScriptError` when steps are left, or when a call was refused and the graph went on regardless."""
        self._script.assert_done()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        if kind is None:
            self.assert_done()

    @property
    def _llm_type(self) -> str:
        return "scripted"

    def bind_tools(
        self, tools: Tools, *, tool_choice: Any = None, **kwargs: Any
    ) -> Runnable[LanguageModelInput, AIMessage]:
        """Bind tools; a structured answer is a call of one that stands for an answer rather than does something."""
        formatted = [convert_to_openai_tool(tool) for tool in tools]
        answers = [
            _function(form).get("name", "") for form, tool in zip(formatted, tools, strict=True) if _is_answer(tool)
        ]
        return self.bind(tools=formatted, answer_tools=answers, tool_choice=tool_choice, **kwargs)

    # The metadata of a call names the caller, and the library hands it to `_generate` but not to `_stream`: so it is
    # passed on as an argument by the four doors.

    def generate(
        self, messages: list[list[BaseMessage]], *args: Any, metadata: dict[str, Any] | None = None, **kwargs: Any
    ) -> LLMResult:
        """See the base class."""
        return super().generate(messages, *args, metadata=metadata, **{**kwargs, "caller": _caller(metadata)})

    async def agenerate(
        self, messages: list[list[BaseMessage]], *args: Any, metadata: dict[str, Any] | None = None, **kwargs: Any
    ) -> LLMResult:
        """See the base class."""
        return await super().agenerate(messages, *args, metadata=metadata, **{**kwargs, "caller": _caller(metadata)})

    def stream(
        self, input: LanguageModelInput, config: RunnableConfig | None = None, **kwargs: Any
    ) -> Iterator[AIMessageChunk]:
        """See the base class."""
        caller = _caller(ensure_config(config).get("metadata"))
        yield from super().stream(input, config, **{**kwargs, "caller": caller})

    async def astream(
        self, input: LanguageModelInput, config: RunnableConfig | None = None, **kwargs: Any
    ) -> AsyncIterator[AIMessageChunk]:
        """See the base class."""
        caller = _caller(ensure_config(config).get("metadata"))
        async for chunk in super().astream(input, config, **{**kwargs, "caller": caller}):
            yield chunk

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        request, step = self._take(messages, stop, run_manager, kwargs)
        time.sleep(step.delay)
        return ChatResult(generations=[ChatGeneration(message=self._message(request, step))])

    async def _agenerate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        request, step = self._take(messages, stop, run_manager, kwargs)
        if step.delay:
            await asyncio.sleep(step.delay)
        return ChatResult(generations=[ChatGeneration(message=self._message(request, step))])

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:
        request, step = self._take(messages, stop, run_manager, kwargs)
        time.sleep(step.delay)
        for chunk in chunks_of(self._message(request, step)):
            yield ChatGenerationChunk(message=chunk)

    async def _astream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[ChatGenerationChunk]:
        request, step = self._take(messages, stop, run_manager, kwargs)
        if step.delay:
            await asyncio.sleep(step.delay)
        for chunk in chunks_of(self._message(request, step)):
            yield ChatGenerationChunk(message=chunk)

    def _take(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None,
        run_manager: CallbackManagerForLLMRun | AsyncCallbackManagerForLLMRun | None,
        kwargs: dict[str, Any],
    ) -> tuple[Request, Step]:
        caller = kwargs.pop("caller", None)
        if caller is None:
            caller = _caller(run_manager.metadata if run_manager else None)
        request = Request(
            agent=self._script.caller(messages, caller),
            messages=tuple(messages),
            tools=tuple(kwargs.pop("tools", None) or ()),
            answer_tools=tuple(kwargs.pop("answer_tools", ())),
            tool_choice=kwargs.pop("tool_choice", None),
            kwargs={**kwargs, "stop": stop} if stop else kwargs,
        )
        return request, self._script.take(request).resolved(request.messages)

    def _message(self, request: Request, step: Step) -> AIMessage:
        if isinstance(step.answer, BaseException):
            raise step.answer
        message = compose(step.answer, request)
        reason = step.finish_reason or ("tool_calls" if message.tool_calls else "stop")
        reported = {
            "finish_reason": reason,
            "model_name": self.stands_for or self._llm_type,
            **message.response_metadata,
        }
        if step.finish_reason:
            reported["finish_reason"] = step.finish_reason
        message.response_metadata = reported
        if step.refusal is not None:
            message.additional_kwargs = {**message.additional_kwargs, "refusal": step.refusal}
        if step.usage is not None:
            message.usage_metadata = _reported_usage(step.usage)
        elif message.usage_metadata is None:
            message.usage_metadata = _counted_usage(request.messages, message)
        return message


def compose(answer: Any, request: Request) -> AIMessage:
    """Return the message that gives an answer to a request. Tool calls get ids of their own; the message gets none."""
    if isinstance(answer, AIMessage):
        return answer.model_copy()
    if isinstance(answer, str):
        return AIMessage(answer)
    if isinstance(answer, Calls):
        return AIMessage(answer.text, tool_calls=[_tool_call(name, args) for name, args in answer.calls])
    value = to_jsonable_python(answer)
    if request.tools and request.tool_choice not in (None, False, "auto", "none") and not request.response_format:
        return AIMessage("", tool_calls=[_tool_call(_answer_tool(answer, value, request), value)])
    return AIMessage(json.dumps(value, ensure_ascii=False))


def _answer_tool(answer: Any, value: dict[str, Any], request: Request) -> str:
    """Return the name of the tool that a structured answer goes through."""
    functions = [_function(tool) for tool in request.tools]
    able = [f for f in functions if f.get("name") in request.answer_tools] or functions
    named = {f.get("name") for f in able} & {type(answer).__name__, _required_tool(request.tool_choice)}
    if named:
        return str(named.pop())
    for function in able:
        parameters = function.get("parameters", {})
        if set(parameters.get("required", ())) <= set(value) <= set(parameters.get("properties", ())):
            return str(function.get("name"))
    return str(able[-1].get("name"))


def _required_tool(tool_choice: Any) -> str:
    if isinstance(tool_choice, Mapping):
        return str(_function(tool_choice).get("name", ""))
    return str(tool_choice)


def _function(form: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return what describes the function; a tool that a provider runs itself has no such part."""
    inner = form.get("function", form)
    return inner if isinstance(inner, Mapping) else {}


def _is_answer(tool: Any) -> bool:
    """Say whether a bound tool is a schema to be filled: nothing could run it."""
    if isinstance(tool, StructuredTool):
        return tool.func is None and tool.coroutine is None
    return isinstance(tool, (type, Mapping))


def _tool_call(name: str, args: dict[str, Any]) -> ToolCall:
    return ToolCall(name=name, args=args, id=f"call_{uuid4().hex[:24]}", type="tool_call")


def _caller(metadata: Mapping[str, Any] | None) -> tuple[str, ...]:
    return tuple(str(metadata[key]) for key in _CALLER_KEYS if metadata.get(key)) if metadata else ()


def _reported_usage(usage: Mapping[str, int]) -> UsageMetadata | None:
    if not usage:
        return None
    given, taken = usage.get("input_tokens", 0), usage.get("output_tokens", 0)
    return UsageMetadata(**{"total_tokens": given + taken, "input_tokens": given, "output_tokens": taken, **usage})  # type: ignore[typeddict-item]


def _counted_usage(messages: Sequence[BaseMessage], answer: AIMessage) -> UsageMetadata:
    given, taken = count_tokens_approximately(messages), count_tokens_approximately([answer])
    return UsageMetadata(input_tokens=given, output_tokens=taken, total_tokens=given + taken)
