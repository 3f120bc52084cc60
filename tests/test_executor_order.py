"""The plan executor under stress: who goes first, who is passed over, and what is kept when it is stopped or cut off."""

from __future__ import annotations

import asyncio
from collections import Counter
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from langchain_core.outputs import ChatResult
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.errors import GraphDrained
from langgraph.runtime import RunControl
from langgraph.types import Command
from pydantic import PrivateAttr

from acting import executing, says, statuses
from cases import part, plan_of
from graphs import plan_execute
from nodes import Agent, HumanAgent, Policy, ScriptedChatModel
from state import Context, Plan, open_persistence
from state.errors import StorageUnavailable

THREAD: RunnableConfig = {"configurable": {"thread_id": "t"}}


def name_in(task: str) -> str:
    """Return the id of the subtask that a worker was given."""
    return task.partition("\n")[0].removeprefix("Do ").removesuffix(".")


def needs_of(plan: dict[str, Any]) -> dict[str, set[str]]:
    return {one["id"]: set(one["depends_on"]) for one in plan["subtasks"]}


async def settle() -> None:
    """Let every task go as far as it can."""
    for _ in range(60):
        await asyncio.sleep(0)


class Workshop:
    """A worker whose subtasks end when they are let go, one by one."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.running: dict[str, asyncio.Event] = {}

    async def w(self, task: str) -> str:
        name = name_in(task)
        self.begun.append(name)
        self.running[name] = asyncio.Event()
        await self.running[name].wait()
        return "done"

    async def let_go(self, name: str) -> None:
        self.running.pop(name).set()
        await settle()


@st.composite
def timed_plans(draw: st.DrawFn) -> dict[str, Any]:
    """Draw a plan, written in any order, of which every way to the end takes a time of its own."""
    names = [f"s{number}" for number in range(draw(st.integers(1, 8)))]
    parts = [
        {
            **part(name, "w", *(draw(st.lists(st.sampled_from(names[:at]), unique=True)) if at else [])),
            "estimate": {"seconds": draw(st.integers(1, 9)) + 2.0 ** -(at + 1)},
        }
        for at, name in enumerate(names)
    ]
    return plan_of(*draw(st.permutations(parts)))


@settings(deadline=None, max_examples=60)
@given(timed_plans(), st.integers(1, 4), st.randoms(use_true_random=False))
def test_no_subtask_that_could_run_waits_for_a_free_place_and_the_most_urgent_goes_first(
    plan: dict[str, Any], width: int, chance: Any
) -> None:
    needs = needs_of(plan)
    left = Plan.model_validate(plan).remaining({one["id"]: one["estimate"]["seconds"] for one in plan["subtasks"]})

    async def watched() -> None:
        shop, done = Workshop(), set[str]()
        graph = executing(plan, [shop.w]).compile()
        run = asyncio.ensure_future(graph.ainvoke({"task": "t"}, context=Context(max_concurrency=width)))
        expected: list[str] = []
        while len(done) < len(needs):
            await settle()
            ready = [name for name in needs if needs[name] <= done and name not in expected]
            ready.sort(key=lambda name: -left[name])
            expected += ready[: width - len(set(expected) - done)]
            assert set(shop.begun) == set(expected)
            ended = chance.choice(sorted(shop.running))
            done.add(ended)
            await shop.let_go(ended)
        assert statuses(await run) == dict.fromkeys(needs, "ok")
        assert sorted(shop.begun) == sorted(needs)

    asyncio.run(watched())


class Patient(ScriptedChatModel):
    """Answers from its script once it is told to."""

    _told: asyncio.Event = PrivateAttr(default_factory=asyncio.Event)

    def __init__(self, *steps: str) -> None:
        super().__init__(steps)

    async def _agenerate(self, *given: Any, **options: Any) -> ChatResult:
        await self._told.wait()
        return await super()._agenerate(*given, **options)


async def test_an_agent_at_its_own_limit_keeps_no_place_from_others() -> None:
    """`x` answers once `w` has run: were its second subtask to take the other place, that would be never."""
    model = Patient("one", "two")

    async def w(task: str) -> str:
        model._told.set()
        return "done"

    x = Agent("x", model=model, policy=Policy(max_concurrency=1))
    urgent = [{**part(name, "x"), "estimate": {"seconds": 9}} for name in "ab"]
    builder = executing(plan_of(*urgent, part("c", "w")), [x, w])
    result = await builder.compile().ainvoke({"task": "t"}, context=Context(max_concurrency=2))
    assert statuses(result) == {"a": "ok", "b": "ok", "c": "ok"}


# --- failing


async def test_fail_fast_cancels_what_runs_and_begins_nothing_that_waits_for_a_place() -> None:
    begun: list[str] = []
    cancelled: list[str] = []
    both = asyncio.Event()

    async def w(task: str) -> str:
        begun.append(name_in(task))
        if name_in(task) == "bad":
            await both.wait()
            raise ValueError("broken")
        both.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.append(name_in(task))
            raise
        return "never"

    plan = plan_of(part("good", "ok"), *(part(name, "w", "good") for name in ("bad", "hangs", "late")))
    builder = executing(plan, [w, says("ok", "kept")], on_failure="fail_fast")
    result = await builder.compile().ainvoke({"task": "t"}, context=Context(max_concurrency=2))
    assert begun == ["bad", "hangs"]
    assert cancelled == ["hangs"]
    assert statuses(result) == {"good": "ok", "bad": "failed", "hangs": "cancelled", "late": "cancelled"}
    assert list(result["finished"]) == ["good"]


# --- halting


async def test_a_halt_lets_all_that_is_in_flight_end_and_repeats_nothing_of_it() -> None:
    control, calls, halted = RunControl(), Counter[str](), asyncio.Event()

    async def w(task: str) -> str:
        calls[name_in(task)] += 1
        if name_in(task) == "b":
            control.request_drain("enough for today")
            halted.set()
        await halted.wait()
        return f"of {name_in(task)}"

    plan = plan_of(part("a", "w"), part("b", "w"), part("c", "w", "a"), part("d", "w"))
    builder, saver = executing(plan, [w]), InMemorySaver()
    narrow = Context(max_concurrency=2)
    with pytest.raises(GraphDrained):
        await builder.compile(checkpointer=saver, name="g").ainvoke(
            {"task": "t"}, THREAD, control=control, context=narrow
        )
    assert calls == {"a": 1, "b": 1}
    result = await executing(plan, [w]).compile(checkpointer=saver, name="g").ainvoke(None, THREAD, context=narrow)
    assert {o["id"]: o["output"] for o in result["outcomes"]} == {name: f"of {name}" for name in "abcd"}
    assert calls == dict.fromkeys("abcd", 1)


# --- being cut off


CUT = plan_of(
    part("a", "w"),
    part("b", "other"),
    part("c", "w", "a"),
    part("d", "other", "a", "b"),
    part("e", "w", "c", "d"),
)


def counting(calls: Counter[str]) -> list[Any]:
    """Return two workers that count what they are given."""

    async def w(task: str) -> str:
        calls[name_in(task)] += 1
        await asyncio.sleep(0)
        return f"<{task}>"

    async def other(task: str) -> str:
        calls[name_in(task)] += 1
        return f"[{task}]"

    return [w, other]


class CutOff:
    """Makes every write of a saver fail from the n-th on, until it is mended."""

    def __init__(self, saver: Any, nth: int) -> None:
        self.left, self.mended = nth, False
        for name in ("aput", "aput_writes"):
            setattr(saver, name, self._guarded(getattr(saver, name)))

    def _guarded(self, write: Any) -> Any:
        async def guarded(*given: Any, **options: Any) -> Any:
            self.left -= 1
            if self.left <= 0 and not self.mended:
                raise StorageUnavailable("gone for a moment")
            return await write(*given, **options)

        return guarded


async def saved_subtasks(saver: Any) -> set[str]:
    """Return the subtasks whose results a saver holds in what an unfinished step has written so far."""
    latest = await saver.aget_tuple(THREAD)
    writes = latest.pending_writes if latest is not None else []
    return {value["subtask"] for _, channel, value in writes if channel == "__return__" and "subtask" in value}


@pytest.mark.parametrize("kind", ["memory", "sqlite"])
async def test_cut_off_at_any_write_for_good_it_ends_the_same_and_repeats_nothing_that_was_saved(
    kind: str, tmp_path: Any
) -> None:
    whole = await executing(CUT, counting(Counter())).compile().ainvoke({"task": "t"})
    wanted = [(outcome["id"], outcome["status"], outcome["output"]) for outcome in whole["outcomes"]]
    kept_of_some = False
    for nth in range(1, 40):
        url = f"sqlite:///{tmp_path / f'{nth}.db'}" if kind == "sqlite" else "memory:"
        async with open_persistence(url) as persistence:
            calls, saver = Counter[str](), persistence.checkpointer
            fault = CutOff(saver, nth)
            passed = False
            try:
                graph = executing(CUT, counting(calls)).compile(checkpointer=saver, name="g")
                result = await graph.ainvoke({"task": "t"}, THREAD)
                passed = True
            except StorageUnavailable:
                fault.mended = True
                saved, before = await saved_subtasks(saver), Counter(calls)
                graph = executing(CUT, counting(calls)).compile(checkpointer=saver, name="g")
                begun = await saver.aget_tuple(THREAD) is not None
                result = await graph.ainvoke(None if begun else {"task": "t"}, THREAD)
                assert {name: calls[name] for name in saved} == {name: before[name] for name in saved}, nth
                kept_of_some = kept_of_some or 0 < len(saved) < 5
        assert [(o["id"], o["status"], o["output"]) for o in result["outcomes"]] == wanted, nth
        if passed:
            assert kept_of_some
            return
    pytest.fail("the run never came to its end")


async def test_nothing_begins_once_a_result_could_not_be_stored_and_what_was_stored_is_kept(tmp_path: Any) -> None:
    """`c` may begin before the result of `b` is refused, and ends after that; `d` and `e` must not begin."""
    calls, refused = Counter[str](), asyncio.Event()
    plan = plan_of(part("a", "w"), *(part(name, "w", before) for before, name in pairwise("abcde")))
    async with open_persistence(f"sqlite:///{tmp_path / 'runs.db'}") as persistence:
        saver = persistence.checkpointer
        store, store_async = saver.put_writes, saver.aput_writes

        def full(config: Any, writes: Any, *given: Any) -> None:
            if any(channel == "__return__" and value["subtask"] == "b" for channel, value in writes):
                raise StorageUnavailable("the disk is full")
            store(config, writes, *given)

        async def watched(*given: Any) -> None:
            try:
                await store_async(*given)
            except StorageUnavailable:
                refused.set()
                raise

        async def w(task: str) -> str:
            calls[name_in(task)] += 1
            if name_in(task) == "c":
                await refused.wait()
            return "done"

        graph = executing(plan, [w]).compile(checkpointer=saver, name="g")
        with pytest.MonkeyPatch.context() as disk:
            disk.setattr(saver, "put_writes", full)
            disk.setattr(saver, "aput_writes", watched)
            with pytest.raises(StorageUnavailable, match="the disk is full"):
                await graph.ainvoke({"task": "t"}, THREAD)
        assert set(calls) - {"c"} == {"a", "b"}
        refused.set()
        result = await graph.ainvoke(None, THREAD)
    assert statuses(result) == dict.fromkeys("abcde", "ok")
    assert (calls["a"], calls["b"], calls["d"], calls["e"]) == (1, 2, 1, 1)


# --- people in a team


async def test_a_team_with_a_person_inside_pauses_alone_and_what_waits_for_it_comes_after(tmp_path: Any) -> None:
    calls: Counter[str] = Counter()

    async def w(task: str) -> str:
        calls[name_in(task)] += 1
        return f"of {name_in(task)}"

    async def planner(task: str) -> Any:
        return plan_of(part("p", "ann"), part("q", "w"))

    inner = plan_execute.build([HumanAgent("ann"), w], planner=planner, synthesizer=says("synthesizer", "of the team"))
    plan = plan_of(part("a", "team"), part("b", "bob"), part("c", "w"), part("d", "w", "a", "b"))
    builder = executing(plan, [inner.compile(name="team"), HumanAgent("bob"), w])
    async with open_persistence(f"sqlite:///{tmp_path / 'runs.db'}") as persistence:
        graph = builder.compile(checkpointer=persistence.checkpointer, name="g")
        await graph.ainvoke({"task": "t"}, THREAD)
        assert calls == {"c": 1, "q": 1}
        requests = {r.value["action_requests"][0]["name"]: r.id for r in (await graph.aget_state(THREAD)).interrupts}
        assert set(requests) == {"ann", "bob"}
        for name in ("bob", "ann"):
            assert "d" not in calls
            said = {"decisions": [{"type": "respond", "message": f"by {name}"}]}
            result = await graph.ainvoke(Command(resume={requests[name]: said}), THREAD)
    outputs = {outcome["id"]: outcome["output"] for outcome in result["outcomes"]}
    assert outputs == {"a": "of the team", "b": "by bob", "c": "of c", "d": "of d"}
    assert calls == {"c": 1, "q": 1, "d": 1}
