"""Supervisor: one agent gives tasks to workers, reads each reply, and goes on until it has the answer.

START -> begin -> supervisor -> ({worker, ...} | supervisor | finish), {worker, ...} -> (supervisor | finish), finish -> END

Several tasks given in one decision are worked on at the same time, and all of them return.

Use it when: who has to do what shows only from what the others found.
Costs: 1 + d + w model calls for d decisions that give tasks and w tasks.
Ends: at most `Context.max_turns` decisions, fewer when they go in a circle or name nobody `Context.max_repeats` times in a row.
Source: orchestrator-workers, "Building effective agents" (Anthropic, 2024).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from langgraph.graph import END, START
from langgraph.runtime import Runtime
from langgraph.types import Send
from typing_extensions import TypedDict

from nodes.agent import Brief, agent_node, nth_id
from nodes.decisions import Delegation, Finish, read_decisions, with_shape
from nodes.layers.json_text import read_answers
from nodes.matching import find_name, roster, shortlist
from nodes.resolve import compose
from nodes.roles import assistant, writer
from nodes.roles import supervisor as default_supervisor
from nodes.spec import AnyAgent, check_agents, name_of
from nodes.turn import begin_node, conclude, recent_conversation
from nodes.wording import circle, digest, gist_words, says_the_same
from state.context import Context, context_of
from state.envelope import Envelope
from state.errors import OUTPUT_ERRORS
from state.graph import PatternBuilder
from state.outcome import Outcome, describe_failure
from state.task import RunStatus, TaskState

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


class WorkState(SupervisorState, total=False):
    """What one worker is given."""

    branch: str
    """Id of the outcome."""
    work: str


def brief_supervisor(recipient: str, workers: Sequence[AnyAgent]) -> Brief:
    """Return the supervisor's brief: the task, who there is, and every task given with its reply, once."""

    def brief(state: SupervisorState, runtime: Runtime[Any]) -> Envelope:
        knobs = context_of(runtime)
        context = {
            "Agents": roster(shortlist(state["goal"], workers, knobs.max_candidates)),
            "Results so far": "\n\n".join(_replies(state, knobs.digest_above)),
            "Correction": state["correction"],
        }
        return Envelope(sender="user", recipient=recipient, task=state["goal"], context=context)

    return brief


def _replies(state: SupervisorState, most: int) -> list[str]:
    lines = []
    for given, outcome in work_of(state):
        reply = digest(outcome["output"], most) if most else outcome["output"]
        failed = outcome["status"] != "ok" or outcome["error"]
        parts = (f"{given['agent']} was told: {given['task']}", describe_failure(outcome) if failed else "", reply)
        lines.append("\n".join(part for part in parts if part))
    return lines


def brief_worker(sender: str, recipient: str) -> Brief:
    """Return the brief that sends a worker its task, and nothing of the others or of the conversation."""

    def brief(state: WorkState, runtime: Runtime[Any]) -> Envelope:  # noqa: ARG001  # briefs share one signature
        return Envelope(sender=sender, recipient=recipient, task=state["work"])

    return brief


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


def route_decision(supervisor: str) -> Callable[[SupervisorState, Runtime[Any]], list[Send] | str]:
    """Return the router behind the supervisor: the tasks it gave, all at once; itself, when it named nobody; or the end."""

    def route(state: SupervisorState, runtime: Runtime[Any]) -> list[Send] | str:
        if state["final"] or why_ended(state, context_of(runtime)):
            return "finish"
        given = [one for one in state["given"] if one["turn"] == state["turns"]]
        if not given:
            return supervisor if state["turns"] < context_of(runtime).max_turns else "finish"
        return [Send(one["agent"], {"branch": one["outcome"], "work": one["task"]}) for one in given]

    return route


def route_reply(supervisor: str) -> Callable[[SupervisorState, Runtime[Any]], str]:
    """Return the router behind the workers: back to the supervisor while it has decisions left."""

    def route(state: SupervisorState, runtime: Runtime[Any]) -> str:
        return supervisor if state["turns"] < context_of(runtime).max_turns else "finish"

    return route


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


async def finish(state: SupervisorState, runtime: Runtime[Any]) -> dict[str, Any]:
    """Give the supervisor's answer, or the best so far with the reason why there is none."""
    last, undone = state["outcomes"][-1], not_done(state)
    record = [
        {**{key: part for key, part in given.items() if key != "turn"}, "status": outcome["status"]}
        for given, outcome in work_of(state)
    ]
    structured = {"delegations": record, "notes": state["notes"]}
    if state["final"]:
        undone += [describe_failure(last)] if last["error"] else []
        done: RunStatus = "partial" if undone else "completed"
        return conclude(state, state["final"], status=done, reason="; ".join(undone), structured=structured)
    best, knobs = best_so_far(state), context_of(runtime)
    reason = why_ended(state, knobs) or f"max_turns_reached: no answer after {state['turns']} decisions"
    gave_up = state["wrong"] >= knobs.max_repeats or (state["ended"] and last["status"] != "stopped")
    done = "partial" if gave_up else "stopped"
    if not best and (gave_up or (undone and not state["ended"])):
        done = "failed"
    return conclude(state, best, status=done, reason="; ".join([reason, *undone]), structured=structured)


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


def build(workers: Sequence[AnyAgent] | None = None, *, supervisor: AnyAgent | None = None) -> PatternBuilder:
    """Return the uncompiled graph.

    Args:
        workers: Each is told its task only. Names must differ.
        supervisor: Answers with `Delegation {agent, task, reason}`, several at once if it likes, or `Finish {answer}`; the
            text of one that answers without any is the answer. It remembers the conversation.

    Raises:
        ConfigurationError: An argument is wrong; it is named, with what it may be.
    """
    workers = check_agents((assistant(), writer()) if workers is None else workers, role="workers")
    leader = default_supervisor() if supervisor is None else supervisor
    check_agents([leader, *workers], role="supervisor and workers")
    leading, names = name_of(leader), [name_of(worker) for worker in workers]
    leader = with_shape(leader, Delegation | Finish)

    builder = PatternBuilder(SupervisorState)
    nothing: dict[str, Any] = {"given": [], "wrong": 0, "notes": [], "correction": "", "final": "", "ended": ""}
    builder.add_node("begin", begin_node(turns=0, **nothing))
    brief = brief_supervisor(leading, workers)
    builder.add_node(leading, agent_node(leader, brief, memory=recent_conversation, keep=take_decision(names)))
    for worker, name in zip(workers, names, strict=True):
        builder.add_node(name, agent_node(worker, brief_worker(leading, name)))
    builder.add_node("finish", finish)
    builder.add_edge(START, "begin")
    builder.add_edge("begin", leading)
    builder.add_conditional_edges(leading, route_decision(leading), [*names, leading, "finish"])
    for name in names:
        builder.add_conditional_edges(name, route_reply(leading), [leading, "finish"])
    builder.add_edge("finish", END)
    return builder


graph = build().compile(name="supervisor")
