"""Answers without an id, as chat clients send them over a server: taken for the request they mean, and never for the next one."""

from __future__ import annotations

import time
from typing import Any

import pytest
from langchain_core.runnables import RunnableConfig
from langchain_core.tools import StructuredTool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.types import Command

from cases import says
from chat_client import buttons, shows
from graphs import parallel, plan_execute, review, single
from graphs.teams import research
from nodes import HumanAgent, Policy
from nodes.scripted import call
from state import InvalidAnswer, UnknownRequest, delivery, open_persistence
from state.delivery import Showing
from state.graph import Pattern
from tools import requires_approval

THREAD: RunnableConfig = {"configurable": {"thread_id": "t"}}
APPROVE: dict[str, Any] = {"decisions": [{"type": "approve"}]}
LATER = 2000.0
"""Seconds from now when a person answers, who reads first."""


class Till:
    """Payments that were made, and a graph that asks before each of them."""

    def __init__(self, saver: Any = None, *, clerks: int = 1) -> None:
        self.paid: list[int] = []

        def pay(amount: int) -> str:
            """Pay an amount."""
            self.paid.append(amount)
            return f"paid {amount}"

        steps = [call("pay", amount=5), call("pay", amount=600), "done"]
        names = ["ann", "bob"][:clerks]
        agents = [says(name, *steps, tools=[pay], policy=Policy(approve=("pay",))) for name in names]
        builder = single.build(agents[0]) if clerks == 1 else parallel.build(agents)
        self.graph: Pattern = builder.compile(saver or InMemorySaver(), name="till")
        self.graph.invoke({"task": "Pay both."}, THREAD)

    @property
    def asked(self) -> list[Any]:
        return list(self.graph.get_state(THREAD).interrupts)

    def deliver(self, run: str, answer: Any = APPROVE, *, after: float = LATER, checkpoint: str = "") -> None:
        """Answer as a server does: it says which run it is and when the call came in, `after` seconds from now."""
        told = {"run_id": run, "__request_start_time_ms__": int((time.time() + after) * 1000)}
        if checkpoint:
            told |= {"checkpoint_ns": "", "checkpoint_id": checkpoint}
        self.graph.invoke(Command(resume=answer), {"configurable": {"thread_id": "t", **told}})

    def checkpoint(self) -> str:
        return str(self.graph.get_state(THREAD).config["configurable"]["checkpoint_id"])


def test_an_answer_without_an_id_is_taken_for_the_only_request_that_is_open() -> None:
    till = Till()
    till.deliver("one")
    assert till.paid == [5]
    till.deliver("two")
    assert till.paid == [5, 600]
    assert till.graph.get_state(THREAD).values["answer"] == "done"


@pytest.mark.parametrize("kept", ["memory", "sqlite"])
def test_a_run_that_is_delivered_again_does_not_answer_the_next_request(kept: str, tmp_path: Any) -> None:
    with open_persistence(tmp_path / "runs.db") as persistence:
        till = Till(persistence.checkpointer if kept == "sqlite" else None)
        till.deliver("one")
        for _ in range(2):
            with pytest.raises(InvalidAnswer, match="its run answered another request before"):
                till.deliver("one")
        assert till.paid == [5]
        assert len(till.asked) == 1


def test_an_answer_that_was_sent_before_the_request_was_made_does_not_answer_it() -> None:
    till = Till()
    till.deliver("one")
    with pytest.raises(InvalidAnswer, match="made after it was sent"):
        till.deliver("a second click", after=-1)
    assert till.paid == [5]


def test_an_answer_that_was_sent_before_anybody_was_shown_the_request_does_not_answer_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    till, showing = Till(), Showing()
    monkeypatch.setattr(delivery, "SHOWING", showing)
    showing.watch()
    showing.note(b'event: values\ndata: {"__interrupt__":[{"value":{},"id":"%s"}]}' % till.asked[0].id.encode())
    till.deliver("one")
    with pytest.raises(InvalidAnswer, match="nobody had been shown"):
        till.deliver("the same call again, as it got no reply")
    assert till.paid == [5]
    showing.note(b'{"interrupts": [{"id": "%s"}]}' % till.asked[0].id.encode())
    assert not showing.was_shown(till.asked[0].id, by=0)
    till.deliver("two")
    assert till.paid == [5, 600]


def test_an_answer_that_names_a_checkpoint_which_the_thread_has_left_is_refused() -> None:
    graph = plan_execute.build(approve_plan=True).compile(InMemorySaver(), name="plan")
    graph.invoke({"task": "How are names resolved?"}, THREAD)
    before = str(graph.get_state(THREAD).config["configurable"]["checkpoint_id"])
    (first,) = graph.get_state(THREAD).interrupts
    again = {"decisions": [{"type": "reject", "message": "Shorter."}]}
    graph.invoke(Command(resume={first.id: again}), THREAD)
    told = {"run_id": "r", "__request_start_time_ms__": int((time.time() + LATER) * 1000)}
    old: RunnableConfig = {"configurable": {"thread_id": "t", **told, "checkpoint_ns": "", "checkpoint_id": before}}
    with pytest.raises(InvalidAnswer, match="gone on from the checkpoint"):
        graph.invoke(Command(resume=APPROVE), old)
    (second,) = graph.get_state(THREAD).interrupts
    assert second.id != first.id


def test_an_answer_that_names_the_latest_checkpoint_goes_on_from_there_and_does_nothing_twice() -> None:
    till = Till()
    till.deliver("one", checkpoint=till.checkpoint())
    till.deliver("two", checkpoint=till.checkpoint())
    assert till.paid == [5, 600]


def test_of_several_requests_one_has_to_be_named_and_all_are() -> None:
    till = Till(clerks=2)
    with pytest.raises(InvalidAnswer, match="2 requests are open") as refused:
        till.deliver("one")
    assert all(request.id in str(refused.value) for request in till.asked)
    assert till.paid == []


def test_a_request_that_is_refused_an_answer_stays_open_for_a_right_one_of_the_same_run() -> None:
    till = Till()
    with pytest.raises(InvalidAnswer, match="type"):
        till.deliver("one", {"decisions": [{"type": "maybe"}]})
    till.deliver("one")
    assert till.paid == [5]


@pytest.mark.parametrize("answer", [APPROVE, {"type": "approve"}, "yes", ["approve"]])
def test_from_python_an_answer_without_an_id_is_refused(answer: Any) -> None:
    till = Till()
    with pytest.raises((InvalidAnswer, UnknownRequest)):
        till.graph.invoke(Command(resume=answer), THREAD)
    assert till.paid == []


def test_an_edit_may_say_what_it_changes_as_javascript_does() -> None:
    till = Till()
    changed = {"name": "pay", "args": {"amount": 4}}
    till.deliver("one", {"decisions": [{"type": "edit", "editedAction": changed, "edited_action": changed}]})
    till.deliver("two", {"decisions": [{"type": "edit", "editedAction": changed}]})
    assert till.paid == [4, 4]


def test_an_edit_that_says_two_things_is_refused() -> None:
    till, changed = Till(), {"name": "pay", "args": {"amount": 4}}
    other = {"name": "pay", "args": {"amount": 4000}}
    with pytest.raises(InvalidAnswer, match="editedAction"):
        till.deliver("one", {"decisions": [{"type": "edit", "editedAction": changed, "edited_action": other}]})
    assert till.paid == []


def asking() -> dict[str, Any]:
    """Return a graph for each kind of request."""
    stuck = says("ann", *[RuntimeError("down")] * 3, policy=Policy(on_failure="escalate", max_attempts=1))
    buyer = says("ann", call("buy"), tools=[requires_approval(StructuredTool.from_function(buy))])
    return {
        "write_report": research.build(approve_report=True),
        "execute_plan": plan_execute.build(approve_plan=True),
        "editor": review.build(critics=[HumanAgent("editor")]),
        "buy": single.build(buyer),
        "resolve_failure": single.build(stuck),
    }


def buy() -> str:
    """Buy it."""
    return "bought"


@pytest.mark.parametrize("kind", ["write_report", "execute_plan", "editor", "buy", "resolve_failure"])
def test_chat_clients_show_every_kind_of_request_with_its_buttons(kind: str) -> None:
    graph = asking()[kind].compile(InMemorySaver(), name="g")
    graph.invoke({"messages": [("user", "How does Python resolve a name in a nested scope?")]}, THREAD)
    (request,) = graph.get_state(THREAD).interrupts
    shown = {"id": request.id, "value": request.value}
    assert shows(shown)
    assert request.value["action_requests"][0]["name"] == kind
    assert {"approve", "reject"} <= set(buttons(shown))
