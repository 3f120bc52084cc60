"""Single: one agent answers.

START -> begin -> agent -> finish -> END

Use it when: one agent with the right tools is enough; it is the baseline the other patterns have to beat.
Costs: 1 model call, and 1 more for each round of tool calls. Ends: one pass, no loop.
Source: ReAct (Yao et al., 2210.03629), section 2, for the loop inside the agent.
"""

from __future__ import annotations

from typing import Any

from langgraph.graph import END, START

from nodes.node import agent_node
from nodes.roles import assistant
from nodes.spec import AnyAgent, check_agent, name_of
from nodes.turn import begin_node, brief_task, conclude, recent_conversation, settle
from state.graph import PatternBuilder
from state.made import remembered
from state.task import TaskState


async def finish(state: TaskState) -> dict[str, Any]:
    """Give the agent's answer."""
    outcome = state["outcomes"][-1]
    status, reason = settle(state["outcomes"])
    return conclude(state, outcome["output"], status=status, reason=reason, structured=outcome["structured"])


@remembered
def build(agent: AnyAgent | None = None) -> PatternBuilder:
    """Return the uncompiled graph.

    Args:
        agent: Who answers. It remembers the conversation, as far as `Context.history_window` reaches.

    Raises:
        ConfigurationError: `agent` is nothing that can be an agent.
    """
    agent = check_agent(agent or assistant())
    name = name_of(agent)
    builder = PatternBuilder()
    builder.add_node("begin", begin_node())
    builder.add_node(name, agent_node(agent, brief_task(name), memory=recent_conversation))
    builder.add_node("finish", finish)
    builder.add_edge(START, "begin")
    builder.add_edge("begin", name)
    builder.add_edge(name, "finish")
    builder.add_edge("finish", END)
    return builder


graph = build().compile(name="single")
