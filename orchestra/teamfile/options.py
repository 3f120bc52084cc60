"""Options of a team file: arguments of a pattern's `build`, and knobs of the run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from functools import cache
from typing import Any

from pydantic import TypeAdapter, ValidationError

from nodes import until
from orchestra.teamfile.parts import ONLY_PYTHON, Part, parts_of, plain_hint
from state.context import Context, check_context
from state.errors import ConfigurationError

NOT_KNOBS = frozenset({"model", "budget", "deadline", "secrets", "prompts"})
"""Fields of the context that a file says elsewhere, or that are no matter of a file."""

_CONDITIONS = ("rounds", "turns", "text", "seconds", "tokens", "model_calls", "nothing_new", "agreement")


@cache
def knobs() -> tuple[str, ...]:
    """Return the knobs of a run that a file may set."""
    return tuple(one.name for one in fields(Context) if one.name not in NOT_KNOBS)


def conditions() -> tuple[str, ...]:
    """Return the names of the conditions that end a conversation."""
    return _CONDITIONS


def is_knob(name: str, pattern: str) -> bool:
    """Whether an option is a knob of the run, and no argument of the pattern."""
    return name in knobs() and name not in parts_of(pattern)


def read_option(part: Part, value: Any) -> Any:
    """Return an argument of `build` that is no agent, as its type asks for it.

    Raises:
        ConfigurationError: It cannot be one.
    """
    if part.name in ONLY_PYTHON:
        raise ConfigurationError(f"{part.name}: expected none, since it is a function; give it from Python")
    if part.name == "until":
        return _condition(value)
    if part.name == "carry":
        return _carried(value)
    try:
        return TypeAdapter(plain_hint(part)).validate_python(value)
    except ValidationError as error:
        said = " or ".join(dict.fromkeys(str(one["msg"]).removeprefix("Input should be ") for one in error.errors()))
        raise ConfigurationError(f"{part.name}: expected {said}, got {value!r}") from None


def check_knob(name: str, value: Any) -> None:
    """Refuse what a knob of the run cannot be.

    Raises:
        ConfigurationError: Says what it may be.
    """
    try:
        check_context({name: tuple(value) if isinstance(value, list) else value})
    except ConfigurationError as error:
        said = str(error).removeprefix("Context: ").replace("Input should be ", "expected ")
        raise ConfigurationError(said.split("; ")[0]) from None


def _condition(value: Any) -> until.StopCondition:
    """Return when a conversation ends: `{rounds: 3}`; with several keys when one holds, below `all` when all do."""
    expected = f"expected a mapping with some of {', '.join(_CONDITIONS)} and all"
    if not isinstance(value, Mapping) or not value:
        raise ConfigurationError(f"until: {expected}, got {value!r}")
    if unknown := [name for name in value if name not in (*_CONDITIONS, "all")]:
        raise ConfigurationError(f"until: {expected}, got {unknown[0]!r}")
    found = [getattr(until, name)(given) for name, given in value.items() if name != "all"]
    if "all" in value:
        if not isinstance(value["all"], Mapping) or not value["all"]:
            raise ConfigurationError(f"until.all: {expected}, got {value['all']!r}")
        parts = [_condition({name: given}) for name, given in value["all"].items()]
        whole = parts[0]
        for one in parts[1:]:
            whole &= one
        found.append(whole)
    ends: until.StopCondition = found[0]
    for one in found[1:]:
        ends |= one
    return ends


def _carried(value: Any) -> Any:
    from graphs import handoff

    names = ("only_task", "notes", "whole_turn")
    if value not in names:
        raise ConfigurationError(f"carry: expected one of {', '.join(names)}, got {value!r}")
    return getattr(handoff, value)
