"""The conversation reducer: its laws, its ids, and what a conversation takes on disk."""

from __future__ import annotations

import json
from collections.abc import Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
from hypothesis import given
from hypothesis import strategies as st
from langchain_core.messages import (
    AIMessage,
    AIMessageChunk,
    AnyMessage,
    HumanMessage,
    RemoveMessage,
    SystemMessage,
    ToolMessage,
    convert_to_messages,
)
from langgraph.graph import START, StateGraph
from langgraph.graph.message import REMOVE_ALL_MESSAGES
from langgraph.types import Overwrite
from typing_extensions import TypedDict

from state import messages
from state.errors import ConfigurationError
from state.messages import Messages, merge_messages
from state.persistence import open_persistence
from state.storage.serde import StrictSerializer

IDS = st.sampled_from(["a", "b", "c"])
TEXTS = st.sampled_from(["", "hi", "user", "ai", "yes", "\ud800 broken", "ü"])
ROLE_NAMES = st.sampled_from(["human", "user", "ai", "assistant", "system"])

WORDS = st.one_of(
    TEXTS,
    st.tuples(ROLE_NAMES, TEXTS),
    st.tuples(ROLE_NAMES, TEXTS).map(list),
    st.tuples(ROLE_NAMES, TEXTS.map(lambda text: [{"type": "text", "text": text}])),
    st.builds(lambda role, text: {"role": role, "content": text}, ROLE_NAMES, TEXTS),
    st.builds(lambda text, id: {"type": "human", "content": text, "id": id}, TEXTS, IDS),
    st.builds(lambda text, id: HumanMessage(text, id=id), TEXTS, st.none() | IDS),
    st.builds(lambda text, id: AIMessageChunk(content=text, id=id), TEXTS, st.none() | IDS),
    st.builds(lambda text, id: ToolMessage(text, tool_call_id="1", id=id), TEXTS, IDS),
)
MESSAGES = WORDS | st.builds(lambda id: RemoveMessage(id=id), IDS | st.just(REMOVE_ALL_MESSAGES))
WRITES = st.lists(st.none() | MESSAGES | st.lists(MESSAGES, max_size=4), max_size=6)


class Conversation(TypedDict, total=False):
    messages: Messages


def shown(conversation: Sequence[AnyMessage]) -> list[tuple[str | None, str, str]]:
    # What a stored text loses: a lone surrogate becomes "?".
    contents = [json.dumps(m.content, ensure_ascii=False).encode("utf-8", "replace").decode() for m in conversation]
    return [(m.id, m.type, content) for m, content in zip(conversation, contents, strict=True)]


@given(WRITES, WRITES, WRITES)
def test_merging_in_one_batch_or_in_several_gives_the_same(before: list[Any], xs: list[Any], ys: list[Any]) -> None:
    state = merge_messages([], before)
    whole = merge_messages(state, [*xs, *ys])
    assert merge_messages(merge_messages(state, xs), ys) == whole
    one_by_one = state
    for write in [*xs, *ys]:
        one_by_one = merge_messages(one_by_one, [write])
    assert one_by_one == whole


@given(WRITES)
def test_every_message_is_plain_and_has_an_id_of_its_own(writes: list[Any]) -> None:
    merged = merge_messages([], writes)
    ids = [message.id for message in merged]
    assert all(ids)
    assert len(set(ids)) == len(ids)
    assert not any(isinstance(message, AIMessageChunk | RemoveMessage) for message in merged)


@given(WRITES, st.lists(WORDS, max_size=6))
def test_ids_and_places_stay_as_they_are_when_more_is_said(before: list[Any], words: list[Any]) -> None:
    state = merge_messages([], before)
    after = merge_messages(state, words)
    assert [message.id for message in after[: len(state)]] == [message.id for message in state]
    assert merge_messages(after, []) == after


@given(WRITES)
def test_a_conversation_that_is_written_again_is_the_same(writes: list[Any]) -> None:
    state = merge_messages([], writes)
    assert merge_messages(state, [state, *state]) == state


@given(WRITES)
def test_stored_writes_rebuild_the_conversation_that_was_live(writes: list[Any]) -> None:
    serde = StrictSerializer()
    stored = [serde.loads_typed(serde.dumps_typed(write)) for write in writes]
    assert shown(merge_messages([], stored)) == shown(merge_messages([], writes))


@given(WRITES, WRITES)
def test_neither_state_nor_writes_are_changed(before: list[Any], writes: list[Any]) -> None:
    state = merge_messages([], before)
    copy, copies = deepcopy(state), deepcopy(writes)
    merge_messages(state, writes)
    assert state == copy
    assert writes == copies


def test_every_form_of_a_message_becomes_a_message() -> None:
    merged = merge_messages(
        [],
        [
            "one",
            ("ai", "two"),
            {"role": "user", "content": "three"},
            [SystemMessage("four"), ["assistant", "five"], {"type": "human", "content": "six", "id": "6"}],
            (HumanMessage("seven"), AIMessage("eight")),
            AIMessageChunk(content="nine"),
            None,
        ],
    )
    assert [(m.type, m.content) for m in merged] == [
        ("human", "one"),
        ("ai", "two"),
        ("human", "three"),
        ("system", "four"),
        ("ai", "five"),
        ("human", "six"),
        ("human", "seven"),
        ("ai", "eight"),
        ("ai", "nine"),
    ]


def test_equal_messages_stay_apart() -> None:
    merged = merge_messages([], ["yes", "yes", ("user", "yes")])
    assert len({message.id for message in merged}) == 3


def test_a_message_with_a_known_id_replaces_in_place() -> None:
    state = merge_messages([], [HumanMessage("1", id="a"), AIMessage("2", id="b"), HumanMessage("3", id="c")])
    assert shown(merge_messages(state, [AIMessage("new", id="b")])) == [
        ("a", "human", '"1"'),
        ("b", "ai", '"new"'),
        ("c", "human", '"3"'),
    ]


def test_removing_takes_out_one_and_ignores_an_id_that_is_not_there() -> None:
    state = merge_messages([], [HumanMessage("1", id="a"), AIMessage("2", id="b")])
    assert shown(merge_messages(state, [[RemoveMessage(id="a"), RemoveMessage(id="a"), RemoveMessage(id="z")]])) == [
        ("b", "ai", '"2"')
    ]


def test_a_removed_message_that_comes_again_is_appended() -> None:
    state = merge_messages([], [HumanMessage("1", id="a"), AIMessage("2", id="b")])
    merged = merge_messages(state, [RemoveMessage(id="a"), HumanMessage("1 again", id="a")])
    assert [message.id for message in merged] == ["b", "a"]


def test_removing_all_clears_what_came_before_it_and_nothing_after() -> None:
    state = merge_messages([], ["old"])
    merged = merge_messages(state, [["lost", RemoveMessage(id=REMOVE_ALL_MESSAGES), SystemMessage("summary")], "next"])
    assert [message.content for message in merged] == ["summary", "next"]


def test_what_is_not_a_message_is_refused_without_being_quoted() -> None:
    with pytest.raises(ConfigurationError, match=r"\(role, content\) pair.*got dict") as caught:
        merge_messages([], [{"password": "hunter2"}])
    assert "hunter2" not in str(caught.value)
    with pytest.raises(ConfigurationError, match="got int"):
        merge_messages([], [5])


def test_appending_to_a_long_conversation_converts_no_message_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    state = merge_messages([], [HumanMessage(str(number), id=str(number)) for number in range(500)])
    conversion = Mock(wraps=convert_to_messages)
    monkeypatch.setattr(messages, "convert_to_messages", conversion)
    merged = merge_messages(state, ["new"])
    conversion.assert_called_once_with(["new"])
    assert all(old is new for old, new in zip(state, merged, strict=False))


def chain(*nodes: Any, **options: Any) -> Any:
    return StateGraph(Conversation).add_sequence(nodes).add_edge(START, nodes[0].__name__).compile(**options)


def test_an_overwrite_with_raw_messages_is_merged_like_a_write() -> None:
    def replace(state: Conversation) -> dict[str, Any]:
        return {"messages": Overwrite([("user", "only this")])}

    def add(state: Conversation) -> dict[str, Any]:
        return {"messages": ["and this"]}

    out = chain(replace, add).invoke({"messages": [HumanMessage("first")]})
    assert [message.content for message in out["messages"]] == ["only this", "and this"]
    assert all(message.id for message in out["messages"])


def answer(state: Conversation) -> dict[str, Any]:
    return {"messages": ("assistant", f"answer {len(state['messages'])}")}


def summarise(state: Conversation) -> dict[str, Any]:
    if len(state["messages"]) < 10:
        return {}
    return {"messages": [RemoveMessage(id=REMOVE_ALL_MESSAGES), ("system", "Summary of what was said.")]}


def test_a_summarised_conversation_shrinks_and_stays_so_after_reload(tmp_path: Path) -> None:
    config = {"configurable": {"thread_id": "t"}}
    with open_persistence(tmp_path / "runs.db") as persistence:
        graph = chain(answer, summarise, checkpointer=persistence.checkpointer)
        lengths = [len(graph.invoke({"messages": [("user", "yes")]}, config)["messages"]) for _ in range(8)]
        live = graph.get_state(config).values["messages"]
    assert lengths == [2, 4, 6, 8, 1, 3, 5, 7]
    with open_persistence(tmp_path / "runs.db") as persistence:
        graph = chain(answer, summarise, checkpointer=persistence.checkpointer)
        assert graph.get_state(config).values["messages"] == live
        assert live[0].content == "Summary of what was said."
        out = graph.invoke({"messages": [RemoveMessage(id=live[1].id)]}, config)
        assert live[1].id not in [message.id for message in out["messages"]]


def test_derived_ids_are_the_same_in_a_running_graph_and_after_reload(tmp_path: Path) -> None:
    def speak(state: Conversation) -> dict[str, Any]:
        return {"messages": ["\ud800 lone", "user", ("ai", "pair")]}

    config = {"configurable": {"thread_id": "t"}}
    with open_persistence(tmp_path / "runs.db") as persistence:
        live = chain(speak, checkpointer=persistence.checkpointer).invoke({"messages": ["hi"]}, config)["messages"]
    with open_persistence(tmp_path / "runs.db") as persistence:
        stored = chain(speak, checkpointer=persistence.checkpointer).get_state(config).values["messages"]
    assert shown(stored) == shown(live)


def test_400_messages_of_1_kb_take_less_than_4_mb(tmp_path: Path) -> None:
    def speak(state: Conversation) -> dict[str, Any]:
        return {"messages": [AIMessage("a" * 1000)]}

    config = {"configurable": {"thread_id": "t"}}
    with open_persistence(tmp_path / "runs.db") as persistence:
        graph = chain(speak, checkpointer=persistence.checkpointer)
        for _ in range(200):
            graph.invoke({"messages": [HumanMessage("h" * 1000)]}, config)
        assert len(graph.get_state(config).values["messages"]) == 400
    assert (tmp_path / "runs.db").stat().st_size < 4_000_000
