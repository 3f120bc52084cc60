"""Router: one agent chooses who works on a task, once; one specialist or several at the same time.

START -> begin -> router -> ({specialist, ...} | default | finish) -> gather -> (default | finish) -> finish -> END

The default route is taken when the router is unsure, names nobody, fails, or when all it chose fail: without it the router
would be a single point of failure.

Use it when: tasks are of distinct kinds, each with its own specialist.
Costs: 1 + k model calls for k specialists, and 1 more where the default has to stand in.
Ends: one choice, one default.
Source: routing, "Building effective agents" (Anthropic, 2024).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from langgraph.graph import END, START
from langgraph.runtime import Runtime

from nodes.decisions import Route, read_decision, with_shape
from nodes.matching import find_name, match_agents, roster, shortlist, shown_matches
from nodes.node import Brief, agent_node
from nodes.resolve import compose
from nodes.roles import assistant, writer
from nodes.roles import router as default_router
from nodes.spec import AnyAgent, check_agent, check_agents, name_of
from nodes.turn import begin_node, brief_task, conclude, recent_conversation, settle
from state.context import context_of
from state.envelope import Envelope
from state.errors import ConfigurationError
from state.graph import PatternBuilder
from state.made import remembered
from state.outcome import Outcome, describe_failure, node_of
from state.task import TaskState


class RouterState(TaskState, total=False):
    """Adds the choice."""

    route: dict[str, Any]
    """`{agents, confidence, reason, unknown, failed}`: known agents only, none when there was no choice."""


def brief_router(recipient: str, specialists: Sequence[AnyAgent]) -> Brief:
    """Return the router's brief: the task, and those specialists that match it best."""

    def brief(state: RouterState, runtime: Runtime[Any]) -> Envelope:
        offered = shortlist(state["goal"], specialists, context_of(runtime).max_candidates)
        wanted = ("Do not do the task. Choose by name who of the agents works on it.",)
        context = {"Agents": roster(offered)}
        return Envelope(sender="user", recipient=recipient, task=state["goal"], context=context, constraints=wanted)

    return brief


def take_route(names: Sequence[str]) -> Callable[[Outcome, RouterState], dict[str, Any]]:
    """Return the function that takes the router's choice, whatever it is worth."""

    def take(outcome: Outcome, state: RouterState) -> dict[str, Any]:  # noqa: ARG001  # one signature for all
        choice = read_decision(outcome, Route)
        if choice is None and outcome["status"] == "ok" and (name := find_name(outcome["output"], names)):
            choice = Route(agents=[name])
        if choice is None:
            why = f"{outcome['id']} chose nobody" if outcome["status"] == "ok" else describe_failure(outcome)
            return {"route": {"agents": [], "confidence": 0.0, "reason": "", "unknown": [], "failed": why}}
        meant = {said: find_name(said, names) for said in choice.agents}
        known = list(dict.fromkeys(name for name in meant.values() if name is not None))
        unknown = [said for said, name in meant.items() if name is None]
        sure = choice.confidence if math.isfinite(choice.confidence) else 0.0
        route = {"agents": known, "confidence": sure, "reason": choice.reason, "unknown": unknown}
        return {"route": {**route, "failed": ""}}

    return take


def why_default(state: RouterState, least: float) -> str:
    """Return why the default route is taken instead of the router's choice; nothing when it is not."""
    route = state["route"]
    if route["failed"]:
        return str(route["failed"])
    if not route["agents"]:
        return f"the router named nobody there is: {route['unknown']}"
    if route["confidence"] < least:
        return f"the router's confidence was {route['confidence']:g}, below {least:g}"
    return ""


def took_default(state: RouterState, least: float) -> bool:
    """Whether the default route was taken: instead of the choice, or because somebody works whom nobody chose."""
    chosen = state["route"]["agents"]
    return bool(why_default(state, least)) or any(node_of(outcome) not in chosen for outcome in state["outcomes"][1:])


def default_of(state: RouterState, default: str, specialists: Sequence[AnyAgent]) -> str:
    """Return who stands in: the default, or without one the specialist that matches best; nobody who was tried."""
    tried = {node_of(outcome) for outcome in state["outcomes"][1:]}
    best = [default] if default else [match.agent for match in match_agents(state["goal"], specialists)]
    return next((name for name in best if name not in tried), "")


def route_choice(
    default: str, specialists: Sequence[AnyAgent]
) -> Callable[[RouterState, Runtime[Any]], list[str] | str]:
    """Return the router behind the router: to whom it chose, or to who stands in."""

    def route(state: RouterState, runtime: Runtime[Any]) -> list[str] | str:
        if state["outcomes"][-1]["status"] == "stopped":
            return "finish"
        unsure = why_default(state, context_of(runtime).min_confidence)
        return default_of(state, default, specialists) if unsure else list(state["route"]["agents"])

    return route


async def gather(state: RouterState) -> dict[str, Any]:  # noqa: ARG001  # it only waits for all
    """Wait for all who work."""
    return {}


def route_results(default: str, specialists: Sequence[AnyAgent]) -> Callable[[RouterState, Runtime[Any]], str]:
    """Return the router behind the specialists: to who stands in, once, when all that were chosen failed."""

    def route(state: RouterState, runtime: Runtime[Any]) -> str:
        good_or_stopped = any(outcome["status"] in ("ok", "stopped") for outcome in state["outcomes"][1:])
        if took_default(state, context_of(runtime).min_confidence) or good_or_stopped:
            return "finish"
        return default_of(state, default, specialists) or "finish"

    return route


def in_order(state: RouterState) -> list[Outcome]:
    """Return what those gave who worked: in the order in which the router named them, then who stood in."""
    place = {name: at for at, name in enumerate(state["route"]["agents"])}
    return sorted(state["outcomes"][1:], key=lambda outcome: place.get(node_of(outcome), len(place)))


def best_of(worked: Sequence[Outcome]) -> list[Outcome]:
    """Return what succeeded; where nothing did, the work of those who were stopped."""
    good = [outcome for outcome in worked if outcome["status"] == "ok"]
    return good or [outcome for outcome in worked if outcome["status"] == "stopped" and outcome["output"].strip()]


def finish_node(specialists: Sequence[AnyAgent]) -> Any:
    """Return the last node."""

    async def finish(state: RouterState, runtime: Runtime[Any]) -> dict[str, Any]:
        """Give the specialist's answer, or each under its name; say how the route was chosen."""
        knobs, worked = context_of(runtime), in_order(state)
        best, unsure = best_of(worked), why_default(state, knobs.min_confidence)
        instead = took_default(state, knobs.min_confidence)
        status, reason = settle(worked or state["outcomes"])
        record = {
            **state["route"],
            "taken": "default" if instead else "route",
            "why": unsure or (reason if instead else ""),
            "matches": shown_matches(state["goal"], specialists, knobs.max_candidates),
        }
        structured = {**((best[0]["structured"] or {}) if len(best) == 1 else {}), "route": record}
        if instead and any(outcome["status"] == "ok" and not outcome["error"] for outcome in best):
            status = "completed"
        elif best and status == "failed":
            status = "stopped"
        reason = "; ".join(part for part in (unsure if worked else "", reason) if part)
        return conclude(state, compose(best)[0] if best else "", status=status, reason=reason, structured=structured)

    return finish


@remembered
def build(
    specialists: Sequence[AnyAgent] | None = None,
    *,
    router: AnyAgent | None = None,
    default: AnyAgent | str | None = None,
) -> PatternBuilder:
    """Return the uncompiled graph.

    Args:
        specialists: Who may be chosen; of many, the router is offered those that match the task best.
        router: Answers with `Route {agents, confidence, reason}`.
        default: Who stands in: an agent, or the name of a specialist. None: the specialist that matches the task best.

    Raises:
        ConfigurationError: An argument is wrong; it is named, with what it may be.
    """
    specialists = check_agents((assistant(), writer()) if specialists is None else specialists, role="specialists")
    chooser = default_router() if router is None else router
    names = [name_of(specialist) for specialist in specialists]
    if isinstance(default, str) and default not in names:
        raise ConfigurationError(f"default: expected an agent or one of {names}, got {default!r}")
    more = [] if default is None or isinstance(default, str) else [check_agent(default, role="default")]
    check_agents([chooser, *specialists, *more], role="router, specialists and default")
    choosing, instead = name_of(chooser), default if isinstance(default, str) else name_of(more[0]) if more else ""

    builder = PatternBuilder(RouterState)
    builder.add_node("begin", begin_node(route={}))
    choose = with_shape(chooser, Route)
    brief = brief_router(choosing, specialists)
    builder.add_node(choosing, agent_node(choose, brief, memory=recent_conversation, keep=take_route(names)))
    for agent in (*specialists, *more):
        name = name_of(agent)
        builder.add_node(name, agent_node(agent, brief_task(name), memory=recent_conversation))
    builder.add_node("gather", gather)
    builder.add_node("finish", finish_node(specialists))
    everybody = [*names, *map(name_of, more)]
    builder.add_edge(START, "begin")
    builder.add_edge("begin", choosing)
    builder.add_conditional_edges(choosing, route_choice(instead, specialists), [*everybody, "finish"])
    for name in everybody:
        builder.add_edge(name, "gather")
    ways = ([instead] if instead else names) + ["finish"]
    builder.add_conditional_edges("gather", route_results(instead, specialists), ways)
    builder.add_edge("finish", END)
    return builder


graph = build().compile(name="router")
