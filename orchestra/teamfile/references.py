"""Whether everything that a team file names exists, and can be where it is named. Imports no code that the file names."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from graphlib import CycleError, TopologicalSorter
from typing import Any

from orchestra.teamfile.building import PLANNED, Building, Members, members_in, members_of, stand_in_names
from orchestra.teamfile.listed import unmet_names
from orchestra.teamfile.model import AgentEntry, TeamEntry, TeamFile
from orchestra.teamfile.options import NOT_KNOBS, check_knob, knobs, read_option
from orchestra.teamfile.parts import ONLY_PYTHON, Part, cast_agents, parts_of, words_of
from orchestra.teamfile.places import Keys, Place, Problem
from orchestra.teamfile.tasks import dependencies, unknown_placeholders
from orchestra.teamfile.tools import check_reference
from orchestra.teamfile.wrong import did_you_mean
from state.errors import ConfigurationError
from state.redaction import redact

_MODEL = re.compile(r"[A-Za-z][\w.-]*:\S.*|extractive")
_CREW = re.compile(r"\{\s*[A-Za-z_]\w*\s*\}")


def problems_of(team: TeamFile, *, whole: bool = True) -> list[Problem]:
    """Return everything that a team refers to and that does not exist, or cannot be what it is named as.

    Args:
        team: The file.
        whole: Whether the files that it names are all there, so that its graph can be built.
    """
    look = _Look(team)
    look.at_members(members_of(team))
    look.at_lists()
    look.at_models()
    if whole and not look.found:
        look.at_build()
    return look.found


@dataclass
class _Look:
    """A look at one file."""

    team: TeamFile
    found: list[Problem] = field(default_factory=list)

    def add(self, keys: Sequence[str | int], text: str, *, key: bool = False) -> None:
        """Note what is wrong with the value of a key, or with the key itself."""
        source = self.team.source
        self.found.append(Problem(source.key(*keys) if key else source.value(*keys), text))

    def at_members(self, members: Members) -> None:
        """Look at those who work together, and at the teams among them that are written here."""
        for name, entry in members.agents.items():
            keys = (*members.keys, "agents", name)
            if isinstance(entry, AgentEntry):
                self._at_agent(keys, entry)
            if isinstance(entry, TeamEntry) and entry.team is None:
                self.at_members(members_in(self.team, keys, entry))
        self._at_stand_ins(members)
        self._at_tasks(members)
        self._at_options(members)

    def _at_agent(self, keys: Keys, entry: AgentEntry) -> None:
        for index, reference in enumerate(entry.tools):
            try:
                check_reference(reference, self.team.tools)
            except ConfigurationError as error:
                self.add((*keys, "tools", index), str(error))
        for key in ("role", "goal", "backstory"):
            for placeholder in _CREW.findall(getattr(entry, key) or ""):
                remedy = "leave it out: an agent is told the task anyway, and tasks take `{task}`"
                self.add((*keys, key), f"{key}: expected plain text, got the placeholder {placeholder!r}; {remedy}")
        if entry.response_format is not None and entry.response_format.get("type", "object") != "object":
            got = entry.response_format.get("type")
            self.add((*keys, "response_format"), f"response_format: expected `type: object`, got {got!r}")
        elif entry.response_format is not None and not isinstance(entry.response_format.get("properties"), dict):
            self.add((*keys, "response_format"), "response_format: expected `properties:` of an object, got none")

    def _at_stand_ins(self, members: Members) -> None:
        for name, entry in members.agents.items():
            others = [one for one in members.agents if one != name]
            last = ("policy", "fallback") if isinstance(entry, AgentEntry) else ("backup",)
            keys: Keys = (*members.keys, "agents", name, *last)
            for index, other in enumerate(stand_in_names(entry)):
                place: Keys = (*keys, index) if isinstance(entry, AgentEntry) else keys
                if other not in others and not (isinstance(entry, AgentEntry) and _MODEL.fullmatch(other)):
                    expected = "another agent" + (" or 'provider:model'" if isinstance(entry, AgentEntry) else "")
                    self.add(place, f"{keys[-1]}: expected {expected}, got {other!r}; {did_you_mean(other, others)}")
        waits = {name: stand_in_names(entry) for name, entry in members.agents.items()}
        if cycle := _cycle(waits):
            self.add((*members.keys, "agents", cycle[0]), f"agents stand in for each other: {' -> '.join(cycle)}")

    def _at_tasks(self, members: Members) -> None:
        tasks, keys = members.tasks, (*members.keys, "tasks")
        if tasks and members.pattern not in PLANNED:
            why = f"expected none with the pattern {members.pattern!r}, whose agents find out themselves what is to be done"
            self.add(keys, f"tasks: {why}; take {' or '.join(PLANNED)}, or say it in prompts", key=True)
        for name, task in tasks.items():
            if task.agent not in members.agents:
                got = f"got {task.agent!r}; {did_you_mean(task.agent, members.agents)}"
                self.add((*keys, name, "agent"), f"agent: expected an agent of this team, {got}")
            for index, needed in enumerate(task.context or ()):
                if needed not in tasks or needed == name:
                    got = f"got {needed!r}; {did_you_mean(needed, [one for one in tasks if one != name])}"
                    self.add((*keys, name, "context", index), f"context: expected another task, {got}")
            for key in ("description", "expected_output"):
                for placeholder in unknown_placeholders(getattr(task, key) or ""):
                    remedy = f"write it as '{{{placeholder}}}' if braces are meant"
                    self.add((*keys, name, key), f"{key}: expected '{{task}}' only, got {placeholder!r}; {remedy}")
        if cycle := _cycle(dependencies(tasks)):
            self.add((*keys, cycle[0]), f"tasks wait for each other: {' -> '.join(cycle)}; break the circle", key=True)
        if tasks and not any("{task}" in one.description.replace(" ", "") for one in tasks.values()):
            what = "expected '{task}' in a description, got none: what the run is asked for would reach nobody"
            self.add(keys, f"tasks: {what}", key=True)

    def _at_options(self, members: Members) -> None:
        parts, keys = parts_of(members.pattern), (*members.keys, "options")
        for name, value in members.options.items():
            here = (*keys, name)
            if name in parts and parts[name].is_part:
                self._at_part(members, parts[name], value, here)
                continue
            try:
                if name in parts:
                    read_option(parts[name], value)
                elif members.keys and name in knobs():
                    self.add(here, f"{name} is a knob of the whole run; set it in the options of the file", key=True)
                elif name in knobs():
                    check_knob(name, value)
                else:
                    self.add(here, _no_option(name, members.pattern), key=True)
            except ConfigurationError as error:
                self.add(here, str(error))
        if members.tasks and "planner" in members.options:
            self.add((*keys, "planner"), "planner: expected none, since the tasks are the plan", key=True)
        if not self.found:
            self._at_idle(members)

    def _at_part(self, members: Members, part: Part, value: Any, keys: Keys) -> None:
        """Look at an option that names agents."""
        names = value if isinstance(value, list) else [value]
        if part.is_many != isinstance(value, list):
            self.add(keys, f"{part.name}: expected {'a list of agents' if part.is_many else 'an agent'}, got {value!r}")
            return
        for index, name in enumerate(names):
            if isinstance(name, str) and (name in members.agents or name in words_of(part)):
                continue
            where = (*keys, index) if part.is_many else keys
            got = f"got {name!r}; {did_you_mean(str(name), members.agents)}"
            self.add(where, f"{part.name}: expected an agent of this team, {got}")

    def _at_idle(self, members: Members) -> None:
        if members.tasks:
            return
        casting = cast_agents(members.pattern, members.players(), members.options, list(members.agents))
        for name in casting.idle:
            free = [
                one.name for one in parts_of(members.pattern).values() if one.is_part and one.name not in casting.given
            ]
            remedy = (
                f"name it under `options:` as {' or '.join(free)}" if free else "take another pattern, or leave it out"
            )
            text = f"agent {name!r} has no part in the pattern {members.pattern!r}; {remedy}"
            self.add((*members.keys, "agents", name), text, key=True)

    def at_lists(self) -> None:
        """Look whether there are the tools that are listed in approvals and policies, as far as that is known."""
        for one in unmet_names(self.team):
            if not one.unseen:
                self.add(one.keys, str(one))

    def at_models(self) -> None:
        """Look whether models are named as they have to be, and whether there is a key where none belongs."""
        named: list[tuple[Keys, str | None]] = [(("model",), self.team.model)]
        named += [
            ((*keys, "model"), entry.model) for keys, entry in self.team.entries() if isinstance(entry, AgentEntry)
        ]
        for keys, model in named:
            if model is None or (_MODEL.fullmatch(model) and "${" not in model):
                continue
            remedy = "other settings, and keys, come from the environment: OPENAI_API_KEY, OPENAI_BASE_URL"
            shown = model if redact(model) == model and len(model) < 40 else f"{model[:8]}..."
            expected = "expected 'provider:model' such as 'openai:gpt-5-mini', or 'extractive'"
            self.add(keys, f"model: {expected}, got {shown!r}; {remedy}")
        for keys, text in _texts(self.team.model_dump(), ()):
            if redact(text) != text:
                remedy = "keys belong into the environment; take it out here, and make a new one if the file was shared"
                self.add(keys, f"{'.'.join(map(str, keys))}: expected no secret, got what looks like a key; {remedy}")

    def at_build(self) -> None:
        """Build the graph without tools, so that the pattern itself says what it does not take."""
        try:
            Building(with_tools=False).build(members_of(self.team))
        except ConfigurationError as error:
            self.found.append(Problem(self._blamed(str(error).split(":", 1)[0]), str(error)))

    def _blamed(self, what: str) -> Place:
        """Return the place of what an error of a pattern begins with: an agent, or an argument."""
        source = self.team.source
        if agent := next((keys for keys, _ in self.team.entries() if keys[-1] == what), None):
            return source.key(*agent)
        return source.value("options", what) if what in self.team.options else source.key("pattern")


def _no_option(name: str, pattern: str) -> str:
    """Return what to do about an option that neither the pattern nor the run has."""
    if name in NOT_KNOBS:
        at_top = "write it at the top of the file, beside `options`"
        return f"options has no key {name!r}; {at_top if name in ('model', 'budget') else 'give it from Python'}"
    known = [one for one in parts_of(pattern) if one not in ONLY_PYTHON]
    close = did_you_mean(name, [*known, *knobs()])
    hint = close if "?" in close else f"{pattern} has {', '.join(known)}; every run has {', '.join(knobs())}"
    return f"options has no key {name!r}; {hint}"


def _cycle(waits: Any) -> list[str]:
    known = {name: [one for one in needed if one in waits and one != name] for name, needed in waits.items()}
    try:
        TopologicalSorter(known).prepare()
    except CycleError as error:
        members: list[str] = list(reversed(error.args[1]))
        return members
    return []


def _texts(data: Any, keys: Keys) -> Iterator[tuple[Keys, str]]:
    if isinstance(data, str):
        yield keys, data
    elif isinstance(data, dict):
        for key, value in data.items():
            yield from _texts(value, (*keys, key))
    elif isinstance(data, list | tuple):
        for index, value in enumerate(data):
            yield from _texts(value, (*keys, index))
