"""A model's server that hangs, at whatever point, ends in its agent's time; the others hardly notice, and the thread goes on."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from langgraph.checkpoint.memory import InMemorySaver

from cases import says
from graphs import parallel
from nodes import Agent, Policy
from nodes.models import load_model
from openai_server import Hang, Stall, openai_server

pytestmark = pytest.mark.loopback

LIMIT, SLACK = 0.5, 2.0
"""Seconds of an attempt, and those it may take longer."""
THREAD: Any = {"configurable": {"thread_id": "t"}}


@contextmanager
def unreachable() -> Iterator[str]:
    """Yield the URL of a server that lets nobody connect: its queue is full, and it takes nobody out of it."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        waiting = [socket.socket() for _ in range(4)]
        for each in waiting:
            each.setblocking(False)
            each.connect_ex(listener.getsockname())
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}/v1"
        finally:
            for each in waiting:
                each.close()


@contextmanager
def hanging(where: str) -> Iterator[str]:
    if where == "connect":
        with unreachable() as url:
            yield url
    else:
        fault = Hang() if where == "first byte" else Stall()
        with openai_server(faults=[fault] * 4) as server:
            yield server.base_url


@pytest.mark.parametrize("streaming", [False, True])
@pytest.mark.parametrize("where", ["connect", "first byte", "mid-stream"])
def test_it_ends_at_its_limit_and_its_siblings_are_not_kept_waiting(
    where: str, streaming: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with hanging(where) as url:
        model = load_model("openai:local-model", base_url=url, streaming=streaming)
        stuck = Agent("stuck", model=model, policy=Policy(timeout=LIMIT))
        saver = InMemorySaver()
        graph = parallel.build([stuck, says("well", "fine")]).compile(checkpointer=saver, name="g")
        began = time.monotonic()
        result = graph.invoke({"task": "go"}, THREAD)
        assert time.monotonic() - began < LIMIT + SLACK
    outcomes = {outcome["agent"]: outcome for outcome in result["outcomes"]}
    assert (outcomes["stuck"]["status"], outcomes["stuck"]["attempts"]) == ("timed_out", 1)
    assert (outcomes["well"]["status"], outcomes["well"]["seconds"] < 1) == ("ok", True)
    assert result["status"] == "partial"
    again = parallel.build([says("stuck", "here again"), says("well", "fine")]).compile(checkpointer=saver, name="g")
    assert again.invoke({"task": "and now?"}, THREAD)["status"] == "completed"
