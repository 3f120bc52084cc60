"""What the tests that hold for every pattern need of each: a scripted happy path, one with a stuck agent, one with a person."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from nodes import Agent, ScriptedChatModel

ACCEPT = {"verdict": "accept", "issues": [], "score": 1.0}
REVISE = {"verdict": "revise", "issues": ["It is too short."], "score": 0.2}

HAPPY: dict[str, dict[str, list[Any]]] = {
    "single": {"assistant": ["done"]},
    "sequential": {"assistant": ["first"], "writer": ["done"]},
    "parallel": {"assistant": ["one"], "skeptic": ["two"]},
    "map_reduce": {"splitter": [{"items": ["x", "y"]}], "assistant": ["of x", "of y"]},
    "review": {"writer": ["draft", "done"], "critic": [REVISE, ACCEPT]},
}
"""Steps of each default agent, by pattern."""

ANSWERS = {
    "single": "done",
    "sequential": "done",
    "parallel": "## assistant\n\none\n\n## skeptic\n\ntwo",
    "map_reduce": "## x\n\nof x\n\n## y\n\nof y",
    "review": "done",
}

HANGING: dict[str, Callable[[Any, Any, Any], Any]] = {
    "single": lambda module, stuck, other: module.build(stuck),
    "sequential": lambda module, stuck, other: module.build([stuck, other]),
    "parallel": lambda module, stuck, other: module.build([stuck, other]),
    "map_reduce": lambda module, stuck, other: module.build(stuck, splitter=says("lines", "one\ntwo")),
    "review": lambda module, stuck, other: module.build(stuck, [other]),
}
"""Builders of each pattern, given its module, a worker that hangs and one that answers "fine" up to three times."""

PARTIAL = {"parallel"}
"""Patterns that give what the others made when one worker of several hangs; the others fail."""

ASKING: dict[str, Callable[[Any, Any], Any]] = {
    "single": lambda module, person: module.build(person),
    "sequential": lambda module, person: module.build([says("other", "fine"), person]),
    "parallel": lambda module, person: module.build([says("other", "fine"), person]),
    "map_reduce": lambda module, person: module.build(person, splitter=says("lines", "one")),
    "review": lambda module, person: module.build(person, [says("critic", "ACCEPT")]),
}
"""Builders of each pattern, given its module and a person; what the person says has to be in the answer."""


def says(name: str, *steps: Any, **options: Any) -> Agent:
    """Return an agent that answers with the steps, in order."""
    return Agent(name, model=ScriptedChatModel(list(steps)), **options)


def script(name: str, *, turns: int = 1) -> ScriptedChatModel:
    """Return a model that plays a pattern's happy path for some turns."""
    return ScriptedChatModel(by_agent={agent: steps * turns for agent, steps in HAPPY[name].items()})
