"""The node of an agent: what it is sent, what it remembers, and what of its outcome the pattern keeps."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from langchain_core.messages import AnyMessage
from langchain_core.runnables import RunnableConfig
from langgraph.runtime import Runtime
from langgraph.types import Send

from nodes.agent import run_agent
from nodes.authority import Authority
from nodes.layers.outside import taint_in, taint_of
from nodes.spec import AnyAgent, name_of, prompts_among
from state.envelope import Envelope
from state.outcome import Outcome, node_of
from state.prompts import tell_prompts
from state.task import TaskState

Brief = Callable[[Any, Runtime[Any]], Envelope]
"""Chooses what crosses to an agent: `(state, runtime) -> Envelope`."""
Memory = Callable[[Any, Runtime[Any]], Sequence[AnyMessage]]
"""Chooses what an agent remembers of earlier turns: `(state, runtime) -> messages`."""
Under = Callable[[Any], Authority | None]
"""Says what those may do that an agent works for: `state -> authority`."""
Node = Callable[[Any, Runtime[Any], RunnableConfig], Awaitable[dict[str, Any]]]


def agent_node(
    agent: AnyAgent,
    brief: Brief,
    *,
    memory: Memory | None = None,
    keep: Callable[[Outcome, Any], dict[str, Any]] | None = None,
    under: Under | None = None,
) -> Node:
    """Return a node that sends the agent an envelope and adds its outcome to the state.

    Args:
        agent: Who works.
        brief: What it is sent.
        memory: What it remembers; nothing by default.
        keep: What else the pattern's state takes from the outcome: `(outcome, state) -> update`.
        under: What those may do that the agent works for: `state -> authority`. Nobody limits it by default.
    """

    async def node(state: Any, runtime: Runtime[Any], config: RunnableConfig) -> dict[str, Any]:
        envelope = brief(state, runtime)
        remembered = memory(state, runtime) if memory else ()
        sources = (
            [*state.get("taint", ()), *taint_of(state.get("outcomes", ()))] if _is_told_more(envelope, state) else []
        )
        if sources := [*sources, *taint_in(remembered)]:
            envelope = envelope.model_copy(update={"taint": (*envelope.taint, *sources)})
        step_id = state.get("branch") or next_id(name_of(agent), state)
        limits = under(state) if under is not None else None
        outcome = await run_agent(agent, envelope, runtime, config, step_id=step_id, memory=remembered, under=limits)
        return {"outcomes": [outcome], **(keep(outcome, state) if keep else {})}

    tell_prompts(node, prompts_among([agent]))
    return node


def sent(node: str, state: TaskState, **given: Any) -> Send:
    """Return what starts a branch at a node: what it is given, and where what its sender had read came from."""
    return Send(node, {**given, "taint": taint_of(state["outcomes"])})


def _is_told_more(envelope: Envelope, state: TaskState) -> bool:
    """Whether an envelope may hold what agents of this turn wrote, and not only the user's task."""
    return bool(envelope.context) or envelope.task != state.get("goal")


def next_id(name: str, state: TaskState) -> str:
    """Return the id of an agent's next outcome in this turn: its name, then `name#2`, `name#3`."""
    return nth_id(name, 1 + sum(1 for outcome in state.get("outcomes", ()) if node_of(outcome) == name))


def nth_id(name: str, number: int) -> str:
    """Return the id of an agent's outcome by its number in the turn, from 1."""
    return name if number == 1 else f"{name}#{number}"
