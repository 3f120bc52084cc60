"""Valid history: whatever a thread holds, what goes to a model satisfies the strict provider rule and loses no result."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from langchain_core.messages import (
    AIMessage,
    AnyMessage,
    HumanMessage,
    InvalidToolCall,
    SystemMessage,
    ToolCall,
    ToolMessage,
)

from graphs import single
from nodes import Agent, ScriptedChatModel
from nodes.layers.history import MAX_CHARACTERS, NOT_ANSWERED, compile_history, encodable
from nodes.scripted import call
from state import Context
from state.excerpts import clip

IDS = ["c1", "c2", "c3", "\ud800"]

words = st.text(st.characters() | st.sampled_from("\ud800\udfff"), max_size=8)
blocks = st.lists(
    words
    | st.fixed_dictionaries({"type": st.just("text"), "text": words})
    | st.fixed_dictionaries({"type": st.just("image_url"), "image_url": st.fixed_dictionaries({"url": words})}),
    max_size=3,
)
contents: st.SearchStrategy[Any] = words | blocks
message_ids = st.none() | st.sampled_from(["m1", "m2"])


@st.composite
def tool_calls(draw: st.DrawFn) -> list[ToolCall]:
    ids = draw(st.lists(st.none() | st.sampled_from([*IDS, ""]), max_size=3))
    return [ToolCall(name=f"tool{n}", args={"x": draw(words)}, id=name, type="tool_call") for n, name in enumerate(ids)]


invalid_calls = st.lists(
    st.builds(
        InvalidToolCall,
        name=st.just("bad"),
        args=words,
        id=st.sampled_from(IDS),
        error=st.none(),
        type=st.just("invalid_tool_call"),
    ),
    max_size=1,
)
humans = st.builds(HumanMessage, content=contents, id=message_ids)
answers = st.builds(
    AIMessage, content=contents, id=message_ids, tool_calls=tool_calls(), invalid_tool_calls=invalid_calls
)


@st.composite
def results(draw: st.DrawFn) -> ToolMessage:
    number = draw(st.integers(0, 10**6))
    content: Any = draw(st.sampled_from([f"<{number}>", [{"type": "text", "text": f"<{number}>"}], [f"<{number}>"]]))
    name = draw(st.none() | st.just("tool"))
    return ToolMessage(content, tool_call_id=draw(st.sampled_from([*IDS, ""])), id=draw(message_ids), name=name)


histories = st.lists(humans | answers | results(), max_size=12)


@st.composite
def valid_histories(draw: st.DrawFn) -> list[AnyMessage]:
    """Draw a history that keeps the rule, with parallel calls answered in any order and ids used again later."""
    history: list[AnyMessage] = []
    for _ in range(draw(st.integers(0, 5))):
        history.append(HumanMessage("hello"))
        ids = draw(st.lists(st.sampled_from(["c1", "c2", "c3"]), max_size=3, unique=True))
        calls = [ToolCall(name="tool", args={}, id=name, type="tool_call") for name in ids]
        history.append(AIMessage("hm", tool_calls=calls))
        history += [ToolMessage(f"of {name}", tool_call_id=name) for name in draw(st.permutations(ids))]
    return history


def assert_strict(messages: list[AnyMessage]) -> None:
    """Check the rule as providers do: every call answered exactly once, directly behind it; nothing else answers."""
    waiting: list[str | None] = []
    for message in messages:
        if isinstance(message, ToolMessage):
            assert message.tool_call_id in waiting, f"{message.tool_call_id!r} answers nothing"
            waiting.remove(message.tool_call_id)
            continue
        assert not waiting, f"{waiting} not answered"
        if isinstance(message, AIMessage):
            assert not message.invalid_tool_calls
            assert "tool_calls" not in message.additional_kwargs
            assert all(one["id"] for one in message.tool_calls)
            waiting = [one["id"] for one in message.tool_calls]
    assert not waiting, f"{waiting} not answered"


def as_sent(messages: list[AnyMessage]) -> str:
    """Return the request's text as a client would encode it."""
    parts = [[m.content, m.name, getattr(m, "tool_calls", ()), getattr(m, "tool_call_id", "")] for m in messages]
    text = json.dumps(parts, ensure_ascii=False)
    text.encode("utf-8")
    return text


def text_of(message: AnyMessage) -> str:
    return message.content if isinstance(message.content, str) else json.dumps(message.content)


@settings(deadline=None)
@given(histories)
def test_every_history_comes_out_valid_encodable_and_with_every_result(history: list[AnyMessage]) -> None:
    before = [message.model_copy(deep=True) for message in history]
    compiled = compile_history(history)
    assert_strict(compiled)
    sent = as_sent(compiled)
    for message in history:
        if isinstance(message, ToolMessage):
            assert message.text in sent
    assert history == before, "the thread's own messages were changed"


@settings(deadline=None)
@given(histories)
def test_compiling_twice_is_compiling_once(history: list[AnyMessage]) -> None:
    once = compile_history(history)
    assert all(new is old for new, old in zip(compile_history(once), once, strict=True))


@settings(deadline=None)
@given(histories)
def test_what_people_and_models_said_keeps_its_order(drawn: list[AnyMessage]) -> None:
    history = [message.model_copy(update={"id": f"m{at}"}) for at, message in enumerate(drawn)]
    spoken = [m.id for m in history if not isinstance(m, ToolMessage)]
    assert [m.id for m in compile_history(history) if m.id in spoken] == spoken


@settings(deadline=None)
@given(valid_histories())
def test_a_valid_history_comes_back_as_it_is(history: list[AnyMessage]) -> None:
    compiled = compile_history(history)
    assert len(compiled) == len(history)
    assert all(new is old for new, old in zip(compiled, history, strict=True))


@settings(deadline=None)
@given(st.lists(st.sampled_from(["c1", "c2"]), min_size=1, max_size=4), st.data())
def test_the_same_message_object_twice_is_answered_once(ids: list[str], data: st.DataObject) -> None:
    result = ToolMessage("found", tool_call_id=ids[0])
    calls = [ToolCall(name="tool", args={}, id=name, type="tool_call") for name in ids]
    history: list[AnyMessage] = [AIMessage("", tool_calls=calls), result, HumanMessage("and?"), result]
    compiled = compile_history(data.draw(st.permutations(history)))
    assert_strict(compiled)
    assert "found" in as_sent(compiled)


def asked(*ids: str | None, text: str = "") -> AIMessage:
    return AIMessage(text, tool_calls=[ToolCall(name="tool", args={}, id=name, type="tool_call") for name in ids])


def test_a_call_that_was_never_answered_says_so() -> None:
    history: list[AnyMessage] = [
        HumanMessage("go"),
        asked("c1", "c2"),
        ToolMessage("one", tool_call_id="c1"),
        HumanMessage("well?"),
    ]
    compiled = compile_history(history)
    assert [text_of(m) for m in compiled] == ["go", "", "one", NOT_ANSWERED, "well?"]
    assert isinstance(compiled[3], ToolMessage)
    assert (compiled[3].tool_call_id, compiled[3].status) == ("c2", "error")


def test_an_id_that_is_used_again_keeps_each_result_with_its_own_call() -> None:
    first, second = ToolMessage("first", tool_call_id="c1"), ToolMessage("second", tool_call_id="c1")
    history: list[AnyMessage] = [asked("c1"), first, HumanMessage("again"), asked("c1"), second]
    assert [text_of(m) for m in compile_history(history)] == ["", "first", "again", "", "second"]


def test_a_result_that_stands_elsewhere_moves_behind_its_call() -> None:
    late: list[AnyMessage] = [asked("c1"), HumanMessage("hurry"), ToolMessage("late", tool_call_id="c1")]
    early: list[AnyMessage] = [ToolMessage("early", tool_call_id="c1"), asked("c1")]
    assert [text_of(m) for m in compile_history(late)] == ["", "late", "hurry"]
    assert [text_of(m) for m in compile_history(early)] == ["", "early"]


def test_results_nobody_asked_for_become_notes_and_keep_their_pictures() -> None:
    picture = {"type": "image_url", "image_url": {"url": "data:,x"}}
    history: list[AnyMessage] = [
        ToolMessage("lost", tool_call_id="c9", name="search", id="t1"),
        ToolMessage([{"type": "text", "text": "seen"}, picture], tool_call_id="c9"),
    ]
    compiled = compile_history(history)
    assert [type(message) for message in compiled] == [HumanMessage, HumanMessage]
    assert (compiled[0].content, compiled[0].id) == ("Result of search from an earlier call:\nlost", "t1")
    assert picture in compiled[1].content


def test_several_results_of_one_call_become_one_with_all_their_content() -> None:
    picture = {"type": "image_url", "image_url": {"url": "data:,x"}}
    history: list[AnyMessage] = [asked("c1"), *(ToolMessage(text, tool_call_id="c1") for text in ("one", "two"))]
    assert compile_history(history)[1].content == "one\n\ntwo"
    history = [asked("c1"), ToolMessage("one", tool_call_id="c1"), ToolMessage([picture], tool_call_id="c1")]
    assert compile_history(history)[1].content == [{"type": "text", "text": "one"}, picture]


def test_calls_without_an_id_get_one_and_an_answer() -> None:
    compiled = compile_history([asked(None, None)])
    assert_strict(compiled)
    assert [text_of(m) for m in compiled[1:]] == [NOT_ANSWERED, NOT_ANSWERED]


def test_calls_that_cannot_be_read_become_words_wherever_clients_would_find_them() -> None:
    raw = {"tool_calls": [{"id": "c1", "type": "function", "function": {"name": "search", "arguments": "{oops"}}]}
    message = AIMessage("Let me see.", additional_kwargs=raw)
    assert message.invalid_tool_calls
    compiled = compile_history([message, ToolMessage("said anyway", tool_call_id="c1")])
    assert_strict(compiled)
    assert compiled[0].content == ("Let me see.\n\n[Not carried out, since the arguments could not be read: search]")
    assert "said anyway" in as_sent(compiled)
    assert message.invalid_tool_calls, "the thread's own message was changed"


@pytest.mark.parametrize("content", ["a\ud800b", ["a\ud800b"], [{"type": "text", "text": "a\ud800b"}]])
def test_a_lone_surrogate_is_replaced_in_text_and_in_blocks(content: Any) -> None:
    for message in (HumanMessage(content), ToolMessage(content, tool_call_id="c1"), SystemMessage(content)):
        assert encodable(message).text == "a?b"
    with_args = asked("c1")
    with_args.tool_calls[0]["args"] = {"\ud800": {"deep": [content]}}
    assert "a?b" in as_sent([encodable(with_args)])


def test_a_text_that_is_fine_is_the_same_object() -> None:
    fine: Any = ("plain", "ünïcödé \N{GRINNING FACE}", [{"type": "text", "text": "é"}], "")
    for content in fine:
        message = HumanMessage(content)
        assert encodable(message) is message


@settings(deadline=None)
@given(st.integers(0, 400), st.integers(60, 300))
def test_a_clipped_text_is_not_longer_than_asked_and_clipping_again_changes_nothing(length: int, most: int) -> None:
    text = "abcdefghij" * (length // 10) + "x" * (length % 10)
    clipped = clip(text, most)
    assert len(clipped) <= most
    assert clip(clipped, most) == clipped
    assert (clipped == text) == (length <= most)


def test_huge_texts_are_cut_in_the_middle_and_say_how_much_is_missing() -> None:
    huge = "start " + "x" * (MAX_CHARACTERS * 2) + " end"
    block: Any = [{"type": "text", "text": huge}]
    for message in (
        HumanMessage(huge),
        HumanMessage(block),
        ToolMessage(huge, tool_call_id="c"),
    ):
        (sent, *_) = compile_history([message])
        assert "start " in sent.text
        assert sent.text.endswith(" end")
        assert "characters left out" in sent.text
        assert len(sent.text) <= MAX_CHARACTERS + 100


# --- through an agent


def test_a_prompt_and_a_task_with_surrogates_reach_the_model_encodable() -> None:
    with ScriptedChatModel(["fine \ud800"]) as model:
        result = single.build(Agent("a", prompt="You \udc00.", model=model)).compile().invoke({"task": "Why \ud800?"})
    assert [m.text for m in model.requests[0].messages] == ["You ?.", "Why ??"]
    assert result["answer"] == "fine ?"


def test_memory_cut_in_the_middle_of_a_tool_call_is_still_valid() -> None:
    history: list[AnyMessage] = [
        HumanMessage("look it up"),
        asked("c1"),
        ToolMessage("found it", tool_call_id="c1"),
        AIMessage("There."),
        HumanMessage("And now?"),
    ]
    for window in range(5):
        with ScriptedChatModel(["done"]) as model:
            single.graph.invoke({"messages": history}, context=Context(model=model, history_window=window))
        told = list(model.requests[0].messages)
        assert_strict(told)  # type: ignore[arg-type]  # requests are typed more loosely
        assert ("found it" in str(told)) == (window >= 2)


def test_a_cut_answer_with_calls_in_it_is_repaired_with_a_valid_history() -> None:
    from nodes.scripted import Step

    def add(a: int) -> int:
        """Add."""
        return a

    broken = AIMessage("Adding.", tool_calls=[ToolCall(name="add", args={"a": 1}, id="c1", type="tool_call")])
    raw = {"tool_calls": [{"id": "c1", "type": "function", "function": {"name": "add", "arguments": "{oops"}}]}
    for first in (Step(broken, finish_reason="length"), AIMessage("Adding.", additional_kwargs=raw)):
        with ScriptedChatModel([first, call("add", a=2), "2"]) as model:
            result = single.build(Agent("a", model=model, tools=[add])).compile().invoke({"task": "t"})
        assert result["answer"] == "2"
        for request in model.requests:
            assert_strict(list(request.messages))  # type: ignore[arg-type]  # requests are typed more loosely
