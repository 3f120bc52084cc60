"""Hierarchical: a manager plans, teams or workers do the parts, and the manager judges each result before it is built on.

START -> begin -> manager -> check -> (manager | execute | finish) -> execute -> (verdict for each result | decide) -> decide
      -> (execute | escalate -> resolve -> ... | answer | finish) -> finish -> END

`execute` runs the subtasks whose dependencies are accepted. Of each result the manager says accept, retry with feedback,
reassign or escalate. What is escalated goes to the team around this one, as a failure with its reason, and at the top to a
person, where a checkpointer keeps what waits. A worker may be a team: any compiled graph, another of these too.

Use it when: the parts of a task are worth checking one by one, or are teams' work themselves.
Costs: 2 + 2 t model calls for t tries at subtasks, where a team's try costs what the team does; 1 for a plan sent back.
Ends: a subtask is tried at most r = `Context.max_rounds` times, with people's advice r (1 + r) times; teams nest `depth` deep.
Source: AgentOrchestra (Zhang et al., 2506.12508), section 3; the verdicts of a supervision tree (Erlang/OTP).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from langchain_core.runnables import RunnableConfig
from langgraph.graph import END, START
from langgraph.runtime import Runtime
from langgraph.types import Send

from nodes.authority import authority_of
from nodes.decisions import Verdict, in_role
from nodes.escalation import escalate, resolve_node, to_ask_about
from nodes.executor import execute_node
from nodes.failure import after_joining
from nodes.finished import latest_outcomes
from nodes.matching import roster
from nodes.node import Brief, agent_node, nth_id, sent
from nodes.planning import (
    NO_PLAN,
    account_for,
    brief_planner,
    check_node,
    route_check,
    take_proposal,
    why_not_begun,
)
from nodes.resolve import compose
from nodes.roles import assistant, writer
from nodes.roles import manager as default_manager
from nodes.spec import AnyAgent, check_agent, check_agents, name_of
from nodes.turn import begin_node, conclude, recent_conversation
from nodes.verdicts import (
    NO_VERDICTS,
    VerdictState,
    copied,
    cut_short,
    follow,
    judged_by,
    missing,
    ready,
    told_again,
    unjudged,
    usable,
)
from state.budget import Budget
from state.context import context_of
from state.envelope import Envelope
from state.errors import ConfigurationError
from state.graph import Pattern, PatternBuilder, can_ask_people
from state.made import remembered
from state.outcome import describe_failure, node_of
from state.plan import Plan
from state.task import RunStatus


class JudgeState(VerdictState, total=False):
    """What one verdict is given."""

    branch: str
    """Id of the verdict's outcome."""
    judged: dict[str, Any]
    """`{subtask, outcome, tries, feedback}`: what was to be done, what came of it, and what the try before was told."""


def brief_verdict(recipient: str, workers: Sequence[AnyAgent]) -> Brief:
    """Return the brief that asks the manager about one result."""

    def brief(state: JudgeState, runtime: Runtime[Any]) -> Envelope:
        judged, most = state["judged"], context_of(runtime).max_rounds
        subtask, outcome = judged["subtask"], judged["outcome"]
        context = {
            "Draft": outcome["output"] or describe_failure(outcome),
            "What the draft lacks": describe_failure(outcome) if outcome["output"] and outcome["error"] else "",
            "It has to respect": "\n".join(subtask["constraints"]),
            "Your feedback on the try before": judged["feedback"],
            "Given to": f"{subtask['agent']}, try {judged['tries']} of {most}",
            "Part of": state["goal"],
            "Agents": roster(workers),
        }
        wanted = ("Give a verdict on the draft: accept, retry with feedback, reassign to another agent, or escalate.",)
        return Envelope(
            sender="execute", recipient=recipient, task=subtask["task"], context=context, constraints=wanted
        )

    return brief


def route_results(manager: str) -> Callable[[VerdictState], list[Send] | str]:
    """Return the router behind the execution: a verdict on every new result, all at once."""

    def route(state: VerdictState) -> list[Send] | str:
        subtasks = {subtask["id"]: subtask for subtask in state["plan"]["subtasks"]}
        before, sends = sum(node_of(outcome) == manager for outcome in state["outcomes"]), list[Send]()
        for number, outcome in enumerate(unjudged(state), start=before + 1):
            name = node_of(outcome)
            told = state["feedback"][name]["text"] if name in state["feedback"] else ""
            tries = 1 + state["tries"].get(name, 0)
            judged = {"subtask": subtasks[name], "outcome": outcome, "tries": tries, "feedback": told}
            branch = nth_id(manager, number)
            sends.append(sent("verdict", state, branch=branch, goal=state["goal"], judged=judged))
        return sends or "decide"

    return route


def decide_node(manager: str, workers: Sequence[AnyAgent]) -> Any:
    """Return the node behind the verdicts."""
    names = [name_of(worker) for worker in workers]

    async def decide(state: VerdictState, runtime: Runtime[Any]) -> dict[str, Any]:
        """Do what the verdicts say. A result whose verdict a limit ended stays without one."""
        new, update = unjudged(state), copied(state)
        given = [outcome for outcome in state["outcomes"] if node_of(outcome) == manager][-len(new) :]
        for outcome, said in zip(new, given if new else (), strict=True):
            if said["status"] != "stopped":
                verdict = judged_by(manager, outcome, said, names)
                follow(state, update, outcome, verdict, most=context_of(runtime).max_rounds)
        return update

    return decide


def route_verdicts(manager: str) -> Callable[[VerdictState, Runtime[Any], RunnableConfig], str]:
    """Return the router behind the verdicts: on with what is ready; then a person, where one can be asked; then the answer."""

    def route(state: VerdictState, runtime: Runtime[Any], config: RunnableConfig) -> str:
        if cut_short(state, manager):
            return "finish"
        if state["pending"] or ready(state):
            return "execute"
        if can_ask_people(config) and to_ask_about(state, runtime):
            return "escalate"
        return "answer" if len(usable(state)) > 1 else "finish"

    return route


def brief_answer(recipient: str) -> Brief:
    """Return the brief that asks the manager for the answer."""

    def brief(state: VerdictState, runtime: Runtime[Any]) -> Envelope:  # noqa: ARG001  # briefs share one signature
        tasks = {subtask["id"]: subtask["task"] for subtask in state["plan"]["subtasks"]}
        context = {f"Result of {name} ({tasks[name]})": o["output"] for name, o in usable(state).items()}
        context["Missing"] = "\n".join(missing(state))
        constraints = ("Answer the task from these results, and from nothing else.",)
        return Envelope(
            sender="decide", recipient=recipient, task=state["goal"], context=context, constraints=constraints
        )

    return brief


def finish_node(manager: str) -> Any:
    """Return the last node."""

    async def finish(state: VerdictState) -> dict[str, Any]:
        """Give the manager's answer, or the accepted results; say what was escalated and what is missing."""
        if not state["plan"] or not latest_outcomes(state):
            status, reason = why_not_begun(state)
            return conclude(state, "", status=status, reason=reason)
        good, lacking, last = usable(state), missing(state), state["outcomes"][-1]
        joined = cut_short(state, manager) or (last if node_of(last) == manager and len(good) > 1 else None)
        done: RunStatus = "partial" if lacking else "completed"
        status, reason = after_joining(done, "; ".join([*state["adjusted"], *lacking]), joined)
        if not any(outcome["status"] == "ok" for outcome in good.values()):
            stopped = any(outcome["status"] == "stopped" for outcome in latest_outcomes(state))
            status = "stopped" if stopped else "failed"
        answer = joined["output"] if joined is not None and joined["status"] == "ok" else ""
        answer = answer or (compose(list(good.values()))[0] if good else "")
        structured = {**account_for(state), "verdicts": state["verdicts"], "escalated": state["escalated"]}
        structured["results"] = {name: outcome["id"] for name, outcome in good.items()}
        return conclude(state, answer, status=status, reason=reason, structured=structured)

    return finish


@remembered
def build(
    workers: Sequence[AnyAgent] | None = None,
    *,
    manager: AnyAgent | None = None,
    depth: int = 3,
    budgets: Mapping[str, Budget] | None = None,
) -> PatternBuilder:
    """Return the uncompiled graph.

    Args:
        workers: Agents and teams; a team is a compiled graph.
        manager: Plans (`Plan`), judges (`Verdict`) and answers (in words), each time asked for that only.
        depth: How many of these graphs may be nested, this one counted.
        budgets: What a worker, or a team with all below it, may spend on one subtask, by its name.

    Raises:
        ConfigurationError: An argument is wrong; it is named, with what it may be.
    """
    workers = check_agents((assistant(), writer()) if workers is None else workers, role="workers")
    leader = check_agent(default_manager() if manager is None else manager, role="manager")
    check_agents([leader, *workers], role="workers and manager")
    managing, names = name_of(leader), [name_of(worker) for worker in workers]
    check_budgets(budgets, names)

    builder = PatternBuilder(VerdictState)
    builder.levels = check_levels(workers, depth)
    builder.add_node("begin", begin_node(**NO_PLAN, **NO_VERDICTS))
    plan = brief_planner(managing, workers, lambda _: {})
    planning = agent_node(in_role(leader, Plan), plan, memory=recent_conversation, keep=take_proposal)
    builder.add_node(managing, planning)
    builder.add_node("check", check_node(workers, taken=[managing]))
    execute = execute_node(
        workers, sender=managing, only=ready, more=told_again, budgets=budgets, under=authority_of(leader)
    )
    builder.add_node("execute", execute, metadata={"workers": ", ".join(names)})
    builder.add_node("verdict", agent_node(in_role(leader, Verdict), brief_verdict(managing, workers)))
    builder.add_node("decide", decide_node(managing, workers))
    builder.add_node("escalate", escalate)
    builder.add_node("resolve", resolve_node(workers))
    builder.add_node("answer", agent_node(in_role(leader, None), brief_answer(managing)))
    builder.add_node("finish", finish_node(managing))
    builder.add_edge(START, "begin")
    builder.add_edge("begin", managing)
    builder.add_edge(managing, "check")
    builder.add_conditional_edges("check", route_check("execute", managing), [managing, "execute", "finish"])
    builder.add_conditional_edges("execute", route_results(managing), ["verdict", "decide"])
    builder.add_edge("verdict", "decide")
    ways = ["execute", "escalate", "answer", "finish"]
    builder.add_conditional_edges("decide", route_verdicts(managing), ways)
    builder.add_edge("escalate", "resolve")
    builder.add_conditional_edges("resolve", route_verdicts(managing), ways)
    builder.add_edge("answer", "finish")
    builder.add_edge("finish", END)
    return builder


def check_levels(workers: Sequence[AnyAgent], depth: Any) -> int:
    """Return how many graphs of this pattern are nested in one that has these workers, itself counted.

    Raises:
        ConfigurationError: More than `depth`.
    """
    if not isinstance(depth, int) or isinstance(depth, bool) or depth < 1:
        raise ConfigurationError(f"depth: expected a number of 1 or more, got {depth!r}")
    levels = 1 + max((worker.builder.levels for worker in workers if isinstance(worker, Pattern)), default=0)
    if levels > depth:
        raise ConfigurationError(f"depth: expected teams nested at most {depth} deep, got {levels}")
    return levels


def check_budgets(budgets: Any, names: Sequence[str]) -> None:
    """Refuse budgets of nobody, and what is no budget.

    Raises:
        ConfigurationError: Says which, and who there is.
    """
    if budgets is not None and not isinstance(budgets, Mapping):
        raise ConfigurationError(f"budgets: expected a mapping of a worker's name to its Budget, got {budgets!r}")
    for name, budget in (budgets or {}).items():
        if name not in names:
            raise ConfigurationError(f"budgets: expected names of workers {names}, got {name!r}")
        if not isinstance(budget, Budget):
            raise ConfigurationError(f"budgets: expected a Budget for {name!r}, got {budget!r}")


graph = build().compile(name="hierarchical")
