"""Tasks of a crew of CrewAI, as tasks of a team file: in their order, each given what a crew would give it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from orchestra.teamfile.crew.agents import Notes, plain_name, text_of
from orchestra.teamfile.crew.files import CrewFile
from orchestra.teamfile.crew.keys import TASK_KEYS
from orchestra.teamfile.places import Keys
from orchestra.teamfile.wrong import did_you_mean

PERSON = "person"

_ELSEWHERE = frozenset({"name", "context", "async_execution", "human_input", "markdown"})
"""Keys of a task that are read with what is around it."""


@dataclass
class Tasks:
    """Reads the tasks of a crew.

    Args:
        file: Its `tasks.yaml`.
        agents: Its agents, by name; a task may give them tools.
        notes: What comes up.
        given: Who does a task, by the names of tasks that name nobody.
        is_led: Whether a manager gives tasks to agents; otherwise each names one.
    """

    file: CrewFile
    agents: dict[str, dict[str, Any]]
    notes: Notes
    given: Mapping[str, str] = field(default_factory=dict)
    is_led: bool = False

    def read(self) -> dict[str, dict[str, Any]]:
        """Return the tasks by name, as plain data of a team file."""
        for name in self.given:
            if name not in self.file.entries:
                self.file.add(
                    (), f"--agent {name}=...: no task {name!r}; {did_you_mean(name, list(self.file.entries))}"
                )
        made: dict[str, dict[str, Any]] = {}
        before = _Before()
        for name, entry in self.file.entries.items():
            task = self._task(name, entry)
            is_async = entry.get("async_execution") is True
            task["context"] = self._context(name, entry, before.of(is_async=is_async))
            before.add(plain_name(name), is_async=is_async)
            commented = entry.get("human_input") is True and not self.is_led
            made |= self._with_person(name, task) if commented else {plain_name(name): task}
        if not made:
            self.file.add((), "expected tasks, got none")
        if not self.is_led:
            self._ask(made)
        return made

    def _ask(self, made: dict[str, dict[str, Any]]) -> None:
        """See to it that what the run is asked for reaches somebody."""
        if not made or any("{task}" in task["description"] for task in made.values()):
            return
        for task in made.values():
            if not task["context"]:
                task["description"] += "\n\nWhat is asked for: {task}"
        self.notes.leave(self.file, (), "{task}", "what the run is asked for was added to the tasks that begin")

    def _task(self, name: str, entry: Mapping[str, Any]) -> dict[str, Any]:
        made: dict[str, Any] = {"description": "", "agent": ""}
        for key in ("description", "expected_output"):
            if text := text_of(self.file, (name, key), entry.get(key)):
                made[key] = self.notes.inputs.in_task(text)
        if entry.get("markdown") is True:
            made["expected_output"] = f"{made.get('expected_output', '')}\nWritten in Markdown.".strip()
        if not made["description"]:
            self.file.add((name,), f"{name}: expected a description, got none")
        made["agent"] = self._agent(name, entry)
        self._tools(made["agent"], (name, "tools"), entry.get("tools"))
        for key, value in entry.items():
            if key not in _ELSEWHERE | {"description", "expected_output", "agent", "tools"}:
                self.notes.leave_key(self.file, (name, key), value, TASK_KEYS)
        return made

    def _agent(self, name: str, entry: Mapping[str, Any]) -> str:
        said = self.given.get(name, entry.get("agent"))
        if said is None and not self.is_led:
            expected = f"{name}: expected `agent:`, one of {', '.join(self.agents) or 'none'}, got none"
            self.file.add((name,), f"{expected}; where code says it, repeat it: --agent {name}=NAME")
        if said is None:
            return ""
        agent = plain_name(str(said))
        if agent not in self.agents:
            close = did_you_mean(str(said), list(self.agents))
            self.file.add((name, "agent"), f"agent: expected one of the crew's agents, got {said!r}; {close}")
        return agent

    def _tools(self, agent: str, keys: Keys, value: Any) -> None:
        has = self.agents.get(agent, {})
        if more := self.notes.tools_of(self.file, keys, value):
            has["tools"] = list(dict.fromkeys([*has.get("tools", ()), *more]))
            self.notes.leave(self.file, keys, f"{keys[0]}.tools", "its agent has them for all of its tasks")

    def _context(self, name: str, entry: Mapping[str, Any], before: list[str]) -> list[str]:
        """Return the tasks whose results a task is given: those it names, or all before it, as in a crew."""
        said = entry.get("context")
        if said is None:
            return before
        named = [str(one) for one in (said if isinstance(said, list) else [said])]
        for index, one in enumerate(named):
            if one not in self.file.entries or one == name:
                close = did_you_mean(one, [other for other in self.file.entries if other != name])
                self.file.add((name, "context", index), f"context: expected another task, got {one!r}; {close}")
        return [plain_name(one) for one in named]

    def _with_person(self, name: str, task: dict[str, Any]) -> dict[str, dict[str, Any]]:
        """Return a task whose result a person comments on, and that is then done again with what they said."""
        last = plain_name(name)
        draft, said = f"{last}_draft", f"{last}_feedback"
        remedy = f"became {draft}, then {said} by a person, then {last} with what they said"
        self.notes.leave(self.file, (name, "human_input"), f"{name}.human_input", remedy)
        asked = f"Read the result of {draft}. Say what has to change, or that it is good."
        again = (
            f"{task['description']}\n\nTake your draft, and change in it what the feedback asks for and nothing else."
        )
        return {
            draft: task,
            said: {"description": asked, "agent": PERSON, "context": [draft]},
            last: {**task, "description": again, "context": [*task["context"], draft, said]},
        }


@dataclass
class _Before:
    """The tasks before one: all of them, and those that are done for certain when the next one begins."""

    names: list[str] = field(default_factory=list)
    done: int = 0

    def of(self, *, is_async: bool) -> list[str]:
        """Return the tasks whose results the next one is given: one that waits for nobody gets those that are done."""
        return self.names[: self.done] if is_async else list(self.names)

    def add(self, name: str, *, is_async: bool) -> None:
        """Note that a task has begun; one that is waited for is done, and so is all before it."""
        self.names.append(name)
        self.done = self.done if is_async else len(self.names)
