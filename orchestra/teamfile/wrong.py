"""What is wrong with a value, in words: what was expected, what is there, and what was probably meant."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from typing import Any, get_args

from pydantic import BaseModel

from orchestra.teamfile.document import Document
from orchestra.teamfile.model import (
    AGENT,
    PERSON,
    TEAM,
    AgentEntry,
    HoursEntry,
    PersonEntry,
    PolicyEntry,
    TaskEntry,
    TeamEntry,
    TeamFile,
)
from orchestra.teamfile.places import Keys, Place, Problem
from orchestra.teamfile.toolsets import Toolset
from state.budget import Budget

_TOOLSETS: dict[str, type[BaseModel]] = {
    get_args(kind.model_fields["use"].annotation)[0]: kind for kind in get_args(get_args(Toolset)[0])
}
_ENTRIES: dict[str, type[BaseModel]] = {AGENT: AgentEntry, PERSON: PersonEntry, TEAM: TeamEntry}
_BELOW: dict[str, type[BaseModel]] = {"policy": PolicyEntry, "budget": Budget, "available": HoursEntry}

_ELSEWHERE = {
    "llm": "write `model`",
    "process": "write `pattern`",
    "system_prompt": "write `prompt`",
    "instructions": "write `prompt`",
    "system": "write `prompt`",
    "max_iter": "write `policy: {budget: {model_calls: ...}}`",
    "max_rpm": "write `policy: {requests_per_minute: ...}`",
    "max_execution_time": "write `policy: {timeout: ...}`",
    "max_retry_limit": "write `policy: {max_attempts: ...}`",
    "allow_delegation": "take a pattern that delegates, such as supervisor",
    "human_input": "add a person as an agent, `human: true`, or name the tools under `approvals`",
    "verbose": "leave it out; `orchestra trace` shows everything afterwards",
    "memory": "leave it out; what earlier turns said is remembered",
    "api_key": "leave it out; keys are read from the environment, never from a file",
    "base_url": "leave it out; set OPENAI_BASE_URL in the environment",
    "temperature": "leave it out; give a model object from Python",
    "max_rounds": "write it under `options`",
    "max_turns": "write it under `options`",
}
"""Keys that other frameworks have, or that belong elsewhere, and what to do about them."""


def did_you_mean(name: str, known: Iterable[str], *, what: str = "there are") -> str:
    """Return the closest of the known names as a question, or all of them when none is close."""
    names = list(known)
    close = get_close_matches(name, names, n=1, cutoff=0.6) or [one for one in names if one.lower() == name.lower()]
    if close:
        return f"did you mean {close[0]!r}?"
    return f"{what} {', '.join(names)}" if names else "there are none"


def problem_of(error: Mapping[str, Any], document: Document) -> Problem:
    """Return what Pydantic found wrong as a problem with its place."""
    loc: Sequence[Any] = error["loc"]
    kind = error["type"]
    keys = _keys_of(loc, document.data)
    name = ".".join(map(str, keys)) or "the file"
    if kind == "extra_forbidden":
        known = _known_keys(loc)
        remedy = _ELSEWHERE.get(str(loc[-1])) or did_you_mean(str(loc[-1]), known, what="known are")
        around = ".".join(map(str, keys[:-1])) or "a team"
        return Problem(document.keys.get(keys, Place()), f"{around} has no key {loc[-1]!r}; {remedy}")
    if kind == "missing":
        place = _nearest(document, keys[:-1])
        return Problem(place, f"{name}: expected it, got nothing; add `{loc[-1]}:`")
    place = document.keys.get(keys[:-1], Place()) if loc and loc[-1] == "[key]" else _nearest(document, keys)
    if loc and loc[-1] == "[key]":
        name, place = ".".join(map(str, keys)), document.keys.get(keys, Place())
    return Problem(place, f"{name}: {_said(error)}")


def _nearest(document: Document, keys: Keys) -> Place:
    for length in range(len(keys), -1, -1):
        if keys[:length] in document.values:
            return document.values[keys[:length]]
    return Place()


def _said(error: Mapping[str, Any]) -> str:
    """Return what was expected and what is there."""
    kind, given, ctx = error["type"], error["input"], error.get("ctx") or {}
    if kind == "value_error":
        return str(ctx.get("error") or error["msg"])
    if kind == "union_tag_invalid":
        tags = [tag.strip("'") for tag in str(ctx["expected_tags"]).split(", ")]
        return f"expected one of {', '.join(tags)}, got {ctx['tag']!r}; {did_you_mean(str(ctx['tag']), tags)}"
    if kind == "union_tag_not_found":
        return f"expected a mapping with `use:`, got {_shown(given)}"
    if kind == "literal_error" and ctx["expected"] == "True":
        return f"expected true, got {_shown(given)}; leave the key out where it is not so"
    if kind == "literal_error":
        names = [part.strip("'") for part in str(ctx["expected"]).replace(" or ", ", ").split(", ")]
        hint = f"; {did_you_mean(given, names)}" if isinstance(given, str) and len(names) > 1 else ""
        return f"expected {ctx['expected']}, got {_shown(given)}{hint}"
    if kind == "string_pattern_mismatch" and str(ctx["pattern"]) in _PATTERNS:
        return f"expected {_PATTERNS[str(ctx['pattern'])]}, got {_shown(given)}"
    expected = _EXPECTED.get(kind)
    if expected is None:
        expected = str(error["msg"]).removeprefix("Input should be ").removeprefix("Value error, ")
    quote = "; put it in quotes" if kind == "string_type" and isinstance(given, int | float) else ""
    return f"expected {expected.format(**ctx)}, got {_shown(given)}{quote}"


_PATTERNS = {
    r"^[\w][\w .-]*$": "letters, digits, '_', '-', '.' and blanks",
    r"^[A-Za-z_][A-Za-z0-9_-]*$": "letters, digits, '_' and '-'",
    r"^\$\{[A-Za-z_][A-Za-z0-9_]*\}$": "the name of an environment variable as '${NAME}', since values are not kept in files",
}

_EXPECTED = {
    "string_type": "text",
    "string_too_short": "text, at least {min_length} character",
    "string_too_long": "at most {max_length} characters",
    "string_pattern_mismatch": "a name without '|', ':', '/' and '#', and no blank or '__' in front",
    "tuple_type": "a list, such as [a, b]",
    "list_type": "a list, such as [a, b]",
    "dict_type": "a mapping, such as `key: value`",
    "mapping_type": "a mapping, such as `key: value`",
    "model_type": "a mapping, such as `key: value`",
    "model_attributes_type": "a mapping, such as `key: value`",
    "too_short": "at least {min_length}",
    "too_long": "at most {max_length}",
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
}


def _shown(given: Any) -> str:
    if given is None:
        return "nothing"
    if isinstance(given, bool):
        return str(given).lower()
    if isinstance(given, Mapping):
        return "a mapping" if given else "an empty mapping"
    if isinstance(given, list | tuple):
        return "a list" if given else "an empty list"
    text = repr(given)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _keys_of(loc: Sequence[Any], data: Any) -> Keys:
    """Return the keys that the place of an error means in the file, without the kinds that Pydantic puts in between."""
    keys: list[str | int] = []
    for part in loc:
        is_kind = part in _ENTRIES or part == "[key]" or (isinstance(data, Mapping) and data.get("use") == part)
        if is_kind and not (isinstance(data, Mapping) and part in data):
            continue
        keys.append(part)
        if isinstance(data, Mapping):
            data = data.get(part)
        elif isinstance(data, list) and isinstance(part, int) and part < len(data):
            data = data[part]
        else:
            data = None
    return tuple(keys)


def _known_keys(loc: Sequence[Any]) -> list[str]:
    """Return the keys that there are where an unknown one was found."""
    around = loc[:-1]
    if not around:
        return list(TeamFile.model_fields)
    last = around[-1]
    if last in _ENTRIES:
        return list(_ENTRIES[last].model_fields)
    if last in _BELOW:
        return list(_BELOW[last].model_fields)
    if len(around) > 1 and around[-2] == "tasks":
        return list(TaskEntry.model_fields)
    if last in _TOOLSETS:
        return list(_TOOLSETS[last].model_fields)
    return []
