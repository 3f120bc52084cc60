"""Delegation: the tasks that a supervisor gives, how its decisions are read, and what became of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from typing_extensions import TypedDict

from nodes.decisions import Delegation, Finish, read_decisions
from nodes.layers.json_text import read_answers
from nodes.matching import find_name
from nodes.node import nth_id
from nodes.resolve import compose
from nodes.wording import circle, gist_words, says_the_same
from state.context import Context
from state.errors import OUTPUT_ERRORS
from state.outcome import Outcome, describe_failure
from state.task import TaskState

MAX_TASKS = 50
"""Tasks that one decision may give; what is beyond is left out, and the supervisor is told."""


class Given(TypedDict):
    """A task that was given to a worker."""

    agent: str
    task: str
    reason: str
    outcome: str
    """Id of what became of it."""
    turn: int
    """Number of the decision that gave it, from 1."""


class SupervisorState(TaskState, total=False):
    """Adds what the supervisor decided."""

    turns: int
    """Decisions so far."""
    given: list[Given]
    """All tasks of the turn, in order."""
    wrong: int
    """Decisions in a row that gave no task to anybody there is."""
    notes: list[str]
    """What of the decisions could not be followed."""
    correction: str
    """What was wrong with the latest decision; empty when nothing was."""
    final: str
    """The supervisor's answer; empty before it gave one."""
    ended: str
    """Why the supervisor cannot go on; empty while it can."""


def take_decision(names: Sequence[str]) -> Callable[[Outcome, SupervisorState], dict[str, Any]]:
    """Return the function that takes the supervisor's decision: tasks for workers, or else its answer."""

    def take(outcome: Outcome, state: SupervisorState) -> dict[str, Any]:
        error, turn = outcome["error"], state["turns"] + 1
        if outcome["status"] != "ok" and (error is None or error["type"] not in OUTPUT_ERRORS):
            return {"turns": turn, "correction": "", "ended": describe_failure(outcome)}
        wanted, answer = read_decision_of(outcome)
        if answer and not wanted:
            return {"turns": turn, "correction": "", "final": answer}
        given = give(wanted, state, names, turn)
        wrong = 0 if len(given) > len(state["given"]) else state["wrong"] + 1
        correction = " ".join(problems(outcome, wanted, answer, names))
        notes = [*state["notes"], f"{outcome['id']}: {correction}"] if correction else state["notes"]
        return {"turns": turn, "given": given, "wrong": wrong, "correction": correction, "notes": notes}

    return take


def read_decision_of(outcome: Outcome) -> tuple[list[Delegation], str]:
    """Return the tasks that a supervisor gives, and its answer. A text that holds no JSON of a decision is the answer."""
    text: Outcome = {**outcome, "structured": None}
    decisions = read_decisions(outcome, Delegation | Finish) or read_decisions(text, Delegation | Finish)
    wanted = [decision for decision in decisions if isinstance(decision, Delegation)]
    answers = [one.answer.strip() for one in decisions if isinstance(one, Finish) and one.answer.strip()]
    if not decisions and outcome["status"] == "ok" and not tries_to_decide(outcome):
        answers = [outcome["output"]]
    return wanted, answers[0] if answers else ""


def tries_to_decide(outcome: Outcome) -> bool:
    """Whether an answer without a decision was meant as one: a structure, or JSON with a key that decisions have."""
    if outcome["structured"] is not None and outcome["output"].lstrip().startswith("{"):
        return True
    keys = {*Delegation.model_fields, *Finish.model_fields}
    return any(keys & set(found) for found in read_answers(outcome["output"], {"any": dict}, several=True))


def give(wanted: Sequence[Delegation], state: SupervisorState, names: Sequence[str], turn: int) -> list[Given]:
    """Return all tasks given, those of this decision too; the same twice in one decision is given once."""
    given, before = list(state["given"]), len(state["given"])
    for one in wanted:
        name = find_name(one.agent, names)
        twice = any((it["agent"], it["task"]) == (name, one.task) for it in given[before:])
        if name is not None and one.task.strip() and not twice and len(given) - before < MAX_TASKS:
            outcome = nth_id(name, 1 + sum(1 for it in given if it["agent"] == name))
            given.append(Given(agent=name, task=one.task, reason=one.reason, outcome=outcome, turn=turn))
    return given


def problems(outcome: Outcome, wanted: Sequence[Delegation], answer: str, names: Sequence[str]) -> list[str]:
    """Return what of a decision cannot be followed, as the supervisor is told."""
    if not wanted:
        why = outcome["error"]
        return [
            f"The answer cannot be used: {why['type']}: {why['message']}" if why else "There was no task or answer."
        ]
    unknown = [one.agent[:100] for one in wanted if find_name(one.agent, names) is None]
    found = [f"There is no {', '.join(map(repr, unknown))}; there are {', '.join(names)}."] if unknown else []
    found += ["A task was empty."] if not all(one.task.strip() for one in wanted) else []
    found += [f"Only {MAX_TASKS} of {len(wanted)} tasks were given."] if len(wanted) > MAX_TASKS else []
    return found + (["The answer beside the tasks was not taken."] if answer else [])


def work_of(state: SupervisorState) -> list[tuple[Given, Outcome]]:
    """Return the tasks that were worked on, in order, each with what became of it."""
    by_id = {outcome["id"]: outcome for outcome in state["outcomes"]}
    return [(given, by_id[given["outcome"]]) for given in state["given"] if given["outcome"] in by_id]


def not_done(state: SupervisorState) -> list[str]:
    """Return what failed or was done in part, and was not done later, by whomever, in the same or in more words."""
    work, lines = work_of(state), []
    for at, (given, outcome) in enumerate(work):
        later = [one["task"] for one, made in work[at + 1 :] if made["status"] == "ok" and not made["error"]]
        made_good = any(
            says_the_same(task, given["task"]) or gist_words(given["task"]) <= gist_words(task) for task in later
        )
        if (outcome["status"] != "ok" or outcome["error"]) and not made_good:
            lines.append(describe_failure(outcome))
    return lines


def best_so_far(state: SupervisorState) -> str:
    """Return the replies to the latest decision that had any, each under its worker's name when there are several.

    Where nobody ended well, what those made who were stopped is better than nothing.
    """
    replies = [(given, outcome) for given, outcome in work_of(state) if outcome["output"].strip()]
    replies = [reply for reply in replies if reply[1]["status"] == "ok"] or replies
    latest: dict[str, Outcome] = {}
    for given, outcome in replies:
        if given["turn"] == replies[-1][0]["turn"]:
            before = latest.get(given["agent"])
            text = f"{before['output']}\n\n{outcome['output']}" if before else outcome["output"]
            latest[given["agent"]] = {**outcome, "output": text}
    return compose(list(latest.values()))[0] if latest else ""


def why_ended(state: SupervisorState, knobs: Context) -> str:
    """Return what ends the work before the supervisor does, or nothing."""
    if state["wrong"] >= knobs.max_repeats:
        return f"max_repeats_reached: {state['wrong']} wrong decisions in a row. {state['correction']}"
    return state["ended"] or why_in_a_circle(state, knobs.max_repeats)


def why_in_a_circle(state: SupervisorState, repeats: int) -> str:
    """Return who got the same again and again, or nothing. What one decision gives is one move: it may well sound alike."""
    rounds: dict[int, list[tuple[str, str]]] = {}
    for given in state["given"]:
        rounds.setdefault(given["turn"], []).append((given["agent"], given["task"]))
    moves = [(", ".join(n for n, _ in sorted(one)), "\n".join(t for _, t in sorted(one))) for one in rounds.values()]
    length = circle(moves, repeats)
    return f"loop: {', '.join(who for who, _ in moves[-length:])} got the same tasks again and again" if length else ""
