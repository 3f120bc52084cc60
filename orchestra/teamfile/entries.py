"""Agents that were made in Python, as entries of a team file."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from typing import Any

from langgraph.graph import StateGraph
from pydantic import BaseModel

from nodes.availability import Hours
from nodes.policy import Fallback, Policy
from nodes.spec import Agent, AnyAgent, HumanAgent, name_of
from orchestra.teamfile.naming import reference_of
from orchestra.teamfile.parts import Part
from orchestra.teamfile.tools import name_of_tool
from state.made import Made

Where = tuple[str, ...]
"""Names of the teams and the agent that something belongs to."""


class Entries:
    """The agents of one pattern on their way to entries.

    Args:
        where: Whose they are.
        team: Returns what a team among them is in a file.
        refuse: Takes note of what no file can hold.
    """

    def __init__(
        self, where: Where, team: Callable[[Made, Where], dict[str, Any]], refuse: Callable[[Where, str], None]
    ) -> None:
        self.where, self.team, self.refuse = where, team, refuse
        self.entries: dict[str, Any] = {}
        self.known: dict[str, AnyAgent] = {}
        self.spare: set[str] = set()

    def names(self, part: Part, value: Any) -> Any:
        """Return the names of those who play a part; words are left as they are."""
        if isinstance(value, str):
            return value
        if part.is_many:
            return [self.name(agent) for agent in value]
        return self.name(value)

    def players(self, said: Mapping[str, Any]) -> list[str]:
        """Return who takes part by the rules of reading: not those who only stand in, unless an option names them."""
        named = {name for value in said.values() for name in (value if isinstance(value, list) else [value])}
        return [name for name in self.entries if name not in self.spare or name in named]

    def name(self, agent: AnyAgent) -> str:
        """Return the name of an agent, and take it among the entries."""
        name = name_of(agent)
        where = (*self.where, name)
        if name in self.known:
            if self.known[name] is not agent:
                self.refuse(where, "there are two agents of this name; rename one")
            return name
        self.known[name] = agent
        self.entries[name] = {}
        if isinstance(agent, Agent):
            self.entries[name] = self._agent(agent, where)
        elif isinstance(agent, HumanAgent):
            self.entries[name] = self._person(agent, where)
        elif (made := made_of(agent)) is not None:
            builder = getattr(agent, "builder", None)
            purpose = str(getattr(builder, "description", ""))
            if knobs := getattr(builder, "knobs", None):
                remedy = "they do not count within another team; say them of the whole, and take them out of its file"
                self.refuse(where, f"its file sets {', '.join(knobs)}; {remedy}")
            self.entries[name] = {**({"description": purpose} if purpose else {}), **self.team(made, where)}
        else:
            kind = type(agent).__name__
            self.refuse(where, f"expected an Agent, a HumanAgent or a pattern, got {kind}; give it from Python")
        return name

    def _agent(self, agent: Agent, where: Where) -> dict[str, Any]:
        entry: dict[str, Any] = {"description": agent.description, "prompt": agent.prompt}
        if not agent.description:
            entry.pop("description")
        if agent.tools:
            entry["tools"] = self._tools(agent, where)
        if isinstance(agent.model, str):
            entry["model"] = agent.model
        elif agent.model is not None:
            self.refuse((*where, "model"), f"expected 'provider:model', got a {type(agent.model).__name__} object")
        if agent.response_format is not None:
            entry["response_format"] = self._shape(agent.response_format, where)
        if policy := self._policy(agent.policy, where):
            entry["policy"] = policy
        if agent.version != "1":
            entry["version"] = agent.version
        return entry

    def _tools(self, agent: Agent, where: Where) -> list[str]:
        references = []
        for tool in agent.tools:
            reference = reference_of(tool)
            if reference is None:
                remedy = "make it at the top of a module, so that it has an import path"
                self.refuse((*where, "tools", name_of_tool(tool)), f"it has no name that a file could use; {remedy}")
            else:
                references.append(reference)
        return list(dict.fromkeys(references))

    def _shape(self, shape: Any, where: Where) -> Any:
        if isinstance(shape, dict):
            return shape
        if isinstance(shape, type) and issubclass(shape, BaseModel):
            return shape.model_json_schema()
        self.refuse((*where, "response_format"), "expected a JSON schema or a Pydantic model")
        return None

    def _policy(self, policy: Policy, where: Where) -> dict[str, Any]:
        usual, written = Policy(), dict[str, Any]()
        for one in fields(policy):
            value = getattr(policy, one.name)
            if one.name == "fallback":
                if names := [self._stand_in(fallback, where) for fallback in policy.fallbacks()]:
                    written["fallback"] = [name for name in names if name]
            elif value != getattr(usual, one.name):
                if value is None:
                    self.refuse((*where, "policy", one.name), "a file has no word for None; give it a number")
                written[one.name] = as_data(value)
        return written

    def _stand_in(self, fallback: Fallback, where: Where) -> str:
        if fallback.agent is not None:
            name = name_of(fallback.agent)
            self.spare.add(name)
            return self.name(fallback.agent)
        if isinstance(fallback.model, str):
            return fallback.model
        self.refuse(
            (*where, "policy", "fallback"), f"expected 'provider:model', got a {type(fallback.model).__name__} object"
        )
        return ""

    def _person(self, person: HumanAgent, where: Where) -> dict[str, Any]:
        usual = HumanAgent()
        entry: dict[str, Any] = {"human": True}
        for name in ("description", "prompt", "due"):
            if getattr(person, name) != getattr(usual, name):
                entry[name] = getattr(person, name)
        if isinstance(person.available, Hours):
            entry["available"] = str(person.available)
        elif person.available is not None:
            self.refuse((*where, "available"), "expected Hours, got a function; give it from Python")
        if person.backup is not None:
            self.spare.add(name_of(person.backup))
            entry["backup"] = self.name(person.backup)
        return entry


def as_data(value: Any) -> Any:
    """Return a value of the settings as plain data; what is as usual is left out."""
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json", exclude_none=True)
    if is_dataclass(value) and not isinstance(value, type):
        return {one.name: as_data(getattr(value, one.name)) for one in fields(value)}
    if isinstance(value, Mapping):
        return {name: as_data(one) for name, one in value.items()}
    return [as_data(one) for one in value] if isinstance(value, list | tuple) else value


def made_of(graph: Any) -> Made | None:
    """Return of what a graph was built, compiled or not; None when no pattern built it."""
    builder = graph if isinstance(graph, StateGraph) else getattr(graph, "builder", None)
    made = getattr(builder, "made", None)
    return made if isinstance(made, Made) else None
