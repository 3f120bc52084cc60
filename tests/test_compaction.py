"""Context overflow: the request is made shorter once, stays valid, and the agent goes on."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from langchain_core.exceptions import ContextOverflowError
from langchain_core.messages import AIMessage, AnyMessage, HumanMessage, ToolMessage

from cases import says
from graphs import single
from nodes import Agent, Policy, ScriptedChatModel
from nodes.layers.compaction import compacted, length_of
from nodes.layers.history import compile_history
from nodes.scripted import call
from state.labels import without_lines
from test_history import histories


def overflow() -> ContextOverflowError:
    return ContextOverflowError("too many tokens")


def ask(agent: Agent, task: str = "t") -> dict[str, Any]:
    result: dict[str, Any] = single.build(agent).compile(name="g").invoke({"task": task})
    return result


def sizes(agent: Agent) -> list[int]:
    assert isinstance(agent.model, ScriptedChatModel)
    return [length_of(list(request.messages)) for request in agent.model.requests]


def test_a_request_that_is_too_long_is_sent_once_more_at_half_its_length() -> None:
    agent = says("reader", overflow(), "done")
    assert ask(agent, "word " * 2000)["answer"] == "done"
    before, after = sizes(agent)
    assert after <= before * 0.55


def test_the_task_and_the_latest_result_stay_and_older_ones_go() -> None:
    def look(place: str) -> str:
        """Look at a place."""
        return f"{place}: " + "detail " * 300

    steps = [call("look", place="attic"), call("look", place="cellar"), overflow(), "done"]
    agent = says("finder", *steps, tools=[look])
    assert ask(agent, "Where is the key?")["answer"] == "done"
    assert isinstance(agent.model, ScriptedChatModel)
    texts = [without_lines(message.text) for message in agent.model.requests[-1].messages]
    assert any("Where is the key?" in text for text in texts)
    assert any(text.startswith("cellar: ") for text in texts)
    assert sizes(agent)[-1] < sizes(agent)[-2] * 0.6


def test_what_does_not_fit_then_either_is_a_typed_failure_and_takes_two_attempts() -> None:
    agent = says("reader", overflow(), overflow())
    (outcome,) = ask(agent, "word " * 500)["outcomes"]
    assert (outcome["status"], outcome["error"]["type"], outcome["attempts"]) == ("failed", "ContextOverflowError", 2)


def test_the_attempt_for_it_is_one_of_those_allowed() -> None:
    (outcome,) = ask(says("reader", overflow(), policy=Policy(max_attempts=1)), "word " * 500)["outcomes"]
    assert (outcome["status"], outcome["attempts"]) == ("failed", 1)


@given(histories, st.integers(0, 3000))
def test_whatever_is_compacted_is_a_valid_history_and_not_longer(history: list[AnyMessage], most: int) -> None:
    short = compacted(history, most)
    assert compile_history(short) == short
    assert length_of(short) <= max(length_of(compile_history(history)) + 200, most)


def test_what_was_remembered_goes_before_what_was_just_found() -> None:
    memory: list[AnyMessage] = [HumanMessage(f"old question {n} " * 50) for n in range(4)]
    now: list[AnyMessage] = [
        HumanMessage("the task"),
        AIMessage("", tool_calls=[{"name": "t", "args": {}, "id": "1", "type": "tool_call"}]),
    ]
    result = ToolMessage("what was found " * 20, tool_call_id="1")
    short = compacted([*memory, *now, result], 700)
    assert short[-1].text == result.text
    assert "[4 earlier messages were left out" in short[0].text
