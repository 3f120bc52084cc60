"""Agents of a crew of CrewAI, as agents of a team file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from orchestra.teamfile.crew.files import CrewFile, LeftOut
from orchestra.teamfile.crew.keys import AGENT_KEYS, model_of_llm
from orchestra.teamfile.crew.texts import Inputs
from orchestra.teamfile.places import Keys

_BUDGET = {"model_calls": 25, "tool_calls": 50}
"""Of one step, as every agent has it whose file says nothing."""
_LONGEST = 30.0
"""Seconds of one attempt, as every agent has them whose file says nothing."""
_NOT_IN_NAMES = str.maketrans({each: "-" for each in "|:/#"})


def plain_name(name: str) -> str:
    """Return a name as agents and tasks of a team may have it."""
    return name.strip().translate(_NOT_IN_NAMES)[:100]


@dataclass
class Notes:
    """What came up while a crew was read.

    Args:
        tools: Tools of ours by the names of theirs.
        inputs: What becomes of placeholders.
        left_out: What could not be carried over.
    """

    tools: Mapping[str, str]
    inputs: Inputs
    left_out: list[LeftOut] = field(default_factory=list)

    def leave(self, file: CrewFile, keys: Keys, what: str, remedy: str) -> None:
        """Note what is left out, or changed."""
        self.left_out.append(LeftOut(file.path.name, file.at(keys), what, remedy))

    def leave_key(self, file: CrewFile, keys: Keys, value: Any, known: Mapping[str, str]) -> None:
        """Note a key that has no place, unless it says nothing."""
        if value not in (None, False, [], {}):
            remedy = known.get(str(keys[-1]), "a key that is not known; it was left out")
            self.leave(file, keys, f"{keys[0]}.{keys[-1]}", remedy)

    def tools_of(self, file: CrewFile, keys: Keys, value: Any) -> list[str]:
        """Return tools of ours for those that are named; those without one are left out."""
        found: list[str] = []
        for index, one in enumerate(value if isinstance(value, list) else [value] if value else []):
            tool = str(one)
            if tool in self.tools:
                found.append(self.tools[tool])
                continue
            remedy = f"--tool {tool}=NAME puts one of ours in its place: corpus.search, package.module:name"
            self.leave(file, (*keys, index), f"{keys[0]}.tools: {tool}", remedy)
        return list(dict.fromkeys(found))


def text_of(file: CrewFile, keys: Keys, value: Any) -> str:
    """Return a text; nothing, with a problem, for what is none."""
    if value is None:
        return ""
    if isinstance(value, Mapping | list | bool):
        file.add(keys, f"{keys[-1]}: expected a text, got {type(value).__name__}")
        return ""
    return str(value).strip()


def agents_of(file: CrewFile, notes: Notes) -> dict[str, dict[str, Any]]:
    """Return the agents of a crew by name, as plain data of a team file."""
    return {plain_name(name): _Agent(file, name, notes).read(entry) for name, entry in file.entries.items()}


@dataclass
class _Agent:
    """One agent while it is read."""

    file: CrewFile
    name: str
    notes: Notes
    made: dict[str, Any] = field(default_factory=dict)
    policy: dict[str, Any] = field(default_factory=dict)
    budget: dict[str, Any] = field(default_factory=dict)

    def read(self, entry: Mapping[str, Any]) -> dict[str, Any]:
        readers = {
            **dict.fromkeys(("role", "goal", "backstory"), self._text),
            **dict.fromkeys(("max_iter", "max_rpm", "max_execution_time", "max_retry_limit"), self._limit),
            "llm": self._model,
            "tools": self._tools,
            "allow_delegation": self._delegation,
        }
        for key, value in entry.items():
            readers.get(key, self._other)((self.name, key), value)
        if not {"role", "goal", "backstory"} & set(self.made):
            self.file.add((self.name,), f"{self.name}: expected role, goal and backstory, got none of them")
        if self.budget:
            self.policy["budget"] = {**_BUDGET, **self.budget}
        return {**self.made, **({"policy": self.policy} if self.policy else {})}

    def _text(self, keys: Keys, value: Any) -> None:
        if text := text_of(self.file, keys, value):
            self.made[str(keys[-1])] = self.notes.inputs.in_agent(text)

    def _tools(self, keys: Keys, value: Any) -> None:
        if tools := self.notes.tools_of(self.file, keys, value):
            self.made["tools"] = tools

    def _delegation(self, keys: Keys, value: Any) -> None:
        if value:
            remedy = "give it a tool of `create_consult_tool` from Python, or take the pattern supervisor"
            self.notes.leave(self.file, keys, f"{self.name}.allow_delegation", remedy)

    def _other(self, keys: Keys, value: Any) -> None:
        self.notes.leave_key(self.file, keys, value, AGENT_KEYS)

    def _model(self, keys: Keys, value: Any) -> None:
        llm = value.get("model") if isinstance(value, Mapping) else value
        if not llm:
            return
        model = model_of_llm(llm) if isinstance(llm, str) else None
        if model is None:
            what = f"{self.name}.llm ({str(llm)[:60]})"
            remedy = "it does not say whose model it is; add `model: provider:model`"
            self.notes.leave(self.file, keys, what, remedy)
            return
        self.made["model"] = model
        for more in value if isinstance(value, Mapping) else ():
            if more != "model":
                remedy = "set it where the model is served"
                self.notes.leave(self.file, (*keys, more), f"{self.name}.llm.{more}", remedy)

    def _limit(self, keys: Keys, value: Any) -> None:
        key = str(keys[-1])
        least = 0 if key == "max_retry_limit" else 1
        if value is None:
            return
        if isinstance(value, bool) or not isinstance(value, int | float) or value < least:
            self.file.add(keys, f"{key}: expected a number, {least} or more, got {value!r}")
        elif key == "max_iter":
            self.budget["model_calls"] = int(value)
        elif key == "max_rpm":
            self.policy["requests_per_minute"] = int(value)
        elif key == "max_retry_limit":
            self.policy["max_attempts"] = min(100, 1 + int(value))
        else:
            self.budget["seconds"] = value
            self.policy["timeout"] = min(float(value), _LONGEST)
