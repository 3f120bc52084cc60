"""What a team file may say: its keys, what each is for, and what its value has to be."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    PrivateAttr,
    StringConstraints,
    Tag,
    model_validator,
)

from orchestra.teamfile.places import Source
from orchestra.teamfile.toolsets import Toolset
from state.budget import Budget

PatternName = Literal[
    "single",
    "sequential",
    "parallel",
    "map_reduce",
    "router",
    "supervisor",
    "hierarchical",
    "review",
    "group_chat",
    "handoff",
    "debate",
    "plan_execute",
    "magentic",
    "adaptive",
]
Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]
Name = Annotated[str, StringConstraints(pattern=r"^_?[^|:/#\s_\x00-\x1f\x7f][^|:/#\x00-\x1f\x7f]*$", max_length=100)]
"""Of an agent or a task: it names a node of the graph, or a step."""
ToolsetName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_-]*$", max_length=60)]

_HOURS = re.compile(r"(?P<days>\S+)\s+(?P<start>[\d:]+)\s*-\s*(?P<end>[\d:]+)(?:\s+(?P<zone>\S+))?")


class _Entry(BaseModel):
    """Whatever is written in a team file: nothing that is not known, and nothing that changes."""

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=(), allow_inf_nan=False)


def needs_one_of(*keys: str) -> ConfigDict:
    """Return the setting by which an editor asks for one of some keys, as reading does."""
    return ConfigDict(json_schema_extra={"anyOf": [{"required": [key]} for key in keys]})


class PolicyEntry(_Entry):
    """Limits and failure handling of an agent; what is left out is as `Policy` has it."""

    timeout: float | None = Field(default=None, gt=0, description="Seconds for one attempt. 30 by default.")
    max_attempts: int | None = Field(
        default=None, ge=1, le=100, description="Model calls for one logical call, retries and repairs counted. 3."
    )
    max_concurrency: int | None = Field(default=None, ge=1, description="Calls of the agent at the same time.")
    budget: Budget | None = Field(
        default=None, description="Limits of one step of the agent: 25 model calls and 50 tool calls by default."
    )
    fallback: tuple[Text, ...] = Field(
        default=(), description="Who stands in when it fails, in order: agents of this file, or `provider:model`."
    )
    on_failure: Literal["fail", "skip", "escalate"] | None = Field(
        default=None, description="fail ends what depends on it, skip goes on without it, escalate asks a person."
    )
    backoff: float | None = Field(default=None, ge=0, description="Seconds before the first retry; doubles. 0.5.")
    cache: float | None = Field(default=None, gt=0, description="Seconds for which the same request is not sent again.")
    requests_per_minute: int | None = Field(default=None, ge=1, description="Model calls in any 60 seconds.")
    tokens_per_minute: int | None = Field(default=None, ge=1, description="Tokens in any 60 seconds, in and out.")
    breaker_failures: int | None = Field(
        default=None, ge=1, description="Failures in a row after which a model or tool is left alone. 5."
    )
    breaker_reset: float | None = Field(default=None, gt=0, description="Seconds that it is left alone. 30.")
    allow: tuple[Text, ...] | None = Field(default=None, description="The only tools that may execute, by name.")
    approve: tuple[Text, ...] = Field(default=(), description="Tools that a person has to agree to, call by call.")
    deny: tuple[Text, ...] = Field(default=(), description="Tools that may not execute, whatever else is said.")
    grants: tuple[Literal["read", "write", "effect", "network", "code"], ...] | None = Field(
        default=None, description="Rights that its tools may need; all, when not given."
    )
    tainted: Literal["allow", "approve", "deny"] | None = Field(
        default=None,
        description="What becomes of a call that needs more than `read` once content from outside was read. allow.",
    )


class AgentEntry(_Entry):
    """An agent: a model with a prompt and tools. Give `prompt`, or `role`, `goal` and `backstory` as for CrewAI."""

    model_config = needs_one_of("prompt", "role", "goal", "backstory")

    description: str = Field(
        default="", description="What it is for, in a line: routers, planners and supervisors choose by it."
    )
    prompt: str | None = Field(default=None, description="Its system prompt, taken as it is.")
    role: Text | None = Field(default=None, description="Who it is: `Senior Researcher`. Becomes part of its prompt.")
    goal: Text | None = Field(default=None, description="What it is after. Becomes part of its prompt.")
    backstory: Text | None = Field(default=None, description="What it knows and how it works. Part of its prompt.")
    tools: tuple[Text, ...] = Field(
        default=(),
        description="Tools by name (`corpus.search`, or one of `tools:` below), or by import path `package.module:name`, whose "
        "module is imported when the team runs.",
    )
    model: Text | None = Field(
        default=None,
        description="`provider:model` such as `openai:gpt-5-mini`, or `extractive`; the run's when left out.",
    )
    response_format: dict[str, Any] | None = Field(
        default=None, description="JSON schema of an object that it has to answer with."
    )
    policy: PolicyEntry | None = Field(default=None, description="Limits and failure handling of this agent.")
    version: str = Field(default="1", coerce_numbers_to_str=True, description="Told apart in traces.")

    @model_validator(mode="after")
    def _has_one_prompt(self) -> AgentEntry:
        crew = [key for key in ("role", "goal", "backstory") if getattr(self, key) is not None]
        if self.prompt is not None and crew:
            raise ValueError(f"expected prompt, or role, goal and backstory, got prompt and {' and '.join(crew)}")
        if self.prompt is None and not crew:
            raise ValueError("expected prompt, or role, goal and backstory, got none of them")
        return self


def _read_hours(given: Any) -> Any:
    """Return hours that are written in a line, `mon-fri 09:00-17:00 Europe/Zurich`, by their fields."""
    if not isinstance(given, str):
        return given
    found = _HOURS.fullmatch(given.strip())
    if found is None:
        raise ValueError("expected hours like `mon-fri 09:00-17:00 Europe/Zurich`")
    return {key: value for key, value in found.groupdict().items() if value is not None}


class HoursEntry(_Entry):
    """Hours of the week in a time zone."""

    days: Text = Field(default="mon-fri", description="Days and spans of days: `mon-thu,sat`.")
    start: Text = Field(default="09:00", description="Hour and minute.")
    end: Text = Field(default="17:00", description="Hour and minute; on the next day when it is not after start.")
    zone: Text = Field(default="UTC", description="Time zone by its IANA name: `Europe/Zurich`.")

    @model_validator(mode="after")
    def _are_hours(self) -> HoursEntry:
        from nodes.availability import Hours  # here: a schema needs no agents

        Hours(self.days, self.start, self.end, zone=self.zone)
        return self


def _read_flag(given: Any) -> Any:
    """Return whether a text says yes, as people used to write in YAML."""
    return True if isinstance(given, str) and given.lower() in ("yes", "on") else given


class PersonEntry(_Entry):
    """A person who takes part: the run pauses until they answer."""

    human: Annotated[Literal[True], BeforeValidator(_read_flag)] = Field(description="Says that this is a person.")
    description: str = Field(default="A person.", description="What the person is for, in a line.")
    prompt: str = Field(default="", description="What they are told with every task.")
    available: Annotated[HoursEntry, BeforeValidator(_read_hours, json_schema_input_type=str | HoursEntry)] | None = (
        Field(default=None, description="When they are there: `mon-fri 09:00-17:00 Europe/Zurich`. Always by default.")
    )
    due: float | None = Field(default=None, gt=0, description="Seconds to answer in, once they are there.")
    backup: Text | None = Field(
        default=None, description="Agent of this file who gets the task when they are not there or time ran out."
    )


class TaskEntry(_Entry):
    """A task that is known beforehand. `{task}` in its texts is what the run is asked for."""

    description: Text = Field(
        description="What to do. `{task}` is what the run is asked for; nothing else is replaced."
    )
    expected_output: Text | None = Field(default=None, description="What the result has to look like.")
    agent: Text = Field(description="Agent of this file that does it.")
    context: tuple[Text, ...] | None = Field(
        default=None,
        description="Tasks whose results it is given. Left out: the task before it. `[]`: none, so it starts at once.",
    )


class TeamEntry(_Entry):
    """Another team in the place of an agent: its file, or its agents here."""

    model_config = needs_one_of("team", "agents")

    team: Text | None = Field(default=None, description="Path of the team's file, from the folder of this one.")
    description: str = Field(default="", description="What the team is for, in a line.")
    pattern: PatternName | None = Field(default=None, description="How its agents work together. sequential.")
    agents: dict[Name, AnyEntry] = Field(default={}, max_length=100, description="Its agents, by name.")
    tasks: dict[Name, TaskEntry] = Field(default={}, max_length=200, description="Its tasks, by name.")
    options: dict[Text, Any] = Field(default={}, description="Arguments of its pattern's `build`.")

    @model_validator(mode="after")
    def _is_one_of_both(self) -> TeamEntry:
        inline = [key for key in ("pattern", "agents", "tasks", "options") if getattr(self, key)]
        if self.team is not None and inline:
            raise ValueError(f"expected team, or pattern and agents, got team and {' and '.join(inline)}")
        if self.team is None and not self.agents:
            raise ValueError("expected the agents of the team, got none")
        return self


PERSON, TEAM, AGENT = "a person", "a team", "an agent"
"""Kinds of entries under `agents`, as they stand in places of errors: with a space, which no key of a model has."""


def _kind_of(entry: Any) -> str:
    """Return what an entry means to be, by a key that only that has."""
    keys = entry if isinstance(entry, Mapping) else entry.model_fields_set if isinstance(entry, _Entry) else ()
    if "human" in keys:
        return PERSON
    return TEAM if {"team", "pattern", "agents", "tasks", "options"} & set(keys) else AGENT


AnyEntry = Annotated[
    Annotated[AgentEntry, Tag(AGENT)] | Annotated[PersonEntry, Tag(PERSON)] | Annotated[TeamEntry, Tag(TEAM)],
    Discriminator(_kind_of),
]


class TeamFile(_Entry):
    """A team of agents, as it is written in a file."""

    name: Annotated[str, StringConstraints(pattern=r"^[\w][\w .-]*$", max_length=60)] = Field(
        description="What the team is called: it names its graph and its threads."
    )
    description: str = Field(default="", description="What the team is for, in a line.")
    pattern: PatternName = Field(default="sequential", description="How they work together; `orchestra list` explains.")
    model: Text | None = Field(
        default=None, description="`provider:model` for every agent that names none; `--model` takes its place."
    )
    agents: dict[Name, AnyEntry] = Field(
        min_length=1,
        max_length=100,
        description="Who takes part, by name, in working order: agents, people, and other teams.",
    )
    tasks: dict[Name, TaskEntry] = Field(
        default={},
        max_length=200,
        description="Tasks that are known beforehand, by name: they are done in the order of their `context`. For the "
        "patterns sequential and plan_execute.",
    )
    tools: dict[ToolsetName, Toolset] = Field(
        default={}, description="Tools with settings, by the name that agents call them."
    )
    options: dict[Text, Any] = Field(
        default={},
        description="Arguments of the pattern's `build`, where agents are meant by name (`judge: editor`), and knobs of "
        "the run such as `max_rounds`.",
    )
    policy: PolicyEntry | None = Field(
        default=None, description="Limits and failure handling of every agent that says nothing else."
    )
    budget: Budget | None = Field(default=None, description="Limits of a whole run.")
    approvals: tuple[Text, ...] = Field(
        default=(), description="Tools that a person has to agree to, call by call, whoever uses them."
    )

    _source: Source = PrivateAttr(default_factory=Source)
    _teams: dict[tuple[str, ...], TeamFile] = PrivateAttr(default_factory=dict)

    @property
    def source(self) -> Source:
        """Return where it was read from: its path, the digest of its content, and the place of every key."""
        return self._source

    @property
    def teams(self) -> Mapping[tuple[str, ...], TeamFile]:
        """Return the teams of the files that it names, by the keys of their entries."""
        return self._teams

    def entries(self) -> Iterator[tuple[tuple[str, ...], AgentEntry | PersonEntry | TeamEntry]]:
        """Yield every agent, person and team with its keys, those of inline teams too; not what other files say."""
        yield from _entries_of((), self.agents)


def _entries_of(
    above: tuple[str, ...], agents: Mapping[str, AgentEntry | PersonEntry | TeamEntry]
) -> Iterator[tuple[tuple[str, ...], AgentEntry | PersonEntry | TeamEntry]]:
    for name, entry in agents.items():
        keys = (*above, "agents", name)
        yield keys, entry
        if isinstance(entry, TeamEntry):
            yield from _entries_of(keys, entry.agents)


for each in (TeamEntry, TeamFile):
    each.model_rebuild()
