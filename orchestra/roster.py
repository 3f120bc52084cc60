"""Roster: the names of all who can be spoken to in a graph, as far as it can be seen without running it."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Iterator, Mapping
from typing import Any

from langchain_core.language_models import BaseChatModel
from langgraph.pregel.protocol import PregelProtocol

from nodes.person import policy_of
from nodes.spec import Agent, HumanAgent, name_of
from tools.colleagues import ColleagueTool


def names_in(graph: Any) -> list[str]:
    """Return the names of a graph's agents, and of the teams nested in it, the outer ones first; none of people and functions.

    They are found where a node's function holds them: by itself, in a list or by name, and as a colleague or fallback of another.
    """
    seen = {id(graph)}
    return list(dict.fromkeys(name for part in _parts(graph) for name in _names(part, seen)))


def _names(thing: Any, seen: set[int]) -> Iterator[str]:
    if id(thing) in seen:
        return
    seen.add(id(thing))
    if isinstance(thing, Agent | BaseChatModel | PregelProtocol):
        yield name_of(thing)
    for part in _parts(thing):
        yield from _names(part, seen)


def _parts(thing: Any) -> Iterator[Any]:
    """Yield what may hold agents in turn."""
    if isinstance(thing, PregelProtocol):
        for node in getattr(getattr(thing, "builder", None), "nodes", {}).values():
            runnable = node.runnable
            yield getattr(runnable, "afunc", None) or getattr(runnable, "func", None) or runnable
    elif isinstance(thing, Agent | HumanAgent):
        yield from (tool for tool in getattr(thing, "tools", ()) if isinstance(tool, ColleagueTool))
        yield from (fallback.agent for fallback in policy_of(thing).fallbacks())
    elif isinstance(thing, ColleagueTool):
        yield from thing.colleagues.values()
    elif isinstance(thing, functools.partial):
        yield from (thing.func, *thing.args, *thing.keywords.values())
    elif isinstance(thing, Mapping):
        yield from thing.values()
    elif isinstance(thing, list | tuple | set | frozenset):
        yield from thing
    elif inspect.isfunction(thing):
        yield from inspect.getclosurevars(thing).nonlocals.values()
