"""One scripted happy path for each pattern, for the tests that hold for all of them."""

from __future__ import annotations

from typing import Any

from nodes import ScriptedChatModel

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


def script(name: str, *, turns: int = 1) -> ScriptedChatModel:
    """Return a model that plays a pattern's happy path for some turns."""
    return ScriptedChatModel(by_agent={agent: steps * turns for agent, steps in HAPPY[name].items()})
