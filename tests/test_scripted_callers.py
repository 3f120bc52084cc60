"""ScriptedChatModel with steps by agent: who calls is told from the call."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from langchain.agents import create_agent
from langchain_core.messages import SystemMessage
from langchain_core.tools import tool
from langgraph.graph import END, START, MessagesState, StateGraph

from nodes.scripted import ScriptedChatModel
from state.errors import ScriptError

ASKED: Any = {"messages": [("human", "go")]}


@tool
def search(query: str) -> str:
    """Search."""
    return f"found {query}"


def test_steps_by_agent_follow_the_agents_name() -> None:
    with ScriptedChatModel(by_agent={"critic": ["weak"], "writer": ["draft", "better"]}) as model:
        writer, critic = (create_agent(model, name=name) for name in ("writer", "critic"))
        answers = [agent.invoke(ASKED)["messages"][-1].text for agent in (writer, critic, writer)]
    assert answers == ["draft", "weak", "better"]
    assert [request.agent for request in model.requests] == ["writer", "critic", "writer"]


def ask_by_config(model: ScriptedChatModel) -> str:
    return model.invoke("go", {"metadata": {"agent": "writer"}}).text


def ask_bound(model: ScriptedChatModel) -> str:
    return model.bind_tools([search]).invoke("go", {"metadata": {"lc_agent_name": "writer"}}).text


def ask_streaming(model: ScriptedChatModel) -> str:
    return "".join(chunk.text for chunk in model.stream("go", {"metadata": {"agent": "writer"}}))


async def collect(model: ScriptedChatModel) -> str:
    return "".join([chunk.text async for chunk in model.astream("go", {"metadata": {"agent": "writer"}})])


def ask_streaming_async(model: ScriptedChatModel) -> str:
    return asyncio.run(collect(model))


def ask_by_system_message(model: ScriptedChatModel) -> str:
    return model.invoke(
        [SystemMessage("You are the Writer, not the critic.\nMind the rewriter."), ("human", "go")]
    ).text


@pytest.mark.parametrize("ask", [ask_by_config, ask_bound, ask_streaming, ask_streaming_async, ask_by_system_message])
def test_the_caller_is_told_from_metadata_or_the_system_message(ask: Any) -> None:
    with ScriptedChatModel(by_agent={"critic": [], "rewriter": [], "writer": ["draft"]}) as model:
        assert ask(model) == "draft"


async def test_the_caller_is_known_while_a_graph_streams_its_messages() -> None:
    model = ScriptedChatModel(by_agent={"writer": ["a draft"]})

    async def write(state: MessagesState) -> dict[str, Any]:
        return {"messages": [await model.ainvoke(state["messages"], {"metadata": {"agent": "writer"}})]}

    builder = StateGraph(MessagesState)
    builder.add_node("write", write)
    builder.add_edge(START, "write")
    builder.add_edge("write", END)
    streamed: Any = builder.compile().astream(ASKED, stream_mode="messages")
    assert [message.text async for message, _ in streamed if message.text] == ["a ", "draft"]
    model.assert_done()


def test_a_caller_without_steps_is_told_who_has_some() -> None:
    model = ScriptedChatModel(by_agent={"writer": ["a"]})
    with pytest.raises(ScriptError, match=r"of agent None: steps are scripted for 'writer'; asked: human 'go'"):
        model.invoke("go")
    with pytest.raises(ScriptError, match=r"1 of 1 steps of agent 'writer' left: 'a'"):
        model.assert_done()
