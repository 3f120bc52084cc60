"""Handoff: agents pass control to each other, and whoever has it answers, in this turn and the next.

START -> begin -> (the agent in control) -> ({agent, ...} | finish) -> finish -> END

An agent hands over with a tool `transfer_to_<agent>`. One that fails gives control back to whoever handed over to it.

Use it when: a conversation moves between agents with rights and knowledge of their own, such as desks of a service.
Costs: 1 + h model calls for h handoffs, and 1 more for each round of other tool calls.
Ends: at most `Context.max_handoffs` handoffs, fewer when they go in a circle without anything new.
Source: OpenAI Swarm and langgraph-swarm; every tool call beside a handoff is answered here, and none is lost.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from langchain_core.runnables import RunnableConfig
from langgraph.graph import END, START
from langgraph.runtime import Runtime
from typing_extensions import TypedDict

from nodes.auditing import audit
from nodes.authority import Authority, authority_of
from nodes.matching import find_name
from nodes.node import Brief, Node, Under, agent_node
from nodes.roles import assistant, writer
from nodes.spec import Agent, AnyAgent, check_agents, describe, name_of
from nodes.turn import begin_node, conclude, recent_conversation, settle
from nodes.wording import circle
from state.context import Context, context_of
from state.envelope import Envelope
from state.errors import ConfigurationError
from state.graph import PatternBuilder
from state.made import remembered
from state.outcome import Outcome, Transfer, describe_failure
from state.run import Run, run_of
from state.task import TaskState
from tools.colleagues import HandoffTool, create_handoff_tool

ROUNDS = 2
"""Times round a circle of handoffs in the same words, from which it is a loop."""


class Move(TypedDict):
    """Control that went from one agent to another."""

    sender: str
    to: str
    reason: str
    notes: str
    said: str
    """What the sender said beside it."""
    returned: bool
    """Whether it went back because the sender failed."""


class HandoffState(TaskState, total=False):
    """Adds who is in control."""

    active: str
    """The agent in control. It is kept for the next turn."""
    moves: list[Move]
    """Handoffs of this turn, in order."""
    chain: list[str]
    """Whose work the agent in control does: those that handed over to each other up to it. It is kept like `active`."""
    following: str
    """Whom the latest step gave control to; empty when it answered."""


Carry = Callable[[HandoffState], Mapping[str, str]]
"""What the next agent is told besides the task, who handed over and why: `state -> {heading: text}`."""


def only_task(state: HandoffState) -> dict[str, str]:  # noqa: ARG001  # filters share one signature
    """Tell nothing more."""
    return {}


def notes(state: HandoffState) -> dict[str, str]:
    """Tell the notes that were handed over, and what the sender said with them."""
    last = state["moves"][-1]
    return {"Notes": last["notes"], f"Said by {last['sender']}": last["said"]}


def whole_turn(state: HandoffState) -> dict[str, str]:
    """Tell the notes, and all that was said in this turn."""
    said = "\n\n".join(f"{outcome['agent']}: {outcome['output']}" for outcome in state["outcomes"] if outcome["output"])
    return {"Notes": state["moves"][-1]["notes"], "Said so far": said}


def brief_control(recipient: str, carry: Carry) -> Brief:
    """Return the brief of the agent in control: the task, and after a handoff who gave it and why."""

    def brief(state: HandoffState, runtime: Runtime[Any]) -> Envelope:  # noqa: ARG001  # briefs share one signature
        if not state["moves"]:
            return Envelope(sender="user", recipient=recipient, task=state["goal"])
        last = state["moves"][-1]
        came = "Back from" if last["returned"] else "Handed over by"
        context = {came: f"{last['sender']}: {last['reason']}", **carry(state)}
        return Envelope(sender=last["sender"], recipient=recipient, task=state["goal"], context=context)

    return brief


def take_control(agent: AnyAgent, names: Sequence[str]) -> Callable[[Outcome, HandoffState], dict[str, Any]]:
    """Return the function that sees who is in control after a step: the agent, its choice, or its sender when it failed."""
    name = name_of(agent)

    def take(outcome: Outcome, state: HandoffState) -> dict[str, Any]:
        moves, transfer = state["moves"], transfer_of(outcome, agent, names)
        if transfer is not None and transfer["to"] != name:
            move = Move(**transfer, sender=name, said=outcome["output"], returned=False)
            to = transfer["to"]
            return {"active": to, "following": to, "moves": [*moves, move], "chain": chain_to(to, name, state)}
        sender = moves[-1]["sender"] if moves and not moves[-1]["returned"] else ""
        if outcome["status"] in ("failed", "timed_out", "denied") and sender and not failed_before(state, sender, name):
            why = describe_failure(outcome)
            move = Move(sender=name, to=sender, reason=why, notes="", said="", returned=True)
            chain = chain_to(sender, name, state)
            return {"active": sender, "following": sender, "moves": [*moves, move], "chain": chain}
        return {"active": name, "following": ""}

    return take


def chain_to(name: str, sender: str, state: HandoffState) -> list[str]:
    """Return whose work an agent does that gets control: for one that had it before, what it was then."""
    chain = [*state.get("chain", ()), sender]
    return chain[: chain.index(name)] if name in chain else chain


def in_chain(agents: Sequence[AnyAgent]) -> Under:
    """Return what says how much all those allow whose work the agent in control does."""
    allowed = {name_of(agent): authority_of(agent) for agent in agents}

    def under(state: HandoffState) -> Authority | None:
        limits: Authority | None = None
        for name in state.get("chain", ()):
            limits = allowed[name].within(limits) if name in allowed else limits
        return limits

    return under


def transfer_of(outcome: Outcome, agent: AnyAgent, names: Sequence[str]) -> Transfer | None:
    """Return the handoff of a step: by tool, or by a structured answer `{transfer_to, reason}` of a function or graph.

    An `Agent` hands over by its tools alone: there it is decided whether it may.
    """
    if outcome["status"] != "ok":
        return None
    transfer, structured = outcome.get("transfer"), outcome["structured"] or {}
    if transfer is not None:
        return transfer if transfer["to"] in names else None
    if isinstance(agent, Agent):
        return None
    to = find_name(str(structured.get("transfer_to") or ""), names)
    if to is None:
        return None
    return Transfer(to=to, reason=str(structured.get("reason") or ""), notes=str(structured.get("notes") or ""))


class Mover(NamedTuple):
    """An agent after its step, as the audit trail names it."""

    run: Run
    agent: str
    id: str


def audited(node: Node) -> Node:
    """Return the node of an agent, which also writes down a handoff that no tool made, and control that goes back."""

    async def moving(state: Any, runtime: Runtime[Any], config: RunnableConfig) -> dict[str, Any]:
        update = await node(state, runtime, config)
        (outcome,), moves = update["outcomes"], update.get("moves", ())
        if len(moves) > len(state["moves"]) and (moves[-1]["returned"] or not outcome.get("transfer")):
            await note_move(outcome, moves[-1], config)
        return update

    return moving


async def note_move(outcome: Outcome, move: Move, config: RunnableConfig) -> None:
    """Write a handoff into the audit trail; those by tool are written where the tool executes."""
    how, taint = "given back" if move["returned"] else "handed over", outcome.get("taint", ())
    if (run := run_of(config)) is not None:
        mover = Mover(run, outcome["agent"], outcome["id"])
        await audit(mover, "handoff", move["to"], how, taint=taint, detail=move["reason"])


def failed_before(state: HandoffState, sender: str, name: str) -> bool:
    """Whether an agent gave control back to the same sender in this turn already."""
    return any(move["returned"] and (move["sender"], move["to"]) == (name, sender) for move in state["moves"])


def route_entry(entry: str, names: Sequence[str]) -> Callable[[HandoffState], str]:
    """Return the router behind the beginning: to whoever had control when the last turn ended."""

    def route(state: HandoffState) -> str:
        return state["active"] if state.get("active") in names else entry

    return route


def route_control(state: HandoffState, runtime: Runtime[Any]) -> str:
    """To whoever has control now, while handoffs are left and something new is said."""
    if why_stopped(state, context_of(runtime)):
        return "finish"
    return state["following"] or "finish"


def why_stopped(state: HandoffState, knobs: Context) -> str:
    """Return which limit ends the turn, or nothing."""
    moves = [
        (move["sender"], f"{move['to']} {move['reason']} {move['notes']} {move['said']}") for move in state["moves"]
    ]
    if state["following"] and len(moves) > knobs.max_handoffs:
        return f"max_handoffs_reached: {knobs.max_handoffs} handoffs without an answer"
    if state["following"] and (length := circle(moves, ROUNDS)):
        return f"loop: control went in a circle between {', '.join(name for name, _ in moves[-length:])}"
    return ""


async def finish(state: HandoffState, runtime: Runtime[Any]) -> dict[str, Any]:
    """Give the answer of the agent in control, or the best so far with the reason why there is none."""
    last, moves = state["outcomes"][-1], state["moves"]
    path = [outcome["agent"] for outcome in state["outcomes"]]
    structured = {**(last["structured"] or {}), "path": path, "transfers": moves, "active": state["active"]}
    if stopped := why_stopped(state, context_of(runtime)):
        return conclude(state, best_so_far(state), status="stopped", reason=stopped, structured=structured)
    status, reason = settle([last])
    if last["status"] == "ok":
        failed = [move["reason"] for move in moves if move["returned"]]
        reason = "; ".join([reason, *failed] if reason else failed)
        return conclude(state, last["output"], status=status, reason=reason, structured=structured)
    best = best_so_far(state)
    status = "partial" if best and status == "failed" else status
    return conclude(state, best, status=status, reason=reason, structured=structured)


def best_so_far(state: HandoffState) -> str:
    """Return the latest that anybody said."""
    return next((outcome["output"] for outcome in reversed(state["outcomes"]) if outcome["output"].strip()), "")


def with_transfers(agent: AnyAgent, others: Sequence[AnyAgent]) -> AnyAgent:
    """Return an agent that can hand over to the others; one that has such tools already has all it is meant to have."""
    if not isinstance(agent, Agent) or any(isinstance(tool, HandoffTool) for tool in agent.tools):
        return agent
    transfers = [create_handoff_tool(name_of(other), description=describe(other)) for other in others]
    return replace(agent, tools=[*agent.tools, *transfers])


@remembered
def build(
    agents: Sequence[AnyAgent] | None = None, *, entry: str | None = None, carry: Carry = notes
) -> PatternBuilder:
    """Return the uncompiled graph.

    Args:
        agents: Each `Agent` gets a tool `transfer_to_<other>` for every other, unless it brings such tools along. All of
            them remember the conversation.
        entry: Name of the agent that begins the first turn; the first agent by default.
        carry: What the next agent is told besides the task, who handed over and why: `only_task`, `notes`, `whole_turn`,
            or a function of yours.

    Raises:
        ConfigurationError: An argument is wrong; it is named, with what it may be.
    """
    agents = check_agents((assistant(), writer()) if agents is None else agents)
    names = [name_of(agent) for agent in agents]
    if entry is not None and entry not in names:
        raise ConfigurationError(f"entry: expected one of {names}, got {entry!r}")
    check_transfers(agents, names)

    builder = PatternBuilder(HandoffState)
    builder.add_node("begin", begin_node(moves=[], following=""))
    for agent, name in zip(agents, names, strict=True):
        others = [other for other in agents if name_of(other) != name]
        keep = take_control(agent, names)
        node = agent_node(
            with_transfers(agent, others),
            brief_control(name, carry),
            memory=recent_conversation,
            keep=keep,
            under=in_chain(agents),
        )
        builder.add_node(name, audited(node))
    builder.add_node("finish", finish)
    builder.add_edge(START, "begin")
    builder.add_conditional_edges("begin", route_entry(entry or names[0], names), names)
    for name in names:
        builder.add_conditional_edges(name, route_control, [*(other for other in names if other != name), "finish"])
    builder.add_edge("finish", END)
    return builder


def check_transfers(agents: Sequence[AnyAgent], names: Sequence[str]) -> None:
    """Refuse a handoff tool that leads to an agent who is not there.

    Raises:
        ConfigurationError: Names the agent and the tool.
    """
    for agent in agents:
        for tool in agent.tools if isinstance(agent, Agent) else ():
            if isinstance(tool, HandoffTool) and tool.agent not in names:
                raise ConfigurationError(f"{name_of(agent)}: {tool.name} leads to nobody; there are {list(names)}")


graph = build().compile(name="handoff")
