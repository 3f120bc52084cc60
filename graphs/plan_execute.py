"""Plan and execute: a planner takes the task apart, workers do the subtasks in the order of their dependencies, one answer.

START -> begin -> ({worker, ...} ->) planner -> check -> (planner | (propose -> approve ->) execute | finish)
      -> (execute | planner | synthesizer | finish) -> finish -> END

`execute` runs every subtask the moment its own dependencies are done. The workers before the planner say what matters from
their side, with `discuss`; `propose` and `approve` put the plan to a person, with `approve_plan`.

Use it when: a task has several parts, some of which need the results of others.
Costs: 2 + s model calls for s subtasks, 1 more for each plan that is sent back or made anew, and w for a discussion.
Ends: at most 2 repairs of a plan, `Context.max_replans` new ones, and as many answers of a person as `Context.max_rounds`.
Source: Plan-and-Solve (Wang et al., 2305.04091), section 2; LLMCompiler (Kim et al., 2312.04511), section 3, for the DAG.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from langgraph.graph import END, START
from langgraph.runtime import Runtime

from nodes.approval import ask_about_proposal, propose
from nodes.authority import authority_of
from nodes.decisions import with_shape
from nodes.executor import execute_node
from nodes.failure import OnFailure, after_joining, check_on_failure, decide
from nodes.human import Decision
from nodes.node import Brief, agent_node
from nodes.planning import (
    NO_PLAN,
    PlanningState,
    account_for,
    brief_planner,
    can_replan,
    check_node,
    checked,
    describe_plan,
    has_fixed_plan,
    merged,
    results,
    route_check,
    settled,
    take_proposal,
    why_not_begun,
)
from nodes.resolve import compose
from nodes.roles import assistant, writer
from nodes.roles import planner as default_planner
from nodes.roles import synthesizer as default_synthesizer
from nodes.spec import AnyAgent, check_agents, name_of
from nodes.turn import begin_node, conclude, recent_conversation
from state.context import context_of
from state.envelope import Envelope
from state.graph import PatternBuilder
from state.made import remembered
from state.outcome import describe_failure, node_of
from state.plan import Plan


class PlanExecuteState(PlanningState, total=False):
    """Adds what a person decided about the plan."""

    decision: str


def brief_contribution(recipient: str) -> Brief:
    """Return the brief that asks a worker, before there is a plan, what matters from its side."""

    def brief(state: PlanExecuteState, runtime: Runtime[Any]) -> Envelope:  # noqa: ARG001  # briefs share one signature
        question = f"Somebody is about to plan this task: {state['goal']}"
        wanted = (
            "Do not do it yet. Say in a few sentences what of it is yours, what you need for it, and what to mind.",
        )
        return Envelope(sender="planner", recipient=recipient, task=question, constraints=wanted)

    return brief


def contributions(names: Sequence[str]) -> Callable[[PlanExecuteState], dict[str, str]]:
    """Return the function that gives the planner what the workers said before there was a plan."""

    def said(state: PlanExecuteState) -> dict[str, str]:
        outcomes = [o for o in state["outcomes"] if o["id"] in names and o["status"] == "ok"]
        return {f"Contribution of {outcome['id']}": outcome["output"] for outcome in outcomes}

    return said


async def propose_plan(state: PlanExecuteState) -> dict[str, Any]:
    """Announce the plan as an action for a person to decide about."""
    return propose(state, "execute_plan", state["plan"], "The plan is ready to be carried out.")


def approve_node(agents: Sequence[AnyAgent], taken: Sequence[str]) -> Any:
    """Return the node that puts the plan to a person."""
    names = [name_of(agent) for agent in agents]

    async def approve(state: PlanExecuteState, runtime: Runtime[Any]) -> dict[str, Any]:
        """Pause for a person: approve, edit the plan, or send it back with reasons."""

        def can_be_executed(decision: Decision) -> None:
            if decision.edited_action is not None:
                checked(decision.edited_action.args, names, taken, state, most=context_of(runtime).max_items)

        text = f"Plan for: {state['goal']}\n{describe_plan(state)}"
        decision, update = ask_about_proposal(state, text, check=can_be_executed)
        update["decision"] = decision.type
        if decision.edited_action is not None:
            update["plan"] = merged(Plan.model_validate(decision.edited_action.args), state).model_dump(mode="json")
            update["left_out"] = []  # what is in the plan is the person's decision now
        if decision.type in ("reject", "respond"):
            update["notes"] = [*state["notes"], decision.message or "Rejected, without a reason."]
        return update

    return approve


def route_decision(planner: str) -> Callable[[PlanExecuteState, Runtime[Any]], str]:
    """Return the router behind a person's decision: on, or back to the planner as often as there are rounds."""

    def route(state: PlanExecuteState, runtime: Runtime[Any]) -> str:
        if state["decision"] in ("approve", "edit"):
            return "execute"
        return planner if len(state["notes"]) <= context_of(runtime).max_rounds else "finish"

    return route


def route_results(planner: str | None, joiner: str) -> Callable[[PlanExecuteState, Runtime[Any]], str]:
    """Return the router behind the execution: go on after a halt, plan anew for what failed, or make one answer.

    Args:
        planner: Who is asked for a new plan; None where there is none to be had.
        joiner: Who makes one answer.
    """

    def route(state: PlanExecuteState, runtime: Runtime[Any]) -> str:
        if state["pending"]:
            return "execute"
        if planner is not None and can_replan(state, runtime, planner):
            return planner
        return joiner if len(results(state)) > 1 else "finish"

    return route


def brief_results(recipient: str) -> Brief:
    """Return the brief that sends the synthesizer the task, every result under its subtask, and what is missing."""

    def brief(state: PlanExecuteState, runtime: Runtime[Any]) -> Envelope:  # noqa: ARG001  # briefs share one signature
        tasks = {subtask["id"]: subtask["task"] for subtask in state["plan"]["subtasks"]}
        context = {f"Result of {name} ({tasks[name]})": outcome["output"] for name, outcome in results(state).items()}
        context["Missing"] = "\n".join(
            describe_failure(outcome) for outcome in settled(state) if outcome["status"] != "ok"
        )
        return Envelope(sender="execute", recipient=recipient, task=state["goal"], context=context)

    return brief


def finish_node(joiner: str, on_failure: OnFailure, quorum: int | None) -> Any:
    """Return the last node."""

    async def finish(state: PlanExecuteState) -> dict[str, Any]:
        """Give the synthesizer's answer, or the results under their subtasks; say what of the plan is missing."""
        last, good = state["outcomes"][-1], list(results(state).values())
        proposed = state["plan"] and state["plan"]["subtasks"] and not state["problems"]
        if proposed and state["decision"] in ("reject", "respond"):
            why = f"rejected: {state['notes'][-1]}"
            answer = compose(good)[0] if good else ""  # of a plan before the one that was rejected
            return conclude(state, answer, status="stopped", reason=why, structured=account_for(state))
        if not settled(state) or not state["plan"]["subtasks"]:
            status, reason = why_not_begun(state)
            kept = {done["outcome"] for done in state["finished"].values()}
            before = [outcome for outcome in state["outcomes"] if outcome["id"] in kept]
            answer = compose(before)[0] if before else ""
            return conclude(state, answer, status=status, reason=reason, structured=account_for(state))
        status, reason = decide(settled(state), on_failure, quorum)
        joined = last if node_of(last) == joiner else None
        noted = [*state["adjusted"], reason, *state["problems"]]
        status, reason = after_joining(status, "; ".join(filter(None, noted)), joined)
        wrote = joined["output"] if joined is not None and joined["status"] == "ok" else ""
        answer = wrote or (compose(good)[0] if good else "")
        structured = {**((joined and joined["structured"]) or {}), **account_for(state)}
        return conclude(state, answer, status=status, reason=reason, structured=structured)

    return finish


@remembered
def build(
    workers: Sequence[AnyAgent] | None = None,
    *,
    planner: AnyAgent | None = None,
    synthesizer: AnyAgent | None = None,
    approve_plan: bool = False,
    discuss: bool = False,
    on_failure: OnFailure = "continue",
    quorum: int | None = None,
) -> PatternBuilder:
    """Return the uncompiled graph.

    Args:
        workers: Who subtasks may be given to; of many, the planner is offered those that match the task best.
        planner: Answers with `Plan {subtasks}`.
        synthesizer: Makes one answer of several results.
        approve_plan: Whether a person decides about every plan: approve, edit, or reject with reasons. Needs a checkpointer.
        discuss: Whether every worker is asked beforehand what matters from its side.
        on_failure: What a failed subtask means; see `nodes.failure.decide`. `fail_fast` makes no new plan.
        quorum: How many results are enough.

    Raises:
        ConfigurationError: An argument is wrong; it is named, with what it may be.
    """
    workers = check_agents((assistant(), writer()) if workers is None else workers, role="workers")
    roles = [with_shape(default_planner() if planner is None else planner, Plan), synthesizer or default_synthesizer()]
    check_agents([*roles, *workers], role="workers, planner and synthesizer")
    check_on_failure(on_failure, quorum, None)
    planning, joining, names = name_of(roles[0]), name_of(roles[1]), [name_of(worker) for worker in workers]
    taken = [planning, joining, *(names if discuss else ())]

    builder = PatternBuilder(PlanExecuteState)
    builder.add_node("begin", begin_node(**NO_PLAN, decision=""))
    brief = brief_planner(planning, workers, contributions(names if discuss else ()))
    builder.add_node(planning, agent_node(roles[0], brief, memory=recent_conversation, keep=take_proposal))
    builder.add_node("check", check_node(workers, taken=taken))
    execute = execute_node(workers, on_failure=on_failure, sender=planning, under=authority_of(roles[0]))
    builder.add_node("execute", execute, metadata={"workers": ", ".join(names)})
    builder.add_node(joining, agent_node(roles[1], brief_results(joining)))
    builder.add_node("finish", finish_node(joining, on_failure, quorum))
    builder.add_edge(START, "begin")
    if discuss:
        add_discussion(builder, workers, planning)
    else:
        builder.add_edge("begin", planning)
    after = "propose" if approve_plan else "execute"
    builder.add_conditional_edges("check", route_check(after, planning), [planning, after, "finish"])
    builder.add_edge(planning, "check")
    if approve_plan:
        add_approval(builder, workers, taken, planning)
    again = None if on_failure == "fail_fast" or has_fixed_plan(roles[0]) else planning
    ways = ["execute", *([planning] if again else []), joining, "finish"]
    builder.add_conditional_edges("execute", route_results(again, joining), ways)
    builder.add_edge(joining, "finish")
    builder.add_edge("finish", END)
    return builder


def add_discussion(builder: PatternBuilder, workers: Sequence[AnyAgent], planner: str) -> None:
    """Add the workers in front of the planner, all at once."""
    names = [name_of(worker) for worker in workers]
    for worker, name in zip(workers, names, strict=True):
        builder.add_node(name, agent_node(worker, brief_contribution(name)))
        builder.add_edge("begin", name)
    builder.add_edge(names, planner)


def add_approval(builder: PatternBuilder, workers: Sequence[AnyAgent], taken: Sequence[str], planner: str) -> None:
    """Add the person between the check and the execution."""
    builder.add_node("propose", propose_plan)
    builder.add_node("approve", approve_node(workers, taken))
    builder.add_edge("propose", "approve")
    builder.add_conditional_edges("approve", route_decision(planner), ["execute", planner, "finish"])


graph = build().compile(name="plan_execute")
