"""The policy base of a team: the corpus tools over one folder, which is opened on first use."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, cast

from langchain_core.tools import BaseTool
from langgraph.runtime import get_runtime

from tools.corpora import corpus_of
from tools.corpus import Corpus
from tools.corpus_tools import create_corpus_tools
from tools.passage import Passage
from tools.retrieval.index import DocumentEntry


def corpus_of_run() -> str:
    """Return the folder of documents that the context of the run names; empty when it names none, or outside of a run."""
    try:
        context: Any = get_runtime().context
    except RuntimeError:
        return ""
    found = context.get("corpus") if isinstance(context, Mapping) else getattr(context, "corpus", None)
    return str(found or "")


class PolicyBase:
    """A folder of documents, as the corpus tools ask for it.

    Args:
        folder: Gives the folder, when it is asked for.
    """

    def __init__(self, folder: Callable[[], str | Path]) -> None:
        self._folder = folder

    def search(self, query: str, *, limit: int = 5) -> list[Passage]:
        """Return the passages that answer a question best."""
        return self._corpus.search(query, limit=limit)

    def read(self, passage_id: str, *, neighbours: int = 0) -> list[Passage]:
        """Return a passage and what stands around it."""
        return self._corpus.read(passage_id, neighbours=neighbours)

    def documents(self, pattern: str = "*") -> list[DocumentEntry]:
        """List the documents whose path matches a pattern."""
        return self._corpus.documents(pattern)

    @property
    def _corpus(self) -> Corpus:
        return corpus_of({"corpus": str(self._folder())})


def create_policy_tools(folder: Callable[[], str | Path]) -> tuple[BaseTool, BaseTool]:
    """Create the tools `search_documents` and `read_passage` over a folder of policies.

    Args:
        folder: Gives the folder, at each search: making the tools reads nothing.
    """
    search, read, _ = create_corpus_tools(cast(Corpus, PolicyBase(folder)))  # it has what the tools ask for
    return search, read
