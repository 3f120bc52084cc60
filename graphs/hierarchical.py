"""Hierarchical: a manager plans, teams or workers do the parts, and the manager judges each result before it is built on.

START -> begin -> manager -> check -> (manager | execute | finish) -> execute -> (verdict for each result | ...) -> decide
      -> (execute | escalate -> resolve -> ... | answer | finish) -> finish -> END

`execute` runs the subtasks whose dependencies are accepted. Of each result the manager says accept, retry with feedback,
reassign or escalate. What is escalated goes to the team around this one, as a failure with its reason, and at the top to a
person. A worker may be a team: any compiled graph, another of these too.

Use it when: the parts of a task are worth checking one by one, or are teams' work themselves.
Costs: 2 + s * (1 + v) model calls for s subtasks and v verdicts on each, of a person none.
Ends: each subtask is tried at most `Context.max_rounds` times, and a person asked as often about it; teams nest `depth` deep.
Source: AgentOrchestra (Zhang et al., 2506.12508), section 3; the verdicts of a supervision tree (Erlang/OTP).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from langchain_core.runnables import RunnableConfig
from langgraph.graph import END, START
from langgraph.runtime import Runtime
from langgraph.types import Send

from nodes.agent import Brief, agent_node, nth_id
from nodes.approval import ask_about_proposal, propose
from nodes.decisions import Verdict, in_role
from nodes.executor import execute_node, latest_outcomes
from nodes.failure import after_joining
from nodes.human import Decision
from nodes.matching import roster
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
    VerdictState,
    copied,
    feedback_on,
    follow,
    missing,
    read_verdict,
    ready,
    to_ask_about,
    told_again,
    unjudged,
    usable,
)
from state.budget import Budget
from state.context import context_of
from state.envelope import Envelope
from state.errors import ConfigurationError
from state.graph import Pattern, PatternBuilder, can_ask_people
from state.outcome import describe_failure, node_of
from state.plan import Plan
from state.task import RunStatus


class JudgeState(VerdictState, total=False):
    """What one verdict is given."""

    branch: str
    """Id of the verdict's outcome."""
    judged: dict[str, Any]
    """`{subtask, outcome, tries}`."""


def brief_verdict(recipient: str, workers: Sequence[AnyAgent]) -> Brief:
    """Return the brief that asks the manager about one result."""

    def brief(state: JudgeState, runtime: Runtime[Any]) -> Envelope:
        subtask, outcome = state["judged"]["subtask"], state["judged"]["outcome"]
        context = {
            "Draft": outcome["output"] if outcome["status"] == "ok" else describe_failure(outcome),
            "Given to": f"{subtask['agent']}, try {state['judged']['tries']} of {context_of(runtime).max_rounds}",
            "Part of": state["goal"],
            "Agents": roster(workers),
        }
        wanted = ("Give a verdict on the draft: accept, retry with feedback, reassign to another agent, or escalate.",)
        return Envelope(
            sender="execute", recipient=recipient, task=subtask["task"], context=context, constraints=wanted
        )

    return brief


def route_results(manager: str) -> Callable[[VerdictState], list[Send] | str]:
    """Return the router behind the execution: a verdict on every new result, unless the budget ended it."""

    def route(state: VerdictState) -> list[Send] | str:
        new = unjudged(state)
        if not new or any(outcome["status"] == "stopped" for outcome in new):
            return "decide"
        subtasks = {subtask["id"]: subtask for subtask in state["plan"]["subtasks"]}
        before = sum(1 for outcome in state["outcomes"] if node_of(outcome) == manager)
        judged = [
            {"subtask": subtasks[node_of(one)], "outcome": one, "tries": 1 + state["tries"].get(node_of(one), 0)}
            for one in new
        ]
        ids = [nth_id(manager, before + number) for number in range(1, len(new) + 1)]
        return [
            Send("verdict", {"branch": branch, "goal": state["goal"], "judged": one})
            for branch, one in zip(ids, judged, strict=True)
        ]

    return route


def decide_node(manager: str, workers: Sequence[AnyAgent]) -> Any:
    """Return the node behind the verdicts."""
    names = {name_of(worker).casefold(): name_of(worker) for worker in workers}

    async def decide(state: VerdictState, runtime: Runtime[Any]) -> dict[str, Any]:
        """Do what the verdicts say."""
        new, by_id = unjudged(state), {outcome["id"]: outcome for outcome in state["outcomes"]}
        if any(outcome["status"] == "stopped" for outcome in new):
            return {}
        last = sum(1 for outcome in state["outcomes"] if node_of(outcome) == manager)
        update = copied(state)
        for number, outcome in enumerate(new, start=last - len(new) + 1):
            verdict = read_verdict(by_id[nth_id(manager, number)], names)
            follow(update, outcome, verdict, most=context_of(runtime).max_rounds)
        return update

    return decide


def route_verdicts(state: VerdictState, runtime: Runtime[Any], config: RunnableConfig) -> str:
    """Go on with what is ready; then ask a person, where one can be asked; then answer."""
    if any(outcome["status"] == "stopped" for outcome in latest_outcomes(state)):
        return "finish"
    if state["pending"] or ready(state):
        return "execute"
    if can_ask_people(config) and to_ask_about(state, context_of(runtime).max_rounds):
        return "escalate"
    return "answer" if len(usable(state)) > 1 else "finish"


async def escalate(state: VerdictState, runtime: Runtime[Any]) -> dict[str, Any]:
    """Announce what cannot be done here as an action for a person to decide about."""
    name = to_ask_about(state, context_of(runtime).max_rounds)[0]
    subtask = next(one for one in state["plan"]["subtasks"] if one["id"] == name)
    args = {"subtask": name, "agent": subtask["agent"], "task": subtask["task"]}
    return propose(state, "resolve_escalation", args, f"{name} is escalated: {state['escalated'][name]}")


def resolve_node(workers: Sequence[AnyAgent]) -> Any:
    """Return the node that puts an escalated subtask to a person."""
    names = [name_of(worker) for worker in workers]

    def has_agent(decision: Decision) -> None:
        agent = decision.edited_action.args.get("agent") if decision.edited_action is not None else None
        if agent is not None and agent not in names:
            raise ValueError(f"agent: expected one of {names}, got {agent!r}")

    async def resolve(state: VerdictState, runtime: Runtime[Any]) -> dict[str, Any]:
        """Pause for a person: try again with advice or as edited, take it as it is, or give it up."""
        name = to_ask_about(state, context_of(runtime).max_rounds)[0]
        latest = next(outcome for outcome in reversed(state["outcomes"]) if node_of(outcome) == name)
        text = f"{name} could not be done: {state['escalated'][name]}. Approve: go on with what there is. Reject: give it up."
        decision, update = ask_about_proposal(state, f"{text} Respond: advice for another try.", check=has_agent)
        changed = copied(state)
        changed["asked"][name] = 1 + changed["asked"].get(name, 0)
        if decision.type in ("approve", "reject"):
            changed["closed"].append(name)
            if decision.type == "approve" and latest["status"] == "ok":
                changed["accepted"].append(name)
        else:
            edited = decision.edited_action.args if decision.edited_action is not None else {}
            subtask = next(one for one in changed["plan"]["subtasks"] if one["id"] == name)
            subtask.update({key: str(edited[key]) for key in ("agent", "task") if key in edited})
            text = decision.message or "A person changed the subtask."
            changed["feedback"][name] = feedback_on(latest, text)
            changed["tries"][name] = 0
        if name in changed["accepted"] or name not in changed["closed"]:
            del changed["escalated"][name]
        return {**changed, **update}

    return resolve


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
        stopped = any(outcome["status"] == "stopped" for outcome in state["outcomes"])
        done: RunStatus = "partial" if lacking else "completed"
        if not good:
            done = "stopped" if stopped else "failed"
        answered = node_of(last) == manager and len(good) > 1
        status, reason = after_joining(done, "; ".join([*state["adjusted"], *lacking]), last if answered else None)
        answer = last["output"] if answered and last["status"] == "ok" else ""
        structured = {**account_for(state), "verdicts": state["verdicts"], "escalated": state["escalated"]}
        answer = answer or (compose(list(good.values()))[0] if good else "")
        return conclude(state, answer, status=status, reason=reason, structured=structured)

    return finish


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
    levels = 1 + max(levels_of(worker) for worker in workers)
    if levels > depth:
        raise ConfigurationError(f"depth: expected teams nested at most {depth} deep, got {levels}")
    managing, names = name_of(leader), [name_of(worker) for worker in workers]
    if unknown := sorted(set(budgets or {}) - set(names)):
        raise ConfigurationError(f"budgets: expected names of workers {names}, got {unknown}")

    builder = PatternBuilder(VerdictState)
    builder.levels = levels
    nothing: dict[str, Any] = {"verdicts": [], "accepted": [], "tries": {}, "feedback": {}, "escalated": {}}
    builder.add_node("begin", begin_node(**NO_PLAN, **nothing, asked={}, closed=[]))
    plan = brief_planner(managing, workers, lambda _: {})
    planning = agent_node(in_role(leader, Plan), plan, memory=recent_conversation, keep=take_proposal)
    builder.add_node(managing, planning)
    builder.add_node("check", check_node(workers, taken=[managing]))
    execute = execute_node(workers, sender=managing, only=ready, more=told_again, budgets=budgets)
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
    builder.add_conditional_edges("decide", route_verdicts, ways)
    builder.add_edge("escalate", "resolve")
    builder.add_conditional_edges("resolve", route_verdicts, ways)
    builder.add_edge("answer", "finish")
    builder.add_edge("finish", END)
    return builder


def levels_of(worker: AnyAgent) -> int:
    """Return how many graphs of this pattern are nested in a worker."""
    return worker.builder.levels if isinstance(worker, Pattern) and isinstance(worker.builder, PatternBuilder) else 0


graph = build().compile(name="hierarchical")
