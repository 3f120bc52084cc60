"""Models by name: what is loaded, what is refused and with which advice, and the switch that forbids the network."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

import pytest
from httpx import Timeout
from langchain_core.language_models import BaseChatModel
from langchain_core.language_models.fake_chat_models import FakeListChatModel
from langchain_openai import ChatOpenAI

from graphs import single
from nodes import Agent, Policy
from nodes.models import aload_model, default_model, describe_model, forbid_network_models, load_model
from nodes.scripted import ScriptedChatModel
from state.errors import ModelError

ENGINE_LABEL = "extractive engine (not a language model)"
KEY = "sk-proj-abcdefghijklmnopqrstuvwxyz0123456789"


pytestmark = pytest.mark.loopback


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI_API_BASE", "OPENAI_PROXY", "LANGSMITH_GATEWAY", "ORCHESTRA_OFFLINE"):
        monkeypatch.delenv(name, raising=False)


class ChatUpstage(FakeListChatModel):
    """Stands for a provider's class; its package is put in place by a test."""

    model: str
    timeout: float
    max_retries: int
    responses: list[str] = ["hi"]  # noqa: RUF012 - a Pydantic field


@pytest.fixture
def upstage(monkeypatch: pytest.MonkeyPatch) -> type[ChatUpstage]:
    package = ModuleType("langchain_upstage")
    package.ChatUpstage = ChatUpstage  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "langchain_upstage", package)
    monkeypatch.setattr(ChatUpstage, "__module__", "langchain_upstage.chat_models")
    return ChatUpstage


@contextmanager
def patient(kind: type[ChatUpstage]) -> Iterator[list[float]]:
    """Give the timeout of each model that is built."""
    timeouts: list[float] = []
    build = kind.__init__

    def note(self: ChatUpstage, **fields: Any) -> None:
        timeouts.append(fields["timeout"])
        build(self, **fields)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kind, "__init__", note)
        yield timeouts


def openai(name: str = "openai:gpt-5-mini", **overrides: Any) -> ChatOpenAI:
    model = load_model(name, **overrides)
    assert isinstance(model, ChatOpenAI)
    return model


def test_without_a_key_the_default_is_the_embedded_engine() -> None:
    assert default_model() == "extractive"
    assert describe_model(None) == describe_model(load_model()) == ENGINE_LABEL


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"OPENAI_API_KEY": KEY}, "openai:gpt-5-mini"),
        ({"OPENAI_BASE_URL": "http://127.0.0.1:1/v1"}, "openai:gpt-5-mini"),
        ({"OPENAI_API_KEY": KEY, "ORCHESTRA_MODEL": "gpt-5"}, "openai:gpt-5"),
        ({"OPENAI_API_KEY": KEY, "ORCHESTRA_MODEL": "extractive"}, "extractive"),
        ({"OPENAI_API_KEY": KEY, "ORCHESTRA_OFFLINE": "1"}, "extractive"),
        ({"OPENAI_API_KEY": "", "OPENAI_BASE_URL": "", "ORCHESTRA_MODEL": ""}, "extractive"),
        ({"ORCHESTRA_MODEL": "openai:llama3:8b"}, "openai:llama3:8b"),
    ],
)
def test_the_default_follows_the_environment_at_the_time_of_the_call(
    environment: dict[str, str], expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert default_model() == expected


def test_an_openai_model_has_a_timeout_no_retries_and_usage_in_streams(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    model = openai("openai:gpt-4o", temperature=0.5)
    assert (model.model_name, model.request_timeout, model.max_retries) == ("gpt-4o", Timeout(35, connect=30), 0)
    assert (model.stream_usage, model.temperature) == (True, 0.5)
    assert openai("openai:ft:gpt-5:org::id").model_name == "ft:gpt-5:org::id"
    assert openai(request_timeout=5).request_timeout == 5


def test_a_server_of_ones_own_needs_no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:1/v1")
    assert openai().openai_api_key is not None
    assert openai(base_url="http://127.0.0.1:2/v1").openai_api_base == "http://127.0.0.1:2/v1"


def test_a_base_url_that_is_set_but_empty_is_not_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", "")
    with pytest.raises(ModelError, match="set OPENAI_API_KEY"):
        load_model("openai:gpt-5-mini")
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    assert str(openai().root_client.base_url) == "https://api.openai.com/v1/"


def test_a_proxy_in_the_environment_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setenv("OPENAI_PROXY", "http://127.0.0.1:9")
    assert openai().root_client is not None


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("gpt-5-mini", "expected 'provider:model' such as 'openai:gpt-5-mini', or 'extractive'; got 'gpt-5-mini'"),
        ("", "expected 'provider:model'"),
        ("openai:", "expected 'provider:model'"),
        (":gpt-5", "expected 'provider:model'"),
        (KEY, "expected 'provider:model'"),
        ("openai:gpt-5-mini", "set OPENAI_API_KEY, or OPENAI_BASE_URL for a server of your own"),
        ("nobody:gpt-5", "unknown provider 'nobody'.*known providers: .*anthropic.*openai"),
        ("anthropic:claude-sonnet-4-5", "pip install langchain-anthropic"),
    ],
)
def test_a_model_that_cannot_be_loaded_is_refused_with_advice(
    name: str, advice: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "langchain_anthropic", None)
    with pytest.raises(ModelError, match=advice) as caught:
        load_model(name)
    assert KEY not in str(caught.value)


@pytest.mark.parametrize("url", ["ftp://host/v1", "127.0.0.1:8000/v1", "http://", "http://[", "http://a:port/", KEY])
def test_a_base_url_that_is_not_http_is_refused_and_not_shown(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", url)
    with pytest.raises(ModelError, match="expected an http:// or https:// address") as caught:
        load_model("openai:gpt-5-mini")
    assert url not in str(caught.value).replace("http://127.0.0.1:8000/v1", "").replace("http:// or https://", "")


@pytest.mark.parametrize("key", [f"{KEY}\n", f" {KEY}", "sk-“quoted”"])
def test_a_key_that_cannot_be_sent_is_refused_and_not_shown(key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", key)
    with pytest.raises(ModelError, match="OPENAI_API_KEY") as caught:
        load_model("openai:gpt-5-mini")
    assert key.strip() not in str(caught.value)


def test_a_wrong_override_is_refused_without_showing_it() -> None:
    with pytest.raises(ModelError, match="temperature: Input should be a valid number") as caught:
        load_model("openai:gpt-4o", api_key=KEY, temperature=KEY)
    assert KEY not in str(caught.value)


@pytest.mark.parametrize("wrong", [7, object(), ["openai:gpt-5-mini"]])
def test_what_is_neither_a_name_nor_a_model_is_refused(wrong: Any) -> None:
    with pytest.raises(ModelError, match="or a chat model; got"):
        load_model(wrong)


def test_a_chat_model_is_returned_as_it_is_and_takes_no_overrides() -> None:
    model = FakeListChatModel(responses=["hi"])
    assert load_model(model) is model
    with pytest.raises(ModelError, match="temperature: for a model named by a string; set it on the FakeListChatModel"):
        load_model(model, temperature=0)


def test_other_providers_load_when_installed_with_a_timeout_and_without_retries(upstage: type[ChatUpstage]) -> None:
    model = load_model("upstage:solar", timeout=5)
    assert isinstance(model, upstage)
    assert (model.model, model.timeout, model.max_retries) == ("solar", 5, 0)
    assert describe_model(model) == "upstage:solar"


async def test_a_model_waits_longer_than_the_call_it_is_loaded_for_and_reaches_its_server_as_soon(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    patient = await aload_model("openai:gpt-5-mini", call_limit=120)
    assert isinstance(patient, ChatOpenAI)
    assert patient.request_timeout == Timeout(125, connect=30)
    assert await aload_model("openai:gpt-5-mini", call_limit=120) is patient
    assert await aload_model("openai:gpt-5-mini", call_limit=10) is load_model("openai:gpt-5-mini") is not patient
    assert await aload_model("extractive", call_limit=120) is load_model("extractive")


@pytest.mark.parametrize("stands_in", [False, True], ids=["its own model", "a fallback"])
def test_a_policy_s_timeout_comes_before_that_of_the_client(stands_in: bool, upstage: type[ChatUpstage]) -> None:
    own = ScriptedChatModel([ValueError("broken")]) if stands_in else "upstage:solar"
    agent = Agent("a", model=own, policy=Policy(timeout=300, fallback=("upstage:solar",) if stands_in else ()))
    with patient(upstage) as timeouts:
        assert single.build(agent).compile().invoke({"task": "t"})["answer"] == "hi"
    assert timeouts == [305.0]


def test_models_are_shared_until_name_overrides_or_environment_differ(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    model = load_model("openai:gpt-5-mini")
    assert load_model(" OpenAI:gpt-5-mini ") is model
    assert load_model("openai:gpt-5") is not model
    assert load_model("openai:gpt-5-mini", temperature=0) is not model
    headers = {"default_headers": {"x": "y"}}
    assert load_model("openai:gpt-5-mini", **headers) is not load_model("openai:gpt-5-mini", **headers)
    monkeypatch.setenv("OPENAI_API_KEY", f"{KEY}2")
    assert load_model("openai:gpt-5-mini") is not model


def test_the_models_kept_are_bounded(upstage: type[ChatUpstage]) -> None:
    first = load_model("upstage:first")
    for number in range(63):
        load_model(f"upstage:{number}")
    assert load_model("upstage:first") is first
    for number in range(100):
        load_model(f"upstage:{number}")
    assert load_model("upstage:first") is not first


def test_models_of_other_providers_stay_in_their_event_loop(upstage: type[ChatUpstage]) -> None:
    async def load_twice() -> BaseChatModel:
        first = load_model("upstage:solar")
        assert await aload_model("upstage:solar") is first
        return first

    assert asyncio.run(load_twice()) is not asyncio.run(load_twice())


async def test_the_async_door_builds_in_a_thread_and_gives_the_same(
    upstage: type[ChatUpstage], monkeypatch: pytest.MonkeyPatch
) -> None:
    built_in: list[threading.Thread] = []
    build = upstage.__init__

    def note(self: ChatUpstage, **fields: Any) -> None:
        built_in.append(threading.current_thread())
        build(self, **fields)

    monkeypatch.setattr(upstage, "__init__", note)
    model = await aload_model("upstage:threaded")
    assert await aload_model("upstage:threaded") is load_model("upstage:threaded") is model
    assert len(built_in) == 1
    assert built_in[0] is not threading.main_thread()
    scripted = ScriptedChatModel()
    assert await aload_model(scripted) is scripted


def test_the_switch_refuses_names_and_instances_of_providers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    loaded = load_model("openai:gpt-5-mini")
    with forbid_network_models():
        for model in ("openai:gpt-5-mini", loaded, "ollama:llama3"):
            with pytest.raises(ModelError, match="needs the network, which is forbidden here"):
                load_model(model)
    assert load_model("openai:gpt-5-mini") is loaded


def test_the_switch_sees_through_subclasses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)

    class MyModel(ChatOpenAI):
        """Somebody's own."""

    with forbid_network_models(), pytest.raises(ModelError, match="openai:gpt-5 needs the network"):
        load_model(MyModel(model="gpt-5"))


def test_the_switch_lets_fakes_and_the_engine_pass_in_all_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    seen: list[str] = []
    with forbid_network_models(), forbid_network_models():
        for fake in (ScriptedChatModel(["a"]), FakeListChatModel(responses=["a"])):
            assert load_model(fake) is fake
        thread = threading.Thread(target=lambda: seen.append(describe_model(load_model())))
        thread.start()
        thread.join()
    assert seen == [ENGINE_LABEL]


@pytest.mark.parametrize(
    ("value", "forbidden"), [("1", True), ("true", True), ("0", False), ("", False), ("no", False)]
)
def test_the_switch_can_be_set_in_the_environment(value: str, forbidden: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ORCHESTRA_OFFLINE", value)
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    if forbidden:
        with pytest.raises(ModelError, match="forbidden"):
            load_model("openai:gpt-5-mini")
    else:
        assert isinstance(load_model("openai:gpt-5-mini"), ChatOpenAI)


def test_models_are_described_shortly() -> None:
    assert describe_model(ChatOpenAI(model="gpt-5", api_key=lambda: KEY)) == "openai:gpt-5"
    assert describe_model(ScriptedChatModel()) == "ScriptedChatModel"
    assert describe_model(ScriptedChatModel(stands_for="openai:gpt-5")) == "openai:gpt-5"
    assert describe_model(FakeListChatModel(responses=[])) == "FakeListChatModel"
    assert describe_model("extractive") == ENGINE_LABEL
    assert describe_model("openai:gpt-5") == "openai:gpt-5"
