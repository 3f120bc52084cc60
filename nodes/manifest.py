"""Manifest: what an agent was given, as names and sizes in characters; never what it says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from langchain_core.messages import AnyMessage

from nodes.spec import Agent, AnyAgent
from state.envelope import Envelope


def manifest_of(
    agent: AnyAgent, envelope: Envelope, memory: Sequence[AnyMessage], prompts: Mapping[str, str]
) -> dict[str, Any]:
    """Return `{task, context: {heading: size}, constraints, memory: {messages, characters}, prompt, tools, answers, outside}`.

    What there is none of is left out.

    Args:
        agent: Who works.
        envelope: What it is sent.
        memory: What it remembers of earlier turns.
        prompts: What the run tells agents, by name, in place of their own prompts.
    """
    given: dict[str, Any] = {"task": len(envelope.task)}
    if context := {heading: len(text) for heading, text in envelope.context.items() if text}:
        given["context"] = context
    if envelope.constraints:
        given["constraints"] = sum(map(len, envelope.constraints))
    if memory:
        given["memory"] = {"messages": len(memory), "characters": sum(len(message.text) for message in memory)}
    if envelope.taint:
        given["outside"] = list(envelope.taint)
    if isinstance(agent, Agent):
        given |= _of_agent(agent, prompts.get(agent.name) or agent.prompt)
    return given


def _of_agent(agent: Agent, prompt: str) -> dict[str, Any]:
    given: dict[str, Any] = {"prompt": len(prompt)} if prompt else {}
    if agent.tools:
        given["tools"] = [str(getattr(tool, "name", None) or getattr(tool, "__name__", "tool")) for tool in agent.tools]
    if agent.response_format is not None:
        given["answers"] = getattr(agent.response_format, "__name__", "") or _kinds(agent.response_format)
    return given


def _kinds(shape: Any) -> str:
    """Return the names of alternatives."""
    return " | ".join(getattr(each, "__name__", "schema") for each in getattr(shape, "__args__", (shape,)))
