"""Large results: a model sees a page and can read on, nothing is lost, and threads do not read each other's."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any

import pytest
from langchain_core.messages import ToolMessage
from langchain_core.runnables import RunnableConfig
from langchain_core.tools import BaseTool, InjectedToolCallId, tool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.store.memory import InMemoryStore
from langgraph.types import Command

from cases import says
from graphs import single
from nodes import Agent, Policy, ScriptedChatModel
from nodes.layers.large_results import MAX_RESULT, PAGE
from nodes.scripted import call
from orchestra import fork
from state.labels import without_lines
from state.persistence import open_persistence
from state.storage.items import results_of
from storage import KINDS, fresh_url
from tools import trusted

THREAD: RunnableConfig = {"configurable": {"thread_id": "t"}}
TEXT = "".join(f"line {number}\n" for number in range(200_000))


def fetch(url: str) -> str:
    """Fetch a page."""
    return TEXT


def read_all(agent: Agent, thread: str = "t", store: InMemoryStore | None = None) -> list[str]:
    assert isinstance(agent.model, ScriptedChatModel)
    graph = single.build(agent).compile(InMemorySaver(), store=store, name="g")
    assert graph.invoke({"task": "t"}, {"configurable": {"thread_id": thread}})["answer"] == "done"
    return [m.text for m in agent.model.requests[-1].messages if isinstance(m, ToolMessage)]


def name_in(shown: str) -> str:
    return shown.rsplit("kept as '", 1)[1].split("'", 1)[0]


def test_a_large_result_is_shown_in_part_and_any_part_of_it_can_be_read() -> None:
    store = InMemoryStore()
    (shown,) = read_all(says("reader", call("fetch", url="x"), "done", tools=[fetch]), store=store)
    assert len(shown) < MAX_RESULT + 200
    assert (TEXT[:100] in shown, TEXT[-100:].strip() in shown) == (True, True)
    kept = name_in(shown)
    middle = len(TEXT) // 2
    steps = [call("fetch", url="x"), call("read_result", name=kept, start=middle), "done"]
    agent = says("reader", *steps, tools=[fetch], policy=Policy(allow=("fetch",)))
    part = without_lines(read_all(agent, store=store)[1])
    assert part.startswith(TEXT[middle : middle + PAGE])
    assert f"start={middle + PAGE}" in part


def test_reading_on_is_offered_only_to_an_agent_that_has_something_to_read() -> None:
    agent = says("reader", call("fetch", url="x"), "done", tools=[fetch])
    read_all(agent, store=InMemoryStore())
    assert isinstance(agent.model, ScriptedChatModel)
    offered = [[tool["function"]["name"] for tool in request.tools] for request in agent.model.requests]
    assert offered == [["fetch"], ["fetch", "read_result"]]


def test_nobody_reads_what_another_thread_was_given_and_nonsense_is_answered() -> None:
    store = InMemoryStore()
    (shown,) = read_all(says("reader", call("fetch", url="x"), "done", tools=[fetch]), store=store)
    kept = name_in(shown)

    def small(url: str) -> str:
        """Fetch a small page."""
        return "small"

    steps = [call("small", url="x"), call("read_result", name=kept), call("read_result", name="x", start="y"), "done"]
    results = read_all(says("thief", *steps, tools=[small]), thread="another", store=store)
    assert [text.startswith("Nothing is kept as") for text in results[1:]] == [True, True]


def test_without_a_store_the_middle_is_left_out_and_said_to_be() -> None:
    (shown,) = read_all(says("reader", call("fetch", url="x"), "done", tools=[fetch]))
    assert len(without_lines(shown)) <= MAX_RESULT
    assert "characters left out" in shown


def test_a_result_that_no_text_can_hold_is_kept_without_harm() -> None:
    def broken(url: str) -> Any:
        """Fetch a broken page."""
        return "\ud800" * (MAX_RESULT + 1)

    (shown,) = read_all(says("reader", call("broken", url="x"), "done", tools=[broken]), store=InMemoryStore())
    assert shown.encode("utf-8")


# --- results in blocks


IMAGE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}


def blocks_from(blocks: list[Any]) -> BaseTool:
    @tool
    def fetch(tool_call_id: Annotated[str, InjectedToolCallId]) -> Any:
        """Fetch a page."""
        result = ToolMessage(blocks, tool_call_id=tool_call_id)
        # Of a plain result LangChain makes JSON where a block is a bare text.
        return Command(update={"messages": [result]}) if any(isinstance(one, str) for one in blocks) else result

    return fetch


@pytest.mark.parametrize("block", ["x" * 30_000, {"type": "text", "text": "x" * 30_000}])
def test_a_result_in_a_hundred_blocks_of_text_is_shown_in_part_and_kept_whole(block: Any) -> None:
    store = InMemoryStore()
    agent = says("reader", call("fetch"), "done", tools=[blocks_from([block] * 100)])
    (shown,) = read_all(agent, store=store)
    assert len(without_lines(shown)) < MAX_RESULT + 200
    (item,) = store.search(results_of("t"))
    assert (item.key, item.value["text"]) == (name_in(shown), "\n".join(["x" * 30_000] * 100))


@pytest.mark.parametrize("with_store", [True, False])
def test_pictures_stay_where_the_text_beside_them_is_too_long(with_store: bool) -> None:
    blocks = [{"type": "text", "text": "x" * 30_000}, IMAGE, {"type": "text", "text": "y" * 30_000}, IMAGE]
    agent = says("reader", call("fetch"), "done", tools=[blocks_from(blocks)])
    (shown,) = read_all(agent, store=InMemoryStore() if with_store else None)
    assert len(without_lines(shown)) < MAX_RESULT + 300
    assert isinstance(agent.model, ScriptedChatModel)
    content: Any = agent.model.requests[-1].messages[-1].content
    assert [block for block in content if block["type"] != "text"] == [IMAGE, IMAGE]


def test_blocks_that_are_not_too_long_stay_as_they_are() -> None:
    agent = says("reader", call("fetch"), "done", tools=[blocks_from([{"type": "text", "text": "a"}, IMAGE, "b"])])
    read_all(agent, store=InMemoryStore())
    assert isinstance(agent.model, ScriptedChatModel)
    assert agent.model.requests[-1].messages[-1].content[1:-1] == [{"type": "text", "text": "a"}, IMAGE, "b"]


def test_a_large_message_in_a_command_is_shown_in_part_and_kept() -> None:
    @tool
    def fetch(tool_call_id: Annotated[str, InjectedToolCallId]) -> Command[Any]:
        """Fetch a page."""
        return Command(update={"messages": [ToolMessage(TEXT, tool_call_id=tool_call_id)]})

    store = InMemoryStore()
    (shown,) = read_all(says("reader", call("fetch"), "done", tools=[fetch]), store=store)
    assert len(without_lines(shown)) < MAX_RESULT + 200
    (item,) = store.search(results_of("t"))
    assert (item.key, item.value["text"]) == (name_in(shown), TEXT)


# --- where a page is from


def read_on(store: InMemoryStore) -> tuple[str, dict[str, Any]]:
    """Read a page of what a thread has kept in a later turn of it; return what was shown, and the outcome."""

    def small(url: str) -> str:
        """Fetch a small page."""
        return "small"

    (item,) = store.search(results_of("t"))
    steps = [call("small", url="x"), call("read_result", name=item.key), "done"]
    agent = says("later", *steps, tools=[trusted(small)])
    graph = single.build(agent).compile(InMemorySaver(), store=store, name="g")
    outcome = graph.invoke({"task": "t"}, THREAD)["outcomes"][0]
    assert isinstance(agent.model, ScriptedChatModel)
    return agent.model.requests[-1].messages[-1].text, outcome


def test_a_page_that_is_read_on_is_labelled_and_taints_as_the_first_one_did() -> None:
    store = InMemoryStore()
    read_all(says("reader", call("fetch", url="x"), "done", tools=[fetch]), store=store)
    shown, outcome = read_on(store)
    assert re.match(r"\[data [0-9a-f]{8} from tool fetch\]\nline 0\n", shown)
    assert outcome["taint"] == ["tool fetch"]


def test_the_same_text_from_a_trusted_tool_does_not_make_what_came_from_outside_trusted() -> None:
    def note(url: str) -> str:
        """Read our own note."""
        return TEXT

    store = InMemoryStore()
    steps = [call("fetch", url="x"), call("note", url="x"), "done"]
    read_all(says("reader", *steps, tools=[fetch, trusted(note)]), store=store)
    shown, outcome = read_on(store)
    assert shown.startswith("[data ")
    assert outcome["taint"] == ["tool fetch"]


def test_what_an_earlier_version_kept_can_be_read() -> None:
    store = InMemoryStore()
    store.put(results_of("t"), "abc", {"text": "an old text"})
    shown, outcome = read_on(store)
    assert (shown, outcome.get("taint", [])) == ("an old text", [])


@pytest.mark.parametrize("kind", KINDS)
def test_large_results_go_with_a_fork_and_end_with_their_thread(kind: str, tmp_path: Path) -> None:
    with fresh_url(kind, tmp_path) as url, open_persistence(url) as persistence:
        texts = [f"{number}" + TEXT[: MAX_RESULT + number] for number in range(12)]

        def page(number: int) -> str:
            """Fetch a page."""
            return texts[number]

        for thread in ("other", "t"):
            reader = says("reader", *(call("page", number=number) for number in range(12)), "done", tools=[page])
            graph = single.build(reader).compile(persistence.checkpointer, store=persistence.store, name="g")
            graph.invoke({"task": "t"}, {"configurable": {"thread_id": thread}})
        fork(graph, persistence, "t", at=0, to="again")
        kept = {thread: persistence.store.search(results_of(thread), limit=99) for thread in ("t", "other", "again")}
        assert {
            thread: sorted(item.value["text"] for item in items) for thread, items in kept.items()
        } == dict.fromkeys(kept, sorted(texts))
        persistence.delete_thread("t")
        left = {thread: len(persistence.store.search(results_of(thread), limit=99)) for thread in kept}
        assert left == {"t": 0, "other": 12, "again": 12}
        persistence.delete_thread("again", "other")
        assert persistence.store.search(("orchestra", "results")) == []
