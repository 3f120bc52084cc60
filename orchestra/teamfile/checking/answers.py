"""Answers: whether what one agent answers with is what the next one, or the pattern, can read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel

from nodes.decisions import Judgement, Route, Speaker
from orchestra.teamfile.checking.finding import Finding, finding
from orchestra.teamfile.checking.troupe import Player, Troupe
from orchestra.teamfile.model import AgentEntry
from orchestra.teamfile.tasks import dependencies
from state.plan import Plan

CODE = "types"

_READ: Mapping[tuple[str, str], type[BaseModel]] = {
    ("router", "router"): Route,
    ("plan_execute", "planner"): Plan,
    ("adaptive", "planner"): Plan,
    ("debate", "judge"): Judgement,
    ("group_chat", "moderator"): Speaker,
}
"""What a pattern reads from who decides in it. One with a response format of its own keeps it."""

_SCORES = {"weighted": ("confidence",), "rank": ("score", "confidence")}


def at_answers(troupe: Troupe) -> Iterator[Finding]:
    """Yield response formats that whoever reads the answer cannot use."""
    for (pattern, part), shape in _READ.items():
        for player in troupe.parts.get(part, ()) if pattern == troupe.pattern else ():
            yield from _at_decision(player, part, shape)
    checks = {"review": _at_critics, "map_reduce": _at_items, "parallel": _at_scores, "supervisor": _at_supervisor}
    if troupe.pattern in checks:
        yield from checks[troupe.pattern](troupe)
    if troupe.has_fixed_plan:
        yield from _at_tasks(troupe)
    yield from _at_stand_ins(troupe)


def _fields(player: Player) -> Mapping[str, Any] | None:
    """Return the fields that somebody answers with; None where they answer in words."""
    entry = player.entry
    if not isinstance(entry, AgentEntry) or entry.response_format is None:
        return None
    properties = entry.response_format.get("properties")
    return properties if isinstance(properties, Mapping) else {}


def _found(severity: Any, player: Player, what: str, remedy: str) -> Finding:
    return finding(CODE, severity, player.file, (*player.keys, "response_format"), what, remedy)


def _at_decision(player: Player, part: str, shape: type[BaseModel]) -> Iterator[Finding]:
    fields = _fields(player)
    if fields is None:
        return
    needed = [name for name, field in shape.model_fields.items() if field.is_required()] or ["speaker"]
    if missing := [name for name in needed if name not in fields]:
        what = f"{player.name} is the {part}, and answers without {', '.join(missing)}, which the pattern reads"
        yield _found("error", player, what, "leave response_format out: the pattern asks for the right one")


def _at_supervisor(troupe: Troupe) -> Iterator[Finding]:
    for player in troupe.parts["supervisor"]:
        fields = _fields(player)
        if fields is not None and not {"agent", "task"} <= set(fields) and "answer" not in fields:
            what = f"{player.name} is the supervisor, and answers with neither agent and task nor answer"
            yield _found("error", player, what, "leave response_format out: the pattern asks for the right one")


def _at_critics(troupe: Troupe) -> Iterator[Finding]:
    threshold = troupe.arguments.get("accept", "all")
    for player in troupe.parts["critics"]:
        fields = _fields(player)
        if fields is None:
            continue
        if "verdict" not in fields:
            what = f"{player.name} reviews, and answers without verdict: nothing it says can count as accepted"
            yield _found(
                "error", player, what, "leave response_format out, or add verdict (accept or revise), issues, score"
            )
        elif isinstance(threshold, float) and "score" not in fields:
            what = f"accept asks for a mean score of {threshold:g}, and {player.name} gives none: it counts as 0 or 1"
            yield _found("warning", player, what, "add `score`, a number from 0 to 1, to its response_format")


def _at_items(troupe: Troupe) -> Iterator[Finding]:
    for player in troupe.parts["splitter"]:
        fields = _fields(player)
        if fields is not None and not any(_is_list(each) for each in fields.values()):
            what = f"{player.name} splits the task, and answers without any list: there would be no items"
            yield _found("error", player, what, "add `items`, a list of texts, or leave response_format out")


def _is_list(schema: Any) -> bool:
    kind = schema.get("type") if isinstance(schema, Mapping) else None
    return kind in (None, "array") or (isinstance(kind, list) and "array" in kind)


def _at_scores(troupe: Troupe) -> Iterator[Finding]:
    rule = str(troupe.arguments.get("resolve", "compose"))
    for player in troupe.parts["agents"] if rule in _SCORES else ():
        wanted = _SCORES[rule]
        fields = _fields(player)
        if player.team is None and (fields is None or not set(wanted) & set(fields)):
            what = f"resolve: {rule} goes by {' or '.join(wanted)}, and {player.name} answers with none"
            yield _found("warning", player, what, f"add `{wanted[0]}`, a number, to a response_format of it")


def _at_tasks(troupe: Troupe) -> Iterator[Finding]:
    tasks = troupe.members.tasks
    shaped = {one.name for one in troupe.everybody() if _fields(one) is not None}
    for name, needed in dependencies(tasks).items():
        for other in needed:
            if tasks[other].agent in shaped and not any(word in tasks[name].description for word in ("JSON", "json")):
                what = f"{name} is given what {other} made as JSON, since {tasks[other].agent} has a response_format"
                members = troupe.members
                keys = (*members.keys, "tasks", name)
                yield finding(CODE, "note", members.file, keys, what, "say in its description what to make of it")


def _at_stand_ins(troupe: Troupe) -> Iterator[Finding]:
    for player in troupe.everybody():
        fields = _fields(player)
        for other in player.stand_ins if fields is not None else ():
            theirs = _fields(other)
            if missing := sorted(set(fields or {}) - set(theirs or {})):
                what = f"{other.name} stands in for {player.name}, and answers without {', '.join(missing)}"
                yield _found("warning", player, what, f"give {other.name} the same response_format")
