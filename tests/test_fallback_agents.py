"""Agents that stand in for others and pause: what was tried before is not tried again, is counted once, and is told once."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.types import Command

from acting import executing, says
from graphs import sequential, single
from nodes import Agent, HumanAgent, Policy, ScriptedChatModel
from nodes.models import describe_model
from nodes.scripted import Step, call
from state import Budget, Context, open_persistence
from tools import create_consult_tool

CONFIG: Any = {"configurable": {"thread_id": "t"}}
DOWN = ConnectionError("down")


def clerk(*stand_ins: Any, steps: Any = (DOWN, DOWN, DOWN, "by machine"), **policy: Any) -> Agent:
    model = ScriptedChatModel(list(steps))
    return Agent("clerk", model=model, policy=Policy(backoff=0.001, fallback=stand_ins, **policy))


def asked(agent: Agent) -> int:
    """Return how often an agent's model was called."""
    assert isinstance(agent.model, ScriptedChatModel)
    return len(agent.model.requests)


def started(builder: Any, saver: Any = None, **context: Any) -> Any:
    graph = builder.compile(saver or InMemorySaver(), name="g")
    graph.invoke({"task": "May I refund?"}, CONFIG, context=Context(**context))
    return graph


def decide(graph: Any, kind: str = "respond", context: Context | None = None, **more: Any) -> dict[str, Any]:
    """Answer the one request that is open."""
    (request,) = graph.get_state(CONFIG).interrupts
    resume: Command[Any] = Command(resume={request.id: {"decisions": [{"type": kind, **more}]}})
    result: dict[str, Any] = graph.invoke(resume, CONFIG, context=context)
    return result


def nested(builder: Any) -> Any:
    return single.build(single.build(builder.compile(name="inner")).compile(name="middle"))


@pytest.mark.parametrize("deep", [False, True], ids=["itself", "two levels down"])
@pytest.mark.parametrize("skipped", [False, True])
def test_what_a_person_answered_in_place_of_an_agent_is_the_answer(deep: bool, skipped: bool) -> None:
    agent = clerk(HumanAgent("boss"), on_failure="skip" if skipped else "fail")
    graph = started(nested(single.build(agent)) if deep else single.build(agent))
    graph.invoke(None, CONFIG)  # to go on without an answer tries nothing again
    result = decide(graph, message="No refund.")
    (outcome,) = result["outcomes"]
    assert (result["answer"], result["status"], asked(agent)) == ("No refund.", "completed", 3)
    assert outcome["usage"]["model_calls"] == 3


def test_what_was_spent_before_the_pause_counts_in_the_run_that_goes_on(tmp_path: Path) -> None:
    context = Context(budget=Budget(model_calls=4))

    def graph_on(saver: Any, *steps: Any) -> Any:
        agents = [clerk(HumanAgent("boss"), steps=steps), says("next", "4"), says("last", "never")]
        return sequential.build(agents).compile(saver, name="g")

    with open_persistence(tmp_path / "r.db") as persistence:
        graph_on(persistence.checkpointer, DOWN, DOWN, DOWN).invoke({"task": "t"}, CONFIG, context=context)
    with open_persistence(tmp_path / "r.db") as persistence:
        result = decide(graph_on(persistence.checkpointer, "never said"), message="No.", context=context)
    assert [outcome["usage"]["model_calls"] for outcome in result["outcomes"]] == [3, 1, 0]
    assert "budget of run of g reached: model_calls 4 of 4" in result["reason"]


def test_an_agent_that_stands_in_and_waits_for_an_approval_goes_on_where_it_was() -> None:
    def look(x: int) -> str:
        """Look."""
        return f"r{x}"

    model = ScriptedChatModel([call("look", x=1), call("look", x=2), "done"])
    second = Agent("second", tools=[look], model=model, policy=Policy(approve=("look",)))
    first = clerk(second)
    graph = started(single.build(first))
    decide(graph, "approve")
    result = decide(graph, "approve")
    (outcome,) = result["outcomes"]
    assert (result["answer"], asked(first), asked(second)) == ("done", 3, 3)
    assert (outcome["usage"]["model_calls"], outcome["usage"]["tool_calls"], outcome["attempts"]) == (6, 2, 6)


def test_of_several_that_stand_in_each_is_tried_once_and_told_once() -> None:
    steps: Any = [ValueError("broken too"), "never"]
    second = Agent("second", model=ScriptedChatModel(steps))
    first, told = clerk(second, HumanAgent("boss"), says("third", "never")), list[tuple[str, str]]()
    graph = single.build(first).compile(InMemorySaver(), name="g")

    def note(given: Any) -> None:
        for event in graph.stream(given, CONFIG, stream_mode="custom"):
            if event["kind"] == "decided" and event["data"]["decision"] == "fallback":
                told.append((event["step"], event["data"]["agent"]))

    note({"task": "t"})
    note(None)
    (request,) = graph.get_state(CONFIG).interrupts
    note(Command(resume={request.id: {"decisions": [{"type": "respond", "message": "No."}]}}))
    (outcome,) = graph.get_state(CONFIG).values["outcomes"]
    assert told == [("clerk", "second"), ("clerk", "boss")]
    assert (outcome["output"], outcome["agent"], outcome["usage"]["model_calls"]) == ("No.", "boss", 4)
    assert (asked(first), asked(second)) == (3, 1)


def test_an_approval_in_the_agent_s_own_try_is_asked_once() -> None:
    done: list[str] = []

    def send(to: str) -> str:
        """Send a letter."""
        done.append(to)
        return "sent"

    model = ScriptedChatModel([call("send", to="ann"), ValueError("broken"), "never"])
    first = Agent("first", tools=[send], model=model, policy=Policy(approve=("send",), fallback=(HumanAgent("boss"),)))
    graph = started(single.build(first))
    decide(graph, "approve")
    result = decide(graph, message="I did it.")
    assert (result["answer"], done, asked(first)) == ("I did it.", ["ann"], 2)
    usage = result["outcomes"][0]["usage"]
    assert (usage["model_calls"], usage["tool_calls"]) == (2, 1)


def test_an_agent_that_escalates_keeps_what_stood_in_for_it() -> None:
    def look(x: int) -> str:
        """Look."""
        return f"r{x}"

    model = ScriptedChatModel([call("look", x=1), ValueError("broken too"), "at last"])
    second = Agent("second", tools=[look], model=model, policy=Policy(approve=("look",)))
    first = clerk(second, steps=[DOWN] * 6, on_failure="escalate", breaker_failures=9)
    graph = started(single.build(first))
    decide(graph, "approve")
    assert (asked(first), asked(second)) == (3, 2)
    result = decide(graph, "approve")
    assert (result["answer"], asked(first), asked(second)) == ("at last", 6, 3)
    assert result["outcomes"][0]["usage"]["model_calls"] == 9


def test_a_colleague_s_stand_in_is_asked_for_once_and_the_asker_counts_all() -> None:
    colleague = clerk(HumanAgent("boss"))
    steps = [call("consult", agent="clerk", question="Why?"), "so"]
    asker = says("asker", *steps, tools=[create_consult_tool([colleague])], policy=Policy(budget=Budget(model_calls=5)))
    result = decide(started(single.build(asker)), message="Because.")
    assert (result["answer"], asked(colleague)) == ("so", 3)
    assert result["outcomes"][0]["usage"]["model_calls"] == 5


async def test_a_try_that_a_sibling_s_failure_ends_is_cancelled_as_any_other() -> None:
    worker = says("worker", Step("late", delay=60), policy=Policy(fallback=(HumanAgent("boss"),)))

    async def work(item: str) -> str:
        while not asked(worker):
            await asyncio.sleep(0)
        raise ValueError("broken")

    plan = {
        "subtasks": [
            {"id": "a", "task": "t", "agent": "worker", "depends_on": []},
            {"id": "b", "task": "t", "agent": "work", "depends_on": []},
        ]
    }
    graph = executing(plan, [worker, work], on_failure="fail_fast").compile(InMemorySaver(), name="p")
    result = await asyncio.wait_for(graph.ainvoke({"task": "t"}, CONFIG), 30)
    ended, failed = result["outcomes"]
    assert (ended["status"], failed["status"]) == ("cancelled", "failed")
    assert ended["usage"]["model_calls"] == asked(worker) == 1


def test_nothing_is_kept_where_no_agent_stands_in_or_nothing_can_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    async def refuse(*given: Any, **more: Any) -> Any:
        raise AssertionError("a try was kept")

    monkeypatch.setattr("nodes.agent.kept", refuse)
    spare = ScriptedChatModel(["spare"])
    agent = clerk(spare)
    assert single.build(agent).compile(InMemorySaver()).invoke({"task": "t"}, CONFIG)["answer"] == "spare"
    second = says("second", "instead")
    assert single.build(clerk(second)).compile().invoke({"task": "t"})["answer"] == "instead"


# --- models that stand in


@pytest.mark.parametrize("name", ["openai:gpt-5-mini", "nobody:nothing", "nonsense"])
def test_a_model_stands_in_for_one_that_cannot_be_loaded(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("OPENAI_API_KEY", "OPENAI_BASE_URL"):
        monkeypatch.delenv(variable, raising=False)
    spare = ScriptedChatModel([DOWN, "spare"])
    agent = Agent("a", model=name, policy=Policy(backoff=0.001, fallback=("also:unknown", spare)))
    graph = single.build(agent).compile(name="g")
    events = list(graph.stream({"task": "t"}, stream_mode="custom"))
    told = [event["data"] for event in events if event["kind"] == "decided"]
    assert told == [{"decision": "fallback", "reason": "ModelError"}] * 2
    (finished,) = [event["data"] for event in events if event["kind"] == "agent_finished"]
    assert (finished["status"], finished["attempts"], finished["model"]) == ("ok", 2, describe_model(spare))


def test_what_a_model_that_cannot_be_loaded_lacks_is_said_where_none_stands_in() -> None:
    agent = Agent("a", model="nobody:nothing", policy=Policy(fallback=("also:unknown",)))
    result = single.build(agent).compile().invoke({"task": "t"})
    assert result["status"] == "failed"
    assert "nobody:nothing" in result["reason"]
