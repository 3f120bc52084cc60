"""Adaptive: a planner takes the task apart, and the shape of the plan decides by which pattern it is worked on.

START -> begin -> planner -> check -> (planner | choose | finish) -> choose
      -> (single | sequential | parallel | hybrid | hierarchical) -> (synthesizer | finish) -> finish -> END

One agent works alone when that is enough. `sequential`, `parallel` and `hybrid` run the plan, each subtask as soon as its
own dependencies are done; `hierarchical` gives plan and task to a manager with the same workers.

Use it when: tasks differ so much that no one pattern suits them all.
Costs: 1 + the cost of the pattern that is chosen, and 1 more to join several results.
Ends: at most 2 repairs of the plan, one choice, and what ends the chosen pattern.
Source: AdaptOrch (arXiv 2602.16873), algorithm 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from langgraph.graph import END, START
from langgraph.runtime import Runtime

from graphs import hierarchical
from graphs.plan_execute import brief_results, finish_node
from nodes.authority import authority_of, led_by
from nodes.deciding import tell
from nodes.decisions import with_shape
from nodes.executor import execute_node
from nodes.node import agent_node
from nodes.planning import (
    NO_PLAN,
    PlanningState,
    brief_planner,
    check_node,
    describe_plan,
    results,
    route_check,
    take_proposal,
)
from nodes.roles import assistant, writer
from nodes.roles import planner as default_planner
from nodes.roles import synthesizer as default_synthesizer
from nodes.spec import AnyAgent, check_agents, name_of
from nodes.topology import Thresholds, choose_topology, features_of
from nodes.turn import begin_node, conclude, recent_conversation, settle
from state.envelope import Envelope
from state.errors import ConfigurationError
from state.graph import PatternBuilder
from state.made import remembered
from state.outcome import Outcome
from state.plan import Plan, Subtask

EXECUTED = ("single", "sequential", "parallel", "hybrid")


class AdaptiveState(PlanningState, total=False):
    """Adds the choice."""

    decision: str
    """Stays empty: no person decides about the plan."""
    choice: dict[str, Any]
    """`{pattern, why, features}`; empty before the plan is there."""


def choose_node(thresholds: Thresholds) -> Any:
    """Return the node that chooses the pattern."""

    async def choose(state: AdaptiveState) -> dict[str, Any]:
        """Choose the pattern by the shape of the plan; what one agent can do alone becomes one subtask again."""
        plan = Plan.model_validate(state["plan"])
        features = features_of(plan)
        pattern, why = choose_topology(features, thresholds)
        tell("decided", decision="pattern", subject=pattern, reason=why, **features)
        update: dict[str, Any] = {"choice": {"pattern": pattern, "why": why, "features": features}}
        if pattern == "single" and len(plan.subtasks) > 1:
            whole = Subtask(id="task", task=state["goal"], agent=plan.subtasks[0].agent)
            update["plan"] = Plan(subtasks=(whole,)).model_dump(mode="json")
            update["left_out"] = []  # the whole task holds them too
        return update

    return choose


def route_choice(state: AdaptiveState) -> str:
    """To the pattern that was chosen."""
    return str(state["choice"]["pattern"])


def route_results(joiner: str, here: str) -> Any:
    """Return the router behind an execution: on after a halt, and to the synthesizer when there are results to join."""

    def route(state: AdaptiveState) -> str:
        if state["pending"]:
            return here
        return joiner if len(results(state)) > 1 else "finish"

    return route


def brief_team(state: AdaptiveState, runtime: Runtime[Any]) -> Envelope:  # noqa: ARG001  # briefs share one signature
    """Send the team the task and the plan."""
    context = {"A plan that suits it": describe_plan(state)}
    return Envelope(sender="choose", recipient="hierarchical", task=state["goal"], context=context)


def finish_adaptive(joiner: str) -> Any:
    """Return the last node."""
    finish_plan = finish_node(joiner, "continue", None)

    async def finish(state: AdaptiveState) -> dict[str, Any]:
        """Give the answer of the pattern that was chosen, and why it was."""
        update: dict[str, Any]
        if state["choice"].get("pattern") == "hierarchical":
            update = _answer_of_team(state, state["outcomes"][-1])
        else:
            update = await finish_plan(state)
        return {**update, "structured": {**(update["structured"] or {}), **state["choice"]}}

    return finish


def _answer_of_team(state: AdaptiveState, team: Outcome) -> dict[str, Any]:
    status, reason = settle([team])
    return conclude(state, team["output"], status=status, reason=reason, structured=team["structured"])


@remembered
def build(
    workers: Sequence[AnyAgent] | None = None,
    *,
    policy: Literal["rules"] = "rules",
    planner: AnyAgent | None = None,
    manager: AnyAgent | None = None,
    synthesizer: AnyAgent | None = None,
    thresholds: Thresholds | None = None,
) -> PatternBuilder:
    """Return the uncompiled graph.

    Args:
        workers: Who subtasks may be given to.
        policy: How the pattern is chosen: `rules`, by the shape of the plan.
        planner: Answers with `Plan {subtasks}`; each says how closely it is coupled to what it depends on.
        manager: Leads the workers where the pattern is `hierarchical`.
        synthesizer: Makes one answer of several results.
        thresholds: Where one pattern gives way to another.

    Raises:
        ConfigurationError: An argument is wrong; it is named, with what it may be.
    """
    if policy != "rules":
        raise ConfigurationError(f"policy: expected 'rules', got {policy!r}")
    if thresholds is not None and not isinstance(thresholds, Thresholds):
        raise ConfigurationError(f"thresholds: expected Thresholds(coupling, size, width), got {thresholds!r}")
    workers = check_agents((assistant(), writer()) if workers is None else workers, role="workers")
    plans = with_shape(default_planner() if planner is None else planner, Plan)
    joins = default_synthesizer() if synthesizer is None else synthesizer
    check_agents([plans, joins, *workers], role="workers, planner and synthesizer")
    team = hierarchical.build(workers, manager=manager).compile(name="hierarchical")
    planning, joining, names = name_of(plans), name_of(joins), [name_of(worker) for worker in workers]

    builder = PatternBuilder(AdaptiveState)
    builder.add_node("begin", begin_node(**NO_PLAN, decision="", choice={}))
    brief = brief_planner(planning, workers, lambda _: {})
    builder.add_node(planning, agent_node(plans, brief, memory=recent_conversation, keep=take_proposal))
    builder.add_node("check", check_node(workers, taken=[planning, joining, "hierarchical"]))
    builder.add_node("choose", choose_node(thresholds or Thresholds()))
    execute = execute_node(workers, sender=planning, under=authority_of(plans))
    for pattern in EXECUTED:
        builder.add_node(pattern, execute, metadata={"workers": ", ".join(names)})
    builder.add_node("hierarchical", agent_node(team, brief_team, under=led_by(plans)))
    builder.add_node(joining, agent_node(joins, brief_results(joining)))
    builder.add_node("finish", finish_adaptive(joining))
    builder.add_edge(START, "begin")
    builder.add_edge("begin", planning)
    builder.add_edge(planning, "check")
    builder.add_conditional_edges("check", route_check("choose", planning), [planning, "choose", "finish"])
    builder.add_conditional_edges("choose", route_choice, [*EXECUTED, "hierarchical"])
    for pattern in EXECUTED:
        builder.add_conditional_edges(pattern, route_results(joining, pattern), [pattern, joining, "finish"])
    builder.add_edge("hierarchical", "finish")
    builder.add_edge(joining, "finish")
    builder.add_edge("finish", END)
    return builder


graph = build().compile(name="adaptive")
