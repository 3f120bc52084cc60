"""Colleagues: the tools by which one agent asks another, gives it a task, or hands over to it.

The tools are data: whom they reach. The agent step carries them out, with the asker's budget, rights and bounds; anywhere else
they answer that they cannot. What a colleague is, is for the agent step to know: an agent, a team, a person, a function.
"""

from __future__ import annotations

from collections.abc import Sequence
from inspect import isfunction
from typing import Any, Literal

from langchain_core.tools import BaseTool, ToolException
from pydantic import BaseModel, Field

from state.errors import ConfigurationError

TRANSFER = "transfer_to_"
"""What the names of handoff tools begin with."""


class _Question(BaseModel):
    peer: str = Field(description="Name of the peer.")
    question: str = Field(description="What you want to know, complete in itself: the peer is told nothing else.")


class _Task(BaseModel):
    agent: str = Field(description="Name of the agent.")
    task: str = Field(description="What to do, complete in itself: the agent is told nothing else.")


class _Reason(BaseModel):
    reason: str = Field(description="Why it is for that agent.")
    notes: str = Field(default="", description="What that agent has to know to go on.")


class ColleagueTool(BaseTool):
    """Reaches one of several colleagues, and brings back what it says. Made by `create_consult_tool`, `create_delegate_tool`."""

    kind: Literal["consulted", "delegated"]
    colleagues: dict[str, Any]
    """By name."""

    def _run(self, *_: Any, **__: Any) -> str:
        raise ToolException(f"{self.name} can only be used by an agent of Orchestra while it works.")


class HandoffTool(BaseTool):
    """Hands control over to an agent. Made by `create_handoff_tool`."""

    agent: str

    def _run(self, *_: Any, **__: Any) -> str:
        raise ToolException(f"{self.name} can only be used by an agent of the handoff pattern while it works.")


def create_consult_tool(peers: Sequence[Any]) -> BaseTool:
    """Return the tool `consult(peer, question)`: a question to a peer mid-task, answered in the peer's own context.

    The asker keeps control. How many questions one step may ask and how deep they may go is in `Context`
    (`max_consultations`, `max_depth`); nobody is asked who waits for the asker's own answer.

    Args:
        peers: Agents, teams, people or functions, each with a name of its own.

    Raises:
        ConfigurationError: There are none, or two have one name.
    """
    text = "Ask a peer a question in the middle of your work and get the answer."
    colleagues = _by_name(peers, "peers")
    return ColleagueTool(
        name="consult",
        description=f"{text}\n{_listed(colleagues)}",
        args_schema=_Question,
        kind="consulted",
        colleagues=colleagues,
    )


def create_delegate_tool(agents: Sequence[Any]) -> BaseTool:
    """Return the tool `delegate(agent, task)`: a task goes out, and its result comes back. Bounds are those of `consult`.

    Args:
        agents: Agents, teams, people or functions, each with a name of its own.

    Raises:
        ConfigurationError: There are none, or two have one name.
    """
    colleagues = _by_name(agents, "agents")
    return ColleagueTool(
        name="delegate",
        description=f"Give an agent a task and get its result.\n{_listed(colleagues)}",
        args_schema=_Task,
        kind="delegated",
        colleagues=colleagues,
    )


def create_handoff_tool(agent: Any, *, description: str = "") -> BaseTool:
    """Return the tool `transfer_to_<agent>(reason, notes)`: control moves to the agent and stays there.

    Args:
        agent: An agent, or its name.
        description: What that agent is for; by default what it says of itself.
    """
    name = agent if isinstance(agent, str) else _name_of(agent)
    purpose = description or ("" if isinstance(agent, str) else _purpose_of(agent))
    return HandoffTool(
        name=f"{TRANSFER}{name}",
        description=f"Hand over to {name}, who answers from then on. {purpose}".strip(),
        args_schema=_Reason,
        agent=name,
    )


def _by_name(colleagues: Any, role: str) -> dict[str, Any]:
    if isinstance(colleagues, str) or not isinstance(colleagues, Sequence) or not colleagues:
        raise ConfigurationError(f"{role}: expected a list of at least one agent, got {colleagues!r}")
    names = [_name_of(colleague) for colleague in colleagues]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ConfigurationError(f"{role}: expected different names, got {twice} more than once")
    return dict(zip(names, colleagues, strict=True))


def _name_of(agent: Any) -> str:
    name = getattr(agent, "name", None) or getattr(agent, "__name__", None)
    if not isinstance(name, str) or not name.strip():
        raise ConfigurationError(f"expected an agent with a name, got {agent!r}")
    return name


def _purpose_of(agent: Any) -> str:
    """Return what an agent says it is for, in one line: its description, or a function's docstring."""
    said = getattr(agent, "description", "") or (agent.__doc__ if isfunction(agent) else "")
    return str(said or "").strip().split("\n")[0]


def _listed(colleagues: dict[str, Any]) -> str:
    return "\n".join(f"- {name}: {_purpose_of(one)}".rstrip(": ") for name, one in colleagues.items())
