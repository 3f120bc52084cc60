"""Matching: which agents suit a task, by what they say they are for and the tools they have.

Source: Okapi BM25 (Robertson and Zaragoza, 2009), without its length normalisation: descriptions are short.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

from langchain_core.tools import BaseTool

from nodes.spec import Agent, AnyAgent, describe, name_of
from tools.retrieval.stemming import stem
from tools.retrieval.words import STOP_WORDS, camel_parts, is_camel, words

_SATURATION = 1.2


class Match(NamedTuple):
    """How well an agent suits a task."""

    agent: str
    score: float
    """0 when nothing in common was found; larger is better, comparable within one call only."""
    words: tuple[str, ...]
    """What the task and the agent have in common, the most telling first."""


def match_agents(task: str, agents: Sequence[AnyAgent]) -> list[Match]:
    """Return every agent with how well it suits the task, the best first; equals in the order given."""
    described = {name_of(agent): _terms(_advertisement(agent)) for agent in agents}
    wanted = _terms(task)
    rare = {term: _rarity(term, list(described.values())) for term in wanted}
    matches = []
    for name, terms in described.items():
        shared = sorted((term for term in wanted if term in terms), key=lambda term: -rare[term])
        score = sum(rare[term] * terms[term] * (_SATURATION + 1) / (terms[term] + _SATURATION) for term in shared)
        matches.append(Match(name, round(score, 6), tuple(shared)))
    return sorted(matches, key=lambda match: -match.score)


def shown_matches(task: str, agents: Sequence[AnyAgent], most: int) -> list[dict[str, Any]]:
    """Return the best matches as plain JSON, `{agent, score, words}`, for a person to see."""
    best = match_agents(task, agents)[:most]
    return [{"agent": match.agent, "score": match.score, "words": list(match.words)} for match in best]


def shortlist(task: str, agents: Sequence[AnyAgent], most: int) -> tuple[AnyAgent, ...]:
    """Return the agents that suit a task best, at most `most`, in the order they were given."""
    best = {match.agent for match in match_agents(task, agents)[:most]}
    return tuple(agent for agent in agents if name_of(agent) in best)


def find_name(said: str, names: Sequence[str]) -> str | None:
    """Return the name that was meant: the very same, else the only one that differs in case, quotes or markup alone."""
    if said in names:
        return said
    meant = [name for name in names if _plain_name(name) == _plain_name(said)]
    return meant[0] if len(meant) == 1 else None


def roster(agents: Sequence[AnyAgent]) -> str:
    """Return the list of agents that a deciding agent chooses from: a line each, with what it is for and its tools."""
    return "\n".join(_line(agent) for agent in agents)


def _plain_name(name: str) -> str:
    return name.strip(" \t\r\n\"'`*_@<>[](){}.,:;").casefold()


def _line(agent: AnyAgent) -> str:
    name, purpose = name_of(agent), describe(agent)
    tools = [_name_of_tool(tool) for tool in agent.tools] if isinstance(agent, Agent) else []
    line = f"- {name}: {purpose}" if purpose and purpose != name else f"- {name}"
    return f"{line} (tools: {', '.join(tools)})" if tools else line


def _advertisement(agent: AnyAgent) -> str:
    """Return all that tells what an agent can do: name, description, names and descriptions of its tools."""
    parts = [name_of(agent), describe(agent)]
    for tool in agent.tools if isinstance(agent, Agent) else ():
        about = tool.description if isinstance(tool, BaseTool) else tool.__doc__
        parts += [_name_of_tool(tool), (about or "").strip().split("\n")[0]]
    return " ".join(parts)


def _name_of_tool(tool: object) -> str:
    return str(getattr(tool, "name", None) or getattr(tool, "__name__", type(tool).__name__))


def _terms(text: str) -> Counter[str]:
    """Return the stems of a text's telling words, names in CamelCase taken apart, with how often each stands there."""
    spaced = " ".join(" ".join(camel_parts(word)) if is_camel(word) else word for word in text.split())
    return Counter(stem(word) for word in words(spaced.replace("_", " ")) if word not in STOP_WORDS)


def _rarity(term: str, described: Sequence[Counter[str]]) -> float:
    having = sum(1 for terms in described if term in terms)
    return math.log(1 + (len(described) - having + 0.5) / (having + 0.5))
