"""Magentic: a manager keeps two ledgers, what is known and how it goes, sends one worker after the other, and replans when stuck.

START -> begin -> plan -> (plan | progress | finish), progress -> ({worker, ...} | progress | plan | answer | finish)
      -> {worker, ...} -> (progress | finish), answer -> finish -> END

Use it when: it is not known beforehand what a task will take, and the way may have to be changed.
Costs: 3 + 2 * s model calls for s steps of workers, and 1 or more for each new plan.
Ends: at most `Context.max_turns` progress ledgers, fewer when the work goes in a circle. A ledger that cannot be used is asked
for until that took 10 calls; then there is a new plan, of which there are at most `max_replans`.
Source: Magentic-One (Fourney et al., 2411.04468), section 4; the rule of stalls is that of autogen-magentic-one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from langchain_core.runnables import RunnableConfig
from langgraph.graph import END, START
from langgraph.runtime import Runtime

from nodes.agent import Brief, Node, agent_node, next_id
from nodes.decisions import ProgressLedger, TaskLedger, read_decision, with_shape
from nodes.matching import find_name, roster, shortlist
from nodes.roles import assistant, writer
from nodes.roles import manager as default_manager
from nodes.spec import AnyAgent, check_agent, check_agents, name_of
from nodes.turn import begin_node, conclude, recent_conversation, settle
from nodes.wording import circle, digest, says_the_same
from state.context import Context, context_of
from state.envelope import Envelope
from state.errors import ConfigurationError, OutputError
from state.graph import PatternBuilder
from state.outcome import Outcome, describe_failure, node_of
from state.task import RunStatus, TaskState

PLAN, PROGRESS, ANSWER, FINISH = "plan", "progress", "answer", "finish"
MANAGING = (PLAN, PROGRESS, ANSWER)

MAX_ASKED = 10
"""Model calls that one ledger may take until it can be used."""
GIST = 300
"""Characters of an earlier reply that the manager reads."""

_UNUSABLE = {kind.__name__ for kind in OutputError.__subclasses__()}
"""Types of failures of a manager that was reached and whose answer was no use."""

ASK_PLAN = (
    "Do not do the task. Say what is known, what is likely, and who of the agents does what in which order.",
    'Answer as JSON: {"facts": [...], "guesses": [...], "plan": [...]}, each a list of short texts.',
)
ASK_PROGRESS = (
    "Do not do the task. Say where the work stands, who of the agents goes on, and with what.",
    "Answer as JSON with these keys, each {'reason': ..., 'answer': ...}: is_request_satisfied, is_in_loop and "
    "is_progress_being_made are true or false, next_speaker is the name of an agent, instruction_or_question is what it is "
    "told, complete in itself.",
)
ASK_ANSWER = ("The work is done. Write the answer to the task from the work; it is all that the user sees.",)


class MagenticState(TaskState, total=False):
    """Adds the ledgers and the counts."""

    task_ledger: dict[str, Any]
    """`{facts, guesses, plan}`; empty before the first."""
    progress_ledger: dict[str, Any]
    """The latest that could be used."""
    turns: int
    """Progress ledgers that could be used."""
    stalls: int
    replans: int
    """Plans made after the first."""
    asked: int
    """Model calls spent on the ledger that is being asked for."""
    correction: str
    """Why the manager's latest ledger could not be used; empty when it could."""
    move: str
    """Name of the node that the manager's latest step leads to."""


class Piece(NamedTuple):
    """One step of a worker."""

    outcome: Outcome
    instruction: str
    stalled: bool
    """Whether the manager sent it although there was no progress."""
    plan: int
    """Under which plan, from 1."""


def work_of(state: MagenticState) -> list[Piece]:
    """Return what the workers did so far. Before each of them stands the ledger that sent it."""
    pieces, plans, ledger = [], 0, None
    for outcome in state["outcomes"]:
        if node_of(outcome) == PLAN:
            plans += outcome["status"] == "ok"
        elif node_of(outcome) == PROGRESS:
            ledger = read_decision(outcome, ProgressLedger)
        elif ledger is not None and node_of(outcome) != ANSWER:
            pieces.append(Piece(outcome, ledger.instruction_or_question.answer, is_stalled(ledger), plans))
    return pieces


def is_stalled(ledger: ProgressLedger) -> bool:
    """Whether the work goes in a circle or nowhere, as the manager sees it."""
    return ledger.is_in_loop.answer or not ledger.is_progress_being_made.answer


def describe_work(pieces: Sequence[Piece], *, whole: int, most: int) -> str:
    """Return the instructions with the replies: the last `whole` in full, or `most` characters of them, the others' gist."""
    lines = []
    for at, piece in enumerate(pieces):
        in_full = at >= len(pieces) - whole
        lines.append(
            f"- {node_of(piece.outcome)} was told: {piece.instruction if in_full else digest(piece.instruction, GIST)}"
        )
        said, clipped = piece.outcome["output"], most if in_full else GIST
        if piece.outcome["status"] != "ok" or piece.outcome["error"]:
            lines.append(f"  {describe_failure(piece.outcome)}")
        if said:
            lines.append(f"  and answered: {digest(said, clipped) if clipped else said}")
    return "\n".join(lines)


def describe_ledger(state: MagenticState, *parts: str) -> dict[str, str]:
    """Return parts of the task ledger as headings with lists."""
    ledger = state["task_ledger"]
    return {part.capitalize(): "\n".join(f"- {line}" for line in ledger.get(part, ())) for part in parts}


def brief_plan(manager: str, workers: Sequence[AnyAgent]) -> Brief:
    """Return the brief for a task ledger: the task, who there is; when it is not the first the old one and all the work."""

    def brief(state: MagenticState, runtime: Runtime[Any]) -> Envelope:
        knobs = context_of(runtime)
        context = {"Agents": roster(shortlist(state["goal"], workers, knobs.max_candidates))}
        if state["task_ledger"]:
            context |= describe_ledger(state, "facts", "guesses")
            context["Plan that led nowhere"] = describe_ledger(state, "plan")["Plan"]
            context["Results so far"] = describe_work(work_of(state), whole=1, most=knobs.digest_above)
        context["Correction"] = state["correction"]
        return Envelope(sender="user", recipient=manager, task=state["goal"], context=context, constraints=ASK_PLAN)

    return brief


def brief_progress(manager: str, workers: Sequence[AnyAgent]) -> Brief:
    """Return the brief for a progress ledger: task, agents, ledger, and the work: of all but the latest reply the gist."""

    def brief(state: MagenticState, runtime: Runtime[Any]) -> Envelope:
        knobs, work = context_of(runtime), work_of(state)
        before = [piece for piece in work if piece.plan <= state["replans"]]
        context = {"Agents": roster(shortlist(state["goal"], workers, knobs.max_candidates))}
        context |= describe_ledger(state, "facts", "guesses", "plan")
        context["Results of earlier plans"] = describe_work(before, whole=0, most=0)
        context["Results so far"] = describe_work(work[len(before) :], whole=1, most=knobs.digest_above) or "None."
        context["Correction"] = state["correction"]
        return Envelope(sender=PLAN, recipient=manager, task=state["goal"], context=context, constraints=ASK_PROGRESS)

    return brief


def brief_answer(manager: str) -> Brief:
    """Return the brief for the answer: the task, the facts, and the work, its latest replies in full."""

    def brief(state: MagenticState, runtime: Runtime[Any]) -> Envelope:
        knobs = context_of(runtime)
        work = describe_work(work_of(state), whole=knobs.transcript_window, most=knobs.digest_above)
        context = {**describe_ledger(state, "facts"), "Results so far": work}
        return Envelope(sender=PROGRESS, recipient=manager, task=state["goal"], context=context, constraints=ASK_ANSWER)

    return brief


def brief_worker(manager: str, worker: str) -> Brief:
    """Return a worker's brief: its instruction and the facts, nothing of what others said."""

    def brief(state: MagenticState, runtime: Runtime[Any]) -> Envelope:  # noqa: ARG001  # briefs share one signature
        told = state["progress_ledger"]["instruction_or_question"]["answer"]
        return Envelope(sender=manager, recipient=worker, task=told, context=describe_ledger(state, "facts"))

    return brief


def take_plan(outcome: Outcome, state: MagenticState) -> dict[str, Any]:
    """Take a task ledger: facts are kept and added to, guesses and plan are new. A text without JSON is the plan."""
    ledger = read_decision(outcome, TaskLedger)
    if ledger is None and outcome["status"] == "ok":
        ledger = TaskLedger.model_validate({"plan": outcome["output"]})
    if ledger is None:
        return ask_again(outcome, state, PLAN, otherwise=FINISH)
    before = state["task_ledger"]
    facts = list(before.get("facts", ()))
    facts += [fact for fact in ledger.facts if not any(says_the_same(fact, known) for known in facts)]
    taken = {"task_ledger": {**ledger.model_dump(), "facts": facts}, "replans": state["replans"] + bool(before)}
    return {**taken, "stalls": 0, "asked": 0, "correction": "", "move": PROGRESS}


def take_progress(
    names: Sequence[str], max_stalls: int, *, stall_decay: bool
) -> Callable[[Outcome, MagenticState], dict[str, Any]]:
    """Return what is taken from a progress ledger: the counts, and where it leads."""

    def take(outcome: Outcome, state: MagenticState) -> dict[str, Any]:
        ledger = read_decision(outcome, ProgressLedger)
        if ledger is None:
            return ask_again(outcome, state, PROGRESS, otherwise=PLAN)
        stalls = count_stalls(state["stalls"], ledger, decay=stall_decay)
        name = find_name(ledger.next_speaker.answer, names)
        if ledger.is_request_satisfied.answer:
            stalls, move = state["stalls"], ANSWER
        elif stalls > max_stalls:
            move = PLAN
        elif name is None or not ledger.instruction_or_question.answer.strip():
            why = f"next_speaker: expected one of {', '.join(names)}, got {ledger.next_speaker.answer[:100]!r}"
            why = why if name is None else "instruction_or_question: expected what the agent is told, got nothing"
            return ask_again(outcome, state, PROGRESS, otherwise=PLAN, why=why)
        else:
            move = name
        counts = {"turns": state["turns"] + 1, "stalls": stalls, "asked": 0, "correction": ""}
        return {"progress_ledger": ledger.model_dump(), **counts, "move": move}

    return take


def count_stalls(stalls: int, ledger: ProgressLedger, *, decay: bool) -> int:
    """Return the stall count after a ledger: one more when it is in a loop or brings nothing; one less only where it decays."""
    if is_stalled(ledger):
        return stalls + 1
    return max(0, stalls - 1) if decay else stalls


def ask_again(outcome: Outcome, state: MagenticState, node: str, *, otherwise: str, why: str = "") -> dict[str, Any]:
    """Return the update for a ledger that cannot be used: ask again, or go elsewhere once it took too many calls.

    A manager that failed for another reason than what it answered is not asked again.
    """
    error = outcome["error"]
    if outcome["status"] != "ok" and (error is None or error["type"] not in _UNUSABLE):
        return {"correction": "", "move": FINISH}
    why = why or (error["message"] if error else "no JSON with all of the keys was found")
    asked = state["asked"] + max(1, outcome["attempts"])
    move, asked = (node, asked) if asked < MAX_ASKED else (otherwise, 0)
    return {"asked": asked, "correction": f"the last ledger cannot be used: {why}", "move": move}


def route_plan(state: MagenticState) -> str:
    """Lead on from a plan: to the first ledger of progress, or to the manager again."""
    return state["move"]


def route_progress(max_replans: int) -> Callable[[MagenticState, Runtime[Any]], str]:
    """Return the router behind a progress ledger: where the ledger leads, but to no plan beyond those allowed."""

    def route(state: MagenticState, runtime: Runtime[Any]) -> str:
        at_limit = state["replans"] >= max_replans or state["turns"] >= context_of(runtime).max_turns
        return FINISH if at_limit and state["move"] == PLAN else state["move"]

    return route


def route_work(state: MagenticState, runtime: Runtime[Any]) -> str:
    """Lead back from a worker to the manager while there are turns left and the work goes on."""
    return FINISH if why_ended(state, context_of(runtime)) else PROGRESS


def why_ended(state: MagenticState, knobs: Context) -> str:
    """Return which limit ends the work, or nothing."""
    if state["turns"] >= knobs.max_turns:
        return f"max_turns_reached: not satisfied after {state['turns']} progress ledgers"
    moves: list[tuple[str, str]] = []
    for piece in work_of(state):
        moves = [] if piece.stalled else moves  # a manager that sees the loop itself has a rule of its own for it
        moves.append((node_of(piece.outcome), f"{piece.instruction}\n{piece.outcome['output']}"))
    if length := circle(moves, knobs.max_repeats):
        names = ", ".join(name for name, _ in moves[-length:])
        return f"loop: {names} did the same {max(2, knobs.max_repeats)} times"
    return ""


async def finish(state: MagenticState, runtime: Runtime[Any]) -> dict[str, Any]:
    """Give the manager's answer, or the best so far with the reason why there is none."""
    record: dict[str, Any] = {"task_ledger": state["task_ledger"], "progress_ledger": state["progress_ledger"]}
    record |= {"stalls": state["stalls"], "replans": state["replans"]}
    last, best = state["outcomes"][-1], best_so_far(state)
    if node_of(last) == ANSWER and last["status"] == "ok":
        status, reason = settle([last])
        return conclude(state, last["output"], status=status, reason=reason, structured=record)
    status, reason = why_no_answer(state, best, context_of(runtime))
    return conclude(state, best, status=status, reason=reason, structured=record)


def best_so_far(state: MagenticState) -> str:
    """Return the latest reply of a worker that did its task, else what one that was stopped had made; nothing without any."""
    replies = [piece.outcome for piece in work_of(state) if piece.outcome["output"].strip()]
    return next((reply["output"] for reply in sorted(replies[::-1], key=lambda reply: reply["status"] != "ok")), "")


def why_no_answer(state: MagenticState, best: str, knobs: Context) -> tuple[RunStatus, str]:
    """Return the status and reason of a run that ended without the manager's answer."""
    last = state["outcomes"][-1]
    if node_of(last) == ANSWER or state["move"] == FINISH:
        ended = "stopped" if last["status"] == "stopped" else "partial" if best else "failed"
        return ended, describe_failure(last)
    stuck = state["correction"] or state["progress_ledger"]["is_progress_being_made"]["reason"]
    no_plan_left = f"max_replans_reached: no progress after {state['replans']} new plans; {stuck}"
    reason = why_ended(state, knobs) or no_plan_left.rstrip("; ")
    failed = [piece.outcome for piece in work_of(state) if piece.outcome["status"] != "ok"][-1:]
    reason = "; ".join([reason, *map(describe_failure, failed)])
    return ("failed" if failed and not best else "stopped"), reason


def role_node(role: str, agent: AnyAgent, brief: Brief, **options: Any) -> Node:
    """Return the node in which the manager works in one of its roles; its outcomes are named after the role."""
    work = agent_node(agent, brief, **options)

    async def node(state: MagenticState, runtime: Runtime[Any], config: RunnableConfig) -> dict[str, Any]:
        return await work({**state, "branch": next_id(role, state)}, runtime, config)

    return node


def build(
    workers: Sequence[AnyAgent] | None = None,
    *,
    manager: AnyAgent | None = None,
    max_stalls: int = 3,
    stall_decay: bool = False,
    max_replans: int = 3,
) -> PatternBuilder:
    """Return the uncompiled graph.

    Args:
        workers: Each is told its instruction and the known facts. Names must differ.
        manager: Writes the ledgers and the answer. An `Agent` without a response format is asked for `TaskLedger` and
            `ProgressLedger`; what anything else answers is read as JSON.
        max_stalls: Ledgers without progress, or in a loop, that are put up with; one more and there is a new plan.
        stall_decay: Whether a ledger with progress takes one from the count of stalls.
        max_replans: New plans before the best so far is given.

    Raises:
        ConfigurationError: An argument is wrong; it is named, with what it may be.
    """
    workers = check_agents((assistant(), writer()) if workers is None else workers, role="workers")
    managing = check_agent(default_manager() if manager is None else manager, role="manager")
    for argument, value in (("max_stalls", max_stalls), ("max_replans", max_replans)):
        if not isinstance(value, int) or isinstance(value, bool) or value < 0:
            raise ConfigurationError(f"{argument}: expected a whole number, 0 or more, got {value!r}")
    if not isinstance(stall_decay, bool):
        raise ConfigurationError(f"stall_decay: expected True or False, got {stall_decay!r}")
    leading, names = name_of(managing), [name_of(worker) for worker in workers]
    check_agents([managing, *workers], role="manager and workers")

    planner, watcher = with_shape(managing, TaskLedger), with_shape(managing, ProgressLedger)
    take = take_progress(names, max_stalls, stall_decay=stall_decay)
    plan = role_node(PLAN, planner, brief_plan(leading, workers), memory=recent_conversation, keep=take_plan)
    progress = role_node(PROGRESS, watcher, brief_progress(leading, workers), keep=take)
    answer = role_node(ANSWER, managing, brief_answer(leading))
    builder = PatternBuilder(MagenticState)
    nothing = {"turns": 0, "stalls": 0, "replans": 0, "asked": 0, "correction": "", "move": ""}
    builder.add_node("begin", begin_node(task_ledger={}, progress_ledger={}, **nothing))
    for role, node in zip(MANAGING, (plan, progress, answer), strict=True):
        builder.add_node(role, node, metadata={"agent": leading})
    for worker, name in zip(workers, names, strict=True):
        builder.add_node(name, agent_node(worker, brief_worker(leading, name)))
    builder.add_node(FINISH, finish)
    builder.add_edge(START, "begin")
    builder.add_edge("begin", PLAN)
    builder.add_conditional_edges(PLAN, route_plan, [PLAN, PROGRESS, FINISH])
    builder.add_conditional_edges(PROGRESS, route_progress(max_replans), [*names, PROGRESS, PLAN, ANSWER, FINISH])
    for name in names:
        builder.add_conditional_edges(name, route_work, [PROGRESS, FINISH])
    builder.add_edge(ANSWER, FINISH)
    builder.add_edge(FINISH, END)
    return builder


graph = build().compile(name="magentic")
