"""An agent as data, and what may stand in its place."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from langchain_core.language_models import BaseChatModel
from langchain_core.runnables import Runnable
from langchain_core.tools import BaseTool

from nodes.availability import Available, Hours
from nodes.policy import Policy
from state.errors import ConfigurationError
from state.graph import Pattern

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
        """Refuse a name that cannot name a node, and what cannot be a tool."""
        check_name(self.name)
        _check_tools(self.name, self.tools)


@dataclass(frozen=True, eq=False)
class HumanAgent:
    """A person who does a task: the run pauses with a request, and their answer is the outcome.

    Args:
        name: Names its node and its outcomes.
        description: What the person is for.
        prompt: Shown with every task.
        available: When the person is there: `Hours`, or a function that says whether they are now. Always by default.
        due: Seconds to answer in, counted from when the person is there. After them the outcome is `timed_out`.
        backup: Who gets the task when the person is not there, or time ran out: another person, or any agent.
    """

    name: str = "human"
    description: str = "A person."
    prompt: str = ""
    available: Available | None = field(default=None, kw_only=True)
    due: float | None = field(default=None, kw_only=True)
    backup: AnyAgent | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        """Refuse a name that cannot name a node, and what could never work."""
        check_name(self.name)
        if self.due is not None and not self.due > 0:
            raise ConfigurationError(f"{self.name}: expected due in seconds above 0, got {self.due!r}")
        if self.available is not None and not isinstance(self.available, Hours) and not callable(self.available):
            raise ConfigurationError(f"{self.name}: expected available as Hours or a function, got {self.available!r}")
        if self.backup is not None:
            check_agent(self.backup, role=f"backup of {self.name}")
            if self.due is None and self.available is None:
                raise ConfigurationError(f"{self.name}: backup never gets a turn without due or available")


AnyAgent = Agent | HumanAgent | Runnable[Any, Any] | Callable[..., Any]
"""Whatever can be an agent: data, a person, a compiled graph, a runnable, a chat model, a function."""


def _check_tools(agent: str, tools: Any) -> None:
    """Refuse what could not be offered to a model. It would show only when the agent first works."""
    if isinstance(tools, str) or not isinstance(tools, Sequence):
        raise ConfigurationError(f"{agent}: tools: expected a list of tools or functions, got {tools!r}")
    for tool in tools:
        if not isinstance(tool, BaseTool) and not callable(tool):
            raise ConfigurationError(f"{agent}: tools: expected a LangChain tool or a function, got {tool!r}")
        if not isinstance(tool, BaseTool) and not inspect.getdoc(tool):
            name = getattr(tool, "__name__", repr(tool))
            raise ConfigurationError(
                f"{agent}: tool {name!r} has no docstring, in which the model reads what it is for"
            )


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
        return str(getattr(getattr(agent, "builder", None), "description", "")).split("\n")[0]
    return str(getattr(agent, "description", "") or agent.__doc__ or "").split("\n")[0]


def prompts_among(agents: Iterable[AnyAgent]) -> dict[str, str]:
    """Return what agents are told, by name; of a team that is one of them, what those in it are told."""
    prompts: dict[str, str] = {}
    for agent in agents:
        if isinstance(agent, Agent):
            prompts.setdefault(agent.name, agent.prompt)
        elif isinstance(agent, Pattern):
            prompts = {**{name: prompt.text for name, prompt in agent.prompts.items()}, **prompts}
    return prompts


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
