"""Moderation: who speaks next in a conversation, as a moderator or a rule says, and what a choice that names nobody leads to."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from langchain_core.runnables import RunnableConfig
from langgraph.runtime import Runtime

from nodes.agent import run_agent
from nodes.deciding import tell
from nodes.decisions import Speaker, read_decision
from nodes.matching import find_name, roster
from nodes.node import Brief, Node, next_id
from nodes.spec import AnyAgent, name_of
from nodes.threads import in_thread
from nodes.transcript import DIGEST, Contribution, contributions_of, digest_of, turns_of
from state.context import context_of
from state.envelope import Envelope
from state.errors import OUTPUT_ERRORS
from state.excerpts import REASON, excerpt
from state.outcome import Outcome, describe_failure, node_of
from state.task import TaskState

Rule = Callable[[list[Contribution]], str | None]
"""Who speaks next, given the contributions so far; None ends the conversation."""

RULE = "rule"
"""Name of the node in which a rule is asked, and of its outcomes."""


class ModeratedState(TaskState, total=False):
    """Adds what was chosen."""

    speaker: str
    """Whom the moderator chose."""
    wrong: int
    """Choices of the moderator in a row that named nobody."""
    notes: list[str]
    """Choices that could not be followed, and who spoke instead."""
    ended_by: str
    """What ended the conversation; empty while it goes on."""


def brief_moderator(name: str, speakers: Sequence[AnyAgent]) -> Brief:
    """Return the moderator's brief: the task, who takes part, how often each spoke, and a digest of what was said."""
    names = [name_of(speaker) for speaker in speakers]
    constraints = (
        "Do not do the task. Say who of the agents speaks next, or that nothing is left to say.",
        'Answer as JSON: {"speaker": the name, "reason": why, "done": true or false}.',
    )

    def brief(state: ModeratedState, runtime: Runtime[Any]) -> Envelope:  # noqa: ARG001  # briefs share one signature
        turns = turns_of(state["outcomes"], names)
        had = [node_of(turn) for turn in turns]
        failed = [describe_failure(turn) for turn in turns[-1:] if turn["status"] != "ok"]
        context = {
            "Agents": roster(speakers),
            "Turns so far": "; ".join([", ".join(f"{each} {had.count(each)}" for each in names), *failed]),
            "Contributions so far": digest_of(contributions_of(turns), DIGEST),
            "Correction": state["notes"][-1] if state["wrong"] else "",
        }
        return Envelope(sender="user", recipient=name, task=state["goal"], context=context, constraints=constraints)

    return brief


def next_in_turn(state: ModeratedState, names: Sequence[str]) -> str:
    """Return who comes after the last speaker in the order of the speakers."""
    had = [node_of(turn) for turn in turns_of(state["outcomes"], names)]
    return names[(names.index(had[-1]) + 1) % len(names)] if had else names[0]


def rule_node(rule: Rule, names: Sequence[str]) -> Node:
    """Return the node in which a rule says who speaks next. It works as an agent does: one that raises ends nothing."""

    async def node(state: ModeratedState, runtime: Runtime[Any], config: RunnableConfig) -> dict[str, Any]:
        async def choose(task: str) -> dict[str, Any]:  # noqa: ARG001  # a rule goes by what was said
            said: Any = await in_thread(rule, contributions_of(turns_of(state["outcomes"], names)))
            said = await said if inspect.isawaitable(said) else said
            return {"speaker": str(said or ""), "done": said is None}

        envelope = Envelope(sender="user", recipient=RULE, task=state["goal"])
        return {"outcomes": [await run_agent(choose, envelope, runtime, config, step_id=next_id(RULE, state))]}

    return node


def choosing(work: Node, names: Sequence[str]) -> Node:
    """Return the moderator's node, given the step it takes."""

    async def node(state: ModeratedState, runtime: Runtime[Any], config: RunnableConfig) -> dict[str, Any]:
        update = await work(state, runtime, config)
        chosen = take_choice(update["outcomes"][0], state, names, context_of(runtime).max_repeats)
        _tell_choice(update["outcomes"][0], chosen)
        return {**update, **chosen}

    return node


def _tell_choice(outcome: Outcome, chosen: Mapping[str, Any]) -> None:
    """Tell who speaks next and why, whoever said so; a moderator's own words are told with its answer."""
    noted = chosen["notes"][-1] if "notes" in chosen else chosen.get("ended_by", "")
    choice = read_choice(outcome) if not noted else None
    reason = str(noted or (choice.reason if choice is not None else ""))
    told = {"subject": chosen.get("speaker") or "nobody"} | ({"reason": excerpt(reason, REASON)} if reason else {})
    tell("decided", decision="speaker", by=outcome["agent"], **told)


def take_choice(outcome: Outcome, state: ModeratedState, names: Sequence[str], most: int) -> dict[str, Any]:
    """Take the moderator's choice. Where it names nobody, the one whose turn it would be speaks instead.

    The conversation is stopped after `most` wrong choices in a row; a moderator that fails does no harm.
    """
    if outcome["status"] == "stopped":
        return {"ended_by": describe_failure(outcome), "status": "stopped"}
    choice = read_choice(outcome)
    if choice is not None and choice.done:
        return {"ended_by": f"{node_of(outcome)}: {choice.reason or 'done'}", "status": "completed"}
    if choice is not None and (name := find_name(choice.speaker, names)):
        return {"speaker": name, "wrong": 0}
    instead, error = next_in_turn(state, names), outcome["error"]
    why = describe_failure(outcome)
    if choice is not None:
        why = f"{outcome['id']}: expected one of {', '.join(names)}, got {choice.speaker[:100]!r}"
    wrong = state["wrong"] + (choice is not None or (error is not None and error["type"] in OUTPUT_ERRORS))
    if wrong >= most:
        return {"ended_by": f"max_repeats_reached: {wrong} wrong choices in a row; {why}", "status": "stopped"}
    return {"speaker": instead, "wrong": wrong, "notes": [*state["notes"], f"{why}; {instead} spoke instead"]}


def read_choice(outcome: Outcome) -> Speaker | None:
    """Return the moderator's choice, which may be a name and nothing else; None when it failed."""
    if outcome["status"] != "ok":
        return None
    return read_decision(outcome, Speaker) or Speaker(speaker=outcome["output"])
