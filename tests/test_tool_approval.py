"""Tool approval: a person agrees to a call where it executes, sees its arguments, and decides in four ways."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from langchain_core.messages import ToolMessage
from langchain_core.runnables import RunnableConfig
from langchain_core.tools import StructuredTool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.types import Command

from cases import says
from graphs import parallel, sequential, single
from nodes import Agent, Policy, ScriptedChatModel
from nodes.scripted import call, calls
from state import InvalidAnswer, StorageUnavailable, UnknownRequest, open_persistence
from state.labels import without_lines
from test_effects import THREAD, cut_after_the_effect
from tools import effect, requires_approval


class Mailbox:
    """Mails that were sent, and a tool that needs a person's word to send one."""

    def __init__(self, **marks: Any) -> None:
        self.sent: list[tuple[str, int]] = []

        def send(to: str, copies: int = 1) -> str:
            """Send a mail."""
            self.sent.append((to, copies))
            return f"sent to {to}"

        self.plain = StructuredTool.from_function(send)
        self.tool = requires_approval(self.plain, **marks)


def paused(agent: Agent, saver: Any = None) -> tuple[Any, list[Any]]:
    """Run an agent until it waits; return the graph and what is asked."""
    graph = single.build(agent).compile(checkpointer=saver or InMemorySaver(), name="g")
    graph.invoke({"task": "mail"}, THREAD)
    return graph, list(graph.get_state(THREAD).interrupts)


def decide(graph: Any, request: Any, kind: str, **more: Any) -> dict[str, Any]:
    answer = {"decisions": [{"type": kind, **more}]}
    result: dict[str, Any] = graph.invoke(Command(resume={request.id: answer}), THREAD)
    return result


def results(agent: Agent) -> list[tuple[str, str]]:
    assert isinstance(agent.model, ScriptedChatModel)
    return [(without_lines(m.text), m.status) for m in agent.model.requests[-1].messages if isinstance(m, ToolMessage)]


def edited(to: str, name: str = "send", **more: Any) -> dict[str, Any]:
    return {"name": name, "args": {"to": to, **more}}


def test_a_call_waits_for_a_person_who_sees_what_it_would_do() -> None:
    box = Mailbox()
    agent = says("clerk", call("send", to="ann"), "done", tools=[box.tool])
    graph, (request,) = paused(agent)
    assert box.sent == []
    (action,) = request.value["action_requests"]
    assert (action["name"], action["args"]) == ("send", {"to": "ann"})
    (config,) = request.value["review_configs"]
    assert config["allowed_decisions"] == ["approve", "edit", "reject", "respond"]
    assert decide(graph, request, "approve")["answer"] == "done"
    assert (box.sent, results(agent)) == ([("ann", 1)], [("sent to ann", "success")])
    with pytest.raises(UnknownRequest):
        decide(graph, request, "approve")
    assert box.sent == [("ann", 1)]


def test_rejected_answered_and_changed_calls_are_told_to_the_model_as_what_they_are() -> None:
    for kind, more, sent, told in (
        ("reject", {"message": "not him"}, [], ("not him", "error")),
        ("respond", {"message": "He knows already."}, [], ("He knows already.", "success")),
        (
            "edit",
            {"edited_action": edited("bob", copies=2)},
            [("bob", 2)],
            ("A person changed the arguments", "success"),
        ),
    ):
        box = Mailbox()
        agent = says("clerk", call("send", to="ann"), "done", tools=[box.tool])
        graph, (request,) = paused(agent)
        assert decide(graph, request, kind, **more)["answer"] == "done"
        ((text, status),) = results(agent)
        assert (box.sent, status) == (sent, told[1])
        assert told[0] in text


@pytest.mark.parametrize(
    "wrong",
    [
        edited("bob", name="delete"),
        edited("bob", copies="many"),
        {"name": "send", "args": {}},
        edited("b", colour="red"),
    ],
)
def test_an_edit_that_cannot_be_carried_out_is_refused_and_the_request_stays(wrong: dict[str, Any]) -> None:
    box = Mailbox()
    graph, (request,) = paused(says("clerk", call("send", to="ann"), "done", tools=[box.tool]))
    with pytest.raises(InvalidAnswer, match="still open"):
        decide(graph, request, "edit", edited_action=wrong)
    assert [one.id for one in graph.get_state(THREAD).interrupts] == [request.id]
    assert decide(graph, request, "approve")["answer"] == "done"
    assert box.sent == [("ann", 1)]


def test_which_calls_need_a_person_depends_on_their_arguments_and_on_the_agent() -> None:
    box = Mailbox(when=lambda args: args["copies"] > 5)
    steps = [call("send", to="ann", copies=2), call("send", to="bob", copies=9), "done"]
    graph, (request,) = paused(says("clerk", *steps, tools=[box.tool]))
    assert box.sent == [("ann", 2)]
    assert request.value["action_requests"][0]["args"] == {"to": "bob", "copies": 9}
    assert decide(graph, request, "approve")["answer"] == "done"
    box = Mailbox(when=lambda args: args["missing"])  # what cannot be judged is asked about
    _, requests = paused(says("clerk", call("send", to="ann"), "done", tools=[box.tool]))
    assert len(requests) == 1
    box = Mailbox()
    policy = Policy(approve=("send",))
    _, requests = paused(says("clerk", call("send", to="ann"), "done", tools=[box.plain], policy=policy))
    assert (len(requests), box.sent) == (1, [])
    policy = Policy(approve=("send",), deny=("send",))
    _, requests = paused(says("clerk", call("send", to="ann"), "done", tools=[box.plain], policy=policy))
    assert (requests, box.sent) == ([], [])


def test_several_calls_of_one_message_are_decided_one_by_one_in_any_order() -> None:
    box = Mailbox()
    both = calls(call("send", to="ann"), call("send", to="bob"))
    agent = says("clerk", both, "done", tools=[box.tool])
    graph, requests = paused(agent)
    by_name = {one.value["action_requests"][0]["args"]["to"]: one for one in requests}
    assert sorted(by_name) == ["ann", "bob"]
    decide(graph, by_name["bob"], "approve")
    assert len(graph.get_state(THREAD).interrupts) == 1
    assert decide(graph, by_name["ann"], "reject")["answer"] == "done"
    assert box.sent == [("bob", 1)]
    assert [status for _, status in results(agent)] == ["error", "success"]


def test_agents_in_branches_and_three_levels_deep_wait_at_the_same_time(tmp_path: Path) -> None:
    box = Mailbox()

    def clerk(name: str) -> Any:
        return says(name, call("send", to=name), f"{name} done", tools=[box.tool])

    inner = single.build(clerk("deep")).compile(name="inner")
    middle = sequential.build([inner]).compile(name="middle")
    with open_persistence(f"sqlite:///{tmp_path}/runs.db") as persistence:
        graph = parallel.build([clerk("left"), middle]).compile(checkpointer=persistence.checkpointer, name="g")
        graph.invoke({"task": "mail"}, THREAD)
        requests = {r.value["action_requests"][0]["args"]["to"]: r for r in graph.get_state(THREAD).interrupts}
        assert sorted(requests) == ["deep", "left"]
        decide(graph, requests["deep"], "approve")
        result = decide(graph, requests["left"], "approve")
    assert result["status"] == "completed"
    assert sorted(box.sent) == [("deep", 1), ("left", 1)]


def test_where_nobody_can_be_asked_the_call_is_denied() -> None:
    box = Mailbox()
    agent = says("clerk", call("send", to="ann"), "done", tools=[box.tool])
    assert single.build(agent).compile(name="g").invoke({"task": "mail"})["answer"] == "done"
    assert box.sent == []
    assert "needs a person's approval" in results(agent)[0][0]


def test_an_approved_effect_is_not_asked_about_again_after_a_cut(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    box = Mailbox()
    tool = requires_approval(effect(box.plain, reconcile=lambda to: f"sent to {to}, as the server says"))
    agent = says("clerk", call("send", to="ann"), call("send", to="ann"), "done", tools=[tool])
    with open_persistence(f"sqlite:///{tmp_path}/runs.db") as persistence:
        graph, (request,) = paused(agent, persistence.checkpointer)
        with cut_after_the_effect(monkeypatch), pytest.raises(StorageUnavailable):
            decide(graph, request, "approve")
        result = graph.invoke(None, THREAD)
    assert (result["answer"], box.sent) == ("done", [("ann", 1)])
    assert results(agent) == [("sent to ann, as the server says", "success")] * 2


def test_marks_survive_each_other_in_any_order() -> None:
    box = Mailbox()
    for tool in (effect(box.tool), requires_approval(effect(box.plain))):
        _, requests = paused(says("clerk", call("send", to="ann"), "done", tools=[tool]))
        assert (len(requests), box.sent) == (1, [])


def test_an_answer_that_comes_twice_does_not_answer_the_next_question_of_the_same_agent() -> None:
    box = Mailbox()
    agent = says("clerk", call("send", to="ann"), call("send", to="bob"), "done", tools=[box.tool])
    graph, (first,) = paused(agent)
    config: RunnableConfig = THREAD
    decide(graph, first, "approve")
    (second,) = graph.get_state(config).interrupts
    assert second.id != first.id
    with pytest.raises(UnknownRequest):
        decide(graph, first, "approve")
    assert box.sent == [("ann", 1)]
