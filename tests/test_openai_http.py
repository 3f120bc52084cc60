"""ChatOpenAI, as `load_model` gives it, over real sockets: answers, failures, and one event loop after another."""

from __future__ import annotations

import asyncio
import gc
import json
import threading
import urllib.error
import urllib.request
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from weakref import ref

import pytest
from langchain.agents import create_agent
from langchain.agents.structured_output import ToolStrategy
from langchain_core.exceptions import ModelError as ProviderError
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessageChunk
from langchain_core.tools import tool
from pydantic import BaseModel

from nodes import openai_model
from nodes.models import load_model
from nodes.scripted import ScriptedChatModel, Step, call
from openai_bodies import structured
from openai_server import Cut, Empty, Hang, Malformed, OpenAIServer, Reset, Status, engine, openai_server

pytestmark = pytest.mark.loopback

ASKED: Any = {"messages": [("human", "Why are there tides?")]}
USAGE = {"prompt_tokens": 11, "completion_tokens": 5, "total_tokens": 16}


class Verdict(BaseModel):
    """A judgement."""

    verdict: str
    score: int


@tool
def search(query: str) -> str:
    """Search."""
    return f"found {query}"


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI_API_BASE", "OPENAI_PROXY", "LANGSMITH_GATEWAY", "ORCHESTRA_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


def at(server: OpenAIServer, **overrides: Any) -> BaseChatModel:
    return load_model("openai:local-model", base_url=server.base_url, **overrides)


@contextmanager
def serving(model: BaseChatModel) -> Iterator[OpenAIServer]:
    with openai_server(engine(model)) as server:
        yield server


async def test_an_answer_comes_with_its_usage_and_the_request_with_a_placeholder_key() -> None:
    with openai_server(lambda request: {"content": "The moon.", "usage": USAGE}) as server:
        for answer in (at(server).invoke("Why?"), await at(server).ainvoke("Why?")):
            assert answer.text == "The moon."
            assert answer.usage_metadata is not None
            assert (answer.usage_metadata["input_tokens"], answer.usage_metadata["output_tokens"]) == (11, 5)
    (first, _) = server.requests
    assert first.headers["authorization"] == "Bearer not-needed"
    assert (first.body["model"], first.body["messages"]) == ("local-model", [{"role": "user", "content": "Why?"}])


async def test_a_stream_arrives_word_by_word_with_the_usage() -> None:
    with openai_server(lambda request: {"content": "The moon does it.", "usage": USAGE}) as server:
        chunks = [chunk async for chunk in at(server).astream("Why?")]
    assert [chunk.text for chunk in chunks if chunk.text] == ["The ", "moon ", "does ", "it."]
    total = sum(chunks[1:], start=chunks[0])
    assert isinstance(total, AIMessageChunk)
    assert total.usage_metadata is not None
    assert total.usage_metadata["total_tokens"] == 16
    assert server.requests[0].body["stream_options"] == {"include_usage": True}


@pytest.mark.parametrize("streaming", [False, True])
async def test_an_agent_calls_tools(streaming: bool) -> None:
    script = ScriptedChatModel([call("search", query="tides"), "The moon does it."])
    with script, serving(script) as server:
        result = await create_agent(at(server, streaming=streaming), [search]).ainvoke(ASKED)
    assert [message.text for message in result["messages"][1:]] == ["", "found tides", "The moon does it."]
    assert script.requests[0].tool_names == ["search"]
    assert script.requests[1].messages[-1].text == "found tides"


@pytest.mark.parametrize("streaming", [False, True])
@pytest.mark.parametrize("name", ["local-model", "gpt-5-mini"])
@pytest.mark.parametrize("schema", [Verdict, ToolStrategy(Verdict)])
async def test_an_agent_answers_in_a_schema(streaming: bool, name: str, schema: Any) -> None:
    def reply(request: dict[str, Any]) -> Any:
        return structured(request, {"verdict": "accept", "score": 3})

    with openai_server(reply) as server:
        model = load_model(f"openai:{name}", base_url=server.base_url, streaming=streaming)
        result = await create_agent(model, [search], response_format=schema).ainvoke(ASKED)
    assert result["structured_response"] == Verdict(verdict="accept", score=3)
    native = name == "gpt-5-mini" and schema is Verdict
    body = server.requests[0].body
    assert ("response_format" in body, body.get("tool_choice")) == ((True, None) if native else (False, "required"))


async def test_a_refusal_a_cut_and_the_usage_of_a_model_behind_the_server_arrive() -> None:
    usage = {"input_tokens": 9, "output_tokens": 4}
    script = ScriptedChatModel([Step(refusal="I will not."), Step("half an", finish_reason="length", usage=usage)])
    with script, serving(script) as server:
        refused, cut = [await at(server).ainvoke("Why?") for _ in range(2)]
    assert refused.additional_kwargs["refusal"] == "I will not."
    assert cut.response_metadata["finish_reason"] == "length"
    assert cut.usage_metadata is not None
    assert cut.usage_metadata["total_tokens"] == 13


async def test_a_model_behind_the_server_is_asked_for_a_schema_too() -> None:
    with serving(ScriptedChatModel([Verdict(verdict="accept", score=3)] * 2)) as server:
        for method in ("json_schema", "function_calling"):
            bound: Any = at(server)
            answer = await bound.with_structured_output(Verdict, method=method).ainvoke("Judge.")
            assert answer == Verdict(verdict="accept", score=3)


@pytest.mark.parametrize(
    ("fault", "name", "retryable"),
    [
        (Status(400), "ModelInvalidRequestError", False),
        (Status(401), "ModelAuthenticationError", False),
        (Status(403), "ModelPermissionDeniedError", False),
        (Status(404), "ModelNotFoundError", False),
        (Status(429, {"Retry-After": "7"}), "ModelRateLimitError", True),
        (Status(500), "ModelAPIError", True),
        (Status(503), "ModelAPIError", True),
        (Status(400, error={"message": "context_length_exceeded"}), "ContextOverflowError", False),
        (Reset(), "ModelConnectionError", True),
        (Hang(), "ModelTimeoutError", True),
        (Cut(), "ModelConnectionError", True),
    ],
    ids=lambda value: str(value) if isinstance(value, str) else "",
)
@pytest.mark.parametrize("streaming", [False, True])
async def test_failures_have_a_class_that_says_whether_to_retry(
    fault: Any, name: str, retryable: bool, streaming: bool
) -> None:
    with openai_server(faults=[fault]) as server:
        with pytest.raises(ProviderError) as caught:
            await at(server, streaming=streaming, timeout=0.2 if fault == Hang() else 20).ainvoke("Why?")
        assert name in [base.__name__ for base in type(caught.value).__mro__]
        assert caught.value.is_retryable is retryable
        assert len(server.requests) == 1


async def test_retry_after_can_be_read_from_the_error() -> None:
    fault = Status(429, {"Retry-After": "7"})
    with openai_server(faults=[fault]) as server, pytest.raises(ProviderError) as caught:
        await at(server).ainvoke("Why?")
    assert caught.value.response.headers["retry-after"] == "7"  # type: ignore[attr-defined]


@pytest.mark.parametrize(("fault", "error"), [(Malformed(), json.JSONDecodeError), (Empty(), IndexError)])
async def test_nonsense_with_status_200_raises_what_is_no_provider_error(fault: Any, error: type[Exception]) -> None:
    with openai_server(faults=[fault]) as server, pytest.raises(error) as caught:
        await at(server).ainvoke("Why?")
    assert not isinstance(caught.value, ProviderError)


async def ask_and_stream(model: BaseChatModel) -> list[str]:
    answers = await asyncio.gather(*(model.ainvoke("Why?") for _ in range(5)))
    streamed = [chunk.text async for chunk in model.astream("Why?")]
    return [*(answer.text for answer in answers), "".join(streamed)]


def test_one_model_serves_event_loops_one_after_another() -> None:
    """An async client's idle connections belong to the loop that opened them."""
    with openai_server() as server:
        model = at(server)
        for _ in range(3):
            assert asyncio.run(ask_and_stream(model)) == ["Hello."] * 6
        assert len(server.requests) == 18
        assert at(server) is model
    gc.collect()  # what a closed loop left behind would warn now


def test_connections_of_a_model_that_is_gone_are_closed_with_their_loop() -> None:
    """It may be collected while its loop stands still, with no turn left in which a task could close them."""
    with openai_server() as server, warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        with asyncio.Runner() as runner:
            gone = ref(model := at(server, default_headers={"x": "y"}))
            runner.run(model.ainvoke("Why?"))
            del model
            gc.collect()
            assert gone() is None
        gc.collect()
    assert [warning for warning in warned if warning.category is ResourceWarning] == []


async def test_connections_of_a_model_that_is_gone_are_closed_when_another_one_is_used() -> None:
    with openai_server() as server:
        for _ in range(10):
            await at(server, default_headers={"x": "y"}).ainvoke("Why?")
            gc.collect()
        assert len(server.requests) == 10
        assert len(openai_model._keepers[asyncio.get_running_loop()]) < 5  # a frame may hold the last one or two


def test_one_model_serves_event_loops_at_once() -> None:
    answers: list[list[str]] = []
    with openai_server() as server:
        model = at(server)
        threads = [
            threading.Thread(target=lambda: answers.append(asyncio.run(ask_and_stream(model)))) for _ in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert answers == [["Hello."] * 6] * 4
    gc.collect()


async def test_calls_of_one_loop_share_connections() -> None:
    with openai_server() as server:
        for _ in range(5):
            await at(server).ainvoke("Why?")
        assert server.connections == 1


async def test_a_model_can_be_closed() -> None:
    with openai_server() as server:
        model: Any = load_model("openai:local-model", base_url=server.base_url, default_headers={"x": "y"})
        await model.ainvoke("Why?")
        await model.root_async_client.close()
        with pytest.raises(RuntimeError, match="closed"):
            await model.ainvoke("Why?")


def test_the_server_lists_its_models_and_knows_no_other_path() -> None:
    with openai_server(models=["a", "b"]) as server:
        with urllib.request.urlopen(f"{server.base_url}/models") as response:
            assert [model["id"] for model in json.load(response)["data"]] == ["a", "b"]
        with pytest.raises(urllib.error.HTTPError, match="404"):
            urllib.request.urlopen(f"{server.base_url}/other")


async def test_the_server_leaves_no_thread_behind_even_while_a_client_waits() -> None:
    before = set(threading.enumerate())
    with openai_server(faults=[Hang()]) as server:
        waiting = asyncio.create_task(at(server).ainvoke("Why?"))
        while not server.requests:
            await asyncio.sleep(0)
    with pytest.raises(ProviderError):
        await waiting
    assert [thread for thread in set(threading.enumerate()) - before if thread.name.startswith("openai")] == []


def test_what_a_reply_raised_is_raised_at_the_end() -> None:
    def reply(request: Mapping[str, Any]) -> str:
        raise KeyError("a defect of the test")

    def ask() -> None:
        with openai_server(reply) as server, pytest.raises(ProviderError):
            at(server).invoke("Why?")

    with pytest.raises(KeyError, match="a defect of the test"):
        ask()
