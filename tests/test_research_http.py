"""The same team over HTTP: a model behind a local OpenAI-compatible server, with real sockets, tools and streaming."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pytest

from graphs.teams import research
from nodes import ExtractiveChatModel
from openai_server import Status, engine, openai_server
from state import Context
from tools import cited_ids

pytestmark = pytest.mark.loopback

QUESTION = "What does the nonlocal statement do?"


@pytest.fixture(autouse=True)
def online(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ORCHESTRA_OFFLINE", raising=False)


def use(monkeypatch: pytest.MonkeyPatch, base_url: str) -> Context:
    monkeypatch.setenv("OPENAI_BASE_URL", base_url)
    return Context(model="openai:local-model")


def is_valid(messages: list[dict[str, Any]]) -> bool:
    """Whether every tool call is answered once, directly after it, as strict servers ask."""
    open_calls: list[str] = []
    for message in messages:
        if message["role"] == "tool":
            if message["tool_call_id"] not in open_calls:
                return False
            open_calls.remove(message["tool_call_id"])
        elif open_calls:
            return False
        else:
            open_calls = [call["id"] for call in message.get("tool_calls") or []]
    return not open_calls


def test_the_team_answers_over_http_as_it_does_in_process(monkeypatch: pytest.MonkeyPatch) -> None:
    here = research.graph.invoke({"task": QUESTION})
    with openai_server(engine(ExtractiveChatModel())) as server:
        there = research.graph.invoke({"task": QUESTION}, context=use(monkeypatch, server.base_url))
        requests = [request.body for request in server.requests]
    assert there["status"] == "completed"
    assert there["answer"] == here["answer"]
    assert all(is_valid(body["messages"]) for body in requests)
    assert any(body.get("tools") for body in requests)
    assert all(outcome["usage"]["input_tokens"] > 0 for outcome in there["outcomes"] if outcome["usage"]["model_calls"])


async def test_tokens_arrive_while_they_are_made(monkeypatch: pytest.MonkeyPatch) -> None:
    with openai_server(engine(ExtractiveChatModel())) as server:
        context = use(monkeypatch, server.base_url)
        stream = research.graph.astream({"task": QUESTION}, context=context, stream_mode="messages", subgraphs=True)
        parts = [part async for _, part in stream]
    by_agent = {meta["lc_agent_name"] for _, meta in parts if "lc_agent_name" in meta}
    assert {"planner", "researcher", "writer", "fact_checker"} <= by_agent
    written = [chunk.text for chunk, meta in parts if meta.get("lc_agent_name") == "writer"]
    assert len(written) > 3
    assert cited_ids("".join(written))


def test_passing_faults_of_the_server_are_ridden_out(monkeypatch: pytest.MonkeyPatch) -> None:
    faults = [Status(429, {"Retry-After": "0"}), None, Status(503), *itertools.repeat(None, 50)]
    with openai_server(engine(ExtractiveChatModel()), faults=faults) as server:
        result = research.graph.invoke({"task": QUESTION}, context=use(monkeypatch, server.base_url))
    assert result["status"] == "completed"


def test_a_wrong_key_is_a_typed_failure_without_a_retry(monkeypatch: pytest.MonkeyPatch) -> None:
    with openai_server(engine(ExtractiveChatModel()), faults=[Status(401)] * 5) as server:
        result = research.graph.invoke({"task": QUESTION}, context=use(monkeypatch, server.base_url))
        assert len(server.requests) == 1
    assert result["status"] == "failed"
    assert "ModelAuthenticationError" in result["reason"]


def test_a_server_that_is_not_there_is_a_typed_failure(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    context = use(monkeypatch, "http://127.0.0.1:9/v1")
    result = research.graph.invoke({"task": QUESTION}, context=context)
    assert result["status"] == "failed"
    assert "ModelConnectionError" in result["reason"]
