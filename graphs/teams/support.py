"""Support: a customer talks to a frontline that knows the policies, and behind it to desks that can do something.

START -> begin -> reception -> (the desk in control | ask_address | person) -> ({desk, ...} | ask_address | person | finish)
      -> finish -> END, and then the quality agent reads the turn

`reception` finds out who the customer is, opens the ticket and reads the mood. Desks hand over to each other by
`transfer_to_<desk>`; a desk that works on orders is reached only once the customer is known, and its tools reach that customer's
orders and no others. Anger, legal threats, many orders at once, a desk that fails and control that goes in circles lead to
`person`. Refunds are carried out once, by a tool in a transaction of the shop; above the limit a person has to approve.
`finish` keeps the turn, and the quality agent scores it in the background: `nodes/support/quality.py` says why
nobody waits for it.

Use it when: customers ask about what a database knows, and some of what they want is worth a second look.
Costs: 1 + h model calls for h handoffs, 1 more for each round of tool calls, and later 1 for the score, which has a budget of
its own. Ends: at most `Context.max_handoffs` handoffs in a turn, then a person.
Source: the routines and handoffs of OpenAI's "Orchestrating Agents" cookbook (2024), with rights kept by the tools.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from langchain_core.messages import HumanMessage
from langchain_core.runnables import RunnableConfig
from langgraph.graph import END, START
from langgraph.runtime import Runtime

from graphs import handoff, single
from graphs.handoff import HandoffState, audited, brief_control, note_move, take_control, why_stopped, with_transfers
from nodes.agent import run_agent
from nodes.node import Brief, Node, agent_node, next_id
from nodes.spec import AnyAgent, HumanAgent, check_agent, check_agents, name_of
from nodes.support.desks import (
    frontline_agent,
    order_desk_agent,
    question_for_address,
    refunds_desk_agent,
    support_person,
)
from nodes.support.mood import LIMIT
from nodes.support.quality import Reader, quality_agent
from nodes.support.reception import Reception
from nodes.support.triage import desk_for, is_engine, spelled_out, transfer_by_rule
from nodes.threads import in_thread
from nodes.turn import begin_node, conclude, recent_conversation
from nodes.wording import says_the_same
from state.context import context_of
from state.envelope import Envelope
from state.errors import ConfigurationError
from state.graph import PatternBuilder, can_ask_people
from state.outcome import Outcome, Transfer
from tools.shop.example import example_policies
from tools.shop.policies import corpus_of_run
from tools.shop.shop import Balance, Shop, emails_in

MOST_ADDRESSES = 3
"""Unknown addresses that a customer may give before a person helps."""


class SupportState(HandoffState, total=False):
    """Adds the case: whose it is, and how it goes. It is kept from turn to turn."""

    number: int
    """Of the turn in its conversation, from 1."""
    ticket: int
    customer: dict[str, Any] | None
    """`{id, email, name}`; None while nobody knows."""
    balances: dict[str, list[int]]
    """`[paid, refunded]` in cents of each of the customer's orders, when the turn began."""
    mood: int
    """Points of frustration; see `nodes/support/mood.py`."""
    signals: list[str]
    """Why a person should take over, found in this turn."""
    waiting: str
    """The desk that waits to know who the customer is; empty when none does."""
    pending: str
    """What it was asked."""
    tried: list[str]
    """Addresses that no customer has."""


def desk_node(reception: Reception, agent: AnyAgent, names: Sequence[str]) -> Node:
    """Return the node of a desk: it works within the affairs of the customer, and hands over or answers."""
    name, take = name_of(agent), take_control(agent, names)
    brief, spelled = brief_desk(name), brief_engine(name)
    work = audited(agent_node(agent, brief, memory=recent_conversation, keep=take))
    work_of_engine = audited(
        agent_node(agent, spelled, keep=take)
    )  # it takes what was said before for a part of the question

    async def node(state: SupportState, runtime: Runtime[Any], config: RunnableConfig) -> dict[str, Any]:
        by_engine = is_engine(agent, context_of(runtime))
        to = desk_for(state["goal"], names[:3]) if by_engine and not state["moves"] else ""
        if to and to != name:
            envelope = brief(state, runtime)
            outcome = await run_agent(
                transfer_by_rule(name, to), envelope, runtime, config, step_id=next_id(name, state)
            )
            outcome = {
                **outcome,
                "output": "",
                "structured": None,
                "transfer": Transfer(to=to, reason=state["goal"], notes=""),
            }
            taken = take(outcome, state)
            await note_move(outcome, taken["moves"][-1], config)
            return {"outcomes": [outcome], **taken}
        with reception.counter(state):
            return await (work_of_engine if by_engine else work)(state, runtime, config)

    return node


def brief_desk(recipient: str) -> Brief:
    """Return the brief of a desk: what the customer wants, who they are, and who handed over and why."""
    control = brief_control(recipient, handoff.notes)

    def brief(state: SupportState, runtime: Runtime[Any]) -> Envelope:
        envelope, customer = control(state, runtime), state["customer"]
        known = (
            f"The customer is {customer['name']}, {customer['email']}."
            if customer
            else "Nobody knows who the customer is."
        )
        told = {heading: text for heading, text in envelope.context.items() if says_more(text, state["goal"])}
        return envelope.model_copy(update={"context": told, "constraints": (known,)})

    return brief


def brief_engine(recipient: str) -> Brief:
    """Return the brief of a desk for which the embedded engine answers: what the customer means is spelled out."""
    desk = brief_desk(recipient)

    def brief(state: SupportState, runtime: Runtime[Any]) -> Envelope:
        left = {int(order): Balance(*balance).left for order, balance in state["balances"].items()}
        envelope = desk(state, runtime)
        return envelope.model_copy(update={"task": spelled_out(envelope.task, left)})

    return brief


def says_more(text: str, goal: str) -> bool:
    """Whether what was handed over says more than the customer did: `frontline: I want a refund.` does not."""
    return bool(text) and not says_the_same(text.partition(": ")[2] or text, goal)


def brief_person(recipient: str) -> Brief:
    """Return the brief of a person: the whole case, since a person remembers nothing."""
    desk = brief_desk(recipient)

    def brief(state: SupportState, runtime: Runtime[Any]) -> Envelope:
        envelope = desk(state, runtime)
        said = [
            f"{'Customer' if isinstance(m, HumanMessage) else 'Support'}: {m.text}"
            for m in recent_conversation(state, runtime)
        ]
        why = "; ".join(state["signals"]) or why_stopped(state, context_of(runtime))
        context = {"Ticket": str(state["ticket"]), "Why": why, **envelope.context, "Conversation": "\n".join(said)}
        return envelope.model_copy(update={"context": {name: text for name, text in context.items() if text}})

    return brief


def take_person(entry: str) -> Callable[[Outcome, SupportState], dict[str, Any]]:
    """Return the function that gives the conversation back to the frontline once a person has answered."""

    def take(outcome: Outcome, state: SupportState) -> dict[str, Any]:  # noqa: ARG001  # one signature
        return {"active": entry, "following": "", "mood": 0, "waiting": "", "pending": "", "tried": []}

    return take


def route_reception(
    entry: str, desks: Sequence[str], last: AnyAgent
) -> Callable[[SupportState, Runtime[Any], RunnableConfig], str]:
    """Return the router behind the reception: to a person in the heat, else to whoever had control when the last turn ended.

    While nobody knows who the customer is, the entry has it: no other desk can do anything for them.
    """

    def route(state: SupportState, runtime: Runtime[Any], config: RunnableConfig) -> str:  # noqa: ARG001  # one signature
        heated = state["mood"] >= LIMIT and bool(state["signals"])
        lost = len(state["tried"]) >= MOST_ADDRESSES
        if (heated or lost) and can_reach(last, config):
            return name_of(last)
        if state.get("waiting") and state["tried"] and emails_in(state["goal"]):
            return "ask_address"
        is_theirs = state.get("active") in desks and state["customer"] is not None
        return state["active"] if is_theirs and not state.get("waiting") else entry

    return route


def route_desk(entry: str, last: AnyAgent) -> Callable[[SupportState, Runtime[Any], RunnableConfig], str]:
    """Return the router behind a desk: to whom it handed over, once the customer is known; to a person when it is stuck."""

    def route(state: SupportState, runtime: Runtime[Any], config: RunnableConfig) -> str:
        following, status, person = state["following"], state["outcomes"][-1]["status"], name_of(last)
        stuck = why_stopped(state, context_of(runtime)) or (
            not following and status in ("failed", "timed_out", "denied")
        )
        if stuck or following == person:
            return person if can_reach(last, config) else "finish"
        if following and following != entry and state["customer"] is None:
            return "ask_address"
        return following or "finish"

    return route


def can_reach(person: AnyAgent, config: RunnableConfig) -> bool:
    """Whether the last tier can be asked: a person only where the run is kept meanwhile."""
    return not isinstance(person, HumanAgent) or can_ask_people(config)


async def ask_address(state: SupportState) -> dict[str, Any]:
    """Ask who the customer is, and keep what they want until they have said so."""
    asked = {"waiting": state["following"], "pending": state["goal"], "following": ""} if state["following"] else {}
    answer = question_for_address(state["tried"])
    structured = {"asked_for": "e-mail address", "ticket": state["ticket"], "turn": state["number"]}
    return {**asked, **conclude(state, answer, status="completed", structured=structured)}


def finish_node(reception: Reception, reader: Reader, person: str) -> Any:
    """Return the last node."""

    async def finish(state: SupportState, runtime: Runtime[Any]) -> dict[str, Any]:
        """Give the answer; keep the turn with the ticket, and let it be scored in the background."""
        update = await conclude_turn(state, runtime, person) if state["status"] == "running" else {}
        desk = state["outcomes"][-1]["agent"] if state["outcomes"] else "reception"
        ended = {**state, **update}
        said = {"question": state["goal"], "answer": ended["answer"], "status": ended["status"]}

        def keep() -> Shop:
            shop = reception.shop()
            shop.note_turn(state["ticket"], state["number"], desk=desk, **said)
            shop.set_status(state["ticket"], "escalated" if desk == person else "open")
            return shop

        reader.read_along(await in_thread(keep), context_of(runtime))
        return update

    return finish


async def conclude_turn(state: SupportState, runtime: Runtime[Any], person: str) -> dict[str, Any]:
    """Return the answer of the desk in control and what became of the case; say so when a person could not be asked."""
    update = await handoff.finish(state, runtime)
    case = {key: state.get(key) for key in ("customer", "ticket", "signals")}
    update["structured"] = {**(update["structured"] or {}), **case, "turn": state["number"]}
    if state["following"] == person and update["status"] == "completed":
        reason = "a person was wanted, and this run keeps nothing to pause with"
        update |= {"status": "partial", "reason": reason, "active": ""}
    return update


def build(
    *,
    shop: str | Path | None = None,
    policies: str | Path | None = None,
    customer: str | int | None = None,
    refund_limit: float = 50,
    frontline: AnyAgent | None = None,
    order_desk: AnyAgent | None = None,
    refunds_desk: AnyAgent | None = None,
    person: AnyAgent | None = None,
    quality: AnyAgent | None = None,
) -> PatternBuilder:
    """Return the uncompiled graph.

    Args:
        shop: SQLite file with the tables of `examples/support/schema.sql`; by default a copy of the example, made on first use
            in `.orchestra/support/`.
        policies: Folder of policy documents; by default `Context.corpus`, and without one those of the example.
        customer: Id or e-mail address of the customer, as a program knows it that has them signed in. Without it they are asked,
            and the address they give is taken at its word.
        refund_limit: EUR that may be refunded for one order without a person's approval.
        frontline: Begins every conversation; it gets tools to hand over.
        order_desk: Looks after orders; see `tools/shop/desks.py` for its tools.
        refunds_desk: Pays money back.
        person: Who has the last word; a person unless something else is given.
        quality: Scores turns with `TurnScore {score, remark}`, in the background.

    Raises:
        ConfigurationError: Something given is nothing that can be an agent, two have the same name, or the limit is negative.
    """
    if refund_limit < 0:
        raise ConfigurationError(f"refund_limit: expected EUR, 0 or more, got {refund_limit!r}")
    limit = round(refund_limit * 100)
    reader = single.build(check_agent(quality, role="quality") if quality is not None else quality_agent())
    agents = check_agents(
        [
            frontline or frontline_agent(lambda: policies or corpus_of_run() or example_policies()),
            order_desk or order_desk_agent(),
            refunds_desk or refunds_desk_agent(limit),
            person or support_person(),
        ]
    )
    *desks, last = agents
    names, reception = [name_of(agent) for agent in agents], Reception(shop, customer)
    entry, tier = names[0], names[-1]
    builder = PatternBuilder(SupportState)
    builder.add_node("begin", begin_node(moves=[], following="", signals=[]))
    builder.add_node("reception", reception)
    for agent, name in zip(desks, names, strict=False):
        others = [other for other in agents if name_of(other) != name]
        builder.add_node(name, desk_node(reception, with_transfers(agent, others), names))
    builder.add_node("ask_address", ask_address)
    builder.add_node(tier, agent_node(last, brief_person(tier), memory=recent_conversation, keep=take_person(entry)))
    builder.add_node("finish", finish_node(reception, Reader(reader.compile(name="quality")), tier))
    builder.add_edge(START, "begin")
    builder.add_edge("begin", "reception")
    builder.add_conditional_edges(
        "reception", route_reception(entry, names[:-1], last), [*names[:-1], "ask_address", tier]
    )
    for name in names[:-1]:
        ends = [other for other in names if other != name]
        builder.add_conditional_edges(name, route_desk(entry, last), [*ends, "ask_address", "finish"])
    builder.add_edge(tier, "finish")
    builder.add_edge("ask_address", "finish")
    builder.add_edge("finish", END)
    return builder


graph = build().compile(name="support")
