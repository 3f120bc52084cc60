"""What every pattern promises, once, over the registry."""

from __future__ import annotations

import json
from typing import Any

import pytest
from langchain_core.messages import AIMessage, HumanMessage
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver
from langgraph.graph import StateGraph
from langgraph.types import Command

from cases import ANSWERS, ASKING, HANGING, HAPPY, PARTIAL, script, second_turn
from graphs import single
from graphs.registry import REGISTRY
from nodes import Agent, HumanAgent, Policy, ScriptedChatModel
from nodes.scripted import Step
from state import Budget, ConfigurationError, Context, InvalidThreadId
from state.graph import Pattern

PATTERNS = [name for name, entry in REGISTRY.items() if not entry.is_team]
OUTCOME_KEYS = {"id", "agent", "status", "output", "structured", "error", "attempts", "seconds", "usage"}
every_pattern = pytest.mark.parametrize("name", PATTERNS)


def thread(name: str) -> RunnableConfig:
    return {"configurable": {"thread_id": name}}


def graph_of(name: str) -> Pattern:
    graph: Pattern = REGISTRY[name].load().graph
    return graph


def test_every_pattern_has_a_scripted_case() -> None:
    assert set(PATTERNS) == set(HAPPY) == set(ANSWERS) == set(HANGING) == set(ASKING)


@every_pattern
async def test_all_four_doors_give_the_same_result(name: str) -> None:
    graph, given = graph_of(name), {"task": "the task"}
    results = []
    for call in ("invoke", "ainvoke", "stream", "astream"):
        with script(name) as model:
            context = Context(model=model)
            if call == "invoke":
                results.append(graph.invoke(given, context=context))
            elif call == "ainvoke":
                results.append(await graph.ainvoke(given, context=context))
            elif call == "stream":
                results.append(list(graph.stream(given, context=context, stream_mode="values"))[-1])
            else:
                parts = [part async for part in graph.astream(given, context=context, stream_mode="values")]
                results.append(parts[-1])
    for result in results:
        assert result["answer"] == ANSWERS[name]
        assert (result["status"], result["reason"]) == ("completed", "")
        assert [o["id"] for o in result["outcomes"]] == [o["id"] for o in results[0]["outcomes"]]


@every_pattern
def test_a_chat_client_may_send_messages_alone(name: str) -> None:
    with script(name) as model:
        result = graph_of(name).invoke({"messages": [("user", "the task")]}, context=Context(model=model))
    assert result["answer"] == ANSWERS[name]
    assert [type(message) for message in result["messages"]] == [HumanMessage, AIMessage]
    assert result["messages"][-1].text == ANSWERS[name]


@every_pattern
def test_outcomes_are_plain_json_with_unique_ids_and_usage(name: str) -> None:
    with script(name) as model:
        result = graph_of(name).invoke({"task": "the task"}, context=Context(model=model))
    outcomes = result["outcomes"]
    assert json.loads(json.dumps(outcomes)) == outcomes
    assert len({outcome["id"] for outcome in outcomes}) == len(outcomes)
    for outcome in outcomes:
        assert set(outcome) >= OUTCOME_KEYS
        assert outcome["status"] == "ok"
        assert outcome["usage"]["model_calls"] == outcome["attempts"] == 1
        assert outcome["usage"]["input_tokens"] > 0


@every_pattern
@pytest.mark.parametrize("saver", ["memory", "sqlite", "asyncsqlite"])
async def test_a_second_turn_starts_clean_and_keeps_the_conversation(name: str, saver: str, tmp_path: Any) -> None:
    builder, path = REGISTRY[name].load().build(), str(tmp_path / "runs.db")

    async def two_turns(checkpointer: Any) -> None:
        graph = builder.compile(checkpointer=checkpointer, name=name)
        with script(name, turns=2) as model:
            await graph.ainvoke({"task": "first task"}, thread("t"), context=Context(model=model))
            again = {"messages": [HumanMessage("second task")]}
            result = await graph.ainvoke(again, thread("t"), context=Context(model=model))
        assert result["goal"] == "second task"
        assert (result["answer"], result["status"]) == (ANSWERS[name], "completed")
        assert len(result["outcomes"]) == sum(len(steps) for steps in second_turn(name).values())
        assert [m.text for m in result["messages"] if isinstance(m, HumanMessage)] == ["first task", "second task"]
        assert (await graph.aget_state(thread("t"))).tasks == ()

    if saver == "memory":
        await two_turns(InMemorySaver())
    elif saver == "sqlite":
        with SqliteSaver.from_conn_string(path) as sync_saver:
            await two_turns(sync_saver)
    else:
        async with AsyncSqliteSaver.from_conn_string(path) as async_saver:
            await two_turns(async_saver)


@every_pattern
@pytest.mark.parametrize("given", [{}, {"task": "  "}, {"messages": []}, {"messages": [AIMessage("hello")]}])
def test_an_empty_task_is_refused_with_what_was_expected(name: str, given: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match="expected text in `task`"):
        graph_of(name).invoke(given, context=Context(model=ScriptedChatModel([])))


@every_pattern
@pytest.mark.parametrize("thread_id", [None, "", " ", 1, True])
def test_a_thread_id_must_be_a_non_empty_string(name: str, thread_id: Any) -> None:
    graph = REGISTRY[name].load().build().compile(checkpointer=InMemorySaver(), name=name)
    with pytest.raises(InvalidThreadId, match="non-empty string"):
        graph.invoke({"task": "t"}, {"configurable": {"thread_id": thread_id}})


@every_pattern
def test_agents_that_all_fail_give_a_typed_result_and_a_usable_thread(name: str) -> None:
    broken = {agent: [ValueError("broken")] * 10 for agent in HAPPY[name]}
    graph = REGISTRY[name].load().build().compile(checkpointer=InMemorySaver(), name=name)
    result = graph.invoke({"task": "t"}, thread("t"), context=Context(model=ScriptedChatModel(by_agent=broken)))
    assert result["status"] == "failed"
    assert result["answer"] == ""
    assert "ValueError: broken" in result["reason"]
    with script(name) as model:
        result = graph.invoke({"task": "t"}, thread("t"), context=Context(model=model))
    assert (result["answer"], result["status"]) == (ANSWERS[name], "completed")


@every_pattern
def test_an_agent_that_hangs_ends_at_its_limit_with_a_typed_outcome(name: str) -> None:
    stuck = ScriptedChatModel([Step("late", delay=60)] * 4)
    agent = Agent("stuck", model=stuck, policy=Policy(timeout=0.05))
    module, other = REGISTRY[name].load(), Agent("other", model=ScriptedChatModel(["fine"] * 3))
    result = HANGING[name](module, agent, other).compile(name=name).invoke({"task": "t"})
    late = [outcome for outcome in result["outcomes"] if outcome["agent"] == "stuck"]
    assert {outcome["status"] for outcome in late} == {"timed_out"}
    assert {outcome["error"]["type"] for outcome in late} == {"AttemptTimeout"}
    assert result["status"] == ("partial" if name in PARTIAL else "failed")
    assert max(outcome["seconds"] for outcome in late) < 10


@every_pattern
def test_a_budget_ends_the_run_with_what_it_has_and_is_never_exceeded(name: str) -> None:
    needed = sum(len(steps) for steps in HAPPY[name].values())
    for calls in range(needed):
        model = script(name)
        context = Context(model=model, budget=Budget(model_calls=calls))
        result = graph_of(name).invoke({"task": "t"}, context=context)
        assert len(model.requests) == calls
        assert result["status"] in ("stopped", "partial")
        assert "BudgetExceeded" in result["reason"]


@every_pattern
def test_the_compiled_graph_is_named_after_its_file_and_has_no_checkpointer(name: str) -> None:
    graph = graph_of(name)
    assert isinstance(graph, Pattern)
    assert (graph.name, graph.checkpointer) == (name, None)
    builder = REGISTRY[name].load().build()
    assert isinstance(builder, StateGraph)
    assert not hasattr(builder, "invoke")


@every_pattern
def test_the_docstring_says_wiring_use_costs_and_why_it_ends(name: str) -> None:
    doc = REGISTRY[name].load().__doc__
    for part in ("START -> begin", "-> END", "Use it when:", "Costs:", "Ends:", "Source:"):
        assert part in doc, part


@every_pattern
def test_the_drawing_shows_every_agent(name: str) -> None:
    drawing = graph_of(name).get_graph().draw_mermaid()
    for agent in HAPPY[name]:
        assert agent in drawing


@every_pattern
def test_it_runs_bare_with_the_embedded_engine(name: str) -> None:
    result = graph_of(name).invoke({"task": "Say what a list is."})
    assert result["status"] in ("completed", "stopped")
    assert result["answer"]


@every_pattern
def test_any_pattern_can_be_an_agent_of_another(name: str) -> None:
    inner = REGISTRY[name].load().build().compile(name="team")
    graph = single.build(single.build(inner).compile(name="middle")).compile(name="outer")
    with script(name) as model:
        result = graph.invoke({"task": "t"}, context=Context(model=model))
    assert (result["answer"], result["status"]) == (ANSWERS[name], "completed")
    team = result["outcomes"][0]["children"][0]
    assert [outcome["id"] for outcome in team["children"]]
    assert result["outcomes"][0]["usage"]["model_calls"] == sum(len(steps) for steps in HAPPY[name].values())


@every_pattern
def test_any_pattern_can_be_a_node_of_a_plain_graph(name: str) -> None:
    from state import TaskState

    builder = StateGraph(TaskState, context_schema=Context)
    builder.add_node("team", REGISTRY[name].load().build().compile(name="team"))
    builder.set_entry_point("team")
    builder.set_finish_point("team")
    with script(name) as model:
        result = builder.compile().invoke({"messages": [HumanMessage("t")]}, context=Context(model=model))
    assert (result["answer"], result["status"]) == (ANSWERS[name], "completed")


@every_pattern
def test_a_budget_holds_for_the_whole_tree(name: str) -> None:
    graph = single.build(REGISTRY[name].load().build().compile(name="team")).compile(name="outer")
    model = script(name)
    result = graph.invoke({"task": "t"}, context=Context(model=model, budget=Budget(model_calls=0)))
    assert model.requests == []
    assert result["status"] == "stopped"


@every_pattern
def test_a_person_three_levels_deep_is_asked_and_answered_by_id(name: str) -> None:
    person, module = HumanAgent("person"), REGISTRY[name].load()
    inner = single.build(ASKING[name](module, person).compile(name="inner")).compile(name="middle")
    graph = single.build(inner).compile(checkpointer=InMemorySaver(), name="outer")
    paused = graph.invoke({"task": "the task"}, thread("t"))
    assert "__interrupt__" in paused
    (request,) = graph.get_state(thread("t")).interrupts
    assert request.value["review_configs"] == [{"action_name": "person", "allowed_decisions": ["respond"]}]
    decision = {"decisions": [{"type": "respond", "message": "said by a person"}]}
    result = graph.invoke(Command(resume={request.id: decision}), thread("t"))
    assert "said by a person" in result["answer"]
    assert result["status"] == "completed"


@every_pattern
async def test_a_run_cut_off_after_any_step_ends_the_same_and_repeats_no_finished_agent(name: str) -> None:
    """Stop after each superstep in turn, as a crash between two checkpoints would, and continue from what was saved."""
    with script(name) as model:
        whole = await graph_of(name).ainvoke({"task": "t"}, context=Context(model=model))
    steps = [part async for part in graph_of(name).astream({"task": "t"}, context=Context(model=script(name)))]
    for cut in range(1, len(steps)):
        saver = InMemorySaver()
        graph = REGISTRY[name].load().build().compile(checkpointer=saver, name=name)
        with script(name) as model:
            run = graph.astream({"task": "t"}, thread("t"), context=Context(model=model), interrupt_after="*")
            done = len([part async for part in run])
            while done < cut and (await graph.aget_state(thread("t"))).tasks:
                run = graph.astream(None, thread("t"), context=Context(model=model), interrupt_after="*")
                done += len([part async for part in run])
            reborn = REGISTRY[name].load().build().compile(checkpointer=saver, name=name)
            result = await reborn.ainvoke(None, thread("t"), context=Context(model=model))
        assert result["answer"] == whole["answer"]
        assert [o["id"] for o in result["outcomes"]] == [o["id"] for o in whole["outcomes"]]
