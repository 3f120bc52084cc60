"""Ledgers: what a manager knows of a task and of its progress, how it is asked for them, and what follows from its answer.

A ledger that cannot be used is asked for again with the reason, until that took `MAX_ASKED` model calls.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from langchain_core.runnables import RunnableConfig
from langgraph.runtime import Runtime

from nodes.decisions import ProgressLedger, TaskLedger, read_decision
from nodes.matching import find_name, roster, shortlist
from nodes.node import Brief, Node, agent_node, next_id
from nodes.spec import AnyAgent
from nodes.wording import digest, says_the_same
from state.context import context_of
from state.envelope import Envelope
from state.errors import OUTPUT_ERRORS
from state.outcome import Outcome, describe_failure, node_of
from state.task import TaskState

PLAN, PROGRESS, ANSWER, FINISH = "plan", "progress", "answer", "finish"
"""Nodes; the manager works in the first three."""

MAX_ASKED = 10
"""Model calls that one ledger may take until it can be used."""
GIST = 300
"""Characters of an earlier reply that the manager reads."""

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


class LedgerState(TaskState, total=False):
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


def work_of(state: LedgerState) -> list[Piece]:
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


def describe_ledger(state: LedgerState, *parts: str) -> dict[str, str]:
    """Return parts of the task ledger as headings with lists."""
    ledger = state["task_ledger"]
    return {part.capitalize(): "\n".join(f"- {line}" for line in ledger.get(part, ())) for part in parts}


def brief_plan(manager: str, workers: Sequence[AnyAgent]) -> Brief:
    """Return the brief for a task ledger: the task, who there is; when it is not the first the old one and all the work."""

    def brief(state: LedgerState, runtime: Runtime[Any]) -> Envelope:
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

    def brief(state: LedgerState, runtime: Runtime[Any]) -> Envelope:
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

    def brief(state: LedgerState, runtime: Runtime[Any]) -> Envelope:
        knobs = context_of(runtime)
        work = describe_work(work_of(state), whole=knobs.transcript_window, most=knobs.digest_above)
        context = {**describe_ledger(state, "facts"), "Results so far": work}
        return Envelope(sender=PROGRESS, recipient=manager, task=state["goal"], context=context, constraints=ASK_ANSWER)

    return brief


def brief_worker(manager: str, worker: str) -> Brief:
    """Return a worker's brief: its instruction and the facts, nothing of what others said."""

    def brief(state: LedgerState, runtime: Runtime[Any]) -> Envelope:  # noqa: ARG001  # briefs share one signature
        told = state["progress_ledger"]["instruction_or_question"]["answer"]
        return Envelope(sender=manager, recipient=worker, task=told, context=describe_ledger(state, "facts"))

    return brief


def take_plan(outcome: Outcome, state: LedgerState) -> dict[str, Any]:
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
) -> Callable[[Outcome, LedgerState], dict[str, Any]]:
    """Return what is taken from a progress ledger: the counts, and where it leads."""

    def take(outcome: Outcome, state: LedgerState) -> dict[str, Any]:
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


def ask_again(outcome: Outcome, state: LedgerState, node: str, *, otherwise: str, why: str = "") -> dict[str, Any]:
    """Return the update for a ledger that cannot be used: ask again, or go elsewhere once it took too many calls.

    A manager that failed for another reason than what it answered is not asked again.
    """
    error = outcome["error"]
    if outcome["status"] != "ok" and (error is None or error["type"] not in OUTPUT_ERRORS):
        return {"correction": "", "move": FINISH}
    why = why or (error["message"] if error else "no JSON with all of the keys was found")
    asked = state["asked"] + max(1, outcome["attempts"])
    move, asked = (node, asked) if asked < MAX_ASKED else (otherwise, 0)
    return {"asked": asked, "correction": f"the last ledger cannot be used: {why}", "move": move}


def role_node(role: str, agent: AnyAgent, brief: Brief, **options: Any) -> Node:
    """Return the node in which the manager works in one of its roles; its outcomes are named after the role."""
    work = agent_node(agent, brief, **options)

    async def node(state: LedgerState, runtime: Runtime[Any], config: RunnableConfig) -> dict[str, Any]:
        return await work({**state, "branch": next_id(role, state)}, runtime, config)

    return node
