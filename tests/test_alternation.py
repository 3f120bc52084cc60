"""Histories satisfy the rules of OpenAI, Anthropic and Gemini, whatever they are made of."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from langchain_core.messages import AIMessage, AnyMessage, HumanMessage, SystemMessage, ToolMessage

from cases import says
from graphs import single
from nodes import ScriptedChatModel
from nodes.layers.alternation import BEGINNING, NOTHING, alternating
from nodes.layers.history import compile_history
from test_history import assert_strict, histories


def roles(messages: list[AnyMessage]) -> list[str]:
    """Return the turns as Anthropic counts them: results are a person's."""
    turns = ["model" if isinstance(m, AIMessage) else "person" for m in messages if not isinstance(m, SystemMessage)]
    return [turn for at, turn in enumerate(turns) if at == 0 or turns[at - 1] != turn]


def assert_anthropic(messages: list[AnyMessage]) -> None:
    assert not roles(messages) or roles(messages)[0] == "person"
    first = next((m for m in messages if not isinstance(m, SystemMessage)), None)
    assert first is None or isinstance(first, HumanMessage)
    for message in messages:
        if isinstance(message, HumanMessage | AIMessage) and not getattr(message, "tool_calls", None):
            assert message.content if not isinstance(message.content, str) else message.content.strip()


def assert_gemini(messages: list[AnyMessage]) -> None:
    for before, message in zip([None, *messages], messages, strict=False):
        if isinstance(message, AIMessage):
            assert isinstance(before, HumanMessage | ToolMessage)
        if isinstance(before, AIMessage) and before.tool_calls:
            assert isinstance(message, ToolMessage)


@given(histories)
def test_every_history_satisfies_all_three_rules_and_no_result_is_lost(history: list[AnyMessage]) -> None:
    compiled = compile_history(history)
    sent = alternating(compiled)
    assert_strict(sent)
    assert_anthropic(sent)
    assert_gemini(sent)
    text = "\n".join(str(message.content) for message in sent)
    assert all(str(message.content) in text for message in compiled if isinstance(message, ToolMessage))


@given(histories)
def test_doing_it_twice_is_doing_it_once_and_what_is_fine_stays_the_same(history: list[AnyMessage]) -> None:
    sent = alternating(compile_history(history))
    again = alternating(sent)
    assert len(again) == len(sent)
    assert all(new is old for new, old in zip(again, sent, strict=True))


def test_words_and_calls_of_a_model_become_one_turn() -> None:
    words = AIMessage("I look.")
    calls = AIMessage("", tool_calls=[{"name": "look", "args": {}, "id": "c1"}])
    sent = alternating([HumanMessage("go"), words, calls, ToolMessage("seen", tool_call_id="c1")])
    assert [m.type for m in sent] == ["human", "ai", "tool"]
    assert (sent[1].text, len(sent[1].tool_calls)) == ("I look.", 1)  # type: ignore[union-attr]


def test_a_memory_that_was_cut_begins_with_a_person_and_nothing_empty_is_sent() -> None:
    sent = alternating(
        [SystemMessage("be kind"), AIMessage("before"), AIMessage(""), HumanMessage(" "), AIMessage("x")]
    )
    assert [m.text for m in sent] == ["be kind", BEGINNING, "before", NOTHING, "x"]


def test_what_a_model_is_sent_has_been_through_it() -> None:
    agent = says("clerk", "done")
    given: Any = {"messages": [AIMessage("welcome"), AIMessage("ask me"), HumanMessage("go")]}
    single.build(agent).compile(name="g").invoke(given)
    assert isinstance(agent.model, ScriptedChatModel)
    assert [m.text for m in agent.model.requests[0].messages] == [BEGINNING, "welcome\n\nask me", "go"]
