"""An agent as data, and what may stand in its place."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from langchain_core.language_models import BaseChatModel
from langchain_core.runnables import Runnable
from langchain_core.tools import BaseTool

from nodes.policy import Policy
from state.errors import ConfigurationError

_RESERVED = frozenset("|:/#")


@dataclass(frozen=True, eq=False)
class Agent:
    """A model with a prompt and tools, run until it answers.

    Args:
        name: Names its node, its outcomes and its events; unique in a graph.
        description: What it is for. Routers and planners read it.
        prompt: System prompt.
        tools: LangChain tools, or functions that become tools.
        model: `"provider:model"`, a chat model, or None for the run's model.
        response_format: Schema of a structured answer: a Pydantic model, a TypedDict, a dataclass or a JSON schema.
        policy: Limits and failure handling.
        version: Told apart in traces.
    """

    name: str
    description: str = ""
    prompt: str = ""
    tools: Sequence[BaseTool | Callable[..., Any]] = field(default=(), kw_only=True)
    model: str | BaseChatModel | None = field(default=None, kw_only=True)
    response_format: Any = field(default=None, kw_only=True)
    policy: Policy = field(default=Policy(), kw_only=True)
    version: str = field(default="1", kw_only=True)

    def __post_init__(self) -> None:
        """Refuse a name that cannot name a node."""
        check_name(self.name)


@dataclass(frozen=True, eq=False)
class HumanAgent:
    """A person who does a task: the run pauses with a request, and their answer is the outcome.

    Args:
        name: Names its node and its outcomes.
        description: What the person is for.
        prompt: Shown with every task.
    """

    name: str = "human"
    description: str = "A person."
    prompt: str = ""

    def __post_init__(self) -> None:
        """Refuse a name that cannot name a node."""
        check_name(self.name)


AnyAgent = Agent | HumanAgent | Runnable[Any, Any] | Callable[..., Any]
"""Whatever can be an agent: data, a person, a compiled graph, a runnable, a chat model, a function."""


def name_of(agent: AnyAgent) -> str:
    """Return the name an agent goes by in nodes, outcomes and events."""
    if isinstance(agent, Agent | HumanAgent):
        return agent.name
    if isinstance(agent, BaseChatModel):
        return "assistant"
    if isinstance(agent, Runnable):
        return agent.get_name()
    return getattr(agent, "__name__", type(agent).__name__)


def describe(agent: AnyAgent) -> str:
    """Return what an agent is for, in one line; nothing when it does not say."""
    if isinstance(agent, Agent | HumanAgent):
        return agent.description.split("\n")[0]
    if isinstance(agent, Runnable):
        return ""
    return str(getattr(agent, "description", "") or agent.__doc__ or "").split("\n")[0]


def check_agents(agents: Any, *, role: str = "agents", least: int = 1) -> tuple[AnyAgent, ...]:
    """Return the agents if there are enough, each can be one, and their names differ.

    Raises:
        ConfigurationError: Says which of them is wrong and why.
    """
    if isinstance(agents, str) or not isinstance(agents, Sequence):
        raise ConfigurationError(f"{role}: expected a list of agents, got {agents!r}")
    if len(agents) < least:
        raise ConfigurationError(f"{role}: expected at least {least}, got {len(agents)}")
    names = [name_of(check_agent(agent, role=role)) for agent in agents]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ConfigurationError(f"{role}: expected different names, got {twice} more than once")
    return tuple(agents)


def check_agent(agent: Any, *, role: str = "agent") -> AnyAgent:
    """Return the agent if it can be one.

    Raises:
        ConfigurationError: It is neither an agent nor anything invokable, or has a name no node can have.
    """
    if not isinstance(agent, Agent | HumanAgent | Runnable) and not callable(agent):
        expected = "an Agent, a HumanAgent, a compiled graph, a runnable or an async function"
        raise ConfigurationError(f"{role}: expected {expected}, got {agent!r}")
    found: AnyAgent = agent
    check_name(name_of(found))
    return found


def check_name(name: Any) -> None:
    """Refuse a name that cannot name a node of a graph."""
    if not isinstance(name, str) or not name.strip() or _RESERVED & set(name) or name.startswith("__"):
        raise ConfigurationError(f"agent name: expected text without '|', ':', '/', '#' and leading '__', got {name!r}")
