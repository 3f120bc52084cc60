"""Forks: a new thread holds the past of another, goes its own way, and does not repeat what was done to the world."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, StateGraph
from langgraph.types import Command, interrupt

from cases import ANSWERS, ASKING, part, plan_of, says, script
from graphs import plan_execute, sequential, single
from graphs.registry import REGISTRY
from nodes import Agent, HumanAgent, ScriptedChatModel
from nodes.scripted import call
from orchestra import answer, fork, history, inject, resume, start
from orchestra.__main__ import command
from orchestra.forks import find_checkpoint, short_names
from state import Context
from state.errors import ConfigurationError, ThreadBusy, ThreadExists, UnknownCheckpoint, UnknownThread
from state.loop import run_sync
from state.persistence import Persistence, open_persistence
from state.storage.locks import thread_held
from state.storage.pruning import Lineage
from state.storage.signals import Signals, signals_of
from storage import KINDS, Talk, fresh_url, on, reply, talk_graph, texts
from tools import effect

PATTERNS = sorted(name for name, entry in REGISTRY.items() if name in ASKING and entry is not None)


@pytest.fixture(params=KINDS)
def persistence(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Persistence]:
    with fresh_url(request.param, tmp_path) as url, open_persistence(url) as opened:
        yield opened


@pytest.fixture
def file(tmp_path: Path) -> Iterator[Persistence]:
    with open_persistence(tmp_path / "runs.db") as opened:
        yield opened


def stored(persistence: Persistence, thread: str) -> list[Any]:
    """Return all that the saver keeps of a thread."""
    found = persistence.checkpointer.list({"configurable": {"thread_id": thread}})
    return [(each.config, each.checkpoint, each.metadata, each.pending_writes) for each in found]


def crew(calls: list[str], person: str = "person") -> Any:
    """Return a graph of an agent, a person and an agent, who say when they work."""

    async def finder(task: str) -> str:
        calls.append("finder")
        return "found"

    async def writer(task: str) -> str:
        calls.append("writer")
        return f"written after {task.rpartition('Context')[2].split()[-1]}"

    return sequential.build([finder, HumanAgent(person), writer]).compile(name="crew")


def test_a_fork_of_a_waiting_thread_asks_the_same_again_and_leaves_the_thread_as_it_was(
    persistence: Persistence,
) -> None:
    calls: list[str] = []
    graph = crew(calls)
    asked = start(graph, persistence, "go", thread="t")
    before = stored(persistence, "t")
    assert fork(graph, persistence, "t", at=history(graph, persistence, "t")[-1].checkpoint) == "t-fork"
    waiting = resume(graph, persistence, "t-fork")
    assert (waiting.status, waiting.interrupts) == ("waiting", asked.interrupts)
    assert answer(graph, persistence, "t-fork", "respond", message="blue").answer == "written after blue"
    assert stored(persistence, "t") == before
    assert answer(graph, persistence, "t", "respond", message="red").answer == "written after red"
    assert calls == ["finder", "writer", "writer"]


def test_a_fork_at_an_earlier_step_does_again_what_followed(persistence: Persistence) -> None:
    calls: list[str] = []
    graph = crew(calls)
    start(graph, persistence, "go", thread="t")
    answer(graph, persistence, "t", "respond", message="red")
    steps = {moment.next: moment.step for moment in history(graph, persistence, "t")}
    again = {}
    for next_nodes, step in steps.items():
        calls.clear()
        made = fork(graph, persistence, "t", at=step)
        again[next_nodes] = (resume(graph, persistence, made).status, list(calls))
    assert again == {
        ("__start__",): ("waiting", ["finder"]),
        ("begin",): ("waiting", ["finder"]),
        ("finder",): ("waiting", ["finder"]),
        ("person",): ("waiting", []),
        ("writer",): ("completed", ["writer"]),
        ("finish",): ("completed", []),
        (): ("completed", []),
    }


@pytest.mark.parametrize("name", PATTERNS)
def test_a_fork_from_before_the_first_agent_of_a_pattern_comes_to_the_same(name: str, file: Persistence) -> None:
    graph = REGISTRY[name].load().build().compile(name=name)
    first = start(graph, file, "the task", thread="t", context=Context(model=script(name)))
    made = fork(graph, file, "t", at=0)
    again = resume(graph, file, made, context=Context(model=script(name)))
    assert (again.answer, again.status) == (first.answer, first.status) == (ANSWERS[name], "completed")
    assert [each["agent"] for each in again.outcomes] == [each["agent"] for each in first.outcomes]


@pytest.mark.parametrize("name", PATTERNS)
def test_a_fork_of_a_pattern_that_waits_goes_on_from_there(name: str, file: Persistence) -> None:
    graph = ASKING[name](REGISTRY[name].load(), HumanAgent("person")).compile(name=name)
    asked = start(graph, file, "the task", thread="t")
    made = fork(graph, file, "t", at=history(graph, file, "t")[-1].step)
    assert resume(graph, file, made).interrupts == asked.interrupts
    result = answer(graph, file, made, "respond", message="said by a person")
    assert "said by a person" in result.answer
    assert resume(graph, file, "t").interrupts == asked.interrupts


def test_what_siblings_of_a_waiting_subtask_have_done_is_not_done_again_in_a_fork(persistence: Persistence) -> None:
    done: list[str] = []

    async def worker(task: str) -> str:
        done.append(task)
        return "done"

    plan = plan_of(part("a", "worker"), part("b", "person"), part("c", "worker", "b"))
    graph = plan_execute.build([worker, HumanAgent("person")], planner=says("planner", plan)).compile(name="g")
    start(graph, persistence, "go", thread="t")
    assert len(done) == 1
    made = fork(graph, persistence, "t", at=history(graph, persistence, "t")[-1].checkpoint)
    assert answer(graph, persistence, made, "respond", message="yes").status == "completed"
    assert len(done) == 2


def test_at_every_checkpoint_a_fork_holds_the_conversation_as_it_was(persistence: Persistence) -> None:
    graph = talk_graph(checkpointer=persistence.checkpointer)
    for turn in range(3):
        graph.invoke({"messages": [f"question {turn}"]}, on("t"))
    for number, then in enumerate(list(graph.get_state_history(on("t")))):
        made = fork(graph, persistence, "t", at=then.config["configurable"]["checkpoint_id"], to=f"fork {number}")
        now = graph.get_state(on(made))
        assert (texts(now), now.values.get("turns"), now.next) == (texts(then), then.values.get("turns"), then.next)
    assert texts(graph.invoke({"messages": ["aside"]}, on("fork 3")))[-3:] == ["reply 1", "aside", "reply 2"]


def test_a_fork_of_a_thread_with_a_nested_graph_that_asks_goes_on_in_the_nested_graph(persistence: Persistence) -> None:
    replies: list[str] = []

    def say(state: Talk) -> dict[str, Any]:
        replies.append("said")
        return reply(state)

    def ask(state: Talk) -> dict[str, Any]:
        return {"messages": [("ai", interrupt("how many?"))]}

    inner = StateGraph(Talk).add_node(say).add_node(ask).add_edge(START, "say").add_edge("say", "ask")
    graph: Any = StateGraph(Talk).add_node("team", inner.compile()).add_edge(START, "team").compile()
    graph.checkpointer = persistence.checkpointer
    graph.invoke({"messages": ["hi"]}, on("t"))
    made = fork(graph, persistence, "t", at=0)
    (request,) = graph.get_state(on(made)).interrupts
    assert texts(graph.invoke(Command(resume={request.id: "three"}), on(made))) == ["hi", "reply 0", "three"]
    assert replies == ["said"]


def test_effects_of_the_past_are_not_repeated_in_a_fork_and_new_ones_are_made(persistence: Persistence) -> None:
    paid: list[int] = []

    @effect
    def pay(amount: int) -> str:
        """Pay an amount."""
        paid.append(amount)
        return f"paid {amount}"

    steps = [call("pay", amount=5), "done"]
    graph = single.build(says("teller", *steps, *steps, call("pay", amount=7), "more", tools=[pay])).compile(name="g")
    start(graph, persistence, "go", thread="t")
    assert paid == [5]
    made = fork(graph, persistence, "t", at=1)
    assert resume(graph, persistence, made).answer == "done"
    assert paid == [5]
    assert start(graph, persistence, "once more", thread=made).answer == "more"
    assert paid == [5, 7]


def test_state_that_is_changed_in_a_fork_counts_there_and_stays_in_the_same_turn(persistence: Persistence) -> None:
    calls: list[str] = []
    graph = crew(calls)
    asked = start(graph, persistence, "go", thread="t")
    made = fork(graph, persistence, "t", at=1, values={"goal": "walk"})
    (request,) = resume(graph, persistence, made).interrupts
    assert (asked.interrupts[0].actions[0].args["task"], request.actions[0].args["task"]) == ("go", "walk")
    assert (persistence.thread(made) or {})["task"] == "walk"
    turns = {each.metadata.get("orchestra_turn") for each in persistence.lineage(made)}
    assert turns == {each.metadata.get("orchestra_turn") for each in persistence.lineage("t")}
    assert len(turns) == 1


@pytest.mark.parametrize(
    ("values", "as_node", "said"),
    [
        ({"gaol": "walk"}, None, "the state has no 'gaol'; it has "),
        ({"branch:to:writer": None}, None, "the state has no 'branch:to:writer'"),
        ({"goal": "walk"}, "nobody", "does not take 'goal' here"),
        ({"outcomes": 5}, None, "does not take 'outcomes' here"),
    ],
)
def test_a_change_that_the_graph_does_not_take_is_refused_and_leaves_no_fork(
    file: Persistence, values: dict[str, Any], as_node: str | None, said: str
) -> None:
    graph = crew([])
    start(graph, file, "go", thread="t")
    with pytest.raises(ConfigurationError, match=said):
        fork(graph, file, "t", at=1, to="f", values=values, as_node=as_node)
    assert [info["thread"] for info in file.threads()] == ["t"]


@pytest.mark.parametrize("name", REGISTRY)
def test_every_moment_after_one_node_can_be_forked_with_a_changed_channel_and_goes_on_to_the_end(
    name: str, file: Persistence
) -> None:
    context = Context(model="extractive")
    graph = REGISTRY[name].load().build().compile(name=name)
    ended = start(graph, file, "What is a closure, and what is a generator?", thread="t", context=context)
    moments, ran = history(graph, file, "t"), set[str]()
    for number, moment in enumerate(moments):
        to, values = f"f{number}", {"goal": "What is a decorator?"}
        if len(ran) > 1:
            with pytest.raises(ConfigurationError, match=f"{', '.join(sorted(ran))} ran last.*as_node"):
                fork(graph, file, "t", at=moment.checkpoint, to=to, values=values)
            fork(graph, file, "t", at=moment.checkpoint, to=to, values=values, as_node=min(ran))
        else:
            fork(graph, file, "t", at=moment.checkpoint, to=to, values=values)
        stands = history(graph, file, to)[-1]
        assert stands.next == (("begin",) if moment.next == ("__start__",) else moment.next)
        again = fork(graph, file, to, at=stands.checkpoint, values=values)
        assert history(graph, file, again)[-1].next == stands.next
        assert resume(graph, file, to, context=context).status == ended.status
        assert (file.thread(to) or {})["task"] == "What is a decorator?"
        ran = set(moment.next)


@pytest.mark.parametrize("turn", [0, 1])
@pytest.mark.parametrize("following", ["__start__", "begin"])
@pytest.mark.parametrize("channel", ["goal", "task"])
def test_before_a_turn_has_begun_a_fork_changes_what_it_is_given(
    channel: str, following: str, turn: int, file: Persistence
) -> None:
    async def echo(task: str) -> str:
        return f"did: {task}"

    graph: Any = sequential.build([echo]).compile(name="g")
    for given in ("first", "second"):
        start(graph, file, {"task": given, "messages": [("human", f"{given}, as said")]}, thread="t")
    at = [moment for moment in history(graph, file, "t") if moment.next == (following,)][turn]
    made = fork(graph, file, "t", at=at.checkpoint, values={channel: "walk"})
    assert (file.thread(made) or {})["task"] == "walk"
    assert "did: walk" in resume(graph, file, made).answer
    said = [
        message.text
        for message in graph.copy({"checkpointer": file.checkpointer}).get_state(on(made)).values["messages"]
    ]
    assert "second, as said" in said if turn else "first, as said" in said
    for values, why in (({"outcomes": []}, "given only messages, task"), ({channel: " "}, "the task as text")):
        with pytest.raises(ConfigurationError, match=why):
            fork(graph, file, "t", at=at.checkpoint, to="f", values=values)
        assert file.thread("f") is None


def test_a_change_is_routed_by_the_knobs_of_its_thread_and_can_lead_to_a_person(file: Persistence) -> None:
    graph = ASKING["handoff"](REGISTRY["handoff"].load(), HumanAgent("person")).compile(name="g")
    start(graph, file, "the task", thread="t", context=Context(max_handoffs=0))
    (at,) = (moment for moment in history(graph, file, "t") if moment.next == ("finish",))
    made = fork(graph, file, "t", at=at.checkpoint, values={"goal": "again"})
    assert history(graph, file, made)[-1].next == ("finish",)
    saved = graph.copy({"checkpointer": file.checkpointer})
    saved.update_state(on("t", checkpoint_ns="", checkpoint_id=at.checkpoint), {"goal": "again"})
    assert saved.get_state(on("t")).next == ("person",)


def test_a_fork_is_told_what_its_thread_was_told_and_is_not_asked_to_halt(persistence: Persistence) -> None:
    model = ScriptedChatModel(["A", "B", "B", "B", "B", "C"])
    context = Context(model=model)
    graph = sequential.build([Agent("a"), HumanAgent("h"), Agent("b")]).compile(name="g")

    def told() -> list[str]:
        heard = "\n".join(message.text for message in model.requests[-1].messages)
        return [guidance for guidance in ("In French.", "In verse.") if guidance in heard]

    start(graph, persistence, "go", thread="t", context=context)
    inject(graph, persistence, "t", "In French.")
    signals = signals_of(persistence.checkpointer)
    assert signals is not None
    run_sync(signals.halt("t", "stop"))
    early = fork(graph, persistence, "t", at=history(graph, persistence, "t")[-1].checkpoint, to="early")
    answer(graph, persistence, early, "respond", message="ok", context=context)
    assert told() == ["In French."]
    answer(graph, persistence, "t", "respond", message="ok", context=context)
    assert told() == ["In French."]
    inject(graph, persistence, "t", "In verse.")
    (at,) = (moment for moment in history(graph, persistence, "t") if moment.next == ("b",))
    late = fork(graph, persistence, "t", at=at.checkpoint, to="late")
    assert resume(graph, persistence, late, context=context).status == "completed"
    assert told() == ["In French.", "In verse."]
    assert [halt.thread for halt in Signals(signals.place).halts()] == []


def test_a_checkpoint_is_found_by_its_step_its_id_and_a_beginning_or_ending_that_no_other_has(
    file: Persistence,
) -> None:
    graph = crew([])
    start(graph, file, "go", thread="t")
    moments = history(graph, file, "t")
    wanted = moments[1].checkpoint
    alike = wanted[:6]
    (ending, *_) = short_names([moment.checkpoint for moment in moments][1:])
    names: list[str | int] = [wanted, 0, "0", ending, wanted[:-1]]
    for number, at in enumerate(names):
        fork(graph, file, "t", at=at, to=f"f{number}")
        assert (file.thread(f"f{number}") or {})["forked"] == {"thread": "t", "checkpoint": wanted}
    for wrong, said in ((alike, "has 4 checkpoints"), ("x", "no checkpoint 'x'"), (99, "steps -1 to 2"), ("", "no ch")):
        with pytest.raises(UnknownCheckpoint, match=said):
            fork(graph, file, "t", at=wrong)


def test_the_number_of_a_step_is_never_a_part_of_an_id() -> None:
    past = [Lineage("", f"77000{step}-{step}00077", None, {"step": step}) for step in range(3)]
    assert find_checkpoint("t", past, 2) is past[2]
    assert find_checkpoint("t", past, "100077") is past[1]
    for few in (77, "77", "00077", "77000"):
        with pytest.raises(UnknownCheckpoint, match=f"no checkpoint '{few}'"):
            find_checkpoint("t", past, few)
    assert short_names([each.id for each in past]) == ["000077", "100077", "200077"]


def test_what_cannot_be_forked_is_said_with_the_reason(persistence: Persistence) -> None:
    graph = crew([])
    start(graph, persistence, "go", thread="t")
    start(graph, persistence, "go", thread="other")
    before = stored(persistence, "other")
    with pytest.raises(UnknownThread, match="no thread 'nobody'"):
        fork(graph, persistence, "nobody", at=1)
    for taken in ("other", "t"):
        with pytest.raises(ThreadExists, match=f"there is a thread '{taken}'"):
            fork(graph, persistence, "t", at=1, to=taken)
    assert stored(persistence, "other") == before
    with pytest.raises(ConfigurationError, match="a checkpointer of its own"):
        fork(sequential.build([HumanAgent("a")]).compile(InMemorySaver()), persistence, "t", at=1)

    async def while_it_runs() -> None:
        async with thread_held(persistence.checkpointer, "t"):
            fork(graph, persistence, "t", at=1)

    with pytest.raises(ThreadBusy):
        run_sync(while_it_runs())


def test_forks_get_names_that_are_free_and_a_fork_can_be_forked(file: Persistence) -> None:
    graph = crew([])
    start(graph, file, "go", thread="t")
    made = [fork(graph, file, "t", at=1) for _ in range(3)]
    assert made == ["t-fork", "t-fork-2", "t-fork-3"]
    assert fork(graph, file, "t-fork", at=1) == "t-fork-fork"
    assert resume(graph, file, "t-fork-fork").status == "waiting"


# The command


def orchestra(*arguments: str, given: str | None = None) -> Result:
    return CliRunner().invoke(command, arguments, input=given)


@pytest.fixture
def thread() -> str:
    result = orchestra("run", "sequential", "Say it.", "--thread", "t", "--model", "extractive", "--quiet")
    assert result.exit_code == 0, result.output
    return "t"


def test_history_prints_the_command_that_forks_and_it_works(thread: str) -> None:
    result = orchestra("history", thread)
    assert result.exit_code == 0, result.output
    rows = [line.split() for line in result.stdout.splitlines()]
    assert rows[0] == ["checkpoint", "step", "when", "next", "waiting"]
    assert [row[1] for row in rows[1:]] == [str(step) for step in range(-1, len(rows) - 2)]
    words = shlex.split(result.stderr.partition("orchestra ")[2])
    made = orchestra(*words)
    assert made.exit_code == 0, made.output
    assert "orchestra resume t-fork" in made.stderr
    assert orchestra("resume", "t-fork", "--quiet").exit_code == 0
    shown = [json.loads(orchestra("show", name, "--json").stdout) for name in ("t-fork", thread)]
    assert shown[0]["answer"] == shown[1]["answer"]
    assert json.loads(orchestra("history", thread, "--json").stdout)[0]["step"] == -1


def test_the_command_forks_with_changed_state_under_a_given_name(thread: str) -> None:
    made = orchestra("fork", thread, "--at", "1", "--to", "other", "--set", "goal=Say more.", "--json")
    told = json.loads(made.stdout)
    assert (told["thread"], told["from"], told["status"]) == ("other", "t", "unfinished")
    assert orchestra("resume", "other", "--quiet").exit_code == 0
    assert json.loads(orchestra("show", "other", "--json").stdout)["task"] == "Say more."


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["nobody", "--at", "1"], 1, "no thread 'nobody'"),
        (["t", "--at", "77"], 1, "has no checkpoint '77'"),
        (["t", "--at", "1", "--to", "t"], 1, "there is a thread 't'"),
        (["t", "--at", "1", "--set", "goal"], 2, "expected CHANNEL=JSON, got 'goal'"),
        (["t", "--at", "1", "--set", 'goal={"a": '], 2, "--set goal: expected JSON"),
        (["t", "--at", "1", "--set", "nothing=1"], 2, "the state has no 'nothing'"),
        (["t", "--at", "1", "--as-node", "begin"], 2, "there are none"),
        (["t"], 2, "--at"),
    ],
)
def test_the_command_says_what_is_wrong_with_a_fork(thread: str, arguments: list[str], code: int, said: str) -> None:
    result = orchestra("fork", *arguments)
    assert (result.exit_code, said in result.stderr) == (code, True), result.output
    assert [each["thread"] for each in json.loads(orchestra("threads", "--json").stdout)] == [thread]
