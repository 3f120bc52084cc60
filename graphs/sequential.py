"""Sequential: agents work one after the other, each on what the one before made.

START -> begin -> a -> (next | finish) -> b -> ... -> finish -> END

Use it when: the steps are known beforehand and each needs the result of the one before.
Costs: n model calls for n agents, without tools. Ends: each agent runs at most once.
Source: prompt chaining, "Building effective agents" (Anthropic, 2024).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from langgraph.graph import END, START
from langgraph.runtime import Runtime

from nodes.node import Brief, agent_node
from nodes.roles import assistant, writer
from nodes.spec import AnyAgent, check_agents, name_of
from nodes.turn import begin_node, conclude, recent_conversation, settle
from state.envelope import Envelope
from state.graph import PatternBuilder
from state.made import remembered
from state.outcome import Outcome
from state.task import TaskState


def brief_step(recipient: str) -> Brief:
    """Return the brief of one step: the task, and what the last successful step made of it; not the whole past."""

    def brief(state: TaskState, runtime: Runtime[Any]) -> Envelope:  # noqa: ARG001  # briefs share one signature
        before = last_made(state)
        context = {f"Context from {before['agent']}": before["output"]} if before else {}
        sender = before["agent"] if before else "user"
        return Envelope(sender=sender, recipient=recipient, task=state["goal"], context=context)

    return brief


def last_made(state: TaskState) -> Outcome | None:
    """Return the latest outcome that succeeded."""
    return next((outcome for outcome in reversed(state["outcomes"]) if outcome["status"] == "ok"), None)


def route_step(following: str) -> Callable[[TaskState], str]:
    """Return the router behind a step: on to the next one unless the step failed."""

    def route(state: TaskState) -> str:
        return following if state["outcomes"][-1]["status"] in ("ok", "skipped") else "finish"

    return route


async def finish(state: TaskState) -> dict[str, Any]:
    """Give what the last step made; what an unfinished chain made so far is partial."""
    made, (status, reason) = last_made(state), settle(state["outcomes"])
    if state["outcomes"][-1]["status"] == "stopped":
        status = "stopped"
    return conclude(
        state,
        made["output"] if made else state["outcomes"][-1]["output"],
        status=status,
        reason=reason,
        structured=made["structured"] if made else None,
    )


@remembered
def build(agents: Sequence[AnyAgent] | None = None) -> PatternBuilder:
    """Return the uncompiled graph.

    Args:
        agents: In working order; the first one remembers the conversation. Names must differ.

    Raises:
        ConfigurationError: No agents, two of one name, or something that cannot be an agent.
    """
    agents = check_agents((assistant(), writer()) if agents is None else agents)
    names = [name_of(agent) for agent in agents]
    builder = PatternBuilder()
    builder.add_node("begin", begin_node())
    for index, (agent, name) in enumerate(zip(agents, names, strict=True)):
        memory = recent_conversation if index == 0 else None
        builder.add_node(name, agent_node(agent, brief_step(name), memory=memory))
    builder.add_node("finish", finish)
    builder.add_edge(START, "begin")
    builder.add_edge("begin", names[0])
    for name, following in zip(names, [*names[1:], "finish"], strict=True):
        builder.add_conditional_edges(name, route_step(following), sorted({following, "finish"}))
    builder.add_edge("finish", END)
    return builder


graph = build().compile(name="sequential")
