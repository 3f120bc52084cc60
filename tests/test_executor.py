"""The plan executor: nothing waits that could run, nothing is lost, nothing is done twice."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.errors import GraphDrained
from langgraph.graph import END, START
from langgraph.runtime import RunControl
from langgraph.types import Command

from acting import fails
from cases import part, plan_of
from nodes import Agent, HumanAgent, Policy, ScriptedChatModel
from nodes.executor import execute_node
from nodes.finished import ExecutionState
from nodes.planning import NO_PLAN
from nodes.scripted import Step
from nodes.turn import begin_node
from state import Context, open_persistence
from state.errors import StorageUnavailable
from state.graph import PatternBuilder

THREAD: RunnableConfig = {"configurable": {"thread_id": "t"}}
DIAMOND = plan_of(part("a", "w"), part("b", "w", "a"), part("c", "w", "a"), part("d", "w", "b", "c"))


def builder_of(plan: dict[str, Any], agents: Sequence[Any], **options: Any) -> PatternBuilder:
    """Return a graph that does nothing but execute a plan."""
    builder = PatternBuilder(ExecutionState)
    builder.add_node("begin", begin_node(plan=plan, finished={}, pending=[]))
    builder.add_node("execute", execute_node(agents, **options))
    builder.add_edge(START, "begin")
    builder.add_edge("begin", "execute")
    builder.add_conditional_edges("execute", lambda state: "execute" if state["pending"] else END, ["execute", END])
    return builder


def counting(calls: Counter[str]) -> Any:
    async def w(task: str) -> str:
        calls[task.split("\n")[0]] += 1
        return f"<{task}>"

    return w


def statuses(result: dict[str, Any]) -> dict[str, str]:
    return {outcome["id"]: outcome["status"] for outcome in result["outcomes"]}


async def test_a_subtask_starts_when_its_own_dependencies_are_done_and_waits_for_no_wave() -> None:
    """`late` ends only after `next`, which depends on `early` alone, has begun: waves would wait here forever."""
    begun = asyncio.Event()

    async def w(task: str) -> str:
        if task.startswith("Do late"):
            await begun.wait()
        if task.startswith("Do next"):
            begun.set()
        return "done"

    plan = plan_of(part("early", "w"), part("late", "w"), part("next", "w", "early"))
    result = await builder_of(plan, [w]).compile().ainvoke({"task": "t"})
    assert statuses(result) == {"early": "ok", "late": "ok", "next": "ok"}


async def test_a_worker_is_told_its_subtask_and_what_it_depends_on_alone() -> None:
    calls: Counter[str] = Counter()
    result = await builder_of(DIAMOND, [counting(calls)]).compile().ainvoke({"task": "the secret goal"})
    last = result["outcomes"][-1]["output"]
    assert last.startswith("<Do d.\n\nContext from b (Do b.):")
    assert "secret goal" not in last
    assert [outcome["id"] for outcome in result["outcomes"]] == ["a", "b", "c", "d"]


class Failing(InMemorySaver):
    """A saver whose n-th write fails, once."""

    def __init__(self, nth: int) -> None:
        super().__init__()
        self.left = nth

    def _count(self) -> None:
        self.left -= 1
        if self.left == 0:
            raise StorageUnavailable("gone for a moment")

    async def aput(self, *given: Any, **options: Any) -> Any:
        self._count()
        return await super().aput(*given, **options)

    async def aput_writes(self, *given: Any, **options: Any) -> None:
        self._count()
        await super().aput_writes(*given, **options)


async def test_after_a_failure_at_any_write_the_rest_is_done_and_no_saved_result_is_made_twice() -> None:
    whole = await builder_of(DIAMOND, [counting(Counter())]).compile().ainvoke({"task": "t"})
    for nth in range(1, 40):
        calls: Counter[str] = Counter()
        saver, worker = Failing(nth), counting(calls)
        graph = builder_of(DIAMOND, [worker]).compile(checkpointer=saver, name="g")
        try:
            result = await graph.ainvoke({"task": "t"}, THREAD)
        except StorageUnavailable:
            saved = {
                write["subtask"]
                for writes in saver.writes.values()
                for _, channel, value, _ in writes.values()
                if channel == "__return__" and isinstance(write := saver.serde.loads_typed(value), dict)
            }
            before, again = Counter(calls), builder_of(DIAMOND, [worker]).compile(checkpointer=saver, name="g")
            kept = (await again.aget_state(THREAD)).values.get("goal")
            result = await again.ainvoke(None if kept else {"task": "t"}, THREAD)
            assert all(calls[f"Do {name}."] == before[f"Do {name}."] for name in saved), nth
        assert [(o["id"], o["output"]) for o in result["outcomes"]] == [
            (o["id"], o["output"]) for o in whole["outcomes"]
        ]
        if saver.left > 0:
            return
    pytest.fail("the run never came to its end")


@st.composite
def plans(draw: st.DrawFn) -> dict[str, Any]:
    """Draw a plan, written in any order."""
    names = [f"s{number}" for number in range(draw(st.integers(1, 9)))]
    parts = [
        part(name, "w", *(draw(st.lists(st.sampled_from(names[:at]), unique=True)) if at else []))
        for at, name in enumerate(names)
    ]
    return plan_of(*draw(st.permutations(parts)))


@settings(deadline=None, max_examples=40)
@given(plans(), st.integers(1, 4))
def test_any_plan_is_done_once_in_an_order_that_respects_it_and_within_the_width(
    plan: dict[str, Any], width: int
) -> None:
    done: list[str] = []
    running: set[str] = set()
    most = 0

    async def w(task: str) -> str:
        nonlocal most
        name = task.split("\n")[0].removeprefix("Do ").removesuffix(".")
        running.add(name)
        most = max(most, len(running))
        await asyncio.sleep(0)
        running.remove(name)
        done.append(name)
        return "done"

    result = builder_of(plan, [w]).compile().invoke({"task": "t"}, context=Context(max_concurrency=width))
    assert sorted(done) == sorted(one["id"] for one in plan["subtasks"]) == sorted(statuses(result))
    for one in plan["subtasks"]:
        assert all(done.index(name) < done.index(one["id"]) for name in one["depends_on"])
    assert most <= width


async def test_the_longest_way_goes_first_and_an_agent_keeps_to_its_own_limit() -> None:
    started: list[str] = []

    async def w(task: str) -> str:
        started.append(task.split("\n")[0])
        return "done"

    plan = plan_of(part("short", "w"), part("long", "w"), part("after", "w", "long"), part("last", "w", "after"))
    await builder_of(plan, [w]).compile().ainvoke({"task": "t"}, context=Context(max_concurrency=1))
    assert started == ["Do long.", "Do after.", "Do short.", "Do last."]

    model = ScriptedChatModel([Step(str(number), delay=0.01) for number in range(4)])
    agent = Agent("w", model=model, policy=Policy(max_concurrency=1))
    events: list[Any] = []
    plan = plan_of(*(part(name, "w") for name in "abcd"))
    async for mode, event in (
        builder_of(plan, [agent]).compile().astream({"task": "t"}, stream_mode=["custom", "values"])
    ):
        events += [event["kind"]] if mode == "custom" and event["kind"] in ("agent_started", "agent_finished") else []
    assert events == ["agent_started", "agent_finished"] * 4


async def test_a_failure_skips_what_needed_it_with_the_cause_and_loses_nobody_else() -> None:
    async def w(task: str) -> str:
        if "Do b." in task:
            raise ValueError("no b today")
        return "done"

    plan = plan_of(*(part(name, "w") for name in "abcde"), part("needs_b", "w", "b"), part("further", "w", "needs_b"))
    result = await builder_of(plan, [w]).compile().ainvoke({"task": "t"})
    by_id = {outcome["id"]: outcome for outcome in result["outcomes"]}
    assert [name for name, outcome in by_id.items() if outcome["status"] == "ok"] == ["a", "c", "d", "e"]
    assert (by_id["needs_b"]["status"], by_id["further"]["status"]) == ("skipped", "skipped")
    assert "no b today" in by_id["needs_b"]["error"]["message"]
    assert by_id["further"]["error"]["message"] == "needs needs_b"


async def test_the_reasons_of_a_large_plan_that_fails_at_once_stay_short() -> None:
    names = [f"t{number}" for number in range(50)]
    plan = plan_of(*(part(name, "w", *names[max(0, at - 20) : at]) for at, name in enumerate(names)))
    result = await builder_of(plan, [fails("w")]).compile().ainvoke({"task": "t"})
    messages = [outcome["error"]["message"] for outcome in result["outcomes"][1:]]
    assert (messages[0], messages[20]) == (
        "needs t0 failed (ValueError: broken)",
        "needs t1; needs t2; needs t3; needs t4; needs t5; and 15 more",
    )
    assert max(map(len, messages)) < 100


async def test_fail_fast_ends_a_sibling_that_hangs_and_begins_nothing_more() -> None:
    async def w(task: str) -> str:
        if "Do bad." in task:
            raise ValueError("broken")
        await asyncio.Event().wait()
        return "never"

    plan = plan_of(part("bad", "w"), part("hangs", "w"), part("waits", "w", "hangs"))
    result = await builder_of(plan, [w], on_failure="fail_fast").compile().ainvoke({"task": "t"})
    assert statuses(result) == {"bad": "failed", "hangs": "cancelled", "waits": "skipped"}


async def test_an_agent_whose_policy_is_to_be_skipped_is_gone_on_without() -> None:
    shy = Agent("shy", model=ScriptedChatModel([ValueError("not today")]), policy=Policy(on_failure="skip"))
    calls: Counter[str] = Counter()
    plan = plan_of(part("a", "shy"), part("b", "w", "a"))
    result = await builder_of(plan, [shy, counting(calls)]).compile().ainvoke({"task": "t"})
    assert statuses(result) == {"a": "skipped", "b": "ok"}


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
@pytest.mark.parametrize("kind", ["memory", "sqlite"])
async def test_several_people_are_asked_at_once_and_answered_in_any_order(
    order: tuple[int, int], kind: str, tmp_path: Any
) -> None:
    calls: Counter[str] = Counter()
    plan = plan_of(part("p", "ann"), part("q", "bob"), part("r", "w"), part("s", "w", "p", "q", "r"))
    agents = [HumanAgent("ann"), HumanAgent("bob"), counting(calls)]
    async with open_persistence(f"sqlite:///{tmp_path / 'runs.db'}" if kind == "sqlite" else "memory:") as persistence:
        graph = builder_of(plan, agents).compile(checkpointer=persistence.checkpointer, name="g")
        progress: list[Any] = []
        async for event in graph.astream({"task": "t"}, THREAD, stream_mode="custom"):
            progress += [event["data"]["progress"]] if "progress" in event["data"] else []
        assert progress[-1]["waiting"] == {"p": ["a person"], "q": ["a person"], "s": ["p", "q"]}
        assert progress[-1]["done"] == ["r"]
        asked = (await graph.aget_state(THREAD)).interrupts
        requests = sorted(asked, key=lambda one: str(one.value["action_requests"][0]["name"]))
        assert [one.value["action_requests"][0]["name"] for one in requests] == ["ann", "bob"]
        for at in order:
            said = {"decisions": [{"type": "respond", "message": f"answer {at}"}]}
            result = await graph.ainvoke(Command(resume={requests[at].id: said}), THREAD)
        assert statuses(result) == dict.fromkeys("pqrs", "ok")
        assert [o["output"] for o in result["outcomes"][:2]] == ["answer 0", "answer 1"]
        assert set(calls.values()) == {1}


async def test_a_halt_lets_what_runs_end_begins_nothing_and_goes_on_later() -> None:
    control, calls = RunControl(), Counter[str]()

    async def w(task: str) -> str:
        name = task.split("\n")[0]
        calls[name] += 1
        if name == "Do a.":
            control.request_drain("enough for today")
        return "done"

    graph = builder_of(DIAMOND, [w]).compile(checkpointer=InMemorySaver(), name="g")
    with pytest.raises(GraphDrained):
        await graph.ainvoke({"task": "t"}, THREAD, control=control)
    assert calls == {"Do a.": 1}
    result = await graph.ainvoke(None, THREAD)
    assert statuses(result) == dict.fromkeys("abcd", "ok")
    assert set(calls.values()) == {1}


async def test_a_new_plan_keeps_what_is_finished_and_does_again_what_was_given_something_else() -> None:
    calls: Counter[str] = Counter()
    builder = builder_of(plan_of(part("a", "w"), part("b", "w", "a"), part("c", "w")), [counting(calls)])
    graph = builder.compile(checkpointer=InMemorySaver(), name="g", interrupt_after=["execute"])
    await graph.ainvoke({"task": "t"}, THREAD)
    changed = plan_of({**part("a", "w"), "task": "Do a well."}, part("b", "w", "a"), part("c", "w"))
    await graph.aupdate_state(THREAD, {"plan": changed, "pending": ["a"]}, as_node="execute")
    result = await graph.ainvoke(None, THREAD)
    assert list(statuses(result)) == ["a", "b", "c", "a#2", "b#2"]
    assert calls == {"Do a.": 1, "Do a well.": 1, "Do b.": 2, "Do c.": 1}


def test_the_state_of_planning_begins_with_all_that_executing_needs() -> None:
    assert {"plan", "finished", "pending"} <= set(NO_PLAN)
