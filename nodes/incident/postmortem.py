"""Post-mortem: what happened, when, by whom and with whose approval. Written by rules from what was noted, by no model."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from typing_extensions import TypedDict

from nodes.incident.runbook_model import RUNBOOK_LABEL, RUNBOOK_NOTICE
from state.outcome import describe_failure

_STAMP = re.compile(r"^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z) ")


class Moment(TypedDict):
    """One line of a timeline."""

    at: float
    """Seconds since 1970."""
    who: str
    what: str


class Action(TypedDict):
    """One command that was asked for, and what became of it."""

    at: float
    round: int
    agent: str
    command: str
    arguments: dict[str, Any]
    became: str
    """`ran`, `refused`, `in doubt`, or `not run`, where a person was asked and decided otherwise."""
    approved: str
    """By whom, and from when to when it was waited for; empty where nobody had to agree."""
    said: str
    seconds: float


def actions_from(notes: Sequence[Mapping[str, Any]], ask: Sequence[str]) -> list[Action]:
    """Return the commands of an incident in the order they were asked for, from the audit notes."""
    actions: list[Action] = []
    waiting, begun = [note for note in notes if note["what"] == "asked"], dict[str, Action]()
    for note in notes:
        if note["what"] not in ("ran", "refused", "in doubt", "found done"):
            continue
        if note["what"] != "refused" and (earlier := begun.get(_key(note))) is not None:
            again = _action(note, None)  # the run was broken off, and has found out what became of it
            earlier["became"], earlier["said"] = again["became"], again["said"]
            continue
        asked = _asked_for(note, waiting) if note["command"] in ask and note["what"] != "refused" else None
        if asked is not None:
            waiting.remove(asked)
        actions.append(_action(note, asked))
        if note["what"] != "refused":
            begun[_key(note)] = actions[-1]
    actions += [_action({**note, "what": "not run"}, None) for note in waiting if _key(note) not in begun]
    return sorted(actions, key=lambda action: action["at"])


def _asked_for(note: Mapping[str, Any], waiting: Sequence[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """Return what a person was asked before a command ran: that command, or what they changed into it."""
    same = [asked for asked in waiting if _key(asked) == _key(note)]
    return next(iter([*same, *(asked for asked in waiting if asked["round"] == note["round"])]), None)


def _key(note: Mapping[str, Any]) -> str:
    return json.dumps([note["round"], note["command"], note["arguments"]], sort_keys=True, default=str)


def _action(note: Mapping[str, Any], asked: Mapping[str, Any] | None) -> Action:
    approved = ""
    if asked is not None:
        changed = (
            "" if _key(asked) == _key(note) else f", who changed it from {spell(asked['command'], asked['arguments'])}"
        )
        approved = f"a person{changed} (asked {clock(asked['at'])}, agreed {clock(note.get('began', note['at']))})"
    return Action(
        at=note.get("began", note["at"]),
        round=note["round"],
        agent=note["agent"],
        command=str(note["command"]),
        arguments=dict(note["arguments"]) if isinstance(note["arguments"], Mapping) else {},
        became="ran" if note["what"] == "found done" else note["what"],
        approved=approved,
        said=_said(note),
        seconds=note.get("seconds", 0.0),
    )


def _said(note: Mapping[str, Any]) -> str:
    if note["what"] in ("refused", "in doubt"):
        return str(note["reason"])
    if note["what"] == "not run":
        return "it was not agreed to"
    again = "found done after the run was taken up again; " if note["what"] == "found done" else ""
    failed = f"exit code {note['exit_code']}: " if note["exit_code"] else ""
    return f"{again}{failed}{note['output']}"


def spell(command: str, arguments: Mapping[str, Any]) -> str:
    """Return a command as one would type it."""
    return " ".join([command, *(f"{name}={value}" for name, value in arguments.items())])


def clock(at: float) -> str:
    """Return a moment as a time of day, UTC."""
    return time.strftime("%H:%M:%S", time.gmtime(at)) + f".{int(at * 1000) % 1000:03d}"


def moments_from(actions: Iterable[Action], evidence: Iterable[str]) -> list[Moment]:
    """Return the lines of a timeline that actions and lines of a log make."""
    found = [Moment(at=action["at"], who=action["agent"], what=_told(action)) for action in actions]
    for line in evidence:
        if stamp := _STAMP.match(line):
            at = datetime.fromisoformat(stamp[1].replace("Z", "+00:00")).timestamp()
            found.append(Moment(at=at, who="log", what=line[stamp.end() :]))
    return found


def _told(action: Action) -> str:
    approval = f", approved by {action['approved']}" if action["approved"] else ""
    took = f" ({action['seconds']:.2f} s)" if action["seconds"] else ""
    return f"`{spell(action['command'], action['arguments'])}` {action['became']}{took}{approval}: {action['said']}"


def write_postmortem(
    title: str, facts: Sequence[str], timeline: Sequence[Moment], evidence: Sequence[str], actions: Sequence[Action]
) -> str:
    """Return the post-mortem as Markdown.

    Args:
        title: First line.
        facts: What one has to know, one sentence each.
        timeline: In any order.
        evidence: Lines of the log.
        actions: What was done, or refused.
    """
    parts = [f"# {title}", "\n".join(f"- {fact}" for fact in facts)]
    rows = [f"| {clock(m['at'])} | {m['who']} | {_cell(m['what'])} |" for m in sorted(timeline, key=lambda m: m["at"])]
    parts.append("\n".join(["## Timeline (UTC)", "", "| when | who | what |", "|---|---|---|", *rows]))
    if evidence:
        parts.append("## Evidence\n\n" + "\n".join(f"> {line}" for line in evidence))
    if actions:
        parts.append("## Commands\n\n" + "\n".join(f"- {action['agent']}: {_told(action)}" for action in actions))
    return "\n\n".join(parts) + "\n"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def facts_of(state: Mapping[str, Any]) -> list[str]:
    """Return what is known of an incident, one sentence each."""
    found = state["diagnosis"]
    done = [f"{spell(a['command'], a['arguments'])}: {a['became']}" for a in state["actions"]]
    return [
        f"Reported: {state['goal']}",
        f"Service: {state['service']}",
        f"Now: {state['health']}",
        *([f"Cause: {found['cause']}"] if found else []),
        *([f"Commands: {'; '.join(done)}."] if done else []),
    ]


def why_handed_over(state: Mapping[str, Any]) -> str:
    """Return why the team stopped before the service was well."""
    latest = [action for action in state["actions"] if action["round"] == state["round"]]
    if any(action["became"] == "not run" for action in latest):
        return "the remedy was not agreed to"
    if not latest:
        return "nobody knew a remedy that is on the list and was not tried"
    return f"max_rounds_reached: {state['round']} round(s) did not help"


def conclude_incident(
    state: Mapping[str, Any], noted: Sequence[Moment], hints: Sequence[str] = ()
) -> tuple[str, dict[str, Any], str]:
    """Return the post-mortem, the same as data, and why the service is not well, which is empty when it is.

    Args:
        state: Of the incident, with the last look at the service.
        noted: Moments that are not in the state.
        hints: What else the reader has to know.
    """
    actions, found, healthy = state["actions"], state["diagnosis"], state["healthy"]
    seconds = round((state["resolved"] if healthy else time.time()) - state["opened"], 3)
    timeline = sorted(
        [*state["moments"], *noted, *moments_from(actions, state["evidence"])], key=lambda moment: moment["at"]
    )
    failed = [describe_failure(outcome) for outcome in state["outcomes"] if outcome["status"] != "ok"]
    why = "" if healthy else "; ".join([f"not healthy: {state['health']}", why_handed_over(state), *failed])
    facts = [*facts_of(state), f"It took {seconds:.1f} s and {state['round']} round(s)."]
    if any(outcome.get("model") == RUNBOOK_LABEL for outcome in state["outcomes"]):
        facts.append(RUNBOOK_NOTICE)
    facts += hints
    ended = ("healthy again" if actions else "healthy") if healthy else "NOT healthy"
    title = f"Post-mortem: {found.get('fault', 'nothing found')}, {ended}"
    structured = {
        "healthy": healthy,
        "service": state["service"],
        "fault": found.get("fault", "none"),
        "cause": found.get("cause", ""),
        "seconds": seconds,
        "rounds": state["round"],
        "commands": actions,
        "refused": [action for action in actions if action["became"] == "refused"],
        "evidence": state["evidence"],
        "tickets": [moment["what"].removeprefix("ticket ") for moment in noted if moment["what"].startswith("ticket ")],
        "timeline": timeline,
    }
    return write_postmortem(title, facts, timeline, state["evidence"], actions), structured, why
