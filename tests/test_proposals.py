"""What a chat client is shown of a thread that waits: its request as the last message, where no message proposes it."""

from __future__ import annotations

import json
from importlib.util import find_spec
from typing import Any

import httpx
import pytest

from orchestra.serving.door import STUDIO, Door
from orchestra.serving.proposals import is_chat, with_proposals

if find_spec("langgraph_api") is None:
    pytest.skip("needs the server: pip install 'orchestra-agents[studio]'", allow_module_level=True)

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from orchestra.serving import guards

CHAT = "http://localhost:3000"
REQUEST = {
    "id": "0" * 32,
    "value": {
        "action_requests": [{"name": "pay", "args": {"amount": 5, "to": "Łódź"}, "description": "Pay it?"}],
        "review_configs": [{"action_name": "pay", "allowed_decisions": ["approve"]}],
        "about": {"agent": "clerk"},
    },
}
HUMAN = {"type": "human", "content": "Pay it."}


def state(*messages: Any, interrupts: Any = (REQUEST,), **more: Any) -> dict[str, Any]:
    tasks = [{"id": "a", "interrupts": []}, {"id": "b", "interrupts": list(interrupts)}]
    return {"values": {"messages": list(messages), "goal": "x"}, "tasks": tasks, **more}


def shown(told: Any) -> Any:
    return json.loads(with_proposals(json.dumps(told).encode()))


def test_a_request_that_no_message_proposes_is_shown_as_one() -> None:
    told = shown(state(HUMAN))
    before, proposal = told["values"]["messages"]
    assert before == HUMAN
    assert (proposal["type"], proposal["name"], proposal["content"]) == ("ai", "clerk", "")
    assert [(call["name"], call["args"]) for call in proposal["tool_calls"]] == [("pay", {"amount": 5, "to": "Łódź"})]
    assert told["tasks"] == state()["tasks"]
    assert told["values"]["goal"] == "x"


def test_each_state_of_a_history_is_shown_for_itself() -> None:
    first, second = shown([state(HUMAN), state(HUMAN, interrupts=())])
    assert [len(each["values"]["messages"]) for each in (first, second)] == [2, 1]


def test_of_several_requests_each_has_a_message_and_one_that_is_proposed_has_no_second() -> None:
    other = {**REQUEST, "id": "1" * 32}
    assert len(shown(state(HUMAN, interrupts=(REQUEST, other)))["values"]["messages"]) == 3
    proposal = {"type": "ai", "content": "", "tool_calls": [{"name": "pay", "args": {}, "id": "x"}]}
    assert shown(state(HUMAN, proposal))["values"]["messages"] == [HUMAN, proposal]


@pytest.mark.parametrize(
    "told",
    [
        state(HUMAN, interrupts=()),
        state(HUMAN, interrupts=[{"id": "x", "value": "What?"}]),
        state(HUMAN, interrupts=[{"id": "x", "value": {"action_requests": 5}}]),
        {**state(), "values": None},
        {**state(), "values": {"messages": "text"}},
        [5, None, "interrupts"],
        {"interrupts": [{"id": "x"}]},
    ],
)
def test_what_is_no_such_state_is_passed_on_as_it_is(told: Any) -> None:
    assert shown(told) == told
    assert with_proposals(b'{"interrupts":[{') == b'{"interrupts":[{'


def test_only_pages_that_show_conversations_are_shown_it() -> None:
    for path in ("/threads/x/state", "/threads/x/history", "/threads/x/state/abc"):
        assert is_chat(path, [CHAT])
        assert not is_chat(path, [STUDIO])
        assert not is_chat(path, [])
    for path in ("/threads/x", "/threads/search", "/threads/x/runs/stream", "/state", "/threads/x/state/a/b"):
        assert not is_chat(path, [CHAT])


async def _state(request: Request) -> JSONResponse:
    return JSONResponse(state(HUMAN), 500 if request.query_params else 200, {"x-more": "kept"})


async def test_the_answer_has_the_length_of_what_is_shown_and_errors_are_left_alone() -> None:
    door = Door("127.0.0.1", 2024, None)
    app = Starlette(routes=[Route("/threads/{thread}/state", _state)], middleware=guards.through(door))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=door.url) as http:
        seen = await http.get("/threads/x/state", headers={"origin": CHAT})
        bare = await http.get("/threads/x/state")
        broken = await http.get("/threads/x/state?fail=1", headers={"origin": CHAT})
    assert int(seen.headers["content-length"]) == len(seen.content)
    assert seen.headers["x-more"] == "kept"
    assert [len(each.json()["values"]["messages"]) for each in (seen, bare, broken)] == [2, 1, 1]
