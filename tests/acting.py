"""Agents that act a part, and what came of a run, for the tests of single patterns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from langgraph.graph import END, START
from pydantic import BaseModel

from cases import says as says
from nodes import Agent, ScriptedChatModel
from nodes.executor import execute_node
from nodes.finished import ExecutionState
from nodes.turn import begin_node
from state import Context
from state.graph import PatternBuilder

REVISE = {"verdict": "revise", "issues": ["Too short."], "score": 0.2}
ACCEPT = {"verdict": "accept", "issues": [], "score": 1.0}


class Opinion(BaseModel):
    """An answer with how sure its author is."""

    answer: str
    confidence: float = 1.0
    score: float = 0.0


class Parts(BaseModel):
    """Items under another name, in front of which stands something else."""

    title: str
    parts: list[Any]


def holds(name: str, answer: str, **figures: float) -> Agent:
    """Return an agent that answers with an opinion."""
    return says(name, Opinion(answer=answer, **figures), response_format=Opinion)


def fails(name: str, message: str = "broken") -> Agent:
    """Return an agent that always fails."""
    return says(name, *[ValueError(message)] * 5)


def run(builder: Any, task: str = "the task", **context: Any) -> dict[str, Any]:
    """Run a pattern and return its final state."""
    result: dict[str, Any] = builder.compile(name="p").invoke({"task": task}, context=Context(**context))
    return result


def executing(plan: dict[str, Any], agents: Sequence[Any], **options: Any) -> PatternBuilder:
    """Return a graph that does nothing but execute a plan."""
    builder = PatternBuilder(ExecutionState)
    builder.add_node("begin", begin_node(plan=plan, finished={}, pending=[]))
    builder.add_node("execute", execute_node(agents, **options))
    builder.add_edge(START, "begin")
    builder.add_edge("begin", "execute")
    builder.add_conditional_edges("execute", lambda state: "execute" if state["pending"] else END, ["execute", END])
    return builder


def statuses(result: dict[str, Any]) -> dict[str, str]:
    return {outcome["id"]: outcome["status"] for outcome in result["outcomes"]}


def told(agent: Agent, call: int = 0) -> str:
    """Return what an agent was sent at a call."""
    assert isinstance(agent.model, ScriptedChatModel)
    return agent.model.requests[call].messages[-1].text


async def echo(item: str) -> str:
    """Give an item back, as a worker."""
    if item == "bad":
        raise ValueError("bad item")
    return f"<{item}>"
