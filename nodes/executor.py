"""The plan executor: runs each subtask the moment its own dependencies are done, most urgent first, and loses nothing.

Every subtask is a `@task`, called once and up front in topological order, because LangGraph tells tasks apart by name and
position: after a crash each gets its own saved result, and only what was in flight runs again. What a task waits for, it
waits for inside. It returns an outcome and never raises for an agent's failure.

Ends: a validated plan has no cycle, so some subtask can always begin, is running, or waits for a person.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, cast

from langchain_core.runnables import RunnableConfig
from langgraph.config import get_config
from langgraph.errors import GraphInterrupt
from langgraph.func import task
from langgraph.runtime import Runtime

from nodes.agent import run_agent
from nodes.asking import merged
from nodes.authority import Authority
from nodes.durations import expected_seconds, note_seconds
from nodes.failure import OnFailure, cancelled, has_failed, unless, without_work
from nodes.finished import ExecutionState, Finished, More, Result, hash_of, kept_results
from nodes.layers.outside import taint_of
from nodes.node import Node, next_id
from nodes.progress import Board
from nodes.spec import Agent, AnyAgent, name_of, prompts_among
from state.budget import Budget
from state.context import context_of
from state.envelope import Envelope
from state.outcome import Failure, Outcome, describe_failure, node_of
from state.places import Places
from state.plan import Plan, Subtask
from state.prompts import tell_prompts
from state.run import run_here

NOT_RUN = "DependencyFailed"
"""Type of the error of a subtask that was skipped because of one that it depends on."""

_MOST_NAMED = 5
"""Outcomes that the reason of a skipped subtask names; of more it says how many."""
_TURNS_OF_LOOP = 4
"""Turns of the event loop that it takes a subtask to notice that what it waited for is done."""


def execute_node(
    agents: Sequence[AnyAgent],
    *,
    on_failure: OnFailure = "continue",
    sender: str = "planner",
    only: Callable[[Any], Collection[str]] | None = None,
    more: More | None = None,
    budgets: Mapping[str, Budget] | None = None,
    under: Authority | None = None,
) -> Node:
    """Return the node that runs the plan in the state: `{plan, finished} -> {outcomes, finished, pending, ended}`.

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
        under: What whoever made the plan may do: the agents may do no more.
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
        execution.more, execution.budgets, execution.under = more, budgets or {}, under
        update = await execution.run()
        await note_seconds(update["outcomes"], runtime)
        return update

    tell_prompts(execute, prompts_among(agents))
    return execute


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
        self.under: Authority | None = None
        self.results: dict[str, asyncio.Future[Result]] = {}

    async def run(self) -> dict[str, Any]:
        """Call every task, wait for all, and return the update; pause if one of them waits for a person."""
        kept = kept_results(self.board.plan, self.state, self.more)
        work = {agent: self._task_of(agent) for agent in {subtask.agent for subtask in self.order}}
        for subtask in self.order:
            if subtask.id in kept:
                self.results[subtask.id] = _done(kept[subtask.id])
                self._take_in(kept[subtask.id])
            else:
                self.results[subtask.id] = work[subtask.agent](subtask.id)
                self.results[subtask.id].add_done_callback(self._note)
        await asyncio.wait(self.results.values())
        await asyncio.gather(*self.freeing)
        raised = [error for result in self.results.values() if (error := result.exception()) is not None]
        errors = [*self.board.run.faults, *raised]
        if errors:
            self.board.send()
            raise merged(errors)
        return self._update(kept)

    def _task_of(self, agent: str) -> Callable[[str], asyncio.Future[Result]]:
        """Return the `@task` of an agent: a function of its own, since a task is known by its name and position."""

        async def work(name: str) -> Result:
            return await self._work(self.subtasks[name])

        work.__name__ = work.__qualname__ = agent
        return cast(Callable[[str], asyncio.Future[Result]], task(work))

    def _note(self, result: asyncio.Future[Result]) -> None:
        """See what a task gave, also one whose result was saved before a crash."""
        if result.cancelled() or result.exception() is not None:
            return
        name = result.result()["subtask"]
        if name in self.holding:
            self.holding.discard(name)
            freeing = asyncio.get_running_loop().create_task(self._give_back(self.subtasks[name].agent))
            self.freeing.add(freeing)
            freeing.add_done_callback(self.freeing.discard)
        self._take_in(result.result())

    def _take_in(self, result: Result) -> None:
        """Note an outcome, and what it means for the others; there is none of a subtask that was not begun."""
        outcome = result["outcome"]
        if outcome is None:
            return
        self.board.move(result["subtask"], "done")
        if self.fail_fast and has_failed(outcome):
            self.one_failed.set()

    async def _work(self, subtask: Subtask) -> Result:
        given = await self._given(subtask)
        if given is None:
            return Result(subtask=subtask.id, inputs="", outcome=None)
        inputs = hash_of(subtask, given, self._told(subtask))
        agent = self.agents[subtask.agent]
        limit = agent.policy.max_concurrency if isinstance(agent, Agent) else None
        if cause := _cause(given.values()):
            error = Failure(type=NOT_RUN, message=cause, retryable=False)
            outcome = without_work(self.ids[subtask.id], subtask.agent, "skipped", error)
            return Result(subtask=subtask.id, inputs=inputs, outcome=outcome)
        self.board.move(subtask.id, "ready")
        await self.places.take(subtask.agent, limit=limit, priority=self.urgency[subtask.id])
        self.holding.add(subtask.id)
        try:
            return Result(subtask=subtask.id, inputs=inputs, outcome=await self._run(subtask, given))
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
        work = run_agent(
            agent, envelope, self.board.runtime, get_config(), step_id=step_id, budget=budget, under=self.under
        )
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
        others = [one for one in self.state["outcomes"] if self._told(subtask) or one["agent"] == self.sender]
        return Envelope(
            sender=self.sender,
            recipient=subtask.agent,
            task=subtask.task,
            context={**context, **self._told(subtask)},
            constraints=subtask.constraints,
            taint=tuple(taint_of([*others, *given.values()])),
        )

    def _told(self, subtask: Subtask) -> Mapping[str, str]:
        return self.more(self.state, subtask) if self.more is not None else {}

    def _update(self, kept: Mapping[str, Result]) -> dict[str, Any]:
        """Return what the pass adds to the state, in the plan's order."""
        new = [self.results[subtask.id].result() for subtask in self.order if subtask.id not in kept]
        outcomes = [result["outcome"] for result in new if result["outcome"] is not None]
        finished, ended = dict[str, Finished](), dict[str, Finished]()
        for result in [*kept.values(), *new]:
            if (outcome := result["outcome"]) is not None:
                of_its_kind = ended if _stands_in_the_way(outcome) else finished
                of_its_kind[result["subtask"]] = Finished(inputs=result["inputs"], outcome=outcome["id"])
        pending = [result["subtask"] for result in new if result["outcome"] is None]
        return {"outcomes": outcomes, "finished": finished, "pending": pending, "ended": ended if pending else {}}


def _cause(given: Iterable[Outcome]) -> str:
    """Return why a subtask cannot be done; nothing when all it depends on is there, or was left out on purpose.

    The reason of one that was itself skipped is not repeated: reasons would double with every level of a plan.
    """
    return named([f"needs {node_of(one) if was_skipped(one) else describe_failure(one)}" for one in in_the_way(given)])


def named(parts: Sequence[str]) -> str:
    """Return the first few of what stands in the way as one text, and how many more there are."""
    more = len(parts) - _MOST_NAMED
    return "; ".join(parts[:_MOST_NAMED]) + (f"; and {more} more" if more > 0 else "")


def in_the_way(given: Iterable[Outcome]) -> list[Outcome]:
    """Return what keeps a subtask from being done: what failed, or where nothing of it did, what was skipped for that."""
    found = [outcome for outcome in given if _stands_in_the_way(outcome)]
    return [outcome for outcome in found if not was_skipped(outcome)] or found


def was_skipped(outcome: Outcome) -> bool:
    """Whether a subtask was not begun because of one that it depends on."""
    return outcome["error"] is not None and outcome["error"]["type"] == NOT_RUN


def _stands_in_the_way(outcome: Outcome) -> bool:
    """Whether nothing can be built on an outcome. An agent whose policy is to be skipped is gone on without."""
    left_out = outcome["status"] == "skipped" and not was_skipped(outcome)
    return outcome["status"] != "ok" and not left_out


def _done(result: Result) -> asyncio.Future[Result]:
    future: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
    future.set_result(result)
    return future
