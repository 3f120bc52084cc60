"""Parts: who plays what in a pattern, read from the signature of its `build`.

An argument that takes an agent, or a list of agents, is a part. Options name agents for parts; an agent that has the name of a
part plays it; the rest, in the order of the file, take the parts that come first in the signature.
"""

from __future__ import annotations

import inspect
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from graphs.registry import find
from nodes.spec import Agent

ONLY_PYTHON = frozenset({"rule"})
"""Arguments that no file can give: functions of one's own."""


@dataclass(frozen=True)
class Part:
    """An argument of a pattern's `build`.

    Args:
        name: Its name.
        hint: The type it takes.
        is_agent: Whether it takes an agent.
        is_many: Whether it takes a list of agents.
        by_name: Whether it takes the name of an agent that plays another part too.
        is_first: Whether it is filled in order, rather than by name only.
    """

    name: str
    hint: Any
    is_agent: bool = False
    is_many: bool = False
    by_name: bool = False
    is_first: bool = False

    @property
    def is_part(self) -> bool:
        """Whether agents go into it."""
        return self.is_agent or self.is_many


@cache
def parts_of(pattern: str) -> Mapping[str, Part]:
    """Return the arguments of a pattern's `build` by name, in order."""
    build = find(pattern).load().build
    hints = get_type_hints(inspect.unwrap(build))
    return {name: _part(name, hints[name], given) for name, given in inspect.signature(build).parameters.items()}


def _part(name: str, hint: Any, given: inspect.Parameter) -> Part:
    kinds = _kinds(hint)
    many = any(get_args(kind) and Agent in _kinds(get_args(kind)[0]) for kind in kinds if _is_sequence(kind))
    first = given.kind is not inspect.Parameter.KEYWORD_ONLY
    return Part(
        name, hint, is_agent=Agent in kinds, is_many=many, by_name=Agent in kinds and str in kinds, is_first=first
    )


def _kinds(hint: Any) -> tuple[Any, ...]:
    """Return the members of a union, or the type itself."""
    if get_origin(hint) in (Union, UnionType):
        return tuple(kind for one in get_args(hint) for kind in _kinds(one))
    return (hint,)


def _is_sequence(kind: Any) -> bool:
    origin = get_origin(kind)
    return isinstance(origin, type) and issubclass(origin, Sequence)


def plain_hint(part: Part) -> Any:
    """Return the type of an argument without None, which a file says by leaving it out."""
    kinds = [kind for kind in _kinds(part.hint) if kind is not NoneType]
    return Union[tuple(kinds)]  # noqa: UP007  # of a list that is known only now


def words_of(part: Part) -> tuple[str, ...]:
    """Return the words that an argument takes in the place of an agent, such as `round_robin`."""
    return tuple(word for kind in _kinds(part.hint) if get_origin(kind) is Literal for word in get_args(kind))


@dataclass
class Casting:
    """Who plays what.

    Args:
        given: Name or names of agents, by argument of `build`.
        idle: Agents that play nothing.
    """

    given: dict[str, str | list[str]]
    idle: list[str]


def cast_agents(pattern: str, players: Sequence[str], options: Mapping[str, Any], known: Collection[str]) -> Casting:
    """Return who plays what in a pattern.

    Args:
        pattern: Its name.
        players: Names of those who take part, in order.
        options: What the file says, which may name agents.
        known: Names of all agents, also of those who only stand in for others.
    """
    parts = [part for part in parts_of(pattern).values() if part.is_part]
    given: dict[str, str | list[str]] = {}
    for part in parts:
        if part.name in options:
            given[part.name] = options[part.name]
        elif part.name in players and not part.is_first and part.is_agent:
            given[part.name] = part.name
    taken = {name for part in parts if part.name in given for name in _named(part, given[part.name], known)}
    rest = [name for name in players if name not in taken]
    for part in parts:
        if not part.is_first or part.name in given:
            continue
        if part.is_agent and rest:
            given[part.name] = rest.pop(0)
        elif part.is_many and (rest or part is parts[0]):
            given[part.name], rest = rest, []
    called = [given[part.name] for part in parts if part.by_name and part.name in given]
    return Casting(given, [name for name in rest if name not in called])


def _named(part: Part, value: Any, known: Collection[str]) -> list[str]:
    """Return the agents that an option takes away from the rest."""
    if part.by_name:
        return []
    return [name for name in (value if isinstance(value, list) else [value]) if name in known]
