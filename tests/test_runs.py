"""Runs from programs: started, watched, recorded, answered, and taken up again after whatever ended them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from langchain_core.messages import AIMessage, HumanMessage
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.types import interrupt

import orchestra
from cases import HAPPY, script
from graphs import parallel, sequential, single
from graphs.registry import REGISTRY
from nodes import Agent, HumanAgent, ScriptedChatModel
from nodes.human import ask
from nodes.scripted import call
from nodes.turn import begin_node, conclude
from orchestra.runs import astand
from state import (
    Budget,
    ConfigurationError,
    Context,
    GraphChanged,
    InvalidAnswer,
    InvalidThreadId,
    ThreadBusy,
    UnknownRequest,
    UnknownThread,
    open_persistence,
)
from state.events import Event
from state.graph import Pattern, PatternBuilder
from state.loop import run_sync
from state.persistence import Persistence
from state.task import TaskState
from tools import requires_approval


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Persistence]:
    with open_persistence(tmp_path / "runs.db") as persistence:
        yield persistence


def gate(*allowed: Any) -> Pattern:
    """Return a graph that asks about an action and answers with the decision."""

    async def ask_first(state: TaskState) -> dict[str, Any]:
        args = {"to": "ann", "copies": 2}
        decision = ask("send", args, "Send the letter?", allowed or ("approve", "edit", "reject", "respond"))
        edited = decision.edited_action.args if decision.edited_action else {}
        return conclude(state, f"{decision.type} {decision.message or ''} {edited or ''}".strip(), status="completed")

    builder = PatternBuilder()
    builder.add_node("begin", begin_node())
    builder.add_node("gate", ask_first)
    builder.add_edge(START, "begin")
    builder.add_edge("begin", "gate")
    builder.add_edge("gate", END)
    return builder.compile(name="gate")


def two_people() -> Pattern:
    return parallel.build([HumanAgent("ann"), HumanAgent("bob")]).compile(name="two")


def test_start_gives_the_result_and_a_readable_unused_thread(place: Persistence) -> None:
    with script("review") as model:
        result = orchestra.start(REGISTRY["review"].load().graph, place, "a text", context=Context(model=model))
    assert (result.status, result.answer, result.reason) == ("completed", "done", "")
    assert [outcome["id"] for outcome in result.outcomes] == ["writer", "critic", "writer#2", "critic#2"]
    assert result.usage["model_calls"] == 4
    assert result.thread.startswith("review-")
    assert place.thread(result.thread) is not None


async def test_sync_and_async_forms_work_inside_a_running_loop(place: Persistence) -> None:
    with script("single", turns=2) as model:
        context = Context(model=model)
        first = await orchestra.astart(single.graph, place, "one", context=context)
        second = orchestra.start(single.graph, place, "two", context=context)
    assert first.answer == second.answer == "done"
    assert {info.thread for info in await orchestra.athreads(place)} == {first.thread, second.thread}


def test_events_are_delivered_in_order_once_and_recorded(place: Persistence) -> None:
    team = sequential.build([Agent("a"), Agent("b")]).compile(name="team")
    model, seen = ScriptedChatModel(by_agent={"a": ["1"], "b": ["2"]}), list[Event]()
    graph = single.build(team).compile(name="outer")
    result = orchestra.start(graph, place, "go", context=Context(model=model), on_event=seen.append)
    assert [(e["kind"], e["agent"], e["parent"]) for e in seen if e["kind"] in ("agent_started", "agent_finished")] == [
        ("agent_started", "team", ""),
        ("agent_started", "a", "team"),
        ("agent_finished", "a", "team"),
        ("agent_started", "b", "team"),
        ("agent_finished", "b", "team"),
        ("agent_finished", "team", ""),
    ]
    numbers = [event["seq"] for event in seen]
    assert numbers == sorted(set(numbers))
    recorded = place.events(result.thread)
    assert [{k: v for k, v in event.items() if k != "id"} for event in recorded] == seen


@pytest.mark.parametrize("task", ["", "  \n"])
def test_an_empty_task_is_refused_and_leaves_no_thread(place: Persistence, task: str) -> None:
    with pytest.raises(ConfigurationError, match="expected a question"):
        orchestra.start(single.graph, place, task)
    assert orchestra.threads(place) == []


def test_a_thread_id_that_is_no_name_is_refused(place: Persistence) -> None:
    with pytest.raises(InvalidThreadId):
        orchestra.start(single.graph, place, "task", thread=" ")


def test_a_second_turn_goes_on_with_the_conversation(place: Persistence) -> None:
    with ScriptedChatModel(["first", "second"]) as model:
        context = Context(model=model)
        orchestra.start(single.graph, place, "one", thread="t", context=context)
        result = orchestra.start(single.graph, place, "two", thread="t", context=context)
    assert result.answer == "second"
    assert [message.text for message in model.requests[1].messages][-3:] == ["one", "first", "two"]
    assert orchestra.threads(place)[0].task == "two"


def test_the_graph_s_own_checkpointer_is_kept(place: Persistence, tmp_path: Path) -> None:
    with open_persistence(tmp_path / "own.db") as own, script("single") as model:
        graph = single.build().compile(own.checkpointer, name="single")
        result = orchestra.start(graph, place, "task", thread="t", context=Context(model=model))
        assert result.status == "completed"
        assert own.checkpointer.get_tuple({"configurable": {"thread_id": "t"}}) is not None
    assert place.checkpointer.get_tuple({"configurable": {"thread_id": "t"}}) is None


def test_a_pause_says_what_is_asked_and_what_may_be_decided(place: Persistence) -> None:
    result = orchestra.start(gate("approve", "reject"), place, "a letter", thread="t")
    assert (result.status, result.answer) == ("waiting", "")
    [request] = result.interrupts
    assert request.description == "Send the letter?"
    assert request.allowed == ("approve", "reject")
    assert [(action.name, action.args) for action in request.actions] == [("send", {"to": "ann", "copies": 2})]
    assert orchestra.threads(place)[0].status == "waiting"


@pytest.mark.parametrize(
    ("decision", "options", "answer"),
    [
        ("approve", {}, "approve"),
        ("reject", {"message": "too soon"}, "reject too soon"),
        ("respond", {"message": "ask bob"}, "respond ask bob"),
        ("edit", {"args": {"to": "bob"}}, "edit  {'to': 'bob', 'copies': 2}"),
        ({"type": "edit", "edited_action": {"name": "send", "args": {"to": "eve"}}}, {}, "edit  {'to': 'eve'}"),
    ],
)
def test_each_decision_reaches_the_graph(
    place: Persistence, decision: Any, options: dict[str, Any], answer: str
) -> None:
    orchestra.start(gate(), place, "a letter", thread="t")
    result = orchestra.answer(gate(), place, "t", decision, **options)
    assert (result.status, result.answer) == ("completed", answer)
    notes = [event["data"] for event in place.events("t") if event["kind"] == "noted"]
    assert [note["note"] for note in notes] == ["started", "answered"]


@pytest.mark.parametrize(
    ("decision", "options", "why"),
    [
        ("respond", {"message": "hm"}, "expected approve or edit, got 'respond'"),
        ("please", {}, "expected approve or edit, got 'please'"),
        ({"decision": "approve"}, {}, "expected approve or edit, got None"),
        ("edit", {"args": {"from": "eve"}}, "has no argument 'from'; it has to, copies"),
        ("edit", {}, "expected what to change"),
        ({"type": "approve", "because": "yes"}, {}, "Extra inputs"),
    ],
)
def test_a_decision_that_does_not_fit_is_refused_and_the_request_stays_open(
    place: Persistence, decision: Any, options: dict[str, Any], why: str
) -> None:
    graph = gate("approve", "edit")
    orchestra.start(graph, place, "a letter", thread="t")
    with pytest.raises(InvalidAnswer, match=why):
        orchestra.answer(graph, place, "t", decision, **options)
    assert orchestra.answer(graph, place, "t", "approve").answer == "approve"


def test_answering_twice_is_refused(place: Persistence) -> None:
    [request] = orchestra.start(gate(), place, "a letter", thread="t").interrupts
    orchestra.answer(gate(), place, "t", "approve", request=request.id)
    for named in (None, request.id):
        with pytest.raises(UnknownRequest, match="asks nothing"):
            orchestra.answer(gate(), place, "t", "reject", request=named)
    assert orchestra.resume(gate(), place, "t").answer == "approve"


def test_of_several_requests_the_named_one_is_answered(place: Persistence) -> None:
    first, second = orchestra.start(two_people(), place, "who?", thread="t").interrupts
    for wrong, why in ((None, "2 open requests"), ("", "no open request"), ("zz", "no open request 'zz'")):
        with pytest.raises(UnknownRequest, match=why):
            orchestra.answer(two_people(), place, "t", "respond", message="me", request=wrong)
    result = orchestra.answer(two_people(), place, "t", "respond", message="me", request=first.id[:8])
    assert (result.status, [request.id for request in result.interrupts]) == ("waiting", [second.id])
    result = orchestra.answer(two_people(), place, "t", "respond", message="no, me", request=second.id)
    assert {outcome["output"] for outcome in result.outcomes} == {"me", "no, me"}


def test_a_request_from_inside_a_team_is_found_and_answered(place: Persistence) -> None:
    graph = single.build(single.build(gate()).compile(name="middle")).compile(name="outer")
    [request] = orchestra.start(graph, place, "a letter", thread="t").interrupts
    assert request.description == "Send the letter?"
    assert orchestra.answer(graph, place, "t", "approve", request=request.id).answer == "approve"


def test_a_new_task_does_not_push_an_open_question_aside(place: Persistence) -> None:
    orchestra.start(gate(), place, "a letter", thread="t")
    with pytest.raises(ThreadBusy, match="answer it first"):
        orchestra.start(gate(), place, "another letter", thread="t")
    assert orchestra.answer(gate(), place, "t", "approve").answer == "approve"


def test_resuming_a_thread_that_waits_changes_nothing(place: Persistence) -> None:
    before = orchestra.start(gate(), place, "a letter", thread="t")
    assert orchestra.resume(gate(), place, "t") == before


def test_resuming_a_thread_that_has_ended_calls_nobody(place: Persistence) -> None:
    with script("sequential") as model:
        result = orchestra.start(sequential.graph, place, "task", thread="t", context=Context(model=model))
    nobody = Context(model=ScriptedChatModel([]))
    assert orchestra.resume(sequential.graph, place, "t", context=nobody) == result


@pytest.mark.parametrize("call", [orchestra.resume, orchestra.history])
def test_an_unknown_thread_is_refused_with_the_way_to_find_it(place: Persistence, call: Any) -> None:
    with pytest.raises(UnknownThread, match="`orchestra threads` lists them"):
        call(single.graph, place, "nowhere")


def test_a_run_that_breaks_off_is_resumed_where_it_was(place: Persistence) -> None:
    works = ["first"]

    async def once(task: str) -> str:
        return works.pop()

    async def refuse(state: Any) -> dict[str, Any]:
        if broken:
            raise RuntimeError("the disk is full")
        return conclude(state, "written", status="completed")

    builder = PatternBuilder()
    builder.add_node("begin", begin_node())
    builder.add_node("work", sequential_node(once))
    builder.add_node("write", refuse)
    for source, target in ((START, "begin"), ("begin", "work"), ("work", "write"), ("write", END)):
        builder.add_edge(source, target)
    graph, broken = builder.compile(name="breaks"), True
    with pytest.raises(RuntimeError, match="disk is full"):
        orchestra.start(graph, place, "task", thread="t")
    info = orchestra.threads(place)[0]
    assert (info.status, info.reason) == ("unfinished", "RuntimeError")
    with pytest.raises(ThreadBusy, match="resume it first"):
        orchestra.start(graph, place, "another", thread="t")
    broken = False
    assert orchestra.resume(graph, place, "t").answer == "written"
    assert works == []


def test_a_thread_that_is_busy_keeps_what_is_noted_about_it(place: Persistence) -> None:
    class Busy(Pattern):
        async def astream(self, *given: Any, **options: Any) -> Any:
            if self.nodes:
                raise ThreadBusy("another run holds the thread", thread="t")
            yield

    orchestra.start(gate(), place, "a letter", thread="t")
    before = orchestra.threads(place)[0].status, place.events("t")
    busy = gate()
    busy.__class__ = Busy
    with pytest.raises(ThreadBusy):
        orchestra.answer(busy, place, "t", "approve")
    assert (orchestra.threads(place)[0].status, place.events("t")) == before


def sequential_node(function: Any) -> Any:
    from nodes.node import agent_node
    from nodes.turn import brief_task

    return agent_node(function, brief_task("worker"))


def test_a_thread_that_ended_before_its_task_was_taken_starts_over(place: Persistence) -> None:
    with script("single", turns=2) as model:
        context = Context(model=model)
        place.note_thread("new", graph="single", task="one", after="")
        standing = run_sync(astand(single.graph, place, "new"))
        assert (standing.status, standing.answer) == ("unfinished", "")
        assert orchestra.resume(single.graph, place, "new", context=context).answer == "done"
        done = orchestra.history(single.graph, place, "new")[-1].checkpoint
        place.note_thread("new", task="two", status="running", after=done)
        orchestra.resume(single.graph, place, "new", context=context)
    assert model.requests[1].messages[-1].text == "two"


class Died(BaseException):
    """The end of a process, as far as what it had noted is concerned."""


def cut_off(graph: Any, place: Persistence, task: Any, **options: Any) -> dict[str, Any]:
    """Start a run that ends once it is noted and before the graph has its input; return what is noted."""

    def die(event: Event) -> None:
        if event["kind"] == "noted":
            raise Died

    with pytest.raises(Died):
        orchestra.start(graph, place, task, thread="t", on_event=die, **options)
    return place.thread("t") or {}


def asked(model: ScriptedChatModel) -> list[tuple[str, str]]:
    return [(message.type, message.text) for message in model.requests[-1].messages]


BOB = [HumanMessage("I am Bob."), AIMessage("Hello, Bob.")]
INPUTS: dict[str, dict[str, Any]] = {
    "a task after messages": {"task": "Who am I?", "messages": BOB},
    "messages": {"messages": [*BOB, HumanMessage("Who am I?")]},
    "one message": {"messages": HumanMessage("Who am I?")},
    "a pair": {"messages": ("user", "Who am I?")},
    "plain messages": {"messages": [{"role": "user", "content": "I am Bob."}, ("user", "Who am I?"), "Answer!"]},
    "a task in a mapping": {"task": "Who am I?"},
}


@pytest.mark.parametrize("name", INPUTS)
def test_an_input_that_was_not_taken_is_taken_whole_by_who_resumes(name: str, place: Persistence) -> None:
    graph = single.build(Agent("a")).compile(name="g")
    first, again, whole = (ScriptedChatModel(said) for said in (["Hi.", "Hi."], ["Bob."], ["Bob."]))
    for thread in ("t", "other"):
        orchestra.start(graph, place, "Hello.", thread=thread, context=Context(model=first))
    orchestra.start(graph, place, INPUTS[name], thread="other", context=Context(model=whole))
    facts = cut_off(graph, place, INPUTS[name], context=Context(model=ScriptedChatModel([])))
    assert (facts["task"], facts["status"]) == (asked(whole)[-1][1], "unfinished")
    assert ("untaken" in facts) == (name != "a task in a mapping")
    assert run_sync(astand(graph, place, "t")).reason == "the task was not taken yet"
    result = orchestra.resume(graph, place, "t", context=Context(model=again))
    assert (result.status, result.answer, asked(again)) == ("completed", "Bob.", asked(whole))
    assert "untaken" not in (place.thread("t") or {})


def test_an_input_that_cannot_be_kept_has_to_be_given_again(place: Persistence) -> None:
    graph = single.build(Agent("a")).compile(name="g")
    given = {"messages": [HumanMessage("What is on it?", additional_kwargs={"photo": b"1"})]}
    assert cut_off(graph, place, given, context=Context(model="extractive"))["untaken"] == {}
    for stands in (run_sync(astand(graph, place, "t")), orchestra.resume(graph, place, "t")) * 2:
        assert (stands.status, stands.answer) == ("unfinished", "")
        assert "start it again with the whole input" in stands.reason
    assert orchestra.threads(place)[0].status == "unfinished"
    again = Context(model=ScriptedChatModel(["A dog."]))
    assert orchestra.start(graph, place, given, thread="t", context=again).answer == "A dog."


def test_secrets_in_an_input_are_not_kept_with_its_thread(place: Persistence) -> None:
    graph = single.build(Agent("a")).compile(name="g")
    context = Context(model=ScriptedChatModel([]), secrets={"door": "swordfish-9921"}, redact=("email",))
    given = [HumanMessage("Mail ann@example.com that it is swordfish-9921."), HumanMessage("Do it.")]
    kept = str(cut_off(graph, place, {"messages": given}, context=context)["untaken"])
    assert "Do it." in kept
    assert "swordfish" not in kept
    assert "ann@example.com" not in kept


def test_an_answer_that_the_run_refuses_leaves_its_thread_waiting(place: Persistence) -> None:
    @requires_approval
    def send(to: str, copies: int = 1) -> str:
        """Send a letter."""
        return f"sent to {to}"

    context = Context(model=ScriptedChatModel([call("send", to="ann", copies=1), "done"]))
    graph = single.build(Agent("clerk", tools=[send])).compile(name="desk")
    orchestra.start(graph, place, "Write to ann.", thread="t", context=context)
    before = {key: (place.thread("t") or {}).get(key) for key in ("status", "reason", "process")}
    with pytest.raises(InvalidAnswer, match="valid integer"):
        orchestra.answer(graph, place, "t", "edit", args={"copies": "many"}, context=context)
    assert {key: (place.thread("t") or {}).get(key) for key in before} == before
    assert before["status"] == "waiting"
    assert orchestra.answer(graph, place, "t", "approve", context=context).answer == "done"


def test_a_builder_is_told_from_a_graph(place: Persistence) -> None:
    with pytest.raises(ConfigurationError, match=r"expected a compiled graph, got a PatternBuilder: call \.compile"):
        orchestra.start(single.build(), place, "the task")
    assert place.threads() == []


def test_the_knobs_of_the_start_hold_after_a_pause(place: Persistence) -> None:
    told: list[Context | None] = []

    async def look(state: TaskState, runtime: Any) -> dict[str, Any]:
        told.append(runtime.context)
        return {}

    builder = gate().builder
    builder.add_node("look", look)
    builder.add_edge("gate", "look")
    graph = builder.compile(name="gate")
    context = Context(model="extractive", budget=Budget(tokens=50), max_rounds=7, corpus="docs")
    orchestra.start(graph, place, "a letter", thread="t", context=context)
    orchestra.answer(graph, place, "t", "approve")
    assert told == [context]


def test_a_model_object_is_asked_for_again_rather_than_replaced(place: Persistence) -> None:
    context = Context(model=ScriptedChatModel([]))
    orchestra.start(gate(), place, "a letter", thread="t", context=context)
    with pytest.raises(ConfigurationError, match="pass context="):
        orchestra.answer(gate(), place, "t", "approve")
    assert orchestra.answer(gate(), place, "t", "approve", context=context).status == "completed"


def test_a_thread_of_a_dead_process_is_not_called_running(place: Persistence) -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    mine = orchestra.thread.this_process()
    place.note_thread("dead", status="running", process={**mine, "pid": gone.pid})
    place.note_thread("alive", status="running", process=mine)
    place.note_thread("elsewhere", status="running", process={**mine, "host": "another", "pid": gone.pid})
    statuses = {info.thread: info.status for info in orchestra.threads(place)}
    assert statuses == {"dead": "unfinished", "alive": "running", "elsewhere": "running"}


def test_history_gives_the_checkpoints_from_the_first_on(place: Persistence) -> None:
    orchestra.start(gate(), place, "a letter", thread="t")
    moments = orchestra.history(gate(), place, "t")
    assert [moment.step for moment in moments] == [-1, 0, 1]
    assert moments[-1].next == ("gate",)
    assert [moment.waiting for moment in moments] == [False, False, True]


def test_a_plain_graph_that_asks_in_words_can_be_answered(place: Persistence) -> None:
    def talk(state: MessagesState) -> dict[str, Any]:
        return {"messages": [AIMessage(f"{state['messages'][-1].text}: {interrupt('Which colour?')}")]}

    graph = StateGraph(MessagesState).add_node(talk).add_edge(START, "talk").compile(name="plain")
    result = orchestra.start(graph, place, "paint", thread="t")
    assert [(r.description, r.allowed) for r in result.interrupts] == [("Which colour?", ("respond",))]
    result = orchestra.answer(graph, place, "t", "respond", message="green")
    assert (result.status, result.answer) == ("completed", "paint: green")


def test_a_team_that_has_stopped_says_so(place: Persistence) -> None:
    model = ScriptedChatModel(by_agent={"writer": ["same", "same"], "critic": HAPPY["review"]["critic"][:1]})
    result = orchestra.start(REGISTRY["review"].load().graph, place, "a text", context=Context(model=model))
    assert result.status == "stopped"
    assert "changed nothing" in result.reason
    assert orchestra.threads(place)[0].reason == result.reason


KILLED = """
import os, signal, sys
from pathlib import Path
from graphs import sequential
from orchestra import resume, start
from state import open_persistence

def noted(name):
    async def work(task: str) -> str:
        with open("calls", "a") as calls:
            calls.write(name + " ")
        if name == "second" and not os.path.exists("spared"):
            Path("spared").touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return name + " done"
    work.__name__ = name
    return work

graph = sequential.build([noted(name) for name in ("first", "second", "third")]).compile(name="three")
with open_persistence("runs.db") as place:
    if sys.argv[1] == "start":
        start(graph, place, "task", thread="t")
    else:
        print(resume(graph, place, "t").answer)
"""


def test_after_a_kill_the_rest_is_done_and_nothing_twice(tmp_path: Path) -> None:
    def run(verb: str) -> subprocess.CompletedProcess[str]:
        here = os.pathsep.join(sys.path)
        return subprocess.run(
            [sys.executable, "-c", KILLED, verb],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": here},
            capture_output=True,
            text=True,
            timeout=60,
        )

    assert run("start").returncode == -signal.SIGKILL
    with open_persistence(tmp_path / "runs.db") as place:
        assert orchestra.threads(place)[0].status == "unfinished"
    resumed = run("resume")
    assert (resumed.returncode, resumed.stdout) == (0, "third done\n"), resumed.stderr
    assert (tmp_path / "calls").read_text() == "first second second third "


def test_a_thread_of_a_program_is_left_to_the_program(place: Persistence) -> None:
    from orchestra.recipe import recipe_of

    orchestra.start(gate(), place, "a letter", thread="t")
    facts = place.thread("t")
    assert facts is not None
    with pytest.raises(GraphChanged, match=r"'gate'.*orchestra\.answer"):
        recipe_of(facts)
