"""Authority: what an agent may do is decided where a tool executes, and shrinks wherever work is passed on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from langchain_core.messages import AIMessage
from langchain_core.tools import BaseTool

from cases import HANGING, give, part, plan_of, says
from graphs import handoff, map_reduce, parallel, plan_execute, sequential, single, supervisor
from graphs.registry import REGISTRY
from nodes import Agent, Policy, ScriptedChatModel
from nodes.authority import Authority, authority_by
from nodes.scripted import call
from state import ConfigurationError, open_persistence
from state.labels import without_lines
from state.persistence import Persistence
from tools import create_consult_tool, create_delegate_tool, effect, needs, requires_approval
from tools.marks import RIGHTS

PATTERNS = [name for name, entry in REGISTRY.items() if not entry.is_team]
NAMES = ("look", "pay", "send", "wipe", "run", "ask")
THREAD: Any = {"configurable": {"thread_id": "t"}}

names = st.frozensets(st.sampled_from(NAMES))
rights = st.frozensets(st.sampled_from(sorted(RIGHTS)))
authorities = st.builds(
    Authority,
    st.sampled_from(["a", "b", "c"]),
    grants=rights,
    allow=st.none() | names,
    approve=names,
    deny=names,
    tainted=st.sampled_from(["allow", "approve", "deny"]),
)


class Till:
    """A tool for each right, and what was done with them."""

    def __init__(self) -> None:
        self.done: list[str] = []

        def named(name: str) -> Any:
            def tool() -> str:
                """Do it."""
                self.done.append(name)
                return f"{name} is done"

            tool.__name__ = name
            return tool

        self.tools: dict[str, BaseTool] = {
            "look": needs("read")(named("look")),
            "pay": effect(needs()(named("pay"))),
            "send": needs("network")(named("send")),
            "wipe": needs("write")(named("wipe")),
            "run": needs("code")(named("run")),
        }
        self.plain = named("plain")


def told(agent: Agent) -> list[str]:
    assert isinstance(agent.model, ScriptedChatModel)
    return [without_lines(m.text) for m in agent.model.requests[-1].messages if m.type == "tool"]


def run(builder: Any, task: str = "go") -> dict[str, Any]:
    result: dict[str, Any] = builder.compile(name="g").invoke({"task": task})
    return result


@given(authorities, authorities, authorities)
def test_work_that_is_passed_on_never_gains_a_right(one: Authority, two: Authority, three: Authority) -> None:
    both = one.within(two)
    assert both.grants <= one.grants & two.grants
    assert both.deny >= one.deny | two.deny
    assert both.approve >= one.approve | two.approve
    for name in NAMES:
        for right in RIGHTS:
            allowed = not both.why_not(name, [right])
            assert not allowed or not (one.why_not(name, [right]) or two.why_not(name, [right]))
            again = not one.within(two.within(three)).why_not(name, [right])
            assert again == (not both.within(three).why_not(name, [right]))
            assert allowed == (not both.within(two).why_not(name, [right]))


def test_deny_comes_before_approve_and_approve_before_allow(caplog: pytest.LogCaptureFixture) -> None:
    till = Till()
    policy = Policy(deny=("pay",), approve=("pay", "look"), allow=("pay", "look"))
    agent = says("clerk", call("pay"), call("look"), call("wipe"), "done", tools=[*till.tools.values()], policy=policy)
    run(single.build(agent))
    assert till.done == []
    denied, asked, other = told(agent)
    assert denied == "Denied: clerk may not use pay."
    assert asked == "Denied: look needs a person's approval, and this run keeps nothing to pause with."
    assert other == "Denied: clerk may not use wipe."
    (warned,) = [record.getMessage() for record in caplog.records if record.name == "orchestra.approval"]
    assert warned.startswith("clerk was denied: look needs a person's approval")
    assert warned.endswith("Compile the graph with a checkpointer.")


@pytest.mark.parametrize("granted", [(), ("read",), ("read", "effect"), ("network", "code", "write")])
def test_an_agent_uses_the_tools_that_need_no_more_than_it_was_granted(granted: Any) -> None:
    till = Till()
    steps = [call(name) for name in (*till.tools, "plain")]
    agent = says("clerk", *steps, "done", tools=[*till.tools.values(), till.plain], policy=Policy(grants=granted))
    run(single.build(agent))
    needed = {"look": "read", "pay": "effect", "send": "network", "wipe": "write", "run": "code"}
    assert till.done == [name for name, right in needed.items() if right in granted]
    missing = sorted(set(RIGHTS) - set(granted))
    assert told(agent)[-1] == f"Denied: plain needs {', '.join(missing)}, which clerk was not granted."


@pytest.mark.parametrize("kind", ["consult", "delegate"])
def test_whom_an_agent_asks_can_do_no_more_than_both_may(kind: str) -> None:
    till = Till()
    worker = says("worker", call("look"), call("pay"), "tried", tools=[*till.tools.values()])
    tool = create_consult_tool([worker]) if kind == "consult" else create_delegate_tool([worker])
    args = {"peer": "worker", "question": "?"} if kind == "consult" else {"agent": "worker", "task": "?"}
    asker = says("asker", call(kind, **args), "done", tools=[tool], policy=Policy(grants=("read",)))
    run(single.build(asker))
    assert till.done == ["look"]
    assert told(worker)[1] == "Denied: pay needs effect, which worker was not granted."


def test_what_one_is_denied_its_colleagues_are_denied_for_it() -> None:
    till = Till()
    worker = says("worker", call("pay"), "tried", tools=[till.tools["pay"]])
    middle = says("middle", call("consult", peer="worker", question="?"), "m", tools=[create_consult_tool([worker])])
    asker = says(
        "asker",
        call("consult", peer="middle", question="?"),
        "done",
        tools=[create_consult_tool([middle])],
        policy=Policy(deny=("pay",)),
    )
    run(single.build(asker))
    assert till.done == []
    assert told(worker) == ["Denied: asker, for whom worker works, may not use pay."]


def test_control_that_is_handed_over_keeps_the_limits_until_it_comes_back() -> None:
    till = Till()
    desk = says("desk", call("pay"), call("transfer_to_front", reason="done"), tools=[till.tools["pay"]])
    steps = [call("transfer_to_desk", reason="money"), "back"]
    front = says("front", *steps, policy=Policy(grants=("read",)))
    result = run(handoff.build([front, desk], entry="front"))
    assert (result["answer"], till.done) == ("back", [])
    assert told(desk)[0] == "Denied: pay needs effect, which desk was not granted."


def test_an_agent_that_is_in_control_in_the_next_turn_keeps_the_limits_it_got_control_under(place: Persistence) -> None:
    till = Till()
    desk = says("desk", "here", call("pay"), "tried", tools=[till.tools["pay"]])
    front = says("front", call("transfer_to_desk", reason="money"), policy=Policy(deny=("pay",)))
    graph = handoff.build([front, desk], entry="front").compile(checkpointer=place.checkpointer, name="g")
    graph.invoke({"task": "one"}, THREAD)
    graph.invoke({"task": "two"}, THREAD)
    assert till.done == []


@pytest.mark.parametrize("pattern", ["supervisor", "plan_execute"])
def test_a_leaders_workers_can_do_no_more_than_the_leader_may(pattern: str) -> None:
    till = Till()
    worker = says("worker", call("pay"), "tried", tools=[till.tools["pay"]])
    policy = Policy(deny=("pay",))
    if pattern == "supervisor":
        leader = says("leader", give("worker"), {"answer": "done"}, policy=policy)
        result = run(supervisor.build([worker], supervisor=leader))
    else:
        leader = says("leader", plan_of(part("a", "worker")), policy=policy)
        result = run(plan_execute.build([worker], planner=leader))
    assert (result["status"], till.done) == ("completed", [])
    assert told(worker) == ["Denied: leader, for whom worker works, may not use pay."]


def test_a_team_within_a_team_has_the_limits_of_whoever_it_works_for() -> None:
    till = Till()
    worker = says("worker", call("pay"), "tried", tools=[till.tools["pay"]])
    team = sequential.build([worker]).compile(name="team")
    outer = sequential.build([team]).compile(name="outer")
    asker = says(
        "asker",
        call("delegate", agent="outer", task="go"),
        "done",
        tools=[create_delegate_tool([outer])],
        policy=Policy(grants=("read",)),
    )
    run(single.build(asker))
    assert till.done == []
    assert told(worker) == ["Denied: pay needs effect, which worker was not granted."]


def test_an_approval_that_one_needs_its_colleagues_need_too() -> None:
    till = Till()
    worker = says("worker", call("pay"), "tried", tools=[till.tools["pay"]])
    step = call("consult", peer="worker", question="?")
    asker = says("asker", step, "done", tools=[create_consult_tool([worker])], policy=Policy(approve=("pay",)))
    run(single.build(asker))
    assert till.done == []
    assert "needs a person's approval" in told(worker)[0]


@pytest.mark.parametrize("pattern", ["sequential", "supervisor", "map_reduce"])
def test_what_one_agent_read_taints_the_work_that_is_passed_on_to_another(pattern: str, place: Persistence) -> None:
    till, words = Till(), "The page says: pay."
    page = Agent("reader", tools=[till.tools["look"]], model=ScriptedChatModel([call("look"), words]))
    payer = says("payer", call("pay"), "done", tools=[till.tools["pay"]], policy=Policy(tainted="deny"))
    if pattern == "sequential":
        builder = sequential.build([page, payer])
    elif pattern == "map_reduce":
        builder = map_reduce.build(payer, splitter=page)
    else:
        given = [{"agent": "reader", "task": "read"}, {"agent": "payer", "task": "pay"}, {"answer": "fine"}]
        builder = supervisor.build([page, payer], supervisor=says("boss", *(json.dumps(one) for one in given)))
    builder.compile(checkpointer=place.checkpointer, name="g").invoke({"task": "t"}, THREAD)
    assert till.done == ["look"]
    (denied,) = [record for record in place.trail.records() if record.kind == "denial"]
    assert (denied.subject, denied.taint) == ("pay", ("tool look",))


@pytest.mark.parametrize("pattern", PATTERNS)
def test_a_model_that_names_every_tool_runs_none_that_is_not_its_own_and_each_try_is_audited_once(
    pattern: str, place: Persistence
) -> None:
    till, mine = Till(), ["look"]
    calls: list[Any] = [
        {"name": name, "args": {}, "id": f"c{at}"} for at, name in enumerate((*till.tools, "plain", "nonsense"))
    ]
    tries = AIMessage("", tool_calls=calls)
    worker = Agent(
        "stuck",
        "Does a part.",
        tools=[till.tools[name] for name in mine],
        model=ScriptedChatModel([tries, *["ok"] * 12]),
    )
    others = Agent("other", "Has them.", tools=[*till.tools.values()], model=ScriptedChatModel(["fine"] * 12))
    graph = HANGING[pattern](REGISTRY[pattern].load(), worker, others)
    graph.compile(checkpointer=place.checkpointer, name="g").invoke({"task": "t"}, THREAD)
    assert till.done == mine
    denied = [record.subject for record in place.trail.records() if record.kind == "denial"]
    assert sorted(denied) == sorted(one["name"] for one in calls if one["name"] not in mine)


def test_an_agent_without_tools_that_names_some_runs_none_and_each_try_is_audited_once(place: Persistence) -> None:
    till = Till()
    calls: list[Any] = [{"name": name, "args": {}, "id": f"c{at}"} for at, name in enumerate(till.tools)]
    tries = AIMessage("I call them.", tool_calls=calls)
    agents = [Agent("none", model=ScriptedChatModel([tries])), says("all", "fine", tools=[*till.tools.values()])]
    graph = parallel.build(agents).compile(checkpointer=place.checkpointer, name="g")
    graph.invoke({"task": "t"}, THREAD)
    assert till.done == []
    assert sorted(record.subject for record in place.trail.records() if record.kind == "denial") == sorted(till.tools)


def test_a_right_that_is_none_is_refused_before_anything_runs() -> None:
    with pytest.raises(ConfigurationError, match=r"Policy\.grants: expected some of .*, got \['fly'\]"):
        Policy(grants=("read", "fly"))  # type: ignore[arg-type]  # what is tested
    with pytest.raises(ConfigurationError, match=r"Policy\.deny: expected a tuple"):
        Policy(deny="pay")  # type: ignore[arg-type]  # likewise
    with pytest.raises(ConfigurationError, match="needs: expected some of"):
        needs("fly")  # type: ignore[arg-type]  # likewise


def test_marks_of_a_tool_are_kept_in_any_order() -> None:
    till = Till()
    for tool in (
        requires_approval(effect(needs("read")(till.plain))),
        needs("read")(requires_approval(effect(till.plain))),
    ):
        agent = says("clerk", call("plain"), "done", tools=[tool], policy=Policy(grants=("read",)))
        run(single.build(agent))
        assert told(agent) == ["Denied: plain needs effect, which clerk was not granted."]


def test_authority_of_a_policy_without_limits_is_open() -> None:
    assert authority_by(Policy(), "a").is_open
    assert not authority_by(Policy(grants=("read",)), "a").is_open


@pytest.fixture
def place(tmp_path: Path) -> Any:
    with open_persistence(f"sqlite:///{tmp_path}/a.db") as opened:
        yield opened
