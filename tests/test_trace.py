"""The trace: one tree for each thread, over all agents, processes and resumes, whichever way its runs were started."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from langchain_core.messages import AIMessage, HumanMessage
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.types import Command

import orchestra
from acting import fails, says
from cases import HAPPY
from graphs import group_chat, parallel, plan_execute, router, sequential, single
from graphs.registry import REGISTRY
from nodes import Agent, Fallback, HumanAgent, Policy, ScriptedChatModel, until
from nodes.scripted import call
from orchestra.tracing import Span, Trace, read_trace
from orchestra.tracing.telling import filtered
from state import Budget, Context, InvalidAnswer, UnknownThread, open_persistence
from state.events import Event
from state.graph import Pattern
from state.persistence import Persistence
from tools import effect, requires_approval

TASK = "Compare A and B."


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Persistence]:
    with open_persistence(tmp_path / "runs.db") as persistence:
        yield persistence


def on(thread: str) -> RunnableConfig:
    return {"configurable": {"thread_id": thread}}


def kept(builder: Any, place: Persistence, name: str = "p") -> Pattern:
    graph: Pattern = builder.compile(name=name, checkpointer=place.checkpointer)
    return graph


def happy(pattern: str, place: Persistence) -> tuple[Pattern, Context]:
    graph = kept(REGISTRY[pattern].load().build(), place, pattern)
    return graph, Context(model=ScriptedChatModel(by_agent=HAPPY[pattern]))


def paths(trace: Trace) -> dict[tuple[Any, ...], Span]:
    """Return the spans by the way that leads to them: the turn, then agent and step of each from the top."""
    found: dict[tuple[Any, ...], Span] = {}

    def walk(span: Span, above: tuple[Any, ...]) -> None:
        here = (*above, (span.agent, span.step))
        assert here not in found
        found[here] = span
        for child in span.children:
            walk(child, here)

    for turn in trace.turns:
        for span in turn.spans:
            walk(span, (turn.number,))
    return found


def expect_consistent_prefixes(events: list[Any]) -> None:
    """Check that the tree of every prefix is a part of the whole one, with all that is above each step."""
    whole = paths(read_trace(events))
    places = {path: at for at, path in enumerate(whole)}
    for length in range(len(events) + 1):
        part = paths(read_trace(events[:length]))
        assert all(path[:-1] in part or len(path) == 2 for path in part)
        order = [places[path] for path in part]
        assert order == sorted(order)
        for path, span in part.items():
            assert span.started == whole[path].started
            assert span.model_calls <= whole[path].model_calls
            assert len(span.calls) <= len(whole[path].calls)
            assert len(span.decisions) <= len(whole[path].decisions)


def shape(spans: list[Span]) -> list[Any]:
    return [(span.name, shape(span.children)) if span.children else span.name for span in spans]


def own_decisions(trace: Trace) -> list[str]:
    spans = [one for span in trace.spans() for one in span.decisions]
    return [one.kind for turn in trace.turns for one in turn.decisions] + [one.kind for one in spans]


# --- whichever door


@pytest.mark.parametrize("pattern", list(HAPPY))
def test_a_graph_that_is_called_directly_is_recorded(pattern: str, place: Persistence) -> None:
    graph, context = happy(pattern, place)
    result = graph.invoke({"task": TASK}, on("t"), context=context)
    found = orchestra.trace(place, "t")
    assert (found.graph, found.task, found.status) == (pattern, TASK, "completed")
    assert {span.status for span in found.spans()} == {"ok"}
    assert found.usage["model_calls"] == sum(outcome["usage"]["model_calls"] for outcome in result["outcomes"])
    assert found.usage["output_tokens"] == sum(outcome["usage"]["output_tokens"] for outcome in result["outcomes"])
    assert {event["run"] for event in found.events} == set(found.turns[0].runs)
    assert {event["thread"] for event in found.events} == {"t"}
    numbers = [event["seq"] for event in found.events]
    assert numbers == sorted(set(numbers))
    assert found.events[-1]["kind"] == "run_ended"
    json.dumps(found.to_json())


@pytest.mark.parametrize("pattern", list(HAPPY))
def test_every_prefix_of_the_events_gives_a_part_of_the_same_tree(pattern: str, place: Persistence) -> None:
    graph, context = happy(pattern, place)
    graph.invoke({"task": TASK}, on("t"), context=context)
    expect_consistent_prefixes(place.events("t"))


@pytest.mark.parametrize("pattern", list(HAPPY))
def test_a_run_is_recorded_once_by_whichever_door(pattern: str, tmp_path: Path) -> None:
    told = []
    for number, door in enumerate(("graph", "start")):
        with open_persistence(tmp_path / f"{number}.db") as place:
            graph, context = happy(pattern, place)
            if door == "graph":
                graph.invoke({"task": TASK}, on("t"), context=context)
            else:
                orchestra.start(graph, place, TASK, thread="t", context=context)
            told.append(sorted((event["kind"], event["agent"], event["step"]) for event in place.events("t")))
            assert place.thread("t") is not None
    assert told[0] == told[1]


async def test_streams_and_several_turns_are_recorded_too(place: Persistence) -> None:
    graph = kept(single.build(Agent("a", model=ScriptedChatModel(["one", "two", "three"]))), place)
    async for _ in graph.astream({"task": "first"}, on("t")):
        pass
    await graph.ainvoke({"messages": [HumanMessage("second")]}, on("t"))
    for _ in graph.stream({"messages": [{"role": "user", "content": "third"}]}, on("t"), stream_mode="values"):
        pass
    found = await orchestra.atrace(place, "t")
    assert [turn.task for turn in found.turns] == ["first", "second", "third"]
    assert [[span.output for span in turn.spans] for turn in found.turns] == [["one"], ["two"], ["three"]]
    assert len({run for turn in found.turns for run in turn.runs}) == 3


async def test_a_stream_that_is_left_early_is_unfinished(place: Persistence) -> None:
    graph = kept(sequential.build([says("a", "one"), says("b", "two")]), place)
    stream = graph.astream({"task": TASK}, on("t"), stream_mode="updates")
    async for update in stream:
        if "a" in update:
            break
    await stream.aclose()
    found = orchestra.trace(place, "t")
    assert (found.status, found.reason) == ("unfinished", "interrupted")
    assert found.turns[0].spans[0].status == "ok"
    await graph.ainvoke(None, on("t"))
    found = orchestra.trace(place, "t")
    assert (found.status, len(found.turns), len(found.turns[0].runs)) == ("completed", 1, 2)
    assert [note.kind for note in found.turns[0].notes] == ["started", "ended", "resumed", "ended"]


def test_a_graph_in_memory_or_without_a_checkpointer_is_not_recorded(place: Persistence) -> None:
    builder = single.build(Agent("a", model=ScriptedChatModel(["one", "two"])))
    builder.compile(checkpointer=InMemorySaver()).invoke({"task": TASK}, on("t"))
    builder.compile().invoke({"task": TASK})
    assert place.threads() == []


def test_a_run_that_breaks_off_says_so_and_its_steps_are_one_span_when_it_goes_on(place: Persistence) -> None:
    tries = iter([KeyboardInterrupt(), "fine"])

    async def flaky(task: str) -> str:
        now = next(tries)
        if isinstance(now, BaseException):
            raise now
        return str(now)

    graph = kept(sequential.build([says("a", "one"), flaky]), place)
    with pytest.raises(KeyboardInterrupt):
        graph.invoke({"task": TASK}, on("t"))
    broken = orchestra.trace(place, "t")
    assert broken.status == "unfinished"
    assert [(span.name, span.status) for span in broken.spans()] == [("a", "ok"), ("flaky", "unfinished")]
    graph.invoke(None, on("t"))
    found = orchestra.trace(place, "t")
    assert [(span.name, span.status, span.tries) for span in found.spans()] == [("a", "ok", 1), ("flaky", "ok", 2)]
    assert found.status == "completed"
    expect_consistent_prefixes(place.events("t"))


def test_an_unknown_thread_is_refused(place: Persistence) -> None:
    with pytest.raises(UnknownThread, match="orchestra threads"):
        orchestra.trace(place, "none")


# --- the tree


def test_teams_of_teams_whose_steps_have_the_same_names_are_told_apart(place: Persistence) -> None:
    def team(name: str) -> Any:
        inner = sequential.build([says("x", f"{name} x"), says("y", f"{name} y")]).compile(name="inner")
        return sequential.build([inner]).compile(name=name)

    graph = kept(parallel.build([team("north"), team("south")]), place)
    graph.invoke({"task": TASK}, on("t"))
    found = orchestra.trace(place, "t")
    inner = ("inner", ["x", "y"])
    assert shape(found.turns[0].spans) == [("north", [inner]), ("south", [inner])]
    said = {span.name: [one.output for one in span.below() if not one.children] for span in found.turns[0].spans}
    assert said == {"north": ["north x", "north y"], "south": ["south x", "south y"]}
    assert found.usage["model_calls"] == 4
    assert found.turns[0].spans[0].total()["model_calls"] == 2
    expect_consistent_prefixes(place.events("t"))


def test_a_step_that_waits_for_a_person_is_one_span_over_the_pause(place: Persistence) -> None:
    graph = kept(parallel.build([HumanAgent("ann"), says("other", "fine")]), place)
    result = graph.invoke({"task": TASK}, on("t"))
    waiting = orchestra.trace(place, "t")
    assert waiting.status == "waiting"
    assert {span.name: span.status for span in waiting.spans()} == {"ann": "waiting", "other": "ok"}
    (asked,) = [one for span in waiting.spans() for one in span.decisions]
    request = result["__interrupt__"][0].id
    assert (asked.kind, asked.subject, asked.data["requests"][0]["id"]) == ("ask", "ann", request)
    answer = {request: {"decisions": [{"type": "respond", "message": "fine too"}]}}
    graph.invoke(Command(resume=answer), on("t"))
    found = orchestra.trace(place, "t")
    ann = next(span for span in found.spans() if span.agent == "ann")
    assert (ann.status, ann.tries, ann.output) == ("ok", 2, "fine too")
    assert [one.kind for one in ann.decisions] == ["ask", "respond"]
    notes = [(note.kind, note.subject) for note in found.turns[0].notes]
    assert notes == [("started", ""), ("ended", ""), ("answered", request), ("ended", "")]
    expect_consistent_prefixes(place.events("t"))


def test_an_answer_that_does_not_fit_leaves_the_thread_waiting(place: Persistence) -> None:
    graph = kept(single.build(HumanAgent("ann")), place)
    (asked,) = graph.invoke({"task": TASK}, on("t"))["__interrupt__"]
    with pytest.raises(InvalidAnswer):
        graph.invoke(Command(resume={asked.id: {"decisions": [{"type": "approve"}]}}), on("t"))
    found = orchestra.trace(place, "t")
    assert (found.status, [span.status for span in found.spans()]) == ("waiting", ["waiting"])


def test_a_person_s_decision_about_a_tool_is_told_once_with_its_reason_and_the_effect(place: Persistence) -> None:
    done: list[str] = []

    def send(to: str) -> str:
        """Send a letter."""
        done.append(to)
        return f"sent to {to}"

    model = ScriptedChatModel([call("send", to="ann"), call("send", to="bob"), "done"])
    clerk = Agent("clerk", tools=[requires_approval(effect(send))], model=model)
    graph = kept(single.build(clerk), place)
    result = orchestra.start(graph, place, TASK, thread="t")
    result = orchestra.answer(graph, place, "t", "reject", message="too early")
    orchestra.answer(graph, place, "t", "approve")
    found = orchestra.trace(place, "t")
    (span,) = found.spans()
    people = [(one.kind, one.subject, one.reason) for one in span.decisions if one.kind in ("approve", "reject")]
    assert people == [("reject", "send", "too early"), ("approve", "send", "")]
    assert done == ["bob"]
    assert [record.outcome for record in found.audit if record.kind == "effect"] == ["carried out"]
    assert (span.tries, span.model_calls, result.status) == (3, 3, "waiting")
    assert [one.name for one in span.calls if one.kind == "tool"] == ["send"]


def test_a_fallback_and_a_failure_are_told_with_their_reasons(place: Persistence) -> None:
    spare = says("spare", "instead")
    first = Agent(
        "a", model=ScriptedChatModel([ValueError("broken")]), policy=Policy(fallback=(Fallback(agent=spare),))
    )
    graph = kept(parallel.build([first, fails("b")]), place)
    graph.invoke({"task": TASK}, on("t"))
    found = orchestra.trace(place, "t")
    spans = {span.agent: span for span in found.spans()}
    assert [(one.kind, one.subject) for one in spans["a"].decisions] == [("fallback", "spare")]
    assert (spans["spare"].step, spans["spare"].status) == ("a", "ok")
    assert spans["b"].error is not None
    assert (spans["b"].status, spans["b"].error["type"]) == ("failed", "ValueError")
    assert spans["b"].calls[0].error == "ValueError"
    only = filtered(found, errors=True)
    assert [span.agent for span in only.spans()] == ["a", "b"]


def test_what_a_step_was_given_is_told_by_names_and_sizes_and_never_contents(place: Persistence) -> None:
    agents = [
        Agent("a", "First.", "Prompt words.", model=ScriptedChatModel(["Cobalt words."])),
        Agent("b", "Second.", "Other words.", model=ScriptedChatModel(["Done."])),
    ]
    kept(sequential.build(agents), place).invoke({"task": TASK}, on("t"))
    found = orchestra.trace(place, "t")
    given = [span.given for span in found.spans()]
    assert given[0] == {"task": len(TASK), "prompt": len("Prompt words.")}
    (heading,) = given[1]["context"]
    assert (given[1]["context"][heading], given[1]["prompt"]) == (len("Cobalt words."), len("Other words."))
    begun = [event["data"]["given"] for event in place.events("t") if event["kind"] == "agent_started"]
    assert "Cobalt" not in json.dumps(begun)
    assert "words" not in json.dumps(begun)


def test_what_is_left_of_the_budget_is_told_at_the_end_of_each_run(place: Persistence) -> None:
    graph = kept(single.build(says("a", "one")), place)
    graph.invoke({"task": TASK}, on("t"), context=Context(budget=Budget(model_calls=5)))
    found = orchestra.trace(place, "t")
    assert found.budget_left == {found.turns[0].runs[0]: {"model_calls": 4}}
    kept(single.build(says("b", "one")), place).invoke({"task": TASK}, on("u"))
    assert orchestra.trace(place, "u").budget_left == {}


# --- decisions of patterns

DECISIONS = {
    "map_reduce": {"split"},
    "review": {"review"},
    "debate": {"winner"},
    "router": {"route"},
    "supervisor": {"delegate", "finish"},
    "handoff": {"handoff"},
    "hierarchical": {"propose", "plan", "verdict"},
    "plan_execute": {"propose", "plan", "progress"},
    "magentic": {"ledger"},
    "adaptive": {"propose", "pattern", "plan"},
}


@pytest.mark.parametrize("pattern", list(DECISIONS))
def test_what_a_pattern_decides_is_told(pattern: str, place: Persistence) -> None:
    graph, context = happy(pattern, place)
    graph.invoke({"task": TASK}, on("t"), context=context)
    kinds = own_decisions(orchestra.trace(place, "t"))
    assert DECISIONS[pattern] <= set(kinds)


def decided(place: Persistence, kind: str) -> list[tuple[str, str]]:
    data = [event["data"] for event in place.events("t") if event["data"].get("decision") == kind]
    return [(each.get("subject", ""), each.get("reason", "")) for each in data]


def test_who_speaks_next_is_told_with_the_reason_whoever_says_so(place: Persistence) -> None:
    speakers = [says("a", "one", "three"), says("b", "two")]
    moderator = says(
        "m", {"speaker": "b", "reason": "It is new."}, {"speaker": "nobody here"}, {"done": True, "reason": "enough"}
    )
    kept(group_chat.build(speakers, moderator=moderator), place).invoke({"task": TASK}, on("t"))
    first, second, third = decided(place, "speaker")
    assert first == ("b", "It is new.")
    assert second[0] == "a"
    assert "nobody here" in second[1]
    assert third == ("nobody", "m: enough")
    assert [event["data"]["ended_by"] for event in place.events("t") if "ended_by" in event["data"]] == ["m: enough"]


def test_a_rule_that_chooses_and_a_condition_that_stops_are_told(place: Persistence) -> None:
    graph = group_chat.build(
        [says("a", "one"), says("b", "two")], rule=lambda said: "b" if not said else "a", until=until.rounds(1)
    )
    kept(graph, place).invoke({"task": TASK}, on("t"))
    assert [subject for subject, _ in decided(place, "speaker")] == ["b", "a"]
    (ended,) = [event["data"] for event in place.events("t") if event["data"].get("decision") == "conclude"]
    assert "round" in ended["ended_by"]


def test_a_default_route_is_told_with_why(place: Persistence) -> None:
    unsure = says("router", {"agents": ["a"], "confidence": 0.1, "reason": "a guess"})
    graph = router.build([says("a", "one"), says("b", "two")], router=unsure, default="b")
    kept(graph, place).invoke({"task": TASK}, on("t"), context=Context(min_confidence=0.5))
    assert decided(place, "route") == [("a", "a guess")]
    (ended,) = [event["data"] for event in place.events("t") if event["data"].get("decision") == "conclude"]
    assert (ended["taken"], "0.1" in ended["why"]) == ("default", True)


def test_a_conflict_and_what_settled_it_are_told(place: Persistence) -> None:
    graph = parallel.build([says("a", "yes"), says("b", "no"), says("c", "yes")], resolve="vote")
    kept(graph, place).invoke({"task": TASK}, on("t"))
    assert decided(place, "conflict") == [("vote", "1 of 3 disagree")]


def test_a_plan_that_was_refused_and_changed_is_told_with_why(place: Persistence) -> None:
    broken = {"subtasks": [{"id": "x", "task": "Do it.", "agent": "nobody", "depends_on": []}]}
    graph = plan_execute.build([says("a", "one")], planner=says("planner", broken, broken, broken))
    kept(graph, place).invoke({"task": TASK}, on("t"))
    refused = decided(place, "refuse_plan")
    assert len(refused) == 2
    assert all("nobody" in reason for _, reason in refused)
    ((subject, reason),) = decided(place, "change_plan")
    assert subject == "task-1"
    assert "one agent was given the whole task" in reason


# --- reading


def test_no_events_are_a_trace_of_nothing() -> None:
    found = read_trace([])
    assert (found.thread, found.status, found.turns, list(found.spans())) == ("", "", [], [])
    json.dumps(found.to_json())


def test_calls_are_counted_with_their_figures_and_an_unknown_price_stays_unknown() -> None:
    def event(kind: Any, seq: int, **data: Any) -> Event:
        return Event(kind=kind, run="r", thread="t", agent="a", step="a", parent="", seq=seq, at=float(seq), data=data)

    call_of = {"input_tokens": 10, "output_tokens": 5, "seconds": 0.5}
    events = [
        event("agent_started", 1, task="go", sender="user"),
        event("model_called", 2, model="m", usd=0.25, tools=["look"], **call_of),
        event("tool_called", 3, tool="look", arguments=["key"], status="error", characters=12, seconds=0.1),
        event("model_called", 4, model="m", cached=True, seconds=0.0),
        event("model_called", 5, model="m", usd=0.5, **call_of),
    ]
    (span,) = read_trace(events).spans()
    assert (span.model_calls, span.tool_calls, span.cached, span.usd, span.tokens) == (2, 1, 1, 0.75, 30)
    assert [(one.kind, one.name, one.error) for one in span.calls][1] == ("tool", "look", "error")
    (span,) = read_trace([*events, event("model_called", 6, model="m", usd=None, **call_of)]).spans()
    assert span.usd is None
    assert (span.status, span.attempts) == ("running", 3)


def test_an_answer_of_the_model_that_holds_a_secret_is_recorded_without_it(place: Persistence) -> None:
    secret = "sk-ant-api03-Zx9Yw8Vu7Ts6Rq5Po4Nm3Lk2"
    model = ScriptedChatModel([AIMessage(f"The key is {secret}.")])
    kept(single.build(Agent("a", model=model)), place).invoke({"task": f"Use {secret}."}, on("t"))
    told = json.dumps(orchestra.trace(place, "t").to_json())
    assert "The key is [redacted]" in told
    assert secret not in told


def test_filters_keep_what_is_above_a_step(place: Persistence) -> None:
    team = sequential.build([says("x", "one"), says("y", "two")]).compile(name="team")
    kept(sequential.build([team, says("z", "three")]), place).invoke({"task": TASK}, on("t"))
    found = orchestra.trace(place, "t")
    assert shape(filtered(found, agent="y").turns[0].spans) == [("team", ["y"])]
    assert shape(filtered(found, kinds=["tool"]).turns[0].spans) == []
    assert filtered(found, turn=-1).turns == found.turns
    assert filtered(found, turn=7).turns == []
