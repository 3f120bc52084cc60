"""The tools with which an agent uses a corpus: search it, read on around what was found, see what there is.

In team files they are `corpus.search`, `corpus.read` and `corpus.list`.
"""

from __future__ import annotations

from collections.abc import Callable

from langchain_core.tools import BaseTool, StructuredTool, ToolException
from langgraph.runtime import get_runtime
from pydantic import BaseModel, Field

from state.errors import DocumentError
from tools.corpora import corpus_of
from tools.corpus import Corpus
from tools.passage import PASSAGE_ID, render_passages
from tools.rights import needs

_MOST_RESULTS = 20
_MOST_NEIGHBOURS = 5
_MOST_LISTED = 100


class _SearchArguments(BaseModel):
    query: str = Field(
        description="A question or its key words, such as 'When is a finally clause executed?' or 'asyncio.gather'. "
        "Words the documents are likely to use find more than a long sentence; names are found whole and in parts."
    )
    limit: int = Field(default=5, description=f"How many passages to return, 1 to {_MOST_RESULTS}.")


class _ReadArguments(BaseModel):
    passage_id: str = Field(description="The id of a passage, exactly as a search returned it, such as 'p:1a2b3c4d5e'.")
    neighbours: int = Field(
        default=1, description=f"How many passages before and after it to return as well, 0 to {_MOST_NEIGHBOURS}."
    )


class _ListArguments(BaseModel):
    pattern: str = Field(
        default="*",
        description="Which documents, by path: * stands for any text, ? for one character, such as 'docs/*.md'. "
        "A pattern without either finds every path that contains it.",
    )


def create_corpus_tools(corpus: Corpus | None = None) -> tuple[BaseTool, BaseTool, BaseTool]:
    """Create the tools `search_documents`, `read_passage` and `list_documents`.

    Args:
        corpus: What they look into. None: the corpus that the context of each run names.

    Returns:
        The three tools, in this order. What they cannot do they say in words that a model can act on.
    """

    def chosen() -> Corpus:
        return corpus if corpus is not None else _corpus_of_run()

    def search_documents(query: str, limit: int = 5) -> str:
        return _search(chosen, query, limit)

    def read_passage(passage_id: str, neighbours: int = 1) -> str:
        return _read(chosen, passage_id, neighbours)

    def list_documents(pattern: str = "*") -> str:
        return _list(chosen, pattern)

    return (
        _tool(
            search_documents,
            _SearchArguments,
            "Search the documents for passages that answer a question. Returns the best passages, each with its id, "
            "source, heading and place. Cite a passage by its id in brackets: [p:1a2b3c4d5e].",
        ),
        _tool(
            read_passage,
            _ReadArguments,
            "Read a passage again together with what stands right before and after it in the same document. Use it "
            "when a passage that a search returned begins or ends too early.",
        ),
        _tool(
            list_documents,
            _ListArguments,
            f"List the documents that can be searched: path, number of passages, title; at most {_MOST_LISTED}. Use it "
            "to see what there is; to find out what the documents say, search them.",
        ),
    )


def _tool(function: Callable[..., str], arguments: type[BaseModel], description: str) -> BaseTool:
    tool = StructuredTool.from_function(
        function, args_schema=arguments, description=description, handle_tool_error=True
    )
    return needs("read")(tool)


def _corpus_of_run() -> Corpus:
    try:
        runtime = get_runtime()
    except RuntimeError:  # Called outside of a run.
        runtime = None
    return corpus_of(getattr(runtime, "context", None))


def _search(corpus: Callable[[], Corpus], query: str, limit: int) -> str:
    if not query.strip():
        raise ToolException(f"Expected a question or key words to search for, got {query!r}.")
    try:
        passages = corpus().search(query, limit=max(1, min(limit, _MOST_RESULTS)))
    except DocumentError as error:
        raise ToolException(_sentence(error)) from error
    return render_passages(passages) if passages else f"No passage matches {query}."


def _read(corpus: Callable[[], Corpus], passage_id: str, neighbours: int) -> str:
    # Models copy ids with the brackets of a citation around them.
    found = PASSAGE_ID.search(passage_id)
    try:
        passages = corpus().read(
            found[0] if found else passage_id, neighbours=max(0, min(neighbours, _MOST_NEIGHBOURS))
        )
    except DocumentError as error:
        raise ToolException(_sentence(error)) from error
    return render_passages(passages)


def _list(corpus: Callable[[], Corpus], pattern: str) -> str:
    pattern = pattern.strip() or "*"
    try:
        documents = corpus().documents(pattern if set("*?[") & set(pattern) else f"*{pattern}*")
    except DocumentError as error:
        raise ToolException(_sentence(error)) from error
    if not documents:
        return f"No document matches {pattern}. List all of them with the pattern *."
    lines = [f"{len(documents)} documents:" if len(documents) > 1 else "1 document:"]
    for source, title, passages in documents[:_MOST_LISTED]:
        size = f"{passages} passage" + ("s" if passages > 1 else "")
        lines.append(f"- {source} ({size})" + (f": {title}" if title else ""))
    if len(documents) > _MOST_LISTED:
        lines.append(f"... and {len(documents) - _MOST_LISTED} more; narrow the pattern, such as docs/*.md")
    return "\n".join(lines)


def _sentence(error: DocumentError) -> str:
    text = str(error)
    return f"{text[:1].upper()}{text[1:]}."
