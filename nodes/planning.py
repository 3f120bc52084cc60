"""Planning: a planner's proposal becomes a plan that can be executed, or is sent back with what is wrong.

A proposal is valid when it is a DAG of known agents and its subtasks have names of their own. One that is not goes back with
the reasons, at most `MAX_REPAIRS` times; then a plan of one subtask, for the agent that suits the task best, takes its place.
What does not fit into the budget is left out before anything runs, and said.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from langchain_core.runnables import RunnableConfig
from langgraph.runtime import Runtime
from pydantic import ValidationError

from nodes.deciding import tell
from nodes.decisions import read_decision
from nodes.executor import in_the_way, named, was_skipped
from nodes.failure import has_failed, without_work
from nodes.finished import ExecutionState, latest_outcomes
from nodes.fitting import trimmed
from nodes.layers.json_text import read_answers
from nodes.matching import match_agents, roster, shortlist, shown_matches
from nodes.node import Brief, Node, next_id
from nodes.spec import AnyAgent, name_of
from nodes.turn import settle
from nodes.wording import digest
from state.context import context_of
from state.envelope import Envelope
from state.errors import OUTPUT_ERRORS, PlanError
from state.excerpts import REASON, excerpt
from state.outcome import Failure, Outcome, describe_failure, node_of
from state.plan import Plan, Subtask
from state.run import run_here
from state.task import RunStatus

MAX_REPAIRS = 2
"""Times that a planner is told what is wrong with its plan and asked again."""

ASKED = ("Do not do the task. Answer with a plan: subtasks, each with id, task, agent and depends_on.",)
"""What a planner is asked for, whoever it is."""
_GIST = 400
"""Characters of a finished result that a planner is told."""


class PlanningState(ExecutionState, total=False):
    """Adds what is between a proposal and a plan."""

    proposal: dict[str, Any]
    """The planner's latest, as plain JSON; empty when it gave none."""
    problems: list[str]
    """Why it cannot be executed."""
    repairs: int
    """Times that the planner was asked again about the plan at hand."""
    replans: int
    """Plans made after one had been executed."""
    notes: list[str]
    """What people said about a plan."""
    adjusted: list[str]
    """What was changed without the planner, and why."""
    matches: list[dict[str, Any]]
    """How well the agents that the planner was offered match the task."""
    left_out: list[str]
    """Ids of the outcomes of subtasks that did not fit into the budget."""


NO_PLAN: dict[str, Any] = {
    "plan": {},
    "finished": {},
    "pending": [],
    "ended": {},
    "proposal": {},
    "problems": [],
    "repairs": 0,
    "replans": 0,
    "notes": [],
    "adjusted": [],
    "left_out": [],
    "matches": [],
}
"""What a turn of a planning pattern begins with."""


def brief_planner(recipient: str, agents: Sequence[AnyAgent], more: Callable[[Any], Mapping[str, str]]) -> Brief:
    """Return the planner's brief: the task, who there is, what is done, what failed, and what was wrong with its last plan.

    Args:
        recipient: The planner's name.
        agents: Who can be given subtasks; of many, those are offered that match the task best.
        more: What else the pattern tells, as heading to text.
    """

    def brief(state: PlanningState, runtime: Runtime[Any]) -> Envelope:
        offered = shortlist(state["goal"], agents, context_of(runtime).max_candidates)
        context = {"Agents": roster(offered), **more(state)}
        if state["plan"]:
            context |= {"Done, and kept": _done(state), "Failed": _failed(state)}
        if state["problems"]:
            context["Your last plan cannot be executed"] = "\n".join(f"- {problem}" for problem in state["problems"])
        if state["notes"]:
            context["Your last plan"] = describe_plan(state)
            context["Feedback on the plan"] = "\n".join(f"- {note}" for note in state["notes"])
        return Envelope(sender="user", recipient=recipient, task=state["goal"], context=context, constraints=ASKED)

    return brief


def take_proposal(outcome: Outcome, state: PlanningState) -> dict[str, Any]:  # noqa: ARG001  # one signature for all
    """Take the planner's proposal, which may be wrong in any way."""
    plan = read_decision(outcome, Plan)
    if plan is not None:
        return {"proposal": plan.model_dump(mode="json")}
    said = outcome["structured"] or next(iter(read_answers(outcome["output"], {"plan": dict})), None)
    return {"proposal": said if isinstance(said, dict) and outcome["status"] == "ok" else {}}


def check_node(agents: Sequence[AnyAgent], *, taken: Collection[str] = ()) -> Node:
    """Return the node behind the planner: `{proposal} -> {plan}` or `{problems}`.

    Args:
        agents: Who the subtasks may be given to.
        taken: Names that no subtask may have.
    """
    names = [name_of(agent) for agent in agents]

    async def check(state: PlanningState, runtime: Runtime[Any], config: RunnableConfig) -> dict[str, Any]:
        """See whether the plan can be executed, and fits into what is left of the budget."""
        asked, update = state["outcomes"][-1], dict[str, Any]()
        try:
            most = context_of(runtime).max_items
            plan = merged(checked(state["proposal"], names, taken, state, most=most), state)
        except PlanError as error:
            if asked["status"] == "stopped":
                return {"problems": [describe_failure(asked)]}
            can_mend = asked["status"] == "ok" or _type(asked) in OUTPUT_ERRORS
            if can_mend and state["repairs"] < MAX_REPAIRS:
                tell("decided", decision="refuse_plan", reason=excerpt(str(error), REASON))
                return {"problems": [str(error)], "repairs": state["repairs"] + 1}
            why = str(error) if asked["status"] == "ok" else describe_failure(asked)
            plan = merged(fallback_plan(state, agents), state)
            update["adjusted"] = [*state["adjusted"], f"one agent was given the whole task, since {why}"]
        run = run_here(config, context_of(runtime), name="plan")
        plan, left_out = trimmed(plan, agents, run.account, context_of(runtime), state)
        skipped = [_left_out(subtask, why, state) for subtask, why in left_out]
        update |= {"plan": plan.model_dump(mode="json"), "problems": [], "repairs": 0, "outcomes": skipped}
        update["matches"] = shown_matches(state["goal"], agents, context_of(runtime).max_candidates)
        again = bool(state["plan"] and latest_outcomes(state))
        _tell_taken(plan, update, left_out, again=again)
        return {**update, "left_out": [outcome["id"] for outcome in skipped], "replans": state["replans"] + again}

    return check


def _tell_taken(plan: Plan, update: Mapping[str, Any], left_out: Sequence[tuple[Subtask, str]], *, again: bool) -> None:
    """Tell that a plan was taken, and what of it was changed without the planner."""
    left = {subtask.id: why for subtask, why in left_out}
    reasons = [*update.get("adjusted", ())[-1:], *(f"{name} left out: {why}" for name, why in left.items())]
    subject = ", ".join(subtask.id for subtask in plan.subtasks)
    told = {"reason": excerpt("; ".join(reasons), REASON)} if reasons else {}
    if told or again:  # else it is the planner's own, which it told
        tell("decided", decision="replan" if again else "change_plan", subject=subject, **told)


def checked(
    proposal: Mapping[str, Any], names: Sequence[str], taken: Collection[str], state: PlanningState, *, most: int
) -> Plan:
    """Return a proposal as a valid plan of at most that many subtasks; it may depend on what is finished.

    Raises:
        PlanError: Says everything that is wrong with it.
    """
    if not proposal:
        raise PlanError("expected a plan, as {'subtasks': [{'id', 'task', 'agent', 'depends_on'}, ...]}, got none")
    try:
        plan = Plan.model_validate(proposal)
    except ValidationError as error:
        wrong = (f"{'.'.join(map(str, problem['loc']))}: {problem['msg']}" for problem in error.errors())
        raise PlanError("the plan has another shape: " + "; ".join(wrong)) from None
    if len(plan.subtasks) > most:
        raise PlanError(f"the plan has {len(plan.subtasks)} subtasks; expected at most max_items={most}")
    if bad := sorted({one.id for one in plan.subtasks if one.id in taken or "#" in one.id}):
        raise PlanError(f"subtask ids {bad} cannot be used: without '#', and none of {sorted(taken)}")
    merged(plan, state).validate_for(names)
    return plan


def merged(plan: Plan, state: PlanningState) -> Plan:
    """Return a plan together with those finished subtasks of the one before that it does not name again."""
    again = {subtask.id for subtask in plan.subtasks}
    before = Plan.model_validate(state["plan"]).subtasks if state["plan"] else ()
    kept = tuple(subtask for subtask in before if subtask.id in state["finished"] and subtask.id not in again)
    return Plan(subtasks=(*kept, *plan.subtasks))


def fallback_plan(state: PlanningState, agents: Sequence[AnyAgent]) -> Plan:
    """Return the plan that needs no planner: the whole task, for the agent that suits it best."""
    known = {subtask["id"] for subtask in state["plan"].get("subtasks", ())} | {"task"}
    name = next(name for number in range(1, len(known) + 2) if (name := f"task-{number}") not in known)
    best = match_agents(state["goal"], agents)[0].agent
    return Plan(subtasks=(Subtask(id=name, task=state["goal"], agent=best),))


def _left_out(subtask: Subtask, why: str, state: PlanningState) -> Outcome:
    error = Failure(type="BudgetExceeded", message=f"not begun: {why}", retryable=False)
    return without_work(next_id(subtask.id, state), subtask.agent, "skipped", error)


def settled(state: PlanningState) -> list[Outcome]:
    """Return what became of the plan: the last outcome of each subtask, also of those left out; none before it was begun.

    What was skipped says only the names of what it needs: why that failed stands with what failed, once.
    """
    if not state["plan"]:
        return []
    left_out = [outcome for outcome in state["outcomes"] if outcome["id"] in state["left_out"]]
    return [*_briefly(latest_outcomes(state), state), *left_out]


def _briefly(latest: Sequence[Outcome], state: PlanningState) -> list[Outcome]:
    """Return outcomes, of which those that were skipped only name what they need."""
    by_name = {node_of(outcome): outcome for outcome in latest}
    needed = {subtask["id"]: subtask["depends_on"] for subtask in state["plan"]["subtasks"]}

    def brief(outcome: Outcome) -> Outcome:
        error = outcome["error"]
        if error is None or not was_skipped(outcome):
            return outcome
        given = [by_name[name] for name in needed[node_of(outcome)] if name in by_name]
        why = named([f"needs {node_of(one)}" for one in in_the_way(given)])
        return {**outcome, "error": {**error, "message": why or error["message"]}}

    return [brief(outcome) for outcome in latest]


def results(state: PlanningState) -> dict[str, Outcome]:
    """Return what the plan's subtasks gave that succeeded, by id, in the plan's order."""
    return {node_of(outcome): outcome for outcome in settled(state) if outcome["status"] == "ok"}


def describe_plan(state: PlanningState) -> str:
    """Return the plan as a person reads it: a line for each subtask, then what was changed or left out."""
    lines = []
    for subtask in Plan.model_validate(state["plan"]).order():
        after = f" (after {', '.join(subtask.depends_on)})" if subtask.depends_on else ""
        lines.append(f"- {subtask.id}, {subtask.agent}{after}: {subtask.task}")
    left_out = [outcome for outcome in state["outcomes"] if outcome["id"] in state["left_out"]]
    return "\n".join([*lines, *state["adjusted"], *map(describe_failure, left_out)])


def account_for(state: PlanningState) -> dict[str, Any]:
    """Return `{plan, results: {subtask id: outcome id}, replans, adjusted, matches}`, for the result of a run."""
    done = {name: outcome["id"] for name, outcome in results(state).items()}
    noted = {"replans": state["replans"], "adjusted": state["adjusted"], "matches": state["matches"]}
    return {"plan": state["plan"], "results": done, **noted}


def why_not_begun(state: PlanningState) -> tuple[RunStatus, str]:
    """Return the status and the reason of a run in which no subtask was begun."""
    left_out = [outcome for outcome in settled(state) if outcome["id"] in state["left_out"]]
    if left_out:
        return "stopped", "the plan does not fit into the budget: " + "; ".join(map(describe_failure, left_out))
    return settle(state["outcomes"][-1:])


def _done(state: PlanningState) -> str:
    by_id = {outcome["id"]: outcome for outcome in state["outcomes"]}
    done = [(subtask, state["finished"].get(subtask["id"])) for subtask in state["plan"]["subtasks"]]
    lines = [
        f"- {one['id']} ({one['task']}): {digest(by_id[kept['outcome']]['output'], _GIST)}"
        for one, kept in done
        if kept
    ]
    return "\n".join(lines)


def _failed(state: PlanningState) -> str:
    bad = [outcome for outcome in _briefly(latest_outcomes(state), state) if outcome["status"] != "ok"]
    return "\n".join(f"- {describe_failure(outcome)}" for outcome in bad)


def has_fixed_plan(planner: AnyAgent) -> bool:
    """Whether a planner has one plan only, as its attribute `is_fixed` says: asked again, it would give the same."""
    return bool(getattr(planner, "is_fixed", False))


def route_check(then: str, planner: str) -> Callable[[PlanningState], str]:
    """Return the router behind the check: back to the planner with the problems, on with a plan, or to the end without one."""

    def route(state: PlanningState) -> str:
        if state["problems"]:
            return planner if state["outcomes"][-1]["status"] != "stopped" else "finish"
        return then if state["plan"]["subtasks"] else "finish"

    return route


def can_replan(state: PlanningState, runtime: Runtime[Any], planner: str) -> bool:
    """Whether a new plan could help: some of the last one failed, a planner is there to ask, and may be asked again."""
    if state["replans"] >= context_of(runtime).max_replans:
        return False
    asked = [outcome for outcome in state["outcomes"] if node_of(outcome) == planner]
    latest = latest_outcomes(state)
    out_of_budget = any(outcome["status"] == "stopped" or _type(outcome) == "BudgetExceeded" for outcome in latest)
    return bool(asked) and asked[-1]["status"] == "ok" and not out_of_budget and any(map(has_failed, latest))


def _type(outcome: Outcome) -> str:
    return outcome["error"]["type"] if outcome["error"] else ""
