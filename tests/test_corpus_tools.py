"""Agents share one corpus for each folder, and use it through tools that answer in words."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import pytest
from langchain_core.messages import AIMessage, ToolMessage
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.prebuilt import ToolNode

import tools.corpora
from corpus_docs import write_docs
from state.context import Context
from tools import Corpus, corpus_of, create_corpus_tools, open_corpus, parse_passages


@pytest.fixture
def docs(tmp_path: Path) -> Path:
    return write_docs(tmp_path / "docs")


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The folders that were opened; every corpus of the process is closed afterwards."""
    tools.corpora.close_corpora()
    folders: list[str] = []

    def count(folder: str) -> Corpus:
        folders.append(folder)
        return open_corpus(folder)

    monkeypatch.setattr(tools.corpora, "open_corpus", count)
    yield folders
    tools.corpora.close_corpora()


def test_parallel_agents_open_a_folder_once(docs: Path, opened: list[str]) -> None:
    contexts = [Context(corpus="docs"), {"corpus": str(docs)}, SimpleNamespace(corpus=docs)] * 4

    with ThreadPoolExecutor(8) as threads:
        corpora = set(map(id, threads.map(corpus_of, contexts)))

    assert len(corpora) == len(opened) == 1


@pytest.mark.parametrize("context", [None, {}, SimpleNamespace(), Context(), "docs"])
def test_without_a_folder_the_corpus_is_the_language_reference(context: object, opened: list[str]) -> None:
    assert corpus_of(context).name == "Python language reference"


def test_a_shared_corpus_notices_what_changed(docs: Path, opened: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    context = Context(corpus="docs")
    monkeypatch.setattr(tools.corpora, "_RECHECK_SECONDS", 1e9)
    corpus_of(context)
    (docs / "new.md").write_text("A hornet.")
    assert corpus_of(context).search("hornet") == []

    monkeypatch.setattr(tools.corpora, "_RECHECK_SECONDS", -1.0)
    assert corpus_of(context).search("hornet")[0].source == "new.md"
    assert len(opened) == 1


def _run_tools(calls: list[tuple[str, dict[str, object]]], context: Context | None) -> list[ToolMessage]:
    builder = StateGraph(MessagesState, context_schema=Context)
    builder.add_node("tools", ToolNode(list(create_corpus_tools())))
    builder.add_edge(START, "tools")
    tool_calls = [{"name": name, "args": arguments, "id": str(n)} for n, (name, arguments) in enumerate(calls)]
    state = builder.compile().invoke({"messages": [AIMessage("", tool_calls=tool_calls)]}, context=context)
    return [message for message in state["messages"] if isinstance(message, ToolMessage)]


def test_the_tools_look_into_the_corpus_of_the_run(docs: Path, opened: list[str]) -> None:
    (found_here,) = _run_tools([("search_documents", {"query": "queen eggs", "limit": 1})], Context(corpus="docs"))
    (built_in,) = _run_tools([("search_documents", {"query": "nonlocal", "limit": 1})], None)

    assert [passage.source for passage in parse_passages(found_here.text)] == ["bees.md"]
    assert [passage.source for passage in parse_passages(built_in.text)] == ["python-reference/nonlocal"]


def test_what_the_tools_cannot_do_they_say_in_words(docs: Path, opened: list[str]) -> None:
    here = _run_tools(
        [("search_documents", {"query": " "}), ("read_passage", {"passage_id": "p:0000000000"})], Context(corpus="docs")
    )
    (nowhere,) = _run_tools([("list_documents", {})], Context(corpus="nowhere"))

    assert [message.status for message in (*here, nowhere)] == ["error"] * 3
    assert here[0].text == "Expected a question or key words to search for, got ' '."
    assert here[1].text.endswith("got 'p:0000000000'; search again and copy the id from a result.")
    assert "'nowhere' does not exist" in nowhere.text


def test_a_tool_can_be_called_outside_of_a_run(docs: Path, opened: list[str]) -> None:
    with open_corpus(docs) as corpus:
        search, read, listing = create_corpus_tools(corpus)
        hit = parse_passages(search.invoke({"query": "queen eggs"}))[0]

        assert len(parse_passages(read.invoke({"passage_id": f"[{hit.id}]"}))) == 3
        assert search.invoke({"query": "zebra"}) == "No passage matches zebra."
        assert listing.invoke({"pattern": "bee"}) == "1 document:\n- bees.md (3 passages): Bees"
        assert listing.invoke({"pattern": "*.pdf"}) == "No document matches *.pdf. List all of them with the pattern *."
    assert "nonlocal" in create_corpus_tools()[0].invoke({"query": "nonlocal"})


def test_a_long_list_of_documents_says_how_to_narrow_it(tmp_path: Path) -> None:
    for number in range(103):
        (tmp_path / f"{number:03d}.txt").write_text("x")

    with open_corpus(tmp_path) as corpus:
        lines = create_corpus_tools(corpus)[2].invoke({}).splitlines()

    assert lines[0] == "103 documents:"
    assert lines[-1] == "... and 3 more; narrow the pattern, such as docs/*.md"
    assert len(lines) == 102


def test_models_are_shown_every_argument_with_its_meaning() -> None:
    tools_shown = create_corpus_tools()

    assert [tool.name for tool in tools_shown] == ["search_documents", "read_passage", "list_documents"]
    for tool in tools_shown:
        arguments = tool.tool_call_schema.model_json_schema()["properties"]  # type: ignore[union-attr]  # pydantic here
        assert set(arguments) <= {"query", "limit", "passage_id", "neighbours", "pattern"}
        assert all(argument["description"] for argument in arguments.values())
