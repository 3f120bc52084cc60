"""Managers of hierarchical teams that act a part: their plans and verdicts, and what came of them."""

from __future__ import annotations

from typing import Any

from langchain_core.runnables import RunnableConfig

from acting import says
from cases import part, plan_of
from graphs import hierarchical
from nodes import Agent, ScriptedChatModel
from nodes.scripted import Step
from state.graph import Pattern

THREAD: RunnableConfig = {"configurable": {"thread_id": "t"}}
ESCALATE = {"verdict": "escalate", "feedback": "Nobody here knows."}
ONE = plan_of(part("a", "x"))
TWO = plan_of(part("a", "x"), part("b", "y"))
CHAIN = plan_of(part("a", "x"), part("b", "y", "a"))


def retry(feedback: str = "Say more.") -> dict[str, Any]:
    return {"verdict": "retry", "feedback": feedback}


def reassign(agent: str, feedback: str = "") -> dict[str, Any]:
    return {"verdict": "reassign", "agent": agent, "feedback": feedback}


def manager(*steps: Any, name: str = "manager") -> Agent:
    return says(name, *steps)


def on(name: str, verdict: Any) -> Step:
    """Return a verdict on one subtask, whichever comes first."""
    return Step(verdict, match=lambda messages: messages[-1].text.startswith(f"Do {name}."))


def team(name: str, lead: Agent, *workers: Any, **options: Any) -> Pattern:
    return hierarchical.build(workers, manager=lead, **options).compile(name=name)


def verdicts(result: dict[str, Any]) -> list[tuple[str, str, str]]:
    return [(one["outcome"], one["by"], one["verdict"]) for one in result["structured"]["verdicts"]]


def asked(lead: Agent) -> int:
    assert isinstance(lead.model, ScriptedChatModel)
    return len(lead.model.requests)


def all_done(*agents: Agent) -> None:
    for agent in agents:
        assert isinstance(agent.model, ScriptedChatModel)
        agent.model.assert_done()
