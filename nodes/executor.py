"""The plan executor: runs each subtask the moment its own dependencies are done, most urgent first, and loses nothing.

Every subtask is a `@task`, called once and up front in topological order, because LangGraph tells tasks apart by name and
position: after a crash each gets its own saved result, and only what was in flight runs again. What a task waits for, it
waits for inside. It returns an outcome and never raises for an agent's failure.

Ends: a validated plan has no cycle, so some subtask can always begin, is running, or waits for a person.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, cast

from langchain_core.runnables import RunnableConfig
from langgraph.config import get_config
from langgraph.errors import GraphInterrupt
from langgraph.func import task
from langgraph.runtime import Runtime
from typing_extensions import TypedDict

from nodes.agent import Node, next_id, run_agent
from nodes.durations import expected_seconds, note_seconds
from nodes.failure import OnFailure, cancelled, has_failed, unless, without_work
from nodes.progress import Board
from nodes.spec import Agent, AnyAgent, name_of
from state.budget import Budget
from state.context import context_of
from state.envelope import Envelope
from state.outcome import Failure, Outcome, describe_failure, node_of
from state.places import Places
from state.plan import Plan, Subtask
from state.run import run_here
from state.task import TaskState

NOT_RUN = "DependencyFailed"
"""Type of the error of a subtask that was skipped because of one that it depends on."""


_TURNS_OF_LOOP = 4
"""Turns of the event loop that it takes a subtask to notice that what it waited for is done."""


class Finished(TypedDict):
    """A subtask that is done, as long as it is given the same."""

    inputs: str
    """Hash of its agent, task, constraints and the results it depends on."""
    outcome: str
    """Id of its outcome."""


class ExecutionState(TaskState, total=False):
    """Adds a plan and what of it is done."""

    plan: dict[str, Any]
    """A `Plan` as plain JSON; empty before there is one."""
    finished: dict[str, Finished]
    """By subtask id. It outlives a new plan: what is planned again with the same inputs is not done again."""
    pending: list[str]
    """Subtasks that were not begun because the run was being halted; the node has to be entered again for them."""


class _Result(TypedDict):
    """What a `@task` gives, and LangGraph saves."""

    subtask: str
    inputs: str
    outcome: Outcome | None
    """None when it was not begun."""


More = Callable[[Any, Subtask], Mapping[str, str]]
"""What else a subtask's agent is told: `(state, subtask) -> {heading: text}`. It counts among its inputs."""


def execute_node(
    agents: Sequence[AnyAgent],
    *,
    on_failure: OnFailure = "continue",
    sender: str = "planner",
    only: Callable[[Any], Collection[str]] | None = None,
    more: More | None = None,
    budgets: Mapping[str, Budget] | None = None,
) -> Node:
    """Return the node that runs the plan in the state: `{plan, finished} -> {outcomes, finished, pending}`.

    A failed subtask skips what depends on it, with the cause; under `fail_fast` it also ends all others. What succeeded is
    kept under every policy. Several subtasks may wait for people at once. A halt lets those in flight end and begins no
    other.

    Args:
        agents: Who the subtasks may be given to.
        on_failure: See `nodes.failure.decide`.
        sender: Whose plan it is.
        only: Ids of the subtasks that may run in this pass, none of which depends on one that may not unless that is
            finished: `state -> ids`. All by default.
        more: What else they are told.
        budgets: Limits of one step of an agent, and of all below it, by its name.
    """
    by_name = {name_of(agent): agent for agent in agents}

    async def execute(state: Any, runtime: Runtime[Any], config: RunnableConfig) -> dict[str, Any]:
        """Run every subtask of the plan as soon as what it depends on is done."""
        plan = Plan.model_validate(state["plan"])
        if only is not None:
            wanted = {*only(state), *state["finished"]}
            plan = Plan(subtasks=tuple(subtask for subtask in plan.subtasks if subtask.id in wanted))
        seconds = await expected_seconds(plan, runtime)
        board = Board(plan, seconds, runtime, run_here(config, context_of(runtime), name="plan"))
        execution = _Execution(by_name, state, board, fail_fast=on_failure == "fail_fast", sender=sender)
        execution.more, execution.budgets = more, budgets or {}
        update = await execution.run()
        await note_seconds(update["outcomes"], runtime)
        return update

    return execute


def latest_outcomes(state: ExecutionState) -> list[Outcome]:
    """Return the last outcome of each subtask of the plan, in the plan's order; none of those not begun."""
    last = {node_of(outcome): outcome for outcome in state["outcomes"]}
    return [last[subtask["id"]] for subtask in state["plan"]["subtasks"] if subtask["id"] in last]


class _Execution:
    """One pass over a plan."""

    def __init__(
        self, agents: Mapping[str, AnyAgent], state: ExecutionState, board: Board, *, fail_fast: bool, sender: str
    ) -> None:
        self.agents, self.state, self.board, self.sender, self.fail_fast = agents, state, board, sender, fail_fast
        self.order = board.plan.order()
        self.subtasks = {subtask.id: subtask for subtask in self.order}
        self.ids = {name: next_id(name, state) for name in self.subtasks}
        self.urgency = board.plan.remaining(board.seconds)
        self.places = Places(context_of(board.runtime).max_concurrency)
        self.one_failed = asyncio.Event()
        self.holding: set[str] = set()
        self.freeing: set[asyncio.Task[None]] = set()
        self.more: More | None = None
        self.budgets: Mapping[str, Budget] = {}
        self.results: dict[str, asyncio.Future[_Result]] = {}

    async def run(self) -> dict[str, Any]:
        """Call every task, wait for all, and return the update; pause if one of them waits for a person."""
        kept = self._kept()
        work = {agent: self._task_of(agent) for agent in {subtask.agent for subtask in self.order}}
        for subtask in self.order:
            if subtask.id in kept:
                self.results[subtask.id] = _done(kept[subtask.id])
                self.board.move(subtask.id, "done")
            else:
                self.results[subtask.id] = work[subtask.agent](subtask.id)
                self.results[subtask.id].add_done_callback(self._note)
        await asyncio.wait(self.results.values())
        await asyncio.gather(*self.freeing)
        raised = [error for result in self.results.values() if (error := result.exception()) is not None]
        errors = [*self.board.run.faults, *raised]
        if errors:
            self.board.send()
            raise _merged(errors)
        return self._update(kept)

    def _task_of(self, agent: str) -> Callable[[str], asyncio.Future[_Result]]:
        """Return the `@task` of an agent: a function of its own, since a task is known by its name and position."""

        async def work(name: str) -> _Result:
            return await self._work(self.subtasks[name])

        work.__name__ = work.__qualname__ = agent
        return cast(Callable[[str], asyncio.Future[_Result]], task(work))

    def _note(self, result: asyncio.Future[_Result]) -> None:
        """See what a task gave, also one whose result was saved before a crash."""
        if result.cancelled() or result.exception() is not None:
            return
        name = result.result()["subtask"]
        self.board.move(name, "done")
        if name in self.holding:
            self.holding.discard(name)
            freeing = asyncio.get_running_loop().create_task(self._give_back(self.subtasks[name].agent))
            self.freeing.add(freeing)
            freeing.add_done_callback(self.freeing.discard)
        outcome = result.result()["outcome"]
        if self.fail_fast and outcome is not None and has_failed(outcome):
            self.one_failed.set()

    async def _work(self, subtask: Subtask) -> _Result:
        given = await self._given(subtask)
        if given is None:
            return _Result(subtask=subtask.id, inputs="", outcome=None)
        inputs = _hash_of(subtask, given, self._told(subtask))
        agent = self.agents[subtask.agent]
        limit = agent.policy.max_concurrency if isinstance(agent, Agent) else None
        if cause := _cause(given.values()):
            error = Failure(type=NOT_RUN, message=cause, retryable=False)
            outcome = without_work(self.ids[subtask.id], subtask.agent, "skipped", error)
            return _Result(subtask=subtask.id, inputs=inputs, outcome=outcome)
        self.board.move(subtask.id, "ready")
        await self.places.take(subtask.agent, limit=limit, priority=self.urgency[subtask.id])
        self.holding.add(subtask.id)
        try:
            return _Result(subtask=subtask.id, inputs=inputs, outcome=await self._run(subtask, given))
        except BaseException:
            self.holding.discard(subtask.id)
            self.places.give_back(subtask.agent)
            raise

    async def _give_back(self, agent: str) -> None:
        """Free a place once those that waited for the result have asked for one: the most urgent of all is to get it."""
        for _ in range(_TURNS_OF_LOOP):
            await asyncio.sleep(0)
        self.places.give_back(agent)

    async def _given(self, subtask: Subtask) -> dict[str, Outcome] | None:
        """Wait for what a subtask depends on and return it by id; None when something of it was not begun.

        Raises:
            GraphInterrupt: One of them waits for a person, and this one for it.
        """
        needed = [self.results[name] for name in subtask.depends_on]
        if needed:
            await asyncio.wait(needed)  # `gather` would cancel them with this one
        if any(result.exception() is not None for result in needed):
            raise GraphInterrupt(())
        given = {name: self.results[name].result()["outcome"] for name in subtask.depends_on}
        begun = {name: outcome for name, outcome in given.items() if outcome is not None}
        return begun if len(begun) == len(given) else None

    async def _run(self, subtask: Subtask, given: Mapping[str, Outcome]) -> Outcome | None:
        if self.board.runtime.drain_requested or self.board.run.faults:
            return None
        step_id = self.ids[subtask.id]
        if self.one_failed.is_set():
            return cancelled(step_id, subtask.agent)
        self.board.move(subtask.id, "running")
        envelope = self._envelope(subtask, given)
        agent, budget = self.agents[subtask.agent], self.budgets.get(subtask.agent)
        work = run_agent(agent, envelope, self.board.runtime, get_config(), step_id=step_id, budget=budget)
        try:
            outcome = await (unless(self.one_failed, work) if self.fail_fast else work)
        except GraphInterrupt:
            self.board.move(subtask.id, "paused")
            raise
        return outcome or cancelled(step_id, subtask.agent)

    def _envelope(self, subtask: Subtask, given: Mapping[str, Outcome]) -> Envelope:
        """Return what a worker is told: its subtask, and the results it depends on; nothing of the rest of the plan."""
        context = {
            f"Context from {name} ({self.subtasks[name].task})": outcome["output"]
            for name, outcome in given.items()
            if outcome["output"]
        }
        return Envelope(
            sender=self.sender,
            recipient=subtask.agent,
            task=subtask.task,
            context={**context, **self._told(subtask)},
            constraints=subtask.constraints,
        )

    def _told(self, subtask: Subtask) -> Mapping[str, str]:
        return self.more(self.state, subtask) if self.more is not None else {}

    def _kept(self) -> dict[str, _Result]:
        """Return the results of an earlier plan that hold for this one: same subtask, given the same."""
        outcomes = {outcome["id"]: outcome for outcome in self.state["outcomes"]}
        kept: dict[str, _Result] = {}
        for subtask in self.order:
            done = self.state["finished"].get(subtask.id)
            given = {name: kept[name]["outcome"] for name in subtask.depends_on if name in kept}
            if done is None or len(given) < len(set(subtask.depends_on)) or done["outcome"] not in outcomes:
                continue
            begun = {name: outcome for name, outcome in given.items() if outcome is not None}
            inputs = _hash_of(subtask, begun, self._told(subtask))
            if inputs == done["inputs"]:
                kept[subtask.id] = _Result(subtask=subtask.id, inputs=inputs, outcome=outcomes[done["outcome"]])
        return kept

    def _update(self, kept: Mapping[str, _Result]) -> dict[str, Any]:
        """Return what the pass adds to the state, in the plan's order."""
        new = [self.results[subtask.id].result() for subtask in self.order if subtask.id not in kept]
        outcomes = [result["outcome"] for result in new if result["outcome"] is not None]
        finished = {
            result["subtask"]: Finished(inputs=result["inputs"], outcome=result["outcome"]["id"])
            for result in [*kept.values(), *new]
            if result["outcome"] is not None and not _stands_in_the_way(result["outcome"])
        }
        pending = [result["subtask"] for result in new if result["outcome"] is None]
        return {"outcomes": outcomes, "finished": finished, "pending": pending}


def _hash_of(subtask: Subtask, given: Mapping[str, Outcome], told: Mapping[str, str]) -> str:
    """Return the hash of all that a subtask is given."""
    results = [(name, outcome["status"], outcome["output"]) for name, outcome in sorted(given.items())]
    parts = [subtask.agent, subtask.task, subtask.constraints, results, sorted(told.items())]
    return hashlib.sha256(json.dumps(parts, ensure_ascii=False).encode("utf-8", "replace")).hexdigest()[:32]


def _cause(given: Iterable[Outcome]) -> str:
    """Return why a subtask cannot be done; nothing when all it depends on is there, or was left out on purpose."""
    return "; ".join(f"needs {describe_failure(outcome)}" for outcome in given if _stands_in_the_way(outcome))


def _stands_in_the_way(outcome: Outcome) -> bool:
    """Whether nothing can be built on an outcome. An agent whose policy is to be skipped is gone on without."""
    error = outcome["error"]
    left_out = outcome["status"] == "skipped" and (error is None or error["type"] != NOT_RUN)
    return outcome["status"] != "ok" and not left_out


def _done(result: _Result) -> asyncio.Future[_Result]:
    future: asyncio.Future[_Result] = asyncio.get_running_loop().create_future()
    future.set_result(result)
    return future


def _merged(errors: Sequence[BaseException]) -> BaseException:
    """Return one error for all: the first that is no pause, else one pause that holds every request."""
    other = next((error for error in errors if not isinstance(error, GraphInterrupt)), None)
    requests = [
        request for error in errors if isinstance(error, GraphInterrupt) for request in (error.args or ((),))[0]
    ]
    return other or GraphInterrupt(tuple(requests))
