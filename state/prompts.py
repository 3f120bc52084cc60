"""The prompts of a graph: what its agents are told, and in which nodes, so that a form can show and replace them.

A node says which agents work in it with `tell_prompts`. LangGraph Studio shows a field that names a node beside that node, and
sends what was typed into it with the run's context.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from types import FunctionType
from typing import Any
from weakref import WeakKeyDictionary

from state.errors import ConfigurationError

FIELD = "prompts"
"""Field of `Context` that takes prompts by the names of agents."""
_SUFFIX = "_prompt"
_DEPTH = 5
"""How many functions may be around one that an agent works in."""

_told: WeakKeyDictionary[Callable[..., Any], Mapping[str, str]] = WeakKeyDictionary()


@dataclass
class Prompt:
    """What one agent of a graph is told.

    Args:
        agent: Its name.
        text: Its own prompt.
        nodes: Where it works, in the order of the graph.
    """

    agent: str
    text: str
    nodes: list[str] = field(default_factory=list)


def tell_prompts(node: Callable[..., Any], prompts: Mapping[str, str]) -> None:
    """Say what the agents are told that work in a node: prompt by name."""
    _told[node] = dict(prompts)


def prompts_of(actions: Mapping[str, Any]) -> dict[str, Prompt]:
    """Return the prompts of a graph by agent.

    Args:
        actions: The function of each node, also where it is inside of another one.
    """
    found: dict[str, Prompt] = {}
    for node, action in actions.items():
        for function in _within(action, _DEPTH):
            for agent, text in _told.get(function, {}).items():
                prompt = found.setdefault(agent, Prompt(agent, text))
                if node not in prompt.nodes:
                    prompt.nodes.append(node)
    return found


def _within(action: Any, depth: int) -> Iterator[FunctionType]:
    """Yield a function, and those that it was made from."""
    if not isinstance(action, FunctionType):
        return
    yield action
    if depth:
        for cell in action.__closure__ or ():
            yield from _within(_content(cell), depth - 1)


def _content(cell: Any) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # not filled yet
        return None


def with_fields(schema: Mapping[str, Any], prompts: Mapping[str, Prompt]) -> dict[str, Any]:
    """Return the schema of a context with one field more for each prompt, which Studio shows at the agent's nodes."""
    fields = {
        f"{name}{_SUFFIX}": {
            "type": "string",
            "title": f"Prompt of {name}",
            "description": f"What {name} is told in this run, in place of its own prompt.",
            "default": prompt.text,
            "langgraph_nodes": prompt.nodes,
            "langgraph_type": "prompt",
        }
        for name, prompt in prompts.items()
    }
    return {**schema, "properties": {**schema.get("properties", {}), **fields}}


def without_fields(context: Mapping[str, Any], prompts: Mapping[str, Prompt]) -> dict[str, Any]:
    """Return a context as a form sent it, with the fields of `with_fields` put together under `prompts`.

    Raises:
        ConfigurationError: `prompts` is there too, and is no mapping.
    """
    typed = {name: context[f"{name}{_SUFFIX}"] for name in prompts if f"{name}{_SUFFIX}" in context}
    taken = {f"{name}{_SUFFIX}" for name in typed}
    rest = {key: value for key, value in context.items() if key not in taken}
    if not typed:
        return rest
    given = rest.get(FIELD) or {}
    if not isinstance(given, Mapping):
        raise ConfigurationError(f"Context: {FIELD}: expected text by agent name, got {type(given).__name__}")
    changed = {name: text for name, text in typed.items() if text is not None and text != prompts[name].text}
    return {**rest, FIELD: {**given, **changed}}
