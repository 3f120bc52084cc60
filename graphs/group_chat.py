"""Group chat: several speakers work on a task in one conversation, turn by turn, until a condition ends it.

START -> begin -> (moderator ->) speaker -> ((moderator ->) speaker | finish) -> ... -> finish -> END

Use it when: views have to meet before there is an answer, and who is needed next depends on what was said.
Costs: t model calls for t turns, twice as many with a moderator that is an agent.
Ends: at most `Context.max_turns` turns; by default after `Context.max_rounds` rounds, sooner when it goes in a circle or
when nobody can speak.
Source: AutoGen (Wu et al., 2308.08155), section 3, A5: dynamic group chat.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any, Literal

from langchain_core.messages import AnyMessage
from langchain_core.runnables import RunnableConfig
from langgraph.graph import END, START
from langgraph.runtime import Runtime

from nodes.decisions import Speaker, with_shape
from nodes.moderation import RULE, ModeratedState, Rule, brief_moderator, choosing, read_choice, rule_node
from nodes.node import Brief, Memory, Node, agent_node
from nodes.roles import assistant, skeptic
from nodes.spec import AnyAgent, check_agent, check_agents, name_of
from nodes.transcript import contributions_of, turns_of, view_of
from nodes.turn import begin_node, conclude, recent_conversation, settle
from nodes.until import StopCondition, Talk, rounds
from nodes.wording import circle
from state.context import Context, context_of
from state.envelope import Envelope
from state.errors import ConfigurationError
from state.graph import PatternBuilder
from state.made import remembered
from state.outcome import Outcome, describe_failure, node_of, total_usage
from state.task import RunStatus

FINISH = "finish"


class ChatState(ModeratedState, total=False):
    """Adds the conversation. What was said is in the outcomes and is stored nowhere else."""

    began: float
    """When the turn began: seconds since 1970."""


def brief_speaker(name: str, names: Sequence[str]) -> Brief:
    """Return a speaker's brief: the task, who else takes part, the latest contributions, and a digest of the older ones."""
    others = ", ".join(other for other in names if other != name)
    constraints = (f"You talk with {others}. It is your turn.", "Say only what is new, and answer what was said last.")

    def brief(state: ChatState, runtime: Runtime[Any]) -> Envelope:
        said = contributions_of(turns_of(state["outcomes"], names))
        context = view_of(said, context_of(runtime).transcript_window, name)
        sender = said[-1]["speaker"] if said else "user"
        return Envelope(sender=sender, recipient=name, task=state["goal"], context=context, constraints=constraints)

    return brief


def opening_memory(names: Sequence[str]) -> Memory:
    """Return the memory of speakers: whoever opens has the recent conversation, the others know it by what was said."""

    def memory(state: ChatState, runtime: Runtime[Any]) -> list[AnyMessage]:
        return [] if turns_of(state["outcomes"], names) else recent_conversation(state, runtime)

    return memory


def speaking(work: Node, names: Sequence[str], until: StopCondition | None) -> Node:
    """Return a speaker's node, given the step it takes: after it is seen whether the conversation has ended."""

    async def node(state: ChatState, runtime: Runtime[Any], config: RunnableConfig) -> dict[str, Any]:
        update = await work(state, runtime, config)
        outcomes = [*state["outcomes"], *update["outcomes"]]
        return {**update, **how_it_goes(outcomes, state["began"], names, until, context_of(runtime))}

    return node


def how_it_goes(
    outcomes: Sequence[Outcome], began: float, names: Sequence[str], until: StopCondition | None, knobs: Context
) -> dict[str, Any]:
    """Return what ended the conversation and with which status; nothing while it goes on."""
    turns, usage = turns_of(outcomes, names), total_usage(outcomes)
    if turns[-1]["status"] == "stopped":
        return {"ended_by": describe_failure(turns[-1]), "status": "stopped"}
    said, had = contributions_of(turns), [node_of(turn) for turn in turns]
    talk = Talk(speakers=names, turns=had, said=said, seconds=time.time() - began, usage=usage)
    if why := (until or rounds(knobs.max_rounds)).why(talk):
        return {"ended_by": why, "status": "completed"}
    if set(names) <= silent_since(turns):
        return {"ended_by": "nobody can speak", "status": "partial"}
    moves = [(name, turn["output"] or turn["status"]) for name, turn in zip(had, turns, strict=True)]
    if length := circle(moves, knobs.max_repeats):
        by = f"loop: {', '.join(had[-length:])} said the same {max(2, knobs.max_repeats)} times"
        return {"ended_by": by, "status": "stopped"}
    return {}


def silent_since(turns: Sequence[Outcome]) -> set[str]:
    """Return those who failed to speak since anybody last spoke."""
    last = max((at for at, turn in enumerate(turns) if turn["status"] == "ok"), default=-1)
    return {node_of(turn) for turn in turns[last + 1 :]}


def route_turn(following: str, names: Sequence[str]) -> Callable[[ChatState, Runtime[Any]], str]:
    """Return the router behind a speaker: on to the moderator or the next speaker while turns are left and it goes on."""

    def route(state: ChatState, runtime: Runtime[Any]) -> str:
        if len(turns_of(state["outcomes"], names)) >= context_of(runtime).max_turns:
            return FINISH
        return FINISH if state["ended_by"] else following

    return route


def route_choice(state: ChatState) -> str:
    """Lead from the moderator to the speaker it chose, or to the end."""
    return FINISH if state["ended_by"] else state["speaker"]


def finish_node(names: Sequence[str]) -> Any:
    """Return the last node."""

    async def finish(state: ChatState, runtime: Runtime[Any]) -> dict[str, Any]:
        """Give the last contribution, or the moderator's closing words where nobody said anything."""
        outcomes, turns = state["outcomes"], turns_of(state["outcomes"], names)
        said = [turn for turn in turns if turn["status"] == "ok"]
        status, ended_by = state["status"], state["ended_by"]
        if not ended_by or len(turns) >= context_of(runtime).max_turns:
            status, ended_by = "stopped", f"max_turns_reached: not ended after {len(turns)} turns"
        closing = read_choice(outcomes[-1]) if outcomes[-1] not in turns else None
        if said:
            answer = said[-1]["output"]
        elif closing is not None and closing.done:
            answer = closing.reason
        else:
            answer = turns[-1]["output"] if turns else ""  # of a turn that a limit ended, what it had made
        record = {
            "contributions": [{"speaker": node_of(turn), "outcome": turn["id"]} for turn in said],
            "ended_by": ended_by,
            "notes": state["notes"],
        }
        status, reason = settled(status, ended_by, outcomes, answer)
        return conclude(state, answer, status=status, reason=reason, structured=record)

    return finish


def settled(status: RunStatus, ended_by: str, outcomes: Sequence[Outcome], answer: str) -> tuple[RunStatus, str]:
    """Return the status and the reason of a conversation that has ended: what failed is named, once for each agent."""
    missing = [outcome for outcome in outcomes if outcome["status"] != "ok" or outcome["error"]]
    failures = {node_of(outcome): describe_failure(outcome) for outcome in missing}
    reasons = [*([] if status == "completed" else [ended_by]), *failures.values()]
    if not answer and outcomes[-1]["status"] != "stopped":
        status, reasons = "failed", [f"nothing was said: {ended_by}", *failures.values()]
    elif status == "completed":
        status, _ = settle(outcomes)
    return status, "; ".join(dict.fromkeys(reasons))


def check_choosing(moderator: Any, rule: Any, until: Any) -> AnyAgent | None:
    """Return the moderator if it is an agent.

    Raises:
        ConfigurationError: There is more than one to say who speaks, or an argument is something else.
    """
    if moderator is not None and rule is not None:
        raise ConfigurationError("moderator and rule: expected one of them, got both")
    if rule is not None and not callable(rule):
        raise ConfigurationError(f"rule: expected a function of the contributions, got {rule!r}")
    if until is not None and not isinstance(until, StopCondition):
        raise ConfigurationError(f"until: expected a StopCondition such as rounds(3), got {until!r}")
    if moderator is None or moderator == "round_robin":
        return None
    if isinstance(moderator, str):
        raise ConfigurationError(f"moderator: expected 'round_robin' or an agent, got {moderator!r}")
    return with_shape(check_agent(moderator, role="moderator"), Speaker)


@remembered
def build(
    speakers: Sequence[AnyAgent] | None = None,
    *,
    moderator: AnyAgent | Literal["round_robin"] | None = None,
    rule: Rule | None = None,
    until: StopCondition | None = None,
) -> PatternBuilder:
    """Return the uncompiled graph.

    Args:
        speakers: At least two. Names must differ.
        moderator: `round_robin`, the default, or an agent that answers with `Speaker {speaker, reason, done}` or a name.
        rule: Says who speaks next, in place of a moderator: `[{speaker, text}, ...] -> name`, or None to end.
        until: When it ends, of `nodes.until`; `rounds(Context.max_rounds)` by default.

    Raises:
        ConfigurationError: An argument is wrong; it is named, with what it may be.
    """
    speakers = check_agents((assistant(), skeptic()) if speakers is None else speakers, role="speakers", least=2)
    chosen_by, names = check_choosing(moderator, rule, until), [name_of(speaker) for speaker in speakers]
    if chosen_by is not None:
        check_agents([chosen_by, *speakers], role="moderator and speakers")
    leading = RULE if rule is not None else name_of(chosen_by) if chosen_by is not None else ""
    opened = begin_node(speaker="", wrong=0, notes=[], ended_by="")

    async def begin(state: ChatState) -> dict[str, Any]:
        """Take the task and the time."""
        return {**await opened(state), "began": time.time()}

    builder = PatternBuilder(ChatState)
    builder.add_node("begin", begin)
    if rule is not None:
        builder.add_node(leading, choosing(rule_node(rule, names), names))
    elif chosen_by is not None:
        work = agent_node(chosen_by, brief_moderator(leading, speakers), memory=recent_conversation)
        builder.add_node(leading, choosing(work, names))
    for speaker, name in zip(speakers, names, strict=True):
        work = agent_node(speaker, brief_speaker(name, names), memory=opening_memory(names))
        builder.add_node(name, speaking(work, names, until))
    builder.add_node(FINISH, finish_node(names))
    builder.add_edge(START, "begin")
    builder.add_edge("begin", leading or names[0])
    if leading:
        builder.add_conditional_edges(leading, route_choice, [*names, FINISH])
    for name, following in zip(names, [*names[1:], names[0]], strict=True):
        builder.add_conditional_edges(name, route_turn(leading or following, names), [leading or following, FINISH])
    builder.add_edge(FINISH, END)
    return builder


graph = build().compile(name="group_chat")
