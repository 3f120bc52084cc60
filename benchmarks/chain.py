"""The chains that are compared: of our agent steps, of `create_agent` subgraphs as they are documented, of bare nodes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from langchain.agents import create_agent
from langchain.agents.middleware import (
    AgentMiddleware,
    ModelCallLimitMiddleware,
    ModelRetryMiddleware,
    ToolCallLimitMiddleware,
    ToolRetryMiddleware,
)
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.graph.state import CompiledStateGraph

from benchmarks.model import InstantModel, lookup
from nodes.node import agent_node
from nodes.spec import Agent
from nodes.turn import begin_node, brief_task
from state.graph import PatternBuilder

PROMPT = "You answer."


def our_chain(length: int, *, with_tool: bool) -> CompiledStateGraph[Any, Any, Any, Any]:
    """Return a chain of our agent step with all its layers."""
    agent = Agent("agent", "Answers.", PROMPT, model=InstantModel(), tools=[lookup] if with_tool else [])
    node = agent_node(agent, brief_task("agent"))
    builder = PatternBuilder()
    builder.add_node("begin", begin_node())
    builder.add_edge(START, "begin")
    _connect(builder, "begin", node, length)
    return builder.compile(name="ours")


def bare_chain(
    length: int, *, with_tool: bool, middleware: Sequence[AgentMiddleware[Any, Any]] = ()
) -> CompiledStateGraph[Any, Any, Any, Any]:
    """Return a chain of one `create_agent` graph as a subgraph; without middleware it has no protection at all."""
    tools = [lookup] if with_tool else []
    agent = create_agent(InstantModel(), tools, system_prompt=PROMPT, name="agent", middleware=middleware)
    builder: StateGraph[Any, Any, Any, Any] = StateGraph(MessagesState)
    _connect(builder, START, agent, length)
    return builder.compile(name="bare")


def stock_middleware() -> list[AgentMiddleware[Any, Any]]:
    """Return the protections that ship with LangChain and are the closest to ours: limits and retries."""
    return [
        ModelCallLimitMiddleware(run_limit=25),
        ToolCallLimitMiddleware(run_limit=50),
        ModelRetryMiddleware(max_retries=2),
        ToolRetryMiddleware(max_retries=2),
    ]


def floor_chain(length: int) -> CompiledStateGraph[Any, Any, Any, Any]:
    """Return a chain of nodes that only call the model: what LangGraph and the model's own base class take."""
    model = InstantModel()

    async def call(state: MessagesState) -> dict[str, Any]:
        return {"messages": [await model.ainvoke(state["messages"])]}

    builder: StateGraph[Any, Any, Any, Any] = StateGraph(MessagesState)
    _connect(builder, START, call, length)
    return builder.compile(name="floor")


def _connect(builder: StateGraph[Any, Any, Any, Any], start: str, node: Any, length: int) -> None:
    before = start
    for index in range(length):
        builder.add_node(f"step-{index}", node)
        builder.add_edge(before, f"step-{index}")
        before = f"step-{index}"
